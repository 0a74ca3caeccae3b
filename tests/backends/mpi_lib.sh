# Shared by mpi.sh and cuda_mpi.sh, after lib.sh.
if ! "$mcf" devices 2>/dev/null | grep -q "^several machines:" || ! command -v mpirun >/dev/null; then
    echo "skipped: no MPI here"
    exit 77
fi
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
# What Open MPI leaks through vasprintf has its name only in whole stacks.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"
unset MCF_LOST_AFTER MCF_EXCHANGE_TIMEOUT

# ranks N COMMAND...: as N processes. No rank owns a core, the machine is shared.
ranks() {
    count=$1
    shift
    timeout 900 mpirun --oversubscribe --bind-to none -n "$count" "$@"
}
# step CASE OPTION...: mcf step on a worked example
step() {
    case=$source_dir/tests/golden/$1
    shift
    set -- step "$case/config.yaml" --init "$case/params.safetensors" --batch "$case/batch.safetensors" --quiet "$@"
    ${launch:-} "$mcf" "$@"
}
# agree GOT WANT CASE RTOL
agree() {
    "$build/judge_step" "$1" "$2" "$source_dir/tests/golden/$3/params.safetensors" "$4"
}
# process_of RANK RUN: its number
process_of() {
    for process in $(pgrep -x mcf); do
        if tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$1" &&
            tr '\0' '\n' <"/proc/$process/cmdline" 2>/dev/null | grep -qx "$2"; then
            echo "$process"
        fi
    done
}
# lose WHAT SIGNAL RANK TEXT COMMAND...: a run in RUN of which a rank gets a signal in mid-step ends within a minute
# with TEXT on stderr, leaving a checkpoint that can be read. overlooks=1: mpirun is told to overlook failures, its exit
# code says nothing.
lose() {
    what=$1 signal=$2 rank=$3 text=$4
    shift 4
    rm -rf lost
    "$@" --out lost >lost.out 2>lost.err &
    launcher=$!
    tries=0
    while ! ls lost/checkpoints/step-* >/dev/null 2>&1 && [ $tries -lt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    victim=$(process_of "$rank" lost)
    kill "-$signal" $victim
    start=$(date +%s)
    wait $launcher
    code=$?
    seconds=$(($(date +%s) - start))
    kill -9 $victim 2>/dev/null
    if [ -n "$victim" ] && { [ $code != 0 ] || [ -n "${overlooks:-}" ]; } && [ $seconds -lt 60 ] && grep -qF -- "$text" lost.err; then
        ok "$what: ended after $seconds s"
    else
        not_ok "$what: victim '$victim', code $code, $seconds s, wanted '$text'"
        cat lost.out lost.err
    fi
    check "$what: the last checkpoint stays" "$mcf" export lost --out lost.safetensors --quiet
}
