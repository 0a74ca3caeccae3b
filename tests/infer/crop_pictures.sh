#!/bin/sh
# mcf crop on pictures of every kind: turns by EXIF, colour models, transparency, palettes, 16 bit, animations, a panorama,
# pictures too small for a face, broken ones. The picture is the README's, whose faces the real detector finds; without its
# weights (MCF_DETECTOR, or weights/mtcnn.safetensors) a drawn one looks, and only the reading is judged. Needs PIL.
. "$(dirname "$0")/../lib.sh"
python=${MCF_PYTHON:-python3}
"$python" -c 'import PIL' 2>/dev/null || { echo "skipped: no PIL (python3-pil)"; exit 77; }
real=${MCF_DETECTOR:-$source_dir/weights/mtcnn.safetensors}
if [ -f "$real" ]; then
    detector=$real
else
    echo "no weights at $real (ci/detector-weights): a drawn detector looks"
    detector=$work/drawn
    "$build/draw_detector" "$detector" || exit 1
fi

"$python" - "$source_dir/docs/pictures/crop.jpg" "$work/photos" <<'PYTHON'
import os, struct, sys, zlib
from PIL import Image, features
picture, out = Image.open(sys.argv[1]).convert('RGB'), sys.argv[2]
picture = picture.crop((0, 0, picture.width, min(picture.height, picture.width)))
picture.thumbnail((480, 480))
os.mkdir(out)
def save(image, name, **options):
    image.save(os.path.join(out, name), **options)
save(picture, 'plain.png')
# what a viewer has to undo for each EXIF value
undo = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
for value in range(2, 10):
    exif = Image.Exif()
    exif[0x0112] = value
    stored = picture.transpose(undo[value]) if undo.get(value) is not None else picture
    save(stored, f'exif{value}.jpg', quality=98, subsampling=0, exif=exif)
    save(stored, f'exif{value}.png', exif=exif)
    if features.check('webp'):
        save(stored, f'exif{value}.webp', lossless=True, exif=exif)
save(picture.convert('CMYK'), 'cmyk.jpg', quality=98)
save(picture.convert('L'), 'grey.jpg', quality=98)
save(picture.convert('L'), 'grey.png')
save(picture, 'progressive.jpg', quality=98, progressive=True)
alpha = Image.new('L', picture.size, 255)
for y in range(picture.height):  # a transparent frame, under which lies red
    for x in range(picture.width):
        if min(x, y, picture.width - 1 - x, picture.height - 1 - y) < 4:
            alpha.putpixel((x, y), 0)
framed, white = picture.copy(), picture.copy()
framed.paste((255, 0, 0), mask=alpha.point(lambda v: 255 - v))
white.paste((255, 255, 255), mask=alpha.point(lambda v: 255 - v))
framed.putalpha(alpha)
save(framed, 'alpha.png')
save(white, 'white.png')
save(picture.quantize(256), 'palette.png')
save(picture.quantize(256).convert('RGB'), 'of_palette.png')
def chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
rows, data = picture.tobytes(), bytearray()
for y in range(picture.height):  # 16 bit: the high byte is the picture, the low one noise
    data.append(0)
    for i, v in enumerate(rows[y * picture.width * 3:(y + 1) * picture.width * 3]):
        data += bytes((v, (7 * i + y) & 255))
with open(out + '/bits16.png', 'wb') as f:
    f.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', *picture.size, 16, 2, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(bytes(data))) + chunk(b'IEND', b''))
other = Image.new('RGB', picture.size, (90, 160, 90))
if features.check('webp'):
    save(picture, 'animated.webp', save_all=True, append_images=[other], lossless=True)
save(picture, 'animated.png', save_all=True, append_images=[other])
save(other.resize((19, 400)), 'narrow.png')
save(other.resize((400, 19)), 'flat.jpg')
save(other.resize((1, 1)), 'dot.png')
save(other, 'empty_scene.png')
panorama = Image.new('RGB', (20000, 1200), (120, 130, 140))
panorama.paste(picture, (15000, 500))
panorama.save(out + '/../panorama.jpg', quality=90)
plain = open(out + '/exif3.jpg', 'rb').read()
open(out + '/cut.jpg', 'wb').write(plain[:len(plain) // 3])
open(out + '/zero.png', 'wb').close()
open(out + '/words.webp', 'w').write('no picture')
huge = chunk(b'IHDR', struct.pack('>IIBBBBB', 20000, 20000, 8, 2, 0, 0, 0))
open(out + '/huge.png', 'wb').write(b'\x89PNG\r\n\x1a\n' + huge + chunk(b'IDAT', b'') + chunk(b'IEND', b''))
PYTHON
check "the pictures are drawn" test -s "$work/photos/huge.png"
check "all are looked at" "$mcf" crop --detector "$detector" --images "$work/photos" --detect-only --out "$work/found.json" \
    --quiet
cat >"$work/judge.py" <<'PYTHON'
# judge.py FOUND REAL WHAT: exit 0 where WHAT is as it should be
import json, sys
found, real, what = json.load(open(sys.argv[1])), sys.argv[2] == 'real', sys.argv[3]
plain = found['plain.png']
assert not real or len(plain['boxes']) >= 2, 'the picture has faces'
def near(name, limit, like=plain):
    got = found[name]
    assert 'refused' not in got, got
    assert len(got['boxes']) == len(like['boxes']), (name, len(got['boxes']), len(like['boxes']))
    left = sorted(b[:4] for b in got['boxes'])
    for a, b in zip(left, sorted(b[:4] for b in like['boxes'])):
        assert max(abs(u - v) for u, v in zip(a, b)) <= limit, (name, a, b)
kinds = [k for k in ('jpg', 'png', 'webp') if f'exif2.{k}' in found]
if what.startswith('exif'):
    for kind in kinds:
        if real or kind != 'jpg':
            near(f'{what}.{kind}', 3 if kind == 'jpg' else 0)
        else:
            assert 'refused' not in found[f'{what}.{kind}']
elif what == 'lossless':
    for name in 'bits16.png', 'animated.png', *(['animated.webp'] if 'animated.webp' in found else []):
        near(name, 0)
elif what == 'alpha':
    near('alpha.png', 0, found['white.png'])
elif what == 'palette':
    near('palette.png', 0, found['of_palette.png'])
elif what == 'colours':
    for name in 'cmyk.jpg', 'grey.jpg', 'grey.png', 'progressive.jpg':
        assert 'refused' not in found[name], found[name]
        assert not real or len(found[name]['boxes']) > 0, name
elif what == 'small':
    for name in 'narrow.png', 'flat.jpg', 'dot.png':
        assert found[name] == {'boxes': [], 'points': []}, found[name]
    assert not real or found['empty_scene.png']['boxes'] == []
elif what == 'broken':
    reasons = {name: found[name].get('refused') for name in ('cut.jpg', 'zero.png', 'words.webp', 'huge.png')}
    assert all(reasons.values()) and len(set(reasons.values())) == 4, reasons
PYTHON
kind=$([ "$detector" = "$real" ] && echo real || echo drawn)
for value in 2 3 4 5 6 7 8 9; do
    check "EXIF $value in JPEG, PNG and WebP" "$python" "$work/judge.py" "$work/found.json" $kind exif$value
done
check "CMYK, grey, progressive" "$python" "$work/judge.py" "$work/found.json" $kind colours
check "16 bit and the first frame of animations" "$python" "$work/judge.py" "$work/found.json" $kind lossless
check "transparency shows white" "$python" "$work/judge.py" "$work/found.json" $kind alpha
check "palettes" "$python" "$work/judge.py" "$work/found.json" $kind palette
check "sides below 20 pixels: no face, no failure" "$python" "$work/judge.py" "$work/found.json" $kind small
check "broken ones are refused, each with its reason" "$python" "$work/judge.py" "$work/found.json" $kind broken

# A panorama of 20,000 pixels in less than 1 GB of address space's resident part.
if [ "$kind" = real ]; then
    check "a panorama stays below 1 GB" "$python" - "$mcf" "$detector" "$work" <<'PYTHON'
import json, resource, subprocess, sys
mcf, detector, work = sys.argv[1:]
subprocess.run([mcf, 'crop', '--detector', detector, '--images', work + '/panorama.jpg', '--detect-only', '--out',
                work + '/panorama.json', '--threads', '1', '--quiet'], check=True)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
found = json.load(open(work + '/panorama.json'))['panorama.jpg']
print(f'{most:.0f} MiB, {len(found["boxes"])} faces')
assert most < 1000 and len(found['boxes']) >= 2, (most, found)
PYTHON
fi
done_testing
