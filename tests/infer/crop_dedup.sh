#!/bin/sh
# mcf crop --dedup: what stays is what the hashes say, first come first kept, whatever number of processes, kills or threads.
. "$(dirname "$0")/../lib.sh"

"$build/draw_detector" "$work/detector" || exit 1
crop() { "$mcf" crop --detector "$work/detector" --thresholds 0.6,0.6,0.6 --min-side 8 --quiet --shard-size 5 --threads 1 "$@"; }
same() { (cd "$1" && for f in *.tar *.stats.json; do cmp "$f" "../$2/$f" || exit 1; done); }

"$mcf" synth --out "$work/synth" --count 20 --size 64 --seed 5 --layouts none --quiet || exit 1
mkdir "$work/photos"
i=10
for picture in $(find "$work/synth/images" -name '*.*' -type f | sort); do # each with a copy far behind it, so that both lie in different shards
    i=$((i + 1))
    cp "$picture" "$work/photos/a$i.jpg"
    cp "$picture" "$work/photos/b$i.jpg"
    echo "face $i" >"$work/photos/b$i.txt"
done
echo broken >"$work/photos/a30x.jpg"

check "all faces" crop --images "$work/photos" --out "$work/all"
check "without duplicates" crop --images "$work/photos" --out "$work/one" --dedup 0
for f in "$work"/all/*.tar; do tar -tf "$f" | grep jpg; done >"$work/all.names"
for f in "$work"/one/*.tar; do tar -tf "$f" | grep jpg; done >"$work/one.names"
check "there are faces of both copies" sh -c "grep -q ^a '$work/all.names' && grep -q ^b '$work/all.names'"
check "the first copy stays, the second goes" sh -c "grep -q ^a '$work/one.names' && ! grep -q ^b '$work/one.names'"
check "statistics hold the sum" sh -c \
    "cat '$work'/one/*.stats.json | sed -nE 's/.*\"(duplicates|kept)\": ([0-9]+).*/\\2/p' |
     awk '{ n += \$1 } END { exit n != '\$(wc -l <'$work/all.names')' }'"
check "and the refused picture" sh -c "cat '$work'/one/*.stats.json | grep -q \"not an image\""
check "captions are counted with the faces that stay" sh -c \
    "! cat '$work'/one/*.stats.json | grep -q '\"captions\": [1-9]'"
check "candidates are gone" test -z "$(ls "$work/one" | grep -E 'candidates|lock|tmp-')"
check "the page counts duplicates" grep -q '<td>duplicates<td class=n>[1-9]' "$work/one/index.html"

# What the hashes say, face by face.
for bits in 0 6 12; do
    [ $bits = 0 ] || check "within $bits bits" crop --images "$work/photos" --out "$work/bits$bits" --dedup $bits
done
ln -s one "$work/bits0"
if command -v python3 >/dev/null; then
    check "the faces that stay are those without an earlier one near" python3 - "$work" <<'PYTHON'
import glob, json, sys, tarfile
work, counts = sys.argv[1], []
def faces(folder):
    for shard in sorted(glob.glob(folder + '/*.tar')):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith('.json'):
                    yield member.name[:-5], int(json.load(tar.extractfile(member))['dhash'], 16)
every = list(faces(work + '/all'))
for bits in 0, 6, 12:
    want = [key for i, (key, h) in enumerate(every) if all(bin(h ^ g).count('1') > bits for _, g in every[:i])]
    got = [key for key, _ in faces(f'{work}/bits{bits}')]
    assert got == want, (bits, got, want)
    counts.append(len(got))
assert counts[0] > counts[1] > counts[2] > 0, counts
PYTHON
fi

for i in 1 0; do
    check "process $i of two" crop --images "$work/photos" --out "$work/two" --dedup 6 --shard $i/2
done
check "the first had to wait for the second" test ! -e "$work/two/00001.stats.json"
check "and goes on when it is through" crop --images "$work/photos" --out "$work/two" --dedup 6 --shard 1/2
check "two processes make the same bytes" same "$work/bits6" two
check "so do two threads and another batch" sh -c "true; '$mcf' crop --detector '$work/detector' --thresholds 0.6,0.6,0.6 \
    --min-side 8 --quiet --shard-size 5 --threads 2 --batch 3 --images '$work/photos' --out '$work/threads' --dedup 6"
check "byte for byte" same "$work/bits6" threads

killed=0
while [ $killed -lt 5 ]; do
    crop --images "$work/photos" --out "$work/killed" --dedup 6 &
    pid=$!
    sleep 0.$((1 + 2 * killed))
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    killed=$((killed + 1))
done
check "a killed job goes on" crop --images "$work/photos" --out "$work/killed" --dedup 6
check "and ends with the same bytes" same "$work/bits6" killed
check "with nothing left beside them" test -z "$(ls "$work/killed" | grep -E 'candidates|lock|tmp-')"
rm "$work/killed/00000.tar" "$work/killed/00000.tar.idx"
check "data may be moved away" crop --images "$work/photos" --out "$work/killed" --dedup 6
check "and stay away" test ! -e "$work/killed/00000.tar"
rm "$work/killed/00002.stats.json"
echo '{"dhash": ["xyz"]}' >"$work/killed/00002.hashes.json"
fails 1 "16 hexadecimal digits" "hashes that are none are named" crop --images "$work/photos" --out "$work/killed" --dedup 6

fails 2 "another 'dedup'" "the same folder without --dedup is refused" crop --images "$work/photos" --out "$work/one"
fails 2 "another 'dedup'" "and one without it, with" crop --images "$work/photos" --out "$work/all" --dedup 3
fails 2 "folder of their own" "a retry is refused" crop --images "$work/photos" --out "$work/one" --dedup 0 --retry
fails 2 "dedup" "17 bits are too many" crop --images "$work/photos" --out "$work/x" --dedup 17
fails 2 "detections" "detections have no duplicates" crop --images "$work/photos" --out "$work/x.json" --dedup 1 --detect-only
done_testing
