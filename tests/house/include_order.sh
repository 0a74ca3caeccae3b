#!/bin/sh
# The floors: cli > report > bench > infer > train > run > model > data > core > backends > ops > base. A file includes
# only its own floor and those below; backends/cpu and backends/reference do not know each other. No circle stands
# between two or more files: a header and the source of the same name count as one.
#
# A unit is a source with the header of its name. By includes: a header without a source is looked through, to what it
# includes. By symbols (nm on the build's objects): who calls or reads whom, which finds circles through shared headers.
. "$(dirname "$0")/../lib.sh"
cd "$source_dir" || exit 1

floors="base ops backends core data model run train infer bench report cli"
includes() {
    find $floors -name '*.[ch]' -o -name '*.def' -o -name '*.cu' |
        xargs grep -H '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' | sed 's/:[^"]*"/ /; s/".*//' | LC_ALL=C sort
}
includes >"$work/includes"
find $floors -name '*.c' -o -name '*.cu' -o -name '*.cl' >"$work/sources"

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

# Of edges "A B" those from whose end a way leads back to their start.
circles() {
    awk '
        $1 != $2 && !seen[$1, $2]++ { next_of[$1] = next_of[$1] " " $2; from[++n] = $1; to[n] = $2 }
        function leads(at, goal,    list, count, i) {
            if (at == goal) return 1
            if (visited[at]++) return 0
            count = split(next_of[at], list, " ")
            for (i = 1; i <= count; i++) if (leads(list[i], goal)) return 1
            return 0
        }
        END { for (i = 1; i <= n; i++) { split("", visited); if (leads(to[i], from[i])) print "  " from[i] " -> " to[i] } }
        ' | LC_ALL=C sort
}
# no_circle WHAT FILE: a file of edges
no_circle() {
    wrong=$(circles <"$2")
    if [ -z "$wrong" ]; then
        ok "$1"
    else
        not_ok "$1"
        echo "$wrong"
    fi
}

awk '
    function unit(file) { sub(/\.(c|h|cu|cl|def)$/, "", file); return file }
    FILENAME == ARGV[1] { source[unit($1)] = 1; next }
    { a = unit($1); b = unit($2); if (a != b) edge[a] = edge[a] " " b }
    function walk(start, at,    list, count, i) {
        count = split(edge[at], list, " ")
        for (i = 1; i <= count; i++) {
            if (list[i] in source) print start, list[i]
            else if (!((start, list[i]) in visited)) { visited[start, list[i]] = 1; walk(start, list[i]) }
        }
    }
    END { for (u in source) walk(u, u) }
    ' "$work/sources" "$work/includes" >"$work/edges"
no_circle "no circle of includes" "$work/edges"

# Symbols: of the program and of each module by itself, since a module has copies.
find "$build" -name '*.o' -path '*.dir/*' ! -path '*/tests/*' ! -path '*/fuzz/*' ! -path '*/mcf_shared.dir/*' >"$work/objects"
if command -v nm >/dev/null && [ -s "$work/objects" ]; then
    xargs nm -A -P <"$work/objects" 2>/dev/null |
        sed "s,^$build/,,; s,CMakeFiles/[^/]*\.dir/,,; s,\.\(c\|cu\|cpp\)\.o: , ,; s,[^/ ]*/__/,,; s,[^/ ]*/__/,," |
        awk '$3 ~ /^[TDBRVWC]$/ { place[$2] = $1; next } $3 == "U" { uses[++n] = $1; name[n] = $2 }
            END { for (i = 1; i <= n; i++) if (name[i] in place && place[name[i]] != uses[i]) print uses[i], place[name[i]] }' \
            >"$work/uses"
    no_circle "no circle of symbols" "$work/uses"
fi
done_testing
