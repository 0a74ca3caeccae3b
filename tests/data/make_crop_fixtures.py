"""Writes tests/data/crop_face.json: similarities, crops and measures of a drawn picture by an independent program.

align.py (float64, numpy) is that program: python make_crop_fixtures.py FOLDER_OF_ALIGN. Of each crop every 13th pixel of
every 13th row is kept.
"""
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
import align  # noqa: E402


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * x * 3 + y * y * 7 + x * y * 5) >> 7, (x * 11 + y * y * 2) >> 3, (x * y * 3 + x * x) >> 6]
    return np.stack(planes, -1).astype(np.int64).astype(np.uint8)


def dhash(crop):
    """In whole numbers: equal cells stay equal, which sums in floating point do not promise."""
    grey = crop.astype(object) @ np.array([299, 587, 114], object)
    rows = grey.reshape(8, 32, 256).sum(1)
    value = 0
    for row in rows:
        cells = [(sum(row[c * 256 // 9:-(-(c + 1) * 256 // 9)]), -(-(c + 1) * 256 // 9) - c * 256 // 9) for c in range(9)]
        for (a, n), (b, m) in zip(cells, cells[1:]):
            value = value << 1 | int(a * m < b * n)
    return value


FACES = [
    [(60, 55), (88, 51), (75, 70), (64, 88), (90, 85)],
    [(12, 20), (30, 6), (28, 26), (30, 44), (44, 34)],  # at the corner, turned
    [(20, 30), (170, 42), (92, 90), (38, 128), (150, 136)],  # large: the crop is reduced
    [(140, 100), (143, 100), (142, 102), (140, 104), (143, 104)],  # tiny
]


def main():
    image = picture(180, 140)
    out = []
    for points in FACES:
        for template in ("lapa", "ffhq", "arcface"):
            fit = align.ffhq(points) if template == "ffhq" else align.similarity(
                points, align.LAPA if template == "lapa" else align.ARC)
            for border in ("black", "edge", "reflect"):
                crop = np.floor(align.warp(image, fit, border=border) + 0.5).clip(0, 255).astype(np.uint8)
                out.append({"points": points, "template": template, "border": border, "transform": fit.tolist(),
                            "inside": align.inside(fit, 180, 140), "sharpness": align.sharpness(crop),
                            "dhash": f"{dhash(crop):016x}", "pixels": crop[::13, ::13].ravel().tolist()})
    path = pathlib.Path(__file__).parent / "crop_face.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
