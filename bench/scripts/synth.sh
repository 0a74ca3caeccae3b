#!/bin/sh
# bench/scripts/synth.sh: synthetic faces of one core, pictures a second: drawing, JPEG and the labels of all layouts, and
# drawing with JPEG alone. The processor's time counts, not the clock's; files go where memory is the disk, if they can.
#   sh bench/scripts/synth.sh [BUILD [COUNT [ROUNDS]]]      (build, 200, 3)
set -eu
mcf=$(cd "${1:-build}" && pwd)/mcf
count=${2:-200} rounds=${3:-3}
where=/dev/shm
[ -w "$where" ] || where=${TMPDIR:-/tmp}
work=$(mktemp -d "$where/mcf-synth.XXXXXX")
trap 'rm -rf "$work"' EXIT
for size in 96 256 512; do
    for layouts in all none; do
        best=0
        round=0
        while [ $round -lt "$rounds" ]; do
            rate=$("$mcf" synth --out "$work/faces" --count "$count" --size $size --workers 1 --seed $round --layouts $layouts \
                2>/dev/null | sed 's/.*, \([0-9.]*\) a second and core$/\1/')
            best=$(echo "$rate $best" | awk '{print ($1 > $2) ? $1 : $2}')
            rm -rf "$work/faces"
            round=$((round + 1))
        done
        echo "$size x $size, layouts $layouts: $best pictures a second and core"
    done
done
