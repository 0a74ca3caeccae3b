#!/bin/sh
# bench/scripts/crop.sh PHOTOS [COUNT [OUT]]: what mcf crop costs on a folder of photographs, with one thread, in CPU seconds
# (user and system, so that a shared machine changes little): detection alone, end to end, the stages' shares, and memory for
# 1,000 and 20,000 inputs. Where ../shared/score/mtcnn and facenet-pytorch are (FACENET: the folder its wheel was unpacked
# to; PYTHON: a Python with torch, torchvision, pillow), both programs run in turn on the same pictures and ratios are printed.
#   MCF, DETECTOR    default build/mcf, weights/mtcnn.safetensors
#   MEMORY=no        leaves out the runs of 1,000 and 20,000 inputs
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
mcf=${MCF:-$here/build/mcf} detector=${DETECTOR:-$here/weights/mtcnn.safetensors} python=${PYTHON:-python3}
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: bench/scripts/crop.sh PHOTOS [COUNT [OUT]]" >&2
    exit 2
fi
[ -f "$detector" ] || { echo "bench/scripts/crop.sh: no weights at $detector; run ci/detector-weights" >&2; exit 1; }
photos=$(cd "$1" && pwd) count=${2:-200} out=${3:-$here/out/bench-crop}
judges=${MCF_SHARED:-$here/../shared}/score/mtcnn
rm -rf "$out"
mkdir -p "$out/photos"
find "$photos" -type f \( -name '*.jpg' -o -name '*.png' \) | sort | awk -v n="$count" '
    { a[NR] = $0 }
    END { for (i = 0; i < n && i < NR; i++) print a[1 + int(i * NR / (n < NR ? n : NR))] }' >"$out/chosen"
number=0
while read -r path; do # by link, under names of their own
    number=$((number + 1))
    ln -s "$path" "$out/photos/$(printf %06d $number).${path##*.}"
done <"$out/chosen"

# measure FILE COMMAND...: CPU seconds and the largest resident set (MiB) into FILE
measure() {
    "$python" - "$@" <<'PYTHON'
import resource, subprocess, sys
out = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if out.returncode:
    sys.exit(out.stdout)
with open(sys.argv[1], 'w') as f:
    print(f'{used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.0f}', file=f)
    f.write(out.stdout)
PYTHON
}
rate() { awk -v n="$number" 'NR == 1 { printf "%.2f", n / $1 }' "$1"; }
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
one="--detector $detector --threads 1"
# shellcheck disable=SC2086
measure "$out/detect.txt" "$mcf" crop $one --images "$out/photos" --detect-only --out "$out/detect.json"
# shellcheck disable=SC2086
measure "$out/whole.txt" "$mcf" crop $one --images "$out/photos" --out "$out/crops"
peer=no
if [ -n "${FACENET:-}" ] && [ -f "$judges/bench_mtcnn.py" ]; then
    peer=yes
    "$python" "$judges/bench_mtcnn.py" "$out/photos" --stages >"$out/peer_detect.txt"
    "$python" "$judges/bench_pipeline.py" "$out/photos" >"$out/peer_whole.txt"
fi

# peer_rate FILE: the first "N pictures/s of CPU"
peer_rate() { grep -oE '[0-9.]+ pictures/s of CPU' "$1" | head -n 1 | cut -d' ' -f1; }
row() { # row WHAT OURS PEERS
    if [ $peer = yes ]; then
        echo "| $1 | $2 | $3 | $(awk "BEGIN { printf \"%.1f x\", $2 / $3 }") |"
    else
        echo "| $1 | $2 | | |"
    fi
}
echo "$number pictures of $photos, one thread, pictures a second of CPU time"
echo
echo "| | mcf crop | facenet-pytorch | |"
echo "| --- | --- | --- | --- |"
row "detection, decoding included" "$(rate "$out/detect.txt")" "$([ $peer = no ] || peer_rate "$out/peer_detect.txt")"
row "end to end" "$(rate "$out/whole.txt")" "$([ $peer = no ] || peer_rate "$out/peer_whole.txt")"
echo
grep -o "of the workers' time: .*" "$out/whole.txt" | sed "s/^/Shares /"
echo "Resident memory: $(awk 'NR == 1 { print $2 }' "$out/whole.txt") MiB"
[ "${MEMORY:-yes}" = yes ] || exit 0

# Many inputs: the smallest of the pictures again and again, by link.
small=$(readlink -f "$(find "$out/photos" -type l -exec ls -LS {} + | tail -n 1)")
for many in 1000 20000; do
    mkdir "$out/many"
    "$python" -c "
import os, sys
for i in range(int(sys.argv[2])): os.symlink(sys.argv[1], '%s/%06d.jpg' % (sys.argv[3], i))" "$small" $many "$out/many"
    # shellcheck disable=SC2086
    measure "$out/memory.txt" "$mcf" crop $one --images "$out/many" --out "$out/many-crops"
    echo "Resident memory for $many inputs: $(awk 'NR == 1 { print $2 }' "$out/memory.txt") MiB"
    rm -rf "$out/many" "$out/many-crops"
done
