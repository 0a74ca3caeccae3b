#!/bin/sh
# ONNX files as other programs run them: onnxruntime, and OpenCV's DNN where OpenCV 4 is there, compute from them what
# `mcf embed` and `mcf predict` compute; and the example that needs no mcf finds the points that `mcf predict` finds.
# Python with onnxruntime and numpy is looked for in MCF_ONNX_PYTHON and then as python3; without it the test is skipped.
# A way to have it: python3 -m venv V && V/bin/pip install onnxruntime numpy pillow 'opencv-python-headless<5'
. "$(dirname "$0")/../lib.sh"

python=
for candidate in "${MCF_ONNX_PYTHON:-}" python3; do
    [ -n "$candidate" ] && "$candidate" -c 'import numpy, onnxruntime' 2>/dev/null && python=$candidate && break
done
if [ -z "$python" ]; then
    echo "skipped: no Python with onnxruntime and numpy (python3 -m venv V && V/bin/pip install onnxruntime numpy pillow" \
        "'opencv-python-headless<5'; MCF_ONNX_PYTHON=V/bin/python)"
    exit 77
fi
"$python" -c 'import cv2; assert cv2.__version__.startswith("4.")' 2>/dev/null ||
    echo "# without OpenCV 4 (pip install 'opencv-python-headless<5'): onnxruntime alone"
"$python" -c 'import PIL' 2>/dev/null && has_pillow=1 || has_pillow=
cd "$work" || exit 1

encoder() { # IMAGE PATCH MORE
    printf 'model:\n  image_size: %s\n  patch_size: %s\n  encoder: {dim: 48, depth: 3, heads: 3, mlp_ratio: 2%s}\n' "$@"
    echo '  projector: {hidden: 32, out: 8}'
    echo 'objective: {feature: {weight: 0}, pixel: {weight: 0}, contrastive: {weight: 1}}'
}
dense() { # TASK IMAGE PATCH CROP OUTPUTS POOLS MORE
    printf 'task: %s\nmodel:\n  image_size: %s\n  patch_size: %s\n' "$1" "$2" "$3"
    echo "  encoder: {dim: 24, depth: 5, heads: 2, mlp_ratio: 2$7}"
    echo "  features: [1, 2, 3, 4]"
    echo "  head: {channels: 16, outputs: $5, pool_scales: [$6]}"
    echo "data: {crop_size: $4}"
}
encoder 32 8 '' >encoder.yaml
encoder 48 16 ', activation: quick-gelu, pre_norm: true, patch_bias: false, norm_eps: 1e-5' >clip.yaml
dense align 112 16 112 19 '1, 2, 3, 6' '' >align_odd.yaml
dense align 96 16 128 98 '1, 2, 3, 6' '' >align_resized.yaml
dense parse 112 16 112 19 '1, 2, 3, 6' '' >parse_odd.yaml
dense parse 40 8 72 11 '1, 2, 5' ', activation: quick-gelu, pre_norm: true, patch_bias: false' >parse_resized.yaml
dense parse 64 8 64 3 '1, 4' '' >parse_plain.yaml

agreed=0
agree() { # WHAT CHECKPOINT [BACKEND]
    agreed=$((agreed + 1))
    "$mcf" export "$2" --format onnx --out file.onnx --quiet && "$build/onnx_case" ask "$2" answers.safetensors ${3:-} &&
        "$python" "$source_dir/tests/export/onnx_agrees.py" file.onnx answers.safetensors >said 2>&1
    if [ $? = 0 ]; then ok "$1: $(tr '\n' ';' <said)"; else
        not_ok "$1"
        cat said
    fi
    rm -f said file.onnx answers.safetensors
}
# Drawn weights; those of alignment and parsing with an averaged network beside, which is the one that is asked.
for name in encoder clip align_odd align_resized parse_odd parse_resized parse_plain; do
    "$build/onnx_case" draw $name.yaml $name.safetensors || exit 1
    agree $name $name.safetensors
done

# The paper's own shapes, with MCF_ONNX_LARGE=1 (ci/full): ViT-B/16 by itself, and with classes at 448.
# The reference would take half an hour for them.
wanted=15
if [ -n "${MCF_ONNX_LARGE:-}" ]; then
    wanted=17
    base='dim: 768, depth: 12, heads: 12, mlp_ratio: 4'
    encoder 224 16 '' | sed "s/dim: 48, depth: 3, heads: 3, mlp_ratio: 2/$base/" >vit_b.yaml
    dense parse 224 16 448 19 '1, 2, 3, 6' '' >vit_b_parse.yaml
    sed -i "s/dim: 24, depth: 5, heads: 2, mlp_ratio: 2/$base/; s/features:.*/features: [4, 6, 8, 12]/
        s/channels: 16/channels: 768/" vit_b_parse.yaml
    for name in vit_b vit_b_parse; do
        "$build/onnx_case" draw $name.yaml $name.safetensors || exit 1
        agree $name $name.safetensors cpu
        rm -f $name.safetensors
    done
fi

# --- runs
"$mcf" synth --out faces --count 20 --per-identity 2 --size 96 --seed 5 --framing close --quiet || exit 1
tiny_config tiny.yaml
"$mcf" pretrain tiny.yaml --out run --set 'data.train=[faces/images]' --set schedule.epochs=1 \
    --set schedule.warmup_epochs=0 --quiet || exit 1
agree "a run of pretrain" run
"$mcf" export run --out backbone.safetensors --quiet && agree "a file of mcf export" backbone.safetensors
"$mcf" import "$source_dir/tests/import/foreign/plain.pth" --kind timm --heads 3 --out imported.safetensors --quiet &&
    agree "a file of mcf import" imported.safetensors
sed '/^objective:/,/contrastive/d; /^  decoder/d; 1i method: moco-v3' tiny.yaml >moco.yaml
"$mcf" pretrain moco.yaml --out moco --set 'data.train=[faces/images]' --set schedule.epochs=1 \
    --set schedule.warmup_epochs=0 --quiet && agree "a run of MoCo-v3" moco
for task in align parse; do
    [ $task = align ] && set=WFLW outputs=98 || set=LaPa outputs=11
    { dense $task 64 16 96 $outputs '1, 2' '' && cat; } >$task.yaml <<YAML
optimizer: {lr: 1e-2, betas: [0.9, 0.999], weight_decay: 1e-5}
ema: 0.5
schedule: {epochs: 2}
batch: {per_device: 4, accumulate: 1}
checkpoint: {every: 1 epoch, keep: 1}
YAML
    sed -i "s,crop_size: 96,train: [faces/$set]\, validation: [faces/$set]\, layout: $(echo $set | tr A-Z a-z)\, crop_size: 96," $task.yaml
    "$mcf" finetune $task.yaml --out $task --set model.freeze_backbone=$([ $task = parse ] && echo true || echo false) --quiet ||
        exit 1
    agree "a run of finetune, $task" $task
    agree "its best.safetensors" $task/best.safetensors
done

check "all of them were tried" test $agreed = $wanted

# --- the example
# as_predicted WHAT NETWORK [BOX]: what the example finds in the picture, or in a box of it, is what `mcf predict` finds:
# points to a twentieth of a pixel; classes but for few pixels, since both round the crop's bytes.
as_predicted() {
    rm -rf predicted found.json
    if [ -n "${3:-}" ]; then
        echo "[{\"image\": \"$PWD/$picture\", \"box\": [$3]}]" >box.json
        set -- "$1" "$2" "$3" --faces box.json
    else
        set -- "$1" "$2" "" "$picture"
    fi
    example=$1 network=$2 box=$3
    shift 3
    "$mcf" predict --checkpoint $network --out predicted "$@" --backend cpu-reference --quiet || exit 1
    check "$example it runs without mcf" "$python" "$source_dir/examples/onnx_faces.py" $network.onnx "$picture" \
        ${box:+--box "$box"} --out drawn.png --json found.json
    check "$example it finds what mcf predict finds" "$python" - found.json predicted/*.json <<'PY'
import json, sys
found, wanted = (json.load(open(p)) for p in sys.argv[1:3])
wanted = wanted["faces"][0]
print(found, wanted)
if "points" in wanted:
    a, b = found["points"], wanted["points"]
    assert len(a) == len(b) and max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q)) < 0.05
else:
    a, b = found["classes"], {name: c["pixels"] for name, c in wanted["classes"].items()}
    assert sum(b.values()) > 1000 and all(abs(a.get(k, 0) - b.get(k, 0)) <= 20 for k in {*a, *b})
PY
    check "$example it draws that" test -s drawn.png
    rm -f drawn.png
}
if [ -n "$has_pillow" ]; then
    picture=$(find faces/images -name '*.jpg' | sort | head -n 1)
    for network in align parse run; do
        "$mcf" export $network --format onnx --out $network.onnx --quiet || exit 1
    done
    as_predicted "the example, points of a whole picture:" align
    as_predicted "the example, points in a box:" align 11,14,83,90
    as_predicted "the example, classes of a whole picture:" parse
    as_predicted "the example, classes in a box:" parse 11,14,83,90
    check "the example prints features" "$python" "$source_dir/examples/onnx_faces.py" run.onnx "$picture"
else
    echo "# without Pillow: the example is not tried"
fi
done_testing
