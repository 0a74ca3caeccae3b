#!/bin/sh
# mcf crop under mpirun: 1, 2 and 5 processes and jobs that are killed write the same bytes, with --dedup too; what they write
# is read by mcf pretrain and, where it is installed, by Python's webdataset. MCF_KILL_RUNS: kills (default 3; ci/full: 20).
. "$(dirname "$0")/../lib.sh"
. "$source_dir/tests/backends/mpi_lib.sh"
cd "$work" || exit 1

"$build/draw_detector" drawn 0.5 || exit 1
"$mcf" synth --out synth --count 12 --size 64 --seed 5 --layouts none --quiet || exit 1
mkdir shards one
i=0
for picture in $(find synth/images -type f | sort); do # six shards of two pictures; every key stands in each of them
    i=$((i + 1))
    k=$((i % 2))
    cp "$picture" one/k$k.jpg
    echo "face $i" >one/k$k.txt
    printf '{"number": %s}' $i >one/k$k.json
    [ $k = 1 ] || (cd one && tar -cf "../shards/s$i.tar" -- *)
done
options="--detector drawn --min-side 8 --max-outside 5 --threads 1 --quiet"
same() { (cd "$1" && ls *.tar | wc -l | grep -qx 6 && for f in *.tar *.stats.json; do cmp "$f" "../$2/$f" || exit 1; done); }

# shellcheck disable=SC2086
for dedup in "" "--dedup 4"; do
    name=out${dedup:+_dedup}
    check "one process $dedup" "$mcf" crop $options $dedup --images shards --out ${name}1
    for n in 2 5; do
        check "$n processes $dedup" ranks $n "$mcf" crop $options $dedup --images shards --out $name$n
        check "write the same bytes" same ${name}1 $name$n
    done
done
check "--dedup leaves out some" sh -c "test \$(cat out_dedup1/*.tar | wc -c) -lt \$(cat out1/*.tar | wc -c)"

# Kills of a job of three processes, at moments spread over its length; then it goes on with another number.
began=$(date +%s%N)
ranks 3 "$mcf" crop $options --dedup 4 --images shards --out timed >/dev/null 2>&1
length=$((($(date +%s%N) - began) / 1000000))
kills=${MCF_KILL_RUNS:-3}
k=0
while [ $k -lt "$kills" ]; do
    k=$((k + 1))
    # shellcheck disable=SC2086
    setsid mpirun --oversubscribe --bind-to none -n 3 "$mcf" crop $options --dedup 4 --images shards --out killed$((k % 4)) >/dev/null 2>&1 &
    group=$!
    sleep "$(awk "BEGIN { print $length * $k / ($kills + 1) / 1000 }")"
    for process in $(pgrep -x mcf); do # the ranks live in groups of their own
        tr '\0' '\n' <"/proc/$process/cmdline" 2>/dev/null | grep -qx "killed$((k % 4))" &&
            [ "$(readlink "/proc/$process/cwd")" = "$work" ] && kill -9 "$process" 2>/dev/null
    done
    wait $group 2>/dev/null
done
for out in killed*; do
    check "$out goes on" ranks 2 "$mcf" crop $options --dedup 4 --images shards --out "$out"
    check "with the same bytes" same out_dedup1 "$out"
    check "and nothing left beside them" test -z "$(ls "$out" | grep -E 'candidates|lock|tmp-')"
done

for f in out1/*.tar; do tar -tf "$f"; done | sort >names
check "keys are unique over the whole set" sh -c "test -s names && test -z \"\$(uniq -d names)\""
check "every face has caption and JSON" sh -c \
    "test \$(grep -c jpg names) = \$(grep -c txt names) && test \$(grep -c jpg names) = \$(grep -c json names)"
tiny_config tiny.yaml
check "mcf pretrain reads the shards" "$mcf" pretrain tiny.yaml --out run --set "data.train=[out1]" --set schedule.epochs=1 \
    --set schedule.warmup_epochs=0 --set batch.per_device=4 --quiet
check "and trains on them" grep -q '"loss"' run/log.jsonl

python=${MCF_PYTHON:-python3}
if "$python" -c 'import webdataset' 2>/dev/null; then
    check "webdataset reads pictures, captions and JSON" "$python" - <<'PYTHON'
import glob, webdataset
seen = {}
for sample in webdataset.WebDataset(sorted(glob.glob('out1/*.tar')), shardshuffle=False, empty_check=False):
    assert {'jpg', 'txt', 'json'} <= set(sample), sorted(sample)
    assert sample['jpg'][:2] == b'\xff\xd8' and sample['txt'].startswith(b'face ')
    assert sample['__key__'] not in seen
    seen[sample['__key__']] = sample['txt']
want = sum(line.strip().endswith('.jpg') for line in open('names'))
assert len(seen) == want > 0, (len(seen), want)
PYTHON
else
    echo "skipped: no webdataset for Python (pip install webdataset)"
fi
done_testing
