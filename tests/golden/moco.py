"""MoCo-v3's step for generate.py: two views, a momentum encoder, a symmetric loss.

Names of parameters are those of the authors' code: base_encoder.*, momentum_encoder.*, predictor.*; a head or
predictor is a sequence of linear layer, BatchNorm, ReLU, ..., counted in that order, the last BatchNorm plain.
"""
import numpy as np
import torch

import generate as g

HEADS = {'head': 3, 'predictor': 2}


def mlp(t, name, layers, x, running):
    for i in range(layers):
        if i:
            x = torch.relu(x)
        x = g.linear(t, f'{name}.{3 * i}', x)
        x = g.batch_norm(t, f'{name}.{3 * i + 1}', x, 1, running)
    return x


def cls_of(t, name, net, image, patch):
    x, cls = g.embed(t, name, image, patch)
    x = torch.cat([cls, x], 1)
    for i in range(net['depth']):
        x = g.block(t, f'{name}.blocks.{i}', x, net['heads'])
    return g.layer_norm(t, name + '.norm', x)[:, 0]


def trained(name):
    fixed = name.endswith(g.FIXED) or 'patch_embed' in name
    return name.startswith(('base_encoder.', 'predictor.')) and not fixed


def moves_with_target(name):
    return name.startswith('momentum_encoder.') and not name.endswith(g.FIXED)


def source_of(name):
    return name.replace('momentum_encoder', 'base_encoder', 1)


def losses(t, config, batch, running):
    """`running` receives statistics; a second use of a BatchNorm starts from what the first left there."""
    model, tau = config['model'], config['objective']['contrastive']['temperature']
    net, patch = model['encoder'], model['patch_size']

    def through(view):
        seen = dict(t)
        seen.update(running)
        x = mlp(seen, 'base_encoder.head', 3, cls_of(t, 'base_encoder', net, view, patch), running)
        return g.unit(mlp(seen, 'predictor', 2, x, running))

    def key(view):
        seen = dict(t)
        seen.update(running)
        with torch.no_grad():
            x = cls_of(t, 'momentum_encoder', net, view, patch)
            return g.unit(mlp(seen, 'momentum_encoder.head', 3, x, running))

    def contrast(q, k):
        return -torch.log_softmax(q @ k.T / tau, 1).diagonal().mean() * 2 * tau

    one, two = batch['image1'], batch['image2']
    q1, q2, k1, k2 = through(one), through(two), key(one), key(two)
    total = contrast(q1, k2) + contrast(q2, k1)
    return total, {'loss': total, 'loss.contrastive': total,
                   'out.q1': q1, 'out.q2': q2, 'out.k1': k1, 'out.k2': k2}


def decays(tensor):
    return True  # norms and biases too


def random_mlp(rng, out, name, widths):
    for i in range(len(widths) - 1):
        g.random_linear(rng, out, f'{name}.{3 * i}', widths[i], widths[i + 1], bias=False)
        g.random_norm(rng, out, f'{name}.{3 * i + 1}', widths[i + 1], affine=i < len(widths) - 2, running=True)


def random_params(rng, config):
    model, out = config['model'], {}
    patch, side = model['patch_size'], model['image_size'] // model['patch_size']
    d, hidden, width = model['encoder']['dim'], model['projector']['hidden'], model['projector']['out']
    g.random_vit(rng, out, 'base_encoder', model['encoder'], patch, side)
    # Images must show in the cls token: where they do not, BatchNorm makes gradients, and with them rounding, large.
    out['base_encoder.cls_token'] *= 0.1
    out['base_encoder.patch_embed.proj.weight'] *= 3
    # First half of the channels the row, second the column.
    table = out['base_encoder.pos_embed']
    out['base_encoder.pos_embed'] = np.concatenate([table[..., d // 2:], table[..., :d // 2]], -1)
    random_mlp(rng, out, 'base_encoder.head', [d, hidden, hidden, width])
    for k, v in list(out.items()):
        moved = v if k.endswith(g.FIXED) else v + 0.05 * rng.standard_normal(v.shape)
        out[k.replace('base_encoder', 'momentum_encoder', 1)] = moved
    random_mlp(rng, out, 'predictor', [width, hidden, width])
    return {k: np.asarray(v, np.float32) for k, v in out.items()}


def random_batch(rng, config, size):
    one, two = (g.random_batch(rng, config, size)['image'] for _ in range(2))
    return {'image1': one, 'image2': (0.7 * one + 0.3 * two).astype(np.float32)}
