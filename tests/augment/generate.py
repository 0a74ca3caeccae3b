"""Writes views.safetensors beside this file: what PIL and torchvision make of a picture for given draws.

`picture` [H,W,3] and, of each case, `NAME.draws` (numbers in the order of DRAWS) and `NAME.view` [S,S,3]. Needs torchvision,
Pillow, numpy and safetensors.
"""
import pathlib

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from safetensors.numpy import save_file
from torchvision.transforms import functional as F
from torchvision.transforms.functional import InterpolationMode

HERE = pathlib.Path(__file__).resolve().parent
SIDE = 48
DRAWS = ('left', 'top', 'width', 'height', 'bicubic', 'jitter', 'order0', 'order1', 'order2', 'order3', 'brightness',
         'contrast', 'saturation', 'hue', 'grey', 'sigma', 'solarise')
REST = dict(left=0, top=0, width=SIDE, height=SIDE, bicubic=0, jitter=0, order0=0, order1=1, order2=2, order3=3,
            brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, grey=0, sigma=0.0, solarise=0)


def picture(width, height):
    """All hues and greys, edges, noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width]
    angle = 2 * np.pi * x / width
    planes = [128 + 127 * np.cos(angle + k * 2.0944) * (y / height) for k in range(3)]
    array = np.stack(planes, -1) + rng.integers(-30, 31, (height, width, 3))
    array[: height // 5] = rng.integers(0, 256, (height // 5, width, 3))
    array[height // 2 : height // 2 + 4] = (array[height // 2 : height // 2 + 4, :, :1])
    array[:, width // 3 : width // 3 + 3] = 255
    array[-6:, :, 1:] = 0
    return np.clip(array, 0, 255).astype(np.uint8)


def view(image, d):
    # Rows, then columns, as PIL's resize has them until version 12; version 13 turns the order where the height
    # shrinks more than the width. That moves bytes by one, and by up to 21 where bicubic overshoots in this picture's
    # noise and is cut off between the two passes.
    how = InterpolationMode.BICUBIC if d['bicubic'] else InterpolationMode.BILINEAR
    out = F.crop(image, d['top'], d['left'], d['height'], d['width'])
    out = F.resize(F.resize(out, [d['height'], SIDE], how), [SIDE, SIDE], how)
    if d['jitter']:
        for which in (d['order0'], d['order1'], d['order2'], d['order3']):
            out = (lambda: F.adjust_brightness(out, d['brightness']), lambda: F.adjust_contrast(out, d['contrast']),
                   lambda: F.adjust_saturation(out, d['saturation']), lambda: F.adjust_hue(out, d['hue']))[which]()
    if d['grey']:
        out = F.rgb_to_grayscale(out, 3)
    if d['sigma'] > 0:
        out = out.filter(ImageFilter.GaussianBlur(radius=d['sigma']))
    if d['solarise']:
        out = ImageOps.solarize(out)
    return np.asarray(out)


def cases(width, height):
    yield 'crop', dict(left=3, top=5, width=61, height=50)
    yield 'crop_small', dict(left=70, top=20, width=12, height=15)
    yield 'crop_whole', dict(width=width, height=height)
    yield 'crop_bicubic', dict(left=3, top=5, width=61, height=50, bicubic=1)
    yield 'crop_bicubic_up', dict(left=11, top=30, width=25, height=19, bicubic=1)
    for name, values in {'brightness': (0.6, 0.93, 1.07, 1.4), 'contrast': (0.6, 0.97, 1.31, 1.4),
                         'saturation': (0.8, 0.99, 1.11, 1.2), 'hue': (-0.1, -0.04, 0.003, 0.1)}.items():
        for i, value in enumerate(values):
            yield f'{name}_{i}', {'jitter': 1, 'left': 10 * i, 'top': 7, name: value}
    yield 'grey', dict(left=30, top=10, grey=1)
    for i, sigma in enumerate((0.1, 0.35, 0.7, 1.0, 1.5, 2.0, 5.0)):
        yield f'blur_{i}', dict(left=20, top=4, sigma=sigma)
    yield 'solarise', dict(solarise=1)
    rng = np.random.default_rng(11)
    for i in range(12):
        order = rng.permutation(4)
        w, h = int(rng.integers(10, width + 1)), int(rng.integers(10, height + 1))
        yield f'all_{i}', dict(
            left=int(rng.integers(0, width - w + 1)), top=int(rng.integers(0, height - h + 1)), width=w, height=h,
            bicubic=i % 2, jitter=int(i % 4 != 3), order0=int(order[0]), order1=int(order[1]), order2=int(order[2]),
            order3=int(order[3]), brightness=rng.uniform(0.6, 1.4), contrast=rng.uniform(0.6, 1.4),
            saturation=rng.uniform(0.8, 1.2), hue=rng.uniform(-0.1, 0.1), grey=int(i % 5 == 4),
            sigma=rng.uniform(0.1, 2) if i % 3 else 0.0, solarise=int(i % 4 == 2))


def main():
    array = picture(118, 83)
    image = Image.fromarray(array)
    out = {'picture': array}
    for name, change in cases(118, 83):
        d = {**REST, **change}
        out[name + '.draws'] = np.array([d[k] for k in DRAWS], np.float64)
        out[name + '.view'] = np.ascontiguousarray(view(image, d))
    save_file(out, HERE / 'views.safetensors')


if __name__ == '__main__':
    main()
