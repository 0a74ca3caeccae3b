#!/bin/sh
# mcf bench step --predict: every card, JSON, what is refused; and that --device keeps its meaning without it.
. "$(dirname "$0")/../lib.sh"

small="--config $source_dir/configs/small/faces96.yaml --set model.teacher.checkpoint=random"
fails 2 "known are v100," "an unknown card is refused with the known ones" "$mcf" bench step --device v1000 --predict
fails 2 "wants a card" "a prediction wants a card" "$mcf" bench step --predict
fails 2 "belongs to step" "only steps are predicted" "$mcf" bench ops --device v100 --predict
fails 2 "1 to 16" "seventeen cards are too many" "$mcf" bench step --device v100 --predict \
    --devices 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
fails 2 "give their numbers" "--device without --predict is --devices" "$mcf" bench step --device v100
fails 2 "belongs to step" "only steps have a plan" "$mcf" bench ops --plan
check "a plan: nodes with their places and lifetimes" sh -c "'$mcf' bench step $small --backend cpu-reference --batch 2 --plan |
    grep -Eq '^ +[0-9]+ matmul .*-> %[0-9]+ (f32|bf16)\[[0-9, ]+\] arena\+[0-9]+ until [0-9]+'"
check "and takes numbers" "$mcf" bench step $small --backend cpu-reference --device 0 --steps 1 --warmup 1 --batch 2

cards=$("$mcf" bench step --device x --predict 2>&1 | sed 's/.*known are //; s/,//g')
for card in $cards; do
    "$mcf" bench step --device "$card" --predict >"$work/page"
    check "$card: images a second, hours, memory and what would make it faster" sh -c \
        "grep -q 'images/s and card' '$work/page' && grep -q 'full set (20 million) [0-9.]* h' '$work/page' &&
        grep -q 'fit' '$work/page' && grep -q 'with all of the first three' '$work/page' && ! grep -qi 'nan\|inf ' '$work/page'"
done
check "at least ten cards" test "$(echo "$cards" | wc -w)" -ge 10
check "one card alone has no sums of gradients" sh -c \
    "'$mcf' bench step --device v100 --predict --devices 0 | grep -q 'sums of gradients 0.00 ms'"
check "a config of the repository, in its own precision" "$mcf" bench step \
    --config "$source_dir/configs/pretrain/mcf_light.yaml" --device a100 --predict
check "MoCo-v3" "$mcf" bench step --config "$source_dir/configs/pretrain/moco_v3.yaml" --set precision=fp16 --device v100 \
    --predict
if command -v python3 >/dev/null; then
    "$mcf" bench step --device v100 --predict --json --out "$work/file" >"$work/page"
    check "JSON is read, sums up and is what --out writes" python3 -c "
import json, sys
d = json.load(open('$work/page'))
assert d == json.load(open('$work/file'))
assert abs(d['images_per_second_per_device'] * d['seconds_per_step'] - d['batch'] * d['accumulate']) < 1e-2 # six digits each
assert abs(sum(r['seconds'] for r in d['profile']) - sum(d['by_kernel'].values())) < 1e-3
assert sum(r['seconds'] for r in d['profile']) < d['seconds_per_step']
m = d['memory']
assert m['parameters_bytes'] + m['arena_bytes'] + m['work_bytes'] + m['driver_bytes'] == m['total_bytes'] and m['fits']
assert m['largest_micro_batch'] >= d['batch'] and d['memory_recompute']['largest_micro_batch'] > m['largest_micro_batch']
assert d['assumptions']['f16_flops'] == 125e12
assert d['memory_recompute']['arena_bytes'] < m['arena_bytes']
assert len(d['cards']) == len('$cards'.split())
"
fi
if command -v python3 >/dev/null; then
    "$mcf" bench step $small --backend cpu-reference --steps 1 --warmup 1 --batch 2 --json >"$work/measured"
    "$mcf" bench step $small --device v100 --predict --devices 0 --batch 2 --json >"$work/predicted"
    check "predicted against measured, by operation" sh -c "python3 '$source_dir/bench/scripts/predicted_measured.py' \
        '$work/predicted' '$work/measured' >'$work/table' && grep -q '^attention_grad ' '$work/table' &&
        ! grep -q ' - ' '$work/table'"
fi
# The page of the docs is what the program prints.
check "docs/prediction.md has the printed page (sh bench/scripts/predict.sh writes it)" sh "$source_dir/bench/scripts/predict.sh" --check "$mcf"
for set in align/wflw parse/lapa; do
    for size in 224 448; do
        "$mcf" bench step --config "$source_dir/configs/$set/mcf_$size.yaml" --set 'model.init=""' --set precision=fp16 \
            --device v100 --predict >"$work/page"
        check "$set at $size: hours of finetuning, their range, convolutions among the kernels" sh -c \
            "grep -Eq 'epochs of .* faces on 8 cards: [0-9.]+ h, from [0-9.]+ to [0-9.]+' '$work/page' &&
            grep -q 'conv2d_grad_weight 3x3, 3072 > 768' '$work/page' && ! grep -qi 'nan\|inf ' '$work/page'"
    done
done
done_testing
