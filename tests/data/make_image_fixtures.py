"""Writes tests/data/image/: small pictures in every flavour, and what PIL makes of them as .ppm.

Run with Python, Pillow, numpy and torchvision; the results are committed. Sources are synthetic.
"""
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
from torchvision.transforms import functional as F

OUT = pathlib.Path(__file__).parent / "image"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def picture(width, height, seed):
    """Slopes, a hard edge, a disc and a little noise: something for every filter to get wrong."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    disc = ((x - 0.6 * width) ** 2 + (y - 0.4 * height) ** 2 < (0.25 * height) ** 2) * 120
    planes = [255 * x / width, 255 * y / height, 255 * ((x // 7 + y // 5) % 2)]
    array = np.stack(planes, -1) * 0.6 + disc[..., None] + rng.integers(0, 40, (height, width, 3))
    return np.clip(array, 0, 255).astype(np.uint8)


def ppm(name, array):
    array = np.ascontiguousarray(array, np.uint8)
    head = f"P6\n{array.shape[1]} {array.shape[0]}\n255\n".encode()
    (OUT / f"{name}.ppm").write_bytes(head + array.tobytes())


def save(name, image, **options):
    path = OUT / name
    image.save(path, **options)
    ppm(path.name, np.asarray(Image.open(path).convert("RGB")))


def png(name, array, bits, interlaced=False):
    """A PNG of grey or RGB samples that PIL cannot write itself."""
    height, width = array.shape[:2]
    colour = 2 if array.ndim == 3 else 0
    kind = ">u2" if bits == 16 else np.uint8
    parts = [array[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7] if interlaced else [array]
    raw = b"".join(b"\0" + row.astype(kind).tobytes() for part in parts if part.size for row in part)

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    (OUT / name).write_bytes(data)


def main():
    OUT.mkdir(exist_ok=True)
    base = Image.fromarray(picture(41, 30, 1))
    grey = base.convert("L")
    save("rgb444.jpg", base, quality=85, subsampling=0)
    save("rgb422.jpg", base, quality=85, subsampling=1)
    save("rgb420.jpg", base, quality=85, subsampling=2)
    save("progressive.jpg", base, quality=85, progressive=True)
    save("grey.jpg", grey, quality=85)
    save("cmyk.jpg", base.convert("CMYK"), quality=90)
    save("one.jpg", base.crop((3, 3, 4, 4)))
    save("rgb.png", base)
    save("rgb_trns.png", base, transparency=tuple(int(v) for v in np.asarray(base)[5, 5]))
    save("rgba.png", Image.merge("RGBA", (*base.split(), grey)))
    save("grey.png", grey)
    save("grey_alpha.png", Image.merge("LA", (grey, base.split()[0])))
    save("bilevel.png", base.convert("1"))
    save("palette.png", base.quantize(19))
    save("palette4.png", base.quantize(7), bits=4)
    save("palette_trns.png", base.quantize(19), transparency=3)
    deep = np.random.default_rng(2).integers(0, 65536, (30, 41, 3))
    png("rgb16.png", deep, 16)
    ppm("rgb16.png", np.asarray(Image.open(OUT / "rgb16.png").convert("RGB")))
    png("grey16.png", deep[..., 0], 16)
    ppm("grey16.png", np.repeat(deep[..., :1] >> 8, 3, -1))  # ours: the high byte; PIL would saturate
    png("interlaced.png", np.asarray(base), 8, interlaced=True)
    ppm("interlaced.png", np.asarray(Image.open(OUT / "interlaced.png").convert("RGB")))

    source = Image.fromarray(picture(61, 40, 3))
    ppm("resize", np.asarray(source))
    # Heights shrink no more than widths: there every version of PIL filters rows first.
    for width, height in [(30, 20), (23, 15), (5, 4), (90, 59), (1, 1), (30, 40), (61, 57), (61, 40), (17, 66)]:
        for name, method in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
            ppm(f"resize_{name}_{width}x{height}", np.asarray(source.resize((width, height), method)))
    for width, height in [(57, 91), (91, 57), (64, 64), (31, 33)]:
        image = Image.fromarray(picture(width, height, width))
        ppm(f"crop_{width}x{height}", np.asarray(image))
        for side in (32, 33):
            got = F.center_crop(F.resize(image, side, F.InterpolationMode.BILINEAR), side)
            ppm(f"crop_{width}x{height}_{side}", np.asarray(got))


if __name__ == "__main__":
    main()
