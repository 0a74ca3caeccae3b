#!/bin/bash
# bench/scripts/two_builds.sh: two builds of this program on the cpu backend, readings interleaved: `mcf bench step` and
# `mcf bench ops`. The ratios are the old build's time over the new one's: above 1, the new one is faster.
#
# One thread, and the processor's time in place of the clock's: what else runs on the machine counts only by the caches it
# takes. A preloaded library answers the programs' clock with the processor's time, so that any two builds can be read.
# Medians over the rounds. Exits with 1 where the step's ratio, or the geometric mean over the operations that both
# builds print under one name, is below --least.
set -euo pipefail
usage="usage: bench/scripts/two_builds.sh --old PROGRAM [--new PROGRAM] [--batch 2] [--rounds 5] [--steps 2] [--seconds 0.2]
                                  [--precision bf16] [--config FILE] [--what \"step ops\"] [--least 0.98]"
here=$(cd "$(dirname "$0")" && pwd)
new=$here/../../build/mcf old= batch=2 rounds=5 steps=2 seconds=0.2 precision=bf16 config= what="step ops" least=0.98
while (($#)); do
    case $1 in
    --old | --new | --batch | --rounds | --steps | --seconds | --precision | --config | --what | --least)
        (($# > 1)) || { echo "two_builds.sh: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --help) echo "$usage"; exit 0 ;;
    *) echo "two_builds.sh: unknown option $1" >&2; echo "$usage" >&2; exit 2 ;;
    esac
done
for program in "$old" "$new"; do
    [[ -x $program ]] || { echo "two_builds.sh: '$program' is no program; say --old PROGRAM and --new PROGRAM" >&2; exit 2; }
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cat >"$out/clock.c" <<'C'
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
    return (int)syscall(SYS_clock_gettime, clock == CLOCK_MONOTONIC ? CLOCK_PROCESS_CPUTIME_ID : clock, t);
}
C
"${CC:-cc}" -O2 -shared -fPIC -o "$out/clock.so" "$out/clock.c"

# reading BUILD PROGRAM WHAT OPTION...: lines "WHAT BUILD name<tab>milliseconds"
reading() {
    local build=$1 program=$2 kind=$3
    shift 3
    LD_PRELOAD=$out/clock.so "$program" bench "$kind" --backend cpu --threads 1 --batch "$batch" \
        --set "precision=$precision" ${config:+--config "$config"} "$@" |
        awk -v build="$build" -v kind="$kind" -v batch="$batch" '
            / images\/s / { printf "%s\t%s\twhole step\t%.4f\n", kind, build, 1e3 * batch / $1 }
            match($0, / [0-9.]+ ms /) {
                time = substr($0, RSTART + 1) + 0
                name = substr($0, 1, RSTART - 1)
                gsub(/^ +| +$| +(f32|bf16|f16) *$/, "", name)
                gsub(/^ +| +$/, "", name)
                printf "%s\t%s\t%s\t%s\n", kind, build, name, time
            }' >>"$out/readings"
}
for ((round = 1; round <= rounds; round++)); do
    for kind in $what; do
        [[ $kind == step ]] && options=(--steps "$steps" --warmup 1) || options=(--seconds "$seconds")
        # Every other round the other way round.
        order="old new"
        ((round % 2)) || order="new old"
        for build in $order; do
            reading $build "${!build}" "$kind" "${options[@]}"
        done
    done
done
echo "one thread, the processor's time; $precision, batch $batch, medians of $rounds rounds: milliseconds old, new, old over new"
LC_ALL=C sort -t "$(printf '\t')" -k1,1 -k3,3 -k2,2 -k4,4g "$out/readings" | awk -F '\t' -v least="$least" '
    function median(key,    n) { n = count[key]; return n % 2 ? value[key, (n + 1) / 2] : (value[key, n / 2] + value[key, n / 2 + 1]) / 2 }
    { key = $1 FS $3 FS $2; value[key, ++count[key]] = $4; if (!(($1, $3) in seen)) { seen[$1, $3] = 1; order[++rows] = $1 FS $3 } }
    END {
        for (i = 1; i <= rows; i++) {
            if (!count[order[i] FS "old"] || !count[order[i] FS "new"]) continue
            old = median(order[i] FS "old"); new = median(order[i] FS "new")
            if (new <= 0 || old <= 0) continue
            split(order[i], part, FS)
            printf "%-5s %-44s %11.3f %11.3f %7.3f\n", part[1], part[2], old, new, old / new
            if (part[1] == "ops") { logs += log(old / new); n++ }
            if (part[2] == "whole step") { step = old / new; has_step = 1 }
        }
        if (has_step) printf "step: %.3f\n", step
        if (n) printf "operations: geometric mean of %d: %.3f\n", n, exp(logs / n)
        exit (has_step && step < least) || (n && exp(logs / n) < least)
    }'
