"""Random shapes of the pre-training step: the program on a backend against `generate.py` in double precision.

    try_shapes.py --mcf build/mcf [--backend opencl] [--cases 20] [--seed 0] [--keep DIR]

Draws widths, depths, heads, patches, mask ratios, batches and terms (every fourth case is MoCo-v3), writes each case
into a folder, runs `mcf step` there and judges as README.md says, with two allowances that chosen cases do not need and
drawn ones do: gradients that are zero in exact arithmetic are held to RTOL of 1 % of the case's largest one, and of
parameters those elements are judged whose gradient is above 1e-3 of the tensor's largest (the first AdamW step divides by
the gradient, so an error of RTOL in the gradient is one of 1000 RTOL there). One step a case: of several, the gradients of
the last one only are known. Exits with 1 where a case is off; with --keep all folders stay.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import yaml
from safetensors.numpy import load_file, save_file

import generate
from cases import case, moco_case, net

NOISE = 1e-7


def drawn(rng):
    """A case of cases.py with random values; small, for the judge computes it in double precision."""
    pick = lambda *values: values[rng.integers(len(values))]
    patch = int(pick(4, 6, 8))
    side = int(patch * pick(2, 3, 4, 5))

    def vit(depths, **more):
        heads = int(pick(1, 2, 3))
        # Position tables want widths that are multiples of 4; odd multiples are no multiple of 8.
        dim = 4 * heads * int(pick(1, 2, 3, 5, 7))
        return net(dim, int(pick(*depths)), heads, int(pick(2, 3, 4)), **more)

    common = {
        'batch': int(pick(5, 6, 7, 9, 13)), 'steps': 1,
        'model__image_size': side, 'model__patch_size': patch, 'model__encoder': vit((1, 2, 3)),
        'model__projector': {'hidden': int(pick(24, 33, 50)), 'out': int(pick(9, 12, 16))},
    }
    if rng.random() < 0.25:
        return moco_case('random', **common)
    teacher = vit((1, 2, 3))
    teacher['blocks'] = sorted({int(pick(*range(1, teacher['depth'] + 1))) for _ in range(2)})
    terms = pick((1000, 0, 1), (1000, 1, 0), (0, 1, 0), (0, 0, 1), (300, 0.5, 2))
    return case('random', **common, model__decoder=vit((1, 2, 8)), model__teacher=teacher,
                objective__mask_ratio=float(pick(0.5, 0.6, 0.75)), objective__feature__weight=terms[0],
                objective__pixel={'weight': terms[1], 'per_patch_norm': bool(pick(True, False))},
                objective__contrastive__weight=terms[2],
                objective__contrastive__tokens=str(pick('cls', 'patch')))


def write(folder, drawn_case, rng):
    folder.mkdir(parents=True)
    config = drawn_case['config']
    (folder / 'config.yaml').write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / 'steps').write_text(f"{drawn_case['steps']}\n")
    method = generate.method_of(config)
    save_file(method.random_params(rng, config), folder / 'params.safetensors')
    save_file(method.random_batch(rng, config, drawn_case['batch']), folder / 'batch.safetensors')
    expected = generate.run_folder(folder, generate.torch.float64)
    save_file(expected, folder / 'expected.safetensors')


def judge(folder, rtol):
    """Tensors that are off, and the worst of the others, by the rules of README.md."""
    start, expected, got = (load_file(folder / f'{n}.safetensors') for n in ('params', 'expected', 'got'))
    norm = lambda x: float(np.linalg.norm(x.astype(np.float64)))
    off, worst = [], (0.0, '')
    largest = max(norm(e) for k, e in expected.items() if k.startswith('grad.'))
    for name, e in expected.items():
        g = got.get(name)
        if g is None or g.shape != e.shape or not np.isfinite(g).all():
            off.append(f'{name}: missing, of another shape or not finite')
            continue
        size, bound = norm(e), rtol
        if name.startswith('param.'):
            p = start[name[6:]]
            gradient = np.abs(expected.get('grad.' + name[6:], np.full(p.shape, np.inf)))
            seen = gradient >= max(1e-3 * float(gradient.max()), NOISE) if gradient.size else gradient > 0
            g, e, p = g[seen], e[seen], p[seen]
            size, bound, error = norm(e - p), 5 * rtol, max(0.0, norm(g - e) - NOISE * norm(p))
        else:
            error = norm(g - e)
        if size < NOISE:
            size, bound = 1.0, rtol * max(1e-3, 1e-2 * largest)
        relative = error / size / bound
        if relative > 1:
            off.append(f'{name}: {error / size:.1e} where {bound:.1e} is allowed')
        worst = max(worst, (relative * bound, name))
    return off, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mcf', type=pathlib.Path, required=True)
    parser.add_argument('--backend', default='opencl')
    parser.add_argument('--cases', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--rtol', type=float, default=2e-4)
    parser.add_argument('--keep', type=pathlib.Path)
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(args.cases):
            rng = np.random.default_rng([args.seed, number])
            folder = (args.keep or pathlib.Path(temporary)) / f'case_{args.seed}_{number}'
            made = drawn(rng)
            write(folder, made, rng)
            run = [str(args.mcf), 'step', folder / 'config.yaml', '--init', folder / 'params.safetensors', '--batch',
                   folder / 'batch.safetensors', '--out', folder / 'got.safetensors', '--steps', str(made['steps']),
                   '--backend', args.backend, '--quiet']
            failed = subprocess.run(run).returncode
            off, worst = (['mcf step failed'], (0.0, '')) if failed else judge(folder, args.rtol)
            bad += bool(off)
            model = made['config']['model']
            print(f"{folder.name}: encoder {model['encoder']}, batch {made['batch']}: "
                  f"worst {worst[1]} {worst[0]:.1e}{'; OFF: ' + '; '.join(off[:3]) if off else ''}", flush=True)
    print(f'{args.cases - bad} of {args.cases} cases agree')
    sys.exit(bad > 0)


if __name__ == '__main__':
    main()
