#!/bin/sh
# The own kernels at tiny sizes in Oclgrind, which runs them item by item and reports races, accesses out of bounds and
# reads of what nobody wrote. OPERATIONS in the environment takes a sample; ci/full runs all of them.
. "$(dirname "$0")/../lib.sh"
if ! command -v oclgrind >/dev/null; then
    echo "skipped - oclgrind is not installed"
    exit 77
fi
if ! [ -e "$build/libmcf-backend-opencl.so" ] || grep -q '^MCF_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
    echo "skipped - no OpenCL backend in this build, or one with sanitizers"
    exit 77
fi
export XDG_CACHE_HOME="$work"
# Kernels of devices with many small cores, products by tiles; with all operations then those of processors, products by
# panels. Groups of 64 keep it short. Oclgrind does not know an instruction that optimisation brings in (freeze), so there
# is none.
export MCF_OPENCL_STYLE=gpu MCF_OPENCL_OPTIONS=-cl-opt-disable OMP_WAIT_POLICY=passive

# grind LOG COMMAND...
grind() {
    log=$1
    shift
    oclgrind --data-races --uninitialized --max-wgsize 64 --log "$log" "$@"
}
# clean OPERATION: passes, and the log stays empty
clean() {
    : >"$work/log"
    grind "$work/log" "$mcf" check --backend opencl --tiny --precision "${2:-fp32}" --op "$1" --quiet &&
        { [ ! -s "$work/log" ] || { head -n 30 "$work/log"; false; }; }
}

if ! grind "$work/log" "$mcf" devices | grep -q Oclgrind; then
    echo "skipped - oclgrind does not show its device here"
    exit 77
fi
all=$(sed -n 's/^MCF_OP(\([a-z0-9_]*\),.*/\1/p' "$source_dir/ops/ops.def" |
    grep -vE '^(all_reduce|all_gather|reduce_scatter|broadcast)$')
operations=${OPERATIONS:-gelu layer_norm reduce_sum scatter_rows}
[ "$operations" != all ] || operations=$all
for operation in $operations; do
    check "$operation: no race, nothing out of bounds, nothing uninitialised" clean "$operation"
done
if [ "${OPERATIONS:-}" = all ]; then
    for operation in $operations; do
        MCF_OPENCL_STYLE=cpu check "$operation as on a processor" clean "$operation"
    done
    # 16-bit loads and stores once
    for precision in bf16 fp16; do
        check "scale in $precision" clean scale $precision
    done
fi

# Teeth: a kernel without its barriers races, one that reads past its end or what nobody wrote is found.
mutant() {
    rm -rf "$work/kernels"
    cp -r "$source_dir/backends/kernels" "$work/kernels"
    sed -i "$1" "$work/kernels/$2"
    : >"$work/log"
    MCF_OPENCL_KERNELS="$work/kernels" grind "$work/log" "$mcf" check --backend opencl --tiny --precision fp32 \
        --op "$3" --quiet >/dev/null 2>&1
    grep -qi "$4" "$work/log"
}
check "a reduction without barriers is found to race" \
    mutant 's/#define BARRIER barrier.*/#define BARRIER/' device.h layer_norm 'race'
check "a read past the end is found" \
    mutant 's/LOAD(T0, a, i);/LOAD(T0, a, i + 1000000);/' elementwise.cl gelu 'invalid'
check "a sum that starts from nothing is found" \
    mutant 's/float sum = 0, squares = 0;/float sum, squares;/' norm.cl layer_norm 'uninitialized'
done_testing
