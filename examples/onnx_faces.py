#!/usr/bin/env python3
"""Runs what `mcf export --format onnx` wrote, without mcf: points drawn on a picture, classes as colours, or features.

    pip install onnxruntime numpy pillow
    python onnx_faces.py align.onnx face.jpg --box 40,60,200,220 --out drawn.png --json points.json

Without --box the whole picture counts as the face. How the crop is made stands in the file's metadata: the box is brought
to the network's square, each axis for itself, and shrunk about the centre by crop_scale; networks that were trained on crops
by five points are given --points (eyes, nose, corners of the mouth as they stand in the picture, left first).
"""
import argparse
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageOps


def crop_of_box(box, size, scale):
    """The affine map (2 x 3) from picture to crop; pixel centres at whole numbers."""
    x1, y1, x2, y2 = box
    sx, sy, centre = size / (x2 - x1), size / (y2 - y1), (size - 1) / 2
    return np.array([[scale * sx, 0, scale * (-x1 * sx - 0.5) + centre * (1 - scale)],
                     [0, scale * sy, scale * (-y1 * sy - 0.5) + centre * (1 - scale)]])


def crop_of_points(points, template, size, scale):
    """The similarity that brings five points nearest to the template."""
    to = (np.array(template) - (size - 1) / 2) * scale + (size - 1) / 2
    s, d = points - points.mean(0), to - to.mean(0)
    a = (s * d).sum() / (s * s).sum()
    b = (s[:, 0] * d[:, 1] - s[:, 1] * d[:, 0]).sum() / (s * s).sum()
    m = np.array([[a, -b], [b, a]])
    return np.hstack([m, (to.mean(0) - m @ points.mean(0))[:, None]])


def warp(u, factor):
    """The tanh warp of one axis, u from -1 to 1."""
    beyond = np.abs(u) - 1 + factor
    return u if factor <= 0 else np.where(beyond <= 0, u, np.sign(u) * (1 - factor + factor * np.tanh(beyond / factor)))


def unwarp(v, factor):
    if factor <= 0:
        return v
    beyond = np.abs(v) - 1 + factor
    inner = np.arctanh(np.minimum(np.maximum(beyond, 0) / factor, 0.999))
    return np.where(beyond <= 0, v, np.sign(v) * (1 - factor + factor * inner))


def to_picture(crop, factor, size, xy):
    """Places in the crop [..., 2] as places in the picture."""
    if factor > 0:
        xy = (unwarp(2 * xy / size - 1, factor) + 1) * size / 2
    inverse = np.linalg.inv(np.vstack([crop, [0, 0, 1]]))
    return xy @ inverse[:2, :2].T + inverse[:2, 2]


def sample(picture, xy):
    """Bilinear samples of picture [H, W, C] at xy [..., 2]; outside is 0."""
    height, width = picture.shape[:2]
    x0, y0 = np.floor(xy[..., 0]), np.floor(xy[..., 1])
    out = 0
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = x0 + dx, y0 + dy
            weight = (1 - np.abs(xy[..., 0] - x)) * (1 - np.abs(xy[..., 1] - y))
            weight = np.where((x >= 0) & (x < width) & (y >= 0) & (y < height), weight, 0)
            pixels = picture[np.clip(y, 0, height - 1).astype(int), np.clip(x, 0, width - 1).astype(int)]
            out = out + weight[..., None] * pixels
    return out


def grid(width, height):
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(float)


def numbers(text):
    return np.array([float(x) for x in text.split(",")])


def face_crop(meta, args, width, height):
    size, scale = int(meta["image_size"]), json.loads(meta["crop_scale"])
    if args.points is not None:
        return crop_of_points(args.points.reshape(5, 2), json.loads(meta["crop_points"]), size, scale)
    if args.box is not None:
        return crop_of_box(args.box, size, scale)
    return crop_of_box((-0.5, -0.5, width - 0.5, height - 0.5), size, 1)


def show_points(picture, xy, out):
    draw = ImageDraw.Draw(picture)
    r = max(1, max(picture.size) / 200)
    for x, y in xy:
        draw.ellipse([x - r, y - r, x + r, y + r], fill=(60, 255, 90))
    picture.save(out)


def show_classes(picture, logits, crop, factor, size, names, out):
    """Each pixel of the picture takes the class of its place in the crop."""
    xy = grid(*picture.size) @ crop[:, :2].T + crop[:, 2]
    if factor > 0:
        xy = (warp(2 * xy / size - 1, factor) + 1) * size / 2
    classes = sample(logits.transpose(1, 2, 0), xy).argmax(-1)
    colours = np.random.RandomState(1).randint(60, 255, (len(names), 3))
    mixed = np.where(classes[..., None] > 0, (np.asarray(picture) + colours[classes]) / 2, np.asarray(picture))
    Image.fromarray(mixed.astype(np.uint8)).save(out)
    return {names[c]: int((classes == c).sum()) for c in np.unique(classes)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network")
    parser.add_argument("picture")
    parser.add_argument("--box", type=numbers, help="x1,y1,x2,y2 in pixels")
    parser.add_argument("--points", type=numbers, help="x,y of five points in pixels")
    parser.add_argument("--out", help="a picture with what was found")
    parser.add_argument("--json", help="what was found")
    args = parser.parse_args()

    session = onnxruntime.InferenceSession(args.network, providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    size = int(meta["image_size"])
    picture = ImageOps.exif_transpose(Image.open(args.picture)).convert("RGB")
    if meta["task"] == "embed":
        filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "box": Image.BOX}
        shorter = int(meta["resize_shorter_side"])
        square = ImageOps.fit(picture, (shorter, shorter), filters[meta["resize_filter"]])
        edge = (shorter - size) // 2
        image = np.asarray(square.crop((edge, edge, edge + size, edge + size)), dtype=float)
    else:
        crop, factor = face_crop(meta, args, *picture.size), json.loads(meta["crop_warp"])
        image = sample(np.asarray(picture, dtype=float), to_picture(crop, factor, size, grid(size, size)))
    image = np.round(image).astype(np.float32).transpose(2, 0, 1)[None] / 255
    outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"image": image})))

    if meta["task"] == "align":
        xy = to_picture(crop, factor, size, outputs["points"][0] * size - 0.5)
        found = {"points": [[round(float(x), 3), round(float(y), 3)] for x, y in xy]}
        if args.out:
            show_points(picture, xy, args.out)
    elif meta["task"] == "parse":
        found = {"classes": show_classes(picture, outputs["logits"][0], crop, factor, size, json.loads(meta["classes"]),
                                         args.out or "classes.png")}
    else:
        found = {"cls": [round(float(x), 6) for x in outputs["cls"][0]]}
    text = json.dumps(found)
    print(text if len(text) < 2000 else text[:2000] + "...")
    if args.json:
        with open(args.json, "w") as file:
            file.write(text)


main()
