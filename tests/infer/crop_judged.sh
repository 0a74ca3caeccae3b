#!/bin/sh
# mcf crop against an independent program in double precision (../shared/score/mtcnn): every template and border on real
# photographs, whole shards; the detector's answers on a sample of pictures. MCF_JUDGED: faces a case (default 12; ci/full: 200).
# Needs ../shared, weights of the detector (MCF_DETECTOR, or weights/mtcnn.safetensors), numpy and PIL.
. "$(dirname "$0")/../lib.sh"
shared=${MCF_SHARED:-$source_dir/../shared}
judges=$shared/score/mtcnn
detector=${MCF_DETECTOR:-$source_dir/weights/mtcnn.safetensors}
python=${MCF_PYTHON:-python3}
[ -f "$judges/align.py" ] && [ -d "$shared/data/portraits" ] || { echo "skipped: no judges and photographs in $shared"; exit 77; }
[ -f "$detector" ] || { echo "skipped: no weights at $detector (ci/detector-weights)"; exit 77; }
"$python" -c 'import numpy, PIL' 2>/dev/null || { echo "skipped: no numpy and PIL"; exit 77; }
faces=${MCF_JUDGED:-12}
mkdir "$work/photos"
# of each set as many, so that there are faces inside pictures and cut by their edge
for set in portraits 300w_part/afw faces; do
    find "$shared/data/$set" -name '*.jpg' | sort | awk -v n="$faces" '{ a[NR] = $0 } END { for (i = 0; i < n / 2 && i < NR; i++) print a[1 + int(i * NR / (n / 2))] }'
done >"$work/list"
while read -r path; do cp "$path" "$work/photos/$(echo "$path" | tr '/' '_')"; done <"$work/list"

cat >"$work/judge.py" <<'PYTHON'
# judge.py JUDGES OUT PHOTOS TEMPLATE BORDER LEAST: transform and pixels of every face
import glob, io, json, os, sys, tarfile
import numpy as np
from PIL import Image
judges, out, photos, template, border, least = sys.argv[1:]
sys.path.insert(0, judges)
import align
faces, worst, apart = 0, 0.0, 0.0
corners = np.array([(0, 0), (255, 0), (255, 255), (0, 255.0)])
for shard in sorted(glob.glob(out + '/*.tar')):
    with tarfile.open(shard) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}
    for name in members:
        if not name.endswith('.json'):
            continue
        fact = json.loads(members[name])
        points, got = np.array(fact['points']), np.array(fact['transform'])
        want = align.ffhq(points) if template == 'ffhq' else align.similarity(
            points, align.LAPA if template == 'lapa' else align.ARC)
        there = align.apply(align.invert(want), corners)
        apart = max(apart, np.abs(align.apply(got, there) - corners).max() / 256)
        picture = np.asarray(Image.open(os.path.join(photos, fact['source'])).convert('RGB'))
        crop = np.floor(align.warp(picture, got, border=border) + 0.5).clip(0, 255)
        pixels = np.asarray(Image.open(io.BytesIO(members[name[:-5] + '.png']))).astype(float)
        worst = max(worst, np.abs(pixels - crop).max())
        faces += 1
print(f'{template}, {border}: {faces} faces, pixels within {worst:.0f}, corners within {apart:.1e} of a crop')
assert faces >= int(least) and worst <= 1 and apart <= 1e-4
PYTHON
for template in lapa ffhq arcface; do
    for border in black edge reflect; do
        out=$work/$template-$border
        check "$template, $border" "$mcf" crop --detector "$detector" --images "$work/photos" --out "$out" --format png \
            --template $template --border $border --min-side 32 --quiet
        check "as in double precision" "$python" "$work/judge.py" "$judges" "$out" "$work/photos" $template $border "$faces"
        cat "$work/output"
    done
    check "the judge of whole shards accepts them" "$python" "$judges/judge_crops.py" "$work/$template-black" "$work/photos"
    tail -n 1 "$work/output"
done
done_testing
