#!/bin/sh
# A job of two devices through the program, on every CPU backend: it runs, repeats itself bit for bit, and with
# synchronised BatchNorm follows one device with twice the batch. Under ThreadSanitizer also the place where all
# threads of a run are looked at together.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
tiny_config tiny.yaml
synthetic_faces faces 4 8 48 4 || exit 1
backends=cpu-reference
[ -e "$build/libmcf-backend-cpu.so" ] && backends="cpu-reference cpu"

losses() {
    sed -E 's/.*"loss":([-0-9.e+]+).*/\1/' "$1/log.jsonl"
}
close_to() {
    paste "$1" "$2" | awk '{d = $1 - $2; if (d < 0) d = -d; if (d > 1e-4 * $1) bad = 1} END {exit bad || NR < 4}'
}
for backend in $backends; do
    set -- pretrain tiny.yaml --quiet --backend $backend --set "data.train=[faces]" --set model.sync_batchnorm=true
    check "$backend: two devices" "$mcf" "$@" --devices 0,1 --set batch.per_device=4 --out "two-$backend"
    check "$backend: two devices once more" "$mcf" "$@" --devices 0,1 --set batch.per_device=4 --out "again-$backend"
    check "$backend: one device" "$mcf" "$@" --set batch.per_device=8 --out "one-$backend"
    losses "two-$backend" >two
    losses "again-$backend" >again
    losses "one-$backend" >one
    check "$backend: two devices repeat themselves" cmp two again
    check "$backend: two devices follow one with twice the batch" close_to two one
    check "$backend: two devices make pictures" test -s "two-$backend/pictures/step-00000012.jpg"
done
done_testing
