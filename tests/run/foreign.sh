#!/bin/sh
# Checkpoints as people have them: harmless things beside the model, flags of tensors, prefixes, weights that are not
# finite, what is no checkpoint at all; and where heads, mean and deviation come from.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
files=$source_dir/tests/import/foreign

"$mcf" import "$files/plain.pth" --kind timm --heads 3 --out plain.safetensors --quiet || exit 1
for file in "$files"/same/*.pth; do
    name=$(basename "$file" .pth)
    "$mcf" import "$file" --kind timm --heads 3 --out got.safetensors --quiet 2>errors
    if cmp -s got.safetensors plain.safetensors; then ok "$name: the same network"; else
        not_ok "$name: the same network"
        cat errors
    fi
    rm -f got.safetensors
done
refused() { # NAME TEXT
    fails 1 "$2" "$1" "$mcf" import "$files/$1.pth" --kind timm --heads 3 --out x
}
refused marked "is a view marked 'odd', whose meaning is not known, which is not read"
refused only_sparse "norm.bias is a sparse tensor, which is not read; save it as plain dense floats"
refused only_quantised "norm.bias is a quantised tensor, which is not read"
refused only_complex "norm.bias is a tensor of complex64, which is not read"
refused hugging_face "its names are vit.embeddings.cls_token, "
refused hugging_face "these are Hugging Face's own"
fails 2 "there is no cls_token; --select backbone takes it, without what lies beside" "mixed" \
    "$mcf" import "$files/mixed.pth" --kind timm --heads 3 --out x
check "mixed, selected" "$mcf" import "$files/mixed.pth" --kind timm --heads 3 --out got.safetensors --select backbone
check "mixed, selected: the same network" cmp got.safetensors plain.safetensors

# --- several encoders in one file
for kept in ema timm_ema teacher; do
    rm -f got.safetensors
    case $kept in
    ema) usual=model other=model_ema ;;
    timm_ema) usual=state_dict other=state_dict_ema ;;
    teacher) usual=student.backbone other=teacher.backbone ;;
    esac
    check "$kept: $other" "$mcf" import "$files/several_$kept.pth" --kind timm --heads 3 --out got.safetensors --select $other
    check "$kept: $other is the plain network" cmp got.safetensors plain.safetensors
    "$mcf" import "$files/several_$kept.pth" --kind timm --heads 3 --out got.safetensors --select $usual >words
    check "$kept: $usual is another" sh -c "! cmp -s got.safetensors plain.safetensors"
    check "$kept: what else there is, is said" grep -q "read from $usual; the file also holds $other: --select" words
done
fails 2 "holds 2 encoders of kind timm; choose one of them with --select: student.backbone, teacher.backbone" \
    "student and teacher" "$mcf" import "$files/several_teacher.pth" --kind timm --heads 3 --out x
"$mcf" import "$files/several_ema.pth" --kind timm --heads 3 --out usual.safetensors >words
check "the usual one is taken, and the other named" grep -q "read from model; the file also holds model_ema" words
fails 2 "holds no encoder of kind timm there; it holds model, model_ema" "one that is not there" \
    "$mcf" import "$files/several_ema.pth" --kind timm --heads 3 --out x --select swa
fails 2 "under state_dict_ema: there is no cls_token; --select state_dict_ema takes it" "an average alone" \
    "$mcf" import "$files/ema_alone.pth" --kind timm --heads 3 --out x
rm got.safetensors
check "an average alone, selected" "$mcf" import "$files/ema_alone.pth" --kind timm --heads 3 --out got.safetensors --select state_dict_ema
check "is the plain network" cmp got.safetensors plain.safetensors
refused empty "holds no tensors"
refused whole "holds no tensors but an object of class torch.nn.modules.conv.Conv2d under 'model'; save its state_dict() instead"

refused whole_timm "an object of class timm.layers.patch_embed.PatchEmbed under 'model'; save its state_dict() instead"
refused whole_timm_stream "an object of class timm.layers.patch_embed.PatchEmbed under 'model'; save its state_dict() instead"
refused no_dict_tensor "holds a single tensor, not a dict of tensors"
refused no_dict_list "holds a list, not a dict of tensors"
refused no_dict_none "holds None, not a dict of tensors"

# --- not finite
refused nan "tensor blocks.0.mlp.fc1.bias holds NaN (element 3)"
refused infinite "tensor blocks.0.mlp.fc1.bias holds infinity (element 3)"
check "import takes them when told" "$mcf" import "$files/nan.pth" --kind timm --heads 3 --allow-nonfinite --out nan.safetensors
synthetic_faces faces 1 2 32 3
not_finite() { # WHAT COMMAND...
    what=$1
    shift
    fails 1 "tensor blocks.0.mlp.fc1.bias holds NaN" "$what refuses them" "$@"
}
not_finite embed "$mcf" embed --checkpoint nan.safetensors --out x --quiet faces
not_finite export "$mcf" export nan.safetensors --out x
cat >run.yaml <<YAML
data: {train: [faces], workers: 1}
model:
  image_size: 12
  patch_size: 4
  init: nan.safetensors
  encoder: {dim: 12, depth: 1, heads: 3, mlp_ratio: 4}
  decoder: {dim: 8, depth: 1, heads: 2, mlp_ratio: 2}
  teacher: {dim: 12, depth: 1, heads: 3, mlp_ratio: 4, blocks: [1], checkpoint: plain.safetensors}
  projector: {hidden: 16, out: 8}
schedule: {epochs: 1, warmup_epochs: 0}
batch: {per_device: 2, accumulate: 1}
YAML
not_finite "pretrain, as a start," "$mcf" pretrain run.yaml --out run1 --quiet
not_finite "pretrain, as M_1," "$mcf" pretrain run.yaml --out run2 --quiet --set model.init=plain.safetensors --set model.teacher.checkpoint=nan.safetensors
check "embed takes them when told" "$mcf" embed --checkpoint nan.safetensors --allow-nonfinite --out f.safetensors --quiet faces
check "export takes them when told" "$mcf" export nan.safetensors --allow-nonfinite --out x --quiet
rm -f x

# --- what is known, and what is said
says() { # WHAT TEXT
    check "$1" grep -qF -- "$2" said
}
"$mcf" import "$files/plain.pth" --kind timm --heads 3 --out x.safetensors >said
says "heads as given" "heads: 3, as given"
says "a guessed mean is called one" "mean and deviation: 0.485 0.456 0.406 and 0.229 0.224 0.225, ImageNet's, a guess"
says "the resize" "resize: bilinear, the whole picture"
fails 2 "no published network has 1 blocks of width 12 with MLPs of 48; give --heads" "heads that nothing tells are not made up" \
    "$mcf" import "$files/plain.pth" --kind timm --out x
"$mcf" import "$files/plain.pth" --kind timm --heads 3 --model vit_base_patch16_224.augreg_in21k --out half.safetensors >said
says "mean and deviation of a published network" "mean and deviation: 0.5 0.5 0.5 and 0.5 0.5 0.5, of timm's vit_base_patch16_224.augreg_in21k"
says "its makers' resize" "its makers' own: --set data.filter=bicubic --set data.crop_pct=0.9 --set data.fast_decode=false"
check "and they are written" grep -qa '"mean":"\[0.5, 0.5, 0.5\]"' half.safetensors
fails 2 "there are vit_base_patch16_224.augreg2_in21k_ft_in1k, " "a name that is none shows those like it" \
    "$mcf" import "$files/plain.pth" --kind timm --heads 3 --model vit_base_patch16_224.augreg --out x
for place in vit_base_patch16_224.dino.pth hub/models--timm--vit_base_patch16_224.dino/snapshots/1/model.pth; do
    mkdir -p "$(dirname $place)" && cp "$files/plain.pth" $place
    "$mcf" import $place --kind timm --heads 3 --out x.safetensors >said
    says "a published name in the path: $place" "of timm's vit_base_patch16_224.dino"
done
mkdir timm_hub && cp "$files/plain.pth" timm_hub/pytorch_model.bin
cat >timm_hub/config.json <<JSON
{"architecture": "vit_tiny_patch16_224", "num_classes": 10, "pretrained_cfg": {"tag": "own", "mean": [0.1, 0.2, 0.3],
 "std": [0.4, 0.5, 0.6], "interpolation": "bilinear", "crop_pct": 0.875}}
JSON
"$mcf" import timm_hub/pytorch_model.bin --kind timm --heads 3 --out x.safetensors >said
says "timm's config.json beside the file" "mean and deviation: 0.1 0.2 0.3 and 0.4 0.5 0.6, from config.json beside the file"
says "with its resize" "--set data.filter=bilinear --set data.crop_pct=0.875"

# our own files say what they are, also the second time
"$mcf" import half.safetensors --kind timm --out second.safetensors >said
says "a second import knows the heads" "heads: 3, from the file's own config"
says "and the mean" "mean and deviation: 0.5 0.5 0.5 and 0.5 0.5 0.5, from the file's own config"
check "and is the same file" cmp half.safetensors second.safetensors
fails 2 "its own config says 3 heads; leave --heads 2 out" "heads against the file's own" \
    "$mcf" import half.safetensors --kind timm --heads 2 --out x
"$mcf" import "$source_dir/tests/import/farl.pth" --kind farl --heads 3 --out farl.safetensors --quiet
check "FaRL's, imported again" "$mcf" import farl.safetensors --kind timm --out farl2.safetensors --quiet
check "its activation, eps and norm stay" "$mcf" embed --checkpoint farl.safetensors --out f1.safetensors --quiet faces
"$mcf" embed --checkpoint farl2.safetensors --out f2.safetensors --quiet faces
check "and so do its features" cmp f1.safetensors f2.safetensors
tiny_config tiny.yaml
"$mcf" pretrain tiny.yaml --out run --quiet --set 'data.train=[faces]' --set 'model.mean=[0.3, 0.4, 0.5]' \
    --set model.encoder.heads=4 --set batch.per_device=2 --set schedule.epochs=1 --set schedule.warmup_epochs=0
"$mcf" import run --kind mcf --out own.safetensors >said
says "a run's config says its heads" "heads: 4, from the file's own config"
says "and its mean" "mean and deviation: 0.3 0.4 0.5"
"$mcf" embed --checkpoint run --out f1.safetensors --quiet faces
"$mcf" embed --checkpoint own.safetensors --out f2.safetensors --quiet faces
check "imported, it computes what the run does" cmp f1.safetensors f2.safetensors
"$mcf" export run --out exported.safetensors --quiet
"$mcf" import exported.safetensors --kind timm --out own.safetensors >said
says "so does an export" "heads: 4, from the file's own config"
cp run/checkpoints/step-*/model.safetensors taken_out.safetensors
"$mcf" import taken_out.safetensors --kind mcf --out own.safetensors >said
says "and weights taken out of a run" "heads: 4, from the file's own config"

# --- files that are not what they are called
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n' >pointer.pth
printf '\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n' >page.safetensors
cp pointer.pth pointer.jpg && cp page.safetensors page.tar
fails 1 "is a Git LFS pointer, not the file itself; fetch it with" "a pointer as weights" "$mcf" import pointer.pth --kind timm --out x
fails 1 "is a web page saved under this name" "a page as weights" "$mcf" import page.safetensors --kind timm --out x
fails 1 "is a web page saved under this name" "a page as checkpoint" "$mcf" embed --checkpoint page.safetensors --out x faces
fails 1 "is a Git LFS pointer" "a pointer as a picture" "$mcf" embed --checkpoint half.safetensors --out x pointer.jpg
fails 1 "is a web page" "a page as a tar" "$mcf" embed --checkpoint half.safetensors --out x page.tar
printf '{"error": "Repository not found"}' >answer.bin && gzip -c answer.bin >packed.safetensors
tar -cf packed.bin answer.bin && printf '\211HDF\r\n\032\n' >keras.h5 && printf '\223NUMPY' >array.npy
for file in "answer.bin:a text" "packed.safetensors:compressed (gzip)" "packed.bin:a tar" "keras.h5:an HDF5 file" \
    "array.npy:an array of NumPy"; do
    fails 1 "${file%%:*}: is ${file#*:}" "${file%%:*} as weights" "$mcf" import ${file%%:*} --kind timm --out x
done
for file in plain same/module_class_stream; do
    fails 1 "mcf import reads" "a PyTorch checkpoint where an import is wanted: $file" "$mcf" embed --checkpoint "$files/$file.pth" --out x faces
done
fails 2 "multiple of the patch" "an image size that embed could not use" "$mcf" import "$files/plain.pth" --kind timm --heads 3 --image-size 18 --out x

# --- an untrained network is one
printf 'include: tiny.yaml\nmodel: {init: half.safetensors}\n' >init.yaml
"$mcf" embed --config init.yaml --out x.safetensors --quiet faces >words 2>errors
check "embed says that it reads no model.init" grep -q "the network is untrained, model.init is not read" errors

# --- --set with a checkpoint
fails 2 "of which --set changes data.* alone" "--set of the network with a checkpoint" "$mcf" embed --checkpoint half.safetensors --set model.image_size=8 --out x faces
"$mcf" synth --out large --count 2 --per-identity 2 --size 100 --layouts none --quiet
for set in data.filter=bicubic data.crop_pct=0.5 data.fast_decode=false; do
    "$mcf" embed --checkpoint half.safetensors --out f1.safetensors --quiet large/images
    "$mcf" embed --checkpoint half.safetensors --out f2.safetensors --quiet --set $set large/images
    check "--set $set makes other features" sh -c '! cmp -s f1.safetensors f2.safetensors'
done
done_testing
