// mcf_image_decode: chooses the codec.
#include <string.h>

#include "data/image/codec.h"
#include "data/image/exif.h"
#include "data/impostor.h"

// Says what the bytes look like when they are no picture: the usual cases have an obvious cure.
static mcf_status fail_unknown(const uint8_t *bytes, size_t size, mcf_image_refusal *refusal, mcf_error *err)
{
    *refusal = size == 0 ? MCF_IMAGE_EMPTY : MCF_IMAGE_NO_IMAGE;
    if (size == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "the file is empty");
    const char *impostor = mcf_impostor(bytes, size);
    if (impostor)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s", impostor);
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
    if (status == MCF_ERR_FORMAT && out->refusal == MCF_IMAGE_UNSUPPORTED) {
        status = MCF_ERR_UNSUPPORTED;
        if (err)
            err->status = status;
    }
    return status;
}
