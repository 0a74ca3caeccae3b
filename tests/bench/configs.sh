#!/bin/sh
# Every config of configs/: its step runs in `mcf bench step`, with small networks; and each is predicted at its own
# size.
. "$(dirname "$0")/../lib.sh"

for config in "$source_dir"/configs/*/*.yaml; do
    name=${config#"$source_dir/configs/"}
    set -- --set model.image_size=32 --set model.patch_size=8 --set model.encoder.dim=32 --set model.encoder.heads=2 \
        --set 'model.init=""'
    teacher="--set model.teacher.checkpoint=random"
    case $name in
    align/* | parse/* | small/align_* | small/parse_* | small/dense*.yaml | small/demo_align.yaml | \
        small/demo_parse.yaml | small/demo_dense.yaml)
        teacher=
        set -- "$@" --set model.encoder.depth=4 --set 'model.features=[1, 2, 3, 4]' --set model.head.channels=16
        ;;
    *)
        set -- "$@" --set model.encoder.depth=2 --set model.projector.hidden=32 --set model.projector.out=16
        if grep -q '^method: moco-v3' "$config"; then
            teacher=
        else
            set -- "$@" --set model.decoder.dim=32 --set model.decoder.depth=1 --set model.decoder.heads=2 \
                --set model.teacher.dim=32 --set model.teacher.depth=1 --set model.teacher.heads=2 --set model.teacher.blocks=[1]
        fi
        ;;
    esac
    check "$name: two steps of two micro-batches on two devices" "$mcf" bench step --config "$config" "$@" $teacher \
        --backend cpu --devices 0,0 --set batch.per_device=4 --set batch.accumulate=2 --steps 1 --warmup 1
    check "$name: predicted" "$mcf" bench step --config "$config" --set 'model.init=""' $teacher \
        --device v100 --predict
done
done_testing
