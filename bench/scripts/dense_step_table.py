"""Table of bench/scripts/dense_step.sh: medians of the readings, ratios and targets.

    dense_step_table.py [--strict] READINGS.jsonl           prints the table; --strict: exit 1 where a target is missed
    dense_step_table.py --keep NAME TASK PRECISION FILE     turns one program's JSON output into a line of readings

A step meets its target where it is 1.3 times PyTorch's better rate, or where the 3x3 convolutions in it run at 85 % of
the rate that oneDNN alone has on the same ones.
"""
import json
import statistics
import sys

TIMES, SHARE = 1.3, 0.85
CONVOLUTIONS = ('conv2d', 'conv2d_grad_x', 'conv2d_grad_weight')


def keep(name, task, precision, path):
    with open(path) as f:
        text = f.read()
    # The JSON starts at the first brace; libraries may print before it.
    value = json.loads(text[text.index('{'):])
    if name == 'mcf':
        rows = [r for r in value['profile'] if r['op'] in CONVOLUTIONS]
        value['convolution_gflops'] = sum(r['gflop'] for r in rows) / sum(r['seconds'] for r in rows)
    print(json.dumps({'name': name, 'task': task, 'precision': precision, 'value': value}))


def table(readings):
    met = True

    def median(name, key):
        found = [r['value'][key] for r in readings
                 if (r['name'], r['task'], r['precision']) == (name, task, precision)]
        return statistics.median(found)

    for task, precision in dict.fromkeys((r['task'], r['precision']) for r in readings):
        print(f'\n{task}, {precision}')
        print(f'{"":18}{"img/s":>8}{"peak MiB":>10}')
        rate = {}
        for name, title in (('mcf', 'mcf'), ('eager', 'PyTorch eager'), ('compile', 'PyTorch compiled')):
            rate[name] = median(name, 'images_per_second')
            print(f'{title:18}{rate[name]:8.3f}{median(name, "peak_rss_bytes") / 2**20:10.0f}')
        own, alone = median('mcf', 'convolution_gflops'), median('convolutions', 'gflops')
        times = rate['mcf'] / max(rate['eager'], rate['compile'])
        good = times >= TIMES or own >= SHARE * alone
        met = met and good
        print(f'  {times:.2f} times PyTorch\'s better rate; 3x3 convolutions at {own:.0f} GFLOP/s in the step, oneDNN '
              f'alone {alone:.0f}: {own / alone:.0%}')
        print(f'  target {TIMES} times, or {SHARE:.0%}: {"met" if good else "MISSED"}')
    return met


def main():
    if sys.argv[1:2] == ['--keep'] and len(sys.argv) == 6:
        keep(*sys.argv[2:])
        return
    strict = '--strict' in sys.argv[1:]
    paths = [a for a in sys.argv[1:] if a != '--strict']
    if len(paths) != 1:
        sys.exit(__doc__)
    with open(paths[0]) as f:
        met = table([json.loads(line) for line in f])
    sys.exit(strict and not met)


if __name__ == '__main__':
    main()
