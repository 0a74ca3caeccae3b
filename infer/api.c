// The public library, include/mcf.h, over the floors below. Part of libmcf only; the program calls the floors.
#include "mcf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "base/file.h"
#include "data/image/resize.h"
#include "infer/embed.h"
#include "run/weights.h"
#include "run/config/data.h"

enum { MAX_IMAGE_FILE = 1 << 30 }; // bytes

struct mcf_encoder {
    mcf_embedder *embedder;
    int side;
    mcf_center_crop_options crop; // as the run's config says, so that features equal those of `mcf embed`
    mcf_bytes decoded;            // scratch, reused from call to call
    mcf_resizer resizer;
    uint8_t *square; // [side, side, 3]
};

const char *mcf_version(void)
{
    return MCF_VERSION;
}

int mcf_api_version(void)
{
    return MCF_API_VERSION;
}

static mcf_result result_of(mcf_status status)
{
    switch (status) {
    case MCF_OK:
        return MCF_SUCCESS;
    case MCF_ERR_USAGE:
        return MCF_WRONG_USE;
    case MCF_ERR_IO:
    case MCF_ERR_FORMAT:
    case MCF_ERR_SHAPE:
        return MCF_BAD_INPUT;
    case MCF_ERR_UNSUPPORTED:
    case MCF_ERR_DEVICE:
        return MCF_NOT_USABLE;
    case MCF_ERR_NOMEM:
        return MCF_OUT_OF_MEMORY;
    default:
        return MCF_FAILURE;
    }
}

static mcf_result report(mcf_status status, const mcf_error *err, mcf_failure *failure)
{
    mcf_result result = result_of(status);
    if (failure) {
        failure->result = result;
        snprintf(failure->message, sizeof failure->message, "%s", status == MCF_OK ? "" : err->message);
    }
    return result;
}

static void fill_device(const mcf_backend *backend, int index, mcf_device_entry *entry)
{
    static const struct {
        mcf_dtype dtype;
        unsigned bit;
    } precisions[] = {
        {MCF_F32, MCF_HAS_FP32}, {MCF_BF16, MCF_HAS_BF16}, {MCF_F16, MCF_HAS_FP16}, {MCF_F64, MCF_HAS_FP64}};
    mcf_device_info info = {0};
    mcf_error err = {0};
    entry->index = index;
    if (backend->device_info(index, &info, &err) != MCF_OK) {
        snprintf(entry->reason, sizeof entry->reason, "%.511s", err.message);
        return;
    }
    entry->usable = 1;
    snprintf(entry->name, sizeof entry->name, "%s", info.name);
    snprintf(entry->detail, sizeof entry->detail, "%s", info.detail);
    entry->memory_total = info.memory_total;
    entry->memory_free = info.memory_free;
    for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++)
        if (info.dtypes >> precisions[i].dtype & 1)
            entry->precisions |= precisions[i].bit;
}

// Hands out one entry: to the caller's memory where there is room. Newer fields than the caller knows are cut off.
static void give_device(mcf_device_entry *entries, int capacity, int *count, mcf_device_entry *entry)
{
    if (entries && *count < capacity) {
        size_t stride = entries[0].size, size = stride < sizeof *entry ? stride : sizeof *entry;
        entry->size = stride;
        memcpy((char *)entries + (size_t)*count * stride, entry, size);
    }
    (*count)++;
}

int mcf_list_devices(mcf_device_entry *entries, int capacity)
{
    int count = 0;
    if (entries && (capacity < 1 || entries[0].size < sizeof(size_t)))
        entries = NULL;
    for (const char *const *name = mcf_backend_names(); *name; name++) {
        const mcf_backend *backend;
        mcf_error err = {0};
        bool found = mcf_backend_find(*name, &backend, &err) == MCF_OK;
        int devices = found ? backend->device_count() : 1;
        for (int i = 0; i < devices; i++) {
            mcf_device_entry entry = {.index = -1};
            snprintf(entry.backend, sizeof entry.backend, "%s", *name);
            if (found)
                fill_device(backend, i, &entry);
            else
                snprintf(entry.reason, sizeof entry.reason, "%.511s", err.message);
            give_device(entries, capacity, &count, &entry);
        }
    }
    return count;
}

static mcf_status open_encoder(mcf_encoder *encoder, const char *path, const mcf_encoder_options *given, mcf_error *err)
{
    mcf_encoder_options options = {0};
    mcf_weights weights;
    if (!path)
        return mcf_fail(err, MCF_ERR_USAGE, "mcf_encoder_open: path is NULL");
    if (given)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (options.device < 0 || options.threads < 0 || options.batch < 0)
        return mcf_fail(err, MCF_ERR_USAGE, "mcf_encoder_open: device, threads and batch must not be negative");
    MCF_TRY(mcf_weights_open(&weights, path, err));
    encoder->crop = mcf_data_crop(&weights.config.data, weights.config.model.image_size);
    mcf_weights_close(&weights);

    mcf_embedder_options inner = {
        .job = {.backend = options.backend ? options.backend : "auto",
                .devices = {options.device},
                .device_count = 1,
                .threads = options.threads},
        .checkpoint = path,
        .batch = options.batch ? options.batch : 1,
    };
    MCF_TRY(mcf_embedder_open(&encoder->embedder, &inner, err));
    encoder->side = mcf_embedder_size(encoder->embedder);
    encoder->square = malloc((size_t)encoder->side * (size_t)encoder->side * 3);
    if (!encoder->square)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an image of %d pixels a side", encoder->side);
    return MCF_OK;
}

mcf_result mcf_encoder_open(mcf_encoder **encoder, const char *path, const mcf_encoder_options *options,
                            mcf_failure *failure)
{
    mcf_error err = {0};
    *encoder = calloc(1, sizeof **encoder);
    mcf_status status = *encoder ? open_encoder(*encoder, path, options, &err)
                                 : mcf_fail(&err, MCF_ERR_NOMEM, "no memory for an encoder");
    if (status != MCF_OK) {
        mcf_encoder_close(*encoder);
        *encoder = NULL;
    }
    return report(status, &err, failure);
}

void mcf_encoder_close(mcf_encoder *encoder)
{
    if (!encoder)
        return;
    mcf_embedder_close(encoder->embedder);
    mcf_resizer_free(&encoder->resizer);
    mcf_bytes_free(&encoder->decoded);
    free(encoder->square);
    free(encoder);
}

int mcf_encoder_dim(const mcf_encoder *encoder)
{
    return mcf_embedder_dim(encoder->embedder);
}

int mcf_encoder_image_size(const mcf_encoder *encoder)
{
    return encoder->side;
}

static mcf_status embed_decoded(mcf_encoder *encoder, const mcf_decoded *decoded, float *cls, float *mean,
                                mcf_error *err)
{
    mcf_resize_plan plan = mcf_resize_then_crop(decoded, encoder->crop.shorter, encoder->side, encoder->crop.filter);
    MCF_TRY(mcf_resize(&encoder->resizer, &decoded->image, &plan, encoder->square, (size_t)encoder->side * 3, err));
    return mcf_embedder_run(encoder->embedder, encoder->square, 1, cls, mean, err);
}

static mcf_status embed_rgb(mcf_encoder *encoder, const uint8_t *pixels, int width, int height, size_t stride,
                            float *cls, float *mean, mcf_error *err)
{
    if (!pixels || width < 1 || height < 1 || width > MCF_IMAGE_MAX_SIDE || height > MCF_IMAGE_MAX_SIDE ||
        (stride && stride < (size_t)width * 3))
        return mcf_fail(err, MCF_ERR_USAGE, "%d x %d pixels with rows of %zu bytes are not an RGB picture", width,
                        height, stride);
    mcf_decoded decoded = {
        .image = {width, height, 3, stride ? stride : (size_t)width * 3, pixels},
        .original_width = width,
        .original_height = height,
        .scaled_width = width,
        .scaled_height = height,
    };
    return embed_decoded(encoder, &decoded, cls, mean, err);
}

mcf_result mcf_encoder_embed_rgb(mcf_encoder *encoder, const uint8_t *pixels, int width, int height, size_t stride,
                                 float *cls, float *mean, mcf_failure *failure)
{
    mcf_error err = {0};
    return report(embed_rgb(encoder, pixels, width, height, stride, cls, mean, &err), &err, failure);
}

static mcf_status embed_bytes(mcf_encoder *encoder, const void *bytes, size_t size, float *cls, float *mean,
                              mcf_error *err)
{
    mcf_decode_options options = {.channels = 4, .min_side = encoder->crop.fast_decode ? encoder->crop.shorter : 0};
    mcf_decoded decoded;
    MCF_TRY(mcf_image_decode(bytes, size, &options, &encoder->decoded, &decoded, err));
    return embed_decoded(encoder, &decoded, cls, mean, err);
}

mcf_result mcf_encoder_embed_bytes(mcf_encoder *encoder, const void *bytes, size_t size, float *cls, float *mean,
                                   mcf_failure *failure)
{
    mcf_error err = {0};
    return report(embed_bytes(encoder, bytes, size, cls, mean, &err), &err, failure);
}

mcf_result mcf_encoder_embed_file(mcf_encoder *encoder, const char *path, float *cls, float *mean, mcf_failure *failure)
{
    mcf_error err = {0};
    char *bytes = NULL;
    size_t size;
    mcf_status status = mcf_file_read(path, MAX_IMAGE_FILE, &bytes, &size, &err);
    if (status == MCF_OK) {
        status = embed_bytes(encoder, bytes, size, cls, mean, &err);
        if (status != MCF_OK)
            mcf_add_context(&err, status, "%s", path);
        free(bytes);
    }
    return report(status, &err, failure);
}

mcf_result mcf_encoder_embed_batch(mcf_encoder *encoder, const uint8_t *images, size_t count, float *cls, float *mean,
                                   mcf_failure *failure)
{
    mcf_error err = {0};
    return report(mcf_embedder_run(encoder->embedder, images, (int64_t)count, cls, mean, &err), &err, failure);
}
