"""face_samples_opencv.py FACES SIZE SECONDS: prints the samples a second that OpenCV and NumPy make on one thread of
pictures with .pts files below FACES/{afw,helen/trainset,lfpw/trainset}: decode, crop with a random transform, black
rectangle, noise, grey, gamma, blur, as `mcf finetune` does for alignment."""
import glob
import os
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(1)
rng = np.random.default_rng(0)
faces, size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


def read_points(path):
    lines = open(path).read().split("{")[1].split("}")[0].split()
    return np.array(lines, float).reshape(-1, 2) - 1


def sample(path, points):
    image = cv2.imread(path)
    low, high = np.floor(points.min(0) + 1), np.ceil(points.max(0) + 1)
    half, centre = (high - low).max() / 2, (low + high) / 2 - 1
    fit = size / (2 * half)
    base = np.array([[fit, 0, (half - centre[0]) * fit - 0.5], [0, fit, (half - centre[1]) * fit - 0.5], [0, 0, 1]])
    scale, angle, shift = rng.uniform(0.7, 0.9), rng.uniform(-0.174, 0.174), size * rng.uniform(-0.05, 0.05, 2)
    c, s, mid = scale * np.cos(angle), scale * np.sin(angle), (size - 1) / 2
    change = np.array([[c, -s, mid - c * mid + s * mid + shift[0]], [s, c, mid - s * mid - c * mid + shift[1]], [0, 0, 1]])
    matrix = change @ base
    crop = cv2.warpAffine(image, matrix[:2], (size, size), flags=cv2.INTER_LINEAR)
    shares = (points @ matrix[:2, :2].T + matrix[:2, 2] + 0.5) / size
    x, y = rng.integers(0, size - 1, 2)
    r = rng.uniform(0.2, 0.8)
    h, w = int(size // 2 * r) // 2, int(max(size // 2 * (r + rng.uniform(-0.2, 0.2)), 0)) // 2
    crop[max(y - h, 0):y + h + 1, max(x - w, 0):x + w + 1] = 0
    if rng.random() < 0.5:
        weight = rng.uniform(0, 0.5)
        noise = rng.integers(0, 256, crop.shape, np.uint8)
        crop = cv2.addWeighted(crop, 1 - weight, noise, weight, 0)
    if rng.random() < 0.1:
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    power = (0.5, 1, 2)[rng.integers(3)]
    if power != 1:
        crop = cv2.LUT(crop, (255 * (np.arange(256) / 255) ** power + 0.5).astype(np.uint8))
    k = int(size * rng.uniform(0, 0.01))
    if k > 1:
        crop = cv2.blur(crop, (k, k), borderType=cv2.BORDER_REFLECT_101)
    return crop, shares


paths = [p for part in ("afw", "helen/trainset", "lfpw/trainset") for p in sorted(glob.glob(f"{faces}/{part}/*.pts"))]
pairs = [(p[:-3] + ("jpg" if os.path.exists(p[:-3] + "jpg") else "png"), read_points(p)) for p in paths]
for i in range(5):
    sample(*pairs[i])
began, count = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    sample(*pairs[rng.integers(len(pairs))])
    count += 1
print(count / (time.perf_counter() - began))
