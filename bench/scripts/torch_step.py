"""The MCF pre-training step in PyTorch, as the baseline of bench/scripts/step.sh.

    torch_step.py [--batch 8] [--threads 2] [--precision fp32|bf16] [--compile]
        measures ViT-B/16 at 224 and prints JSON
    torch_step.py --check DIR
        runs a case of tests/golden in fp32 and says how far it is from its expectation

Written for speed on a CPU: only visible patches are embedded, attention is scaled_dot_product_attention, the
frozen teacher takes no weight gradients and (in bf16) keeps its products' weights in bf16, the target and the
real image run without autograd, AdamW and the average are fused. One step is target average, forward,
backward, AdamW.
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, heads, mlp_ratio):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def blocks_of(net):
    return nn.ModuleList(Block(net['dim'], net['heads'], net['mlp_ratio']) for _ in range(net['depth']))


def patchify(image, p):
    b, c, s, _ = image.shape
    x = image.view(b, c, s // p, p, s // p, p)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)  # channel, row, column: the kernel's order


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, patches):
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class Encoder(nn.Module):
    """With `count` visible patches of `ids`, or all of them where ids is None."""

    def __init__(self, net, patch, length):
        super().__init__()
        d = net['dim']
        self.patch = patch
        self.cls_token = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + length, d) * 0.02, requires_grad=False)
        self.patch_embed = PatchEmbed(d, patch)
        self.blocks = blocks_of(net)
        self.norm = nn.LayerNorm(d, eps=1e-6)

    def tokens(self, image, ids=None):
        x, position = patchify(image, self.patch), self.pos_embed[:, 1:].expand(len(image), -1, -1)
        if ids is not None:
            x = x.gather(1, ids[..., None].expand(-1, -1, x.shape[-1]))
            position = position.gather(1, ids[..., None].expand(-1, -1, position.shape[-1]))
        cls = self.cls_token + self.pos_embed[:, :1]
        return torch.cat([cls.expand(len(image), -1, -1), self.patch_embed(x) + position], 1)

    def forward(self, image, ids):
        x = self.tokens(image, ids)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def features(self, image, wanted):
        x, out = self.tokens(image), []
        for i, block in enumerate(self.blocks[:max(wanted)]):
            x = block(x)
            if i + 1 in wanted:
                out.append(F.normalize(x.float(), dim=1))
        return out


def head(dim, projector):
    hidden, out = projector['hidden'], projector['out']
    return nn.Sequential(nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True),
                         nn.Linear(hidden, out, bias=False), nn.BatchNorm1d(out, affine=False))


class Teacher(nn.Module):
    def __init__(self, *args):
        super().__init__()
        self.model = Encoder(*args)


class Mcf(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        model, goal = config['model'], config['objective']
        p, length = model['patch_size'], (model['image_size'] // model['patch_size']) ** 2
        self.visible = int(length * (1 - goal['mask_ratio']))
        enc, dec, tea = model['encoder'], model['decoder'], model['teacher']
        self.contrast = goal['contrastive']['weight'] > 0
        self.decodes = goal['feature']['weight'] > 0 or goal['pixel']['weight'] > 0
        self.online_encoder = Encoder(enc, p, length)
        if self.contrast:
            self.online_encoder.fc = head(enc['dim'], model['projector'])
            self.target_encoder = Encoder(enc, p, length)
            self.target_encoder.fc = head(enc['dim'], model['projector'])
            self.target_encoder.load_state_dict(self.online_encoder.state_dict())
            self.target_encoder.requires_grad_(False)
            hidden, out = model['projector']['hidden'], model['projector']['out']
            self.predictor = nn.Sequential(
                nn.Linear(out, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True),
                nn.Linear(hidden, out, bias=False))
        if self.decodes:
            self.decoder_embed = nn.Linear(enc['dim'], dec['dim'])
            self.mask_token = nn.Parameter(torch.randn(1, 1, dec['dim']) * 0.02)
            position = torch.randn(1, 1 + length, dec['dim']) * 0.02
            self.decoder_pos_embed = nn.Parameter(position, requires_grad=False)
            self.decoder_blocks = blocks_of(dec)
            self.decoder_norm = nn.LayerNorm(dec['dim'], eps=1e-6)
            self.decoder_pred = nn.Linear(dec['dim'], 3 * p * p)
        if goal['feature']['weight'] > 0:
            side = tea.get('image_size', model['image_size'])
            self.perceptual_loss = Teacher(tea, p, (side // p) ** 2)
            self.perceptual_loss.requires_grad_(False)
        if self.contrast:
            both = zip(self.target_encoder.named_parameters(), self.online_encoder.parameters())
            self.pairs = tuple(zip(*[(t, o) for (name, t), o in both if name != 'pos_embed']))

    @torch.no_grad()
    def average(self):
        if self.contrast:
            target, online = self.pairs
            torch._foreach_lerp_(target, online, 1 - self.config['objective']['contrastive']['momentum'])

    def decode(self, latent, ids):
        x = self.decoder_embed(latent)
        b, length = ids.shape
        hidden = self.mask_token.to(x.dtype).expand(b, length - self.visible, -1)
        patches = torch.cat([x[:, 1:], hidden], 1)
        patches = patches.gather(1, ids.argsort(1)[..., None].expand(-1, -1, x.shape[-1]))
        x = torch.cat([x[:, :1], patches], 1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoder_norm(x))[:, 1:].float()

    def feature_loss(self, pred, image):
        model = self.config['model']
        p, size, wanted = model['patch_size'], model['image_size'], model['teacher']['blocks']
        g, side = size // p, model['teacher'].get('image_size', size)
        pseudo = pred.view(-1, g, g, p, p, 3).permute(0, 5, 1, 3, 2, 4).reshape(-1, 3, size, size)
        if side != size:
            pseudo, image = F.interpolate(pseudo, side), F.interpolate(image, side)
        with torch.no_grad():
            real = self.perceptual_loss.model.features(image, wanted)
        made = self.perceptual_loss.model.features(pseudo, wanted)
        return sum(F.mse_loss(a, b) for a, b in zip(made, real))

    def pixel_loss(self, pred, image, ids):
        p, (b, length) = self.config['model']['patch_size'], ids.shape
        wanted = patchify(image, p).view(b, length, 3, p * p).transpose(2, 3).flatten(2)
        if self.config['objective']['pixel']['per_patch_norm']:
            wanted = (wanted - wanted.mean(-1, True)) / (wanted.var(-1, keepdim=True) + 1e-6).sqrt()
        removed = ids[:, self.visible:]
        return ((pred - wanted) ** 2).mean(-1).gather(1, removed).mean()

    def contrastive_loss(self, latent, image, ids_target):
        goal = self.config['objective']['contrastive']
        pick = (lambda x: x[:, 0]) if goal['tokens'] == 'cls' else (lambda x: x[:, 1:].mean(1))
        q = F.normalize(self.predictor(self.online_encoder.fc(pick(latent))).float(), dim=1)
        with torch.no_grad():
            k = self.target_encoder.fc(pick(self.target_encoder(image, ids_target[:, :self.visible])))
            k = F.normalize(k.float(), dim=1)
        labels = torch.arange(len(q))
        return F.cross_entropy(q @ k.T / goal['temperature'], labels) * 2 * goal['temperature']

    def forward(self, image, ids, ids_target):
        goal, terms = self.config['objective'], {}
        latent = self.online_encoder(image, ids[:, :self.visible])
        if self.decodes:
            pred = self.decode(latent, ids)
        if goal['feature']['weight'] > 0:
            terms['feature'] = self.feature_loss(pred, image)
        if goal['pixel']['weight'] > 0:
            terms['pixel'] = self.pixel_loss(pred, image, ids)
        if self.contrast:
            terms['contrastive'] = self.contrastive_loss(latent, image, ids_target)
        return sum(goal[name]['weight'] * term for name, term in terms.items()), terms


PAPER = {
    'model': {
        'image_size': 224, 'patch_size': 16,
        'encoder': {'dim': 768, 'depth': 12, 'heads': 12, 'mlp_ratio': 4},
        'decoder': {'dim': 512, 'depth': 2, 'heads': 16, 'mlp_ratio': 4},
        'teacher': {'dim': 768, 'depth': 12, 'heads': 12, 'mlp_ratio': 4, 'blocks': [3, 6, 9, 12]},
        'projector': {'hidden': 4096, 'out': 256},
    },
    'objective': {
        'mask_ratio': 0.75, 'feature': {'weight': 1000}, 'pixel': {'weight': 0, 'per_patch_norm': False},
        'contrastive': {'weight': 1, 'tokens': 'cls', 'temperature': 0.2, 'momentum': 0.99},
    },
    'optimizer': {'lr': 1e-4, 'betas': [0.9, 0.95], 'eps': 1e-8, 'weight_decay': 0.05},
}


def flops(config):
    """Of the step's products for one image: 2 a multiply-add, forward and what its gradients cost."""
    model, goal = config['model'], config['objective']
    pixels, size = 3 * model['patch_size'] ** 2, model['image_size']
    length = (size // model['patch_size']) ** 2
    n = int(length * (1 - goal['mask_ratio']))

    def blocks(net, tokens, depth):
        d = net['dim']
        return depth * (2 * tokens * d * d * (4 + 2 * net['mlp_ratio']) + 4 * tokens * tokens * d)

    enc, dec, tea = model['encoder'], model['decoder'], model['teacher']
    embed = 2 * n * pixels * enc['dim']
    body = blocks(enc, n + 1, enc['depth'])
    total = 3 * body + 2 * embed  # the image wants no gradient
    if goal['contrastive']['weight']:
        p = model['projector']
        one = 2 * p['hidden'] * (enc['dim'] + p['out'])
        total += body + embed + 4 * one + 3 * 2 * 2 * p['hidden'] * p['out']
    if goal['feature']['weight'] or goal['pixel']['weight']:
        d = dec['dim']
        total += 3 * (2 * (n + 1) * enc['dim'] * d + blocks(dec, length + 1, dec['depth']))
        total += 3 * 2 * (length + 1) * d * pixels
    if goal['feature']['weight']:
        side = tea.get('image_size', size) // model['patch_size']
        one = 2 * side ** 2 * pixels * tea['dim'] + blocks(tea, side ** 2 + 1, max(tea['blocks']))
        # Frozen: the real image forward, the pseudo image forward and its input gradient. Attention's own
        # gradient is two products for each of the forward's.
        total += 3 * one + max(tea['blocks']) * 4 * (side ** 2 + 1) ** 2 * tea['dim']
    return total


def optimizer_of(net, o):
    trained = [p for p in net.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [{'params': [p for p in trained if p.ndim > 1]},
         {'params': [p for p in trained if p.ndim == 1], 'weight_decay': 0.0}],
        lr=o['lr'], betas=tuple(o['betas']), eps=o['eps'], weight_decay=o['weight_decay'], fused=True)


def step(net, forward, optimizer, batch, bf16):
    net.average()
    with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        loss, terms = forward(*batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach(), terms


def measure(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    start_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    bf16 = args.precision == 'bf16'
    net = Mcf(PAPER)
    if bf16:
        for module in net.perceptual_loss.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.bfloat16()
    optimizer = optimizer_of(net, PAPER['optimizer'])
    forward = torch.compile(net, dynamic=False) if args.compile else net
    image = torch.randn(args.batch, 3, 224, 224)
    batch = [image] + [torch.stack([torch.randperm(196) for _ in range(args.batch)]) for _ in range(2)]
    times, started, first = [], time.perf_counter(), None
    for i in range(args.warmup + args.steps):
        t = time.perf_counter()
        loss, _ = step(net, forward, optimizer, batch, bf16)
        first = float(loss) if first is None else first
        times.append(time.perf_counter() - t)
    seconds = statistics.median(times[args.warmup:])
    work = flops(PAPER)
    print(json.dumps({
        'what': 'compile' if args.compile else 'eager', 'torch': torch.__version__,
        'precision': args.precision, 'batch': args.batch, 'threads': args.threads,
        'images_per_second': args.batch / seconds,
        'step_seconds': [round(s, 4) for s in times[args.warmup:]],
        'warmup_seconds': round(sum(times[:args.warmup]), 2), 'flops_per_image': work,
        'gflops': work * args.batch / seconds / 1e9, 'loss_first': first, 'loss': float(loss),
        'peak_rss_bytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        'import_rss_bytes': start_rss}))


def check(args):
    """Losses and gradients of a worked example, relative to its expectation."""
    import pathlib
    import yaml
    from safetensors.torch import load_file
    folder = pathlib.Path(args.check)
    config = yaml.safe_load((folder / 'config.yaml').read_text())
    if config['model'].get('batchnorm_groups', 1) != 1:
        sys.exit(f'{folder}: grouped BatchNorm is not part of this baseline')
    net = Mcf(config)
    start = load_file(folder / 'params.safetensors')
    lost, extra = net.load_state_dict(start, strict=False)
    lost = [k for k in lost if not k.endswith('num_batches_tracked')]
    if lost or extra:
        sys.exit(f'{folder}: parameters missing {lost}, left over {extra}')
    batch = load_file(folder / 'batch.safetensors')
    batch = [batch[k] for k in ('image', 'ids_shuffle', 'ids_shuffle_target')]
    optimizer = optimizer_of(net, config['optimizer'])
    forward = torch.compile(net, dynamic=False) if args.compile else net
    for _ in range(int((folder / 'steps').read_text())):
        loss, terms = step(net, forward, optimizer, batch, args.precision == 'bf16')
    got = {'loss': loss[None], **{f'loss.{k}': v.detach()[None] for k, v in terms.items()}}
    got.update({f'grad.{k}': p.grad for k, p in net.named_parameters() if p.grad is not None})
    expected = load_file(folder / 'expected.safetensors')
    state, worst = net.state_dict(), {}
    for k, e in expected.items():
        if k.startswith(('loss', 'grad.')):
            zero = k.startswith('grad.') and e.norm() < 1e-7
            worst[k] = float((got[k] - e).norm() / (1e-3 if zero else e.norm()))
        elif k.startswith('param.'):
            # By its change, at a fifth; where the gradient is at rounding level AdamW's sign is free.
            now, before, e = state[k[6:]].flatten(), start[k[6:]].flatten(), e.flatten()
            if 'grad.' + k[6:] in expected:
                size = expected['grad.' + k[6:]].abs().flatten()
                sure = size > max(1e-4 * float(size.max()), 1e-7)
                now, before, e = now[sure], before[sure], e[sure]
            off, moved = (now - e).norm() - 1e-7 * before.norm(), (e - before).norm()
            worst[k] = float(off / moved / 5) if moved > 0 else float(off > 0)
    name, far = max(worst.items(), key=lambda x: x[1])
    bound = 5e-5 if args.precision == 'fp32' else float('inf')
    print(f'{folder.name}: {len(worst)} tensors, worst {name} {far:.1e}')
    sys.exit(far > bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--warmup', type=int, default=2)
    parser.add_argument('--steps', type=int, default=5)
    parser.add_argument('--check', metavar='DIR')
    args = parser.parse_args()
    check(args) if args.check else measure(args)


if __name__ == '__main__':
    main()
