"""Writes fuzz/corpus/image and fuzz/corpus/tar from tests/data/image and a few tars made here."""
import io
import pathlib
import tarfile

HERE = pathlib.Path(__file__).parent
IMAGES = HERE.parent / "tests" / "data" / "image"


def tar(kind, names, cut=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for i, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = 3 * i
            archive.addfile(info, io.BytesIO(b"abc" * i))
    data = out.getvalue()
    end = data.rstrip(b"\0")
    return data[: (len(end) // 512 + 3) * 512] if cut is None else data[:cut]


def main():
    image, tars = HERE / "corpus" / "image", HERE / "corpus" / "tar"
    image.mkdir(parents=True, exist_ok=True)
    tars.mkdir(parents=True, exist_ok=True)
    for i, path in enumerate(sorted(p for p in IMAGES.iterdir() if p.suffix in (".png", ".jpg"))):
        data = path.read_bytes()
        (image / path.name.replace(".", "_")).write_bytes(bytes([i % 4 + (20 if i % 3 == 0 else 0)]) + data)
        if i % 4 == 0:
            (image / (path.name.replace(".", "_") + "_half")).write_bytes(b"\1" + data[: len(data) // 2])
    (image / "empty").write_bytes(b"")
    (image / "words").write_bytes(b"\0only words\n")

    names = ["a/1.jpg", "a/1.txt", "a/1.json", "b.png"]
    long = ["x" * 150 + "/" + "y" * 120 + ".jpg", "\u00e9.png"]
    for label, kind in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        (tars / label).write_bytes(tar(kind, names))
        if kind != tarfile.USTAR_FORMAT:
            (tars / f"{label}_long").write_bytes(tar(kind, long))
    for made in ("python_ustar", "bsdtar_pax"):  # members of every type
        (tars / made).write_bytes((HERE.parent / f"tests/data/tars/{made}.tar").read_bytes())
    for cut in (100, 512, 900, 1536, 2050):
        (tars / f"cut_{cut}").write_bytes(tar(tarfile.USTAR_FORMAT, names, cut))
    # size, times, inode, two entries, 12 bytes of names, 9 of what is left out, whole; offset, size, name, header's hash
    words = [0x325852415446434D, 4096, 7, 8, 9, 2, 12, 9, 0, 512, 3, 0, 1, 1536, 3, 6, 2]
    index = b"".join(w.to_bytes(8, "little") for w in words) + b"a.jpg\0b.jpg\0" + b"1 pipe (p" + bytes(8)
    (tars / "index").write_bytes(index)


if __name__ == "__main__":
    main()
