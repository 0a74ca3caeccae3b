#!/bin/sh
# MoCo-v3 as a user runs it: trains, goes on after an interruption bit for bit, and becomes M_1 of an MCF run.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

synthetic_faces faces 8 4 32 5 || exit 1
cat >moco.yaml <<'YAML'
method: moco-v3
data: {train: [faces], workers: 2}
model:
  image_size: 24
  patch_size: 8
  encoder: {dim: 24, depth: 2, heads: 2, mlp_ratio: 2}
  projector: {hidden: 32, out: 12}
  sync_batchnorm: true
objective: {contrastive: {temperature: 0.2, momentum: 0.9}}
optimizer: {lr: 3e-3, betas: [0.9, 0.999], weight_decay: 0.1}
schedule: {epochs: 6, warmup_epochs: 1}
batch: {per_device: 16, accumulate: 1}
checkpoint: {every: 1 epoch, keep: 20}
YAML
check "trains" "$mcf" pretrain moco.yaml --out whole --quiet
check "twelve steps" test "$(grep -c '"loss"' whole/log.jsonl)" = 12
newest() { find "$1" -name model.safetensors | sort | tail -n 1; }

check "two encoders and a predictor" sh -c "grep -qa 'base_encoder.head.7.running_mean' '$(newest whole)' &&
    grep -qa 'momentum_encoder.head.7.running_mean' '$(newest whole)' && grep -qa 'predictor.3.weight' '$(newest whole)'"

cp -r whole stopped
for checkpoint in $(find stopped -mindepth 1 -type d -name '*[0-9]' | sort | tail -n +3); do rm -rf "$checkpoint"; done
check "a run that stopped after two epochs" sh -c "! cmp -s '$(newest whole)' '$(newest stopped)'"
check "goes on" "$mcf" pretrain moco.yaml --out stopped --resume --quiet
check "the same bits as without the stop" cmp "$(newest whole)" "$(newest stopped)"

check "its encoder embeds" "$mcf" embed faces --checkpoint whole --out features.safetensors --quiet
check "exports" "$mcf" export whole --out m1.safetensors --quiet
cat >mcf.yaml <<'YAML'
data: {train: [faces], workers: 2}
model:
  image_size: 24
  patch_size: 8
  encoder: {dim: 24, depth: 2, heads: 2, mlp_ratio: 2}
  decoder: {dim: 16, depth: 1, heads: 2, mlp_ratio: 2}
  teacher: {dim: 24, depth: 2, heads: 2, mlp_ratio: 2, blocks: [1, 2], checkpoint: whole}
  projector: {hidden: 32, out: 12}
schedule: {epochs: 1, warmup_epochs: 0}
batch: {per_device: 16, accumulate: 1}
YAML
check "is M_1 as a run" "$mcf" pretrain mcf.yaml --out from_run --quiet
check "is M_1 as an export" "$mcf" pretrain mcf.yaml --out from_export --quiet --set model.teacher.checkpoint=m1.safetensors
first() { grep -o '"loss[^,]*' "$1/log.jsonl"; }
check "the log has losses" test -n "$(first from_run)"
check "the same M_1" test "$(first from_run)" = "$(first from_export)"
"$mcf" import "$(newest whole)" --kind moco-v3 --heads 2 --out imported.safetensors --quiet
check "is M_1 imported by its authors' names" \
    "$mcf" pretrain mcf.yaml --out from_import --quiet --set model.teacher.checkpoint=imported.safetensors
check "the same M_1 again" test "$(first from_run)" = "$(first from_import)"
# one bit of a run's weights
cp -r whole flipped
weights=$(echo flipped/checkpoints/step-*/model.safetensors | awk '{print $NF}')
printf '\377\377' | dd of="$weights" bs=1 seek=$(($(wc -c <"$weights") - 100)) conv=notrunc 2>/dev/null
fails 1 "model.safetensors is not what was written" "a damaged run is no M_1" \
    "$mcf" pretrain mcf.yaml --out from_damage --quiet --set model.teacher.checkpoint=flipped
fails 1 "model.safetensors is not what was written" "nor a start of the encoder" \
    "$mcf" pretrain mcf.yaml --out from_damage_too --quiet --set model.init=flipped
fails 2 "no decoder" "has no decoder" "$mcf" reconstruct --checkpoint whole --out pictures faces/*/*_000.jpg
done_testing
