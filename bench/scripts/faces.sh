#!/bin/sh
# bench/scripts/faces.sh FACES [OUT [CONFIG [KEY.PATH=VALUE]...]]: pre-trains on a folder of faces (a folder a person) and
# measures identity retrieval before and after. Prints a table; the people asked about may have been seen in training,
# never their names.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
mcf=${MCF:-$here/build/mcf}
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: bench/scripts/faces.sh FACES [OUT [CONFIG [KEY.PATH=VALUE]...]]" >&2
    exit 2
fi
faces=$1
out=${2:-$here/out/faces}
config=${3:-$here/configs/small/faces96.yaml}
[ $# -gt 3 ] && shift 3 || shift $#
count=$#
while [ "$count" -gt 0 ]; do  # each KEY=VALUE becomes --set KEY=VALUE
    set -- "$@" --set "$1"
    shift
    count=$((count - 1))
done

mkdir -p "$out"
"$mcf" embed --config "$config" "$@" --retrieval --json --quiet "$faces" >"$out/before.json"
start=$(date +%s)
"$mcf" pretrain "$config" --out "$out/run" --resume --set "data.train=[$faces]" "$@"
seconds=$(($(date +%s) - start))
"$mcf" embed --checkpoint "$out/run" --retrieval --json --quiet "$faces" >"$out/after.json"
"$mcf" reconstruct --checkpoint "$out/run" --out "$out/pictures" --limit 8 --quiet "$faces"

# value FILE KEY: a number of a JSON object, as percent where it is a share
value() {
    sed -E "s/.*\"$2\": *([-0-9.e+]+).*/\1/" "$1" | awk '{printf "%.1f", 100 * $1}'
}
# terms LINE: loss terms of one line of the log
terms() {
    sed -n "$1" "$out/run/log.jsonl" | grep -oE '"loss[a-z.]*":[-0-9.e+]+' | tr -d '"' | tr ':' ' ' |
        awk '{printf "%s%s %.3f", (NR > 1 ? ", " : ""), $1, $2}'
}
echo "| $(basename "$config") | rank 1 | mAP |"
echo "| --- | --- | --- |"
echo "| untrained | $(value "$out/before.json" rank1) % | $(value "$out/before.json" map) % |"
echo "| pre-trained | $(value "$out/after.json" rank1) % | $(value "$out/after.json" map) % |"
echo
echo "First step: $(terms 1p). Last step: $(terms '$p'). $seconds s of training on $(nproc) cores."
echo "Pictures: $out/pictures"
