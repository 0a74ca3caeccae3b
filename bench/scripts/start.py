#!/usr/bin/env python3
"""bench/scripts/start.py: how long the loader takes to its first batch, and what memory a sample takes.

A folder of a million pictures and 2,000 shards of 10,000, unless other numbers are asked for. The pictures are one small
JPEG under many names (hard links), the shards one shard and its index under many names, so that hardly any disk is
needed and reading is as cheap as it gets: what is measured is what mcf does for each sample. Figures beside a set of 64
pictures: the seconds and bytes that this one takes are taken off.

usage: bench/scripts/start.py [--mcf PROGRAM] [--files 1000000] [--shards 2000] [--members 10000] [--work DIR] [--strict]
  --work    where the links are made, one file system (default: a new folder in the temporary directory, removed)
  --strict  exit 1 where 20 million samples would take over a minute to start or 2 GB
"""
import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

LINKS = 60000  # of one file; ext4 has 65,000

def arguments():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--mcf", default=os.path.join(here, "../../build/mcf"))
    parser.add_argument("--files", type=int, default=1000000)
    parser.add_argument("--shards", type=int, default=2000)
    parser.add_argument("--members", type=int, default=10000)
    parser.add_argument("--work")
    parser.add_argument("--strict", action="store_true")
    return parser.parse_args()

class Names:
    """Hard links to a copy of a file, a new copy whenever one has enough of them."""
    def __init__(self, source, room):
        self.source, self.room, self.count, self.copy = source, room, 0, None

    def link(self, path):
        if self.count % LINKS == 0:
            self.copy = os.path.join(self.room, "%s.%d" % (os.path.basename(self.source), self.count // LINKS))
            shutil.copy2(self.source, self.copy)
        os.link(self.copy, path)
        self.count += 1

def start(mcf, data):
    """Seconds of the clock and of the processor to the first batch, largest memory in bytes."""
    program = ("import resource, subprocess, sys, time; t = time.monotonic(); code = subprocess.call(sys.argv[1:]); "
               "t = time.monotonic() - t; r = resource.getrusage(resource.RUSAGE_CHILDREN); "
               "print(t, r.ru_utime + r.ru_stime, r.ru_maxrss * 1024); sys.exit(code)")
    command = [mcf, "bench", "data", "--seconds", "0.01", "--batch", "1", "--out", os.devnull, "--set",
               "data.train=[%s]" % data, "--set", "data.workers=1", "--set", "model.image_size=32"]
    done = subprocess.run([sys.executable, "-c", program] + command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("start.py: %s\n%s" % (" ".join(command), done.stderr))
    return [float(x) for x in done.stdout.splitlines()[-1].split()]

def make_folder(names, root, count):
    for i in range(count):
        folder = os.path.join(root, "%06d" % (i // 1000))
        if i % 1000 == 0:
            os.makedirs(folder)
        names.link(os.path.join(folder, "%03d.jpg" % (i % 1000)))

def main():
    o = arguments()
    work = o.work or tempfile.mkdtemp(prefix="mcf-start.")
    missed = False
    try:
        subprocess.run([o.mcf, "synth", "--out", work + "/drawn", "--count", "1", "--size", "32", "--layouts", "none"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        picture = next(os.path.join(at, name) for at, _, names in os.walk(work + "/drawn") for name in names
                       if name.endswith(".jpg"))
        os.makedirs(work + "/room")
        make_folder(Names(picture, work + "/room"), work + "/few", 64)
        few = start(o.mcf, work + "/few")

        make_folder(Names(picture, work + "/room"), work + "/many", o.files)
        show = lambda what, r, count: print("%s: %.1f s to the first batch, %.1f s of the processor, %.0f MB; a sample %.2f us of "
                                            "the processor and %.0f bytes" % (what, r[0], r[1], r[2] / 1e6, 1e6 * (r[1] - few[1]) / count,
                                                                              (r[2] - few[2]) / count), flush=True)
        show("a folder of %d files" % o.files, start(o.mcf, work + "/many"), o.files)

        os.makedirs(work + "/first")
        shard = work + "/first/shard.tar"
        with tarfile.open(shard, "w") as tar:
            for i in range(o.members):
                tar.add(picture, arcname="%08d.jpg" % i)
        show("a shard of %d, without an index" % o.members, start(o.mcf, shard), o.members)
        index = next(work + "/first/" + name for name in os.listdir(work + "/first") if name != "shard.tar")
        os.makedirs(work + "/shards")
        shards, indices = Names(shard, work + "/room"), Names(index, work + "/room")
        for i in range(o.shards):
            to = work + "/shards/%06d.tar" % i
            shards.link(to)
            indices.link(to + os.path.basename(index)[len("shard.tar"):])
        count = o.shards * o.members
        r = start(o.mcf, work + "/shards")
        show("%d shards of %d, with indices" % (o.shards, o.members), r, count)
        seconds, gigabytes = ((r[i] - few[i]) * 20e6 / count + few[i] for i in (1, 2))
        gigabytes /= 1e9
        print("20 million from indices: %.0f s of the processor (at most 60), %.2f GB (at most 2)" % (seconds, gigabytes))
        missed = seconds > 60 or gigabytes > 2
    finally:
        if not o.work:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(missed and o.strict)

main()
