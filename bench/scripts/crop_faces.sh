#!/bin/sh
# bench/scripts/crop_faces.sh SHARED [OUT]: does alignment help? Crops the photographs of SHARED/portraits and
# SHARED/300w_part by `mcf crop`, pre-trains on the crops and, for the same number of steps, on the same photographs merely
# cut to their middle square, and asks both networks the same: identity retrieval over SHARED/faces, aligned by `mcf crop`
# and as the pictures are, and the points of drawn faces by a linear probe. Goes on where it was interrupted.
#   DETECTOR  weights (default weights/mtcnn.safetensors), CONFIG (default configs/small/crop_faces.yaml),
#   EPOCHS    of pre-training (default: the config's), SEEDS (default "0 1 2"), THREADS of each run (default: all cores)
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
mcf=${MCF:-$here/build/mcf}
detector=${DETECTOR:-$here/weights/mtcnn.safetensors}
config=${CONFIG:-$here/configs/small/crop_faces.yaml}
seeds=${SEEDS:-0 1 2}
threads=${THREADS:+--threads $THREADS}
if [ $# -lt 1 ] || [ ! -d "$1/portraits" ]; then
    echo "usage: bench/scripts/crop_faces.sh SHARED [OUT]" >&2
    exit 2
fi
shared=$(cd "$1" && pwd)
out=${2:-$here/out/crop_faces}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# unpack SHARDS FOLDER: each crop under its photograph's own folder and name
unpack() {
    rm -rf "$2.part"
    mkdir -p "$2.part/all"
    for shard in "$1"/*.tar; do
        tar -xf "$shard" -C "$2.part/all"
    done
    for json in "$2.part/all"/*.json; do
        source=$(sed -n 's/^{"source":"\([^"]*\)".*/\1/p' "$json")
        mkdir -p "$2.part/$(dirname "$source")"
        mv "${json%.json}.jpg" "$2.part/${source%.*}.jpg"
        rm "$json"
    done
    rmdir "$2.part/all"
    mv "$2.part" "$2"
}

# The largest score of a photograph is its face: one crop a photograph, so that both sets have as many pictures.
for set in portraits 300w_part faces; do
    [ -d "$out/aligned/$set" ] && continue
    # shellcheck disable=SC2086
    "$mcf" crop --images "$shared/$set" --out "$out/shards/$set" --detector "$detector" --max-faces 1 --quiet $threads
    mkdir -p "$out/aligned"
    unpack "$out/shards/$set" "$out/aligned/$set"
done
# The photographs of which there is a crop, and those crops.
for set in portraits 300w_part; do
    (cd "$shared/$set" && find . -type f \( -name '*.jpg' -o -name '*.png' \)) | sort | while read -r path; do
        [ -f "$out/aligned/$set/${path%.*}.jpg" ] && echo "$shared/$set/${path#./}"
    done
done >"$out/middle.txt" || true
find "$out/aligned/portraits" "$out/aligned/300w_part" -name '*.jpg' | sort >"$out/aligned.txt"
[ "$(wc -l <"$out/middle.txt")" -eq "$(wc -l <"$out/aligned.txt")" ] || { echo "the two sets differ in size" >&2; exit 1; }
if [ ! -d "$out/drawn/test" ]; then
    "$mcf" synth --out "$out/drawn/fit" --count 1000 --size 96 --per-identity 20 --layouts none --seed 1 --quiet
    "$mcf" synth --out "$out/drawn/test" --count 500 --size 96 --per-identity 20 --layouts none --seed 2 --quiet
fi

# ask NAME [ARGUMENT]...: rank 1 and mAP on aligned faces, on faces as they are, error of the points of drawn faces
ask() {
    name=$1
    shift
    for faces in "$out/aligned/faces" "$shared/faces"; do
        # shellcheck disable=SC2086
        "$mcf" embed "$@" --retrieval --json --quiet $threads "$faces" |
            sed -E 's/.*"rank1": *([0-9.e-]+).*"map": *([0-9.e-]+).*/\1 \2/'
    done >"$out/$name.part"
    # shellcheck disable=SC2086
    "$mcf" probe "$@" --fit "$out/drawn/fit" --test "$out/drawn/test" --json --quiet $threads |
        tr -d '\n' | sed -E 's/.*"nme": *([0-9.e-]+).*/\1/' >>"$out/$name.part"
    mv "$out/$name.part" "$out/$name.txt"
}

for seed in $seeds; do
    for cut in aligned middle; do
        # shellcheck disable=SC2086
        "$mcf" pretrain "$config" --out "$out/$cut-$seed" --resume --quiet $threads --set "data.train=[$out/$cut.txt]" \
            --set "seed=$seed" ${EPOCHS:+--set schedule.epochs=$EPOCHS}
        ask "$cut-$seed" --checkpoint "$out/$cut-$seed"
    done
    ask "untrained-$seed" --config "$config" --set "seed=$seed"
done

echo "$(wc -l <"$out/aligned.txt") photographs, seeds $seeds. Means over the seeds, each seed in brackets, in percent."
echo
echo "| pre-trained on | rank 1, aligned faces | mAP, aligned faces | rank 1, faces as they are | mAP, faces as they are | points of drawn faces |"
echo "| --- | --- | --- | --- | --- | --- |"
for cut in untrained middle aligned; do
    for seed in $seeds; do
        tr '\n' ' ' <"$out/$cut-$seed.txt"
        echo
    done | awk -v name=$cut '{
        for (i = 1; i <= 5; i++) { sum[i] += $i; each[i] = each[i] sprintf("%s%.1f", NR > 1 ? ", " : "", 100 * $i) } }
        END {
            printf "| %s |", name == "middle" ? "middle squares" : name == "aligned" ? "aligned crops" : "nothing"
            for (i = 1; i <= 5; i++) printf " %.1f (%s) |", 100 * sum[i] / NR, each[i]
            print "" }'
done
