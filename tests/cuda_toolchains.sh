#!/bin/sh
# The kernels that are written for CUDA alone compile with a real toolkit, where one is installed, without spills and
# within their registers, and attention uses tensor cores. All kernels and toolkits: ci/full toolchains.
exec sh "$1/ci/cuda-toolchains" --sample "$2/cuda-toolchains"
