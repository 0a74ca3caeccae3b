#!/bin/sh
# The floors: cli > train > model > data > core > backends > ops. A file includes only its own floor and those below;
# backends/cpu and backends/reference know backends/ and ops/, and not each other.
. "$(dirname "$0")/lib.sh"
cd "$source_dir" || exit 1

level() {
    case $1 in
    ops) echo 0 ;;
    backends) echo 1 ;;
    core) echo 2 ;;
    data) echo 3 ;;
    model) echo 4 ;;
    train) echo 5 ;;
    cli) echo 6 ;;
    *) echo none ;;
    esac
}

for floor in ops backends core data model train cli; do
    own=$(level $floor)
    wrong=
    lines=$(find $floor -name '*.[ch]' -o -name '*.def' | xargs grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')
    IFS='
'
    for line in $lines; do
        file=${line%%:*}
        included=${line#*\"}
        included=${included%%\"*}
        other=$(level "${included%%/*}")
        if [ "$included" = mcf.h ] && [ "$file" = train/api.c ]; then
            continue
        elif [ "$other" = none ]; then
            wrong="$wrong
  $file includes \"$included\": write it from the root, \"floor/file.h\""
        elif [ "$other" -gt "$own" ]; then
            wrong="$wrong
  $file includes \"$included\", which stands above it"
        fi
        case $file:$included in
        backends/cpu/*:backends/reference/* | backends/reference/*:backends/cpu/*)
            wrong="$wrong
  $file includes \"$included\": a backend knows no other" ;;
        esac
    done
    unset IFS
    if [ -z "$wrong" ]; then
        ok "$floor includes what stands below"
    else
        not_ok "$floor includes what stands below"
        echo "$wrong"
    fi
done
done_testing
