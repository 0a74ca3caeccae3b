#!/bin/sh
# A sample of ci/faults: commands whose allocations, reads, writes or threads fail end with an error of their own.
. "$(dirname "$0")/../lib.sh"
[ -f "$build/libfaults.so" ] || { echo "skipped: no libfaults.so in this build"; exit 77; }
sh "$source_dir/ci/faults" --build "$build" --points 6 >"$work/table" 2>&1
grep '^| [a-z]' "$work/table" | grep -v '^| command' | while IFS='|' read -r _ command fault calls tried well rest; do
    if [ "$tried" -eq "$well" ]; then
        echo "ok -$command:$fault:$calls calls,$tried tried"
    else
        echo "not ok -$command:$fault:$calls calls,$tried tried,$well ended well"
        echo bad >>"$work/bad"
    fi
done
[ ! -f "$work/bad" ] || failures=1
check "every command ran" test "$(grep -c '^| [a-z]' "$work/table")" -gt 40
cat "$work/table" | grep -v '^|'

# A read error that passes changes nothing that is learned; one that stays ends the run with the file's name.
cd "$work" || exit 1
cat >tiny.yaml <<YAML
data: {train: [$work/faces/images], workers: 2}
model:
  image_size: 16
  patch_size: 8
  encoder: {dim: 16, depth: 1, heads: 2, mlp_ratio: 2}
  decoder: {dim: 16, depth: 1, heads: 2, mlp_ratio: 2}
objective: {feature: {weight: 0}, pixel: {weight: 1}, contrastive: {weight: 0}}
schedule: {epochs: 2, warmup_epochs: 0}
batch: {per_device: 4, accumulate: 1}
YAML
check "faces" "$mcf" synth --out faces --count 12 --size 32 --quiet
pretrain() {
    run=$1
    shift
    env "$@" "$mcf" pretrain tiny.yaml --out "$run" --backend cpu-reference --quiet
}
check "without faults" pretrain whole A=B
fault="LD_PRELOAD=$build/libfaults.so MCF_FAULT_UNDER=$work/faces/ MCF_FAULT_ERRNO=5"
for call in open pread; do
    check "one $call fails" pretrain "$call" $fault MCF_FAULT_CALLS=$call MCF_FAULT_AT=9
    check "the same losses after a failed $call" \
        test "$(grep -o '"loss[^,]*' whole/log.jsonl)" = "$(grep -o '"loss[^,]*' "$call/log.jsonl")"
    fails 1 ".jpg: " "a $call that goes on failing ends the run" \
        pretrain "$call-always" $fault MCF_FAULT_CALLS=$call MCF_FAULT_AT=9 MCF_FAULT_ALWAYS=1
done
# A read that fails while a tar is indexed ends the command and leaves no index; want of memory too.
tar -cf shard.tar -C faces/images .
"$mcf" embed --checkpoint whole --backend cpu-reference --out all.safetensors --quiet shard.tar >words && rm -f shard.tar.idx
for calls in open,read,pread memory; do
    bad= tried=0 said=0 at=1
    while [ $at -lt 4000 ]; do
        rm -f shard.tar.idx got.safetensors count
        env LD_PRELOAD="$build/libfaults.so" MCF_FAULT_CALLS=$calls MCF_FAULT_AT=$at MCF_FAULT_ERRNO=5 \
            $([ $calls = memory ] || echo MCF_FAULT_UNDER=shard.tar) MCF_FAULT_COUNT=count \
            "$mcf" embed --checkpoint whole --backend cpu-reference --out got.safetensors --quiet shard.tar >words 2>errors
        code=$?
        tried=$((tried + 1))
        case $code in
        0) cmp -s all.safetensors got.safetensors || bad="$bad $at(other features)" ;;
        1 | 2)
            said=$((said + 1))
            rm -f got.safetensors
            "$mcf" embed --checkpoint whole --backend cpu-reference --out got.safetensors --quiet shard.tar >words 2>&1
            cmp -s all.safetensors got.safetensors || bad="$bad $at(a short index stayed)"
            ;;
        *) bad="$bad $at($code)" ;;
        esac
        [ -f count ] && [ "$(cat count)" -lt $at ] && break
        [ $calls = memory ] && at=$((at + 97)) || at=$((at + 1))
    done
    check "$calls while a tar is indexed: $tried points, $said errors, nothing lost in silence" test -z "$bad" -a $said -gt 5
    [ -z "$bad" ] || echo "  $bad"
done
# Under every limit of the address space a run ends well or says in one line what it lacks, before its libraries find out.
signals= lines= ended=0
for limit in 90 110 130 140 150 160 170 180 190 200 220 260 300; do
    rm -rf limited
    (
        ulimit -v $((limit * 1000))
        timeout 60 "$mcf" pretrain tiny.yaml --out limited --quiet --backend cpu --threads 2 --set model.image_size=64 \
            --set schedule.epochs=1 >words 2>errors
    ) 2>/dev/null
    code=$?
    ended=$((ended + (code != 0)))
    case $code in 0 | 1 | 2) ;; *) signals="$signals $limit($code)" ;; esac
    [ $code = 0 ] || [ "$(grep -c . errors)" = 1 ] || lines="$lines $limit"
done
check "13 limits of the address space, $ended too small: no signal" test -z "$signals"
[ -z "$signals" ] || echo "  limits in MB:$signals"
check "one line each" test -z "$lines"
[ -z "$lines" ] || echo "  limits in MB:$lines"
done_testing
