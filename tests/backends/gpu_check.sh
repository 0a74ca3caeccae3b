#!/bin/sh
# ci/gpu-check on the emulator, in small; what it says without a toolkit, where a check fails and where time is short.
. "$(dirname "$0")/../lib.sh"
cc="${CMAKE_C_COMPILER_LAUNCHER:-} ${CC:-cc}" cxx="${CMAKE_CXX_COMPILER_LAUNCHER:-} ${CXX:-c++}"
out=$work/out
export MCF_EMULATOR_DEVICES=4  # half of what it has is enough here

# gpu_check CODE WHAT OPTION...: exits with the code
gpu_check() {
    code=$1 what=$2
    shift 2
    CC=$cc CXX=$cxx sh "$source_dir/ci/gpu-check" --out "$out" "$@" >"$work/output" 2>&1
    got=$?
    if [ $got = "$code" ]; then
        ok "$what"
    else
        not_ok "$what"
        echo "  exit code $got, wanted $code"
        tail -n 40 "$work/output"
    fi
}
says() {
    check "the page says: $1" grep -qF -- "$1" "$out/result.md"
}

gpu_check 0 "everything on the emulator" --emulate --steps 3
says "# gpu-check on the emulator, no card: passed"
for part in build operations goldens training cards speed; do
    says "| $part | passed |"
done
says "| sanitizer | not here |"
says "| attention M_1"
megabytes=$(sed -n 's/.*; \([0-9]*\) MiB with the sources.*/\1/p' "$out/result.md")
check "sources and build are below 64 MiB (${megabytes:-?})" test "${megabytes:-64}" -lt 64

# A program that fails in the place of the one that was built.
printf '#!/bin/sh\necho "= no good"\nexit 1\n' >"$out/build/gpu-check"
gpu_check 1 "a check that fails is a failure" --emulate --steps 3
says "# gpu-check on the emulator, no card: FAILED"
says "| goldens | FAILED |"
says "no good"
printf '#!/bin/sh\nsleep 2\n' >"$out/build/gpu-check"
gpu_check 1 "what does not fit into the time is a failure" --emulate --seconds 1
says "no time left"

(
    NVCC=$work/none
    export NVCC
    gpu_check 2 "without a toolkit nothing is checked"
    says "NOT RUN"
    says "no CUDA toolkit"
    exit $failures
) || failures=$((failures + 1))
cc=$work/none
gpu_check 2 "without a compiler nothing is checked" --emulate
says "no C compiler"
done_testing
