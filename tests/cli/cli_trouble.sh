#!/bin/sh
# What goes wrong in practice: damaged pictures, a full disk, folders without permission. Clear words, nothing lost,
# and broken pictures counted in the log.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
tiny_config tiny.yaml
synthetic_faces faces 4 8 48 6 || exit 1
images=$source_dir/tests/data/image

# --- pictures
cp -r faces odd
cp "$images/cmyk.jpg" odd/000000/cmyk.jpg
cp "$images/grey16.png" odd/000000/grey16.png
cp "$images/one.jpg" odd/000000/one.jpg
check "CMYK, 16 bits and 1 x 1 pixel are pictures" sh -c "'$mcf' embed --config tiny.yaml --out f.safetensors odd |
    grep -q '^35 images'"
cp -r faces broken
head -c 700 faces/000001/000001_000.jpg >broken/000001/half.jpg
echo "I am a text" >broken/000002/text.jpg
: >broken/000003/empty.png
check "half a JPEG, a text and an empty file do not stop a run" "$mcf" pretrain tiny.yaml --quiet --out broken-run \
    --set "data.train=[broken]" --set schedule.epochs=2
check "they are counted in the log" sh -c "tail -n 1 broken-run/log.jsonl | grep -Eq '\"broken\":[1-9]'"
mkdir useless
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo text >useless/$i.jpg; done
fails 1 ".jpg" "a folder of nothing but broken files stops the run with a name" "$mcf" pretrain tiny.yaml --quiet \
    --out useless-run --set "data.train=[useless]"
fails 1 "useless/1.jpg: text, not a JPEG" "a picture that is none is named with the reason" "$mcf" embed \
    --config tiny.yaml --out f.safetensors --quiet useless/1.jpg
fails 1 "none of the 16 images can be read; the first: useless/1.jpg: text" "pictures of which none is one" "$mcf" embed \
    --config tiny.yaml --out f.safetensors --quiet useless
mkdir long
for i in $(seq 100 180); do echo text >long/$i.jpg; done
cp faces/000000/*.jpg long
check "many broken pictures in a row are left out" sh -c "'$mcf' embed --config tiny.yaml --out f.safetensors long 2>&1 |
    grep -q '^mcf: 81 images left out as unreadable, the first: long/100.jpg: text'"
fails 1 "nowhere/f.safetensors: cannot write" "a place that is none is found before the work" "$mcf" embed \
    --config tiny.yaml --out nowhere/f.safetensors --quiet useless
: >file
fails 1 "file: cannot make the directory: file is a file" "a file in the place of a run" "$mcf" pretrain tiny.yaml --quiet \
    --out file/run --set "data.train=[faces]"
fails 2 "'schedule.epochs: 5' was 'schedule.epochs: 2'" "a run is not resumed with another config" "$mcf" pretrain \
    tiny.yaml --quiet --out broken-run --set "data.train=[broken]" --set schedule.epochs=5 --resume
mkdir empty
fails 2 "empty" "an empty folder" "$mcf" pretrain tiny.yaml --quiet --out empty-run --set "data.train=[empty]"

# --- a shard that was cut off
tar -cf whole.tar -C faces .
check "a whole shard trains" "$mcf" pretrain tiny.yaml --quiet --out whole-run --set "data.train=[whole.tar]" \
    --set schedule.epochs=1
size=$(wc -c <whole.tar)
head -c $((size / 2 + 100)) whole.tar >cut.tar
check "of a truncated shard the whole files are used, and it is said" sh -c "'$mcf' pretrain tiny.yaml --out cut-run \
    --set 'data.train=[cut.tar]' --set schedule.epochs=1 2>&1 | grep -q 'cut.tar: truncated'"

# --- disks and permissions
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
    fails 1 "a checkpoint of this run" "a disk without room for one checkpoint, before the first step" "$mcf" pretrain \
        tiny.yaml --quiet --out small/large --set "data.train=[faces]" --set model.encoder.dim=64
    check "no step was made" test ! -s small/large/log.jsonl
    fails 1 "and its disk has" "a disk that fills up" "$mcf" pretrain tiny.yaml --quiet --out small/run \
        --set "data.train=[faces]" --set schedule.epochs=30
    check "nothing half written stays under a checkpoint's name" sh -c "for c in small/run/checkpoints/step-*; do
        [ -e \"\$c\" ] || continue; [ -s \"\$c/state.json\" ] && [ -s \"\$c/model.safetensors\" ] || exit 1; done"
    umount small
else
    echo "skipped - a full disk: mounting a tmpfs takes root"
fi
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$work"
    mkdir -m 755 closed
    fails 1 "Permission denied" "a folder without write permission" setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$mcf" pretrain tiny.yaml --quiet --out closed/run --set "data.train=[faces]"
    chmod 000 faces/000000/000000_000.jpg
    check "a picture without read permission is left out and named" sh -c "setpriv --reuid 65534 --regid 65534 \
        --clear-groups '$mcf' embed --config tiny.yaml --retrieval --quiet faces 2>&1 | grep -q '00.jpg.*Permission denied'"
    chmod 644 faces/000000/000000_000.jpg
else
    echo "skipped - permissions of another user: takes root"
fi
done_testing
