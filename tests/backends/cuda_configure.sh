#!/bin/sh
# A plain `cmake -DMCF_CUDA=ON` with each CUDA toolkit that is here, twice, for a second configure takes what the first
# has cached: architectures from sm_70 on, and the flags of every kernel file and the installed module's path to cuBLAS.
. "$(dirname "$0")/../lib.sh"
tried=0
# configure NAME NVCC OLDEST: with nothing said but the compiler
configure() {
    name=$1 nvcc=$2 oldest=$3 tree=$work/$1
    if [ ! -x "$nvcc" ]; then
        echo "skipped $name: no $nvcc"
        return
    fi
    tried=1
    for time in first second; do
        check "$name: the $time configure" env -u LIBRARY_PATH -u CUDA_HOME CUDACXX="$nvcc" PATH="$(dirname "$nvcc"):/usr/bin:/bin" \
            cmake -G Ninja -S "$source_dir" -B "$tree" -DMCF_CUDA=ON -DMCF_OPENCL=OFF -DMCF_MPI=OFF -DMCF_TESTS=OFF
        sed -n 's/^CMAKE_CUDA_ARCHITECTURES:[A-Z]*=//p' "$tree/CMakeCache.txt" >"$work/$time"
    done
    check "$name: both for the same cards, from sm_$oldest on, and PTX for later ones" sh -c \
        "cmp '$work/first' '$work/second' && grep -q '^$oldest-real;.*80-real;.*-virtual\$' '$work/first'"
    for file in backends/cuda/attention.cu instances/layer_norm.cu; do
        grep "\"command\".*$file" "$tree/compile_commands.json" >"$work/command"
        check "$name: $file is compiled for them" sh -c \
            "grep -q 'code=.*sm_$oldest' '$work/command' && ! grep -q 'sm_[356][0-9][^0-9]' '$work/command'"
    done
    cublas=$(sed -n 's/^CUDA_cublas_LIBRARY:FILEPATH=//p' "$tree/CMakeCache.txt")
    case $cublas in
    /usr/lib/* | /lib/*) check "$name: the installed module needs no path to cuBLAS" grep -q 'RPATH ""' \
        "$tree/backends/cuda/cmake_install.cmake" ;;
    *) check "$name: the installed module looks for cuBLAS where it was linked" grep -q "RPATH \"$(dirname "$cublas")\"" \
        "$tree/backends/cuda/cmake_install.cmake" ;;
    esac
}
configure cuda-11 "${NVCC_11:-/usr/bin/nvcc}" 70
configure cuda-13 "${NVCC_13:-/usr/local/cuda/bin/nvcc}" 75
[ $tried = 1 ] || exit 77
done_testing
