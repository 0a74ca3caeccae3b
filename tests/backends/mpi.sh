#!/bin/sh
# Several processes by mpirun: a step and a run give what one process gives, to the bit where the order of sums is the
# same; every way in which a rank can be lost ends the others within a minute with its number and leaves the last
# checkpoint. MCF_MPI_LONG=1 (ci/full mpi): with the limits that users have, and where mpirun itself looks away.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/mpi_lib.sh"
cd "$work" || exit 1
long=${MCF_MPI_LONG:-}
backends=cpu-reference
[ -e "$build/libmcf-backend-cpu.so" ] && backends="cpu${long:+ cpu-reference}"

# --- a step on given tensors
for backend in $backends; do
    set -- --steps 3 --threads 1 --backend $backend
    check "$backend: one process of 4 devices" step batch_32 "$@" --devices 0,0,0,0 --out one
    launch="ranks 4"
    check "$backend: 4 ranks" step batch_32 "$@" --out four
    check "$backend: 4 ranks: the same bits" cmp one four
    launch="ranks 2"
    check "$backend: 2 ranks of 2 devices" step batch_32 "$@" --devices 0,0 --out two
    check "$backend: 2 ranks of 2 devices once more" step batch_32 "$@" --devices 0,0 --out again
    check "$backend: 2 ranks of 2 devices: the same bits run to run" cmp two again
    launch=
    check "$backend: 2 ranks of 2 devices as one process" agree two one batch_32 2e-5
    check "$backend: one device, BatchNorm in 4 groups" step batch_32 "$@" --set model.batchnorm_groups=4 --out groups
    check "$backend: 4 ranks as one device" agree four groups batch_32 2e-5
    check "$backend: one device" step batch_32 "$@" --set model.sync_batchnorm=true --out whole
    launch="ranks 2"
    check "$backend: 2 ranks of 2 devices, synchronised" step batch_32 "$@" --devices 0,0 \
        --set model.sync_batchnorm=true --out sync
    check "$backend: 2 ranks, MoCo-v3, synchronised" step moco_batch_32 --threads 1 --backend $backend \
        --set model.sync_batchnorm=true --out moco_two
    launch=
    check "$backend: 2 ranks of 2 devices, synchronised, as one device" agree sync whole batch_32 2e-5
    check "$backend: one device, MoCo-v3" step moco_batch_32 --threads 1 --backend $backend \
        --set model.sync_batchnorm=true --out moco
    check "$backend: 2 ranks, MoCo-v3, as one device" agree moco_two moco moco_batch_32 2e-4
done

# --- a run
tiny_config tiny.yaml
synthetic_faces faces 4 16 48 4 || exit 1
mkdir broken && cp -r faces/* broken/ || exit 1
echo "no picture" >"$(find broken -name '*.jpg' | sort | sed -n 20p)"
set -- pretrain tiny.yaml --threads 1 --set "data.train=[faces]" --set "data.validation=[faces]" \
    --set batch.per_device=2
same_run() {
    for folder in "$1"/checkpoints/*; do
        cmp "$folder/model.safetensors" "$2/checkpoints/${folder##*/}/model.safetensors" &&
            cmp "$folder/optimizer.safetensors" "$2/checkpoints/${folder##*/}/optimizer.safetensors" || return 1
    done
    sed -E 's/"(seconds|images_per_second|time)":[-0-9.e+]+,?//g' "$1/log.jsonl" >a
    sed -E 's/"(seconds|images_per_second|time)":[-0-9.e+]+,?//g' "$2/log.jsonl" >b
    cmp a b && [ "$(ls "$1" | grep -v tfevents)" = "$(ls "$2" | grep -v tfevents)" ]
}
check "a run of one process" "$mcf" "$@" --quiet --devices 0,0,0,0 --out one_run
check "a run of 4 ranks" ranks 4 "$mcf" "$@" --quiet --out four_run
check "a run of 4 ranks: the same bits, log and pictures" same_run one_run four_run
check "its pictures are made" test -s four_run/pictures/original.jpg
check "with a broken image, one process" "$mcf" "$@" --quiet --set "data.train=[broken]" --devices 0,0,0,0 --out one_broken
check "with a broken image, 4 ranks" ranks 4 "$mcf" "$@" --quiet --set "data.train=[broken]" --out four_broken
check "with a broken image: the same bits and log" same_run one_broken four_broken
check "the broken image is named" grep -q "takes its place" four_broken/log.jsonl

# --- stopped by a signal to one rank, gone on with another number of ranks
# stop_run RANK UNTIL COMMAND...: starts a run into `stopped`, asks a rank to stop once UNTIL succeeds
stop_run() {
    rank=$1 until=$2
    shift 2
    "$@" --set schedule.epochs=400 --out stopped >stopped.out 2>stopped.err &
    launcher=$!
    tries=0
    while ! eval "$until" >/dev/null 2>&1 && [ $tries -lt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -TERM $(process_of "$rank" stopped)
    wait $launcher
    grep -q "^mcf: stopped after step .* saved" stopped.err
}
check "a rank that is asked to stop stops all, saved" stop_run 2 "ls stopped/checkpoints/step-*" ranks 4 "$mcf" "$@"
check "going on with 2 ranks" stop_run 0 "grep resumed stopped/log.jsonl" ranks 2 "$mcf" "$@" --resume
check "the log says so" grep -q '"resumed":"devices: 2 was 4; machines: 2 was 4"' stopped/log.jsonl
check "and that it is told" grep -q "resumed with other machines: 2 was 4" stopped.err

# --- mistakes: one line, from one rank
fails_once() {
    text=$1
    shift
    "$@" >mistake.out 2>mistake.err
    [ $? != 0 ] && [ "$(grep -c '^mcf: ' mistake.err)" = 1 ] && grep -q "^mcf: .*$text" mistake.err && return
    cat mistake.out mistake.err
    return 1
}
check "a run that is there" fails_once "holds a run already" ranks 3 "$mcf" "$@" --quiet --out four_run
check "an unknown key" fails_once "unknown" ranks 3 "$mcf" "$@" --quiet --set model.depht=3 --out none
check "other numbers of devices" fails_once "rank 1 .* opens 2 devices" timeout 100 mpirun --oversubscribe \
    -n 1 "$mcf" "$@" --quiet --out none : -n 1 "$mcf" "$@" --quiet --devices 0,0 --out none
cp -r faces fewer && rm "$(find fewer -name '*.jpg' | sort | sed -n 20p)" || exit 1
check "other images" fails_once "rank 1 .* sees 63 images" timeout 100 mpirun --oversubscribe \
    -n 1 "$mcf" "$@" --quiet --out none2 : -n 1 "$mcf" "$@" --quiet --set "data.train=[fewer]" --out none2
# A deviation of zero makes infinities of one rank's images.
check "a loss that is not finite on one rank names its images" fails_once "images of device 0 of rank 1: .*jpg" \
    timeout 100 mpirun --oversubscribe -n 1 "$mcf" "$@" --quiet --out none4 \
    : -n 1 "$mcf" "$@" --quiet --set "model.std=[1e-44, 1e-44, 1e-44]" --out none4
cat >stopped.sh <<'SH'
[ "$OMPI_COMM_WORLD_RANK" != 1 ] || kill -STOP $$
exec "$@"
SH
check "a rank that is stopped at its start ends the others" fails_once "did not come together within 3 s" \
    env MCF_EXCHANGE_TIMEOUT=3 timeout 100 mpirun --oversubscribe -n 2 sh stopped.sh "$mcf" "$@" --quiet --out none5
modules=$work/modules
mkdir "$modules" && cp "$build/mcf" "$modules/" || exit 1
for module in "$build"/libmcf-backend-*.so; do ln -s "$module" "$modules/"; done
fails 1 "started as one of 2 processes: transport mpi is not installed" "without the module" \
    env OMPI_COMM_WORLD_SIZE=2 "$modules/mcf" "$@" --quiet --out none3
check "without the module it runs alone" "$modules/mcf" "$@" --quiet --out alone

# --- ranks that are lost
set -- "$@" --quiet --set schedule.epochs=100000
lose "killed in mid-step" KILL 1 "process rank 1" ranks 3 "$mcf" "$@"
MCF_LOST_AFTER=${long:+30}
MCF_LOST_AFTER=${MCF_LOST_AFTER:-8}
export MCF_LOST_AFTER
lose "stopped in mid-step" STOP 1 "mcf: rank 1 of 3" ranks 3 "$mcf" "$@"
if [ -n "$long" ]; then
    lose "rank 0 stopped" STOP 0 "mcf: rank 0 of 3" ranks 3 "$mcf" "$@"
    overlooks=1
    lose "killed while mpirun looks away" KILL 2 "mcf: rank 2 of 3" ranks 3 --mca orte_enable_recovery 1 "$mcf" "$@"
fi
done_testing
