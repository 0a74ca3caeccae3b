#!/bin/sh
# Ranks of several emulated cards each: the group inside, MPI between, in every run the same bits, whatever the order of
# streams. MCF_CUDA_SEEDS (more in ci/full cuda): how many orders.
. "$(dirname "$0")/../lib.sh"
if ! "$mcf" devices 2>/dev/null | grep -q "emulator of the tests"; then
    echo "skipped: MCF_CUDA is not EMULATE"
    exit 77
fi
. "$(dirname "$0")/mpi_lib.sh"
cd "$work" || exit 1
set -- --backend cuda
check "one card, BatchNorm in 4 groups" step batch_32 "$@" --set model.batchnorm_groups=4 --out groups4
check "one card, BatchNorm in 8 groups" step batch_32 "$@" --set model.batchnorm_groups=8 --out groups8
launch="ranks 4"
check "4 ranks of 2 cards" step batch_32 "$@" --devices 0,1 --out four
launch=
check "4 ranks of 2 cards as one card" agree four groups8 batch_32 2e-5
seeds=${MCF_CUDA_SEEDS:-2} seed=0
[ "$seeds" -lt 5 ] || seeds=5
while [ $seed -lt "$seeds" ]; do
    MCF_EMULATOR_SEED=$seed
    export MCF_EMULATOR_SEED
    launch="ranks 2"
    check "2 ranks of 2 cards, order $seed" step batch_32 "$@" --devices 0,1 --out "got$seed"
    launch=
    [ $seed = 0 ] || check "2 ranks of 2 cards, order $seed: the same bits" cmp got0 "got$seed"
    seed=$((seed + 1))
done
check "2 ranks of 2 cards as one card" agree got0 groups4 batch_32 2e-5
launch="ranks 2"
for run in 0 1; do
    MCF_EMULATOR_SEED=$run
    check "2 ranks of 2 cards in fp16, order $run" step batch_32 "$@" --devices 0,1 --set precision=fp16 \
        --set model.sync_batchnorm=true --out "half$run"
done
launch=
check "2 ranks of 2 cards in fp16: judged" agree half0 "$source_dir/tests/golden/batch_32/expected.safetensors" batch_32 fp16
check "2 ranks of 2 cards in fp16: the same bits" cmp half0 half1
launch="ranks 2"
MCF_EMULATOR_PEERS=none
export MCF_EMULATOR_PEERS
check "2 ranks of 2 cards without peers" step batch_32 "$@" --devices 0,1 --out alone
check "without peers: the same bits" cmp alone got0
launch=
unset MCF_EMULATOR_PEERS MCF_EMULATOR_SEED

tiny_config tiny.yaml
synthetic_faces faces 4 8 48 4 || exit 1
lose "a rank of 2 cards killed in mid-step" KILL 1 "process rank 1" ranks 2 "$mcf" pretrain tiny.yaml --quiet \
    --backend cuda --devices 0,1 --set "data.train=[faces]" --set batch.per_device=2 --set schedule.epochs=100000
done_testing
