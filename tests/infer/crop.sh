#!/bin/sh
# mcf crop with a detector of drawn weights: inputs of all kinds, keys, captions, refusals, shards that do not depend on the
# number of processes, threads or kills.
. "$(dirname "$0")/../lib.sh"

"$build/draw_detector" "$work/detector" || exit 1
crop() { "$mcf" crop --detector "$work/detector" --thresholds 0.6,0.6,0.6 --min-side 8 --quiet "$@"; }

"$mcf" synth --out "$work/synth" --count 24 --size 64 --seed 5 --layouts none --quiet || exit 1
mkdir -p "$work/photos/sub dir"
i=0
for picture in "$work"/synth/images/*.* "$work"/synth/images/*/*.*; do
    [ -f "$picture" ] || continue
    i=$((i + 1))
    cp "$picture" "$work/photos/p$i.jpg"
    [ $i = 24 ] && break
done
cp "$work/photos/p4.jpg" "$work/photos/sub dir/a.b.jpg"
cp "$work/photos/p11.jpg" "$work/photos/sub dir/a_b.jpg"
cp "$source_dir/tests/data/upright/exif6.jpg" "$work/photos/tiny.jpg"
: >"$work/photos/zero.jpg"
echo "no picture" >"$work/photos/words.png"
head -c 900 "$work/photos/p3.jpg" >"$work/photos/cut.jpg"

check "a folder is cropped" crop --images "$work/photos" --out "$work/a" --shard-size 10 --threads 1
for n in 00000 00001 00002; do
    check "shard $n, its index or statistics are there" test -s "$work/a/$n.tar" -a -s "$work/a/$n.stats.json"
done
check "a page shows the faces" grep -q 'data:image/jpeg;base64' "$work/a/index.html"
for f in "$work"/a/*.tar; do tar -tf "$f"; done >"$work/names"
check "there are faces" test "$(grep -c jpg "$work/names")" -gt 5
check "every face has its JSON" test "$(grep -c json "$work/names")" = "$(grep -c jpg "$work/names")"
check "no name occurs twice" test -z "$(sort "$work/names" | uniq -d)"
check "names are plain" test -z "$(grep -v '^[A-Za-z0-9_-]*\.\(jpg\|txt\|json\)$' "$work/names")"
check "names that meet are told apart" test "$(grep -c '^sub_dir_a_b_[0-9a-f]\{8\}-[0-9]*.jpg' "$work/names")" -gt 1
check "headers hold no time and no owner" sh -c \
    "tar --numeric-owner --utc -tvf '$work/a/00000.tar' | grep -v '^-rw-r--r-- 0/0 .* 1970-01-01 00:00 ' | wc -l | grep -qx 0"
cat "$work"/a/*.stats.json | tr -d ' \n' >"$work/stats"
for reason in '"reason":"empty"' '"reason":"notanimage"' '"reason":"truncated"'; do
    check "refused: $reason" grep -qF "$reason" "$work/stats"
done

check "two threads, another batch" crop --images "$work/photos" --out "$work/b" --shard-size 10 --threads 2 --batch 3
check "make the same bytes" sh -c "cd '$work/a' && for f in *.tar *.stats.json; do cmp \$f ../b/\$f || exit 1; done"
for i in 0 1; do
    check "process $i of two" crop --images "$work/photos" --out "$work/c" --shard-size 10 --threads 1 --shard $i/2
done
check "make the same bytes, too" sh -c "cd '$work/a' && for f in *.tar *.stats.json; do cmp \$f ../c/\$f || exit 1; done"

# What is done stays done, also when its data are gone.
rm "$work/c/00001.tar"
check "a finished job has nothing to do" crop --images "$work/photos" --out "$work/c" --shard-size 10
check "data may be moved away" test ! -e "$work/c/00001.tar"
rm "$work/c/00001.stats.json"
: >"$work/c/00001.tar.tmp-1-0"
check "what is not done is done again" crop --images "$work/photos" --out "$work/c" --shard-size 10
check "with the same bytes" cmp "$work/a/00001.tar" "$work/c/00001.tar"
check "what a killed process left is gone" test -z "$(ls "$work"/c/*.tmp-* 2>/dev/null)"
fails 2 "another 'template'" "other options in the same folder are refused" \
    crop --images "$work/photos" --out "$work/c" --shard-size 10 --template ffhq
fails 2 "another 'inputs'" "other inputs, too" sh -c "rm '$work/photos/p1.jpg' && exec '$mcf' crop --detector '$work/detector' \
    --thresholds 0.6,0.6,0.6 --min-side 8 --quiet --images '$work/photos' --out '$work/c' --shard-size 10"

# Kills at any moment.
killed=0
while [ $killed -lt 4 ]; do
    crop --images "$work/photos" --out "$work/d" --shard-size 4 --threads 1 &
    pid=$!
    sleep 0.$((3 + 2 * killed))
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    killed=$((killed + 1))
done
check "a killed job goes on" crop --images "$work/photos" --out "$work/d" --shard-size 4
check "an undisturbed one" crop --images "$work/photos" --out "$work/e" --shard-size 4
check "ends with the same bytes" sh -c "cd '$work/e' && for f in *.tar *.stats.json; do cmp \$f ../d/\$f || exit 1; done"

# Shards with captions, one of them empty.
mkdir "$work/in" "$work/shards"
for i in 4 5 6; do
    cp "$work/photos/p11.jpg" "$work/in/k$i.jpg" # one in which a face is found
    printf '{"url":"u%s"}' $i >"$work/in/k$i.json"
done
printf 'a face' >"$work/in/k4.txt"
printf 'caf\351' >"$work/in/k5.txt"
(cd "$work/in" && tar -cf ../shards/x.tar k4.* k5.* && tar -cf ../shards/y.tar --files-from /dev/null && tar -cf ../shards/z.tar k6.*)
check "shards are cropped" crop --images "$work/shards" --out "$work/f"
check "an empty shard gives an empty one" test "$(tar -tf "$work/f/00001.tar" | wc -l)" = 0 -a -e "$work/f/00001.stats.json"
for f in "$work"/f/*.tar; do tar -tf "$f"; done >"$work/names"
first=$(grep -m1 '^x-k5.*txt' "$work/names")
check "captions become UTF-8" test "$(tar -xOf "$work/f/00000.tar" "$first")" = "$(printf 'caf\303\251')"
check "and it is said" sh -c "tar -xOf '$work/f/00000.tar' '${first%.txt}.json' | grep -q '\"caption_encoding\":\"latin-1\"'"
check "the picture's JSON comes along" sh -c \
    "tar -xOf '$work/f/00000.tar' '${first%.txt}.json' | grep -q '\"source_meta\":{\"url\":\"u5\"}'"

# Detections alone.
check "detections of one thread" crop --images "$work/photos" --detect-only --out "$work/1.json" --threads 1 --batch 1
check "and of two" crop --images "$work/photos" --detect-only --out "$work/2.json" --threads 2 --batch 16
check "are the same" cmp "$work/1.json" "$work/2.json"
# With every instruction set that runs here: the last rows of a library's products may be summed in another order.
for isa in portable avx2 avx512 avx512_bf16; do
    MCF_CPU_ISA=$isa "$mcf" devices >"$work/devices" 2>&1
    grep -q "$isa kernels" "$work/devices" || { echo "skipped: no $isa here"; continue; }
    for batch in 1 64; do
        check "$isa, batch $batch" env MCF_CPU_ISA=$isa "$mcf" crop --detector "$work/detector" --thresholds 0.6,0.6,0.6 \
            --images "$work/photos" --detect-only --out "$work/isa$batch.json" --threads 1 --batch $batch --backend cpu --quiet
    done
    check "$isa: one answer for both batches" cmp "$work/isa1.json" "$work/isa64.json"
done
check "refused pictures say why" grep -q '"zero.jpg":{"refused":"empty"}' "$work/1.json"
find "$work/photos" -name 'p1*.jpg' | sort >"$work/list"
check "a list" crop --images "$work/list" --detect-only --out "$work/3.json"
check "turned pictures are tried" crop --images "$work/list" --detect-only --rotations --out "$work/4.json"

fails 1 "ci/detector-weights" "no weights: how to get them" \
    "$mcf" crop --images "$work/photos" --out "$work/g" --detector "$work/none"
fails 2 "none of lapa, ffhq, arcface" "an unknown template" crop --images "$work/photos" --out "$work/g" --template x
fails 2 "i/n" "a wrong shard" crop --images "$work/photos" --out "$work/g" --shard 2/2
fails 2 "no points" "a residual without points" \
    crop --images "$work/photos" --out "$work/g" --template ffhq --max-residual 5
fails 1 "nowhere" "no input" crop --images "$work/nowhere" --out "$work/g"
done_testing
