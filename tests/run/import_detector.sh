#!/bin/sh
# Face detectors: what is no wheel, folder or library is named; arrays are found by their symbols.
. "$(dirname "$0")/../lib.sh"

printf 'no zip' >"$work/not.whl"
fails 1 "no zip file" "what is no wheel is named" "$mcf" import "$work/not.whl" --kind mtcnn --out "$work/o"
mkdir "$work/empty"
fails 1 "pnet.pt" "an empty folder names the missing file" "$mcf" import "$work/empty" --kind mtcnn --out "$work/o"
printf 'no library' >"$work/not.so"
fails 1 "shared library" "what is no library is named" "$mcf" import "$work/not.so" --kind yunet --out "$work/o"
cp "$source_dir/fuzz/corpus/elf/stripped" "$work/stripped.so"
fails 1 "stripped" "a library without symbols is named" "$mcf" import "$work/stripped.so" --kind yunet --out "$work/o"
cp "$source_dir/fuzz/corpus/elf/small" "$work/small.so"
check "arrays are read by their symbols' names" "$mcf" import "$work/small.so" --kind yunet --out "$work/small.safetensors"
check "under their names" grep -q backbone__model0_pw_bias "$work/small.safetensors"
fails 2 "for encoders" "options of encoders are refused" \
    "$mcf" import "$work/small.so" --kind yunet --heads 3 --out "$work/o"
fails 2 "--kind yunet" "--points belongs to yunet" \
    "$mcf" import "$work/small.so" --kind mtcnn --points "$work/small.safetensors" --out "$work/o"
fails 1 "O-Net" "--points wants an O-Net" \
    "$mcf" import "$work/small.so" --kind yunet --points "$work/small.safetensors" --out "$work/o"
check "a failed import leaves nothing" test ! -e "$work/o"
done_testing
