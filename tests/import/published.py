#!/usr/bin/env python3
"""Compares model/published.c with timm: every row with timm's configuration and network, and that no plain ViT that
`mcf import` reads is missing. Usage: python3 tests/import/published.py   (timm, PyTorch; from the source tree)"""
import math
import pathlib
import re
import sys

import timm
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEANS = {'HALF': 0.5, 'IMAGENET': 0.485, 'CLIP': 0.48145466}


def plain(name):
    """(dim, depth, heads, hidden, patch, size) of a network whose tensors are exactly a plain ViT's, or None."""
    try:
        with torch.device('meta'):
            net = timm.create_model(name)
    except Exception:
        return None
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.startswith('head.')}
    if 'cls_token' not in shapes or 'blocks.0.mlp.fc1.weight' not in shapes:
        return None
    depth = sum(k.endswith('.norm1.weight') for k in shapes)
    want = {'cls_token', 'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias', 'norm.weight', 'norm.bias'}
    want |= {f'blocks.{i}.{part}.{kind}' for i in range(depth) for kind in ('weight', 'bias')
             for part in ('norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2')}
    if set(shapes) != want:
        return None
    dim, _, patch, _ = shapes['patch_embed.proj.weight']
    side = math.isqrt(shapes['pos_embed'][1] - 1)
    if side * side != shapes['pos_embed'][1] - 1:  # positions for the patches alone
        return None
    if type(net.blocks[0].mlp.act).__name__ != 'GELU' or net.norm.eps != 1e-6:
        return None
    return dim, depth, net.blocks[0].attn.num_heads, shapes['blocks.0.mlp.fc1.weight'][0], patch, side * patch


def main():
    row = re.compile(r'ROW\("([^"]+)", (\d+), (\d+), (\d+), (\d+), (\d+), (\d+), ([\d.]+), (\w+)\)')
    ours = {m[1]: (tuple(map(int, m.groups()[1:7])), float(m[8]), MEANS[m[9]])
            for m in row.finditer((ROOT / 'model/published.c').read_text())}
    theirs = {}
    for name in sorted({n for like in ('*vit*', 'deit*') for n in timm.list_models(like)}):
        shape = plain(name)
        for tag in (timm.list_pretrained(name) or [name]) if shape else []:
            cfg = timm.get_pretrained_cfg(tag)
            assert cfg.interpolation == 'bicubic', tag
            theirs[tag] = (shape, cfg.crop_pct, cfg.mean[0])
    wrong = [n for n in sorted(ours.keys() | theirs.keys()) if ours.get(n) != theirs.get(n)]
    for name in wrong:
        print(f'{name}: here {ours.get(name)}, timm {theirs.get(name)}')
    print(f'{len(ours)} rows, {len(wrong)} differ')
    return bool(wrong)


sys.exit(main())
