// MTCNN's tensors with numbers drawn as tests/infer/make_detector_fixtures.py draws them.
#ifndef MCF_TESTS_INFER_DETECTOR_WEIGHTS_H
#define MCF_TESTS_INFER_DETECTOR_WEIGHTS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/safetensors.h"

typedef struct {
    const char *name;
    int64_t shape[4]; // zeros end it
} drawn_tensor;

// In the order in which PyTorch lists each network's parameters.
static const drawn_tensor drawn_tensors[] = {
    {"pnet.conv1.weight", {10, 3, 3, 3}},
    {"pnet.conv1.bias", {10}},
    {"pnet.prelu1.weight", {10}},
    {"pnet.conv2.weight", {16, 10, 3, 3}},
    {"pnet.conv2.bias", {16}},
    {"pnet.prelu2.weight", {16}},
    {"pnet.conv3.weight", {32, 16, 3, 3}},
    {"pnet.conv3.bias", {32}},
    {"pnet.prelu3.weight", {32}},
    {"pnet.conv4_1.weight", {2, 32, 1, 1}},
    {"pnet.conv4_1.bias", {2}},
    {"pnet.conv4_2.weight", {4, 32, 1, 1}},
    {"pnet.conv4_2.bias", {4}},
    {"rnet.conv1.weight", {28, 3, 3, 3}},
    {"rnet.conv1.bias", {28}},
    {"rnet.prelu1.weight", {28}},
    {"rnet.conv2.weight", {48, 28, 3, 3}},
    {"rnet.conv2.bias", {48}},
    {"rnet.prelu2.weight", {48}},
    {"rnet.conv3.weight", {64, 48, 2, 2}},
    {"rnet.conv3.bias", {64}},
    {"rnet.prelu3.weight", {64}},
    {"rnet.dense4.weight", {128, 576}},
    {"rnet.dense4.bias", {128}},
    {"rnet.prelu4.weight", {128}},
    {"rnet.dense5_1.weight", {2, 128}},
    {"rnet.dense5_1.bias", {2}},
    {"rnet.dense5_2.weight", {4, 128}},
    {"rnet.dense5_2.bias", {4}},
    {"onet.conv1.weight", {32, 3, 3, 3}},
    {"onet.conv1.bias", {32}},
    {"onet.prelu1.weight", {32}},
    {"onet.conv2.weight", {64, 32, 3, 3}},
    {"onet.conv2.bias", {64}},
    {"onet.prelu2.weight", {64}},
    {"onet.conv3.weight", {64, 64, 3, 3}},
    {"onet.conv3.bias", {64}},
    {"onet.prelu3.weight", {64}},
    {"onet.conv4.weight", {128, 64, 2, 2}},
    {"onet.conv4.bias", {128}},
    {"onet.prelu4.weight", {128}},
    {"onet.dense5.weight", {256, 1152}},
    {"onet.dense5.bias", {256}},
    {"onet.prelu5.weight", {256}},
    {"onet.dense6_1.weight", {2, 256}},
    {"onet.dense6_1.bias", {2}},
    {"onet.dense6_2.weight", {4, 256}},
    {"onet.dense6_2.bias", {4}},
    {"onet.dense6_3.weight", {10, 256}},
    {"onet.dense6_3.bias", {10}},
};
enum { DRAWN_TENSORS = sizeof drawn_tensors / sizeof *drawn_tensors };

// lean is added to the logit of "a face" of all three networks: the more, the more is taken for one.
static mcf_status write_drawn_detector(const char *path, uint32_t seed, float lean, mcf_error *err)
{
    mcf_named_tensor tensors[DRAWN_TENSORS];
    uint32_t state = seed;
    for (int i = 0; i < DRAWN_TENSORS; i++) {
        const drawn_tensor *t = &drawn_tensors[i];
        mcf_shape shape = {.rank = 0};
        int64_t count = 1;
        while (shape.rank < 4 && t->shape[shape.rank]) {
            count *= t->shape[shape.rank];
            shape.dim[shape.rank] = t->shape[shape.rank];
            shape.rank++;
        }
        const float scale = strstr(t->name, "prelu") ? 0.5f
                            : shape.rank > 1         ? (float)sqrt(3.0 / (double)(count / t->shape[0]))
                                                     : 0.1f;
        float *values = malloc((size_t)count * sizeof *values);
        for (int64_t k = 0; k < count; k++) {
            state = 1664525u * state + 1013904223u;
            values[k] = ((float)(state >> 8) / 8388608.0f - 1.0f) * scale;
        }
        if (shape.rank == 1 && count == 2)
            values[1] += lean;
        tensors[i] = (mcf_named_tensor){.name = t->name, .dtype = MCF_F32, .shape = shape, .data = values};
    }
    static const char *const metadata[] = {"kind", "mtcnn", NULL};
    mcf_status status = mcf_safetensors_save(path, tensors, DRAWN_TENSORS, metadata, NULL, NULL, err);
    for (int i = 0; i < DRAWN_TENSORS; i++)
        free(tensors[i].data);
    return status;
}

#endif
