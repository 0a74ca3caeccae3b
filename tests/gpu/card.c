// What the runtime says of the cards of this machine, a line each: compute capability without its dot, memory in MiB,
// name. Exit code 1 and one line on stderr where there is none. Compiled before all else, since the rest is built for
// these cards.
#include <cuda_runtime_api.h>
#include <stdio.h>

int main(void)
{
    int count = 0, driver = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    cudaDriverGetVersion(&driver);
    if (code != cudaSuccess || !count) {
        fprintf(stderr, "no card: %s (driver for CUDA %d.%d, toolkit %d.%d)\n",
                code != cudaSuccess ? cudaGetErrorString(code) : "the driver lists none", driver / 1000,
                driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        struct cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, i) == cudaSuccess)
            printf("%d%d %zu %s, driver for CUDA %d.%d, toolkit %d.%d\n", p.major, p.minor, p.totalGlobalMem >> 20,
                   p.name, driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    }
    return 0;
}
