#!/bin/bash
# bench/scripts/opencl_curve.sh: does a small pre-training on real faces follow the same curve on OpenCL as on the CPU?
#
# The same seeds on cpu, on cpu with another instruction set (so: with other orders of summation) and on opencl. Compared
# are the loss, which may be off by TOLERANCE of itself, and the norm of the gradient, by NORM_TOLERANCE, at
#   - every step of a run of the pixel term, which is smooth: at this rate rounding is not amplified over 200 steps;
#   - the first step of a run of both terms; over all of its steps only the loss, by TURNED. The heads have ReLUs, whose
#     gradient jumps where rounding turns a sign.
# docs/opencl.md argues the bounds.
#
# --faults: opencl again, with kernels in which one operation's gradient is 1 % too large. Each must be found.
set -euo pipefail
usage="usage: bench/scripts/opencl_curve.sh [--mcf PROGRAM] [--faces FOLDER] [--steps 200] [--rate 1e-5] [--tolerance 1e-6]
                             [--norm-tolerance 2e-5] [--turned 1e-2] [--out DIR] [--faults]"
here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf faces=${MCF_SHARED:-$here/../../../shared}/data/faces steps=200 rate=1e-5 out= faults=
tolerance=1e-6 norm_tolerance=2e-5 turned=1e-2 batch=16
while (($#)); do
    case $1 in
    --mcf | --faces | --steps | --rate | --tolerance | --norm-tolerance | --turned | --out)
        (($# > 1)) || { echo "opencl_curve.sh: $1 needs a value" >&2; exit 2; }
        name=${1#--}
        declare "${name//-/_}=$2"
        shift 2
        ;;
    --faults) faults=yes; shift ;;
    --help) echo "$usage"; exit 0 ;;
    *) echo "opencl_curve.sh: unknown option $1" >&2; echo "$usage" >&2; exit 2 ;;
    esac
done
[[ -x $mcf ]] || { echo "opencl_curve.sh: $mcf is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
[[ -d $faces ]] || { echo "opencl_curve.sh: no folder $faces; say --faces FOLDER" >&2; exit 2; }
[[ -n $out ]] || { out=$(mktemp -d); trap 'rm -rf "$out"' EXIT; }
mkdir -p "$out"
images=$(find -L "$faces" -type f \( -name '*.jpg' -o -name '*.png' \) | wc -l)
((images >= batch)) || { echo "opencl_curve.sh: $images images in $faces; $batch are needed" >&2; exit 2; }
epochs=$(((steps + images / batch - 1) / (images / batch)))

# run NAME BACKEND WEIGHT STEPS: the contrastive term with that weight; loss and norm of each step go to NAME.curve. The
# run is told to stop when they are there.
run() {
    local code=0
    "$mcf" pretrain "$here/opencl_step.yaml" --quiet --backend "$2" --out "$out/$1" --set "data.train=[$faces]" \
        --set model.image_size=64 --set model.encoder.depth=4 --set "optimizer.lr=$rate" \
        --set "objective.contrastive.weight=$3" --set "batch.per_device=$batch" \
        --set "schedule.epochs=$((epochs < 2 ? 2 : epochs))" 2>"$out/$1.errors" &
    local pid=$!
    while kill -0 $pid 2>/dev/null; do
        [[ ! -e $out/$1/log.jsonl ]] || (($(wc -l <"$out/$1/log.jsonl") < $4)) || kill -TERM $pid 2>/dev/null || true
        sleep 0.5
    done
    wait $pid || code=$?
    ((code == 0 || code == 130)) || { cat "$out/$1.errors" >&2; exit 1; }
    sed -nE 's/.*"loss":([-0-9.e+]+).*"gradient_norm":([-0-9.e+]+).*/\1 \2/p' "$out/$1/log.jsonl" | head -n "$4" \
        >"$out/$1.curve"
}
# compare WHAT CURVE CURVE STEPS LOSS NORM: how far the second is from the first; fails where it is beyond the bounds
compare() {
    paste "$2" "$3" | head -n "$4" | awk -v what="$1" -v steps="$4" -v loss="$5" -v norm="$6" '
    function off(a, b) { return (a > b ? a - b : b - a) / a }
    {
        l = off($1, $3); n = off($2, $4)
        if (l > l_most) l_most = l
        if (n > n_most) n_most = n
        if (!l_at && l > loss) l_at = NR
        if (!n_at && n > norm) n_at = NR
    }
    END {
        printf "%-36s %3d steps: loss off by %.1e%s, norm by %.1e%s\n", what, NR, l_most,
            l_at ? " (too far from step " l_at " on)" : "", n_most, n_at ? " (too far from step " n_at " on)" : ""
        exit NR < steps || l_at || n_at
    }'
}

failed=0
echo "allowed: loss $tolerance, norm of the gradient $norm_tolerance; both terms, all steps: loss $turned"
for weight in 0 1; do
    terms=$([[ $weight = 0 ]] && echo pixel || echo both)
    run cpu-$terms cpu $weight "$steps"
    MCF_CPU_ISA=avx2 run other-$terms cpu $weight "$steps"
    run opencl-$terms opencl $weight "$steps"
    awk -v terms=$terms 'NR == 1 || NR % 50 == 0 {printf "%s, step %d: loss %s, norm of the gradient %s\n",
        terms, NR, $1, $2}' "$out/cpu-$terms.curve"
    for name in other opencl; do
        if [[ $terms = pixel ]]; then
            compare "$terms: $name from cpu" "$out/cpu-$terms.curve" "$out/$name-$terms.curve" "$steps" \
                "$tolerance" "$norm_tolerance" || failed=1
        else
            compare "$terms: $name from cpu" "$out/cpu-$terms.curve" "$out/$name-$terms.curve" 1 \
                "$tolerance" "$norm_tolerance" || failed=1
            compare "$terms: $name from cpu" "$out/cpu-$terms.curve" "$out/$name-$terms.curve" "$steps" \
                "$turned" 1 || failed=1
        fi
    done
done

# fault WHAT TERMS STEPS FILE EXPRESSION: a gradient 1 % too large, by a sed expression on a kernel
fault() {
    rm -rf "$out/kernels"
    cp -r "$here/../../backends/kernels" "$out/kernels"
    sed -i "$5" "$out/kernels/$4"
    ! cmp -s "$here/../../backends/kernels/$4" "$out/kernels/$4" || { echo "no such line in $4: $5" >&2; exit 1; }
    MCF_OPENCL_KERNELS=$out/kernels run "fault-$1" opencl "$([[ $2 = pixel ]] && echo 0 || echo 1)" "$3"
    if compare "$2: $1 * 1.01" "$out/cpu-$2.curve" "$out/fault-$1.curve" "$3" "$tolerance" "$norm_tolerance"; then
        echo "NOT FOUND: $1"
        failed=1
    fi
}
if [[ -n $faults ]]; then
    fault gelu_grad pixel 40 elementwise.cl 's/gelu_grad, y \*gelu_slope/gelu_grad, 1.01f * y *gelu_slope/'
    fault layer_norm_grad pixel 40 norm.cl 's/s \* (LOAD(T1, dy, c) \* gamma\[c\] - mean_g/1.01f * &/'
    fault layer_norm_grad-of-gamma pixel 40 norm.cl 's/\] = gamma\[l\]/] = 1.01f * gamma[l]/'
    fault attention_grad pixel 40 softmax.cl 's/dp\[i\] = scale \* p/dp[i] = 1.01f * scale * p/'
    fault batch_norm_grad both 1 batch_norm.cl 's/float value = rstd \*/float value = 1.01f * rstd */'
    fault cross_entropy_grad both 1 loss.cl 's/value = dloss\[0\] \/ (float)rows/value = 1.01f * dloss[0] \/ (float)rows/'
    fault l2_normalize_grad both 1 norm.cl 's/STORE(TO, dx, i, (LOAD(T1, dy, i) -/STORE(TO, dx, i, 1.01f * (LOAD(T1, dy, i) -/'
fi
exit $failed
