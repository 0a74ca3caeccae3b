#!/usr/bin/env python3
"""Writes tests/data/tars: tars of Python's tarfile and, where bsdtar is, of libarchive, with members of every type.
Beside each NAME.tar stands NAME.txt: the pictures that are to be found, in their order.
Usage: python3 tests/data/make_tar_fixtures.py   (from the source tree; PIL draws the pictures)"""
import io
import os
import shutil
import subprocess
import tarfile
import tempfile

from PIL import Image

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tars")


def picture(shade):
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 255 - shade, 90)).save(out, "JPEG")
    return out.getvalue()


def put(tar, name, shade, **fields):
    data = picture(shade)
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def other(tar, name, kind, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info)


def of_python(kind, name):
    names = []
    with tarfile.open(os.path.join(HERE, name + ".tar"), "w", format=kind, errors="surrogateescape",
                      encoding="utf-8") as tar:
        put(tar, "a.jpg", 1)
        other(tar, "b.jpg", tarfile.SYMTYPE, linkname="a.jpg")
        other(tar, "c.jpg", tarfile.LNKTYPE, linkname="a.jpg")
        other(tar, "d.jpg", tarfile.FIFOTYPE)
        other(tar, "e.jpg", tarfile.CHRTYPE, devmajor=1, devminor=3)
        other(tar, "f.jpg", tarfile.BLKTYPE, devmajor=7, devminor=1)
        other(tar, "g", tarfile.DIRTYPE)
        put(tar, "g/h.jpg", 2, type=tarfile.CONTTYPE)
        put(tar, "i.jpg", 3, type=tarfile.AREGTYPE)
        names = ["a.jpg", "c.jpg", "h.jpg", "i.jpg"]
        if kind != tarfile.USTAR_FORMAT:
            put(tar, "j" * 200 + ".jpg", 4, uid=1 << 40 if kind == tarfile.PAX_FORMAT else 5, mtime=1.5)
            put(tar, "k\u00e9\u9854.jpg", 5)
            names += ["j" * 200 + ".jpg", "k\u00e9\u9854.jpg"]
        put(tar, "z.jpg", 6)
        names.append("z.jpg")
    return names


def of_odd_members(name):
    """Types that GNU tar writes on request (-V, -M, --listed-incremental), one that nobody does, and two tars in one."""
    path = os.path.join(HERE, name + ".tar")
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        other(tar, "LABEL", b"V")
        put(tar, "a.jpg", 1)
        put(tar, "b.jpg", 2, type=b"M")
        put(tar, "c.jpg", 3, type=b"Z")  # POSIX: taken for a file
        info = tarfile.TarInfo("d.jpg")
        info.type, info.size = b"D", 7
        tar.addfile(info, io.BytesIO(b"Ya.jpg\0"))
        other(tar, "e" * 150 + ".jpg", tarfile.SYMTYPE, linkname="f" * 150)
        put(tar, "g" * 150 + "/h.jpg", 4)
        other(tar, "i" * 150 + ".jpg", tarfile.LNKTYPE, linkname="g" * 150 + "/h.jpg")
        put(tar, "k.jpg", 5, mtime=-1)
        put(tar, "z.jpg", 6)
    with open(path, "ab") as out, tempfile.TemporaryFile() as second:
        with tarfile.open(fileobj=second, mode="w") as tar:
            put(tar, "second.jpg", 7)
        second.seek(0)
        out.write(second.read())
    return ["a.jpg", "c.jpg", "h.jpg", "i" * 150 + ".jpg", "k.jpg", "z.jpg"]


def of_bsdtar(kind, name):
    with tempfile.TemporaryDirectory() as folder:
        for i, file in enumerate(["a.jpg", "k\u00e9.jpg", "j" * 120 + ".jpg", "z.jpg"]):
            with open(os.path.join(folder, file), "wb") as out:
                out.write(picture(i))
        os.symlink("a.jpg", os.path.join(folder, "b.jpg"))
        os.link(os.path.join(folder, "a.jpg"), os.path.join(folder, "c.jpg"))
        os.mkfifo(os.path.join(folder, "d.jpg"))
        with open(os.path.join(folder, "s.jpg"), "wb") as out:  # with a hole
            out.write(picture(9))
            out.truncate(1 << 20)
        members = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "j" * 120 + ".jpg", "k\u00e9.jpg"]
        members += ["s.jpg"] if kind == "pax" else []
        members += ["z.jpg"]
        subprocess.run(["bsdtar", "--format", kind, "--uid", "0", "--gid", "0", "-cf", os.path.join(HERE, name + ".tar"),
                        *members], cwd=folder, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return ["a.jpg", "c.jpg", "j" * 120 + ".jpg", "k\u00e9.jpg", "z.jpg"]


def main():
    os.makedirs(HERE, exist_ok=True)
    made = {"python_ustar": of_python(tarfile.USTAR_FORMAT, "python_ustar"),
            "python_gnu": of_python(tarfile.GNU_FORMAT, "python_gnu"),
            "python_pax": of_python(tarfile.PAX_FORMAT, "python_pax")}
    made["odd_members"] = of_odd_members("odd_members")
    if shutil.which("bsdtar"):
        for kind in ["pax", "gnutar"]:
            made["bsdtar_" + kind] = of_bsdtar(kind, "bsdtar_" + kind)
    for name, names in made.items():
        with open(os.path.join(HERE, name + ".txt"), "w") as out:
            out.write(" ".join(names) + "\n")


main()
