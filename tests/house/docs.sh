#!/bin/sh
# Pages of docs/ that are made from tables are those that the program prints, and every link leads somewhere.
. "$(dirname "$0")/../lib.sh"
cd "$source_dir" || exit 1
check "docs/commands.md is what mcf help-man --markdown prints" \
    sh -c "'$mcf' help-man --markdown | diff - docs/commands.md"
check "docs/config.md is what mcf help-man --config prints" sh -c "'$mcf' help-man --config | diff - docs/config.md"
for page in README.md CONTRIBUTING.md docs/*.md; do
    for link in $(grep -o '](\([^)#:]*\))' "$page" | sed 's/](\(.*\))/\1/'); do
        check "$page: $link" test -e "$(dirname "$page")/$link"
    done
done
# every config of the repository is read without complaint (a missing folder of images is none of its)
for config in configs/*.yaml configs/*/*.yaml; do
    [ -e "$config" ] || continue
    "$mcf" bench step --config "$config" --batch 0 >"$work/output" 2>"$work/errors"
    check "$config is right" grep -q -- "--batch 0 is not" "$work/errors"
done
done_testing
