#!/bin/sh
# Writes what `mcf bench step --device v100 --predict` prints into docs/prediction.md, between its two marks.
#
# usage: bench/scripts/predict.sh [--check] [MCF]
#   --check  only says whether the page has it
#   MCF      the program (default: build/mcf)
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
check=
[ "${1:-}" = --check ] && check=yes && shift
mcf=${1:-$root/build/mcf}
page=$root/docs/prediction.md
new=$(mktemp) && printed=$(mktemp) || exit 1
trap 'rm -f "$new" "$printed"' EXIT
"$mcf" bench step --device v100 --predict >"$printed" || exit 1
awk -v printed="$printed" '
    /^<!-- printed: end -->/ {skip = 0}
    !skip {print}
    /^<!-- printed -->/ {
        skip = 1
        print "```"
        while ((getline line < printed) > 0) print line
        print "```"
    }' "$page" >"$new" || exit 1
if [ -n "$check" ]; then
    diff "$page" "$new"
else
    cat "$new" >"$page"
fi
