#!/bin/sh
# Runs killed with SIGKILL at random moments and resumed end with the tensors and the state of an undisturbed one, bit
# for bit. MCF_KILL_RUNS: how many (2; ci/full 20), MCF_KILL_SEED: of the moments.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
runs=${MCF_KILL_RUNS:-2}
seed=${MCF_KILL_SEED:-$$}
tiny_config tiny.yaml
synthetic_faces faces 4 16 48 9 || exit 1

set -- pretrain tiny.yaml --quiet --resume --threads 1 --set "data.train=[faces]" --set schedule.epochs=40 \
    --set "checkpoint.every=3 steps"
# everything of the newest checkpoint, and the log without its times
state_of() {
    last=$(ls -d "$1"/checkpoints/* 2>/dev/null | sort -V | tail -n 1)
    (cd "$last" && find . -type f | sort | xargs sha256sum)
    sed -E 's/"(seconds|images_per_second|time|wall|wait)[a-z_]*": *[-0-9.e+]+,? *//g' "$1/log.jsonl"
}

start=$(date +%s%N)
check "an undisturbed run" "$mcf" "$@" --out whole
millis=$((($(date +%s%N) - start) / 1000000))
state_of whole >want
check "it has a checkpoint" test "$(wc -l <want)" -gt 5

number=0
while [ $number -lt "$runs" ]; do
    number=$((number + 1))
    kills=0
    while :; do
        "$mcf" "$@" --out "run$number" &  # no function: the process to kill is the program itself
        pid=$!
        # a random moment within the time of a whole run: early, in the middle, while saving, or never
        wait_ms=$(awk -v seed="$seed$number$kills" -v top="$millis" 'BEGIN {srand(seed); printf "%d", rand() * top / 2}')
        sleep "$(awk -v ms="$wait_ms" 'BEGIN {printf "%.3f", ms / 1000}')"
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        code=$?
        [ $code = 137 ] || break
        kills=$((kills + 1))
        [ $kills = 200 ] && break
    done
    if [ $code != 0 ]; then
        not_ok "run $number ended with $code (seed $seed)"
        continue
    fi
    state_of "run$number" >got
    if cmp -s want got; then
        ok "run $number, killed $kills times, ends as the undisturbed one"
    else
        not_ok "run $number, killed $kills times, ends as the undisturbed one (seed $seed)"
        diff want got | head -n 20
    fi
    rm -rf "run$number"
done
done_testing
