// What the formats share: buffers, format detection, dispatch. The codecs are jpeg.c, png.c and webp.c.
#include "data/image/image.h"
#include "data/image/codec.h"
#include "data/image/exif.h"

#include <stdlib.h>
#include <string.h>

mcf_status mcf_bytes_resize(mcf_bytes *buffer, size_t size, mcf_error *err)
{
    if (size > SIZE_MAX - 64)
        return mcf_fail(err, MCF_ERR_NOMEM, "a buffer of %zu bytes is not possible", size);
    // One huge picture should not hold its memory for the rest of the run.
    bool wasteful = buffer->capacity > (size_t)64 << 20 && size + 64 < buffer->capacity / 8;
    if (buffer->capacity < size + 64 || wasteful) {
        free(buffer->data);
        buffer->data = malloc(size + 64);
        buffer->capacity = buffer->data ? size + 64 : 0;
        buffer->size = 0;
        if (!buffer->data)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a buffer of %zu bytes", size);
    }
    buffer->size = size;
    return MCF_OK;
}

void mcf_bytes_free(mcf_bytes *buffer)
{
    free(buffer->data);
    *buffer = (mcf_bytes){0};
}

mcf_image_format mcf_image_format_of(const uint8_t *bytes, size_t size)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff)
        return MCF_IMAGE_JPEG;
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return MCF_IMAGE_PNG;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
        return MCF_IMAGE_WEBP;
    return MCF_IMAGE_UNKNOWN;
}

const char *const mcf_image_refusal_names[MCF_IMAGE_REFUSALS] = {"accepted", "empty",     "not an image", "truncated",
                                                                 "damaged",  "too large", "unsupported"};

void mcf_image_over_white(uint8_t *pixels, size_t count, int channels)
{
    uint8_t *out = pixels;
    for (size_t i = 0; i < count; i++, pixels += 4, out += channels) {
        const unsigned a = pixels[3];
        // floor(v a/255 + 255 (1 - a/255) + 1/2) in whole numbers
        for (int c = 0; c < 3; c++)
            out[c] = (uint8_t)((2 * (pixels[c] * a + 255 * (255 - a)) + 255) / 510);
        if (channels == 4)
            out[3] = 255;
    }
}

mcf_status mcf_image_check_size(uint64_t width, uint64_t height, mcf_image_refusal *refusal, mcf_error *err)
{
    *refusal = width == 0 || height == 0 ? MCF_IMAGE_DAMAGED : MCF_IMAGE_TOO_LARGE;
    if (width == 0 || height == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "the picture has no pixels (%llux%llu)", (unsigned long long)width,
                        (unsigned long long)height);
    if (width > MCF_IMAGE_MAX_SIDE || height > MCF_IMAGE_MAX_SIDE || width * height > MCF_IMAGE_MAX_PIXELS)
        return mcf_fail(err, MCF_ERR_FORMAT, "%llux%llu pixels is more than the limit of %d (%d a side)",
                        (unsigned long long)width, (unsigned long long)height, MCF_IMAGE_MAX_PIXELS,
                        MCF_IMAGE_MAX_SIDE);
    *refusal = MCF_IMAGE_ACCEPTED;
    return MCF_OK;
}

// Says what the bytes look like when they are no picture: the usual cases have an obvious cure.
static mcf_status fail_unknown(const uint8_t *bytes, size_t size, mcf_image_refusal *refusal, mcf_error *err)
{
    *refusal = size == 0 ? MCF_IMAGE_EMPTY : MCF_IMAGE_NO_IMAGE;
    if (size == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "the file is empty");
    static const struct {
        const char *name, *magic;
        size_t at, length;
    } others[] = {{"GIF", "GIF8", 0, 4},      {"TIFF", "II*\0", 0, 4},    {"TIFF", "MM\0*", 0, 4},
                  {"AVIF", "ftypavif", 4, 8}, {"HEIC", "ftypheic", 4, 8}, {"JPEG 2000", "jP  \r\n", 4, 6}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (size >= others[i].at + others[i].length &&
            memcmp(bytes + others[i].at, others[i].magic, others[i].length) == 0) {
            *refusal = MCF_IMAGE_UNSUPPORTED;
            return mcf_fail(err, MCF_ERR_FORMAT, "a %s picture; only JPEG, PNG and WebP are read, convert it",
                            others[i].name);
        }
    size_t look = size < 64 ? size : 64;
    bool text = true;
    for (size_t i = 0; i < look; i++)
        text = text && (bytes[i] >= 0x20 || (bytes[i] >= '\t' && bytes[i] <= '\r'));
    if (text)
        return mcf_fail(err, MCF_ERR_FORMAT, "text, not a JPEG, PNG or WebP picture");
    return mcf_fail(err, MCF_ERR_FORMAT, "neither JPEG nor PNG nor WebP (first bytes %02x %02x)", bytes[0],
                    size > 1 ? bytes[1] : 0);
}

static mcf_status decode(const uint8_t *bytes, size_t size, const mcf_decode_options *choice, mcf_bytes *buffer,
                         mcf_decoded *out, mcf_error *err)
{
    switch (out->format) {
    case MCF_IMAGE_JPEG:
        return mcf_jpeg_decode(bytes, size, choice, buffer, out, err);
    case MCF_IMAGE_PNG:
        return mcf_png_decode(bytes, size, choice, buffer, out, err);
    case MCF_IMAGE_WEBP:
        return mcf_webp_decode(bytes, size, choice, buffer, out, err);
    default:
        return fail_unknown(bytes, size, &out->refusal, err);
    }
}

mcf_status mcf_image_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                            mcf_decoded *out, mcf_error *err)
{
    mcf_decode_options choice = options ? *options : (mcf_decode_options){0};
    if (choice.channels == 0)
        choice.channels = 3;
    if (choice.channels != 3 && choice.channels != 4)
        return mcf_fail(err, MCF_ERR_INTERNAL, "mcf_image_decode: %d channels asked for", choice.channels);
    *out = (mcf_decoded){.format = mcf_image_format_of(bytes, size), .orientation = 1};
    mcf_status status = decode(bytes, size, &choice, buffer, out, err);
    if (status == MCF_OK && choice.upright) {
        out->orientation = mcf_exif_orientation_of(bytes, size);
        status = mcf_image_turn(out, buffer, err);
    }
    if (status == MCF_OK || status == MCF_ERR_NOMEM)
        out->refusal = MCF_IMAGE_ACCEPTED;
    else if (out->refusal == MCF_IMAGE_ACCEPTED)
        out->refusal = MCF_IMAGE_DAMAGED;
    return status;
}
