// Where figures come from. Limits:
//   V100  NVIDIA V100 Tensor Core GPU, data sheet, January 2020; clocks and multiprocessors: NVIDIA Tesla V100 GPU
//         Architecture, WP-08608-001, table 1. Wiring of eight: NVIDIA DGX-1 with Tesla V100 System Architecture,
//         WP-08437-002, figure 4
//   T4    NVIDIA T4 Tensor Core GPU, data sheet, March 2019; NVIDIA Turing GPU Architecture, WP-09183-001, table 4
//   A100  NVIDIA A100 Tensor Core GPU, data sheet, June 2021; NVIDIA A100 Tensor Core GPU Architecture, table 4
//   H100  NVIDIA H100 Tensor Core GPU, data sheet, 2023; NVIDIA H100 Tensor Core GPU Architecture, table 3
//   H200  NVIDIA H200 Tensor Core GPU, data sheet, 2024
//   L40   NVIDIA L40, data sheet, 2023; RTX: NVIDIA Turing (2080 Ti), Ampere GA102 (3090) and Ada (4090) GPU
//         Architecture, tables in the appendices: with fp32 sums GeForce cards have half their rate
// Measured:
//   products  V100, T4: Baidu's DeepBench, results/train/DeepBench_NV_V100.xlsx and _T4.xlsx, "FP16 ip, Mixed math" and
//             "FP32" (a DGX-1, CUDA 10.1). A100, 3090 Ti, 4090: the tables of transformers-benchmarks (GitHub,
//             fanghostt and qhduan), "Matrix Multiplication". 2080 Ti: PyTorch's Linear 4096 x 4096, gist of ypwhs
//             a156353cb19e. H100: the page of periodicdent42 (GitHub), cuBLAS fp16, 622.8 TFLOP/s; H200 and L40 are
//             taken to reach the shares of H100 and A100. fp32 but for T4: V100's share
//   stream    te42kyfo/gpu-benches, gpu-stream, "scale", thread blocks of 32 to 1024: V100, A100 40 GB, A100 80 GB,
//             H100 PCIe, H200, L40, A40. T4, 2080 Ti: V100's curve, 3090: A40's, 4090: L40's, H100: H200's, each in
//             proportion to the bandwidth
//   gap       te42kyfo/gpu-benches, gpu-small-kernels with -graph, the smallest size: 64 KiB at 48 GB/s on A100, 51
//             GB/s on H200, 65 GB/s on L40. V100, T4 and 2080 Ti were not measured with graphs: A100's time by streams,
//             25 GB/s
#include "bench/estimate/cards.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GB 1e9
#define TERA 1e12
#define SCALED(curve, from, to)                                                                                        \
    {                                                                                                                  \
        {                                                                                                              \
            curve((to) / (from))                                                                                       \
        }                                                                                                              \
    }
#define STREAM_V100(s) 128 * GB *(s), 244 * GB *(s), 423 * GB *(s), 673 * GB *(s), 784 * GB *(s), 802 * GB *(s)
#define STREAM_A100_40(s) 151 * GB *(s), 291 * GB *(s), 548 * GB *(s), 954 * GB *(s), 1338 * GB *(s), 1381 * GB *(s)
#define STREAM_A100_80(s) 157 * GB *(s), 305 * GB *(s), 581 * GB *(s), 1026 * GB *(s), 1577 * GB *(s), 1732 * GB *(s)
#define STREAM_H100(s) 183 * GB *(s), 341 * GB *(s), 607 * GB *(s), 1037 * GB *(s), 1583 * GB *(s), 1704 * GB *(s)
#define STREAM_H200(s) 240 * GB *(s), 463 * GB *(s), 852 * GB *(s), 1395 * GB *(s), 2263 * GB *(s), 3165 * GB *(s)
#define STREAM_L40(s) 298 * GB *(s), 549 * GB *(s), 772 * GB *(s), 792 * GB *(s), 778 * GB *(s), 770 * GB *(s)
#define STREAM_A40(s) 154 * GB *(s), 290 * GB *(s), 514 * GB *(s), 643 * GB *(s), 655 * GB *(s), 652 * GB *(s)

static const char deep_bench[] = "products: DeepBench (DGX-1); memory: gpu-benches, gpu-stream";

static const mcf_card cards[] = {
    {.name = "v100",
     .about = "V100 SXM2 16 GB",
     .driver = "V100-SXM2-16GB",
     .sm = 70,
     .units = 80,
     .clock = 1.53e9,
     .f16 = 125 * TERA,
     .f32 = 15.7 * TERA,
     .memory = 16 * GB,
     .bandwidth = 900 * GB,
     .wiring = MCF_WIRING_CUBE,
     .link = 25 * GB,
     .slot = 15.75 * GB,
     .limits = "NVIDIA V100 data sheet",
     .product16 = 0.87,
     .product32 = 0.86,
     .stream = SCALED(STREAM_V100, 900.0, 900.0),
     .gap = 2.6e-6,
     .measured = deep_bench},
    {.name = "v100-32gb",
     .about = "V100 SXM2 32 GB",
     .driver = "V100-SXM2-32GB",
     .sm = 70,
     .units = 80,
     .clock = 1.53e9,
     .f16 = 125 * TERA,
     .f32 = 15.7 * TERA,
     .memory = 32 * GB,
     .bandwidth = 900 * GB,
     .wiring = MCF_WIRING_CUBE,
     .link = 25 * GB,
     .slot = 15.75 * GB,
     .limits = "NVIDIA V100 data sheet",
     .product16 = 0.87,
     .product32 = 0.86,
     .stream = SCALED(STREAM_V100, 900.0, 900.0),
     .gap = 2.6e-6,
     .measured = deep_bench},
    {.name = "v100-pcie",
     .about = "V100 PCIe 16 GB",
     .driver = "V100-PCIE-16GB",
     .sm = 70,
     .units = 80,
     .clock = 1.38e9,
     .f16 = 112 * TERA,
     .f32 = 14 * TERA,
     .memory = 16 * GB,
     .bandwidth = 900 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 15.75 * GB,
     .slot = 15.75 * GB,
     .limits = "NVIDIA V100 data sheet",
     .product16 = 0.87,
     .product32 = 0.86,
     .stream = SCALED(STREAM_V100, 900.0, 900.0),
     .gap = 2.6e-6,
     .measured = "V100 SXM2's shares"},
    {.name = "t4",
     .about = "T4",
     .driver = " T4",
     .sm = 75,
     .units = 40,
     .clock = 1.59e9,
     .f16 = 65 * TERA,
     .f32 = 8.1 * TERA,
     .memory = 16 * GB,
     .bandwidth = 320 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 15.75 * GB,
     .slot = 15.75 * GB,
     .limits = "NVIDIA T4 data sheet",
     .product16 = 0.66,
     .product32 = 0.5,
     .stream = SCALED(STREAM_V100, 900.0, 320.0),
     .gap = 2.6e-6,
     .measured = "products: DeepBench (70 W hold the clock down); memory: V100's curve"},
    {.name = "a100",
     .about = "A100 SXM4 40 GB",
     .driver = "A100-SXM4-40GB",
     .sm = 80,
     .units = 108,
     .clock = 1.41e9,
     .f16 = 312 * TERA,
     .bf16 = 312 * TERA,
     .f32 = 19.5 * TERA,
     .memory = 40 * GB,
     .bandwidth = 1555 * GB,
     .wiring = MCF_WIRING_SWITCH,
     .link = 300 * GB,
     .slot = 31.5 * GB,
     .limits = "NVIDIA A100 data sheet",
     .product16 = 0.75,
     .product32 = 0.86,
     .stream = SCALED(STREAM_A100_40, 1555.0, 1555.0),
     .gap = 1.4e-6,
     .measured = "products: transformers-benchmarks; memory: gpu-benches"},
    {.name = "a100-80gb",
     .about = "A100 SXM4 80 GB",
     .driver = "A100-SXM4-80GB",
     .sm = 80,
     .units = 108,
     .clock = 1.41e9,
     .f16 = 312 * TERA,
     .bf16 = 312 * TERA,
     .f32 = 19.5 * TERA,
     .memory = 80 * GB,
     .bandwidth = 2039 * GB,
     .wiring = MCF_WIRING_SWITCH,
     .link = 300 * GB,
     .slot = 31.5 * GB,
     .limits = "NVIDIA A100 data sheet",
     .product16 = 0.75,
     .product32 = 0.86,
     .stream = SCALED(STREAM_A100_80, 2039.0, 2039.0),
     .gap = 1.4e-6,
     .measured = "products: transformers-benchmarks; memory: gpu-benches"},
    {.name = "h100",
     .about = "H100 SXM5 80 GB",
     .driver = "H100 80GB HBM3",
     .sm = 90,
     .units = 132,
     .clock = 1.83e9,
     .f16 = 989 * TERA,
     .bf16 = 989 * TERA,
     .f32 = 67 * TERA,
     .memory = 80 * GB,
     .bandwidth = 3350 * GB,
     .wiring = MCF_WIRING_SWITCH,
     .link = 450 * GB,
     .slot = 63 * GB,
     .limits = "NVIDIA H100 data sheet",
     .product16 = 0.64,
     .product32 = 0.86,
     .stream = SCALED(STREAM_H200, 4800.0, 3350.0),
     .gap = 1.3e-6,
     .measured = "products: cuBLAS by periodicdent42; memory: H200's curve"},
    {.name = "h100-pcie",
     .about = "H100 PCIe 80 GB",
     .driver = "H100 PCIe",
     .sm = 90,
     .units = 114,
     .clock = 1.62e9,
     .f16 = 756 * TERA,
     .bf16 = 756 * TERA,
     .f32 = 51 * TERA,
     .memory = 80 * GB,
     .bandwidth = 2000 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 63 * GB,
     .slot = 63 * GB,
     .limits = "NVIDIA H100 data sheet",
     .product16 = 0.64,
     .product32 = 0.86,
     .stream = SCALED(STREAM_H100, 2000.0, 2000.0),
     .gap = 1.3e-6,
     .measured = "products: H100 SXM5's share; memory: gpu-benches"},
    {.name = "h200",
     .about = "H200 SXM 141 GB",
     .driver = " H200",
     .sm = 90,
     .units = 132,
     .clock = 1.83e9,
     .f16 = 989 * TERA,
     .bf16 = 989 * TERA,
     .f32 = 67 * TERA,
     .memory = 141 * GB,
     .bandwidth = 4800 * GB,
     .wiring = MCF_WIRING_SWITCH,
     .link = 450 * GB,
     .slot = 63 * GB,
     .limits = "NVIDIA H200 data sheet",
     .product16 = 0.64,
     .product32 = 0.86,
     .stream = SCALED(STREAM_H200, 4800.0, 4800.0),
     .gap = 1.3e-6,
     .measured = "products: H100's share; memory: gpu-benches"},
    {.name = "l40",
     .about = "L40",
     .driver = " L40",
     .sm = 89,
     .units = 142,
     .clock = 2.49e9,
     .f16 = 181 * TERA,
     .bf16 = 181 * TERA,
     .f32 = 90.5 * TERA,
     .memory = 48 * GB,
     .bandwidth = 864 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 31.5 * GB,
     .slot = 31.5 * GB,
     .limits = "NVIDIA L40 data sheet",
     .product16 = 0.75,
     .product32 = 0.86,
     .stream = SCALED(STREAM_L40, 864.0, 864.0),
     .gap = 1e-6,
     .measured = "products: A100's share; memory: gpu-benches"},
    {.name = "rtx2080ti",
     .about = "GeForce RTX 2080 Ti",
     .driver = "RTX 2080 Ti",
     .sm = 75,
     .units = 68,
     .clock = 1.545e9,
     .f16 = 53.8 * TERA,
     .f32 = 13.4 * TERA,
     .memory = 11 * GB,
     .bandwidth = 616 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 15.75 * GB,
     .slot = 15.75 * GB,
     .limits = "NVIDIA Turing white paper",
     .product16 = 1,
     .product32 = 0.86,
     .stream = SCALED(STREAM_V100, 900.0, 616.0),
     .gap = 2.6e-6,
     .measured = "products: PyTorch's Linear, gist of ypwhs; memory: V100's curve"},
    {.name = "rtx3090",
     .about = "GeForce RTX 3090",
     .driver = "RTX 3090",
     .sm = 86,
     .units = 82,
     .clock = 1.695e9,
     .f16 = 71 * TERA,
     .bf16 = 71 * TERA,
     .f32 = 35.6 * TERA,
     .memory = 24 * GB,
     .bandwidth = 936 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 31.5 * GB,
     .slot = 31.5 * GB,
     .limits = "NVIDIA GA102 white paper",
     .product16 = 1,
     .product32 = 0.86,
     .stream = SCALED(STREAM_A40, 696.0, 936.0),
     .gap = 1.4e-6,
     .measured = "products: 3090 Ti in transformers-benchmarks; memory: A40's curve"},
    {.name = "rtx4090",
     .about = "GeForce RTX 4090",
     .driver = "RTX 4090",
     .sm = 89,
     .units = 128,
     .clock = 2.52e9,
     .f16 = 165.2 * TERA,
     .bf16 = 165.2 * TERA,
     .f32 = 82.6 * TERA,
     .memory = 24 * GB,
     .bandwidth = 1008 * GB,
     .wiring = MCF_WIRING_PCIE,
     .link = 31.5 * GB,
     .slot = 31.5 * GB,
     .limits = "NVIDIA Ada white paper",
     .product16 = 0.99,
     .product32 = 0.86,
     .stream = SCALED(STREAM_L40, 864.0, 1008.0),
     .gap = 1e-6,
     .measured = "products: transformers-benchmarks; memory: L40's curve"},
};
enum { CARDS = sizeof cards / sizeof *cards };

const mcf_card *mcf_card_at(int i)
{
    return i >= 0 && i < CARDS ? &cards[i] : NULL;
}

mcf_status mcf_card_find(const char *name, const mcf_card **card, mcf_error *err)
{
    char known[512] = "";
    for (int i = 0; i < CARDS; i++) {
        if (!strcasecmp(cards[i].name, name)) {
            *card = &cards[i];
            return MCF_OK;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", cards[i].name);
    }
    return mcf_fail(err, MCF_ERR_USAGE, "bench: nothing is known of a card '%s' to predict by; known are %s", name,
                    known);
}

int mcf_card_threads(const mcf_card *card)
{
    return card->sm == 75 ? 1024 : card->sm == 86 || card->sm == 89 ? 1536 : 2048;
}

double mcf_card_room(const mcf_card *card)
{
    const int kib = card->sm >= 90 ? 227 : card->sm >= 86 ? 99 : card->sm >= 80 ? 163 : card->sm >= 75 ? 64 : 96;
    return kib * 1024.0;
}

const mcf_card *mcf_card_of_device(const char *name)
{
    for (int i = 0; i < CARDS; i++) {
        const size_t length = strlen(name), end = strlen(cards[i].driver);
        if (length >= end && !strcmp(name + length - end, cards[i].driver))
            return &cards[i];
    }
    return NULL;
}

double mcf_card_stream(const mcf_card *card, double in_flight)
{
    const double *rate = card->stream.rate;
    double low = 512;
    if (in_flight <= low)
        return rate[0] * in_flight / low;
    for (int i = 0; i + 1 < MCF_STREAM_POINTS; i++, low *= 2)
        if (in_flight < 2 * low)
            return rate[i] + (rate[i + 1] - rate[i]) * (in_flight - low) / low;
    return rate[MCF_STREAM_POINTS - 1];
}
