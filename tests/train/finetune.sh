#!/bin/sh
# Alignment and parsing as a user trains them: scores after every epoch, the best network kept, interrupted runs that go on
# bit for bit, several devices, processes and precisions.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

"$mcf" synth --out faces --count 40 --per-identity 4 --size 64 --seed 5 --framing close --quiet || exit 1
tiny_dense_configs

newest() { find "$1" -name model.safetensors | sort | tail -n 1; }
value() { grep -o "\"$2\":[^,}]*" "$1/log.jsonl" | cut -d: -f2; }

near() { echo "$1 $2" | awk '{d = $1 - $2; exit !($1 > 0 && d < 2e-3 * $1 && -d < 2e-3 * $1)}'; }

for task in align parse; do
    score=$([ $task = align ] && echo nme || echo f1)
    check "$task trains" "$mcf" finetune $task.yaml --out $task --quiet
    # 32 faces for training, the last batch filled: 7 steps of 5
    check "$task: every epoch is ceil(N/B) steps" test "$(grep -c '"loss"' $task/log.jsonl)" = 21
    check "$task: scored after every epoch" test "$(grep -c "\"validation.$score\"" $task/log.jsonl)" = 3
    for loss in loss loss.$([ $task = align ] && echo heatmap || echo cross_entropy); do
        check "$task: the averaged network's $loss after every epoch" sh -c \
            "test \"\$(grep -o '\"validation.$loss\":[0-9.]*' $task/log.jsonl | awk -F: '\$2 > 0' | wc -l)\" = 3"
    done
    check "$task: the rate falls at the milestone" \
        sh -c "test \"$(value $task lr | sort -u | tr '\n' ' ')\" = '0.0001 0.001 '"
    check "$task: the best network is kept, without ema." \
        sh -c "grep -qa '\"head.conv_seg.weight\"' $task/best.safetensors && ! grep -qa '\"ema\.' $task/best.safetensors"
    cp -r $task stopped
    for checkpoint in $(find stopped -mindepth 1 -type d -name '*[0-9]' | sort | tail -n +2); do rm -rf "$checkpoint"; done
    rm stopped/best.safetensors
    check "$task: a run that stopped after an epoch goes on" "$mcf" finetune $task.yaml --out stopped --resume --quiet
    check "$task: the same bits as without the stop" cmp "$(newest $task)" "$(newest stopped)"
    check "$task: the same scores" test "$(value $task "validation.$score")" = "$(value stopped "validation.$score")"
    rm -rf stopped
    check "$task is scored" "$mcf" eval $task.yaml --checkpoint $task --out $task.json --quiet
    name=$([ $task = align ] && echo nme.inter-ocular || echo f1)
    check "$task: mcf eval finds what the last validation found" near \
        "$(grep -o "\"$name\": [0-9.]*" $task.json | head -n 1 | cut -d' ' -f2)" \
        "$(value $task "validation.$score" | tail -n 1 | awk '{print 100 * $1}')"
    for precision in bf16 fp16; do
        [ $precision = fp16 ] && backend=cpu-reference || backend=cpu
        check "$task in $precision" "$mcf" finetune $task.yaml --out $task-$precision --quiet --backend $backend \
            --set precision=$precision --set schedule.epochs=1 --set schedule.milestones=[]
    done
done

# Synchronised statistics: two devices with half the batch are one device, up to rounding.
check "one device" "$mcf" finetune align.yaml --out one --quiet --set schedule.epochs=1 --set schedule.milestones=[] \
    --set model.sync_batchnorm=true --set batch.per_device=8
check "two devices" "$mcf" finetune align.yaml --out two --quiet --set schedule.epochs=1 --set schedule.milestones=[] \
    --set model.sync_batchnorm=true --set batch.per_device=4 --devices 0,0
for score in nme loss loss.coordinate; do
    check "two devices end where one ends: $score" near "$(value one validation.$score)" "$(value two validation.$score)"
done
check "recomputed blocks" "$mcf" finetune align.yaml --out recomputed --quiet --set schedule.epochs=1 \
    --set schedule.milestones=[] --set model.sync_batchnorm=true --set batch.per_device=8 --set model.recompute=blocks
check "recomputed blocks change nothing" near "$(value one validation.nme)" "$(value recomputed validation.nme)"
check "a frozen backbone stays" "$mcf" finetune parse.yaml --out frozen --quiet --set model.freeze_backbone=true \
    --set model.init=parse/best.safetensors --set schedule.epochs=1 --set schedule.milestones=[]
check "a tenth of the faces makes epochs of the full length" "$mcf" finetune align.yaml --out tenth --quiet \
    --set data.fraction=0.1 --set schedule.epochs=1 --set schedule.milestones=[]
check "seven steps" test "$(grep -c '"loss"' tenth/log.jsonl)" = 7

# Predictions on photographs
picture=$(find faces/images -name '*.jpg' | sort | head -n 1)
check "points of a picture" "$mcf" predict --checkpoint align --out points "$picture" --quiet
check "98 of them, and a drawing" sh -c "test \$(grep -c '^    *[0-9.-]*,\$' points/000000-*.json) -ge 98 && test -s points/000000-*.png"
check "classes of a picture, with probabilities" \
    "$mcf" predict --checkpoint parse/best.safetensors --out classes "$picture" --probabilities --quiet
check "a label map and probabilities" sh -c "test -s classes/000000-*.label.png && grep -q probability classes/000000-*.json"
echo "[{\"image\": \"$work/$picture\", \"box\": [5, 5, 50, 50]}, {\"image\": \"$work/$picture\", \"box\": [1, 1, 60, 60]}]" >boxes.json
check "given boxes" "$mcf" predict --checkpoint align --out given --faces boxes.json --quiet
check "two faces of one picture" sh -c "test \$(ls given | wc -l) = 2 && test \$(grep -c '\"from\": \"given\"' given/000000-*.json) = 2"
check "a picture from standard input" sh -c "'$mcf' predict --checkpoint align --out piped - --quiet <'$picture'"
check "the same answer as from the file" sh -c "sed '/\"image\"/d' piped/000000-stdin.json >a && sed '/\"image\"/d' points/000000-*.json | cmp - a &&
    cmp piped/000000-stdin.png points/000000-*.png"
find faces/images -name '*.jpg' | sort | head -n 3 >list
check "a list from a pipe" sh -c "printf '\n' | cat list - | '$mcf' predict --checkpoint align --out listed - --quiet"
check "of three pictures, the first as before" sh -c "test \$(ls listed/*.png | wc -l) = 3 && cmp listed/000000-*.json points/000000-*.json"
fails 1 "standard input: empty" "nothing on standard input" sh -c "'$mcf' predict --checkpoint align --out none - --quiet </dev/null"
fails 1 "neither a JPEG" "no picture and no text" sh -c "head -c 100 /dev/zero | '$mcf' predict --checkpoint align --out none - --quiet"
fails 2 "stands alone" "standard input beside a picture" "$mcf" predict --checkpoint align --out none - "$picture" --quiet
echo text >broken.jpg
check "a broken picture is left out and named" \
    sh -c "'$mcf' predict --checkpoint align --out some '$picture' broken.jpg 2>&1 | grep -q 'broken.jpg: '"
fails 1 "none of the 1 pictures" "nothing but broken pictures" sh -c "'$mcf' predict --checkpoint align --out none broken.jpg --quiet 2>&1 | tail -n 1 >&2; exit 1"
fails 2 "give pictures" "neither pictures nor faces" "$mcf" predict --checkpoint align --out none --quiet
fails 2 "task pretrain" "a network of pre-training" sh -c "'$mcf' synth --out tiny --count 8 --size 32 --layouts none --quiet
    printf 'data: {train: [tiny/images]}\nmodel: {image_size: 32, patch_size: 16, encoder: {dim: 8, depth: 1, heads: 1}, decoder: {dim: 8, depth: 1, heads: 1}}\nobjective: {feature: {weight: 0}, pixel: {weight: 1}, contrastive: {weight: 0}}\nschedule: {epochs: 1}\nbatch: {per_device: 4, accumulate: 1}\n' >pre.yaml
    '$mcf' pretrain pre.yaml --out pre --quiet && '$mcf' predict --checkpoint pre --out none '$picture' --quiet"

fails 2 "say --format onnx" "export with timm's names of alignment" "$mcf" export align --out timm.safetensors --quiet
fails 2 "mcf finetune" "pretrain refuses the task" "$mcf" pretrain align.yaml --out no --quiet
fails 2 "mcf pretrain" "finetune refuses pre-training" sh -c "echo 'task: pretrain' >p.yaml; '$mcf' finetune p.yaml --out no --quiet"
fails 2 "task: pretrain" "eval of pre-training" "$mcf" eval p.yaml --checkpoint align --quiet
fails 2 "is parse with 11" "a network of another task" "$mcf" eval parse.yaml --checkpoint align --quiet
fails 2 "98 points" "another number of points than the set has" "$mcf" finetune align.yaml --out no --quiet \
    --set model.head.outputs=68
fails 2 "one value a channel" "a batch without variance" "$mcf" finetune align.yaml --out no --quiet --set batch.per_device=1 \
    --set model.image_size=16
done_testing
