#!/bin/sh
# The OpenCL backend as a user meets it: no platform, a module that does not load, selection of devices, two devices,
# memory limits, the cache of kernels under concurrent starts and damage, kernels that do not compile, and a short
# pre-training whose losses are those of the CPU.
. "$(dirname "$0")/../lib.sh"
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
fails 2 "opencl has no device 57" "the second device is not there" \
    "$mcf" check --backend opencl --devices 0,57 --op fill --tiny --quiet
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
    if ! "$mcf" devices --json | grep -q '"detail": "CPU, Portable.*, fp16'; then
        check "no fp16 in the device: mcf devices says that products are not faster" \
            sh -c "'$mcf' devices | grep Portable | grep -qF 'fp16 (emulated)'"
        check "no fp16 in the device: fp16 tensors all the same" \
            "$mcf" check --backend opencl --precision fp16 --op add --tiny --quiet
    fi
fi

# --- memory. PoCL can be told to have 1 GiB; on a large GPU the step would fit.
tiny_config tiny.yaml
synthetic_faces faces 4 8 48 4 || exit 1
[ -z "${POCL_DEVICES:-}" ] || fails 1 "lower batch.per_device" "more memory than there is: how much, what is free, what to lower" \
    env POCL_MEMORY_LIMIT=1 "$mcf" bench step --config tiny.yaml --backend opencl --batch 4096 --steps 1 --warmup 1 \
    --set model.encoder.depth=16 --set model.encoder.dim=512
[ -z "${POCL_DEVICES:-}" ] || check "out of memory names the numbers" \
    grep -q 'asked for .* MiB.* of .* MiB are free' "$work/errors"

# Where the device limits single buffers the arena lies in several: other places, the same bits.
golden=$source_dir/tests/golden/all_terms piece=60000
step_to() {
    env MCF_OPENCL_ALLOCATION="$2" "$mcf" step "$golden/config.yaml" --init "$golden/params.safetensors" \
        --batch "$golden/batch.safetensors" --steps 4 --backend opencl --quiet --out "$1"
}
in_pieces() {
    "$mcf" bench step --config "$golden/config.yaml" --backend opencl --batch 7 --steps 1 --warmup 1 --json >bench.json &&
        [ "$(sed -n 's/.*"arena_bytes": \([0-9]*\).*/\1/p' bench.json)" -gt $piece ] &&
        step_to whole.safetensors 0 && step_to pieces.safetensors $piece && cmp whole.safetensors pieces.safetensors
}
check "the arena in pieces" in_pieces
fails 1 "asked for one piece" "a buffer larger than a piece" step_to none.safetensors 4096

# --- the cache
rm -rf cache
softmax() { "$@" "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet; }
for i in 1 2 3; do
    softmax env >"start$i" 2>&1 &
done
softmax env >start4 2>&1 &
sleep 0.4
kill -9 $! 2>/dev/null
wait
together() {
    for i in 1 2 3; do
        tail -n 1 "start$i" | grep -q ' 0 failed' || return 1
    done
}
check "three starts at once on an empty cache, a fourth one killed" together
entries() { find cache/mcf -name 'opencl-*.bin' | sort; }
check "compiled kernels are kept" test -n "$(entries)"
unfinished() { find cache/mcf -name 'opencl-*.bin.*'; }
killer=$build/libkill_in_rename.so
if [ -e "$killer" ]; then
    rm -rf cache/mcf
    softmax env LD_PRELOAD="$killer" >killed 2>&1
    check "killed while it writes an entry: half of it, beside" test $? = 137 -a -z "$(entries)" -a -n "$(unfinished)"
    check "the next start compiles anew" softmax env
    check "and keeps a whole entry" test -n "$(entries)" -a -n "$(unfinished)"
    touch -d '2 hours ago' $(unfinished)
    rm -f $(entries)
    check "a later one writes" softmax env
    check "and removes what was left unfinished" test -z "$(unfinished)"
fi
for file in $(entries); do
    head -c 100 "$file" >short && mv short "$file"
done
check "damaged entries are compiled anew" softmax env
whole() { for file in $(entries); do [ "$(wc -c <"$file")" -gt 200 ] || return 1; done; }
check "and replaced" whole
for file in $(entries); do
    printf 'x' | dd of="$file" bs=1 seek=300 conv=notrunc 2>/dev/null
done
check "flipped bytes are noticed" softmax env
check "a cache folder that cannot be made costs time only" \
    softmax env XDG_CACHE_HOME=/proc/none "POCL_CACHE_DIR=$work/pocl"
mkdir -p full/mcf && ln -s /dev/full "full/mcf/$(basename "$(entries | head -n 1)")"
check "an entry that is something else costs time only" \
    softmax env XDG_CACHE_HOME="$work/full" "POCL_CACHE_DIR=$work/pocl"

fails 1 "the tuning cannot be kept" "tuning without a folder to keep it in" env XDG_CACHE_HOME=/proc/none \
    "POCL_CACHE_DIR=$work/pocl" "$mcf" bench ops --backend opencl --tune --seconds 0.01

# --- kernels that do not compile
mkdir kernels
cp "$source_dir/backends/kernels/"*.cl "$source_dir/backends/kernels/device.h" \
    "$source_dir/backends/kernels/functions.h" kernels
line=$(grep -n 'KERNEL void softmax(' kernels/softmax.cl | head -n 1 | cut -d: -f1)
sed -i "${line}s/^/nonsense_here /" kernels/softmax.cl
MCF_OPENCL_KERNELS="$work/kernels" "$mcf" check --backend opencl --op softmax --tiny --precision fp32 --quiet \
    >compile.txt 2>&1
check "the compiler's log names our file and line" grep -q "backends/kernels/softmax.cl:$line" compile.txt

# --- sub-groups: emulated, for no device of the tests has them; and turned down by the compiler
cp "$source_dir/backends/kernels/softmax.cl" kernels
in_subgroups() {
    cat "$source_dir/tests/opencl/subgroups.h" "$source_dir/backends/kernels/device.h" >kernels/device.h
    sed -i "${2:-}" kernels/device.h
    env MCF_OPENCL_STYLE=gpu MCF_OPENCL_SUBGROUPS=1 MCF_OPENCL_KERNELS="$work/kernels" \
        "$mcf" check --backend opencl --op "$1" --tiny --precision fp32 --quiet
}
for op in softmax layer_norm cross_entropy; do
    check "$op over sub-groups" in_subgroups $op
done
not_in_subgroups() { ! in_subgroups "$@"; }
check "they are what runs: without the last sub-group it is wrong" \
    not_in_subgroups layer_norm 's/i < get_num_sub_groups()/i + 1 < get_num_sub_groups()/'
check "a compiler that turns them down" env MCF_OPENCL_STYLE=gpu MCF_OPENCL_SUBGROUPS=1 \
    "$mcf" check --backend opencl --op layer_norm --tiny --precision fp32 --quiet

# --- a short pre-training: the curves of both backends, same seeds; docs/opencl.md argues the bounds
# curve RUN: loss and norm of the gradient, step by step
curve() {
    sed -nE 's/.*"loss":([-0-9.e+]+).*"gradient_norm":([-0-9.e+]+).*/\1 \2/p' "$1/log.jsonl"
}
close_to() {
    paste "$1" "$2" | awk '
        function off(a, b) {return (a > b ? a - b : b - a) / a}
        off($1, $3) > 2e-6 || off($2, $4) > 5e-5 {bad = 1}
        END {exit bad || NR < 12}'
}
# train OUT BACKEND
train() {
    "$mcf" pretrain tiny.yaml --quiet --backend "$2" --set "data.train=[faces]" --set optimizer.lr=1e-5 --out "$1" &&
        curve "$1" >"$1.curve"
}
if [ -e "$build/libmcf-backend-cpu.so" ]; then
    for backend in cpu opencl; do
        check "$backend: a short pre-training" train run-$backend $backend
    done
    check "the curve of the loss is the CPU's" close_to run-cpu.curve run-opencl.curve
    check "a second run" train again opencl
    check "it gives the same bits" cmp again.curve run-opencl.curve
    mkdir faulty
    cp "$source_dir/backends/kernels/"*.cl "$source_dir/backends/kernels/device.h" \
        "$source_dir/backends/kernels/functions.h" faulty
    sed -i 's/gelu_grad, y \*gelu_slope/gelu_grad, 1.01f * y *gelu_slope/' faulty/elementwise.cl
    check "with one gradient 1 % too large" env MCF_OPENCL_KERNELS="$work/faulty" sh -c "'$mcf' pretrain tiny.yaml --quiet \
        --backend opencl --set 'data.train=[faces]' --set optimizer.lr=1e-5 --out wrong"
    curve wrong >wrong.curve
    differs() { ! close_to "$@"; }
    check "it is not" differs run-cpu.curve wrong.curve
fi
done_testing
