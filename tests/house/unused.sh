#!/bin/sh
# No public function is there for tests alone, or for nobody: each that a header declares is named by a source beside its
# own definition. Those that stay for tests stand here, with the reason.
. "$(dirname "$0")/../lib.sh"
cd "$source_dir" || exit 1
cat >"$work/allowed" <<'TEXT'
mcf_embed_position: what callers of a graph for another image size write into it
mcf_file_check_place: the mcf_output_open of a path that is only looked at
mcf_gradient: reads a gradient back; training needs those of parameters alone
mcf_product_efficiency: the fit that predictions are made from, held against measurements
mcf_require_grad: asks for the gradient of an input
mcf_resize_center_crop: held against Pillow, byte by byte
mcf_resize_force_isa: every instruction set on one machine
mcf_resize_isa: names it in a failure
mcf_softmax: the composition that attention is held against
mcf_tar_index_scan_memory: the scanner without files, for fuzzing
mcf_tensorboard_path: the file that is read back
TEXT
files() { git ls-files "$@" 2>/dev/null || find . -name .git -prune -o -type f -print | sed 's|^\./||'; }
files '*.h' | grep '\.h$' | grep -v '^tests/\|^fuzz/\|^include/\|^build' | xargs cat | sed 's|//.*||' |
    grep -oE '\bmcf_[a-z0-9_]+\(' | tr -d '(' | sort -u >"$work/names"
# Per name, how often it stands in sources outside tests: its definition is one of them.
files '*.c' '*.cpp' '*.cu' '*.cl' '*.h' '*.def' | grep -v '^tests/\|^fuzz/\|^examples/\|^build' |
    xargs sed 's|//.*||; s/"[^"]*"//g' | grep -oE '\bmcf_[a-z0-9_]+\b' | sort | uniq -c | awk '{print $2, $1}' |
    sort -k1,1 >"$work/counts"
sort "$work/names" | join - "$work/counts" | awk '$2 <= 2 {print $1}' | while read -r name; do
    # A declaration and a definition are two. An inline function or a function of the shared library has one of them.
    grep -q "^$name:" "$work/allowed" || grep -qw "$name" include/mcf.h || files '*.h' | grep '\.h$' |
        xargs grep -hE "static inline .*\b$name\(" | grep -q . || echo "$name"
done >"$work/unused"
check "no public function that only tests call" test ! -s "$work/unused"
sed 's/^/  /' "$work/unused"
sed 's/:.*//' "$work/allowed" | while read -r name; do
    grep -qx "$name" "$work/names" || echo "$name"
done >"$work/gone"
check "what is allowed is there" test ! -s "$work/gone"
done_testing
