#!/bin/sh
# mcf import as a user meets it: each kind, options, files that must be refused without running anything, in bounded
# memory. What the encoders compute is judged by test_import.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
files=$source_dir/tests/import

"$mcf" import "$files/farl.pth" --kind farl --heads 3 --out farl.safetensors >said 2>&1
check "says what was read" grep -q '^31 tensors (width 12, 2 blocks, 3 heads, 12 pixels) written to farl.safetensors$' said
check "quiet is quiet" test -z "$("$mcf" import "$files/timm.pth" --kind timm --heads 3 --out timm.safetensors --quiet 2>&1)"
"$mcf" import "$files/timm.safetensors" --kind timm --heads 3 --out again.safetensors --quiet
check "the same from safetensors" cmp timm.safetensors again.safetensors
"$mcf" import "$files/timm_views_stream.pth" --kind timm --heads 3 --out again.safetensors --quiet
check "the same from views in a stream file" cmp timm.safetensors again.safetensors
for encoder in base momentum; do
    "$mcf" import "$files/moco_v3.pth.tar" --kind moco-v3 --encoder $encoder --heads 3 --out $encoder.safetensors --quiet
done
"$mcf" import "$files/moco_v3.pth.tar" --kind moco-v3 --heads 3 --out again.safetensors --quiet
check "moco-v3: base is the usual encoder" cmp base.safetensors again.safetensors
check "moco-v3: momentum is another" sh -c '! cmp -s base.safetensors momentum.safetensors'
"$mcf" import "$files/timm.pth" --kind timm --heads 3 --mean 0.5,0.5,0.5 --std 0.5,0.25,0.5 --out own.safetensors --quiet
check "mean and deviation of one's own" grep -qa '"mean":"\[0.5, 0.5, 0.5\]","std":"\[0.5, 0.25, 0.5\]"' own.safetensors

# From import to features and to a run's start, with the options CLIP's encoder takes.
"$mcf" synth --out faces --count 4 --per-identity 2 --size 32 --layouts none --quiet
check "embed takes what import writes" "$mcf" embed faces/images --checkpoint farl.safetensors --out features.safetensors --quiet
cat >run.yaml <<YAML
data: {train: [faces/images], workers: 1}
model:
  image_size: 16
  patch_size: 4
  mean: [0.48145466, 0.4578275, 0.40821073]
  std: [0.26862954, 0.26130258, 0.27577711]
  init: farl.safetensors
  encoder: &clip {dim: 12, depth: 2, heads: 3, mlp_ratio: 4, activation: quick-gelu, pre_norm: true, patch_bias: false, norm_eps: 1e-5}
  decoder: {dim: 8, depth: 1, heads: 2, mlp_ratio: 2}
  teacher: {dim: 12, depth: 2, heads: 3, mlp_ratio: 4, activation: quick-gelu, pre_norm: true, patch_bias: false, norm_eps: 1e-5, blocks: [1, 2], checkpoint: farl.safetensors}
  projector: {hidden: 16, out: 8}
schedule: {epochs: 1, warmup_epochs: 0}
batch: {per_device: 2, accumulate: 1}
YAML
sed -i 's/&clip //' run.yaml
check "FaRL begins a run, as E_b and as M_1, on another grid" "$mcf" pretrain run.yaml --out run --quiet
check "the trained encoder embeds" "$mcf" embed faces/images --checkpoint run --out features.safetensors --quiet
fails 2 "an encoder with activation quick-gelu" "an encoder that would compute something else" \
    "$mcf" pretrain run.yaml --out other --quiet --set model.encoder.activation=gelu
fails 1 "norm_pre.weight" "an encoder with a norm too many" \
    "$mcf" pretrain run.yaml --out other --quiet --set model.teacher.pre_norm=false

# A network that FaRL's authors have finetuned goes on to predictions; test_import_farl judges the numbers.
"$mcf" import "$files/farl_parse.pth" --kind farl --heads 4 --out parse.safetensors >said 2>&1
check "a finetuned network is said to be one" grep -q "backbone, pyramid and head: 11 classes, crops of layout lapa" said
picture=$(find faces/images -name '*.jpg' | sort | head -n 1)
check "it finds classes" "$mcf" predict "$picture" --checkpoint parse.safetensors --out classes --quiet
check "a label map, and their names" sh -c "test -s classes/000000-*.label.png && grep -q '\"pixels\"' classes/000000-*.json"
"$mcf" import "$files/farl_align.safetensors" --kind farl --heads 4 --out align.safetensors --quiet
check "another finds points" "$mcf" predict "$picture" --checkpoint align.safetensors --out points --quiet
check "68 of them" sh -c "test \$(grep -c '^    *[0-9.-]*,\$' points/000000-*.json) -ge 68"
fails 2 "leave --task out" "a task of an encoder" "$mcf" import "$files/farl.pth" --kind farl --heads 3 --task parse --out x
fails 2 "neither align nor parse" "an unknown task" "$mcf" import "$files/farl_parse.pth" --kind farl --heads 4 --task draw --out x
fails 2 "is for --kind farl" "a task of another kind" "$mcf" import "$files/timm.pth" --kind timm --heads 3 --task parse --out x

fails 2 "none of mcf, mae, moco-v3, timm, farl" "an unknown kind" "$mcf" import "$files/timm.pth" --kind clip --out x
fails 2 "--kind KIND is missing" "no kind" "$mcf" import "$files/timm.pth" --out x
fails 2 "which has two" "--encoder for a file with one" "$mcf" import "$files/timm.pth" --kind timm --encoder base --out x
fails 2 "neither base nor momentum" "an unknown encoder" "$mcf" import "$files/moco_v3.pth.tar" --kind moco-v3 --encoder q --out x
fails 2 "give --heads" "heads that nothing tells" "$mcf" import "$files/timm.pth" --kind timm --out x
fails 2 "no multiple of the heads" "heads that do not fit" "$mcf" import "$files/timm.pth" --kind timm --heads 5 --out x
fails 2 "multiple of the patch" "a size that does not fit" "$mcf" import "$files/timm.pth" --kind timm --heads 3 --image-size 18 --out x
fails 2 "three numbers" "a mean of two numbers" "$mcf" import "$files/timm.pth" --kind timm --heads 3 --mean 1,2 --out x
fails 2 "out of range" "a deviation of zero" "$mcf" import "$files/timm.pth" --kind timm --heads 3 --std 1,0,1 --out x
fails 1 "nowhere" "a folder that is not there" "$mcf" import "$files/timm.pth" --kind timm --heads 3 --out nowhere/x
check "what failed left nothing" test ! -e x

# Nothing that a file calls may run. A gigabyte of address space is ten times what an import of these takes; sanitizers
# reserve terabytes of it, so there the memory in use is limited.
if grep -q '^MCF_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
    limit_memory() { export ASAN_OPTIONS="${ASAN_OPTIONS:-}:hard_rss_limit_mb=1000"; }
else
    limit_memory() { ulimit -v 1000000; }
fi
limited() { (limit_memory && exec timeout 60 "$mcf" import "$1" --kind timm --heads 3 --out x); }
refused() { fails 1 "$2" "refused: $1" limited "$files/hostile/$1.pth"; }
for name in system:posix.system system_stream:posix.system eval:__builtin__.eval exec:__builtin__.exec popen:Popen \
    import:__builtin__.__import__ load:torch.serialization.load \
    nested:torch.storage._load_from_bytes inst:os.system inst_bad:os.system stack_global:os.system; do
    refused "${name%%:*}" "the file calls"
    refused "${name%%:*}" "${name#*:} when it is opened: refused, nothing was run"
done
refused partial "the file calls what functools.partial made"
check "nothing was run" test ! -e owned
check "a bound method beside the model is harmless" "$mcf" import "$files/hostile/getattr.pth" --kind timm --heads 3 --out x
rm -f x
refused class "cls_token is an object of argparse.Namespace, not a tensor: refused"
refused class_patch "patch_embed.proj.weight is an object of collections.Counter, not a tensor: refused"
refused class_itself "norm.bias is an object of argparse.Namespace, not a tensor: refused"
refused script_twice "has more modules than any network, or they lie too deep"
refused script_deep "has more modules than any network, or they lie too deep"
refused module "holds an object of class torch.nn.modules.conv.Conv2d, not a dict of tensors"
refused list "not a dict of tensors"
refused number "1 missing: norm.bias"
refused names "4 missing: blocks.0.attn.qkv.weight, blocks.0.attn.qkv.bias, blocks.0.attn.proj.weight, blocks.0.attn.proj.bias"
refused names "1 not of this network: fc_norm.weight; 1 of another shape: norm.bias is [13] instead of [12]"
refused repeated "not of this network: module.norm.bias"
refused expanded "its tensors would take"
refused grid "pos_embed is missing or not of a vision transformer's shape"
for name in offset offset_near size stride count; do
    [ $name = stride ] && text="its strides overflow" || text="cls_token: it reaches past its storage"
    refused $name "$text"
done
refused offset_negative "cls_token: it is not built as torch.save does"
refused sizes "cls_token: its sizes overflow"
refused stride_negative "cls_token: a size or stride is no number from 0"
refused strides_few "cls_token: it has not as many strides as sizes"
refused rank "cls_token: it has more than 6 dimensions"
refused count_more "data/0 has 48 bytes where 52 were expected"
refused count_huge "cls_token: its storage is larger than the file"
refused count_negative "cls_token: its storage is larger than the file"
refused key "the zip has no data/Z"
refused key_elsewhere "the zip has no data/../../../0"
refused type "is a tensor of quint8, which is not read; save it as plain dense floats"
for cut in start half end; do refused cut_$cut "not a readable zip file"; done
refused stream_cut_magic "shorter than 8 bytes"
refused stream_cut_header "ends in the middle of a value"
refused stream_cut_pickle "a string ends past the file"
for cut in keys count data; do refused stream_cut_$cut "stream_cut_$cut"; done
refused stream_other "not one that torch.save wrote"
refused bomb "data.pkl is compressed, which torch.save never does; refused"
refused bomb_storage "data/0 is compressed, which torch.save never does; refused"

# Pickles that would grow without end, or nest without end. repeat COUNT TEXT
repeat() { yes "$2" | tr -d '\n' | head -c $(($1 * ${#2})); }
grows() {
    fails 1 "$2" "refused: $1" limited grows.pth
    rm -f grows.pth
}
begin() { printf '\200\002' >grows.pth; }
begin && repeat 40000000 ']' >>grows.pth && grows "40 million lists" "more and longer values than any checkpoint"
begin && repeat 40000000 '(' >>grows.pth && grows "40 million marks" "longer than any checkpoint's"
begin && { printf N; repeat 20000000 '20'; } >>grows.pth && grows "40 million steps for nothing" "longer than any checkpoint's"
begin && { printf ']'; repeat 20000000 '2'; } >>grows.pth && grows "20 million copies" "longer than any checkpoint's"
begin && { repeat 900000 ']'; repeat 899999 'a'; printf .; } >>grows.pth && grows "lists 900,000 deep" "not one that torch.save wrote"
begin && { repeat 900000 '('; repeat 900000 't'; printf .; } >>grows.pth && grows "tuples 900,000 deep" "not one that torch.save wrote"
begin && printf 'N22tt.' >>grows.pth && grows "a mark that is not there" "there is no mark"
begin && { repeat 80 N; printf ']qA'; repeat 500000 '(hAhAhAhAhAhAhAhAhAhAhAhAhAhAhAhAe'; } >>grows.pth && grows "a list that holds itself many times" "more values than any checkpoint has"
begin && printf 'Nr\377\377\377\377.' >>grows.pth && grows "a huge memo number" "a memo number is out of range"
begin && printf 'Np99999999999999999999999\n.' >>grows.pth && grows "a memo number past 64 bits" "a memo number is none"
begin && printf 'Np18446744073709551615\n.' >>grows.pth && grows "the largest memo number" "a memo number is out of range"
begin && printf 'j\377\377\377\377.' >>grows.pth && grows "a memo number that was never set" "a memo number was never set"
begin && printf '\216\377\377\377\377\377\377\377\177' >>grows.pth && grows "a string of 2^63 bytes" "a string ends past the file"
begin && printf '\213\377\377\377\177' >>grows.pth && grows "a number of 2^31 bytes" "a number ends past the file"
begin && { printf 'X\001\000\000\000a'; repeat 3000000 '2\206'; } >>grows.pth && grows "an unknown instruction" "is not known"
done_testing
