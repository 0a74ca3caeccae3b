"""Table of bench/scripts/step.sh: medians of the readings, ratios and targets.

    step_table.py [--strict] READINGS.jsonl       prints the table; --strict: exit 1 where a target is missed
    step_table.py --keep NAME PRECISION FILE         turns one program's JSON output into a line of readings
"""
import json
import statistics
import sys

# Shares of the yardstick, times PyTorch's better rate, share of PyTorch's smaller peak memory.
TARGETS = {'fp32': (0.75, 1.3, 0.75), 'bf16': (0.45, 2.0, 0.75)}


def keep(name, precision, path):
    with open(path) as f:
        text = f.read()
    # The JSON starts at the first brace; libraries may print before it.
    value = json.loads(text[text.index('{'):])
    print(json.dumps({'name': name, 'precision': precision, 'value': value}))


def has_bf16():
    try:
        with open('/proc/cpuinfo') as f:
            flags = f.read()
    except OSError:
        return False
    return 'avx512_bf16' in flags or 'amx_bf16' in flags


def median(readings, name, precision, key):
    found = [r['value'][key] for r in readings if (r['name'], r['precision']) == (name, precision)]
    return statistics.median(found) if found else None


def table(readings):
    met = True
    for precision in dict.fromkeys(r['precision'] for r in readings):
        share, times, memory = TARGETS[precision]
        gflops = median(readings, 'yardstick', precision, precision + '_gflops')
        flops = median(readings, 'eager', precision, 'flops_per_image')
        best = gflops * 1e9 / flops
        print(f'\n{precision}: yardstick {gflops:.0f} GFLOP/s = {best:.2f} img/s '
              f'at {flops / 1e9:.0f} GFLOP an image')
        print(f'{"":18}{"img/s":>8}{"GFLOP/s":>9}{"yardstick":>11}{"peak MiB":>10}')
        rate, peak = {}, {}
        for name, title in (('mcf', 'mcf'), ('eager', 'PyTorch eager'), ('compile', 'PyTorch compiled')):
            rate[name] = median(readings, name, precision, 'images_per_second')
            peak[name] = median(readings, name, precision, 'peak_rss_bytes')
            print(f'{title:18}{rate[name]:8.2f}{rate[name] * flops / 1e9:9.0f}{rate[name] / best:11.0%}'
                  f'{peak[name] / 2**20:10.0f}')
        torch_rate, torch_peak = max(rate['eager'], rate['compile']), min(peak['eager'], peak['compile'])
        claims = [('of the yardstick', rate['mcf'] / best, share, True),
                  ("times PyTorch's better rate", rate['mcf'] / torch_rate, times, True),
                  ("of PyTorch's smaller peak memory", peak['mcf'] / torch_peak, memory, False)]
        if precision == 'bf16' and not has_bf16():
            print('  this processor has no bf16 products: the speed targets do not apply')
            claims = claims[2:]
        for what, got, target, at_least in claims:
            good = got >= target if at_least else got <= target
            met = met and good
            print(f'  {got:5.2f} {what}, target {"at least" if at_least else "at most"} {target:.2f}: '
                  f'{"met" if good else "MISSED"}')
    imported = median(readings, 'eager', readings[0]['precision'], 'import_rss_bytes')
    print(f"\nPyTorch's peak holds {imported / 2**20:.0f} MiB that the import alone takes.")
    return met


def main():
    if sys.argv[1:2] == ['--keep'] and len(sys.argv) == 5:
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
