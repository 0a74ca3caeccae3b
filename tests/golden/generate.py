"""Expected results of `mcf step`, computed with PyTorch's autograd in double precision.

    generate.py                    writes every case of cases.py beside this file
    generate.py NAME...            only these
    generate.py --run DIR --out F  runs the case that lies in DIR and writes its results to F

It shares no code with the program under test: networks are plain functions over a dictionary of tensors,
gradients are autograd's, the optimiser is torch.optim.AdamW. Needs torch, numpy, pyyaml and safetensors.
"""
import argparse
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.numpy import load_file, save_file

from cases import CASES

HERE = pathlib.Path(__file__).resolve().parent
STATISTICS = ('running_mean', 'running_var')
FIXED = ('pos_embed',) + STATISTICS


# ---- tables and layouts ------------------------------------------------------------------------------------
def sincos_table(dim, side):
    """[1, 1+side*side, dim]: zero row for cls; first half of the channels column, second half row."""
    frequency = 10000.0 ** (-2.0 * np.arange(dim // 4) / (dim / 2))
    row, column = np.divmod(np.arange(side * side), side)
    halves = []
    for place in (column, row):
        angle = place[:, None] * frequency
        halves += [np.sin(angle), np.cos(angle)]
    return np.concatenate([np.zeros((1, dim)), np.concatenate(halves, 1)])[None].astype(np.float32)


def to_patches(image, p):
    """[B,3,S,S] -> [B,L,p*p*3], within a patch ordered row, column, channel."""
    b, c, s, _ = image.shape
    x = image.reshape(b, c, s // p, p, s // p, p)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, (s // p) ** 2, p * p * c)


def from_patches(patches, p):
    b, count, _ = patches.shape
    g = math.isqrt(count)
    x = patches.reshape(b, g, g, p, p, 3)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(b, 3, g * p, g * p)


# ---- networks ----------------------------------------------------------------------------------------------
def linear(t, name, x):
    y = x @ t[name + '.weight'].T
    return y + t[name + '.bias'] if name + '.bias' in t else y


def layer_norm(t, name, x):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6) * t[name + '.weight'] + t[name + '.bias']


def block(t, name, x, heads):
    b, n, d = x.shape
    qkv = linear(t, name + '.attn.qkv', layer_norm(t, name + '.norm1', x))
    q, k, v = qkv.reshape(b, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d // heads), -1)
    x = x + linear(t, name + '.attn.proj', (weights @ v).transpose(1, 2).reshape(b, n, d))
    hidden = linear(t, name + '.mlp.fc1', layer_norm(t, name + '.norm2', x))
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return x + linear(t, name + '.mlp.fc2', hidden)


def embed(t, name, image, patch):
    """All patches embedded, positions added: [B,L,D]; and the cls token with its position: [B,1,D]."""
    # The kernel is stored [D,3,p,p]: channel, row, column.
    kernel = t[name + '.patch_embed.proj.weight'].permute(0, 2, 3, 1).flatten(1)
    x = to_patches(image, patch) @ kernel.T + t[name + '.patch_embed.proj.bias']
    position = t[name + '.pos_embed']
    cls = t[name + '.cls_token'] + position[:, :1]
    return x + position[:, 1:], cls.expand(len(image), 1, -1)


def encoder(t, name, net, image, patch, ids_keep):
    x, cls = embed(t, name, image, patch)
    x = torch.gather(x, 1, ids_keep[..., None].expand(-1, -1, x.shape[-1]))
    x = torch.cat([cls, x], 1)
    for i in range(net['depth']):
        x = block(t, f'{name}.blocks.{i}', x, net['heads'])
    return layer_norm(t, name + '.norm', x)


def teacher_features(t, net, image, patch):
    name, out = 'perceptual_loss.model', []
    x, cls = embed(t, name, image, patch)
    x = torch.cat([cls, x], 1)
    for i in range(max(net['blocks'])):
        x = block(t, f'{name}.blocks.{i}', x, net['heads'])
        if i + 1 in net['blocks']:
            out.append(x)
    return out


def decoder(t, net, latent, ids_shuffle):
    b, seen, _ = latent.shape
    count = ids_shuffle.shape[1]
    x = linear(t, 'decoder_embed', latent)
    patches = torch.cat([x[:, 1:], t['mask_token'].expand(b, count - (seen - 1), -1)], 1)
    back = torch.argsort(ids_shuffle, 1)
    patches = torch.gather(patches, 1, back[..., None].expand(-1, -1, x.shape[-1]))
    x = torch.cat([x[:, :1], patches], 1) + t['decoder_pos_embed']
    for i in range(net['depth']):
        x = block(t, f'decoder_blocks.{i}', x, net['heads'])
    return linear(t, 'decoder_pred', layer_norm(t, 'decoder_norm', x))[:, 1:]


def batch_norm(t, name, x, groups, running):
    """Statistics over each of `groups` equal parts of the batch; the running ones follow part 0."""
    out = []
    for g, part in enumerate(x.chunk(groups)):
        mean, variance = part.mean(0), part.var(0, unbiased=False)
        out.append((part - mean) / torch.sqrt(variance + 1e-5))
        if g == 0:
            unbiased = part.var(0, unbiased=True)
            for which, now in zip(STATISTICS, (mean, unbiased)):
                running[f'{name}.{which}'] = 0.9 * t[f'{name}.{which}'] + 0.1 * now.detach()
    x = torch.cat(out)
    return x * t[name + '.weight'] + t[name + '.bias'] if name + '.weight' in t else x


def head(t, name, x, groups, running):
    x = linear(t, name + '.fc.0', x)
    x = torch.relu(batch_norm(t, name + '.fc.1', x, groups, running))
    return batch_norm(t, name + '.fc.4', linear(t, name + '.fc.3', x), groups, running)


def predictor(t, x, groups, running):
    x = torch.relu(batch_norm(t, 'predictor.1', linear(t, 'predictor.0', x), groups, running))
    return linear(t, 'predictor.3', x)


# ---- the step ----------------------------------------------------------------------------------------------
def resized(image, side):
    """Nearest neighbour: destination i takes source floor(i * S / side)."""
    s = image.shape[-1]
    at = torch.tensor([i * s // side for i in range(side)])
    return image[:, :, at][:, :, :, at]


def token_normalised(x):
    return x / torch.sqrt((x ** 2).sum(1, keepdim=True)).clamp_min(1e-12)


def unit(x):
    return x / torch.sqrt((x ** 2).sum(-1, keepdim=True)).clamp_min(1e-12)


def source_of(name):
    return name.replace('target_encoder', 'online_encoder', 1)


def decays(tensor):
    return tensor.ndim > 1


def moves_with_target(name):
    return name.startswith('target_encoder.') and not name.endswith(FIXED)


def trained(name):
    return not name.startswith(('target_encoder.', 'perceptual_loss.')) and not name.endswith(FIXED)


def losses(t, config, batch, running):
    """Total, the unweighted terms and the outputs. `running` receives new BatchNorm statistics."""
    model, goal = config['model'], config['objective']
    patch, image, ids = model['patch_size'], batch['image'], batch['ids_shuffle']
    groups = model.get('batchnorm_groups', 1)
    count = ids.shape[1]
    n = int(count * (1 - goal['mask_ratio']))
    feature, pixel, contrast = goal['feature'], goal['pixel'], goal['contrastive']
    total, out = 0.0, {}

    latent = encoder(t, 'online_encoder', model['encoder'], image, patch, ids[:, :n])

    if feature['weight'] or pixel['weight']:
        pred = decoder(t, model['decoder'], latent, ids)
        out['out.pred'] = pred
    if feature['weight']:
        side = model['teacher'].get('image_size', model['image_size'])
        a = teacher_features(t, model['teacher'], resized(from_patches(pred, patch), side), patch)
        with torch.no_grad():
            b = teacher_features(t, model['teacher'], resized(image, side), patch)
        term = sum(((token_normalised(x) - token_normalised(y)) ** 2).mean() for x, y in zip(a, b))
        out['loss.feature'] = term
        total = total + feature['weight'] * term
    if pixel['weight']:
        wanted = to_patches(image, patch)
        if pixel['per_patch_norm']:
            deviation = torch.sqrt(wanted.var(-1, keepdim=True) + 1e-6)
            wanted = (wanted - wanted.mean(-1, keepdim=True)) / deviation
        removed = torch.ones_like(ids, dtype=pred.dtype).scatter(1, ids[:, :n], 0.0)
        term = (((pred - wanted) ** 2).mean(-1) * removed).sum() / removed.sum()
        out['loss.pixel'] = term
        total = total + pixel['weight'] * term
    if contrast['weight']:
        pick = (lambda x: x[:, 0]) if contrast.get('tokens', 'cls') == 'cls' else (lambda x: x[:, 1:].mean(1))
        q = unit(predictor(t, head(t, 'online_encoder', pick(latent), groups, running), groups, running))
        with torch.no_grad():
            ids_target = batch['ids_shuffle_target'][:, :n]
            seen = encoder(t, 'target_encoder', model['encoder'], image, patch, ids_target)
            k = unit(head(t, 'target_encoder', pick(seen), groups, running))
        tau = contrast['temperature']
        scores = torch.log_softmax(q @ k.T / tau, 1)
        term = -scores.diagonal().mean() * 2 * tau
        out.update({'out.q': q, 'out.k': k, 'loss.contrastive': term})
        total = total + contrast['weight'] * term
    out['loss'] = total
    return total, out


def method_of(config):
    """The module whose functions say what a step of this config is: this one, or moco.py."""
    import generate
    import moco
    return moco if config.get('method') == 'moco-v3' else generate


def step(config, params, batch, steps, dtype=torch.float64):
    """Runs `steps` optimiser steps on one batch; returns float32 results named as `mcf step` names them."""
    t = {k: torch.tensor(v, dtype=dtype) for k, v in params.items()}
    data = {k: torch.from_numpy(v) for k, v in batch.items()}
    data = {k: v.to(dtype) if v.is_floating_point() else v for k, v in data.items()}
    method = method_of(config)
    learn = [k for k in t if method.trained(k)]
    for k in learn:
        t[k].requires_grad_(True)
    o = config['optimizer']
    optimizer = torch.optim.AdamW(
        [{'params': [t[k] for k in learn if method.decays(t[k])], 'weight_decay': o['weight_decay']},
         {'params': [t[k] for k in learn if not method.decays(t[k])], 'weight_decay': 0.0}],
        lr=o['lr'], betas=tuple(o['betas']), eps=o['eps'])
    momentum = config['objective']['contrastive']['momentum']
    for _ in range(steps):
        for k in t:
            if method.moves_with_target(k):
                source = t[method.source_of(k)].detach()
                t[k] = momentum * t[k] + (1 - momentum) * source
        running = {}
        total, out = method.losses(t, config, data, running)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        t.update(running)
    result = {k: v.detach().reshape(v.shape if v.ndim else 1) for k, v in out.items()}
    result.update({'grad.' + k: t[k].grad for k in learn})
    result.update({'param.' + k: v.detach() for k, v in t.items() if not k.startswith('perceptual_loss.')})
    return {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in result.items()}


# ---- making the cases --------------------------------------------------------------------------------------
def random_vit(rng, out, name, net, patch, side):
    d, hidden = net['dim'], int(net['dim'] * net['mlp_ratio'])
    out[name + '.cls_token'] = 0.5 * rng.standard_normal((1, 1, d))
    out[name + '.pos_embed'] = sincos_table(d, side)
    kernel = rng.standard_normal((d, 3, patch, patch))
    out[name + '.patch_embed.proj.weight'] = kernel / math.sqrt(3 * patch ** 2)
    out[name + '.patch_embed.proj.bias'] = 0.1 * rng.standard_normal(d)
    random_blocks(rng, out, name + '.blocks', net['depth'], d, hidden)
    random_norm(rng, out, name + '.norm', d)


def random_blocks(rng, out, name, depth, d, hidden):
    for i in range(depth):
        at = f'{name}.{i}'
        random_norm(rng, out, at + '.norm1', d)
        random_norm(rng, out, at + '.norm2', d)
        random_linear(rng, out, at + '.attn.qkv', d, 3 * d, gain=1.5)
        random_linear(rng, out, at + '.attn.proj', d, d)
        random_linear(rng, out, at + '.mlp.fc1', d, hidden)
        random_linear(rng, out, at + '.mlp.fc2', hidden, d)


def random_linear(rng, out, name, fan_in, fan_out, bias=True, gain=1.0):
    out[name + '.weight'] = gain * rng.standard_normal((fan_out, fan_in)) / math.sqrt(fan_in)
    if bias:
        out[name + '.bias'] = 0.1 * rng.standard_normal(fan_out)


def random_norm(rng, out, name, d, affine=True, running=False):
    if affine:
        out[name + '.weight'] = 1 + 0.1 * rng.standard_normal(d)
        out[name + '.bias'] = 0.1 * rng.standard_normal(d)
    if running:
        out[name + '.running_mean'] = 0.1 * rng.standard_normal(d)
        out[name + '.running_var'] = 1 + 0.2 * rng.random(d)


def random_params(rng, config):
    """Only what the config's terms use: no decoder without feature or pixel, no heads without contrastive."""
    model, goal, out = config['model'], config['objective'], {}
    patch, side = model['patch_size'], model['image_size'] // model['patch_size']
    enc, dec, tea = model['encoder'], model['decoder'], model['teacher']
    random_vit(rng, out, 'online_encoder', enc, patch, side)
    if goal['contrastive']['weight']:
        hidden, width = model['projector']['hidden'], model['projector']['out']
        random_linear(rng, out, 'online_encoder.fc.0', enc['dim'], hidden, bias=False)
        random_norm(rng, out, 'online_encoder.fc.1', hidden, running=True)
        random_linear(rng, out, 'online_encoder.fc.3', hidden, width, bias=False)
        random_norm(rng, out, 'online_encoder.fc.4', width, affine=False, running=True)
        # Beside the online one, not equal to it, so that the average shows.
        for k, v in list(out.items()):
            moved = v if k.endswith(FIXED) else v + 0.05 * rng.standard_normal(v.shape)
            out[k.replace('online_encoder', 'target_encoder', 1)] = moved
        random_linear(rng, out, 'predictor.0', width, hidden, bias=False)
        random_norm(rng, out, 'predictor.1', hidden, running=True)
        random_linear(rng, out, 'predictor.3', hidden, width, bias=False)
    if goal['feature']['weight'] or goal['pixel']['weight']:
        d = dec['dim']
        random_linear(rng, out, 'decoder_embed', enc['dim'], d)
        out['mask_token'] = 0.5 * rng.standard_normal((1, 1, d))
        out['decoder_pos_embed'] = sincos_table(d, side)
        random_blocks(rng, out, 'decoder_blocks', dec['depth'], d, int(d * dec['mlp_ratio']))
        random_norm(rng, out, 'decoder_norm', d)
        random_linear(rng, out, 'decoder_pred', d, 3 * patch ** 2)
    if goal['feature']['weight']:
        own = tea.get('image_size', model['image_size']) // patch
        random_vit(rng, out, 'perceptual_loss.model', tea, patch, own)
    return {k: np.asarray(v, np.float32) for k, v in out.items()}


def random_batch(rng, config, size):
    s = config['model']['image_size']
    count = (s // config['model']['patch_size']) ** 2
    shuffle = lambda: np.stack([rng.permutation(count) for _ in range(size)]).astype(np.int64)
    # A slope under the noise, so that patches differ in their mean and deviation.
    slope = np.linspace(-1, 1, s)
    down, across = rng.standard_normal((2, size, 3, 1, 1))
    tilt = down * slope[:, None] + across * slope
    image = tilt + rng.random((size, 3, 1, 1)) * rng.standard_normal((size, 3, s, s))
    return {'image': image.astype(np.float32), 'ids_shuffle': shuffle(), 'ids_shuffle_target': shuffle()}


def write_case(name, case, number):
    rng = np.random.default_rng(1000 + number)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    text = yaml.safe_dump(case['config'], sort_keys=False, default_flow_style=None)
    (folder / 'config.yaml').write_text(f"# {case['why']}\n{text}")
    (folder / 'steps').write_text(f"{case['steps']}\n")
    config = yaml.safe_load(text)
    method = method_of(config)
    params, batch = method.random_params(rng, config), method.random_batch(rng, config, case['batch'])
    save_file(params, folder / 'params.safetensors')
    save_file(batch, folder / 'batch.safetensors')
    result = step(config, params, batch, case['steps'])
    save_file(result, folder / 'expected.safetensors')
    terms = ' '.join(f'{k} {float(v[0]):.6g}' for k, v in sorted(result.items()) if k.startswith('loss'))
    print(f'{name}: {len(result)} tensors, {terms}')


def run_folder(folder, dtype):
    config = yaml.safe_load((folder / 'config.yaml').read_text())
    return step(config, load_file(folder / 'params.safetensors'), load_file(folder / 'batch.safetensors'),
                int((folder / 'steps').read_text()), dtype)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*')
    parser.add_argument('--run', type=pathlib.Path)
    parser.add_argument('--out', type=pathlib.Path)
    parser.add_argument('--float32', action='store_true', help='with --run: how far single precision strays')
    args = parser.parse_args()
    if args.run:
        dtype = torch.float32 if args.float32 else torch.float64
        save_file(run_folder(args.run, dtype), args.out or parser.error('--run needs --out'))
        return
    for number, (name, case) in enumerate(CASES.items()):
        if not args.names or name in args.names:
            write_case(name, case, number)


if __name__ == '__main__':
    main()
