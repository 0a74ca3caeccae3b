"""Predicted against measured, by operation: where a card is at hand.

    mcf bench step --device v100 --predict --devices 0 --json > predicted.json
    mcf bench step --backend cuda --devices 0 --set precision=fp16 --json > measured.json
    python3 bench/scripts/predicted_measured.py predicted.json measured.json

Both are of one optimiser step of one config; the measured one waits after each operation, so short ones look longer.
"""
import json
import sys


def by_operation(report):
    seconds = {}
    for row in report["profile"]:
        seconds[row["op"]] = seconds.get(row["op"], 0) + row["seconds"]
    return seconds


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    predicted, measured = (json.load(open(path)) for path in sys.argv[1:])
    for key in ("batch", "accumulate", "devices", "precision"):
        if predicted[key] != measured[key]:
            sys.exit(f"{key}: {predicted[key]} was predicted, {measured[key]} measured")
    p, m = by_operation(predicted), by_operation(measured)
    # The measured profile is that of the graph; AdamW and what follows it come outside.
    outside = {"adamw", "sum_squares"} - set(m)
    print(f"{'ms of a step':<22} {'predicted':>11} {'measured':>11} {'times':>8}")
    for op in sorted((set(p) | set(m)) - outside, key=lambda op: -m.get(op, 0)):
        cells = [f"{x[op] * 1e3:11.3f}" if op in x else f"{'-':>11}" for x in (p, m)]
        ratio = f"{m[op] / p[op]:8.2f}" if op in p and op in m and p[op] > 0 else f"{'-':>8}"
        print(f"{op:<22} {cells[0]} {cells[1]} {ratio}")
    a, b = predicted["seconds_per_step"] * 1e3, measured["seconds_per_step"] * 1e3
    print(f"{'the step':<22} {a:11.3f} {b:11.3f} {b / a:8.2f}")
    print(f"{'images/s':<22} {predicted['images_per_second']:11.1f} {measured['images_per_second']:11.1f}")


main()
