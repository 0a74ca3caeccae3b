#!/bin/sh
# mcf embed --detect and mcf predict --detector on plain photographs with several faces: a drawn detector everywhere, the real
# one where its weights are (MCF_DETECTOR, or weights/mtcnn.safetensors).
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

"$build/draw_detector" drawn 0.5 || exit 1 # so that its faces pass the usual thresholds
"$mcf" synth --out synth --count 6 --size 64 --seed 5 --layouts none --quiet || exit 1
mkdir photos
i=0
for picture in $(find synth/images -type f | sort); do
    i=$((i + 1))
    cp "$picture" photos/p$i.jpg
done
tiny_config config.yaml
embed() { "$mcf" embed --config config.yaml --quiet "$@"; }

cat >compare.py <<'PYTHON'
# compare.py DETECTED CROPPED CROPS: the features of --detect are those of the crops that mcf crop writes
import glob, json, struct, sys, tarfile
from array import array
def read(path):
    data = open(path, 'rb').read()
    size = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, t in header.items():
        if name != '__metadata__':
            values = array('f')
            values.frombytes(data[8 + size + t['data_offsets'][0]:8 + size + t['data_offsets'][1]])
            tensors[name] = (t['shape'], values)
    return tensors, json.loads(header['__metadata__']['names'])
got, names = read(sys.argv[1])
want, _ = read(sys.argv[2])
facts = []
for shard in sorted(glob.glob(sys.argv[3] + '/*.tar')):
    with tarfile.open(shard) as tar:
        facts += [(m.name[:-5], json.load(tar.extractfile(m))) for m in tar if m.name.endswith('.json')]
rows = len(names)
assert rows == len(facts) == want['cls'][0][0] > 0, (rows, len(facts), want['cls'][0])
assert got['box'][0] == [rows, 4] and got['points'][0] == [rows, 5, 2] and got['score'][0] == [rows]
pictures = {}
for i, (name, (key, fact)) in enumerate(zip(names, facts)):
    picture, number = name.rsplit('#', 1)
    assert picture.endswith(fact['source']) and key.endswith('-' + number), (name, key)
    assert max(abs(a - b) for a, b in zip(got['box'][1][4 * i:4 * i + 4], fact['box'])) < 1e-3
    assert max(abs(a - b) for a, b in zip(got['points'][1][10 * i:10 * i + 10], sum(fact['points'], []))) < 1e-3
    pictures[picture] = pictures.get(picture, 0) + 1
for name in 'cls', 'mean':
    scale = max(abs(v) for v in want[name][1])
    worst = max(abs(a - b) for a, b in zip(got[name][1], want[name][1]))
    assert scale > 0 and worst <= 1e-5 * scale, (name, worst, scale)
assert max(pictures.values()) > 1, 'no picture has several faces'
print(rows, 'faces in', len(pictures), 'pictures')
PYTHON

crop() { "$mcf" crop --quiet --format png --min-side 0 --max-outside 5 "$@"; }
both() { # both NAME WEIGHTS PHOTOS
    check "$1: faces are embedded" embed --detector "$2" --out "$1.safetensors" "$3"
    check "$1: faces are cropped" crop --detector "$2" --images "$3" --out "$1.crops"
    check "$1: crops are embedded" embed --out "$1.crops.safetensors" "$1.crops"
    check "$1: with the same features" python3 compare.py "$1.safetensors" "$1.crops.safetensors" "$1.crops"
}
cat >align.yaml <<'YAML'
task: align
seed: 3
data: {train: [faces/WFLW], validation: [faces/WFLW], layout: wflw, crop_size: 48, workers: 2}
model:
  image_size: 32
  patch_size: 8
  encoder: {dim: 16, depth: 4, heads: 2, mlp_ratio: 2}
  features: [1, 2, 3, 4]
  head: {channels: 16, outputs: 98}
objective: {heatmap_size: 24, heatmap_radius: 3}
optimizer: {lr: 1e-3, betas: [0.9, 0.999], weight_decay: 1e-5, rates: {backbone: 1e-4}}
ema: 0.9
schedule: {epochs: 1, milestones: [1], factor: 0.1}
batch: {per_device: 5, accumulate: 1}
YAML
"$mcf" synth --out faces --count 40 --per-identity 4 --size 64 --seed 5 --framing close --quiet || exit 1
check "a network of points" "$mcf" finetune align.yaml --out align --quiet
predict() { # predict NAME WEIGHTS PHOTO: as many faces, at the same places, as mcf crop finds
    mkdir "$1.one"
    cp "$3" "$1.one/picture.jpg"
    check "$1: points are predicted" "$mcf" predict --checkpoint align --detector "$2" --out "$1.drawn" "$1.one" --batch 2 --quiet
    check "$1: and the faces found" "$mcf" crop --detector "$2" --images "$1.one" --detect-only --out "$1.json" --quiet
    check "$1: each has 98 points near its box" python3 - "$1" <<'PYTHON'
import glob, json, sys
got = json.load(open(glob.glob(sys.argv[1] + '.drawn/*.json')[0]))
want = json.load(open(sys.argv[1] + '.json'))['picture.jpg']
assert len(got['faces']) == len(want['boxes']) > 1, (len(got['faces']), len(want['boxes']))
for face, box in zip(got['faces'], want['boxes']):
    assert face['from'] == 'detector' and len(face['points']) == 98
    assert max(abs(a - b) for a, b in zip(face['box'], box)) < 0.01, (face['box'], box)
    size = max(box[2] - box[0], box[3] - box[1])
    x, y = (sum(p[k] for p in face['points']) / 98 for k in (0, 1))
    assert abs(x - (box[0] + box[2]) / 2) < size and abs(y - (box[1] + box[3]) / 2) < size, (x, y, box)
PYTHON
    check "$1: a picture shows them" sh -c "test -s '$1'.drawn/*.png"
}

both drawn drawn photos
"$mcf" crop --detector drawn --images photos --detect-only --out drawn.found --quiet
several=$(python3 -c "import json; d = json.load(open('drawn.found')); print(max(d, key=lambda k: len(d[k]['boxes'])))")
predict drawn drawn "photos/$several"
echo broken >photos/broken.jpg
check "a broken picture is named" sh -c "'$mcf' embed --config config.yaml --detector drawn --out b.safetensors photos 2>&1 |
    grep -q 'broken.jpg: text'"
rm photos/broken.jpg
fails 1 "ci/detector-weights" "no weights: how to get them" embed --detect --out x.safetensors photos
fails 2 "crop the faces" "no retrieval" embed --detector drawn --retrieval --out x.safetensors photos
fails 2 "crop the faces" "no decoding threads" embed --detector drawn --workers 2 --out x.safetensors photos

real=${MCF_DETECTOR:-$source_dir/weights/mtcnn.safetensors}
if [ -f "$real" ]; then
    mkdir sheet
    cp "$source_dir/docs/pictures/crop.jpg" sheet # a picture with faces of several sizes and turns
    both real "$real" sheet
    predict real "$real" sheet/crop.jpg
else
    echo "skipped: no weights at $real (ci/detector-weights)"
fi
done_testing
