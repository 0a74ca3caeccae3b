// mcf_image_decode: chooses the codec.
#include <string.h>

#include "data/image/codec.h"
#include "data/image/exif.h"
#include "data/impostor.h"

const char *mcf_image_other(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *name, *magic;
        size_t at, length;
    } others[] = {{"a GIF picture", "GIF8", 0, 4},
                  {"a TIFF picture", "II*\0", 0, 4},
                  {"a TIFF picture", "MM\0*", 0, 4},
                  {"a TIFF picture", "II+\0", 0, 4},
                  {"an AVIF picture", "ftypavi", 4, 7},
                  {"a HEIC picture", "ftyphei", 4, 7},
                  {"a HEIC picture", "ftyphev", 4, 7},
                  {"a HEIF picture", "ftypmif1", 4, 8},
                  {"a HEIF picture", "ftypmsf1", 4, 8},
                  {"a video, or another file of ISO media", "ftyp", 4, 4},
                  {"a JPEG 2000 picture", "jP  \r\n", 4, 6},
                  {"a JPEG 2000 picture", "\xff\x4f\xff\x51", 0, 4},
                  {"a JPEG XL picture", "JXL \r\n", 4, 6},
                  {"a JPEG XL picture", "\xff\x0a", 0, 2},
                  {"an icon (ICO)", "\0\0\1\0", 0, 4},
                  {"a Photoshop picture (PSD)", "8BPS", 0, 4},
                  {"an OpenEXR picture", "\x76\x2f\x31\x01", 0, 4},
                  {"a Radiance picture (HDR)", "#?RADIANCE", 0, 10},
                  {"a QOI picture", "qoif", 0, 4},
                  {"a DDS picture", "DDS \x7c\0\0\0", 0, 8},
                  {"a raw picture of a camera", "FUJIFILMCCD-RAW", 0, 15},
                  {"a PDF document", "%PDF-", 0, 5},
                  {"an SVG drawing", "<svg", 0, 4},
                  {"a Matroska or WebM video", "\x1a\x45\xdf\xa3", 0, 4},
                  {"a RIFF file (sound or video)", "RIFF", 0, 4}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (size >= others[i].at + others[i].length &&
            memcmp(bytes + others[i].at, others[i].magic, others[i].length) == 0)
            return others[i].name;
    // Their first letters alone could begin a text.
    if (size >= 18 && !memcmp(bytes, "BM", 2) && !memcmp(bytes + 6, "\0\0\0\0", 4) && bytes[15] == 0)
        return "a BMP picture";
    if (size >= 8 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' && (bytes[2] == '\n' || bytes[2] == ' ') &&
        ((bytes[3] >= '0' && bytes[3] <= '9') || bytes[3] == '#' || bytes[1] == '7'))
        return "a Netpbm picture (PPM, PGM, PBM)";
    return NULL;
}

// Says what the bytes look like when they are no picture: the usual cases have an obvious cure.
static mcf_status fail_unknown(const uint8_t *bytes, size_t size, mcf_image_refusal *refusal, mcf_error *err)
{
    *refusal = size == 0 ? MCF_IMAGE_EMPTY : MCF_IMAGE_NO_IMAGE;
    if (size == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "the file is empty");
    const char *impostor = mcf_impostor(bytes, size);
    if (impostor)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s", impostor);
    const char *other = mcf_image_other(bytes, size);
    if (other) {
        *refusal = MCF_IMAGE_UNSUPPORTED;
        return mcf_fail(err, MCF_ERR_FORMAT, "%s; only JPEG, PNG and WebP are read, convert it", other);
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
