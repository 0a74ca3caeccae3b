#!/bin/sh
# The kernels that are written for CUDA alone compile with a real toolkit, where one is installed, without spills and
# within their registers, and attention uses tensor cores. All kernels and toolkits: ci/full toolchains.
# And predictions count on the instructions that attention has (nvcc 11.8).
sh "$1/ci/cuda-toolchains" --sample "$2/cuda-toolchains" || exit $?
[ ! -e "$2/cuda-toolchains/cuda-11" ] || sh "$1/ci/attention-instructions" --check "$2/cuda-toolchains"
