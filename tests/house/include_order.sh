#!/bin/sh
# The floors: cli > report > bench > infer > train > run > model > data > core > backends > ops > base. A file includes
# only its own floor and those below; backends/cpu and backends/reference do not know each other. No circle stands
# between two or more files: a header and the source of the same name count as one.
. "$(dirname "$0")/../lib.sh"
cd "$source_dir" || exit 1

floors="base ops backends core data model run train infer bench report cli"
includes() {
    find $floors -name '*.[ch]' -o -name '*.def' -o -name '*.cu' |
        xargs grep -H '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' | sed 's/:[^"]*"/ /; s/".*//' | LC_ALL=C sort
}
includes >"$work/includes"

for floor in $floors; do
    wrong=$(awk -v floor=$floor -v floors="$floors" '
        BEGIN { count = split(floors, names, " "); for (i = 1; i <= count; i++) level[names[i]] = i }
        index($1, floor "/") != 1 { next }
        $2 == "mcf.h" && $1 == "infer/api.c" { next }
        { other = $2; sub(/\/.*/, "", other) }
        !(other in level) || $2 !~ /\// { print "  " $1 " includes \"" $2 "\": write it from the root, \"floor/file.h\""; next }
        level[other] > level[floor] { print "  " $1 " includes \"" $2 "\", which stands above it" }
        $1 ~ /^backends\/cpu\// && $2 ~ /^backends\/reference\// ||
        $1 ~ /^backends\/reference\// && $2 ~ /^backends\/cpu\// { print "  " $1 " includes \"" $2 "\": a backend knows no other" }
        ' "$work/includes")
    if [ -z "$wrong" ]; then
        ok "$floor includes what stands below"
    else
        not_ok "$floor includes what stands below"
        echo "$wrong"
    fi
done
done_testing
