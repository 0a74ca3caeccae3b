#!/bin/bash
# bench/scripts/dense_step.sh: the training steps of alignment and parsing (ViT-B/16, UperNet of width 768) of this program
# and of PyTorch, eager and compiled, and the head's 3x3 convolutions by oneDNN alone: same sizes, same threads, one run.
#
# Rounds are interleaved, each reading in a process of its own, as in step.sh. The table takes medians.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bench/scripts/dense_step.sh [--mcf PROGRAM] [--python PROGRAM] [--tasks "align parse"] [--precisions "fp32 bf16"]
                     [--batch 5] [--size 224] [--dim 768] [--depth 12] [--channels 768] [--crop 512] [--threads 2]
                     [--rounds 3] [--steps 3] [--out DIR] [--strict]
  --mcf     default build/mcf; --python one that has torch, default .venv/bin/python
  --dim     width of the encoder, with heads of 64; --channels: of the head; --crop: side of the faces and of parsing's labels
  --out     where the readings stay as JSON lines (default: a new folder in the temporary directory)
  --strict  exit 1 where a target is missed
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf python=$here/../../.venv/bin/python tasks="align parse" precisions="fp32 bf16"
batch=5 size=224 dim=768 depth=12 channels=768 crop=512 threads=2 rounds=3 steps=3 out= strict=
while (($#)); do
    case $1 in
    --mcf | --python | --tasks | --precisions | --batch | --size | --dim | --depth | --channels | --crop | --threads | --rounds | --steps | --out)
        (($# > 1)) || { echo "dense_step.sh: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --strict) strict=--strict; shift ;;
    --help) usage; exit 0 ;;
    *) echo "dense_step.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
[[ -x $mcf ]] || { echo "dense_step.sh: $mcf is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
"$python" -c 'import torch' || { echo "dense_step.sh: $python has no torch; say --python PROGRAM" >&2; exit 2; }
[[ -n $out ]] || out=$(mktemp -d)
mkdir -p "$out"
: >"$out/readings.jsonl"
export OMP_NUM_THREADS=$threads
heads=$(((dim + 63) / 64))
quarter=$((depth / 4))
features="$quarter,$((2 * quarter)),$((3 * quarter)),$depth"
((depth != 12)) || features=2,4,8,12

# reading NAME TASK PRECISION COMMAND...: runs it and keeps its JSON as one line.
reading() {
    local name=$1 task=$2 precision=$3
    shift 3
    echo "dense_step.sh: round $round of $rounds, $name $task $precision" >&2
    "$@" 2>"$out/stderr" >"$out/stdout" || { cat "$out/stderr" >&2; echo "dense_step.sh: failed: $*" >&2; exit 1; }
    "$python" "$here/dense_step_table.py" --keep "$name" "$task" "$precision" "$out/stdout" >>"$out/readings.jsonl"
}

for ((round = 1; round <= rounds; round++)); do
    for task in $tasks; do
        outputs=98
        [[ $task == align ]] || outputs=11
        network=(--image-size "$size" --dim "$dim" --depth "$depth" --heads "$heads" --features "$features"
            --channels "$channels" --outputs "$outputs" --label-size "$crop" --batch "$batch" --threads "$threads"
            --steps "$steps" --task "$task")
        for precision in $precisions; do
            reading convolutions "$task" "$precision" "$python" "$here/torch_dense_step.py" --convolutions \
                --precision "$precision" "${network[@]}"
            reading mcf "$task" "$precision" "$mcf" bench step --backend cpu --threads "$threads" \
                --config "$here/../../configs/$task/base.yaml" --set "precision=$precision" --batch "$batch" \
                --steps "$steps" --warmup 1 --json --set "model.image_size=$size" --set "data.crop_size=$crop" \
                --set "model.encoder={dim: $dim, depth: $depth, heads: $heads, mlp_ratio: 4}" \
                --set "model.features=[$features]" --set "model.head.channels=$channels" --set "model.head.outputs=$outputs"
            for how in eager compile; do
                flag=()
                [[ $how == eager ]] || flag=(--compile)
                reading "$how" "$task" "$precision" "$python" "$here/torch_dense_step.py" --precision "$precision" \
                    "${network[@]}" "${flag[@]}"
            done
        done
    done
done
echo "batch $batch of $size pixels, $threads threads, $rounds rounds of $steps steps; readings in $out/readings.jsonl"
"$python" "$here/dense_step_table.py" $strict "$out/readings.jsonl"
