#!/bin/sh
# mcf data check on synthetic faces in the published layouts: what is found, and what is said of what is missing or broken.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
"$mcf" synth --out s --count 24 --per-identity 4 --size 64 --seed 3 --test-fraction 0.34 --quiet || exit 1
config() { printf 'task: %s\ndata: {layout: %s, train: [%s], validation: [%s]%s}\nmodel: {head: {outputs: %s}}\n' "$@" >c.yaml; }
says() { grep -qF -- "$2" "$1"; }

config align wflw s/WFLW s/WFLW "" 98
check "WFLW's list is read" "$mcf" data check c.yaml --quiet --sheet w.png
"$mcf" data check c.yaml --quiet --sheet w.png >seen
check "all of its faces are good" says seen "98 points each"
check "a sheet is drawn" sh -c 'head -c 4 w.png | grep -q PNG'
config align 300w s/300W s/300W ", validation_split: private" 68
check "300W's tables are read" "$mcf" data check c.yaml --quiet --sheet none
config parse lapa s/LaPa s/LaPa "" 11
check "LaPa is read" "$mcf" data check c.yaml --quiet --sheet l.jpg --set augment.flip=0.5
"$mcf" data check c.yaml --quiet --sheet none --json >seen.json
check "JSON names the classes" says seen.json '"name": "upper lip"'
config parse celebamask-hq s/CelebAMask-HQ s/CelebAMask-HQ "" 19
check "CelebAMask-HQ is read" "$mcf" data check c.yaml --quiet --sheet none

# what is wrong is named
config parse lapa s/LaPa s/LaPa "" 11
set -- s/LaPa/train/labels/*.png
head -c 100 "$2" >cut.png && cp cut.png "$2"
rm "$1"
set -- s/LaPa/test/images/*.jpg
rm "$1"
if "$mcf" data check c.yaml --quiet --sheet none >seen 2>errors; then not_ok "faults make it fail"; else ok "faults make it fail"; fi
check "a missing label map" says seen "missing label maps: 1"
check "a broken label map" says seen "truncated PNG"
check "a missing picture" says seen "missing pictures: 1"
check "one line on stderr" sh -c '[ "$(wc -l <errors)" = 1 ] && grep -q "^mcf: 3 of" errors'
config parse masks m m "" 11
mkdir -p m/images m/masks
set -- s/LaPa/train/images/*.jpg
cp "$3" m/images/a.jpg
"$mcf" synth --out small --count 1 --size 32 --quiet || exit 1
cp small/CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000_skin.png m/masks/a.png
"$mcf" data check c.yaml --quiet --sheet none >seen 2>/dev/null
check "a label map of another size than its picture" says seen "its picture 64 x 64"
config align points m m "" 68
printf 'a.jpg,1,2,30,40\na.jpg,5,5,5,5\nb.jpg,1,2,30,90\n' >m/points.csv
"$mcf" data check c.yaml --quiet --sheet none --set model.head.outputs=2 >seen 2>/dev/null
check "a box without area is left out, with its line" says seen "points.csv: line 2"
check "points outside are counted" says seen "missing pictures: 1"
printf 'a.jpg,1,2,30,40\na.jpg,1,2,30\n' >m/points.csv
fails 1 "points.csv: line 2: has 4 columns, not 5" "a wrong number of columns" "$mcf" data check c.yaml --quiet
fails 2 "model.head.outputs is 19, but the faces have 98 points" "points that the network does not give" \
    "$mcf" data check c.yaml --quiet --set data.layout=wflw --set 'data.train=[s/WFLW]' --set model.head.outputs=19
fails 2 "no split" "a split that is none" \
    "$mcf" data check c.yaml --quiet --set data.layout=wflw --set 'data.train=[s/WFLW]' --set data.train_split=tset
fails 2 "only mcf data check" "another word than check" "$mcf" data look c.yaml
mkdir p && cp m/images/a.jpg p/a.jpg && head -c 300 p/a.jpg >p/b.jpg
printf 'data: {train: [p]}\n' >c.yaml
"$mcf" data check c.yaml --quiet --sheet none >seen 2>/dev/null
check "pictures without labels" says seen "broken pictures: 1"
check "and which" says seen "p/b.jpg"
done_testing
