"""Images a second of torchvision's ImageFolder on one thread, transforms as in pre-training. Prints one JSON object.

usage: loader_torchvision.py DIR SIDE SECONDS
       loader_torchvision.py --make DIR      (writes 48 JPEGs of 1280x960 to measure with)
Resize (antialiased bilinear), CenterCrop, RandomHorizontalFlip, ToTensor, Normalize, collated into batches of 32 by
DataLoader in the same process.
"""
import json
import pathlib
import sys
import time

import numpy as np
import PIL
from PIL import Image


def make(path):
    """Smooth colour, edges and some grain: JPEGs of the size a camera's would have."""
    folder = pathlib.Path(path) / "made"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(48):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        picture = np.asarray(coarse.resize((1280, 960), Image.BICUBIC)).astype(np.int16)
        picture = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{i:02d}.jpg", quality=85)


def measure(path, side, seconds):
    import torch
    import torchvision
    from torchvision import transforms as T

    torch.set_num_threads(1)
    steps = [T.Resize(side), T.CenterCrop(side), T.RandomHorizontalFlip(), T.ToTensor(),
             T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    data = torchvision.datasets.ImageFolder(path, T.Compose(steps))
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, drop_last=True)
    seen, begin = -32, 0.0  # the first batch warms up
    while seen <= 0 or time.perf_counter() - begin < seconds:
        for images, _ in loader:
            if seen < 0:
                begin = time.perf_counter()
            seen += len(images)
            if seen > 0 and time.perf_counter() - begin >= seconds:
                break
    took = time.perf_counter() - begin
    print(json.dumps({"images": seen, "seconds": took, "images_per_second": seen / took,
                      "torchvision": torchvision.__version__, "pillow": PIL.__version__}))


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(sys.argv[2])
    else:
        measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
