# Shared by align_faces.sh and parse_faces.sh: pre-trains by MCF, by MAE's pixel loss and not at all on folders of faces,
# finetunes each over seeds, and prints a table. Every part goes on where it was interrupted.
#   faces     folders of faces to pre-train on, separated by commas
#   config    of the finetuning; sets: further --set of it
#   out       folder of the runs
#   score     name of the score in mcf eval's JSON
#   EPOCHS    of pre-training (default 200), FINETUNE of finetuning (default: the config's), SEEDS (default "0 1 2"),
#   THREADS   of each run (default: all cores)
epochs=${EPOCHS:-200}
seeds=${SEEDS:-0 1 2}
threads=${THREADS:+--threads $THREADS}
# The encoder of configs/small/dense.yaml, unless the caller's config has that of dense64.yaml. The feature term's weight goes
# with the tokens: 1000 * 37 / 197, 1000 * 65 / 197.
size=${size:-96}
encoder='{dim: 192, depth: 6, heads: 3, mlp_ratio: 4}' blocks='[2, 3, 4, 6]' feature=188
small="--set model.image_size=96 --set model.patch_size=16"
if [ "$size" = 64 ]; then
    encoder='{dim: 96, depth: 4, heads: 3, mlp_ratio: 4}' blocks='[1, 2, 3, 4]' feature=330
    small="--set model.image_size=64 --set model.patch_size=8"
fi
teacher=$(echo "$encoder" | sed 's/}$//')

pretrain() { # RUN CONFIG [--set KEY=VALUE]...
    run=$1 of=$2
    shift 2
    # shellcheck disable=SC2086
    "$mcf" pretrain "$here/configs/small/$of" --out "$out/$run" --resume --quiet --set "data.train=[$faces]" $small $threads \
        --set "model.encoder=$encoder" --set "schedule.epochs=$epochs" "$@"
}

mkdir -p "$out"
pretrain m1 demo_m1.yaml
pretrain mcf demo.yaml --set objective.feature.weight=$feature \
    --set "model.teacher=$teacher, blocks: $blocks, checkpoint: $out/m1}"
pretrain mae demo.yaml --set objective.feature.weight=0 --set objective.contrastive.weight=0 --set objective.pixel.weight=1

for start in mcf mae scratch; do
    init=$out/$start
    [ $start = scratch ] && init=
    for seed in $seeds; do
        # shellcheck disable=SC2086
        "$mcf" finetune "$config" --out "$out/$start-$seed" --resume --quiet $threads --set seed="$seed" \
            --set "model.init='$init'" ${FINETUNE:+--set schedule.epochs=$FINETUNE --set schedule.milestones=[]} "$@"
        "$mcf" eval "$config" --checkpoint "$out/$start-$seed" --out "$out/$start-$seed.json" --quiet $threads "$@"
    done
done

# score FILE WHICH: of the last network or the best
value() {
    awk -v score="\"$score\":" -v which="\"$2\": {" '
        index($0, which) { inside = 1 }
        inside && index($0, score) { sub(/,$/, ""); print $2; exit }' "$1"
}
echo "| $(basename "$config"), $score (%) | last, by seed | mean | best epoch, mean |"
echo "| --- | --- | --- | --- |"
for start in mcf mae scratch; do
    last= best=
    for seed in $seeds; do
        last="$last $(value "$out/$start-$seed.json" last)"
        best="$best $(value "$out/$start-$seed.json" best)"
    done
    echo "$last|$best" | awk -F'|' -v name=$start '{
        n = split($1, a, " "); split($2, b, " ")
        for (i = 1; i <= n; i++) { s += a[i]; t += b[i]; text = text (i > 1 ? ", " : "") sprintf("%.2f", a[i]) }
        printf "| %s | %s | %.2f | %.2f |\n", name, text, s / n, t / n }'
done
