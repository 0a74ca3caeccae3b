#!/bin/sh
# Runs that an older program began (old_run/: commit 3849877, three steps of six each of MCF with every term and of MoCo-v3,
# on cpu-reference, whose bits do not depend on the processor) go on with this one and end with the bits that the older
# program ended with.
. "$(dirname "$0")/../lib.sh"
cp -r "$source_dir/tests/train/old_run/." "$work" && cd "$work" || exit 1

# What a safetensors file holds behind its header, which names the config.
data_of() {
    header=$(od -An -t u8 -N 8 "$1")
    tail -c +$((9 + header)) "$1" | sha256sum | cut -c 1-64
}
for kind in mcf moco; do
    check "$kind: the old run goes on" "$mcf" pretrain $kind.yaml --out $kind --resume --backend cpu-reference --threads 1 --quiet
    for file in model optimizer; do
        echo "$kind $file $(data_of $kind/checkpoints/step-00000006/$file.safetensors)"
    done >got
    sed -n 's/"images_per_second":[^,]*,//; 4,6p' $kind/log.jsonl | sed "s/^/$kind log /" >>got
    grep "^$kind " expected >want
    check "$kind: the same weights, moments and losses as the old program's" diff want got
done
done_testing
