#!/bin/sh
# What a published training takes: ViT-B/16 with UperNet at 448 pixels, 5 images a device, fp32, recomputed blocks, within
# 12 GiB. The plan is made as for a step and nothing is computed.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

# need TASK RECOMPUTE: MiB of state and arena
need() {
    "$mcf" bench step --plan --backend cpu --config "$source_dir/configs/$1/base.yaml" --set model.image_size=448 \
        --batch 5 --set "model.recompute=$2" >plan 2>&1 || return 1
    awk '/^besides .* MiB of parameters/ { state = $2 }
        match($0, /arena [0-9.]+ MiB/) && !arena { split(substr($0, RSTART), word, " "); arena = word[2] }
        END { if (!state || !arena) exit 1; printf "%.0f\n", state + arena }' plan
}
for task in align parse; do
    recomputed=$(need $task blocks)
    kept=$(need $task none)
    check "$task: $recomputed MiB are at most 12 GiB" test "${recomputed:-99999}" -le 12288
    check "$task: and less than without recomputing, $kept MiB" test "${recomputed:-99999}" -lt "${kept:-0}"
done
done_testing
