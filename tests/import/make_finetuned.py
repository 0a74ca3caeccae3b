"""A network as FaRL's authors save a finetuned one, and its answer to a crop from PyTorch in double precision.

    make_finetuned.py    writes farl_parse.pth and farl_align.safetensors beside this file, and farl_expected.safetensors

Small and random, under the names of FaRL's own modules: backbone.visual.* (CLIP's), backbone.fpns.*, head.* with
MMSegmentation's below. The forward pass is tests/golden/dense.py's. Needs torch, numpy, safetensors and PyYAML.
"""
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'golden'))
import dense  # noqa: E402

SIDE, PATCH, DIM, DEPTH, HEADS, CHANNELS, CROP = 16, 4, 16, 12, 4, 4, 512
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def network(outputs, seed):
    """Tensors under our names."""
    g = torch.Generator().manual_seed(seed)
    hidden, t = DIM // 2, {}

    def weight(name, *shape):
        t[name + '.weight'] = torch.randn(shape, generator=g) / (np.prod(shape[1:]) ** 0.5)

    def norm(name, dim):
        t[name + '.weight'] = 1 + 0.2 * torch.randn(dim, generator=g)
        t[name + '.bias'] = 0.2 * torch.randn(dim, generator=g)

    def batch_norm(name, dim):
        norm(name, dim)
        t[name + '.running_mean'] = 0.2 * torch.randn(dim, generator=g)
        t[name + '.running_var'] = 0.5 + torch.rand(dim, generator=g)

    def linear(name, *shape):
        weight(name, *shape)
        t[name + '.bias'] = 0.2 * torch.randn(shape[0], generator=g)

    def conv(name, *shape):
        weight(name + '.conv', *shape)
        batch_norm(name + '.bn', shape[0])

    t['backbone.cls_token'] = torch.randn(1, 1, DIM, generator=g)
    t['backbone.pos_embed'] = torch.randn(1, 1 + (SIDE // PATCH) ** 2, DIM, generator=g)
    weight('backbone.patch_embed.proj', DIM, 3, PATCH, PATCH)
    norm('backbone.norm_pre', DIM)
    for i in range(DEPTH):
        at = f'backbone.blocks.{i}.'
        norm(at + 'norm1', DIM)
        norm(at + 'norm2', DIM)
        linear(at + 'attn.qkv', 3 * DIM, DIM)
        linear(at + 'attn.proj', DIM, DIM)
        linear(at + 'mlp.fc1', hidden, DIM)
        linear(at + 'mlp.fc2', DIM, hidden)
    for name in ('fpn.0.0', 'fpn.0.3', 'fpn.1.0'):
        linear(name, DIM, DIM, 2, 2)
    batch_norm('fpn.0.1', DIM)
    for i in range(4):
        conv(f'head.psp_modules.{i}.1', CHANNELS, DIM, 1, 1)
    conv('head.bottleneck', CHANNELS, DIM + 4 * CHANNELS, 3, 3)
    for i in range(3):
        conv(f'head.lateral_convs.{i}', CHANNELS, DIM, 1, 1)
        conv(f'head.fpn_convs.{i}', CHANNELS, CHANNELS, 3, 3)
    conv('head.fpn_bottleneck', CHANNELS, 4 * CHANNELS, 3, 3)
    linear('head.conv_seg', outputs, CHANNELS, 1, 1)
    return {k: v.half().float() for k, v in t.items()}


def farl_name(name):
    for own, farl in (('fpn.0.', 'backbone.fpns.0.'), ('fpn.1.0.', 'backbone.fpns.1.'),
                      ('backbone.cls_token', 'backbone.visual.class_embedding'),
                      ('backbone.pos_embed', 'backbone.visual.positional_embedding'),
                      ('backbone.patch_embed.proj', 'backbone.visual.conv1'),
                      ('backbone.norm_pre', 'backbone.visual.ln_pre'),
                      ('backbone.blocks.', 'backbone.visual.transformer.resblocks.')):
        if name.startswith(own):
            name = farl + name[len(own):]
    for own, farl in (('.norm1.', '.ln_1.'), ('.norm2.', '.ln_2.'), ('attn.qkv.', 'attn.in_proj_'),
                      ('attn.proj.', 'attn.out_proj.'), ('mlp.fc1.', 'mlp.c_fc.'), ('mlp.fc2.', 'mlp.c_proj.')):
        if name.startswith('backbone.visual.'):
            name = name.replace(own, farl)
    return name


def as_farl(t, head):
    """What a state_dict of theirs has: tables without leading ones, counters, CLIP's last norm and projection."""
    out = {}
    for name, value in t.items():
        if name in ('backbone.cls_token', 'backbone.pos_embed'):
            value = value.reshape(value.shape[-2:] if name.endswith('embed') else value.shape[-1:])
        out[farl_name(name).replace('head.', head, 1) if name.startswith('head.') else farl_name(name)] = value.half()
        if name.endswith('running_var'):
            out[farl_name(name)[:-len('running_var')] + 'num_batches_tracked'] = torch.tensor(7)
    for k in ('weight', 'bias'):
        out['backbone.visual.ln_post.' + k] = torch.ones(DIM).half()
    out['backbone.visual.proj'] = torch.zeros(DIM, 3).half()
    out['backbone.image_mean'] = torch.tensor(MEAN).view(1, 3, 1, 1)
    out['backbone.image_std'] = torch.tensor(STD).view(1, 3, 1, 1)
    return out


def answer(t, crop):
    config = {'model': {'patch_size': PATCH, 'features': [4, 6, 8, 12], 'head': {'pool_scales': [1, 2, 3, 6]},
                        'encoder': {'heads': HEADS, 'depth': DEPTH, 'norm_eps': 1e-5, 'activation': 'quick-gelu',
                                    'pre_norm': True}}}
    image = torch.from_numpy(crop).permute(0, 3, 1, 2).double() / 255
    image = F.interpolate(image, size=(SIDE, SIDE), mode='bilinear', align_corners=False)
    shape = (1, 3, 1, 1)
    image = (image - torch.tensor(MEAN).double().view(shape)) / torch.tensor(STD).double().view(shape)
    return dense.Net({k: v.double() for k, v in t.items()}, config, False, 1).logits(image)


def crop_of(row, column, channel):
    """The same in tests/model/test_import_farl.c."""
    return (row * 3 + column * (channel + 1) + (row * column >> 6) * 5) % 251


def main():
    row, column, channel = np.meshgrid(np.arange(CROP), np.arange(CROP), np.arange(3), indexing='ij')
    crop = crop_of(row, column, channel).astype(np.uint8)[None]
    parse, align = network(11, 1), network(68, 2)
    torch.save({'state_dict': as_farl(parse, 'head.')}, HERE / 'farl_parse.pth')
    save_file({k: v.contiguous() for k, v in as_farl(align, 'head.head.').items()}, HERE / 'farl_align.safetensors')
    logits = answer(parse, crop)
    large = F.interpolate(logits, size=(CROP, CROP), mode='bilinear', align_corners=False)
    points = dense.centroids(answer(align, crop))
    save_file({'logits': large[0, :, ::61, ::61].float().contiguous(), 'points': points[0].float().contiguous()},
              HERE / 'farl_expected.safetensors')


main()
