#!/usr/bin/env python3
"""Makes tests/score/cases: questions for `mcf score` and their answers, computed here with NumPy alone from the text of
the definitions. Run it in this folder: python3 generate.py. NAME.in.safetensors is asked; NAME.expected.safetensors,
NAME.expected.json or NAME.refuse says what must come out."""
import json
import os
import struct

import numpy as np

rng = np.random.default_rng(20240611)
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")


def save(path, tensors, meta=None):
    names = {"float32": "F32", "float64": "F64", "uint8": "U8", "int64": "I64"}
    head, data = {"__metadata__": meta} if meta else {}, b""
    for name, a in sorted(tensors.items()):
        a = np.ascontiguousarray(a)
        head[name] = {"dtype": names[str(a.dtype)], "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def case(name, kind, settings, tensors, answer):
    meta = {"kind": kind} | {k: json.dumps(v) for k, v in settings.items()}
    save(f"{here}/{name}.in.safetensors", tensors, meta)
    if isinstance(answer, str):
        open(f"{here}/{name}.refuse", "w").write(answer + "\n")
    elif kind.endswith("score"):
        json.dump(answer, open(f"{here}/{name}.expected.json", "w"))
    else:
        save(f"{here}/{name}.expected.safetensors", {k: np.asarray(v, np.float64) for k, v in answer.items()})


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def through(m, p):
    return p @ m[:2, :2].T + m[:2, 2]


# --- crops
def change(size, scale, angle, shift):
    c = (size - 1) / 2
    there, turn, back = np.eye(3), np.eye(3), np.eye(3)
    there[:2, 2] = -c
    turn[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back[:2, 2] = c + np.array(shift)
    return back @ turn @ there


def of_box(box, size):
    m = np.eye(3)
    for axis in range(2):
        m[axis, axis] = size / (box[axis + 2] - box[axis])
        m[axis, 2] = -box[axis] * m[axis, axis] - 0.5
    return m


def crops():
    for n, (size, scale) in enumerate(((512, 0.8), (96, 1.1))):
        box, p = np.array([-4.5, 10, 100, 70.25], np.float32), f32(6, 2, scale=90)
        m = change(size, scale, 0, (0, 0)) @ of_box(box.astype(float), size)
        q = through(m, p.astype(float))
        case(f"box_crop_{n}", "box_crop", {"size": size, "scale": scale}, {"box": box, "points": p},
             {"matrix": m, "crop_points": q, "normalised": (q + 0.5) / size})
        m = change(size, scale, -0.6, (7, -3)) @ of_box(box.astype(float), size)
        case(f"random_crop_{n}", "random_crop", {"size": size, "scale": scale, "angle": -0.6, "shift": [7, -3]},
             {"box": box, "points": p}, {"matrix": m, "crop_points": through(m, p.astype(float))})
    case("box_crop_flat", "box_crop", {"size": 64, "scale": 1}, {"box": np.float32([1, 2, 1, 5]), "points": f32(1, 2)},
         "the box has no area")
    template = np.array([[196, 226], [316, 226], [256, 286], [220, 360.4], [292, 360.4]])
    for n, (size, scale) in enumerate(((512, 1.0), (130, 0.7))):
        p = f32(5, 2, scale=50)
        c = (size - 1) / 2
        t = (template / 512 * (size - 1) - c) * scale + c
        # the similarity by the normal equations of [a, b, tx, ty]
        rows, right = [], []
        for (x, y), (u, v) in zip(p.astype(float), t):
            rows += [[x, -y, 1, 0], [y, x, 0, 1]]
            right += [u, v]
        a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
        case(f"points_crop_{n}", "points_crop", {"size": size, "face_scale": scale}, {"points": p},
             {"matrix": np.array([[a, -b, tx], [b, a, ty], [0, 0, 1]]), "target": t})
    case("points_crop_same", "points_crop", {"size": 64, "face_scale": 1}, {"points": np.ones((5, 2), np.float32)},
         "the five points coincide")


# --- warp
def squeeze(u, f):
    a = np.abs(u)
    return u if f == 0 else np.where(a <= 1 - f, u, np.sign(u) * (1 - f + f * np.tanh((a - 1 + f) / f)))


def stretch(v, f):
    a = np.abs(v)
    return v if f == 0 else np.where(
        a <= 1 - f, v, np.sign(v) * (1 - f + f * np.arctanh(np.clip((a - 1 + f) / f, -0.999, 0.999))))


def grid(h, w):
    return np.stack(np.meshgrid(np.arange(w), np.arange(h)), -1).astype(float)


def bilinear(image, at):
    h, w = image.shape[:2]
    padded = np.zeros((h + 2, w + 2, image.shape[2]))
    padded[1:-1, 1:-1] = image
    x, y = np.clip(at[..., 0], -1, w) + 1, np.clip(at[..., 1], -1, h) + 1
    i, j = np.minimum(y.astype(int), h), np.minimum(x.astype(int), w)
    fy, fx = (y - i)[..., None], (x - j)[..., None]
    return ((1 - fy) * ((1 - fx) * padded[i, j] + fx * padded[i, j + 1])
            + fy * ((1 - fx) * padded[i + 1, j] + fx * padded[i + 1, j + 1]))


def nearest(label, at):
    h, w = label.shape
    x, y = np.floor(at + 0.5).astype(int).transpose(2, 0, 1)
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    return np.where(inside, label[np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)], 0)


def warps():
    for n, (h, w, oh, ow, f, c) in enumerate(((18, 26, 21, 15, 0.8, 0.0), (16, 16, 30, 22, 0.5, 0.5), (9, 12, 14, 14, 0, 0.5))):
        size = np.array([w, h])
        m = np.array([[1.1, -0.3, -2], [0.25, 0.9, 1.5], [0, 0, 1]], np.float32)
        wide, back = m.astype(float), np.linalg.inv(m.astype(float))
        there = lambda p: (squeeze(2 * through(wide, p) / size - 1, f) + 1) * size / 2
        home = lambda p: through(back, (stretch(2 * p / size - 1, f) + 1) * size / 2)
        image, label = rng.random((oh, ow, 3), np.float32), rng.integers(0, 7, (oh, ow), np.uint8)
        logits, points = f32(h, w, 5), f32(8, 2, scale=12)
        warped, unwarped = home(grid(h, w) + c), there(grid(oh, ow) + c)
        out = bilinear(logits, unwarped)
        p = there(points.astype(float))
        case(f"warp_{n}", "warp", {"shape": [h, w], "original": [oh, ow], "factor": f, "centre": c},
             {"matrix": m, "image": image, "label": label, "logits": logits, "points": points},
             {"warp_map": warped, "unwarp_map": unwarped, "warped_image": bilinear(image, warped),
              "warped_label": nearest(label, warped), "unwarped_logits": out, "prediction": out.argmax(-1),
              "warped_points": p, "returned_points": home(p)})


# --- maps
def matrix_of(to, n):
    """Bilinear resize of n values, align_corners false, as a matrix."""
    m = np.zeros((to, n))
    for i in range(to):
        at = min(max((i + 0.5) * n / to - 0.5, 0), n - 1)
        low = int(at)
        m[i, low] += 1 - (at - low)
        m[i, min(low + 1, n - 1)] += at - low
    return m


def resized(x, h, w):
    return matrix_of(h, x.shape[-2]) @ x @ matrix_of(w, x.shape[-1]).T


def spots(points, size, radius):
    y, x = np.mgrid[:size, :size]
    r2 = (x - (size * points[..., 0, None, None] - 0.5)) ** 2 + (y - (size * points[..., 1, None, None] - 0.5)) ** 2
    return np.where(r2 <= radius**2, np.exp(-8 * r2 / radius**2), 0)


def cubic(t, a=-0.75):
    t = abs(t)
    return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0


def cubic_matrix(to, n):
    m = np.zeros((to, n))
    for i in range(to):
        at = (i + 0.5) * n / to - 0.5
        for k in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            m[i, min(max(k, 0), n - 1)] += cubic(at - k)
    return m


def maps():
    for n, (h, w, to) in enumerate(((5, 9, (8, 4)), (6, 6, (6, 13)))):
        x = f32(2, 2, h, w)
        case(f"resize_{n}", "resize", {"size": list(to)}, {"x": x}, {"y": resized(x.astype(float), *to)})
    for n, (size, bins) in enumerate(((10, 6), (4, 5), (7, 1))):
        x = f32(1, 2, size, size)
        y = np.zeros((1, 2, bins, bins))
        for i in range(bins):
            for j in range(bins):
                r, c = (slice(k * size // bins, -(-(k + 1) * size // bins)) for k in (i, j))
                y[..., i, j] = x[..., r, c].astype(float).mean((-2, -1))
        case(f"pool_{n}", "pool", {"bins": bins}, {"x": x}, {"y": y})
    for n, (g, to) in enumerate(((4, 7), (6, 5))):
        table = f32(1, 1 + g * g, 4)
        m = cubic_matrix(to, g)
        body = table[0, 1:].astype(float).reshape(g, g, 4)
        body = np.einsum("ai,bj,ijd->abd", m, m, body).reshape(to * to, 4)
        case(f"table_{n}", "table", {"grid": to}, {"pos_embed": table},
             {"pos_embed": np.concatenate([table[0, :1], body])[None]})
    case("table_not_square", "table", {"grid": 3}, {"pos_embed": f32(1, 11, 4)}, "no square grid")
    points = rng.uniform(-0.2, 1.2, (2, 3, 2)).astype(np.float32)
    case("target_0", "target", {"heatmap_size": 24, "heatmap_radius": 3.0}, {"points": points},
         {"target": spots(points.astype(float), 24, 3.0)})
    for n, (h, w, scale) in enumerate(((14, 11, 2), (8, 8, 400))):
        logits = f32(2, 3, h, w, scale=scale)
        p = np.exp(-np.logaddexp(0, -logits.astype(float)))
        mass = np.maximum(p.sum((-2, -1)), 1e-6)
        decoded = np.stack([((p.sum(-2) * np.arange(w)).sum(-1) / mass + 0.5) / w,
                            ((p.sum(-1) * np.arange(h)).sum(-1) / mass + 0.5) / h], -1)
        wide = resized(logits.astype(float), 20, 20)
        t = spots(points.astype(float), 20, 5.0)
        case(f"decode_{n}", "decode", {"heatmap_size": 20, "heatmap_radius": 5.0}, {"logits": logits, "points": points},
             {"decoded": decoded, "loss.coordinate": [np.linalg.norm(decoded - points, axis=-1).mean()],
              "loss.heatmap": [(np.logaddexp(0, wide) - wide * t).mean()]})


# --- scores
def simpson(y, h):
    assert len(y) % 2
    return h / 3 * (y[0] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum() + y[-1])


def scores():
    settings = ({"kind": "box"}, {"kind": "diag"}, {"kind": "points", "left": [1, 2], "right": [5]})
    for n, (norm, threshold) in enumerate(zip(settings, (0.07, None, 0.1))):
        truth = f32(23, 7, 2, scale=30)
        pred = truth + f32(23, 7, 2) * (1 + 3 * rng.random((23, 1, 1))).astype(np.float32)
        box = np.concatenate([truth.min(1), truth.max(1)], 1)
        t, b = truth.astype(float), box.astype(float)
        width, height = b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]
        if norm["kind"] == "box":
            size = np.sqrt(width * height)
        elif norm["kind"] == "diag":
            size = np.hypot(width, height)
        else:
            size = np.linalg.norm(t[:, norm["left"]].mean(1) - t[:, norm["right"]].mean(1), axis=-1)
        e = (np.linalg.norm(pred.astype(float) - t, axis=-1) / size[:, None]).mean(-1)
        answer = {"nme": e.mean(), "faces": 23}
        if threshold:
            x = np.arange(0, threshold + 0.0001, 0.0001)
            y = (e[:, None] <= x).mean(0)
            if len(x) % 2:
                area = simpson(y, 0.0001)
            else:
                area = (simpson(y[:-1], 0.0001) + simpson(y[1:], 0.0001) + 0.00005 * (y[-2:].sum() + y[:2].sum())) / 2
            answer |= {"auc_farl": area / threshold, "fr_farl": 1 - y[-1], "grid": len(x),
                       "auc_exact": np.maximum(0, 1 - e / threshold).mean(), "fr_exact": (e > threshold).mean()}
        tensors = {"points": truth, "pred": pred, "box": box}
        case(f"align_score_{n}", "align_score", {"normalizer": norm, "threshold": threshold}, tensors, answer)
    pred = pred.copy()
    pred[3, 2, 1] = np.nan
    case("align_score_nan", "align_score", {"normalizer": norm, "threshold": 0.1}, tensors | {"pred": pred}, "not finite")
    far = {"kind": "points", "left": [1], "right": [7]}
    case("align_score_no_such_point", "align_score", {"normalizer": far, "threshold": 0.1}, tensors, "no point 7")
    for n, (classes, background) in enumerate(((5, 0), (9, None))):
        tensors, confusion = {}, np.zeros((9, 9), int)
        for i in range(3):
            label = rng.integers(0, 5, (11 + i, 8), np.uint8)
            pred = np.where(rng.random(label.shape) < 0.3, rng.integers(0, 5, label.shape, np.uint8), label).astype(np.uint8)
            tensors |= {f"label.{i}": label, f"pred.{i}": pred}
            np.add.at(confusion, (label.ravel(), pred.ravel()), 1)
        confusion = confusion[:classes, :classes]
        total = confusion.sum(0) + confusion.sum(1)
        f1 = [2 * confusion[c, c] / total[c] if total[c] else None for c in range(classes)]
        counted = [f for c, f in enumerate(f1) if f is not None and c != background]
        case(f"parse_score_{n}", "parse_score", {"classes": classes, "background": background}, tensors,
             {"f1": f1, "mean": sum(counted) / len(counted), "counted": len(counted), "confusion": confusion.tolist()})
    case("parse_score_sizes", "parse_score", {"classes": 5, "background": 0},
         tensors | {"pred.2": np.zeros((3, 3), np.uint8)}, "sizes differ")
    case("parse_score_no_class", "parse_score", {"classes": 4, "background": 0}, tensors, "4 is no class")


os.makedirs(here, exist_ok=True)
for old in os.listdir(here):
    os.remove(f"{here}/{old}")
crops()
warps()
maps()
scores()
