#!/bin/bash
# bench/scripts/step.sh: the ViT-B/16 MCF step of this program and of PyTorch, same batch, same threads, one run.
#
# Rounds are interleaved (yardstick, mcf, PyTorch eager, PyTorch compiled; fp32, bf16; again), each reading
# in a process of its own, so that a slow spell of the machine falls on all of them. The table takes medians.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bench/scripts/step.sh [--mcf PROGRAM] [--python PROGRAM] [--batch 8] [--threads 2] [--rounds 3] [--steps 3]
                     [--precisions "fp32 bf16"] [--out DIR] [--strict]
  --mcf     default build/mcf, with onednn_yardstick beside it; --python one that has torch, default .venv/bin/python
  --out     where the readings stay as JSON lines (default: a new folder in the temporary directory)
  --strict  exit 1 where a target is missed
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf python=$here/../../.venv/bin/python
batch=8 threads=2 rounds=3 steps=3 precisions="fp32 bf16" out= strict=
while (($#)); do
    case $1 in
    --mcf | --python | --batch | --threads | --rounds | --steps | --precisions | --out)
        (($# > 1)) || { echo "step.sh: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --strict) strict=--strict; shift ;;
    --help) usage; exit 0 ;;
    *) echo "step.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
[[ -x $mcf && -x $(dirname "$mcf")/onednn_yardstick ]] || { echo "step.sh: $mcf or onednn_yardstick beside it is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
"$python" -c 'import torch' || { echo "step.sh: $python has no torch; say --python PROGRAM" >&2; exit 2; }
[[ -n $out ]] || out=$(mktemp -d)
mkdir -p "$out"
: >"$out/readings.jsonl"
export OMP_NUM_THREADS=$threads

# reading NAME PRECISION COMMAND...: runs it and keeps its JSON as one line.
reading() {
    local name=$1 precision=$2
    shift 2
    echo "step.sh: round $round of $rounds, $name $precision" >&2
    "$@" 2>"$out/stderr" >"$out/stdout" || { cat "$out/stderr" >&2; echo "step.sh: failed: $*" >&2; exit 1; }
    "$python" "$here/step_table.py" --keep "$name" "$precision" "$out/stdout" >>"$out/readings.jsonl"
}

for ((round = 1; round <= rounds; round++)); do
    for precision in $precisions; do
        reading yardstick "$precision" "$(dirname "$mcf")/onednn_yardstick"
        reading mcf "$precision" "$mcf" bench step --backend cpu --set "precision=$precision" \
            --batch "$batch" --steps "$steps" --json
        for how in eager compile; do
            flag=()
            [[ $how == eager ]] || flag=(--compile)
            reading "$how" "$precision" "$python" "$here/torch_step.py" --precision "$precision" \
                --batch "$batch" --threads "$threads" --steps "$steps" "${flag[@]}"
        done
    done
done
echo "batch $batch, $threads threads, $rounds rounds of $steps steps; readings in $out/readings.jsonl"
"$python" "$here/step_table.py" $strict "$out/readings.jsonl"
