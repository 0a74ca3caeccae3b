# Shared by the shell tests: sh tests/NAME.sh SOURCE BUILD. Every check prints "ok - what" or "not ok - what".
set -u
source_dir=$(cd "$1" && pwd) || exit 1
build=$(cd "$2" && pwd) || exit 1
mcf=$build/mcf
work=$(mktemp -d "${TMPDIR:-/tmp}/mcf-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failures=0

ok() { echo "ok - $1"; }
not_ok() {
    echo "not ok - $1"
    failures=$((failures + 1))
}
# check WHAT COMMAND...: the command succeeds
check() {
    what=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        ok "$what"
    else
        not_ok "$what"
        tail -n 40 "$work/output"
    fi
}
# fails CODE TEXT WHAT COMMAND...: exits with CODE, one line on stderr that contains TEXT
fails() {
    code=$1 text=$2 what=$3
    shift 3
    "$@" >"$work/output" 2>"$work/errors"
    got=$?
    if [ $got = "$code" ] && [ "$(wc -l <"$work/errors")" = 1 ] && grep -qF -- "$text" "$work/errors" &&
        grep -q '^mcf: ' "$work/errors"; then
        ok "$what"
    else
        not_ok "$what"
        echo "  exit code $got, wanted $code; stderr, wanted one line with \"$text\":"
        cat "$work/errors"
    fi
}
# synthetic_faces FOLDER PEOPLE EACH SIZE SEED: FOLDER/PERSON/PERSON_NNN.jpg
synthetic_faces() {
    "$mcf" synth --out "$1.synth" --count $(($2 * $3)) --per-identity "$3" --size "$4" --seed "$5" --layouts none --quiet &&
        mv "$1.synth/images" "$1"
}
done_testing() {
    [ $failures = 0 ]
    exit $?
}

# A network and a run small enough for a test: 32 pixels, two blocks, both terms that need no teacher.
tiny_config() {
    cat >"$1" <<'YAML'
seed: 7
data: {workers: 2}
model:
  image_size: 32
  patch_size: 8
  encoder: {dim: 32, depth: 2, heads: 2, mlp_ratio: 2}
  decoder: {dim: 32, depth: 1, heads: 2, mlp_ratio: 2}
  projector: {hidden: 64, out: 16}
objective:
  feature: {weight: 0}
  pixel: {weight: 1}
  contrastive: {weight: 1}
schedule: {epochs: 3, warmup_epochs: 1}
batch: {per_device: 8, accumulate: 1}
checkpoint: {every: 2 steps, keep: 3}
YAML
}

# align.yaml and parse.yaml: networks small enough for a test, of the faces that `mcf synth` has
# drawn in the folder given, or in faces.
tiny_dense_configs() {
base='seed: 3
model:
  image_size: 32
  patch_size: 8
  encoder: {dim: 16, depth: 4, heads: 2, mlp_ratio: 2}
  features: [1, 2, 3, 4]
  head: {channels: 16, outputs: OUTPUTS}
optimizer: {lr: 1e-3, betas: [0.9, 0.999], weight_decay: 1e-5, rates: {backbone: 1e-4}}
ema: 0.9
schedule: {epochs: 3, milestones: [2], factor: 0.1}
batch: {per_device: 5, accumulate: 1}
checkpoint: {every: 1 epoch, keep: 20}'
cat >align.yaml <<YAML
task: align
data: {train: [${1:-faces}/WFLW], validation: [${1:-faces}/WFLW], layout: wflw, crop_size: 48, workers: 2}
$(echo "$base" | sed s/OUTPUTS/98/)
objective: {heatmap_size: 24, heatmap_radius: 3}
YAML
cat >parse.yaml <<YAML
task: parse
data: {train: [${1:-faces}/LaPa], validation: [${1:-faces}/LaPa], layout: lapa, crop_size: 48, workers: 2}
$(echo "$base" | sed s/OUTPUTS/11/)
YAML
}
