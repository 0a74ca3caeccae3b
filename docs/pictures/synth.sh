#!/bin/sh
# Draws docs/pictures/synth.jpg: faces of mcf synth, then some of them with classes and points. Takes ImageMagick.
#   sh docs/pictures/synth.sh [BUILD]      BUILD: folder of the program (build)
set -eu
cd "$(dirname "$0")/../.."
mcf=$(cd "${1:-build}" && pwd)/mcf
out=$PWD/docs/pictures/synth.jpg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$mcf" synth --out faces --count 48 --per-identity 1 --seed 2026 --test-fraction 0 --layouts wflw,celeba --quiet
"$mcf" synth --out people --count 16 --per-identity 8 --seed 5 --layouts none --quiet

# The classes in colours over the picture, the 98 points over both.
colours="neck=#e0a030 skin=#d08070 cloth=#3030c0 l_ear=#e040a0 r_ear=#ff60ff l_brow=#ffff40 r_brow=#a0ff30 l_eye=#4060ff
r_eye=#30ffff nose=#20a0ff mouth=#ff2020 l_lip=#20e020 u_lip=#a020ff hair=#805020 eye_g=#909090 hat=#208020 ear_r=#ffffff
neck_l=#208080"
mkdir overlays
number=0
while [ $number -lt 48 ]; do
    id=$(printf %05d $number)
    set -- -size 256x256 xc:black
    for pair in $colours; do
        mask=faces/CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/${id}_${pair%%=*}.png
        [ ! -e "$mask" ] || set -- "$@" \( -size 256x256 "xc:${pair#*=}" "$mask" -alpha off -compose CopyOpacity -composite \) \
            -compose over -composite
    done
    points=$(sed -n "$((number + 1))p" faces/WFLW/WFLW_annotations/*/list_98pt_rect_attr_train.txt |
        awk '{for (i = 1; i < 196; i += 2) printf "circle %s,%s %s,%s ", $i, $(i + 1), $i + 1.1, $(i + 1)}')
    convert "$@" classes.png
    convert "faces/CelebAMask-HQ/CelebA-HQ-img/$number.jpg" classes.png -compose blend -define compose:args=50 -composite \
        -fill white -draw "$points" "overlays/$id.png"
    number=$((number + 6))
done
montage $(ls faces/images/*/*.jpg | head -n 40) $(ls people/images/*/*.jpg) overlays/*.png -tile 8x -geometry 136x136+1+1 \
    -background white -depth 8 sheet.png
convert sheet.png -quality 80 "$out"
ls -l "$out"
