"""Writes tests/infer/detector/expected.json: what facenet-pytorch 2.6.0 finds with weights drawn from a plain generator.

The weights are the same numbers that tests/infer/test_detect.c draws, so no weights are committed. Run with torch and a
folder that holds facenet_pytorch/: python make_detector_fixtures.py FOLDER
"""
import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, sys.argv[1])
from facenet_pytorch.models import mtcnn  # noqa: E402
from facenet_pytorch.models.utils import detect_face  # noqa: E402

OUT = pathlib.Path(__file__).parent / "detector"
THRESHOLDS = [0.6, 0.6, 0.6]


class Draw:
    """x -> 1664525 x + 1013904223 mod 2^32; the upper 24 bits as a number in [-1, 1)."""

    def __init__(self, seed):
        self.state = seed

    def numbers(self, count):
        out = np.empty(count, np.float32)
        for i in range(count):
            self.state = (1664525 * self.state + 1013904223) % 2**32
            out[i] = np.float32(self.state >> 8) / np.float32(2**23) - np.float32(1)
        return out


def fill(net, draw):
    for name, p in net.named_parameters():
        shape = tuple(p.shape)
        if "prelu" in name:
            values = draw.numbers(p.numel()) * np.float32(0.5)
        elif p.dim() > 1:
            values = draw.numbers(p.numel()) * np.float32(np.sqrt(3.0 / np.prod(shape[1:])))
        else:
            values = draw.numbers(p.numel()) * np.float32(0.1)
        p.data = torch.from_numpy(values.reshape(shape))


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * x * 3 + y * y * 7 + x * y * 5) >> 5, (x * 11 + y * y * 2) >> 1, (x * y * 3 + x * x) >> 4]
    return np.stack(planes, -1).astype(np.int64).astype(np.uint8)


def main():
    nets = [mtcnn.PNet(pretrained=False), mtcnn.RNet(pretrained=False), mtcnn.ONet(pretrained=False)]
    draw = Draw(4)
    for net in nets:
        fill(net, draw)
        net.eval()
    expected = []
    with torch.no_grad():
        for width, height in [(90, 70), (61, 64), (33, 150)]:
            boxes, points = detect_face.detect_face(picture(width, height), 20, *nets, THRESHOLDS, 0.709, "cpu")
            expected.append({"width": width, "height": height, "boxes": np.asarray(boxes[0], float).round(4).tolist(),
                             "points": np.asarray(points[0], float).round(4).tolist()})
            print(width, height, len(boxes[0]), [round(float(b[4]), 4) for b in boxes[0]])
    OUT.mkdir(exist_ok=True)
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
