# Shared by the shell tests: sh tests/NAME.sh SOURCE BUILD. Every check prints "ok - what" or "not ok - what".
set -u
source_dir=$1
build=$2
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
done_testing() {
    [ $failures = 0 ]
    exit $?
}
