#!/bin/sh
# mcf crop on inputs as other people have them: what it says of them, what it does not wait for, and names that are told apart.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
"$build/draw_detector" detector || exit 1
crop() { "$mcf" crop --detector detector --thresholds 0.6,0.6,0.6 --min-side 8 --quiet "$@" 2>errors >words; }
says() { check "$1" grep -qF -- "$2" errors; }
synthetic_faces faces 3 8 64 5
set -- faces/*/*.jpg
one=$1 two=$2 three=$3
printf "not an index" >foreign.idx

# --- notes
mkdir keys && for k in a b c; do cp "$one" keys/$k.jpg && cp "$two" keys/$k.seg.jpg; done
(cd keys && ln -s a.jpg d.jpg && cp ../"$three" e.jpg && truncate -s 3M e.jpg && tar -S -cf ../keys.tar ./*)
tar -cf whole.tar faces && head -c 20000 whole.tar >cut.tar
for how in "--out OUT" "--out OUT.json --detect-only"; do
    n=$((${n:-0} + 1))
    crop --images keys.tar $(echo "$how" | sed "s/OUT/keys$n/")
    says "several pictures a key, $how" "3 keys have several pictures"
    says "a sparse member, $how" "1 sparse file"
    says "a link, $how" "1 symbolic link"
    crop --images cut.tar $(echo "$how" | sed "s/OUT/cut$n/")
    says "a cut shard, $how" "cut.tar: truncated"
    rm -rf odd && mkdir odd && cp "$one" odd/a.jpg && ln -s nowhere odd/b.jpg && mkfifo odd/c.jpg
    crop --images odd $(echo "$how" | sed "s/OUT/odd$n/")
    says "links that lead nowhere, $how" "1 links that lead nowhere are passed over"
    says "pipes, $how" "1 pipes, sockets or devices"
done
cp whole.tar theirs.tar && cp foreign.idx theirs.tar.idx
crop --images theirs.tar --out theirs
says "another program's index of the input" "theirs.tar.idx: another program's file, left alone"
mkdir mine && cp foreign.idx mine/00000.tar.idx
crop --images faces --out mine
says "another program's index in the place of ours" "mine/00000.tar.idx: another program's file, left alone"
check "which stays" cmp foreign.idx mine/00000.tar.idx
echo text >words.txt && tar -cf nothing.tar words.txt
crop --images nothing.tar --out nothing
says "a shard without pictures" "nothing.tar: no .jpg"
crop --images theirs.tar --out theirs
check "nothing is said twice of what is done" test ! -s errors

# the same of the commands that read without a detector
tiny_config tiny.yaml
"$mcf" data check tiny.yaml --quiet --sheet none --set 'data.train=[keys.tar]' 2>errors >words
says "data check says it" "3 keys have several pictures"
says "data check says it of links" "1 symbolic link"
tiny_config config.yaml
"$mcf" embed --config config.yaml --detector detector --out f.safetensors --quiet keys.tar 2>errors >words
says "embed --detect says it" "3 keys have several pictures"
printf 'a.jpg,1,2,30,40\na.jpg,5,5,5,5\n' >points.csv && mkdir boxes && cp "$one" boxes/a.jpg && mv points.csv boxes
cat >align.yaml <<YAML
task: align
data: {train: [boxes], validation: [boxes], crop_size: 48, workers: 1}
model: {image_size: 32, patch_size: 8, encoder: {dim: 16, depth: 4, heads: 2, mlp_ratio: 2}, features: [1, 2, 3, 4],
  head: {channels: 16, outputs: 2, pool_scales: [2]}}
objective: {heatmap_size: 24, heatmap_radius: 3}
schedule: {epochs: 1}
batch: {per_device: 1, accumulate: 1}
YAML
"$mcf" finetune align.yaml --out run 2>errors >words
says "finetune says what labels leave out" "data.train: left out: boxes/points.csv: line 2"
"$mcf" eval align.yaml --checkpoint run 2>errors >words
says "eval says it" "data.validation: left out: boxes/points.csv: line 2"
"$mcf" predict --checkpoint run --faces boxes/points.csv --out predicted 2>errors >words
says "predict says it" "--faces: left out: boxes/points.csv: line 2"

# --- nothing waits
mkfifo pipe pipe.tar
for input in pipe pipe.tar; do
    fails 1 "is a pipe" "crop of $input" timeout 20 "$mcf" crop --detector detector --images $input --out p1 --quiet
done
fails 1 "is a pipe" "a pipe as detector" timeout 20 "$mcf" crop --detector pipe --images faces --out p2 --quiet
fails 1 "is a pipe" "a pipe as a wheel" timeout 20 "$mcf" import pipe --kind mtcnn --out x
fails 1 "is a pipe" "a pipe as another wheel" timeout 20 "$mcf" import pipe --kind yunet --out x
mkdir job && mkfifo job/crop.json
fails 1 "is a pipe" "a pipe in the place of a job's options" timeout 20 "$mcf" crop --detector detector --images faces --out job --quiet
mkdir -p piped/checkpoints && mkfifo piped/log.jsonl
fails 2 "holds no run" "a pipe as a run's log" timeout 20 "$mcf" report piped --quick --out page.html --quiet
mkdir -p m/images m/masks && cp "$one" m/images/a.jpg && mkfifo m/masks/a.png
printf 'task: parse\ndata: {layout: masks, train: [m]}\nmodel: {head: {outputs: 11}}\n' >masks.yaml
timeout 20 "$mcf" data check masks.yaml --quiet --sheet none >words 2>errors
check "a pipe as label map is named" grep -q "m/masks/a.png: is a pipe" words
rm boxes/a.jpg && mkfifo boxes/a.jpg
timeout 20 "$mcf" data check align.yaml --quiet --sheet none >words 2>errors
check "a pipe as a labelled picture is named" grep -q "boxes/a.jpg: is a pipe" words

# --- lists with a byte-order mark
printf '\357\273\277whole.tar\r\n' >shards.txt
crop --images shards.txt --out bom
check "a byte-order mark at the start of a list of shards" test -s bom/00000.stats.json
check "is passed over" grep -q '"pictures": 24' bom/00000.stats.json

# --- names
mkdir names && cp "$one" "$(printf 'names/a\377.jpg')" && cp "$one" "$(printf 'names/a\376.jpg')" && cp "$one" 'names/a\xff.jpg' && cp "$one" names/é.jpg
crop --images names --out names.json --detect-only
check "names that are no UTF-8 are told apart" test "$(grep -o '^"[^"]*":' names.json | sort -u | wc -l)" = 4
check "and written \\xNN" grep -qF '"a\\xff.jpg":' names.json
mkdir two && cp "$two" two/p.jpg && mkdir three && cp "$three" three/p.jpg && cp "$one" three/q.jpg
crop --images two three --out roots.json --detect-only
check "one name under two roots is two" test "$(grep -o '^"[^"]*p.jpg":' roots.json | sort -u | wc -l)" = 2
check "a name of one root is relative to it" grep -q '^"q.jpg":' roots.json
mkdir s1 s2 && cp whole.tar s1/00000.tar && cp whole.tar s2/00000.tar
crop --images s1 s2 --out shards.json --detect-only
check "one name in two shards of one name is two" test "$(grep -o '^"[^"]*":' shards.json | sort -u | wc -l)" = 48
"$mcf" predict --checkpoint run --out odd_names names --quiet >words 2>errors
check "predict takes names that are no UTF-8" test "$(find odd_names -name '*.json' | wc -l)" = 4
check "and tells them apart" test "$(cat odd_names/*.json | grep -o '"image": *"[^"]*"' | sort -u | wc -l)" = 4
done_testing
