"""The training step of alignment or parsing in PyTorch, as the baseline of bench/scripts/dense_step.sh.

    torch_dense_step.py [--task align|parse] [--compile] [--precision fp32|bf16] [network options]
        measures a step on random images and prints JSON
    torch_dense_step.py --convolutions [network options]
        measures the head's 3x3 convolutions alone, forward and both gradients, by oneDNN, and prints JSON
    torch_dense_step.py --check DIR
        one step of a case of tests/golden of either task in double, and how far it is from tests/golden/dense.py

ViT backbone, FaRL's pyramid, UperNet. Written for speed on a CPU: attention is scaled_dot_product_attention, maps are
channels_last, AdamW and the average are fused over all tensors. One step is forward, backward, AdamW, average.
"""
import argparse
import json
import pathlib
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from torch_step import Block

LAST = torch.channels_last


class Backbone(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.features = o.features
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, o.dim, o.patch, o.patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, o.dim) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + (o.image_size // o.patch) ** 2, o.dim) * 0.02)
        self.blocks = nn.ModuleList(Block(o.dim, o.heads, o.mlp_ratio) for _ in range(o.depth))

    def forward(self, image):
        x = self.patch_embed.proj(image)
        b, d, s, _ = x.shape
        x = torch.cat([self.cls_token.expand(b, 1, d), x.flatten(2).transpose(1, 2)], 1) + self.pos_embed
        maps = []
        for i, block in enumerate(self.blocks[:max(self.features)]):
            x = block(x)
            if i + 1 in self.features:
                maps.append(x[:, 1:].transpose(1, 2).reshape(b, d, s, s).contiguous(memory_format=LAST))
        return maps


class ConvLayer(nn.Module):
    def __init__(self, inputs, outputs, kernel):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


def resize(x, like):
    return F.interpolate(x, size=like.shape[2:], mode='bilinear', align_corners=False)


class Head(nn.Module):
    def __init__(self, o):
        super().__init__()
        c, d = o.channels, o.dim
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), ConvLayer(d, c, 1)) for bins in o.pool_scales)
        self.bottleneck = ConvLayer(d + len(o.pool_scales) * c, c, 3)
        self.lateral_convs = nn.ModuleList(ConvLayer(d, c, 1) for _ in range(3))
        self.fpn_convs = nn.ModuleList(ConvLayer(c, c, 3) for _ in range(3))
        self.fpn_bottleneck = ConvLayer(4 * c, c, 3)
        self.drop = nn.Dropout2d(o.dropout)
        self.conv_seg = nn.Conv2d(c, o.outputs, 1)

    def forward(self, levels):
        top = levels[3]
        pools = [top] + [resize(module(top), top) for module in self.psp_modules]
        x = [conv(level) for conv, level in zip(self.lateral_convs, levels)] + [self.bottleneck(torch.cat(pools, 1))]
        for i in (3, 2, 1):
            x[i - 1] = x[i - 1] + resize(x[i], x[i - 1])
        y = [conv(v) for conv, v in zip(self.fpn_convs, x)] + [x[3]]
        y = self.fpn_bottleneck(torch.cat([resize(v, y[0]) for v in y], 1))
        return self.conv_seg(self.drop(y))


class Network(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o, d = o, o.dim
        up = lambda: nn.ConvTranspose2d(d, d, 2, 2)
        self.backbone = Backbone(o)
        self.fpn = nn.ModuleList([nn.Sequential(up(), nn.BatchNorm2d(d), nn.GELU(), up()), nn.Sequential(up())])
        self.head = Head(o)

    def forward(self, image, label):
        maps = self.backbone(image)
        levels = [self.fpn[0](maps[0]), self.fpn[1](maps[1]), maps[2], F.max_pool2d(maps[3], 2, 2)]
        logits = self.head(levels)
        logits = logits.float() if logits.dtype == torch.bfloat16 else logits
        return (self.align if self.o.task == 'align' else self.parse)(logits, label)

    def align(self, logits, points):
        mass = torch.sigmoid(logits)
        h, w = logits.shape[2:]
        total = mass.sum((2, 3)).clamp_min(1e-6)
        x = (mass.sum(2) * torch.arange(w)).sum(2) / total
        y = (mass.sum(3) * torch.arange(h)).sum(2) / total
        found = torch.stack([(x + 0.5) / w, (y + 0.5) / h], 2)
        distance = ((found - points) ** 2).sum(-1).sqrt().mean()
        size, radius = self.o.heatmap_size, self.o.heatmap_radius
        maps = F.interpolate(logits, size=(size, size), mode='bilinear', align_corners=False)
        centre, at = size * points - 0.5, torch.arange(size)
        r2 = (at[None, None, None, :] - centre[..., 0, None, None]) ** 2 + (
            at[None, None, :, None] - centre[..., 1, None, None]) ** 2
        goal = torch.where(r2 <= radius ** 2, torch.exp(-8 * r2 / radius ** 2), 0.0)
        entropy = F.binary_cross_entropy_with_logits(maps, goal)
        return distance + entropy, {'coordinate': distance, 'heatmap': entropy}

    def parse(self, logits, label):
        large = F.interpolate(logits, size=label.shape[1:], mode='bilinear', align_corners=False)
        loss = F.cross_entropy(large, label)
        return loss, {'cross_entropy': loss}


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def batch_of(o):
    label = (torch.rand(o.batch, o.outputs, 2) if o.task == 'align'
             else torch.randint(0, o.outputs, (o.batch, o.label_size, o.label_size)))
    return torch.randn(o.batch, 3, o.image_size, o.image_size).contiguous(memory_format=LAST), label


def optimizer_of(net, lr, decay):
    return torch.optim.AdamW(net.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay, fused=True)


def measure(o):
    torch.manual_seed(0)
    start = rss()
    net = Network(o).to(memory_format=LAST)
    own = [*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())]
    average = [p.detach().clone() for p in own]
    optimizer = optimizer_of(net, 1e-4, 1e-5)
    forward = torch.compile(net, dynamic=False) if o.compile else net
    image, label = batch_of(o)
    times = []
    for _ in range(o.warmup + o.steps):
        t = time.perf_counter()
        with torch.autocast('cpu', torch.bfloat16, enabled=o.precision == 'bf16'):
            loss, _ = forward(image, label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in own], 0.001)
        times.append(time.perf_counter() - t)
    seconds = statistics.median(times[o.warmup:])
    print(json.dumps({'what': 'compile' if o.compile else 'eager', 'torch': torch.__version__, 'task': o.task,
                      'precision': o.precision, 'batch': o.batch, 'images_per_second': o.batch / seconds,
                      'step_seconds': [round(s, 4) for s in times[o.warmup:]], 'loss': float(loss),
                      'peak_rss_bytes': rss(), 'import_rss_bytes': start}))


def convolutions(o):
    """[inputs, outputs, side] of the head's 3x3 convolutions."""
    s, c = o.image_size // o.patch, o.channels
    return [[o.dim + len(o.pool_scales) * c, c, s // 2], *([c, c, side] for side in (4 * s, 2 * s, s)), [4 * c, c, 4 * s]]


def measure_convolutions(o):
    dtype = torch.bfloat16 if o.precision == 'bf16' else torch.float32
    seconds = flops = 0
    for inputs, outputs, side in convolutions(o):
        x = torch.randn(o.batch, inputs, side, side).to(dtype).contiguous(memory_format=LAST).requires_grad_()
        w = torch.randn(outputs, inputs, 3, 3).to(dtype).contiguous(memory_format=LAST).requires_grad_()
        g = torch.randn(o.batch, outputs, side, side).to(dtype).contiguous(memory_format=LAST)
        times = []
        for _ in range(o.warmup + o.steps):
            t = time.perf_counter()
            torch.autograd.grad(F.conv2d(x, w, padding=1), (x, w), g)
            times.append(time.perf_counter() - t)
        seconds += statistics.median(times[o.warmup:])
        flops += 3 * 2 * 9 * inputs * outputs * side * side * o.batch
    print(json.dumps({'what': 'convolutions', 'torch': torch.__version__, 'precision': o.precision, 'batch': o.batch,
                      'seconds': seconds, 'gflop': flops / 1e9, 'gflops': flops / seconds / 1e9}))


def check(o):
    """Losses and gradients of one step of a worked example on one device."""
    import yaml
    from safetensors.numpy import load_file
    folder = pathlib.Path(o.check)
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'tests' / 'golden'))
    import dense
    config = yaml.safe_load((folder / 'config.yaml').read_text())
    model, goal = config['model'], config['objective']
    net, head = model['encoder'], model['head']
    if net.get('pre_norm'):
        sys.exit(f'{folder}: a network of CLIP is not part of this baseline')
    o.task, o.image_size, o.patch, o.features = config['task'], model['image_size'], model['patch_size'], model['features']
    o.dim, o.depth, o.heads, o.mlp_ratio = net['dim'], net['depth'], net['heads'], net['mlp_ratio']
    o.channels, o.outputs, o.pool_scales, o.dropout = head['channels'], head['outputs'], head['pool_scales'], 0
    o.heatmap_size, o.heatmap_radius = goal.get('heatmap_size', 128), goal.get('heatmap_radius', 5)
    start, batch = load_file(folder / 'params.safetensors'), load_file(folder / 'batch.safetensors')
    start = {k: v for k, v in start.items() if not k.startswith('ema.')}
    expected = dense.step(config, start, batch, 1, 1)
    torch.set_default_dtype(torch.float64)
    network = Network(o)
    lost, extra = network.load_state_dict({k: torch.from_numpy(v).double() for k, v in start.items()}, strict=False)
    lost = [k for k in lost if not k.endswith('num_batches_tracked')]
    if lost or extra:
        sys.exit(f'{folder}: parameters missing {lost}, left over {extra}')
    data = {k: torch.from_numpy(v) for k, v in batch.items()}
    data = {k: v.double() if v.is_floating_point() else v for k, v in data.items()}
    _, terms = network(data['image'], data['points' if o.task == 'align' else 'label'])
    sum(goal.get(k, 1) * v for k, v in terms.items()).backward()
    got = {f'loss.{k}': v[None] for k, v in terms.items()}
    got.update({f'grad.{k}': p.grad for k, p in network.named_parameters() if f'grad.{k}' in expected})
    # A gradient that rounding alone makes is held against a thousandth of the largest.
    least = 1e-3 * max(float((expected[k] ** 2).sum() ** 0.5) for k in got)
    worst = {k: float((v.detach() - torch.from_numpy(expected[k])).norm()) /
             max(float((expected[k] ** 2).sum() ** 0.5), least) for k, v in got.items()}
    name, far = max(worst.items(), key=lambda x: x[1])
    print(f'{folder.name}: {len(worst)} tensors, worst {name} {far:.1e}')
    sys.exit(far > 1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (('image-size', 224), ('patch', 16), ('dim', 768), ('depth', 12), ('heads', 12),
                        ('mlp-ratio', 4), ('channels', 768), ('outputs', 98), ('label-size', 512),
                        ('heatmap-size', 128), ('batch', 5), ('threads', 2), ('warmup', 1), ('steps', 3)):
        parser.add_argument('--' + name, type=int, default=value)
    numbers = lambda text: [int(n) for n in text.split(',')]
    parser.add_argument('--features', type=numbers, default=[2, 4, 8, 12])
    parser.add_argument('--pool-scales', type=numbers, default=[1, 2, 3, 6])
    parser.add_argument('--heatmap-radius', type=float, default=5)
    parser.add_argument('--dropout', type=float, default=0.1)
    parser.add_argument('--task', choices=('align', 'parse'), default='align')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--convolutions', action='store_true')
    parser.add_argument('--check', metavar='DIR')
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    (check if o.check else measure_convolutions if o.convolutions else measure)(o)


if __name__ == '__main__':
    main()
