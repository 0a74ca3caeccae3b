#!/bin/sh
# Worked steps on the emulator in many orders of streams, blocks and threads: each result within 2e-4 of what PyTorch
# computed, and the same bits in each order. Of the shared examples ($MCF_SHARED/golden) where they are, else of
# tests/golden. Then one step in fp16, whose attention is that of attention_volta.cu: its bits. MCF_CUDA_SEEDS: how many
# orders (2).
. "$(dirname "$0")/../lib.sh"
if ! "$mcf" devices 2>/dev/null | grep -q "emulator of the tests"; then
    echo "skipped: MCF_CUDA is not EMULATE"
    exit 77
fi
cd "$work" || exit 1
folder=${MCF_SHARED:-$source_dir/../shared}/golden cases="mcf mcf_3steps mae_pixel"
[ -f "$folder/mcf/config.yaml" ] || folder=$source_dir/tests/golden cases="all_terms one_block patch_norm"

for name in $cases; do
    case=$folder/$name seed=0
    while [ $seed -lt "${MCF_CUDA_SEEDS:-2}" ]; do
        check "$name, order $seed" env MCF_EMULATOR_SEED=$seed "$mcf" step "$case/config.yaml" --backend cuda --quiet \
            --init "$case/params.safetensors" --batch "$case/batch.safetensors" --steps "$(cat "$case/steps")" \
            --out "$name-$seed.safetensors"
        check "$name, order $seed: judged" "$build/judge_step" "$name-$seed.safetensors" "$case/expected.safetensors" \
            "$case/params.safetensors" 2e-4
        if [ $seed -gt 0 ]; then
            check "$name, order $seed: the same bits" cmp "$name-0.safetensors" "$name-$seed.safetensors"
            rm -f "$name-$seed.safetensors"
        fi
        seed=$((seed + 1))
    done
done
case=$source_dir/tests/golden/wide_heads seed=0
while [ $seed -lt "${MCF_CUDA_SEEDS:-2}" ]; do
    check "wide_heads in fp16, order $seed" env MCF_EMULATOR_SEED=$seed MCF_EMULATOR_TRACE=kernels "$mcf" step \
        "$case/config.yaml" --backend cuda --quiet --init "$case/params.safetensors" --batch "$case/batch.safetensors" \
        --set precision=fp16 --out "half-$seed.safetensors"
    check "wide_heads in fp16, order $seed: the same bits" cmp half-0.safetensors "half-$seed.safetensors"
    seed=$((seed + 1))
done
check "attention in registers was in it" grep -q volta_backward_five kernels
done_testing
