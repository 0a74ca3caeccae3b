#!/bin/sh
# The CUDA backend on the emulator: the check of every operation, and the same bits whatever order its streams run in, on
# one device and on four. MCF_CUDA_SEEDS: how many orders (4).
. "$(dirname "$0")/../lib.sh"
if ! "$mcf" devices 2>/dev/null | grep -q "emulator of the tests"; then
    echo "skipped: MCF_CUDA is not EMULATE"
    exit 77
fi
cd "$work" || exit 1

# step CASE OPTION...
step() {
    case=$source_dir/tests/golden/$1
    shift
    "$mcf" step "$case/config.yaml" --init "$case/params.safetensors" --batch "$case/batch.safetensors" \
        --backend cuda --quiet "$@"
}

check "every operation, small" "$mcf" check --backend cuda --tiny --quiet
# Tensor cores for bf16 come with sm_80.
for op in attention attention_grad matmul; do
    check "sm_80: $op" env MCF_EMULATOR_MAJOR=8 "$mcf" check --backend cuda --tiny --quiet --op $op
done
# A card that runs code of an older one, from PTX: bf16 goes to the shared kernels, for attention's own are not there.
check "sm_80 with code of sm_75" env MCF_EMULATOR_MAJOR=8 MCF_EMULATOR_CODE=75 "$mcf" check --backend cuda --tiny --quiet \
    --op attention
MCF_EMULATOR_TRACE=contexts check "a step on device 1" step all_terms --devices 1 --out one.safetensors
check "opens no other device's context" test "$(grep '^c' contexts)" = "c 1"
check "a step" step all_terms --out first.safetensors
seed=1
while [ $seed -lt "${MCF_CUDA_SEEDS:-4}" ]; do
    MCF_EMULATOR_SEED=$seed
    export MCF_EMULATOR_SEED
    check "seed $seed" step all_terms --out other.safetensors
    check "seed $seed: the same bits" cmp first.safetensors other.safetensors
    check "seed $seed, four devices" step batch_32 --devices 0,1,2,3 --out four.safetensors
    [ $seed = 1 ] && cp four.safetensors four-first.safetensors
    check "seed $seed, four devices: the same bits" cmp four-first.safetensors four.safetensors
    seed=$((seed + 1))
done
done_testing
