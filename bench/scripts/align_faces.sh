#!/bin/sh
# bench/scripts/align_faces.sh SHARED [SET [OUT]]: face alignment from encoders pre-trained by MCF, by MAE and not at all.
# SHARED has faces/ and portraits/ to pre-train on; SET is face68 (default) or 300w_part, both below SHARED. Goes on where
# it was interrupted; EPOCHS, FINETUNE and SEEDS: bench/scripts/dense_faces.sh.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
mcf=${MCF:-$here/build/mcf}
if [ $# -lt 1 ] || [ ! -d "$1/faces" ]; then
    echo "usage: bench/scripts/align_faces.sh SHARED [face68|300w_part [OUT]]" >&2
    exit 2
fi
shared=$(cd "$1" && pwd)
set=${2:-face68}
out=${3:-$here/out/align_$set}
faces=$shared/faces,$shared/portraits
config=$here/configs/small/align_$set.yaml
score=nme.inter-ocular
if [ "$set" = face68 ]; then
    size=64
    set -- --set "data.train=[$shared/face68/train]" --set "data.validation=[$shared/face68/test]"
else
    set -- --set "data.train=[$shared/300w_part/helen/trainset,$shared/300w_part/afw]" \
        --set "data.validation=[$shared/300w_part/helen/testset]"
fi
. "$here/bench/scripts/dense_faces.sh"
