#!/bin/bash
# bench/scripts/opencl_products.sh: matrix products at the shapes of the ViT-B step on one OpenCL device: CLBlast as it comes
# against what mcf does there, with nothing tuned and (--tune) after `mcf bench ops --tune`.
#
# All in one run, interleaved, each way's best time of a shape over the rounds. Exits with 1 where mcf is not FACTOR times
# as fast over the encoder's shapes, their times added up. A forward product has a bias, which CLBlast gets from a kernel
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
    what = $2; part = $3; shape = $4 ~ /^[0-9]/ ? $4 : shapes[what " " part]; back = $4 == "dx" || $4 == "dw" ? " " $4 : ""
    if (!back) shapes[what " " part] = $4
    sub(/\+gelu/, "", part)
    name = what " " part back
    for (i = 4; i <= NF; i++) { if ($i == "ms") ms = $(i - 1); if ($i == "GFLOP/s") rate = $(i - 1) }
    way = $1
    if (!(name in size)) { order[++n] = name; size[name] = shape }
    if (!((way, name) in best) || ms < best[way, name]) { best[way, name] = ms; gflops[way, name] = rate }
}
END {
    printf "%-20s %-15s %10s %10s%s   GFLOP/s\n", "product", "rows x n x k", "CLBlast", "mcf", tune ? "      tuned" : ""
    for (i = 1; i <= n; i++) {
        name = order[i]
        times = best["clblast", name] / best["mcf", name]
        printf "%-20s %-15s %10.1f %10.1f", name, size[name], gflops["clblast", name], gflops["mcf", name]
        if (tune) printf " %10.1f", gflops["tuned", name]
        printf "   %.1f times\n", times
        if (name ~ /^encoder/) {
            c += best["clblast", name]; m += best["mcf", name]; t += best["tuned", name]
            if (!least || times < least) least = times
        }
    }
    printf "encoder: %.1f times the rate of CLBlast as it comes", c / m
    if (tune) printf " (tuned: %.1f)", c / t
    printf ", %.1f at least; wanted: %.1f\n", least, factor
    exit c / m < factor
}'
