#!/bin/sh
# bench/scripts/parse_faces.sh SHARED [OUT]: face parsing from encoders pre-trained by MCF, by MAE and not at all. SHARED has
# faces/ and portraits/ to pre-train on and celebamask_mini/, of whose pictures every sixth is for testing. Goes on where it
# was interrupted; EPOCHS, FINETUNE and SEEDS: bench/scripts/dense_faces.sh.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
mcf=${MCF:-$here/build/mcf}
if [ $# -lt 1 ] || [ ! -d "$1/celebamask_mini/images" ]; then
    echo "usage: bench/scripts/parse_faces.sh SHARED [OUT]" >&2
    exit 2
fi
shared=$(cd "$1" && pwd)
out=${2:-$here/out/parse_celebamask_mini}
faces=$shared/faces,$shared/portraits
config=$here/configs/small/parse_celebamask_mini.yaml
score=f1
mkdir -p "$out/data/train/images" "$out/data/train/masks" "$out/data/test/images" "$out/data/test/masks"
number=0
for image in "$shared"/celebamask_mini/images/*; do
    number=$((number + 1))
    part=train
    [ $((number % 6)) = 0 ] && part=test
    name=$(basename "$image")
    ln -sf "$image" "$out/data/$part/images/$name"
    ln -sf "$shared/celebamask_mini/masks/${name%.*}.png" "$out/data/$part/masks/${name%.*}.png"
done
set -- --set "data.train=[$out/data/train]" --set "data.validation=[$out/data/test]"
. "$here/bench/scripts/dense_faces.sh"
