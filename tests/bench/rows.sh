#!/bin/sh
# bench/scripts/rows.sh in miniature: killed on the way it goes on, prints every row, and keeps what is there.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
OMP_WAIT_POLICY=passive ROWS_FACES=24 ROWS_OTHERS=12 ROWS_EACH=4 ROWS_SIZE=32 ROWS_PATCH=8 ROWS_EPOCHS=1 ROWS_M1_EPOCHS=1
ROWS_SEEDS="1 2" ROWS_PRECISION=fp32
ROWS_SET="batch.per_device=8 schedule.warmup_epochs=0"
export OMP_WAIT_POLICY ROWS_FACES ROWS_OTHERS ROWS_EACH ROWS_SIZE ROWS_PATCH ROWS_EPOCHS ROWS_M1_EPOCHS ROWS_SEEDS ROWS_PRECISION ROWS_SET
study() {
    sh "$source_dir/bench/scripts/rows.sh" "$1" "$build"
}

setsid sh "$source_dir/bench/scripts/rows.sh" rows "$build" >first 2>&1 &
pid=$!
tries=0
while [ ! -e rows/probes/l2-1.json ] && [ $tries -lt 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
check "it trains and probes" test -e rows/probes/l2-1.json
kill -9 -$pid
wait $pid 2>/dev/null
check "killed, it had not come to the end" sh -c "! grep -q '| Scratch' first"
cp rows/probes/l2-1.json kept.json
study rows >second 2>errors
check "it goes on to the end" test $? = 0
check "what was there is kept" cmp -s kept.json rows/probes/l2-1.json
check "every row of Table 8 and M_1, as numbers" sh -c "[ \$(grep -Ec '^\\| (Scratch|L_2|L_mim).*( \\| [0-9.]+ ± [0-9.]+){4} \\|\$' second) = 7 ] &&
    grep -Eq '^\\| M_1.*( \\| [0-9.]+){4} \\|\$' second"
check "seeds differ" sh -c "! cmp -s rows/probes/mim_2-1.json rows/probes/mim_2-2.json"
find rows/runs -name model.safetensors -exec ls -l --time-style=full-iso {} + >before
study rows >third 2>/dev/null
find rows/runs -name model.safetensors -exec ls -l --time-style=full-iso {} + >after
check "again: nothing is trained anew, the same table" sh -c "cmp -s before after && grep \"^|\" second >a; grep \"^|\" third >b; cmp -s a b"
export ROWS_EPOCHS=2
fails_like() {
    study rows >said 2>errors
    test $? = 2 && grep -q "begun with other settings" errors
}
check "other settings are refused" fails_like

check "a probe of 68 points" "$mcf" probe --checkpoint rows/runs/mim_2-1 --fit rows/faces --test rows/others --points 68
check "it says everything" sh -c "'$mcf' probe --checkpoint rows/runs/mim_2-1 --fit rows/faces --test rows/others --quiet |
    grep -c '^retrieval by .*: rank 1 .*queries, 3 people)$\|^98 points by a linear probe: NME .*mean face: ' | grep -qx 3"
fails 2 "either --checkpoint FILE or" "neither checkpoint nor config" "$mcf" probe --fit rows/faces --test rows/others --quiet
fails 2 "68 or 98 points, not 5" "other points" "$mcf" probe --checkpoint rows/runs/m1 --fit rows/faces --test rows/others \
    --points 5
fails 1 "nothing/labels.jsonl" "no folder" "$mcf" probe --checkpoint rows/runs/m1 --fit nothing --test rows/others
rm rows/others/images/000001/000001_002.jpg
fails 1 "000001_002.jpg" "a picture that is gone" "$mcf" probe --checkpoint rows/runs/m1 --fit rows/faces --test rows/others --quiet
done_testing
