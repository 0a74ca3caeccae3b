#!/bin/sh
# first_floats.sh FILE.safetensors NAME COUNT: the first floats of an F32 tensor, one a line.
header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
offset=$(dd if="$1" bs=1 skip=8 count="$header" 2>/dev/null |
    sed "s/.*\"$2\":{[^}]*\"data_offsets\":\[\([0-9]*\).*/\1/")
od -An -v -tf4 -w4 -j $((8 + header + offset)) -N $((4 * $3)) "$1" | tr -d ' '
