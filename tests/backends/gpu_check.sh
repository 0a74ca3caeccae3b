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
for part in build operations goldens graphs training cards speed; do
    says "| $part | passed |"
done
says "| sanitizer | not here |"
says "| attention "
megabytes=$(sed -n 's/.*; \([0-9]*\) MiB with the sources.*/\1/p' "$out/result.md")
check "sources and build are below 64 MiB (${megabytes:-?})" test "${megabytes:-64}" -lt 64

# A fault in one part, others left out: a kernel that ends in a fault, and one that does nothing, whose output only a look
# at the numbers finds. The page names that part and no other.
mv "$out/build/gpu-check" "$out/build/real"
cat >"$out/build/gpu-check" <<'END'
#!/bin/sh
[ "$1" = "$FAULTY" ] || { echo "= left out"; exit 0; }
MCF_EMULATOR_FAIL=$FAULT
export MCF_EMULATOR_FAIL
exec "$(dirname "$0")/real" "$@"
END
chmod +x "$out/build/gpu-check"
for part in operations goldens graphs training cards speed; do
    for kind in fail skip; do
        # Speed looks at no numbers; of several cards the second has the fault, which is tried on its own kernels.
        [ $part:$kind != speed:skip ] || continue
        device=0
        [ $part != cards ] || device=1
        FAULTY=$part FAULT=$device:$kind:20
        export FAULTY FAULT
        gpu_check 1 "a kernel that does not run in $part ($kind) is a failure" --emulate --steps 3
        says "| $part | FAILED |"
        check "and of no other part ($kind)" test "$(grep -c '| FAILED |' "$out/result.md")" = 1
    done
done
unset FAULTY FAULT
# Ended from outside in the middle: what was seen before stays.
printf '#!/bin/sh\n[ "$1" = operations ] && echo "= seen" && exit 0\nkill -9 $(cat %s)\nsleep 60\n' "$work/pid" >"$out/build/gpu-check"
(
    CC=$cc CXX=$cxx sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$work/pid" \
        sh "$source_dir/ci/gpu-check" --out "$out" --emulate --steps 3 >"$work/output" 2>&1
) 2>/dev/null
says "NOT FINISHED, operations was the last part that ended"
says "| operations | passed |"

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
# A toolkit and a card that do not go together: a V100 with CUDA 13.
cat >"$work/nvcc" <<'END'
#!/bin/sh
case "$*" in
--version) echo "release 13.0, V13.0" ;;
--list-gpu-code) echo "sm_75 sm_80 sm_120" ;;
*)
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\necho "%s 16160 Tesla, driver for CUDA 12.2, toolkit 13.0"\n' "${CARD:-70}" >"$2"
    chmod +x "$2"
    ;;
esac
END
chmod +x "$work/nvcc"
(
    NVCC=$work/nvcc
    export NVCC
    gpu_check 2 "a V100 with CUDA 13 is not tried"
    says "a card is sm_70, and this toolkit compiles for sm_75 and later: install CUDA 12.9 or older"
    CARD=60
    export CARD
    gpu_check 2 "a card older than all that is written for is not tried"
    says "mcf runs on cards from sm_70 on"
    exit $failures
) || failures=$((failures + 1))
cc=$work/none
gpu_check 2 "without a compiler nothing is checked" --emulate
says "no C compiler"
done_testing
