#!/bin/sh
# mcf synth as a user meets it: what it prints, wrong options, folders that cannot be written, a full disk, ^C.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

"$mcf" synth --out faces --count 12 --per-identity 4 --size 48 --seed 3 >said 2>/dev/null
check "synth says how many faces of how many people, and how fast" \
    grep -q '^12 faces of 3 people in faces, labels in faces/labels.jsonl; .* a second, .* a second and core$' said
check "one folder a person" test "$(ls faces/images | tr '\n' ' ')" = "000000 000001 000002 "
check "the same again, by another number of threads" sh -c \
    "'$mcf' synth --out again --count 12 --per-identity 4 --size 48 --seed 3 --workers 3 --quiet && diff -r faces again"
check "other faces for another seed" sh -c \
    "'$mcf' synth --out other --count 1 --size 48 --seed 4 --quiet && ! cmp -s other/images/*/* faces/images/000000/000000_000.jpg"
"$mcf" synth --out more --count 20 --per-identity 4 --size 48 --seed 3 --layouts none --quiet
check "more faces begin with the same" cmp -s more/images/000002/000002_003.jpg faces/images/000002/000002_003.jpg
"$mcf" synth --out near --count 12 --per-identity 4 --size 48 --seed 3 --layouts none --framing close --quiet
heights() { # mean height of the boxes of a folder's faces, in hundredths of a pixel
    sed -E 's/.*"box": \[[-0-9.]+, ([-0-9.]+), [-0-9.]+, ([-0-9.]+)\].*/\1 \2/' "$1/labels.jsonl" |
        awk '{s += $2 - $1} END {printf "%d", 100 * s / NR}'
}
check "close faces are half as large again" test "$(heights near)" -gt $((13 * $(heights faces) / 10))
check "quiet is quiet" test -z "$("$mcf" synth --out silent --count 1 --size 32 --layouts none --quiet 2>&1)"

fails 2 "faces already" "faces are not overwritten" "$mcf" synth --out faces --count 3
fails 2 "--count N is missing" "no count" "$mcf" synth --out nowhere
fails 2 "--out DIR is missing" "no folder" "$mcf" synth --count 3
fails 2 "size" "too small" "$mcf" synth --out nowhere --count 3 --size 16
fails 2 "--framing far is neither portrait nor close" "an unknown framing" "$mcf" synth --out nowhere --count 3 --framing far
fails 2 "none of all, none, wflw" "an unknown layout" "$mcf" synth --out nowhere --count 3 --layouts helen
check "wrong options leave nothing behind" test ! -e nowhere
echo text >file
fails 1 "file" "a file where the folder should be" "$mcf" synth --out file/faces --count 1 --size 32

"$mcf" synth --out stopped --count 100000 --size 256 --quiet 2>stopped.errors &
pid=$!
sleep 1
kill -INT $pid
wait $pid
check "interrupted: exit code 130" test $? = 130
check "interrupted: says what to do" grep -q "interrupted; the same command begins anew" stopped.errors
check "interrupted: no list promises what is not there" test ! -e stopped/labels.jsonl

if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=300k tmpfs small 2>/dev/null; then
    fails 1 "No space left" "a full disk" "$mcf" synth --out small/faces --count 200 --size 128 --quiet
    check "a full disk: no half pictures" sh -c "! find small -name '*.part' | grep -q . && ! test -e small/faces/labels.jsonl"
    umount small
else
    echo "skipped - a full disk (needs root and tmpfs)"
fi
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && chmod 755 "$work" && mkdir -m 755 closed; then
    fails 1 "Permission denied" "a folder without permission" setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$mcf" synth --out closed/faces --count 1 --size 32
else
    echo "skipped - a folder without permission (needs root)"
fi
done_testing
