"""Draws docs/pictures/crop.jpg: a picture with drawn faces of several sizes and turns, and what mcf crop makes of it.

Takes Pillow and the weights of ci/detector-weights:
    python docs/pictures/crop.py [BUILD] [DETECTOR]      default: build weights/mtcnn.safetensors
"""
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACES = [(14, 420, 10, 20), (-8, 330, 450, 60), (-21, 400, 790, 10), (4, 250, 80, 500), (-30, 360, 380, 430),
          (25, 340, 810, 440)]  # degrees, side, left, top


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
    detector = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "weights/mtcnn.safetensors").resolve()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        run = [build / "mcf", "synth", "--out", work / "drawn", "--count", "6", "--per-identity", "1", "--size", "400",
               "--seed", "11", "--test-fraction", "0", "--layouts", "none", "--quiet"]
        subprocess.run(run, check=True)
        drawn = sorted(p for p in (work / "drawn/images").rglob("*") if p.is_file())
        before = Image.new("RGB", (1200, 800), (104, 124, 140))
        for path, (degrees, side, left, top) in zip(drawn, PLACES):
            face = Image.open(path).convert("RGBA").rotate(degrees, Image.BICUBIC, expand=True)
            before.paste(face.resize((side, side), Image.LANCZOS), (left, top), face.resize((side, side)))
        (work / "photograph").mkdir()
        before.save(work / "photograph/before.jpg", quality=95)
        run = [build / "mcf", "crop", "--images", work / "photograph", "--out", work / "faces", "--detector", detector]
        subprocess.run(run + ["--quiet"], check=True)
        sheet = Image.new("RGB", (600 + 3 * 200 + 10, 400), "white")
        sheet.paste(before.resize((600, 400), Image.LANCZOS), (0, 0))
        with tarfile.open(work / "faces/00000.tar") as shard:
            crops = [shard.extractfile(m).read() for m in shard if m.name.endswith(".jpg")]
        for i, crop in enumerate(crops[:6]):
            small = Image.open(io.BytesIO(crop)).resize((196, 196), Image.LANCZOS)
            sheet.paste(small, (612 + i % 3 * 200, 2 + i // 3 * 200))
        sheet.save(ROOT / "docs/pictures/crop.jpg", quality=85)


if __name__ == "__main__":
    main()
