#!/bin/sh
# The installed tree: the program finds its modules, and the example builds through pkg-config and through CMake, runs,
# and gives the features that `mcf embed` gives.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
# under sanitizers a program that is not built with them cannot load the library
if grep -q '^MCF_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
    echo "skipped - the example is not built with sanitizers"
    exit 77
fi
tiny_config tiny.yaml
synthetic_faces faces 2 4 48 5 || exit 1
prefix=$work/prefix
check "install" cmake --install "$build" --prefix "$prefix"
libdir=$(dirname "$(find "$prefix" -name libmcf.so)")
for file in bin/mcf include/mcf.h share/man/man1/mcf-pretrain.1; do
    check "$file is installed" test -s "$prefix/$file"
done
if [ -e "$build/libmcf-backend-cpu.so" ]; then
    check "the installed program finds its modules there" sh -c "cd / && '$prefix/bin/mcf' devices | grep -q '^cpu '"
fi
nm -D --defined-only "$libdir/libmcf.so" | awk '{print $3}' >symbols
check "the library shows its public functions" grep -qx mcf_encoder_open symbols
check "and no others" sh -c "! grep -v -e '^mcf_encoder_' -e '^mcf_list_devices' -e '^mcf_version' \
    -e '^mcf_api_version' symbols"
check "the library has a SONAME" sh -c "readelf -d '$libdir/libmcf.so' | grep -q 'SONAME.*libmcf.so.[0-9]'"
check "the header is C and C++" sh -c "echo '#include <mcf.h>' | g++ -Wall -Wextra -pedantic -std=c++11 -I '$prefix/include' \
    -fsyntax-only -x c++ - && echo '#include <mcf.h>' | gcc -Wall -Wextra -pedantic -std=c99 -I '$prefix/include' -fsyntax-only -x c -"

export PKG_CONFIG_PATH=$libdir/pkgconfig
flags=$(pkg-config --cflags --libs mcf)
check "the example builds through pkg-config" cc -Wall -Wextra -Werror "$source_dir/examples/embed.c" $flags -lm -o embed-pc
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
check "the example builds through CMake" sh -c "cmake -G '$generator' -S '$source_dir/examples' -B cmake-example \
    -DCMAKE_PREFIX_PATH='$prefix' && cmake --build cmake-example"

check "a small run" "$mcf" pretrain tiny.yaml --out run --quiet --set "data.train=[faces]"
export LD_LIBRARY_PATH=$libdir
check "the example runs (pkg-config)" ./embed-pc run faces/000000/000000_000.jpg faces/000001/000001_000.jpg
./embed-pc run faces/000000/000000_000.jpg faces/000000/000000_000.jpg >same 2>&1
check "a face is like itself" grep -q '^cosine 1.000000' same
unset LD_LIBRARY_PATH
check "the example runs (CMake)" ./cmake-example/embed run faces/000000/000000_000.jpg faces/000001/000001_000.jpg
check "the library gives what mcf embed gives" sh -c "'$mcf' embed --checkpoint run --out f.safetensors \
    faces/000000/000000_000.jpg && sh '$source_dir/tests/tools/first_floats.sh' f.safetensors cls 4 >want &&
    sed -n 2p same | cut -d' ' -f1-4 | tr ' ' '\n' | paste want - |
    awk '{d = \$1 - \$2; if (d < 0) d = -d; if (d > 1e-5) bad = 1} END {exit bad || NR != 4}'"
fails_with() {
    LD_LIBRARY_PATH=$libdir ./embed-pc "$1" "$2" >"$work/output" 2>&1
    test $? = 1 && grep -q "$3" "$work/output"
}
check "a missing checkpoint is an error with its name" fails_with nothing faces/000000/000000_000.jpg nothing
echo text >text.jpg
check "a picture that is none is an error with its name" fails_with run text.jpg text.jpg
done_testing
