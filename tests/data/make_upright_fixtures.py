"""Writes tests/data/upright/: pictures with EXIF orientations, alpha and frames, and what Pillow makes of them as .ppm.

Each NAME.ppm is the picture turned by ImageOps.exif_transpose and blended over white. Run with Pillow and numpy; the
results are committed. Sources are synthetic.
"""
import pathlib

import numpy as np
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).parent / "upright"


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 90 + 60 * (x > y)], -1).astype(np.uint8)


def ppm(name):
    image = ImageOps.exif_transpose(Image.open(OUT / name))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA")).astype(float)
        alpha = rgba[..., 3:] / 255
        array = np.floor(rgba[..., :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
    else:
        array = np.asarray(image.convert("RGB"))
    head = f"P6\n{array.shape[1]} {array.shape[0]}\n255\n".encode()
    (OUT / f"{name}.ppm").write_bytes(head + np.ascontiguousarray(array).tobytes())


def save(name, image, **options):
    image.save(OUT / name, **options)
    ppm(name)


def exif(value):
    tags = Image.Exif()
    tags[0x0112] = value
    return tags.tobytes()


def main():
    OUT.mkdir(exist_ok=True)
    base = Image.fromarray(picture(19, 11))
    for value in range(0, 10):
        save(f"exif{value}.jpg", base, quality=90, subsampling=0, exif=exif(value))
    for value in (3, 6):
        save(f"exif{value}.png", base, exif=exif(value))
        save(f"exif{value}.webp", base, lossless=True, exif=exif(value))
    rgba = np.dstack([picture(19, 11), np.arange(19 * 11).reshape(11, 19).astype(np.uint8)])
    save("alpha.png", Image.fromarray(rgba))
    save("alpha.webp", Image.fromarray(rgba), lossless=True, exact=True)
    save("grey_alpha.png", Image.fromarray(rgba).convert("LA"))
    palette = Image.fromarray(picture(19, 11)).quantize(16)
    save("palette_trns.png", palette, transparency=bytes(16 * i for i in range(16)))
    save("grey_trns.png", Image.fromarray(picture(19, 11)).convert("L"), transparency=90)
    frames = [base, ImageOps.mirror(base), ImageOps.invert(base)]
    save("frames.png", frames[0], save_all=True, append_images=frames[1:])
    save("frames.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    save("lossy.webp", base.resize((40, 30)), quality=80)


if __name__ == "__main__":
    main()
