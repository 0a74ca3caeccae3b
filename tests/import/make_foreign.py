#!/usr/bin/env python3
"""Writes tests/import/foreign: one small network as people's checkpoints hold it. Files in foreign/same import as
foreign/plain.pth does, to the byte; tests/run/foreign.sh says what becomes of the others.
Usage: python3 tests/import/make_foreign.py   (PyTorch 2.x, timm, PIL, safetensors; from the source tree)"""
import argparse
import functools
import os
import shutil
import sys
import zipfile
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from make_fixtures import DIM, VisionTransformer, randomize  # noqa: E402

TO = HERE / 'foreign'


class Named:
    """Pickled as a bound method of a class that is nowhere to be found."""

    def __reduce__(self):
        return getattr, (argparse.Namespace(warmup=5), 'warmup')


def save(name, value, both=True):
    torch.save(value, TO / f'{name}.pth')
    if both:
        torch.save(value, TO / f'{name}_stream.pth', _use_new_zipfile_serialization=False)


def renamed(prefix, state):
    return {prefix + k: v for k, v in state.items()}


def main():
    torch.set_num_threads(1)
    shutil.rmtree(TO, ignore_errors=True)
    (TO / 'same').mkdir(parents=True)
    net = randomize(VisionTransformer(DIM, 1), 50)
    state = {k: v for k, v in net.state_dict().items() if not k.startswith('head.')}
    save('plain', state, both=False)

    # the same network as torch.jit.save writes it, with its code
    net.forward = net.tokens
    side = 4 * int((net.pos_embed.shape[1] - 1) ** 0.5)
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, side, side)), TO / 'same/script.pth')
    del net.forward

    # the same network with things beside it
    args = argparse.Namespace(norm=nn.LayerNorm, act=functools.partial(nn.GELU, approximate='tanh'), lr=1e-3)
    save('same/bound_method', {'model': state, 'scheduler': {'rate': Named()}})
    save('same/layout', {'model': state, 'layout': torch.strided, 'dtype': torch.float32})
    save('same/module_class', {'model': state, 'args': args})
    save('same/module_objects', {'model': state, 'act': nn.GELU(), 'args': argparse.Namespace(act=nn.Identity())})
    save('same/complex', {'model': state, 'freqs': torch.ones(3, dtype=torch.complex64)})
    save('same/complex_inside', state | {'freqs_cis': torch.ones(3, dtype=torch.complex128)})
    save('same/sparse', {'model': state, 'mask': torch.eye(3).to_sparse()})
    save('same/quantised', {'model': state, 'q': torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)})
    save('same/float8', {'model': state, 'scale': torch.ones(4).to(torch.float8_e4m3fn)})
    save('same/unsigned', {'model': state, 'ids': torch.ones(4).to(torch.uint16)})
    save('same/strings', {'model': state, 'git': 'a\nb', 'none': None, 'nested': {'x': [1, (2.5, b'y')]}})

    # flags of tensors: the values are those of the plain file
    negative = {k: torch._neg_view(-v) for k, v in state.items()}
    assert all(v.is_neg() for v in negative.values())
    save('same/negative', negative)
    torch.save(negative, TO / 'marked.pth')
    with zipfile.ZipFile(TO / 'marked.pth') as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(TO / 'marked.pth', 'w') as new:
        for name, part in parts.items():
            part = part.replace(b'X\x03\x00\x00\x00neg', b'X\x03\x00\x00\x00odd') if name.endswith('data.pkl') else part
            new.writestr(zipfile.ZipInfo(name), part)

    # names with what is common to all in front
    for name, prefix in (('compiled', '_orig_mod.'), ('parallel', 'module.'), ('model', 'model.'), ('encoder', 'encoder.'),
                         ('deep', 'module._orig_mod.model.encoder.')):
        save(f'same/names_{name}', renamed(prefix, state), both=False)
        save(f'same/names_{name}_inside', {'state_dict': renamed(prefix, state), 'epoch': 3}, both=False)

    # several encoders in one file
    other = {k: v * 2 for k, v in state.items()}
    head = {'head.mlp.0.weight': torch.ones(2, DIM)}
    save('several_ema', {'model': other, 'model_ema': renamed('module.', state), 'epoch': 1}, both=False)
    save('several_timm_ema', {'state_dict': other, 'state_dict_ema': state}, both=False)
    save('several_teacher', {'student': renamed('module.backbone.', other) | renamed('module.', head),
                             'teacher': renamed('backbone.', state) | head}, both=False)
    save('ema_alone', {'state_dict_ema': state, 'epoch': 1}, both=False)

    # what is no encoder of this kind
    save('hugging_face', {'vit.embeddings.cls_token': state['cls_token'],
                          'vit.embeddings.patch_embeddings.projection.weight': state['patch_embed.proj.weight'],
                          'vit.encoder.layer.0.attention.attention.query.weight': torch.zeros(DIM, DIM)}, both=False)
    save('mixed', renamed('backbone.', state) | {'fc.weight': torch.zeros(2, DIM)}, both=False)
    save('empty', {}, both=False)
    save('whole', {'model': net.patch_embed.proj, 'epoch': 1}, both=False)
    import timm
    save('whole_timm', {'model': timm.layers.PatchEmbed(12, 4, 3, DIM), 'epoch': 1})
    for name, value in (('tensor', state['cls_token']), ('list', [state]), ('none', None)):
        save(f'no_dict_{name}', value, both=False)
    save('only_sparse', state | {'norm.bias': state['norm.bias'].to_sparse()}, both=False)
    save('only_quantised', state | {'norm.bias': torch.quantize_per_tensor(state['norm.bias'], 0.1, 0, torch.quint8)},
         both=False)
    save('only_complex', state | {'norm.bias': state['norm.bias'].to(torch.complex64)}, both=False)
    for name, value in (('nan', float('nan')), ('infinite', float('-inf'))):
        bad = state['blocks.0.mlp.fc1.bias'].clone()
        bad[3] = value
        save(name, state | {'blocks.0.mlp.fc1.bias': bad}, both=False)


def photographs():
    """Two photographs, one of them the first picture of an MPO, and the features that timm's own transform and PyTorch
    give them with foreign/plain.pth: bicubic, crop_pct 0.75, mean and deviation 0.5."""
    import numpy as np
    import timm
    from PIL import Image
    from safetensors.torch import save_file
    numbers = np.random.default_rng(7)
    pictures = [Image.fromarray(numbers.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
                for size in ((240, 180), (130, 210), (96, 64))]
    pictures[0].save(TO / 'photo.jpg', quality=90)
    pictures[1].save(TO / 'photo.mpo', 'MPO', save_all=True, append_images=[pictures[2]], quality=90)
    transform = timm.data.create_transform((3, 12, 12), interpolation='bicubic', crop_pct=0.75, mean=(0.5,) * 3,
                                           std=(0.5,) * 3)
    net = VisionTransformer(DIM, 1)
    net.load_state_dict(torch.load(TO / 'plain.pth'), strict=False)
    opened = [Image.open(TO / name) for name in ('photo.jpg', 'photo.mpo')]
    assert opened[1].n_frames == 2
    x = torch.stack([transform(picture.convert('RGB')) for picture in opened])
    with torch.no_grad():
        tokens = net.double().tokens(x.double())
        for layer in net.layers():
            tokens = layer(tokens)
        cls = net.last(tokens)[:, 0]
    save_file({'cls': cls.float().contiguous()}, TO / 'expected.safetensors')


if __name__ == '__main__':
    main()
    photographs()
    os.system(f'du -sh {TO}')
