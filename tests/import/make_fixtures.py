"""Checkpoints as their authors' programs write them, and what PyTorch computes from them in double precision.

    make_fixtures.py            writes everything beside this file, and fuzz/corpus/{pth,import}

Networks are small and random; names and nesting are those of the files that method.md lists. For each case
expected.safetensors holds CASE.cls and CASE.mean (features of `pixels`, as `mcf embed` gives them) and
CASE.loss.feature, CASE.loss.pixel, CASE.out.pred (of the step on batch.safetensors with M_0 of decoder.safetensors,
the encoder as E_b and as M_1). values.pth and values.safetensors are tensors of every type and layout.
hostile/ holds files that must be refused. Storages of stream files are named by addresses, so these files differ from
run to run; all others come out byte for byte. Needs torch, numpy and safetensors.
"""
import argparse
import builtins
import collections
import functools
import io
import math
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / 'fuzz' / 'corpus'
SIDE, PATCH, DIM, DEPTH, HEADS = 12, 4, 12, 2, 3
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


# ---- networks, as torch.nn has them ------------------------------------------------------------------------
class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(collections.OrderedDict(
            fc1=nn.Linear(dim, 4 * dim), act=nn.GELU(), fc2=nn.Linear(4 * dim, dim)))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)


class VisionTransformer(nn.Module):
    """Under timm's names."""

    def __init__(self, dim=DIM, depth=DEPTH, heads=HEADS, side=SIDE, patch=PATCH):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (side // patch) ** 2, dim))
        self.patch_embed = Patches(dim, patch)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def tokens(self, image, keep=None):
        x = self.patch_embed.proj(image).flatten(2).transpose(1, 2) + self.pos_embed[:, 1:]
        return torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1), chosen(x, keep)], 1)

    def layers(self):
        return self.blocks

    def last(self, x):
        return self.norm(x)


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ResidualAttentionBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(collections.OrderedDict(
            c_fc=nn.Linear(dim, 4 * dim), gelu=QuickGELU(), c_proj=nn.Linear(4 * dim, dim)))
        self.ln_2 = nn.LayerNorm(dim)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, dim, depth, heads):
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualAttentionBlock(dim, heads) for _ in range(depth))


class ClipVision(nn.Module):
    """Under CLIP's names, LayerNorms with their default eps of 1e-5."""

    def __init__(self, dim=DIM, depth=DEPTH, heads=HEADS, side=SIDE, patch=PATCH):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(dim))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + (side // patch) ** 2, dim))
        self.proj = nn.Parameter(torch.zeros(dim, 5))
        self.conv1 = nn.Conv2d(3, dim, patch, patch, bias=False)
        self.ln_pre = nn.LayerNorm(dim)
        self.transformer = Transformer(dim, depth, heads)
        self.ln_post = nn.LayerNorm(dim)

    def tokens(self, image, keep=None):
        x = self.conv1(image).flatten(2).transpose(1, 2) + self.positional_embedding[1:]
        cls = (self.class_embedding + self.positional_embedding[0]).expand(len(x), 1, -1)
        return self.ln_pre(torch.cat([cls, chosen(x, keep)], 1))

    def layers(self):
        return self.transformer.resblocks

    def last(self, x):
        return self.ln_post(x)


class Decoder(nn.Module):
    """M_0, under MAE's names."""

    def __init__(self, dim=DIM, width=8, depth=1, heads=2, count=(SIDE // PATCH) ** 2, out=3 * PATCH ** 2):
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, 1 + count, width))
        self.decoder_embed = nn.Linear(dim, width)
        self.decoder_blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_pred = nn.Linear(width, out)

    def forward(self, latent, ids_shuffle):
        x = self.decoder_embed(latent)
        b, count = ids_shuffle.shape
        hidden = self.mask_token.expand(b, count + 1 - x.shape[1], -1)
        patches = chosen(torch.cat([x[:, 1:], hidden], 1), ids_shuffle.argsort(1))
        x = torch.cat([x[:, :1], patches], 1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoder_norm(x))[:, 1:]


def chosen(x, keep):
    return x if keep is None else torch.gather(x, 1, keep[..., None].expand(-1, -1, x.shape[-1]))


def encode(net, image, keep=None):
    x = net.tokens(image, keep)
    for layer in net.layers():
        x = layer(x)
    return net.last(x)


def taps(net, image):
    x, out = net.tokens(image), []
    for layer in net.layers():
        x = layer(x)
        out.append(x)
    return out


def randomize(net, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in net.named_parameters():
            scale = 0.3 if p.ndim == 1 or name.endswith(('token', 'embed')) else 1 / math.sqrt(p[0].numel())
            one = 1.0 if p.ndim == 1 and name.endswith('weight') else 0.0  # a LayerNorm's
            p.copy_(one + scale * torch.randn(p.shape, generator=g))
    return net


def resized_table(table, side):
    """Bicubic with a = -0.75, as F.interpolate has it."""
    cls, grid = table[:, :1], table[:, 1:]
    old = math.isqrt(grid.shape[1])
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(side, side), mode='bicubic', align_corners=False)
    return torch.cat([cls, grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


# ---- what comes out ----------------------------------------------------------------------------------------
def normalised(pixels, mean, std):
    x = pixels.permute(0, 3, 1, 2).double() / 255
    return (x - torch.tensor(mean).double().view(3, 1, 1)) / torch.tensor(std).double().view(3, 1, 1)


def patches_of(image, p=PATCH):
    b, c, s, _ = image.shape
    return image.reshape(b, c, s // p, p, s // p, p).permute(0, 2, 4, 3, 5, 1).reshape(b, -1, p * p * c)


def image_of(patches, p=PATCH):
    b, count, _ = patches.shape
    g = math.isqrt(count)
    return patches.reshape(b, g, g, p, p, 3).permute(0, 5, 1, 3, 2, 4).reshape(b, 3, g * p, g * p)


def expectations(net, pixels, norm, decoder=None, batch=None):
    """net's weights as they are stored, computed with in double precision."""
    net = net.double()
    with torch.no_grad():
        out = encode(net, normalised(pixels, *norm))
        result = {'cls': out[:, 0], 'mean': out[:, 1:].mean(1)}
        if not decoder:
            return result
        image, ids = batch['image'].double(), batch['ids_shuffle']
        n = int(ids.shape[1] * (1 - 0.6))
        pred = decoder(encode(net, image, ids[:, :n]), ids)
        hidden = torch.ones(ids.shape).double().scatter(1, ids[:, :n], 0.0)
        pixel = (((pred - patches_of(image)) ** 2).mean(-1) * hidden).sum() / hidden.sum()
        along = lambda x: x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
        feature = sum(((along(a) - along(b)) ** 2).mean() for a, b in zip(taps(net, image_of(pred)), taps(net, image)))
        return result | {'out.pred': pred, 'loss.pixel': pixel[None], 'loss.feature': feature[None]}


# ---- files -------------------------------------------------------------------------------------------------
def save(value, name, stream=False):
    torch.save(value, HERE / name, _use_new_zipfile_serialization=not stream)


def under(prefix, net):
    return collections.OrderedDict((prefix + k, v) for k, v in net.state_dict().items())


def head(dim, widths, seed):
    """MoCo-v3's and MCF's heads: linear layers without biases, BatchNorms with their statistics and counter."""
    torch.manual_seed(seed)
    layers, widths = [], [dim, *widths]
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b, affine=i < len(widths) - 2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def settings():
    return argparse.Namespace(lr=1.5e-4, output_dir=pathlib.PurePosixPath('out'), norm=functools.partial(min, 1),
                              betas=(0.9, 0.95), device=torch.device('cpu'), dtype=torch.float16, seed=10 ** 30)


def optimizer_of(net):
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    sum(p.sum() for p in net.parameters()).backward()
    optimizer.step()
    net.zero_grad()
    return optimizer.state_dict()


def mcf_model(net, seed, decoder):
    other, small = randomize(VisionTransformer(), seed + 50), head(DIM, [6, 4], seed)
    return (under('online_encoder.', net) | under('online_encoder.fc.', small) | under('target_encoder.', other) |
            under('target_encoder.fc.', small) | under('predictor.', head(4, [6, 4], seed)) |
            under('perceptual_loss.model.', other) | decoder.state_dict())


def moco_model(net, other, seed):
    small = head(DIM, [6, 6, 4], seed)
    return (under('module.base_encoder.', net) | under('module.base_encoder.head.', small) |
            under('module.momentum_encoder.', other) | under('module.momentum_encoder.head.', small) |
            under('module.predictor.', head(4, [6, 4], seed)))


def clip_model(net):
    words = {'positional_embedding': torch.zeros(7, 4), 'text_projection': torch.zeros(4, 5),
             'logit_scale': torch.tensor(2.6), 'token_embedding.weight': torch.zeros(9, 4),
             'transformer.resblocks.0.ln_1.weight': torch.zeros(4), 'ln_final.weight': torch.zeros(4)}
    return under('visual.', net) | words


def flat_views(state):
    """All tensors as views of one storage, in turn contiguous, transposed and with gaps."""
    room, out, at = torch.zeros(3 * sum(v.numel() for v in state.values()) + 7), collections.OrderedDict(), 5
    for i, (k, v) in enumerate(state.items()):
        if i % 3 == 1 and v.ndim == 2:
            view = room[at:at + v.numel()].view(v.shape[1], v.shape[0]).t()
        elif i % 3 == 2:
            view = room[at:at + 2 * v.numel():2].view(v.shape) if v.ndim == 1 else \
                room.as_strided(v.shape, [3 * s for s in v.contiguous().stride()], at)
        else:
            view = room[at:at + v.numel()].view(v.shape)
        view.copy_(v)
        out[k] = view
        at += 3 * v.numel() if i % 3 == 2 else v.numel()
    return out


def contiguous(state):
    return {k: v.detach().clone().contiguous() for k, v in state.items() if isinstance(v, torch.Tensor)}


def write_cases():
    pixels = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8))
    large = torch.from_numpy(np.random.default_rng(4).integers(0, 256, (2, 20, 20, 3), dtype=np.uint8))
    decoder = randomize(Decoder(), 1)
    g = torch.Generator().manual_seed(2)
    batch = {'image': torch.randn(4, 3, SIDE, SIDE, generator=g),
             'ids_shuffle': torch.stack([torch.randperm(9, generator=g) for _ in range(4)])}
    save_file(decoder.state_dict(), HERE / 'decoder.safetensors')
    save_file(batch, HERE / 'batch.safetensors')
    expected = {'pixels': pixels, 'pixels20': large}
    double = Decoder().double()
    double.load_state_dict(decoder.state_dict())

    def expect(case, net, norm=IMAGENET):
        for k, v in expectations(net, pixels, norm, double, batch).items():
            expected[f'{case}.{k}'] = v.float().contiguous()

    def rounded(net, dtype):
        return net.to(dtype).float()

    vit = lambda seed: randomize(VisionTransformer(), seed)

    net = vit(11)  # all that a training run leaves, nothing of which may disturb
    save({'model': mcf_model(net, 11, decoder), 'optimizer': optimizer_of(vit(12)), 'epoch': 15,
          'scaler': {'scale': 65536.0, '_growth_tracker': 3}, 'args': settings()}, 'mcf.pth')
    save_file(contiguous(mcf_model(net, 11, decoder)), HERE / 'mcf.safetensors')
    save({'model': collections.OrderedDict(('module.' + k, v) for k, v in mcf_model(net, 11, decoder).items())},
         'mcf_parallel.pth', stream=True)
    expect('mcf', net)

    net = vit(13)
    mae = collections.OrderedDict([*net.state_dict().items(), *decoder.state_dict().items()])
    save({'model': mae}, 'mae.pth')
    save({'optimizer': optimizer_of(vit(14)), 'model': mae, 'args': settings()}, 'mae_stream.pth', stream=True)
    save({'model': dict([*net.named_parameters(), *decoder.named_parameters()])}, 'mae_parameters.pth')
    save_file(contiguous(mae), HERE / 'mae.safetensors')
    expect('mae', net)

    base, momentum = vit(15), vit(16)
    moco = moco_model(base, momentum, 15)
    save({'epoch': 300, 'arch': 'vit_base', 'state_dict': moco, 'optimizer': optimizer_of(vit(17)),
          'scaler': {'scale': 65536.0}}, 'moco_v3.pth.tar')
    save({'epoch': 300, 'arch': 'vit_base', 'state_dict': moco}, 'moco_v3_stream.pth.tar', stream=True)
    save_file(contiguous(moco), HERE / 'moco_v3.safetensors')
    expect('moco_base', base)
    expect('moco_momentum', momentum)

    net = vit(18)
    timm = net.state_dict() | {'head.weight': torch.zeros(5, DIM), 'head.bias': torch.zeros(0)}
    save(timm, 'timm.pth')
    save(timm, 'timm_stream.pth', stream=True)
    save(timm | {'args': settings(), 'epoch': 3}, 'timm_settings.pth')
    save(flat_views(timm), 'timm_views.pth')
    save(flat_views(timm), 'timm_views_stream.pth', stream=True)
    save({k: v.double() for k, v in timm.items()}, 'timm_double.pth')
    save_file(contiguous(timm), HERE / 'timm.safetensors')
    expect('timm', net)
    for dtype in (torch.float16, torch.bfloat16):
        name = 'timm_' + str(dtype)[6:]
        save(collections.OrderedDict((k, v.to(dtype)) for k, v in timm.items()), name + '.pth')
        save_file({k: v.to(dtype).contiguous() for k, v in timm.items()}, HERE / (name + '.safetensors'))
        expect(name, rounded(vit(18), dtype))

    net = randomize(ClipVision(), 19)
    farl = clip_model(net)
    save({'state_dict': farl, 'epoch': 16}, 'farl.pth')
    save({'state_dict': farl}, 'farl_stream.pth', stream=True)
    save_file(contiguous(farl), HERE / 'farl.safetensors')
    expect('farl', net, CLIP)

    # Other grids: 3 x 3 to 5 x 5 patches.
    for case, net, norm in (('timm20', vit(18), IMAGENET), ('farl20', randomize(ClipVision(), 19), CLIP)):
        with torch.no_grad():
            if case == 'farl20':
                net = net.double()
                net.positional_embedding = nn.Parameter(resized_table(net.positional_embedding[None], 5)[0])
            else:
                net = net.double()
                net.pos_embed = nn.Parameter(resized_table(net.pos_embed, 5))
        for k, v in expectations(net, large, norm).items():
            expected[f'{case}.{k}'] = v.float().contiguous()

    # Width 64 and one head, the shape of no published network.
    net = rounded(randomize(VisionTransformer(64, 1, 1), 20), torch.float16)
    save({k: v.half() for k, v in net.state_dict().items()}, 'timm_64.pth')
    for k, v in expectations(net, pixels, IMAGENET).items():
        expected[f'timm_64.{k}'] = v.float().contiguous()
    save_file(expected, HERE / 'expected.safetensors')


def write_values():
    """Tensors of every type and layout, for the reader alone."""
    g = torch.Generator().manual_seed(5)
    room = torch.arange(60, dtype=torch.float32)
    base = torch.randn(4, 6, generator=g)
    values = {
        'float32': base, 'float64': base.double() * 1e3, 'float16': base.half(), 'bfloat16': base.bfloat16(),
        'int64': torch.tensor([-5, 0, 1 << 40]), 'int32': torch.tensor([-7, 9], dtype=torch.int32),
        'int16': torch.tensor([-300, 300], dtype=torch.int16), 'int8': torch.tensor([-128, 127], dtype=torch.int8),
        'uint8': torch.tensor([0, 255], dtype=torch.uint8), 'bool': torch.tensor([True, False, True]),
        'zero_d': torch.tensor(3.25), 'zero_d_int': torch.tensor(77), 'empty': torch.zeros(0), 'empty_3d': torch.zeros(2, 0, 5),
        'transposed': base.t(), 'strided': base[::2, 1::2], 'expanded': torch.tensor([2.5, -1.0]).view(2, 1).expand(2, 3),
        'shared_a': room[:10].view(2, 5), 'shared_b': room[5:25].view(4, 5).t(), 'shared_c': room[59:],
        'shared_all': room, 'six': torch.randn(1, 2, 1, 3, 1, 2, generator=g).permute(5, 4, 3, 2, 1, 0),
        'parameter': nn.Parameter(base[0]), 'buffer.half_strided': base.half().t()[1:],
    }
    tagged = base[1].clone()
    tagged.note = 'an attribute'
    values['tagged'] = tagged
    for stream in (False, True):
        save({'state_dict': values, 'top': torch.tensor([1.5])}, f'values{"_stream" if stream else ""}.pth', stream)
    save_file({k: v.detach().float().contiguous().clone() for k, v in values.items()}, HERE / 'values.safetensors')


# ---- files that must be refused ----------------------------------------------------------------------------
class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def patched(source, to, change):
    """A zip checkpoint whose data.pkl `change` makes anew; the rest is copied."""
    with zipfile.ZipFile(HERE / source) as old, zipfile.ZipFile(to, 'w') as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(zipfile.ZipInfo(info.filename), change(data) if info.filename.endswith('data.pkl') else data)


def replaced(a, b):
    def change(data):
        assert data.count(a) == 1, (a, data.count(a))
        return data.replace(a, b)
    return change


def pickled(data, to):
    with zipfile.ZipFile(to, 'w') as out:
        out.writestr(zipfile.ZipInfo('archive/data.pkl'), data)
        out.writestr(zipfile.ZipInfo('archive/version'), '3\n')


def write_hostile():
    to = HERE / 'hostile'
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    net = randomize(VisionTransformer(DIM, 1), 30)
    state = net.state_dict()
    touch = 'touch owned'

    def hostile(name, value, stream=False):
        torch.save(value, to / name, _use_new_zipfile_serialization=not stream)

    hostile('system.pth', state | {'head.bias': Calls(os.system, touch)})
    hostile('system_stream.pth', state | {'head.bias': Calls(os.system, touch)}, stream=True)
    hostile('eval.pth', {'state_dict': state, 'optimizer': [{'deep': (Calls(eval, '1'),)}]})
    hostile('exec.pth', state | {'norm.bias': Calls(exec, 'pass')})
    hostile('popen.pth', {'model': state, 'args': Calls(subprocess.Popen, touch)})
    hostile('getattr.pth', state | {'epoch': Calls(getattr, 'x', 'upper')})
    hostile('import.pth', state | {'epoch': Calls(builtins.__import__, 'os')})
    hostile('load.pth', state | {'epoch': Calls(torch.load, 'x')})
    hostile('nested.pth', state | {'epoch': Calls(torch.storage._load_from_bytes, b'x')})
    partial = b'\x80\x02}X\x01\x00\x00\x00acfunctools\npartial\nctorch\ndevice\n\x85RX\x03\x00\x00\x00cpu\x85Rs.'
    pickled(partial, to / 'partial.pth')
    pickled(b'\x80\x02}(X\x01\x00\x00\x00aX\x02\x00\x00\x00idios\nsystem\nX\x01\x00\x00\x00xu.', to / 'inst_bad.pth')
    pickled(b"\x80\x02}X\x01\x00\x00\x00a(X\x02\x00\x00\x00idios\nsystem\ns.", to / 'inst.pth')
    pickled(b"\x80\x04}\x8c\x01a\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85Rs.", to / 'stack_global.pth')

    def modules(depth):  # of torch.jit.save, each with the next one twice
        inner = b'X\x01\x00\x00\x00a' + modules(depth - 1) + b'q%cX\x01\x00\x00\x00bh%c' % (depth, depth) if depth else b''
        return b'c__torch__.m\nM\n)\x81}(' + inner + b'ub'

    pickled(b'\x80\x02' + modules(40) + b'.', to / 'script_twice.pth')
    pickled(b'\x80\x02' + modules(80) + b'.', to / 'script_deep.pth')

    hostile('class.pth', state | {'cls_token': settings()})
    hostile('class_patch.pth', state | {'patch_embed.proj.weight': Calls(collections.Counter, 'ab')})
    hostile('class_itself.pth', state | {'norm.bias': argparse.Namespace})
    hostile('number.pth', state | {'norm.bias': 3})
    hostile('module.pth', net.patch_embed.proj)
    hostile('list.pth', [1, 2])
    missing = {k: v for k, v in state.items() if not k.startswith('blocks.0.attn')}
    hostile('names.pth', missing | {'fc_norm.weight': torch.zeros(DIM), 'norm.bias': torch.zeros(DIM + 1)})
    hostile('repeated.pth', state | {'module.norm.bias': torch.zeros(DIM)})
    hostile('expanded.pth', state | {'blocks.0.mlp.fc1.weight': torch.zeros(1).expand(1 << 18, DIM),
                                     'blocks.0.mlp.fc1.bias': torch.zeros(1).expand(1 << 18),
                                     'blocks.0.mlp.fc2.weight': torch.zeros(1).expand(DIM, 1 << 18)})
    hostile('grid.pth', state | {'pos_embed': torch.zeros(1).expand(1, 1 + 2 ** 46, DIM)})

    # A network one of whose tensors is then changed in its numbers. BININT1 is K, BININT J, LONG1 is \x8a.
    torch.save(dict(state), HERE / 'small.pth')
    whole = (HERE / 'small.pth').read_bytes()
    first = b'(X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x0ctq\x07Q'
    sizes = b'K\x00K\x01K\x01K\x0c\x87q\x08K\x0cK\x0cK\x01\x87q\t'
    long = lambda n: b'\x8a\x08' + struct.pack('<q', n)
    minus = b'J\xff\xff\xff\xff'
    try:
        for name, old, new in (
                ('offset', b'K\x00K\x01K\x01', long(1 << 62) + b'K\x01K\x01'), ('offset_near', b'K\x00K\x01K\x01', b'K\x01' * 3),
                ('offset_negative', b'K\x00K\x01K\x01', minus + b'K\x01K\x01'),
                ('size', b'K\x0c\x87q\x08', long(1 << 40) + b'\x87q\x08'),
                ('sizes', b'K\x01K\x01K\x0c\x87', 3 * long(1 << 62) + b'\x87'),
                ('stride', b'K\x0cK\x01\x87q\t', long((1 << 63) - 1) * 2 + b'\x87q\t'),
                ('stride_negative', b'K\x01\x87q\t', minus + b'\x87q\t'), ('strides_few', b'K\x0cK\x0cK\x01\x87q\t', b'K\x0cK\x01\x86q\t'),
                ('rank', b'K\x01K\x01K\x0c\x87', b'(' + b'K\x01' * 8 + b'K\x0ct')):
            patched('small.pth', to / f'{name}.pth', replaced(first + sizes, first + replaced(old, new)(sizes)))
        for name, old, new in (('count', b'K\x0ct', b'K\x0bt'), ('count_more', b'K\x0ct', b'K\x0dt'),
                               ('count_huge', b'K\x0ct', long(1 << 60) + b't'), ('count_negative', b'K\x0ct', minus + b't'),
                               ('key', b'0q\x05', b'Zq\x05'), ('key_elsewhere', b'\x01\x00\x00\x000q\x05', b'\x0a\x00\x00\x00../../../0q\x05'),
                               ('type', b'FloatStorage', b'QUInt8Storage')):
            patched('small.pth', to / f'{name}.pth', replaced(first, replaced(old, new)(first)))
        for name, cut in (('start', 20), ('half', len(whole) // 2), ('end', len(whole) - 30)):
            (to / f'cut_{name}.pth').write_bytes(whole[:cut])
        torch.save({'cls_token': state['cls_token']}, to / 'stream', _use_new_zipfile_serialization=False)
        stream = (to / 'stream').read_bytes()
        (to / 'stream').unlink()
        for name, cut in (('magic', 2), ('header', 15), ('pickle', 100), ('keys', len(stream) - 70),
                          ('count', len(stream) - 50), ('data', len(stream) - 1)):
            (to / f'stream_cut_{name}.pth').write_bytes(stream[:cut])
        (to / 'stream_other.pth').write_bytes(pickle.dumps({'a': 1}, 2))
    finally:
        (HERE / 'small.pth').unlink()

    # Much nothing in few bytes.
    with zipfile.ZipFile(to / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        out.writestr(zipfile.ZipInfo('archive/data.pkl'), b'\x80\x02' + b'0' * (1 << 24), zipfile.ZIP_DEFLATED)
    data = io.BytesIO()
    torch.save({'cls_token': torch.zeros(1, 1, DIM)} | {k: v for k, v in state.items() if k != 'cls_token'}, data)
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(to / 'bomb_storage.pth', 'w') as new:
        for info in old.infolist():
            packed = info.filename.endswith('data/0')
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info), zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)


def write_corpus():
    """Each kind of file as small as it goes: what the fuzzers start from."""
    pth, whole = CORPUS / 'pth', CORPUS / 'import'
    whole.mkdir(exist_ok=True)
    for old in [*pth.glob('made_*'), *whole.iterdir()]:
        old.unlink()
    vit = randomize(VisionTransformer(4, 1, 1, 4, 2), 40)
    clip = randomize(ClipVision(4, 1, 1, 4, 2), 41)
    kinds = ['mcf', 'mae', 'moco', 'timm', 'farl']
    made = {'mcf': {'model': under('online_encoder.', vit), 'args': settings()}, 'mae': {'model': vit.state_dict()},
            'moco': {'state_dict': under('module.base_encoder.', vit), 'epoch': 3}, 'timm': vit.state_dict(),
            'farl': {'state_dict': under('visual.', clip)}, 'views': flat_views(vit.state_dict()),
            'half': {k: v.half() for k, v in vit.state_dict().items()},
            'parameters': {'model': dict(vit.named_parameters())}, 'optimizer': optimizer_of(nn.Linear(1, 1))}
    for name, value in made.items():
        for stream in (False, True):
            to = pth / f'made_{name}{"_stream" if stream else ""}'
            torch.save(value, to, _use_new_zipfile_serialization=not stream)
            if name != 'optimizer':  # the first byte: kind, the other encoder, another grid, heads from the width
                kind = kinds.index(name if name in kinds else 'mae' if name == 'parameters' else 'timm')
                first = next(b for b in range(256) if b % 5 == kind and b & 0xe0 == (0x40 if stream else 0))
                (whole / to.name[5:]).write_bytes(bytes([first]) + to.read_bytes())
    for kind, value in enumerate((under('online_encoder.', vit), vit.state_dict(), under('base_encoder.', vit),
                                  vit.state_dict(), under('visual.', clip))):
        save_file(contiguous(value), whole / 'tensors')
        (whole / f'{kinds[kind]}_tensors').write_bytes(bytes([kind]) + (whole / 'tensors').read_bytes())
    (whole / 'tensors').unlink()
    for name in ('values', 'values_stream', 'hostile/partial', 'hostile/inst', 'hostile/stack_global', 'hostile/getattr',
                 'hostile/stride', 'hostile/key', 'hostile/bomb_storage', 'hostile/stream_cut_pickle', 'hostile/rank',
                 'hostile/class'):
        shutil.copy(HERE / f'{name}.pth', pth / ('made_' + name.replace('/', '_')))


if __name__ == '__main__':
    torch.set_num_threads(1)
    write_cases()
    write_values()
    write_hostile()
    write_corpus()
