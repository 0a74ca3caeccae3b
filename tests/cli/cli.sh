#!/bin/sh
# The program as a user meets it: help, exit codes, one-line errors, and one run through every command.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
tiny_config tiny.yaml
synthetic_faces faces 4 8 48 3 || exit 1

# --- help and usage
check "mcf --help lists the commands" sh -c "'$mcf' --help | grep -q '^  reconstruct '"
check "mcf --version" sh -c "'$mcf' --version | grep -q '^mcf [0-9]'"
for command in devices pretrain step embed reconstruct export check bench; do
    check "$command --help" sh -c "'$mcf' $command --help | grep -q '^usage: mcf $command'"
    check "a man page of $command" grep -q "^.SH OPTIONS" "$build/man/mcf-$command.1"
done
if command -v man >/dev/null && [ -x "$(command -v groff)" ]; then
    for page in "$build"/man/*.1; do
        check "$(basename "$page") is right roff" sh -c "test -z \"\$(groff -man -Tutf8 -ww -z '$page' 2>&1)\""
    done
fi
fails 2 "the commands are devices," "an unknown command lists those there are" "$mcf" train
fails 2 "no command" "no command" "$mcf"
fails 2 "--out RUN is missing" "a missing option" "$mcf" pretrain tiny.yaml
fails 2 "CONFIG is missing" "a missing argument" "$mcf" pretrain --out run
fails 2 "one argument too many" "an argument too many" "$mcf" pretrain --out run a.yaml b.yaml
fails 2 "--colour" "an unknown option" "$mcf" devices --colour
fails 2 "wants a value" "an option without its value" "$mcf" pretrain tiny.yaml --out
fails 2 "key.path=value" "--set without ="  "$mcf" pretrain tiny.yaml --out run --set seed
fails 2 "--devices" "--devices that is no list" "$mcf" pretrain tiny.yaml --out run --devices 0,x
fails 2 "--threads" "--threads 0" "$mcf" pretrain tiny.yaml --out run --threads 0
fails 2 "seeed" "an unknown key" "$mcf" pretrain tiny.yaml --out run --set seeed=1
fails 2 "seed" "an unknown key names the nearest" "$mcf" pretrain tiny.yaml --out run --set sead=1
# a backend of which there is no module, whatever this build has
missing=
for backend in cuda opencl; do
    [ -e "$build/libmcf-backend-$backend.so" ] || missing=$backend
done
if [ -n "$missing" ]; then
    fails 1 "$missing" "a backend that is not there" "$mcf" pretrain tiny.yaml --out run --backend $missing \
        --set "data.train=[faces]"
    check "devices names what is missing and why" sh -c "'$mcf' devices | grep -q '$missing: .*not installed'"
fi
fails 1 "nonsense" "a backend that nobody knows" "$mcf" pretrain tiny.yaml --out run --backend nonsense \
    --set "data.train=[faces]"
fails 2 "nothing.yaml" "a config that is not there" "$mcf" pretrain nothing.yaml --out run
fails 1 "nothing" "a folder of images that is not there" "$mcf" pretrain tiny.yaml --out run \
    --set "data.train=[nothing]"
fails 1 "nothing.safetensors" "a checkpoint that is not there" "$mcf" embed --checkpoint nothing.safetensors \
    --out f.safetensors faces
fails 2 "either --checkpoint" "embed wants a network" "$mcf" embed --out f.safetensors faces
fails 2 "nonsense" "bench of something unknown" "$mcf" bench nonsense
if [ -w /dev/full ]; then
    fails 1 "standard output" "a full disk under the output" sh -c "'$mcf' devices >/dev/full"
fi

# --- devices
check "devices shows the reference" sh -c "'$mcf' devices | grep -q '^cpu-reference '"
check "devices --json" sh -c "'$mcf' devices --json | grep -q '\"backend\": \"cpu-reference\"'"

# --- pretrain
check "pretrain" "$mcf" pretrain tiny.yaml --out run --set "data.train=[faces]"
check "a line of the log for each step" test "$(grep -c '"step"' run/log.jsonl)" = 12
check "TensorBoard events" sh -c "ls run | grep -q tfevents"
check "the config as run" grep -q "image_size: 32" run/config.yaml
fails 2 "run" "a run that is there is not overwritten" "$mcf" pretrain tiny.yaml --out run --set "data.train=[faces]"
check "pretrain --quiet is silent" sh -c "test -z \"\$('$mcf' pretrain tiny.yaml --out quiet --quiet \
    --set 'data.train=[faces]' 2>&1)\""
check "plain progress lines without a terminal" sh -c "'$mcf' pretrain tiny.yaml --out lines \
    --set 'data.train=[faces]' 2>&1 | grep -q '12/12 steps'"
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1; then  # a pseudo-terminal is there
    check "a bar on a terminal" sh -c "script -qec \"'$mcf' pretrain tiny.yaml --out bar \
        --set 'data.train=[faces]'\" /dev/null | tr '\r' '\n' >bar.seen; grep -q 'left' bar.seen"
    check "no number is cut off by the edge" sh -c "grep -q 'loss' bar.seen && ! sed 's/\x1b\[K//' bar.seen |
        grep -E '(loss|pixel|contrastive|feature) *[0-9]*\.?\$'"
else
    echo "skipped - a bar on a terminal: there is no pseudo-terminal here"
fi

# --- interrupted: saves, exits with 130, goes on to the same end
# started COMMAND...: a long run into `stopped`, in its first steps
started() {
    rm -rf stopped
    "$@" pretrain tiny.yaml --out stopped --quiet --set "data.train=[faces]" --set schedule.epochs=300 &
    pid=$!
    tries=0
    until [ -s stopped/log.jsonl ] || [ $tries = 300 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}
for signal in HUP TERM; do
    started "$mcf"
    kill -$signal $pid
    wait $pid
    got=$?
    if [ $got = 130 ]; then ok "SIG$signal exits with 130"; else not_ok "SIG$signal exits with 130, not $got"; fi
    check "SIG$signal leaves a checkpoint" "$mcf" export stopped --out stopped.safetensors
done
started nohup "$mcf"
kill -HUP $pid
before=$(wc -l <stopped/log.jsonl)
sleep 2
check "nohup: SIGHUP is ignored" test "$(wc -l <stopped/log.jsonl)" -gt $((before + 1))
kill -TERM $pid
wait $pid
fails 2 "another config" "another config is refused on --resume" "$mcf" pretrain tiny.yaml --out stopped --resume \
    --set "data.train=[faces]" --set schedule.epochs=300 --set model.encoder.depth=3

# --- what is made of a run
check "export" "$mcf" export run --out backbone.safetensors
check "export as ONNX" "$mcf" export run --format onnx --out backbone.onnx
fails 2 "--format 'pb' is neither safetensors nor onnx" "export in a format that is none" "$mcf" export run --format pb --out x
check "embed" "$mcf" embed --checkpoint run --out features.safetensors faces
check "embed by retrieval" sh -c "'$mcf' embed --checkpoint run --retrieval faces | grep -q 'rank 1'"
check "embed of the untrained network" sh -c "'$mcf' embed --config tiny.yaml --retrieval faces | grep -q 'mAP'"
check "embed --json" sh -c "'$mcf' embed --checkpoint run --retrieval --json faces | grep -q '\"rank1\"'"
echo "no picture" >faces/000000/text.jpg
check "embed names what it leaves out" sh -c "'$mcf' embed --checkpoint run --out f.safetensors faces 2>&1 |
    grep -q '1 image left out.*text.jpg'"
rm faces/000000/text.jpg
check "reconstruct" "$mcf" reconstruct --checkpoint run --out pictures --limit 3 faces
check "reconstruct writes a PNG an image" test "$(ls pictures | grep -c '\.png$')" = 3

# --- bench and check
check "bench step" sh -c "'$mcf' bench step --config tiny.yaml --steps 1 --json | grep -q images_per_second"
check "bench ops of an operation that the step does not have" sh -c \
    "'$mcf' bench ops --config tiny.yaml --seconds 0.01 --op batch_norm_grad | grep -q 'batch_norm_grad.*GFLOP'"
"$mcf" bench ops --config tiny.yaml --seconds 0.01 >ops.txt
check "bench ops has the products of the step" grep -q '^matmul .*GFLOP/s.* x [0-9]' ops.txt
check "bench ops has operations that the step has not" grep -q '^heatmap_bce .*not in the step' ops.txt
check "bench ops misses no operation" sh -c \
    "! sed -n 's/^MCF_OP(\([a-z0-9_]*\), .*/\1/p' '$source_dir/ops/ops.def' | while read -r op; do
        grep -q \"^\$op \" ops.txt || echo \"\$op\"; done | grep ."
check "bench data" sh -c "'$mcf' bench data --config tiny.yaml --seconds 0.2 --set 'data.train=[faces]' --json |
    grep -q images_per_second"
check "check of one operation" sh -c "'$mcf' check --backend cpu-reference --op gelu --tiny --quiet |
    grep -q 'passed, 0 failed'"
"$mcf" check --backend cpu-reference --seeds 1000 --seed 7 --tiny --quiet 2>stopped.errors &
pid=$!
sleep 1
kill -INT $pid
wait $pid
check "check interrupted: exit code 130" test $? = 130
check "check interrupted: says how far it came" \
    grep -Eq 'interrupted after [0-9]+ cases of seed [0-9]+, seed [0-9]+ of 1000; 0 cases failed' stopped.errors
fails 2 "no operation" "check of an unknown operation" "$mcf" check --backend cpu-reference --op gely --quiet
done_testing
