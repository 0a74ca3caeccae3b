"""Writes ridge.safetensors beside this file: ridge regressions solved by numpy, leave-one-out errors by really leaving
each sample out. Needs numpy and safetensors.

Of each case: `NAME.x` [n,d], `NAME.y` [n,t], `NAME.more` [m,d]; `NAME.penalty` [1], the member of the grid with the least
error; `NAME.error` [1], that error; `NAME.predicted` [m,t].
"""
import pathlib

import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
GRID = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def weights(x, y, penalty):
    """argmin |y - x w|^2 + penalty |w|^2 as a least-squares problem with rows added, not by the normal equations."""
    d = x.shape[1]
    rows = np.vstack([x, np.sqrt(penalty) * np.eye(d)])
    return np.linalg.lstsq(rows, np.vstack([y, np.zeros((d, y.shape[1]))]), rcond=None)[0]


def left_out_error(x, y, penalty):
    """Standardised once, with all samples; the offset is fitted anew without the sample, the penalty stays."""
    total = 0.0
    for i in range(len(x)):
        keep = np.arange(len(x)) != i
        mx, my = x[keep].mean(0), y[keep].mean(0)
        w = weights(x[keep] - mx, y[keep] - my, penalty)
        total += ((y[i] - my - (x[i] - mx) @ w) ** 2).sum()
    return total / y.size


def case(rng, n, d, t, noise, dead=False, scale=1.0):
    x = (rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d)) + rng.standard_normal(d)) * scale
    if dead:
        x[:, d // 2] = 3.0
    w = rng.standard_normal((d, t))
    more = (rng.standard_normal((7, d)) + rng.standard_normal(d)) * scale
    y = (x / np.where(x.std(0) > 0, x.std(0), 1)) @ w + 5 + noise * rng.standard_normal((n, t))
    x, y, more = x.astype(np.float32), y.astype(np.float32), more.astype(np.float32)
    a, b, c = x.astype(float), y.astype(float), more.astype(float)
    mean, deviation = a.mean(0), a.std(0)
    scale = np.where(deviation > 1e-6 * np.abs(mean), 1 / np.where(deviation == 0, 1, deviation), 0)
    s = (a - mean) * scale
    errors = [left_out_error(s, b, p * n) for p in GRID]
    best = int(np.argmin(errors))
    w = weights(s, b - b.mean(0), GRID[best] * n)
    return dict(x=x, y=y, more=more, penalty=np.array([GRID[best]]), error=np.array([errors[best]]),
                predicted=((c - mean) * scale) @ w + b.mean(0))


def main():
    rng = np.random.default_rng(3)
    cases = {'plain': case(rng, 60, 8, 3, 0.1), 'noisy': case(rng, 50, 20, 2, 20.0),
             'wide': case(rng, 20, 45, 4, 1.0), 'dead': case(rng, 40, 9, 1, 0.5, dead=True),
             'small': case(rng, 30, 5, 2, 0.3, scale=1e-4)}
    save_file({f'{name}.{key}': np.ascontiguousarray(value) for name, parts in cases.items()
               for key, value in parts.items()}, HERE / 'ridge.safetensors')
    for name, parts in cases.items():
        print(name, parts['penalty'], parts['error'])


if __name__ == '__main__':
    main()
