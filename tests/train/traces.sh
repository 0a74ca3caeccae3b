#!/bin/sh
# What a run, a kill or a second command leaves and finds: links planted, names too long, files half written, pictures lost,
# images and weights that changed in between; and that the first signal is heard in every long loop.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
synthetic_faces faces 3 4 32 5
synthetic_faces others 2 4 32 6
tiny_config tiny.yaml
pretrain() { # RUN OPTIONS...
    run=$1
    shift
    timeout 100 "$mcf" pretrain tiny.yaml --out "$run" --set 'data.train=[faces]' --set 'data.validation=[others]' \
        --set schedule.epochs=2 --set 'checkpoint.every=1 steps' "$@" >words 2>errors
}
says() { check "$1" grep -qF -- "$2" errors; }
quiet_about() { check "$1" sh -c "! grep -qF -- '$2' errors"; }

# --- synth: a planted link is not followed, nothing is overwritten unasked
mkdir victim planted && echo keep >victim/file
for name in images WFLW labels.jsonl; do
    rm -rf planted && mkdir planted && ln -s ../victim planted/$name
    fails 2 "--force replaces what is there" "synth: a link in the place of $name" "$mcf" synth --out planted --count 2 --size 32 --quiet
    check "synth: with --force the link goes, $name" "$mcf" synth --out planted --count 2 --size 32 --quiet --force
    check "synth: and what it led to stays, $name" test "$(ls victim)" = file -a "$(cat victim/file)" = keep -a ! -L planted/$name
done
fails 2 "labels.jsonl" "synth: an earlier set stays" "$mcf" synth --out planted --count 2 --size 32 --quiet --seed 9
before=$(cksum planted/images/*/*.jpg)
check "synth: --force replaces it" "$mcf" synth --out planted --count 1 --size 32 --quiet --seed 9 --force
check "synth: by the new set alone" test "$(ls planted/images/* | wc -l)" = 1 -a "$(cksum planted/images/*/*.jpg)" != "$before"
mkdir mine mine/images && echo mine >mine/images/photo.jpg
fails 2 "images" "synth: somebody's images stay" "$mcf" synth --out mine --count 2 --size 32 --quiet
check "synth: as they were" test "$(cat mine/images/photo.jpg)" = mine
"$mcf" synth --out half --count 4000 --size 64 --quiet 2>errors &
pid=$!
sleep 1
kill -KILL $pid
wait $pid 2>/dev/null
check "synth: the same command after a kill begins anew" "$mcf" synth --out half --count 4 --size 32 --quiet
check "synth: without the rest of the first" test "$(ls half/images/* | wc -l)" = 4 -a ! -e half/.mcf-synth-unfinished

check "a run" pretrain run
checkpoint=$(ls -d run/checkpoints/step-* | tail -n 1)

# --- reconstruct: names as long as they may be
mkdir long
x=$(printf '%0250d' 7) e=$(printf '\303\251%.0s' $(seq 125))
cp "$(ls faces/*/*.jpg | head -n 1)" "long/$x.jpg"
cp "$(ls faces/*/*.jpg | tail -n 1)" "long/$e.jpg"
check "reconstruct: names of 254 bytes" "$mcf" reconstruct --checkpoint run --out drawn long --quiet
check "reconstruct: a picture each, cut at a whole character" sh -c 'test "$(ls drawn | wc -l)" = 2 && ls drawn | iconv -f utf-8 -t utf-8 >listed'

# --- leftovers of killed writers
for left in machine.json.tmp-17-0 config.yaml.tmp-17-1 best.safetensors.tmp-9-12 pictures/step-00000001.jpg.tmp-3-4; do : >run/$left; done
: >run/notes.tmp-mine
rm -rf "$checkpoint"
check "a resume" pretrain run --resume
check "half written files of a killed writer are gone" test -z "$(find run -name '*.tmp-[0-9]*')"
check "others' files stay" test -e run/notes.tmp-mine
quiet_about "nothing changed, nothing is said" "other contents"

# --- a picture lost between a checkpoint and a kill
last=$(ls -d run/checkpoints/step-* | tail -n 2 | head -n 1) && step=$(basename "$last")
cp run/pictures/$step.jpg kept.jpg
rm -rf "$(ls -d run/checkpoints/step-* | tail -n 1)" run/pictures/$step.jpg
check "a resume without the last picture" pretrain run --resume
check "makes it again, the same" cmp kept.jpg run/pictures/$step.jpg

# --- pictures that changed under their names
again() { rm -rf "$(ls -d run/checkpoints/step-* | tail -n 1)"; }
picture=$(ls faces/*/*.jpg | head -n 1)
cp "$picture" old.jpg && cp "$(ls others/*/*.jpg | head -n 1)" "$picture"
again && check "a resume with another picture under an old name" pretrain run --resume
says "it is said" "data.train: pictures have other contents than when the run was saved, under the same names"
check "and logged" grep -q '"resumed".*data.train: pictures have other contents' run/log.jsonl
quiet_about "of the validation nothing is" "data.validation: the pictures"
cp old.jpg "$picture"
again && pretrain run --resume
# one byte of the picture's end: the size stays
printf x | dd of="$picture" bs=1 seek=$(($(stat -c %s "$picture") - 3)) conv=notrunc 2>/dev/null
again && check "a resume with a picture of the same size" pretrain run --resume
says "is said too" "data.train: pictures have other contents"
cp old.jpg "$picture"
again && pretrain run --resume
rm "$(ls others/*/*.jpg | head -n 1)"
again && check "a resume with another validation set" pretrain run --resume
says "it is said, since scores cannot be compared" "data.validation: the pictures are others than when the run was saved"

# --- a run's own sums, wherever its weights are used
cp -r run flipped
weights=$(ls -d flipped/checkpoints/step-* | tail -n 1)/model.safetensors
printf '\001' | dd of="$weights" bs=1 seek=$(($(stat -c %s "$weights") - 9)) conv=notrunc 2>/dev/null
for as in flipped "$(dirname "$weights")" "$weights"; do
    fails 1 "its checksum differs" "a flipped bit: embed from $(basename "$as")" "$mcf" embed --checkpoint "$as" --out f.safetensors --quiet faces
    fails 1 "its checksum differs" "a flipped bit: model.init from $(basename "$as")" "$mcf" pretrain tiny.yaml --out r1 --quiet \
        --set 'data.train=[faces]' --set model.init="$as"
    fails 1 "its checksum differs" "a flipped bit: M_1 from $(basename "$as")" "$mcf" pretrain tiny.yaml --out r2 --quiet \
        --set 'data.train=[faces]' --set objective.feature.weight=1 --set model.teacher.checkpoint="$as" \
        --set 'model.teacher={dim: 32, depth: 2, heads: 2, mlp_ratio: 2, blocks: [2]}' --set model.teacher.checkpoint="$as"
    fails 1 "its checksum differs" "a flipped bit: export from $(basename "$as")" "$mcf" export "$as" --out x.safetensors
    fails 1 "its checksum differs" "a flipped bit: import from $(basename "$as")" "$mcf" import "$as" --kind mcf --out x.safetensors
done

# --- the first signal is enough
mkdir many
i=0
while [ $i -lt 40 ]; do
    mkdir many/$i
    n=0
    while [ $n -lt 400 ]; do ln "$picture" many/$i/$n.jpg && n=$((n + 1)); done
    i=$((i + 1))
done
"$mcf" embed --checkpoint run --retrieval many --quiet >words 2>errors &
pid=$!
sleep 4 # by now it compares 16,000 images, or still embeds them
kill -TERM $pid
begin=$(date +%s)
wait $pid
code=$? took=$(($(date +%s) - begin))
check "retrieval among 16,000 images hears the first signal ($took s)" test $code = 130 -a $took -le 3
"$mcf" pretrain tiny.yaml --out heard --quiet --set 'data.train=[many]' --set batch.per_device=8 --set schedule.epochs=1000 >words 2>errors &
pid=$!
sleep 1
kill -TERM $pid
begin=$(date +%s)
wait $pid
code=$? took=$(($(date +%s) - begin))
check "so does a run, before its first step or after ($took s)" test $code = 130 -a $took -le 15
done_testing
