#!/bin/sh
# No command destroys or mixes up what it reads: configs and what they include, lists, labels, weights, shards, pictures,
# named, listed, found in folders or behind links.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

synthetic_faces faces 2 4 32 3
"$mcf" synth --out s --count 16 --per-identity 4 --size 48 --seed 3 --test-fraction 0.5 --quiet || exit 1
"$build/draw_detector" detector || exit 1
tiny_config tiny.yaml
"$mcf" pretrain tiny.yaml --out run --quiet --set 'data.train=[faces]' --set schedule.epochs=1 \
    --set schedule.warmup_epochs=0 || exit 1
tiny_dense_configs s
"$mcf" finetune align.yaml --out arun --quiet --set schedule.epochs=1 --set 'schedule.milestones=[]' || exit 1
picture=$(find faces -name '*.jpg' | sort | head -n 1)
ls faces/*/*.jpg >list.txt
mkdir shards && (cd faces && tar -cf ../shards/00000.tar */*0.jpg && tar -cf ../shards/b.tar */*1.jpg)
crop() { "$mcf" crop --detector detector --thresholds 0.6,0.6,0.6 --min-side 8 --quiet "$@"; }

# kept WHAT FILE TEXT COMMAND...: refused with exit code 2 and TEXT, and the file is as it was
kept() {
    what=$1 file=$2 text=$3
    shift 3
    before=$(cksum <"$file")
    fails 2 "$text" "$what" "$@"
    check "$what: it is as it was" test "$(cksum <"$file")" = "$before"
}

# --- data check
printf 'include: base.cfg\ndata: {train: [list.txt]}\n' >top.cfg && echo 'seed: 3' >base.cfg
kept "a sheet onto the config" top.cfg "which would be lost" "$mcf" data check top.cfg --quiet --sheet top.cfg
kept "a sheet onto what it includes" base.cfg "which would be lost" "$mcf" data check top.cfg --quiet --sheet base.cfg
kept "a sheet onto the list" list.txt "which would be lost" "$mcf" data check top.cfg --quiet --sheet list.txt
kept "a sheet onto a listed picture" "$picture" "which would be lost" "$mcf" data check top.cfg --quiet --sheet "$picture"
kept "a sheet onto a shard" shards/b.tar "which would be lost" "$mcf" data check tiny.yaml --quiet --set 'data.train=[shards/b.tar]' --sheet shards/b.tar
fails 2 "taken for one of them" "a sheet among the pictures" "$mcf" data check tiny.yaml --quiet --set 'data.train=[faces]' --sheet faces/sheet.jpg
(cd faces && fails 2 "taken for one of them" "also where nobody named it" "$mcf" data check ../tiny.yaml --quiet --set 'data.train=[.]')
check "which left nothing" test ! -e faces/sheet.jpg -a ! -e faces/data-check.jpg
cp -rL s/WFLW linked && mv linked/WFLW_images elsewhere && ln -s ../elsewhere linked/WFLW_images
inner=$(find elsewhere -name '*.jpg' | sort | head -n 1)
set_linked="--set data.train=[linked] --set data.validation=[]"
kept "a sheet onto a picture behind a linked folder" "$inner" "which would be lost" "$mcf" data check align.yaml --quiet $set_linked --sheet "$inner"
fails 2 "taken for one of them" "a sheet beside pictures of a linked folder" "$mcf" data check align.yaml --quiet $set_linked --sheet "$(dirname "$inner")/new.jpg"
label=$(find s/WFLW -name 'list_98pt*train*.txt' | head -n 1)
kept "a sheet onto a list of labels" "$label" "name a file elsewhere" "$mcf" data check align.yaml --quiet --sheet "$label"
mask=$(find s/LaPa/train/labels -name '*.png' | sort | head -n 1)
kept "a sheet onto a label map" "$mask" "name a file elsewhere" "$mcf" data check parse.yaml --quiet --sheet "$mask"
part=$(find s/CelebAMask-HQ/CelebAMask-HQ-mask-anno -name '*.png' | sort | head -n 1)
kept "a sheet onto a part of a mask" "$part" "name a file elsewhere" "$mcf" data check parse.yaml --quiet --sheet "$part" \
    --set 'data.train=[s/CelebAMask-HQ]' --set 'data.validation=[]' --set data.layout=celebamask-hq --set model.head.outputs=19
check "a sheet elsewhere" "$mcf" data check align.yaml --quiet --sheet sheet.jpg
check "and again onto the old one" "$mcf" data check align.yaml --quiet --sheet sheet.jpg

# --- eval, reports, bench
label=$(find s/WFLW -name 'list_98pt*test*.txt' | head -n 1)
kept "scores onto the labels" "$label" "which would be lost" "$mcf" eval align.yaml --checkpoint arun --out "$label" --quiet
cp "$label" hard.txt && ln -f hard.txt "$label"
kept "scores onto a second name of the labels" hard.txt "which would be lost" "$mcf" eval align.yaml --checkpoint arun --out hard.txt --quiet
printf 'include: align.yaml\n' >eval.cfg
kept "scores onto the config" eval.cfg "which would be lost" "$mcf" eval eval.cfg --checkpoint arun --out eval.cfg --quiet
kept "scores onto the weights" arun/best.safetensors "belongs to the run" "$mcf" eval align.yaml --checkpoint arun --out arun/best.safetensors --quiet
cp arun/best.safetensors weights.safetensors
kept "scores onto weights that lie elsewhere" weights.safetensors "which would be lost" "$mcf" eval align.yaml --checkpoint weights.safetensors --out weights.safetensors --quiet
kept "a page onto the labels of a run" "$label" "which would be lost" "$mcf" report arun --quick --out "$label" --quiet
"$mcf" pretrain tiny.yaml --out lrun --quiet --set 'data.train=[list.txt]' --set schedule.epochs=1 --set schedule.warmup_epochs=0
kept "a page onto the list of a run" list.txt "which would be lost" "$mcf" report lrun --quick --out list.txt --quiet
kept "a bench's JSON onto the list" list.txt "which would be lost" "$mcf" bench data --config top.cfg --seconds 0.05 --out list.txt
kept "a bench's JSON onto an include" base.cfg "which would be lost" "$mcf" bench data --config top.cfg --seconds 0.05 --out base.cfg

# --- embed, import
kept "features onto an include" base.cfg "which would be lost" "$mcf" embed --config top.cfg --out base.cfg --quiet "$picture"
printf 'model: {init: start.safetensors}\ninclude: tiny.yaml\n' >init.cfg
"$mcf" export run --out start.safetensors --quiet
kept "features onto model.init" start.safetensors "which would be lost" "$mcf" embed --config init.cfg --out start.safetensors --quiet "$picture"
head -c 300 "$picture" | tail -c 200 >bad.dat && printf '%s\nbad.dat\n' "$picture" >bad.txt
kept "features onto a listed file that is no picture" bad.dat "which would be lost" "$mcf" embed --config tiny.yaml --out bad.dat --quiet bad.txt
fails 2 "taken for one of the inputs" "features with a picture's name among the pictures" "$mcf" embed --config tiny.yaml --out faces/new.jpg --quiet faces
check "features among the pictures, told apart by their name" "$mcf" embed --config tiny.yaml --out faces/features.safetensors --quiet faces
(cd faces && tar --format=v7 -cf ../v7.tar */*.jpg)
kept "features onto a tar without magic" v7.tar "a tar stands there" "$mcf" embed --config tiny.yaml --out v7.tar --quiet "$picture"
cp "$source_dir/tests/data/image/small.webp" w.bin 2>/dev/null || printf 'RIFF\044\000\000\000WEBPVP8 \030\000\000\000' >w.bin
kept "features onto a picture without a name" w.bin "a picture stands there" "$mcf" embed --config tiny.yaml --out w.bin --quiet "$picture"
mkdir hub && cp "$source_dir/tests/import/timm.safetensors" hub/model.safetensors && echo '{"num_classes": 3}' >hub/config.json
kept "import onto the config beside its source" hub/config.json "which would be lost" "$mcf" import hub/model.safetensors --kind timm --heads 2 --out hub/config.json --quiet
mkdir nets && echo x >nets/pnet.pt
kept "a detector onto a file of its folder" nets/pnet.pt "which would be lost" "$mcf" import nets --kind mtcnn --out nets/pnet.pt

# --- crop, predict, reconstruct
kept "detections onto the detector's weights" detector "which would be lost" crop --images faces --detect-only --out detector
kept "detections onto a shard" shards/b.tar "which would be lost" crop --images shards --detect-only --out shards/b.tar
printf 'shards/b.tar\n' >shards.txt
kept "detections onto a list of shards" shards.txt "which would be lost" crop --images shards.txt --detect-only --out shards.txt
kept "crops among the input shards" shards/00000.tar "lies in shards" crop --images shards --out shards
kept "crops beside an input shard" shards/00000.tar "might be replaced" crop --images shards/00000.tar --out shards
kept "crops beside a shard of a list" shards/00000.tar "might be replaced" crop --images shards.txt --out shards
fails 2 "lies in" "crops inside the pictures" crop --images faces --out faces/crops
fails 2 "might be replaced" "crops beside listed pictures" crop --images list.txt --out "$(dirname "$picture")"
cp -r shards others && rm -f others/*.idx
kept "crops onto shards of others" others/00000.tar "and no crop.json, so it is not this command's" crop --images faces --out others
mkdir site && echo hello >site/index.html
kept "crops onto a page of others" site/index.html "and no crop.json" crop --images faces --out site
mkdir predicted && cp "$picture" predicted/000000-a.png && echo predicted/000000-a.png >one.txt
kept "predictions beside listed pictures" predicted/000000-a.png "might be replaced" "$mcf" predict --checkpoint arun --out predicted one.txt --quiet
printf '[{"image": "000000-a.png", "box": [1, 1, 30, 30]}]' >predicted/000000-000000-a.json
kept "predictions onto the faces that are given" predicted/000000-000000-a.json "might be replaced" "$mcf" predict --checkpoint arun --out predicted --faces predicted/000000-000000-a.json --quiet

# --- runs
mkdir weights && cp arun/best.safetensors weights/best.safetensors
kept "a run into the folder of its start" weights/best.safetensors "holds a run already" "$mcf" finetune align.yaml --out weights --quiet --set model.init=weights/best.safetensors
mkdir -p mine/pictures && cp "$picture" mine/pictures/original.jpg && echo mine/pictures/original.jpg >mine.txt
kept "a run onto listed pictures" mine/pictures/original.jpg "might be replaced" "$mcf" pretrain tiny.yaml --out mine --quiet --set 'data.train=[mine.txt]'

# --- faces that are drawn
mkdir -p photos/images && cp "$picture" photos/images/mine.jpg
kept "--force replaces faces of this command only" photos/images/mine.jpg "not made by this command" "$mcf" synth --out photos --count 2 --size 32 --force --quiet

# --- folders for results
ln -s nowhere dangling
fails 1 "dangling is a link to nowhere, which is not there" "a link that leads nowhere as output folder" crop --images faces --out dangling
fails 1 "is a link to nowhere" "the same of reconstruct" "$mcf" reconstruct --checkpoint run --out dangling --quiet faces
mkdir real && ln -s real through
check "a link to a folder" crop --images faces --out through
check "is written behind" test -s real/00000.tar -a -L through
done_testing
