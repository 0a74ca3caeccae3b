#!/bin/bash
# bench/scripts/opencl_products.sh: matrix products at the shapes of the ViT-B step on one OpenCL device: CLBlast as it comes
# against what mcf does there, with nothing tuned and (--tune) after `mcf bench ops --tune`.
#
# All in one run, interleaved, each way's best time of a shape over the rounds. Exits with 1 where mcf is not FACTOR times
# as fast over the products of a step, their times added up as often as they come there. A forward product has a bias, which CLBlast gets from a kernel
# of ours behind it (1 to 2 % of its time).
set -euo pipefail
usage="usage: bench/scripts/opencl_products.sh [--mcf PROGRAM] [--batch 8] [--rounds 2] [--seconds 0.1] [--factor 3] [--tune]"
here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf batch=8 rounds=2 seconds=0.1 factor=3 tune=
while (($#)); do
    case $1 in
    --mcf | --batch | --rounds | --seconds | --factor)
        (($# > 1)) || { echo "opencl_products.sh: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --tune) tune=yes; shift ;;
    --help) echo "$usage"; exit 0 ;;
    *) echo "opencl_products.sh: unknown option $1" >&2; echo "$usage" >&2; exit 2 ;;
    esac
done
[[ -x $mcf ]] || { echo "opencl_products.sh: $mcf is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/untuned" "$out/tuned"

# reading NAME FOLDER WAY: products of the step with the tuning in FOLDER, WAY fixing how; lines to NAME
reading() {
    XDG_CACHE_HOME=$out/$2 MCF_OPENCL_PRODUCT=$3 "$mcf" bench ops --backend opencl --op matmul --batch "$batch" \
        --seconds "$seconds" | sed -n "s/^matmul /$1 /p" >>"$out/$1.lines"
}
[[ -z $tune ]] || XDG_CACHE_HOME=$out/tuned "$mcf" bench ops --backend opencl --tune --seconds "$seconds"
for ((round = 1; round <= rounds; round++)); do
    reading clblast untuned clblast
    reading mcf untuned ""
    [[ -z $tune ]] || reading tuned tuned ""
done
"$mcf" devices | awk '$1 == "opencl"'
touch "$out/tuned.lines"
cat "$out/clblast.lines" "$out/mcf.lines" "$out/tuned.lines" | awk -v factor="$factor" -v tune="$tune" '
{
    way = $1
    name = $2 " " $3 ($4 ~ /^(gelu|relu|#)/ ? " " $4 : "")
    times = 0
    for (i = 4; i <= NF; i++) {
        if ($i == "ms") ms = $(i - 1)
        if ($i == "GFLOP/s") rate = $(i - 1)
        if ($i == "x") times = $(i + 1)
    }
    if (!(name in count)) { order[++n] = name; count[name] = times }
    if (!((way, name) in best) || ms < best[way, name]) { best[way, name] = ms; gflops[way, name] = rate }
}
END {
    printf "%-30s %9s %10s %10s%s   GFLOP/s\n", "rows x columns x depth", "in a step", "CLBlast", "mcf", tune ? "      tuned" : ""
    for (i = 1; i <= n; i++) {
        name = order[i]
        times = best["clblast", name] / best["mcf", name]
        printf "%-30s %9d %10.1f %10.1f", name, count[name], gflops["clblast", name], gflops["mcf", name]
        if (tune) printf " %10.1f", gflops["tuned", name]
        printf "   %.1f times\n", times
        c += count[name] * best["clblast", name]; m += count[name] * best["mcf", name]; t += count[name] * best["tuned", name]
    }
    printf "all products of a step: %.1f times the rate of CLBlast as it comes", c / m
    if (tune) printf " (tuned: %.1f)", c / t
    printf "; wanted: %.1f\n", factor
    exit c / m < factor
}'
