#!/bin/sh
# bench/scripts/rows.sh [OUT [BUILD]]: the rows of the paper's Table 8 at a small size, on synthetic faces, over several seeds.
# Draws faces, trains M_1 by MoCo-v3 on them, then every row of configs/small with that M_1, and asks of each network, on
# faces of other people: identity retrieval and a linear probe of the points (mcf probe). Prints a table of means and
# standard deviations over the seeds. Killed or interrupted, the same command goes on where it was; results that are
# there are kept.
#   ROWS_FACES=4000 ROWS_OTHERS=800 pictures, ROWS_EACH=10 of each person, ROWS_SIZE=64 pixels in patches of
#   ROWS_PATCH=16, ROWS_EPOCHS=8 of a row, ROWS_M1_EPOCHS=24, ROWS_SEEDS="1 2 3", ROWS_PRECISION=bf16, ROWS_THREADS=1,
#   ROWS_SET="KEY.PATH=VALUE ..." for all
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-$here/out/rows}
mcf=$(cd "${2:-$here/build}" && pwd)/mcf
configs=$here/configs/small
faces=${ROWS_FACES:-4000} others=${ROWS_OTHERS:-800} each=${ROWS_EACH:-10} size=${ROWS_SIZE:-64} patch=${ROWS_PATCH:-16}
epochs=${ROWS_EPOCHS:-8} m1_epochs=${ROWS_M1_EPOCHS:-24} seeds=${ROWS_SEEDS:-1 2 3}
threads=${ROWS_THREADS:-1} precision=${ROWS_PRECISION:-bf16}
# L_mim is as 1 / tokens: the paper's share of the loss, 1000 of 197 tokens, for the tokens here (docs/decisions.md)
feature=$((1000 * (1 + (size / patch) * (size / patch)) / 197))
rows="l2 l2_mim mim_8 mim_2 mim_con_p mim_con_cls"

mkdir -p "$out/runs" "$out/probes"
settings="$faces $others $each $size $patch $epochs $m1_epochs $precision ${ROWS_SET:-}"
[ -e "$out/settings" ] || echo "$settings" >"$out/settings"
if [ "$(cat "$out/settings")" != "$settings" ]; then
    echo "bench/scripts/rows.sh: $out was begun with other settings ($(cat "$out/settings")); name another folder or remove it" >&2
    exit 2
fi

# people FOLDER COUNT SEED: complete or not there
people() {
    [ -d "$out/$1" ] && return
    rm -rf "$out/$1.part"
    "$mcf" synth --out "$out/$1.part" --count "$2" --per-identity "$each" --size "$size" --seed "$3" --layouts none \
        --framing close --workers "$threads"
    mv "$out/$1.part" "$out/$1"
}
# settings_of SEED: what all trainings and the untrained network share, as --set options in "$@" of the caller
set_options() {
    for pair in "model.image_size=$size" "model.patch_size=$patch" "precision=$precision" data.workers=1 data.fraction=1 \
        "data.train=[$out/faces/images]" ${ROWS_SET:-}; do
        printf -- '--set\n%s\n' "$pair"
    done
}
# train NAME CONFIG [OPTION]...
train() {
    name=$1 config=$2
    shift 2
    set_options | (
        while read -r option; do set -- "$@" "$option"; done
        exec "$mcf" pretrain "$configs/$config.yaml" --out "$out/runs/$name" --resume --threads "$threads" "$@" </dev/null
    )
}
# probe NAME OPTION...: the scores of a network, into probes/NAME.json
probe() {
    name=$1
    shift
    [ -e "$out/probes/$name.json" ] && return
    "$mcf" probe "$@" --fit "$out/faces" --test "$out/others" --threads "$threads" --json --quiet \
        >"$out/probes/$name.part"
    mv "$out/probes/$name.part" "$out/probes/$name.json"
}

people faces "$faces" 1
people others "$others" 2
train m1 moco_v3 --set "schedule.epochs=$m1_epochs"
probe m1 --checkpoint "$out/runs/m1"
for seed in $seeds; do
    probe "scratch-$seed" --config "$configs/l2.yaml" --set "seed=$seed" --set "model.image_size=$size" \
        --set "model.patch_size=$patch" --set "precision=$precision"
    for row in $rows; do
        # M_1 where the feature term is on
        case $row in
        l2) set -- ;;
        *) set -- --set "model.teacher.checkpoint=$out/runs/m1" --set "objective.feature.weight=$feature" ;;
        esac
        train "$row-$seed" "$row" --set "schedule.epochs=$epochs" --set "seed=$seed" "$@"
        probe "$row-$seed" --checkpoint "$out/runs/$row-$seed"
    done
done

# value FILE PATTERN: the number after "PATTERN": in a line of JSON, as percent
value() {
    sed -E "s/.*$2: *([-0-9.e+]+).*/\1/" "$1" | awk '{printf "%.6f\n", 100 * $1}'
}
# cell NAME PATTERN: mean and standard deviation (n - 1) over the seeds
cell() {
    for seed in $seeds; do value "$out/probes/$1-$seed.json" "$2"; done |
        awk '{s += $1; q += $1 * $1} END {m = s / NR; v = NR > 1 ? (q - NR * m * m) / (NR - 1) : 0
            printf "%.2f ± %.2f", m, sqrt(v > 0 ? v : 0)}'
}
rank1_cls='"cls": *\{"rank1"' map_cls='"cls": *\{"rank1": *[-0-9.e+]+, "map"'
map_mean='"mean": *\{"rank1": *[-0-9.e+]+, "map"' nme='"nme"'
echo
echo "| row of Table 8 | rank 1, class token | mAP, class token | mAP, mean of patches | NME of 98 points, linear probe |"
echo "| --- | --- | --- | --- | --- |"
for row in scratch $rows; do
    case $row in
    scratch) title="Scratch (untrained)" ;;
    l2) title="L_2, M_0 8 deep" ;;
    l2_mim) title="L_2 + L_mim, M_0 8 deep" ;;
    mim_8) title="L_mim, M_0 8 deep" ;;
    mim_2) title="L_mim, M_0 2 deep" ;;
    mim_con_p) title="L_mim + Con_p, M_0 2 deep" ;;
    mim_con_cls) title="L_mim + Con_cls, M_0 2 deep" ;;
    esac
    echo "| $title | $(cell $row "$rank1_cls") | $(cell $row "$map_cls") | $(cell $row "$map_mean") | $(cell $row "$nme") |"
done
one() { value "$out/probes/m1.json" "$1" | awk '{printf "%.2f", $1}'; }
echo "| M_1 itself (MoCo-v3, one run) | $(one "$rank1_cls") | $(one "$map_cls") | $(one "$map_mean") | $(one "$nme") |"
echo
echo "Percent; mean ± standard deviation over seeds $seeds. The mean face's NME is $(one '"nme_mean_face"')."
echo "$faces faces of $((faces / each)) people to learn from, $others of $((others / each)) others to judge, $size pixels in patches of $patch;" \
    "$epochs epochs, M_1 $m1_epochs. Runs: $out/runs"
