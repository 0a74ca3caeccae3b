#!/bin/sh
# Several processes by mpirun: a step and a run give what one process gives, to the bit where the order of sums is the
# same; every way in which a rank can be lost ends the others within a minute with its number and leaves the last
# checkpoint. MCF_MPI_LONG=1 (ci/full mpi): also a rank that is stopped, and one killed where mpirun looks away, with
# the limits users have, and more shapes.
. "$(dirname "$0")/lib.sh"
if ! "$mcf" devices 2>/dev/null | grep -q "^several machines:" || ! command -v mpirun >/dev/null; then
    echo "skipped: no MPI here"
    exit 77
fi
cd "$work" || exit 1
long=${MCF_MPI_LONG:-}
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
unset MCF_LOST_AFTER MCF_EXCHANGE_TIMEOUT
# shared machines: a rank must not own a core
ranks() {
    count=$1
    shift
    timeout 600 mpirun --oversubscribe --bind-to none -n "$count" "$@"
}

# --- one step on given tensors
case=$source_dir/tests/golden/batch_32
set -- step "$case/config.yaml" --init "$case/params.safetensors" --batch "$case/batch.safetensors" --threads 1 \
    --steps 3 --quiet
backends=cpu-reference
[ -e "$build/libmcf-backend-cpu.so" ] && backends=cpu
for backend in $backends ${long:+cpu-reference}; do
    check "$backend: one process, 4 devices" "$mcf" "$@" --backend $backend --devices 0,0,0,0 --out one
    check "$backend: 4 ranks" ranks 4 "$mcf" "$@" --backend $backend --out four
    check "$backend: the same bits" cmp one four
    check "$backend: 2 ranks of 2 devices" ranks 2 "$mcf" "$@" --backend $backend --devices 0,0 --out two
    check "$backend: 2 ranks of 2 devices once more" ranks 2 "$mcf" "$@" --backend $backend --devices 0,0 --out again
    check "$backend: the same bits run to run" cmp two again
    check "$backend: 2 ranks of 2 devices as one process" "$build/compare" two one 2e-5
    check "$backend: 2 ranks of 3 devices divide nothing evenly" ranks 2 "$mcf" "$@" --backend $backend \
        --devices 0,0,0 --set model.sync_batchnorm=true --batch "$source_dir/tests/golden/all_terms/batch.safetensors" \
        --init "$source_dir/tests/golden/all_terms/params.safetensors" "$source_dir/tests/golden/all_terms/config.yaml"
done
