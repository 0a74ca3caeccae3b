#!/bin/sh
# Alignment and parsing by mpirun: ranks train what one process with as many devices trains, to the bit, and find its scores,
# though each judges only its own faces; a run goes on with another number of ranks.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../backends/mpi_lib.sh"
cd "$work" || exit 1

# 11 faces are for testing: three devices of 2 leave the last batch unequal.
"$mcf" synth --out faces --count 44 --per-identity 4 --size 64 --seed 5 --framing close --quiet || exit 1
tiny_dense_configs
sed -i 's/^schedule: .*/schedule: {epochs: 2}/; s/^batch: .*/batch: {per_device: 2, accumulate: 2}/; s/workers: 2/workers: 1/' \
    align.yaml parse.yaml

same_weights() {
    for folder in "$1"/checkpoints/*; do
        cmp "$folder/model.safetensors" "$2/checkpoints/${folder##*/}/model.safetensors" &&
            cmp "$folder/optimizer.safetensors" "$2/checkpoints/${folder##*/}/optimizer.safetensors" || return 1
    done
    cmp "$1/best.safetensors" "$2/best.safetensors"
}
# All scores of every validation, but for the losses: one process counts the last batch's, ranks do not.
scores() { grep -o '"validation\.[a-z0-9.-]*":[^,}]*' "$1/log.jsonl" | grep -v 'validation\.loss'; }
same_scores() {
    scores "$1" >a
    scores "$2" >b
    test -s a && cmp a b
}
backend=cpu-reference
[ -e "$build/libmcf-backend-cpu.so" ] && backend=cpu
for task in align parse; do
    for sync in false true; do
        set -- finetune $task.yaml --quiet --threads 1 --backend $backend --set model.sync_batchnorm=$sync
        run=$task-$sync
        check "$run: one process of 3 devices" "$mcf" "$@" --devices 0,0,0 --out $run-one
        check "$run: 3 ranks" ranks 3 "$mcf" "$@" --out $run-ranks
        check "$run: the same bits" same_weights $run-one $run-ranks
        check "$run: the same scores" same_scores $run-one $run-ranks
    done
    set -- finetune $task.yaml --quiet --threads 1 --backend $backend
    check "$task: the first epoch by 3 ranks" ranks 3 "$mcf" "$@" --out $task-moved
    newest=$(find $task-moved/checkpoints -mindepth 1 -maxdepth 1 -type d | sort | tail -n 1)
    rm -r "$newest"
    check "$task: the second by one process of 3 devices" "$mcf" "$@" --devices 0,0,0 --resume --out $task-moved
    check "$task: the bits of a run that did not move" cmp "$newest/model.safetensors" \
        "$task-false-one/checkpoints/${newest##*/}/model.safetensors"
done
check "ranks score what mcf eval scores" sh -c "'$mcf' eval align.yaml --checkpoint align-false-ranks --out e.json --quiet &&
    grep -q nme.inter-ocular e.json"
done_testing
