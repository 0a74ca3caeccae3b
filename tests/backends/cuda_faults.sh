#!/bin/sh
# Cards that fail or hang in the middle of a run, on the emulator: the run ends with their number, within the timeout, and
# the last checkpoint stays. And what a trace of the emulator shows: gradients are summed over cards beside the backward
# pass.
. "$(dirname "$0")/../lib.sh"
if ! "$mcf" devices 2>/dev/null | grep -q "emulator of the tests"; then
    echo "skipped: MCF_CUDA is not EMULATE"
    exit 77
fi
cd "$work" || exit 1
tiny_config tiny.yaml
synthetic_faces faces 4 8 48 4 || exit 1

# run FAULT OUT OPTION...
run() {
    fault=$1 out=$2
    shift 2
    MCF_EMULATOR_FAIL=$fault timeout 120 "$mcf" pretrain tiny.yaml --quiet --backend cuda --devices 0,1,2,3 --timeout 3 \
        --set "data.train=[faces]" --set batch.per_device=4 --set "checkpoint.every=1 steps" --out "$out" "$@"
}
check "a run of four cards" run "" whole
# After how many kernels of card 2 its last step begins.
MCF_EMULATOR_TRACE=trace run "" traced --quiet >/dev/null 2>&1
kernels=$(grep -c '^! 2 .* [^m]' trace)
late=$((kernels * 5 / 6))
for kind in fail hang; do
    fails 1 "device 2" "a card that ${kind}s ends the run with its number" run 2:$kind:$late $kind
    grep -q "device 2" errors && [ -n "$(ls $kind/checkpoints 2>/dev/null)" ] && ok "$kind: a checkpoint stays" ||
        not_ok "$kind: a checkpoint stays"
    check "$kind: the run goes on from there" run "" $kind --resume
    newest=$(ls whole/checkpoints | tail -n 1)
    check "$kind: to the same weights" cmp "whole/checkpoints/$newest/model.safetensors" "$kind/checkpoints/$newest/model.safetensors"
done

# Of card 0's backward pass: how much of what was enqueued after the first sum over cards ran before that sum, and how
# much after it. Where neither stream waits for the other, some order of streams shows each.
overlap() {
    awk '$2 == 0 {
        if ($1 == "+" && $4 ~ /^group_sum/ && !asked) { asked = 1; sums = $3 }
        if ($1 == "+" && $4 ~ /^adamw/) done = 1
        if ($1 == "+" && $3 == 0) queued[++q] = asked && !done
        if ($1 == "!" && $3 == 0 && queued[++r]) { if (ran) after++; else before++ }
        if ($1 == "!" && $4 ~ /^group_sum/ && $3 == sums) ran = 1
    } END { print before + 0, after + 0 }' trace
}
before=0 after=0
for seed in 1 2 3 4 5 6; do
    case=$source_dir/tests/golden/batch_32
    MCF_EMULATOR_SEED=$seed MCF_EMULATOR_TRACE=trace "$mcf" step "$case/config.yaml" --init "$case/params.safetensors" \
        --batch "$case/batch.safetensors" --backend cuda --quiet --devices 0,1 --out step.safetensors
    # shellcheck disable=SC2046
    set -- $(overlap)
    echo "seed $seed: of the work behind the first sum over cards $1 pieces ran before it, $2 after"
    [ "$1" -gt 0 ] && before=1
    [ "$2" -gt 0 ] && after=1
done
[ $after = 1 ] && ok "gradients are summed before the backward pass ends" || not_ok "gradients are summed before the backward pass ends"
[ $before = 1 ] && ok "the backward pass does not wait for the sums" || not_ok "the backward pass does not wait for the sums"
done_testing
