#!/bin/sh
# Writes what `mcf bench step --device v100 --predict` prints into docs/prediction.md, between its marks: the page of
# pre-training, and a table of finetuning by the configs of configs/align and configs/parse, in fp16 and fp32.
#
# usage: bench/scripts/predict.sh [--check] [MCF]
#   --check  only says whether the page has it; of the table the first row, since all of them take minutes
#   MCF      the program (default: build/mcf)
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
check=
[ "${1:-}" = --check ] && check=yes && shift
mcf=${1:-$root/build/mcf}
page=$root/docs/prediction.md
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

value() { # KEY FILE: a number of the JSON's top floor
    sed -n "s/^  \"$1\": \([0-9.e+-]*\),*\$/\1/p" "$2"
}

# row CONFIG ROWS: images a second and card, hours and their range, in both precisions
row() {
    text=
    for precision in fp16 fp32; do
        "$mcf" bench step --device v100 --predict --json --config "$root/configs/$1.yaml" --set 'model.init=""' \
            --set precision=$precision >"$work/json" || exit 1
        text="$text | $(awk -v i="$(value images_per_second_per_device "$work/json")" -v h="$(value hours "$work/json")" \
            -v low="$(value hours_low "$work/json")" -v high="$(value hours_high "$work/json")" \
            'BEGIN {printf "%.1f | %.2f (%.2f to %.2f)", i, h, low, high}')"
    done
    echo "| $(dirname "$1" | sed 's/.*\///') ${1##*_} | $2 | $(value epochs "$work/json") x $(value faces "$work/json")$text |"
}

table() {
    echo "| set, size | rows | epochs x faces | fp16: images/s and card | hours on 8 | fp32: images/s and card | hours on 8 |"
    echo "| --- | --- | --- | --- | --- | --- | --- |"
    for set in align/aflw-19 align/wflw align/300w parse/lapa parse/celebamask-hq; do
        for size in 224 448; do
            row $set/mcf_$size "Scratch, MCF_0.1, MCF, +IN1K"
            [ -z "$check" ] || return 0
            row $set/mcf_freeze_$size "MCF&Freeze, +IN1K&Freeze"
        done
    done
}

# between MARK FILE: the page on standard input with FILE between the marks
between() {
    awk -v mark="<!-- $1 -->" -v end="<!-- $1: end -->" -v file="$2" '
        $0 == end {skip = 0}
        !skip {print}
        $0 == mark {
            skip = 1
            while ((getline line < file) > 0) print line
        }'
}

{ echo '```'; "$mcf" bench step --device v100 --predict || echo failed; echo '```'; } >"$work/page"
grep -q '^failed$' "$work/page" && exit 1
table >"$work/table"
if [ -n "$check" ]; then
    between printed "$work/page" <"$page" | diff "$page" - || exit 1
    grep -qxF "$(tail -n 1 "$work/table")" "$page" || { tail -n 1 "$work/table"; exit 1; }
else
    between printed "$work/page" <"$page" | between finetuning "$work/table" >"$work/new" && cat "$work/new" >"$page"
fi
