#!/bin/bash
# bench/opencl_curve.sh: does the loss of a small pre-training on OpenCL lie on the CPU's?
#
# Three runs with the same seeds: cpu, cpu with another instruction set (so: other orders of summation), opencl. Two runs
# that round differently drift apart as training amplifies the differences; how far the CPU drifts from itself is what
# rounding alone does, and OpenCL may drift at most three times as far (or 1e-4, where the CPU hardly drifts).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../build/mcf faces=${MCF_SHARED:-$here/../../shared}/data/faces steps=200 out=
while (($#)); do
    case $1 in
    --mcf | --faces | --steps | --out) declare "${1#--}=$2"; shift 2 ;;
    *) echo "usage: bench/opencl_curve.sh [--mcf PROGRAM] [--faces FOLDER] [--steps 200] [--out DIR]" >&2; exit 2 ;;
    esac
done
[[ -x $mcf ]] || { echo "opencl_curve.sh: $mcf is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
[[ -d $faces ]] || { echo "opencl_curve.sh: no folder $faces; say --faces FOLDER" >&2; exit 2; }
[[ -n $out ]] || { out=$(mktemp -d); trap 'rm -rf "$out"' EXIT; }
mkdir -p "$out"
images=$(find -L "$faces" -type f \( -name '*.jpg' -o -name '*.png' \) | wc -l)
batch=16
((images >= batch)) || { echo "opencl_curve.sh: $images images in $faces; $batch are needed" >&2; exit 2; }
epochs=$(((steps + images / batch - 1) / (images / batch)))

# run NAME BACKEND: the losses of the first steps go to NAME.losses
run() {
    "$mcf" pretrain "$here/opencl_step.yaml" --quiet --backend "$2" --set "data.train=[$faces]" \
        --set "schedule.epochs=$((epochs < 2 ? 2 : epochs))" --set batch.per_device=$batch --out "$out/$1"
    sed -nE 's/.*"loss":([-0-9.e+]+).*/\1/p' "$out/$1/log.jsonl" | head -n "$steps" >"$out/$1.losses"
}
run cpu cpu
MCF_CPU_ISA=avx2 run other cpu
run opencl opencl
paste "$out/cpu.losses" "$out/other.losses" "$out/opencl.losses" | awk -v steps="$steps" '
function off(a, b) { return (a > b ? a - b : b - a) / a }
{
    own = off($1, $2); ours = off($1, $3)
    if (own > own_most) own_most = own
    if (ours > ours_most) ours_most = ours
    own_sum += own; ours_sum += ours
    if (NR == 1 || NR % 40 == 0)
        printf "step %3d: cpu %.6f, other order %.6f, opencl %.6f\n", NR, $1, $2, $3
}
END {
    own = own_most > 1e-4 / 3 ? own_most : 1e-4 / 3
    printf "%d steps; cpu from itself: %.1e at most, %.1e on average; opencl from cpu: %.1e at most, %.1e on average\n",
        NR, own_most, own_sum / NR, ours_most, ours_sum / NR
    exit NR < steps || ours_most > 3 * own
}'
