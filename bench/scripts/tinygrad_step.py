"""The MCF pre-training step in tinygrad (from PyPI) on its OpenCL backend: the baseline of bench/scripts/opencl_step.sh.

    tinygrad_step.py --config FILE [--batch 16] [--steps 5] [--warmup 3]
        measures the step of a config without the feature term on random images and prints JSON
    tinygrad_step.py --check DIR
        runs a case of tests/golden without the feature term and says how far losses and gradients are

The step is the same as that of `mcf bench step`: target average, forward of both encoders on the visible patches,
decoder, contrastive and pixel loss, backward, AdamW. It runs as one TinyJit, so that tinygrad schedules it as a whole;
DEV=CL chooses OpenCL, BEAM=2 lets tinygrad search for better kernels.
"""
import argparse
import json
import os
import statistics
import sys
import time

os.environ.setdefault('DEV', 'CL')

import numpy as np  # noqa: E402
import yaml  # noqa: E402
from tinygrad import Tensor, TinyJit, Device, dtypes, nn  # noqa: E402


class Linear:
    def __init__(self, n, m, bias=True):
        self.weight = Tensor.uniform(m, n, low=-1, high=1) * (6 / (n + m)) ** 0.5
        self.bias = Tensor.zeros(m).contiguous() if bias else None

    def __call__(self, x):
        return x.linear(self.weight.transpose(), self.bias)


class LayerNorm:
    def __init__(self, n):
        self.weight, self.bias = Tensor.ones(n).contiguous(), Tensor.zeros(n).contiguous()

    def __call__(self, x):
        return x.layernorm(eps=1e-6) * self.weight + self.bias


class BatchNorm:
    """On the batch's own statistics, as in training; the running averages do not enter the step's results."""

    def __init__(self, n, affine=True):
        if affine:
            self.weight, self.bias = Tensor.ones(n).contiguous(), Tensor.zeros(n).contiguous()
        self.affine = affine

    def __call__(self, x):
        centred = x - x.mean(0, keepdim=True)
        y = centred * ((centred * centred).mean(0, keepdim=True) + 1e-5).rsqrt()
        return y * self.weight + self.bias if self.affine else y


def exact_gelu(x):
    return x * 0.5 * (1 + (x * 2 ** -0.5).erf())


class Attention:
    def __init__(self, dim, heads):
        self.heads, self.qkv, self.proj = heads, Linear(dim, 3 * dim), Linear(dim, dim)

    def __call__(self, x):
        b, n, d = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = qkv[0].scaled_dot_product_attention(qkv[1], qkv[2])
        return self.proj(y.transpose(1, 2).reshape(b, n, d))


class Mlp:
    def __init__(self, dim, hidden):
        self.fc1, self.fc2 = Linear(dim, hidden), Linear(hidden, dim)

    def __call__(self, x):
        return self.fc2(exact_gelu(self.fc1(x)))


class Block:
    def __init__(self, dim, heads, ratio):
        self.norm1, self.attn = LayerNorm(dim), Attention(dim, heads)
        self.norm2, self.mlp = LayerNorm(dim), Mlp(dim, int(dim * ratio))

    def __call__(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def blocks_of(net):
    return [Block(net['dim'], net['heads'], net['mlp_ratio']) for _ in range(net['depth'])]


def patchify(image, p):
    b, c, s, _ = image.shape
    return image.reshape(b, c, s // p, p, s // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)


def take_rows(x, ids):
    return x.gather(1, ids.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class PatchEmbed:
    def __init__(self, dim, patch):
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def __call__(self, patches):
        return patches.linear(self.proj.weight.flatten(1).transpose(), self.proj.bias)


class Encoder:
    def __init__(self, net, patch, length):
        d, self.patch = net['dim'], patch
        self.cls_token = Tensor.randn(1, 1, d) * 0.02
        self.pos_embed = (Tensor.randn(1, 1 + length, d) * 0.02).contiguous()
        self.patch_embed, self.blocks, self.norm = PatchEmbed(d, patch), blocks_of(net), LayerNorm(d)

    def __call__(self, image, ids):
        x = self.patch_embed(take_rows(patchify(image, self.patch), ids))
        x = x + take_rows(self.pos_embed[:, 1:].expand(len(image), -1, -1), ids)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(image), -1, -1)
        return self.norm(cls.cat(x, dim=1).sequential(self.blocks))


def head(dim, p):
    return [Linear(dim, p['hidden'], False), BatchNorm(p['hidden']), Tensor.relu, Linear(p['hidden'], p['out'], False),
            BatchNorm(p['out'], False)]


class Mcf:
    def __init__(self, config):
        self.config, model, goal = config, config['model'], config['objective']
        if goal['feature']['weight'] > 0:
            sys.exit('the feature term is not part of this baseline; set objective.feature.weight: 0')
        p, length = model['patch_size'], (model['image_size'] // model['patch_size']) ** 2
        self.length, self.visible = length, int(length * (1 - goal['mask_ratio']))
        enc = model['encoder']
        self.contrast, self.decodes = goal['contrastive']['weight'] > 0, goal['pixel']['weight'] > 0
        self.online_encoder = Encoder(enc, p, length)
        if self.contrast:
            self.online_encoder.fc = head(enc['dim'], model['projector'])
            self.target_encoder = Encoder(enc, p, length)
            self.target_encoder.fc = head(enc['dim'], model['projector'])
            h, out = model['projector']['hidden'], model['projector']['out']
            self.predictor = [Linear(out, h, False), BatchNorm(h), Tensor.relu, Linear(h, out, False)]
        if self.decodes:
            dec = model['decoder']
            self.decoder_embed = Linear(enc['dim'], dec['dim'])
            self.mask_token = Tensor.randn(1, 1, dec['dim']) * 0.02
            self.decoder_pos_embed = (Tensor.randn(1, 1 + length, dec['dim']) * 0.02).contiguous()
            self.decoder_blocks, self.decoder_norm = blocks_of(dec), LayerNorm(dec['dim'])
            self.decoder_pred = Linear(dec['dim'], 3 * p * p)

    def state(self):
        """Names as PyTorch has them: those of lists are numbers."""
        return nn.state.get_state_dict(self)

    def average(self, state):
        if self.contrast:
            m = self.config['objective']['contrastive']['momentum']
            for name, target in state.items():
                if name.startswith('target_encoder.') and 'pos_embed' not in name:
                    online = state['online' + name[len('target'):]]
                    target.assign(m * target.detach() + (1 - m) * online.detach())

    def pixel_loss(self, pred, image, ids):
        p, (b, length) = self.config['model']['patch_size'], ids.shape
        wanted = patchify(image, p).reshape(b, length, 3, p * p).transpose(2, 3).flatten(2)
        if self.config['objective']['pixel'].get('per_patch_norm'):
            wanted = (wanted - wanted.mean(-1, keepdim=True)) / (wanted.var(-1, keepdim=True) + 1e-6).sqrt()
        error = ((pred - wanted) ** 2).mean(-1)
        return error.gather(1, ids[:, self.visible:]).mean()

    def decode(self, latent, ids, restore):
        x = self.decoder_embed(latent)
        hidden = self.mask_token.expand(len(latent), self.length - self.visible, -1)
        patches = take_rows(x[:, 1:].cat(hidden, dim=1), restore)
        x = (x[:, :1].cat(patches, dim=1) + self.decoder_pos_embed).sequential(self.decoder_blocks)
        return self.decoder_pred(self.decoder_norm(x))[:, 1:]

    def losses(self, image, ids, ids_target, restore):
        goal, terms = self.config['objective'], {}
        latent = self.online_encoder(image, ids[:, :self.visible])
        if self.decodes:
            terms['pixel'] = self.pixel_loss(self.decode(latent, ids, restore), image, ids)
        if self.contrast:
            pick = (lambda x: x[:, 0]) if goal['contrastive'].get('tokens', 'cls') == 'cls' else \
                (lambda x: x[:, 1:].mean(1))
            q = pick(latent).sequential(self.online_encoder.fc).sequential(self.predictor)
            k = pick(self.target_encoder(image, ids_target[:, :self.visible])).sequential(self.target_encoder.fc)
            q, k = (t / t.square().sum(1, keepdim=True).sqrt() for t in (q, k.detach()))
            t = goal['contrastive']['temperature']
            terms['contrastive'] = (q @ k.transpose() / t).cross_entropy(Tensor.arange(len(q))) * 2 * t
        return sum(goal[name]['weight'] * term for name, term in terms.items()), terms


class AdamW:
    """As the config says: no decay for vectors."""

    def __init__(self, trained, o):
        self.trained, self.o, self.t = trained, o, Tensor.zeros(1).contiguous()
        self.m = [Tensor.zeros(*p.shape).contiguous() for p in trained]
        self.v = [Tensor.zeros(*p.shape).contiguous() for p in trained]

    def step(self, gradients):
        b1, b2 = self.o['betas']
        lr, written = self.o['lr'], [self.t.assign(self.t + 1)]
        for p, g, m, v in zip(self.trained, gradients, self.m, self.v):
            decay = self.o['weight_decay'] if p.ndim > 1 else 0
            m.assign(b1 * m + (1 - b1) * g)
            v.assign(b2 * v + (1 - b2) * g * g)
            change = (m / (1 - b1 ** self.t)) / ((v / (1 - b2 ** self.t)).sqrt() + self.o['eps'])
            p.assign(p.detach() * (1 - lr * decay) - lr * change)
            written += [m, v, p]
        return written


def load_config(path):
    with open(path) as f:
        config = yaml.safe_load(f)
    config['objective'].setdefault('feature', {'weight': 0})
    optimizer = {'lr': 1e-4, 'betas': [0.9, 0.95], 'eps': 1e-8, 'weight_decay': 0.05}
    config['optimizer'] = {**optimizer, **config.get('optimizer', {})}
    # PyYAML takes 1e-3 for a word.
    for name in ('lr', 'eps', 'weight_decay'):
        config['optimizer'][name] = float(config['optimizer'][name])
    return config


def prepare(config):
    net = Mcf(config)
    state = net.state()
    for tensor in state.values():
        tensor.replace(tensor.contiguous()).realize()
    trained = {k: t for k, t in state.items() if not k.startswith('target_encoder.') and 'pos_embed' not in k}
    return net, state, trained, AdamW(list(trained.values()), config['optimizer'])


def make_step(net, state, optimizer, update=True):
    def step(image, ids, ids_target, restore):
        net.average(state)
        loss, terms = net.losses(image, ids, ids_target, restore)
        gradients = loss.gradient(*optimizer.trained)
        written = optimizer.step(gradients) if update else gradients
        targets = [t for k, t in state.items() if k.startswith('target_encoder.')]
        Tensor.realize(loss, *terms.values(), *written, *targets)
        return loss, terms, gradients
    return step


def tensor_of(array):
    return Tensor(array.astype(np.float32 if array.dtype.kind == 'f' else np.int32)).contiguous().realize()


def measure(args):
    config = load_config(args.config)
    net, state, _, optimizer = prepare(config)
    model, random = config['model'], np.random.default_rng(0)
    image = tensor_of(random.standard_normal((args.batch, 3, model['image_size'], model['image_size'])))
    ids = [np.stack([random.permutation(net.length) for _ in range(args.batch)]) for _ in range(2)]
    batch = [image] + [tensor_of(i) for i in (ids[0], ids[1], ids[0].argsort(1))]
    step, times, first = TinyJit(make_step(net, state, optimizer)), [], None
    started = time.perf_counter()
    for i in range(args.warmup + args.steps):
        t = time.perf_counter()
        loss = step(*batch)[0].item()
        times.append(time.perf_counter() - t)
        first = loss if first is None else first
    steps = times[args.warmup:]
    print(json.dumps({'what': 'tinygrad', 'device': Device.DEFAULT, 'batch': args.batch,
                      'images_per_second': args.batch / statistics.mean(steps),
                      'images_per_second_best': args.batch / min(steps),
                      'step_seconds': [round(s, 4) for s in steps], 'loss_first': first, 'loss': loss,
                      'warmup_seconds': round(sum(times[:args.warmup]), 1),
                      'seconds': round(time.perf_counter() - started, 1)}))


def check(args):
    import pathlib
    from safetensors.numpy import load_file
    folder = pathlib.Path(args.check)
    net, state, trained, optimizer = prepare(load_config(folder / 'config.yaml'))
    start = load_file(folder / 'params.safetensors')
    for name, tensor in state.items():
        tensor.assign(tensor_of(start[name])).realize()
    data, expected = load_file(folder / 'batch.safetensors'), load_file(folder / 'expected.safetensors')
    ids = data['ids_shuffle']
    batch = [tensor_of(a) for a in (data['image'], ids, data.get('ids_shuffle_target', ids), ids.argsort(1))]
    loss, terms, gradients = make_step(net, state, optimizer, update=False)(*batch)
    got = {'loss': loss.numpy().reshape(1)}
    got.update({f'loss.{k}': t.numpy().reshape(1) for k, t in terms.items()})
    got.update({f'grad.{k}': g.numpy() for k, g in zip(trained, gradients)})
    worst, name = max((float(np.linalg.norm(got[k] - e) / max(np.linalg.norm(e), 1e-3)), k)
                      for k, e in expected.items() if k.startswith(('loss', 'grad.')) and k != 'loss.feature')
    print(f'{folder.name} on {Device.DEFAULT}: worst {name} {worst:.1e}')
    sys.exit(worst > 2e-4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config')
    parser.add_argument('--check', metavar='DIR')
    parser.add_argument('--batch', type=int, default=16)
    parser.add_argument('--warmup', type=int, default=3)
    parser.add_argument('--steps', type=int, default=5)
    args = parser.parse_args()
    if bool(args.config) == bool(args.check):
        parser.error('one of --config and --check')
    check(args) if args.check else measure(args)


if __name__ == '__main__':
    main()
