#!/bin/sh
# The OpenCL backend as a user meets it: no platform, a module that does not load, selection of devices, two devices,
# memory limits, the cache of kernels under concurrent starts and damage, kernels that do not compile, and a short
# pre-training whose losses are those of the CPU.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export XDG_CACHE_HOME="$work/cache" OMP_WAIT_POLICY=passive
module=$build/libmcf-backend-opencl.so
if [ ! -e "$module" ]; then
    echo "skipped - this build has no OpenCL backend"
    exit 77
fi

# --- what needs no device
devices_say() {
    env "$1" "$mcf" devices >devices.txt 2>&1 && grep -qF -- "$2" devices.txt
}
fails 1 "no OpenCL platform" "no platform: said with what to install" \
    env OCL_ICD_VENDORS=/nonexistent "$mcf" check --backend opencl --tiny --quiet
check "no platform: mcf devices still lists the others" devices_say OCL_ICD_VENDORS=/nonexistent \
    "opencl: backend opencl cannot be used here: no OpenCL platform"
mkdir broken
echo "this is no library" >broken/libmcf-backend-opencl.so
fails 1 "backend opencl does not load" "a module that is no library" \
    env MCF_MODULE_PATH="$work/broken" "$mcf" check --backend opencl --tiny --quiet
check "a module that does not load: mcf devices says why" devices_say "MCF_MODULE_PATH=$work/broken" \
    "opencl: backend opencl does not load"

if ! "$mcf" devices --json >devices.json 2>/dev/null || ! grep -q '"backend": "opencl"' devices.json ||
    "$mcf" check --backend opencl --op fill --tiny --quiet 2>&1 | grep -q "no OpenCL"; then
    echo "skipped - no OpenCL device here: the rest"
    [ $failures = 0 ] && exit 77
    exit 1
fi

# --- devices
fails 2 "opencl has no device 57" "a device that is not there" \
    "$mcf" check --backend opencl --devices 57 --op fill --quiet
fails 1 "none of" "a name that no device has" \
    env MCF_OPENCL_DEVICE=nothing-like-this "$mcf" check --backend opencl --op fill --quiet
if "$mcf" devices | grep -q 'Portable Computing Language'; then
    export POCL_DEVICES="pthread pthread"
    count() {
        [ "$(MCF_OPENCL_DEVICE=$1 "$mcf" devices | grep -c 'Portable Computing Language')" = "$2" ]
    }
    check "devices by type" count cpu 2
    check "devices by a part of the name" count pthread 2
    check "no such type" count gpu 0
    check "the second device" "$mcf" check --backend opencl --devices 1 --op gelu --tiny --quiet
    check "a group of two devices" "$mcf" check --backend opencl --op group --tiny --quiet
    # This driver offers no cl_khr_fp16: half precision is stored, never computed in.
    if ! "$mcf" devices | grep Portable | grep -q ', fp16,'; then
        check "no fp16 in the device: fp16 tensors all the same" \
            "$mcf" check --backend opencl --precision fp16 --op add --tiny --quiet
    fi
fi

# --- memory. PoCL can be told to have 1 GiB; on a large GPU the step would fit.
tiny_config tiny.yaml
synthetic_faces faces 4 8 48 4 || exit 1
[ -z "${POCL_DEVICES:-}" ] || fails 1 "lower batch.per_device" "more memory than there is: how much, what is free, what to lower" \
    env POCL_MEMORY_LIMIT=1 "$mcf" bench step --config tiny.yaml --backend opencl --batch 256 --steps 1 --warmup 1 \
    --set model.encoder.depth=16 --set model.encoder.dim=512
[ -z "${POCL_DEVICES:-}" ] || check "out of memory names the numbers" \
    grep -q 'asked for .* MiB.* of .* MiB are free' "$work/errors"

# --- the cache
rm -rf cache
for i in 1 2 3; do
    "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet >"start$i" 2>&1 &
done
wait
together() {
    for i in 1 2 3; do
        tail -n 1 "start$i" | grep -q ' 0 failed' || return 1
    done
}
check "three starts at once on an empty cache" together
entries() { find cache/mcf -name 'opencl-*.bin' | sort; }
check "compiled kernels are kept" test -n "$(entries)"
check "nothing unfinished stays behind" test -z "$(find cache/mcf -name '*.bin.*')"
for file in $(entries); do
    head -c 100 "$file" >short && mv short "$file"
done
check "damaged entries are compiled anew" \
    "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet
whole() { for file in $(entries); do [ "$(wc -c <"$file")" -gt 200 ] || return 1; done; }
check "and replaced" whole
for file in $(entries); do
    printf 'x' | dd of="$file" bs=1 seek=300 conv=notrunc 2>/dev/null
done
check "flipped bytes are noticed" "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet
check "a cache folder that cannot be made costs time only" \
    env XDG_CACHE_HOME=/proc/none "POCL_CACHE_DIR=$work/pocl" \
    "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet

# --- kernels that do not compile
mkdir kernels
cp "$source_dir/backends/kernels/"*.cl "$source_dir/backends/kernels/device.h" \
    "$source_dir/backends/kernels/functions.h" kernels
line=$(grep -n 'KERNEL void softmax(' kernels/softmax.cl | head -n 1 | cut -d: -f1)
sed -i "${line}s/^/nonsense_here /" kernels/softmax.cl
MCF_OPENCL_KERNELS="$work/kernels" "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet \
    >compile.txt 2>&1
check "the compiler's log names our file and line" grep -q "backends/kernels/softmax.cl:$line" compile.txt

# --- a short pre-training: the losses of both backends, same seeds. See docs/opencl.md for the tolerance.
losses() {
    sed -E 's/.*"loss":([-0-9.e+]+).*/\1/' "$1/log.jsonl"
}
close_to() {
    paste "$1" "$2" | awk '{d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3 * $1) bad = 1} END {exit bad || NR < 4}'
}
if [ -e "$build/libmcf-backend-cpu.so" ]; then
    for backend in cpu opencl; do
        check "$backend: a short pre-training" "$mcf" pretrain tiny.yaml --quiet --backend $backend \
            --set "data.train=[faces]" --out "run-$backend"
        losses "run-$backend" >"$backend.losses"
    done
    check "the curve of the loss is the CPU's" close_to cpu.losses opencl.losses
    check "a second run gives the same bits" sh -c "'$mcf' pretrain tiny.yaml --quiet --backend opencl \
        --set 'data.train=[faces]' --out again && sed -E 's/.*\"loss\":([-0-9.e+]+).*/\\1/' again/log.jsonl |
        cmp - opencl.losses"
fi
done_testing
