#!/bin/bash
# bench/scripts/opencl_step.sh: the step of a small network on one OpenCL device, by this program and by tinygrad (PyPI).
#
# Rounds are interleaved (mcf, tinygrad; again), each reading in a process of its own; the table takes medians. Before
# them both run once, so that compiling is not measured. Exits with 1 where mcf is the slower one. What tinygrad computes
# is judged by tinygrad_step.py --check on two of the worked examples.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bench/scripts/opencl_step.sh [--mcf PROGRAM] [--python PROGRAM] [--config FILE] [--batch 16] [--rounds 2] [--steps 3]
                            [--tinygrad-steps 1] [--check]
  --python  one that has tinygrad, numpy, pyyaml and safetensors; default .venv/bin/python
  --config  a network without the feature term; default bench/scripts/opencl_step.yaml
  --check   judge tinygrad's losses and gradients first
The environment chooses the device: MCF_OPENCL_DEVICE for mcf, CL's for tinygrad (DEV=CL); BEAM=N lets tinygrad search.
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf python=$here/../../.venv/bin/python config=$here/opencl_step.yaml
batch=16 rounds=2 steps=3 tinygrad_steps=1 check=
while (($#)); do
    case $1 in
    --mcf | --python | --config | --batch | --rounds | --steps | --tinygrad-steps)
        (($# > 1)) || { echo "opencl_step.sh: $1 needs a value" >&2; exit 2; }
        name=${1#--}
        declare "${name//-/_}=$2"
        shift 2
        ;;
    --check) check=yes; shift ;;
    --help) usage; exit 0 ;;
    *) echo "opencl_step.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
[[ -x $mcf ]] || { echo "opencl_step.sh: $mcf is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
"$python" -c 'import tinygrad, yaml, safetensors' ||
    { echo "opencl_step.sh: $python lacks tinygrad, pyyaml or safetensors; say --python PROGRAM" >&2; exit 2; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# reading NAME COMMAND...: adds the rate to NAME
reading() {
    local name=$1
    shift
    "$@" 2>"$out/stderr" >"$out/stdout" || { cat "$out/stderr" >&2; echo "opencl_step.sh: failed: $*" >&2; exit 1; }
    sed -nE 's/.*"images_per_second": ?([0-9.e+-]+).*/\1/p' "$out/stdout" | head -n 1 >>"$out/$name"
}
run_mcf() {
    reading "$1" "$mcf" bench step --config "$config" --backend opencl --batch "$batch" --steps "$2" --warmup 1 --json
}
# tinygrad captures in its first two calls and runs the captured kernels from the third on.
run_tinygrad() {
    reading "$1" "$python" "$here/tinygrad_step.py" --config "$config" --batch "$batch" --steps "$2" --warmup 2
}

if [[ -n $check ]]; then
    for case in patch_norm contrast_only; do
        "$python" "$here/tinygrad_step.py" --check "$here/../../tests/golden/$case" 2>/dev/null
    done
fi
run_mcf compiling 1
for ((round = 1; round <= rounds; round++)); do
    run_mcf mcf "$steps"
    run_tinygrad tinygrad "$tinygrad_steps"
done
median() {
    sort -g "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'
}
"$mcf" devices | awk '$1 == "opencl"'
version=$("$python" -c 'import importlib.metadata as m; print(m.version("tinygrad"))')
awk -v a="$(median "$out/mcf")" -v b="$(median "$out/tinygrad")" -v batch="$batch" -v version="$version" 'BEGIN {
    printf "batch %d: mcf %.2f img/s, tinygrad %s %.3f img/s: %.1f times\n", batch, a, version, b, a / b
    exit a < b
}'
