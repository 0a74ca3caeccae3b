"""Expected results of `mcf step` for alignment and parsing, with PyTorch's autograd in double precision.

    dense.py            writes every case below beside this file
    dense.py NAME...    only these
    dense.py --run DIR --out F [--float32]    runs the case that lies in DIR

Shares no code with the program. A case has a file `devices` beside `steps`: how many share the batch, in order.
"""
import argparse
import copy
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.numpy import load_file, save_file

import generate as g

HERE = pathlib.Path(__file__).resolve().parent


# ---- networks ----------------------------------------------------------------------------------------------
def norm(t, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], t[name + '.weight'], t[name + '.bias'], eps)


def backbone(t, model, image):
    """Outputs of the chosen blocks as maps [B,D,s,s]."""
    net, patch = model['encoder'], model['patch_size']
    eps, quick = net.get('norm_eps', 1e-6), net.get('activation', 'gelu') == 'quick-gelu'
    x = F.conv2d(image, t['backbone.patch_embed.proj.weight'], t.get('backbone.patch_embed.proj.bias'), stride=patch)
    b, d, s, _ = x.shape
    x = torch.cat([t['backbone.cls_token'].expand(b, 1, d), x.flatten(2).transpose(1, 2)], 1)
    table = t['backbone.pos_embed']
    x = x + table
    if net.get('pre_norm'):
        x = norm(t, 'backbone.norm_pre', x, eps)
    maps = []
    for i in range(net['depth']):
        at, heads = f'backbone.blocks.{i}', net['heads']
        qkv = g.linear(t, at + '.attn.qkv', norm(t, at + '.norm1', x, eps))
        q, k, v = qkv.reshape(b, -1, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
        mixed = (torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d // heads), -1) @ v).transpose(1, 2)
        x = x + g.linear(t, at + '.attn.proj', mixed.reshape(b, -1, d))
        hidden = g.linear(t, at + '.mlp.fc1', norm(t, at + '.norm2', x, eps))
        hidden = hidden * torch.sigmoid(1.702 * hidden) if quick else F.gelu(hidden)
        x = x + g.linear(t, at + '.mlp.fc2', hidden)
        if i + 1 in model['features']:
            maps.append(x[:, 1:].transpose(1, 2).reshape(b, d, s, s))
    return maps


class Net:
    """The forward pass over a batch in equal parts, one for each device."""

    def __init__(self, t, config, training, devices):
        self.t, self.model, self.training = t, config['model'], training
        self.sync, self.devices, self.running = self.model.get('sync_batchnorm', False), devices, {}

    def bn(self, name, x):
        t = self.t
        mean, var = t[name + '.running_mean'], t[name + '.running_var']
        parts = [x]
        if self.training and not self.sync:
            parts = x.chunk(self.devices)
        out = []
        for i, part in enumerate(parts):
            if self.training:
                mean, var = part.mean((0, 2, 3)), part.var((0, 2, 3), unbiased=False)
                if i == 0:
                    now = mean, part.var((0, 2, 3), unbiased=True)
                    for which, value in zip(g.STATISTICS, now):
                        key = f'{name}.{which}'
                        self.running[key] = 0.9 * t[key] + 0.1 * value.detach()
            shape = (1, -1, 1, 1)
            out.append((part - mean.view(shape)) / torch.sqrt(var.view(shape) + 1e-5))
        return torch.cat(out) * t[name + '.weight'].view(1, -1, 1, 1) + t[name + '.bias'].view(1, -1, 1, 1)

    def conv(self, name, x):
        w = self.t[name + '.conv.weight']
        return torch.relu(self.bn(name + '.bn', F.conv2d(x, w, padding=w.shape[-1] // 2)))

    def up(self, name, x):
        return F.conv_transpose2d(x, self.t[name + '.weight'], self.t[name + '.bias'], stride=2)

    def logits(self, image):
        maps = backbone(self.t, self.model, image)
        first = self.up('fpn.0.3', F.gelu(self.bn('fpn.0.1', self.up('fpn.0.0', maps[0]))))
        levels = [first, self.up('fpn.1.0', maps[1]), maps[2], F.max_pool2d(maps[3], 2, 2)]
        resize = lambda x, like: F.interpolate(x, size=like.shape[2:], mode='bilinear', align_corners=False)
        pools = [levels[3]]
        for i, bins in enumerate(self.model['head']['pool_scales']):
            pooled = self.conv(f'head.psp_modules.{i}.1', F.adaptive_avg_pool2d(levels[3], bins))
            pools.append(resize(pooled, levels[3]))
        x = [self.conv(f'head.lateral_convs.{i}', levels[i]) for i in range(3)]
        x.append(self.conv('head.bottleneck', torch.cat(pools, 1)))
        for i in (3, 2, 1):
            x[i - 1] = x[i - 1] + resize(x[i], x[i - 1])
        y = [self.conv(f'head.fpn_convs.{i}', x[i]) for i in range(3)] + [x[3]]
        y = self.conv('head.fpn_bottleneck', torch.cat([resize(v, y[0]) for v in y], 1))
        return F.conv2d(y, self.t['head.conv_seg.weight'], self.t['head.conv_seg.bias'])


# ---- losses ------------------------------------------------------------------------------------------------
def centroids(logits):
    mass = torch.sigmoid(logits)
    h, w = logits.shape[2:]
    total = mass.sum((2, 3)).clamp_min(1e-6)
    x = (mass.sum(2) * torch.arange(w, dtype=mass.dtype)).sum(2) / total
    y = (mass.sum(3) * torch.arange(h, dtype=mass.dtype)).sum(2) / total
    return torch.stack([(x + 0.5) / w, (y + 0.5) / h], 2)


def targets(points, size, radius):
    """In single precision, as the edge of a disc has to be decided somewhere."""
    centre = (size * points - 0.5)[:, :, None, None]
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing='ij')
    r2 = (column - centre[..., 0]) ** 2 + (row - centre[..., 1]) ** 2
    return torch.where(r2 <= radius ** 2, torch.exp(-8 * r2 / radius ** 2), torch.zeros_like(r2))


def losses(config, logits, batch):
    goal, out = config['objective'], {}
    if config['task'] == 'align':
        found = centroids(logits)
        out['points'] = found
        distance = torch.sqrt(((found - batch['points']) ** 2).sum(-1)).mean()
        size = goal['heatmap_size']
        maps = F.interpolate(logits, size=(size, size), mode='bilinear', align_corners=False)
        entropy = F.binary_cross_entropy_with_logits(maps, targets(batch['points'], size, goal['heatmap_radius']))
        terms = {'coordinate': distance, 'heatmap': entropy}
    else:
        large = F.interpolate(logits, size=batch['label'].shape[1:], mode='bilinear', align_corners=False)
        out['logits'] = large
        terms = {'cross_entropy': F.cross_entropy(large, batch['label'])}
    total = sum(goal[k] * v for k, v in terms.items())
    return total, terms, out


def step(config, params, batch, steps, devices, dtype=torch.float64):
    t = {k: torch.tensor(v, dtype=dtype) for k, v in params.items()}
    data = {k: torch.from_numpy(v) for k, v in batch.items()}
    data = {k: v.to(dtype) if v.is_floating_point() else v for k, v in data.items()}
    model, o = config['model'], config['optimizer']
    learn = [k for k in t if not k.endswith(g.STATISTICS)]
    if model.get('freeze_backbone'):
        learn = [k for k in learn if not k.startswith('backbone.')]
    average = {k: v.clone() for k, v in t.items()}
    for k in learn:
        t[k].requires_grad_(True)
    rates = o.get('rates', {})
    optimizer = torch.optim.AdamW(
        [{'params': [t[k] for k in learn if k.startswith(part + '.')], 'lr': rates.get(part, o['lr'])}
         for part in ('backbone', 'fpn', 'head') if any(k.startswith(part + '.') for k in learn)],
        betas=tuple(o['betas']), eps=o['eps'], weight_decay=o['weight_decay'])
    for _ in range(steps):
        net = Net(t, config, True, devices)
        total, terms, out = losses(config, net.logits(data['image']), data)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        t.update(net.running)
        for k in t:
            average[k] = config['ema'] * average[k] + (1 - config['ema']) * t[k].detach()
    result = {'loss': total.detach().reshape(1)}
    result.update({'loss.' + k: v.detach().reshape(1) for k, v in terms.items()})
    result.update({'out.' + k: v.detach() for k, v in out.items()})
    result.update({'grad.' + k: t[k].grad for k in learn})
    result.update({'param.' + k: v.detach() for k, v in t.items()})
    result.update({'ema.' + k: v for k, v in average.items()})
    with torch.no_grad():
        _, _, out = losses(config, Net(average, config, False, 1).logits(data['image']), data)
    result.update({'eval.' + k: v for k, v in out.items()})
    return {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in result.items()}


# ---- cases -------------------------------------------------------------------------------------------------
BASE = {
    'task': 'align',
    'model': {
        'image_size': 48, 'patch_size': 8, 'encoder': {'dim': 12, 'depth': 4, 'heads': 2, 'mlp_ratio': 2},
        'features': [1, 2, 3, 4], 'head': {'channels': 8, 'pool_scales': [1, 2, 3, 6], 'dropout': 0.0, 'outputs': 5},
        'freeze_backbone': False, 'sync_batchnorm': False,
    },
    'optimizer': {'name': 'adamw', 'lr': 0.001, 'betas': [0.9, 0.999], 'eps': 1.0e-4, 'weight_decay': 0.05},
    'ema': 0.9,
}
ALIGN = {'coordinate': 1.0, 'heatmap': 1.0, 'heatmap_size': 30, 'heatmap_radius': 4}
CLIP = {'dim': 12, 'depth': 5, 'heads': 3, 'mlp_ratio': 2, 'activation': 'quick-gelu', 'pre_norm': True,
        'patch_bias': False, 'norm_eps': 1.0e-5}


def case(why, task, objective, batch, steps=1, devices=1, label=None, **changes):
    config = {'task': task, **{k: copy.deepcopy(v) for k, v in BASE.items() if k != 'task'}, 'objective': objective}
    for key, value in changes.items():
        *path, last = key.split('__')
        at = config
        for name in path:
            at = at[name]
        at[last] = value
    return {'why': why, 'config': config, 'batch': batch, 'steps': steps, 'devices': devices, 'label': label}


CASES = {
    'align_odd': case('alignment on 7x7 maps, whose pools overlap, points outside, weights that are not 1', 'align',
                      {**ALIGN, 'coordinate': 2.0, 'heatmap': 0.5}, 3, model__image_size=56),
    'align_rates': case('alignment by three devices, synchronised, two steps, rates by group', 'align', ALIGN, 6,
                        steps=2, devices=3, model__sync_batchnorm=True,
                        optimizer__rates={'backbone': 1.0e-4, 'fpn': 0.01, 'head': 0.01}),
    'parse_clip': case('parsing of 19 classes with a backbone like CLIP, labels of an odd size', 'parse',
                       {'cross_entropy': 1.0}, 4, label=(19, 26), model__encoder=CLIP, model__patch_size=16,
                       model__image_size=80, model__features=[1, 3, 4, 5], model__head__outputs=19),
    'parse_frozen': case('parsing with a frozen backbone by two devices, each with its own statistics, two steps',
                         'parse', {'cross_entropy': 0.5}, 10, steps=2, devices=2, label=(24, 24),
                         model__freeze_backbone=True),
}


def random_params(rng, config):
    model, out = config['model'], {}
    net, patch, width = model['encoder'], model['patch_size'], model['head']['channels']
    d, side = net['dim'], model['image_size'] // patch
    g.random_vit(rng, out, 'backbone', net, patch, side)
    out = {k: v for k, v in out.items() if not k.startswith('backbone.norm.')}
    out['backbone.pos_embed'] = out['backbone.pos_embed'] + 0.1 * rng.standard_normal((1, 1 + side * side, d))
    if not net.get('patch_bias', True):
        del out['backbone.patch_embed.proj.bias']
    if net.get('pre_norm'):
        g.random_norm(rng, out, 'backbone.norm_pre', d)

    def up(name):
        out[name + '.weight'] = rng.standard_normal((d, d, 2, 2)) / math.sqrt(d)
        out[name + '.bias'] = 0.1 * rng.standard_normal(d)

    def conv(name, fan_in, k):
        out[name + '.conv.weight'] = rng.standard_normal((width, fan_in, k, k)) / math.sqrt(fan_in * k * k)
        g.random_norm(rng, out, name + '.bn', width, running=True)

    up('fpn.0.0')
    g.random_norm(rng, out, 'fpn.0.1', d, running=True)
    up('fpn.0.3')
    up('fpn.1.0')
    scales = model['head']['pool_scales']
    for i in range(len(scales)):
        conv(f'head.psp_modules.{i}.1', d, 1)
    conv('head.bottleneck', d + len(scales) * width, 3)
    for i in range(3):
        conv(f'head.lateral_convs.{i}', d, 1)
        conv(f'head.fpn_convs.{i}', width, 3)
    conv('head.fpn_bottleneck', 4 * width, 3)
    outputs = model['head']['outputs']
    out['head.conv_seg.weight'] = rng.standard_normal((outputs, width, 1, 1)) / math.sqrt(width)
    out['head.conv_seg.bias'] = 0.1 * rng.standard_normal(outputs)
    return {k: np.asarray(v, np.float32) for k, v in out.items()}


def random_batch(rng, config, size, label):
    s, outputs = config['model']['image_size'], config['model']['head']['outputs']
    batch = {'image': rng.standard_normal((size, 3, s, s)).astype(np.float32)}
    if config['task'] == 'align':
        batch['points'] = (-0.1 + 1.2 * rng.random((size, outputs, 2))).astype(np.float32)
    else:
        batch['label'] = rng.integers(0, outputs, (size, *label)).astype(np.int64)
    return batch


def write_case(name, made, number):
    rng = np.random.default_rng(2000 + number)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    text = yaml.safe_dump(made['config'], sort_keys=False, default_flow_style=None)
    (folder / 'config.yaml').write_text(f"# {made['why']}\n{text}")
    (folder / 'steps').write_text(f"{made['steps']}\n")
    (folder / 'devices').write_text(','.join(str(i) for i in range(made['devices'])) + '\n')
    params, batch = random_params(rng, made['config']), random_batch(rng, made['config'], made['batch'], made['label'])
    save_file(params, folder / 'params.safetensors')
    save_file(batch, folder / 'batch.safetensors')
    result = step(yaml.safe_load(text), params, batch, made['steps'], made['devices'])
    save_file(result, folder / 'expected.safetensors')
    print(f'{name}: {len(result)} tensors, loss {float(result["loss"][0]):.6g}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*')
    parser.add_argument('--run', type=pathlib.Path)
    parser.add_argument('--out', type=pathlib.Path)
    parser.add_argument('--float32', action='store_true', help='with --run: how far single precision strays')
    args = parser.parse_args()
    if args.run:
        config = yaml.safe_load((args.run / 'config.yaml').read_text())
        devices = len((args.run / 'devices').read_text().split(','))
        result = step(config, load_file(args.run / 'params.safetensors'), load_file(args.run / 'batch.safetensors'),
                      int((args.run / 'steps').read_text()), devices,
                      torch.float32 if args.float32 else torch.float64)
        save_file(result, args.out or parser.error('--run needs --out'))
        return
    for number, (name, made) in enumerate(CASES.items()):
        if not args.names or name in args.names:
            write_case(name, made, number)


if __name__ == '__main__':
    main()
