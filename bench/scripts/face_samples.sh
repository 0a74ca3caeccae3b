#!/bin/bash
# bench/scripts/face_samples.sh: augmented 448 samples a second of one core for face alignment, `mcf bench data` beside a
# pipeline of OpenCV and NumPy that does the same (face_samples_opencv.py), on the same pictures, in interleaved rounds.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bench/scripts/face_samples.sh --faces DIR [--mcf PROGRAM] [--python PROGRAM] [--size 448] [--rounds 3] [--seconds 4]
                             [--core 0]
  --faces   300W's layout with .pts files, such as ../shared/data/300w_part
  --mcf     default build/mcf; --python one that has opencv-python-headless; default python3
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf python=python3 faces= size=448 rounds=3 seconds=4 core=0
while (($#)); do
    case $1 in
    --mcf | --python | --faces | --size | --rounds | --seconds | --core)
        (($# > 1)) || { echo "face_samples.sh: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --help) usage; exit 0 ;;
    *) echo "face_samples.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
[[ -d $faces ]] || { echo "face_samples.sh: say --faces DIR" >&2; exit 2; }
"$python" -c 'import cv2' || { echo "face_samples.sh: $python has no cv2; say --python PROGRAM" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/align.yaml" <<YAML
task: align
data: {layout: 300w, train: [$faces], workers: 1, crop_size: $size}
model: {head: {outputs: 68}}
YAML
for ((round = 0; round < rounds; round++)); do
    taskset -c "$core" "$mcf" bench data --config "$work/align.yaml" --seconds "$seconds" --batch 5 --json >"$work/line.json"
    "$python" -c 'import json, sys; print("mcf", json.load(open(sys.argv[1]))["images_per_second"])' "$work/line.json" >>"$work/rates"
    echo "opencv $(taskset -c "$core" "$python" "$here/face_samples_opencv.py" "$faces" "$size" "$seconds")" >>"$work/rates"
done
"$python" - "$work/rates" "$size" <<'PYTHON'
import statistics, sys
rates = {}
for line in open(sys.argv[1]):
    who, rate = line.split()
    rates.setdefault(who, []).append(float(rate))
ours, theirs = (statistics.median(rates[who]) for who in ("mcf", "opencv"))
print(f"augmented samples of {sys.argv[2]} pixels a second and core, medians of {len(rates['mcf'])}: "
      f"mcf {ours:.1f}, OpenCV and NumPy {theirs:.1f}: {ours / theirs:.2f} times")
PYTHON
