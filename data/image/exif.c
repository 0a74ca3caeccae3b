#include "data/image/exif.h"

#include <stdlib.h>
#include <string.h>

// --- the tag

static uint32_t number(const uint8_t *at, int bytes, bool little)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[little ? bytes - 1 - i : i];
    return value;
}

int mcf_exif_orientation(const uint8_t *bytes, size_t size)
{
    enum { TAG = 0x0112, SHORT = 3, LONG = 4 };
    if (size >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) {
        bytes += 6;
        size -= 6;
    }
    if (size < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0))
        return 1;
    const bool little = bytes[0] == 'I';
    const uint64_t directory = number(bytes + 4, 4, little);
    if (directory + 2 > size)
        return 1;
    const uint32_t entries = number(bytes + directory, 2, little);
    for (uint32_t i = 0; i < entries; i++) {
        const uint64_t at = directory + 2 + 12 * (uint64_t)i;
        if (at + 12 > size)
            return 1;
        if (number(bytes + at, 2, little) != TAG)
            continue;
        const uint32_t type = number(bytes + at + 2, 2, little);
        if ((type != SHORT && type != LONG) || number(bytes + at + 4, 4, little) != 1)
            return 1;
        const uint32_t value = number(bytes + at + 8, type == SHORT ? 2 : 4, little);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

// --- where it lies in a file

static int of_jpeg(const uint8_t *bytes, size_t size)
{
    size_t at = 2;
    while (at + 4 <= size) {
        if (bytes[at] != 0xff) // junk between segments: libjpeg skips it too
            return 1;
        const uint8_t marker = bytes[at + 1];
        if (marker == 0xff) { // fill
            at++;
            continue;
        }
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) { // without a length
            at += 2;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) // pixels, end
            return 1;
        const size_t length = (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
        if (length < 2 || length > size - at - 2)
            return 1;
        if (marker == 0xe1 && length >= 8 && memcmp(bytes + at + 4, "Exif\0\0", 6) == 0)
            return mcf_exif_orientation(bytes + at + 4, length - 2);
        at += 2 + length;
    }
    return 1;
}

static int of_png(const uint8_t *bytes, size_t size)
{
    size_t at = 8;
    while (size - at >= 12) {
        const size_t length = number(bytes + at, 4, false);
        if (length > size - at - 12)
            return 1;
        if (memcmp(bytes + at + 4, "eXIf", 4) == 0)
            return mcf_exif_orientation(bytes + at + 8, length);
        if (memcmp(bytes + at + 4, "IEND", 4) == 0)
            return 1;
        at += 12 + length;
    }
    return 1;
}

static int of_webp(const uint8_t *bytes, size_t size)
{
    size_t at = 12;
    while (at <= size && size - at >= 8) {
        const size_t length = number(bytes + at + 4, 4, true);
        if (length > size - at - 8)
            return 1;
        if (memcmp(bytes + at, "EXIF", 4) == 0)
            return mcf_exif_orientation(bytes + at + 8, length);
        at += 8 + length + (length & 1);
    }
    return 1;
}

int mcf_exif_orientation_of(const uint8_t *bytes, size_t size)
{
    switch (mcf_image_format_of(bytes, size)) {
    case MCF_IMAGE_JPEG:
        return of_jpeg(bytes, size);
    case MCF_IMAGE_PNG:
        return of_png(bytes, size);
    case MCF_IMAGE_WEBP:
        return of_webp(bytes, size);
    default:
        return 1;
    }
}

// --- turning

// Which corner the stored picture's first pixel has in the upright one, and whether rows became columns.
typedef struct {
    bool transpose, flip_x, flip_y; // of the upright picture, after the transposition
} turn;

static const turn turns[9] = {
    [2] = {.flip_x = true},
    [3] = {.flip_x = true, .flip_y = true},
    [4] = {.flip_y = true},
    [5] = {.transpose = true},
    [6] = {.transpose = true, .flip_x = true},
    [7] = {.transpose = true, .flip_x = true, .flip_y = true},
    [8] = {.transpose = true, .flip_y = true},
};

static void swap_double(double *a, double *b)
{
    const double t = *a;
    *a = *b;
    *b = t;
}

mcf_status mcf_image_turn(mcf_decoded *decoded, mcf_bytes *buffer, mcf_error *err)
{
    enum { BLOCK = 32 }; // a square of pixels stays in the cache while rows become columns
    if (decoded->orientation < 2 || decoded->orientation > 8)
        return MCF_OK;
    const turn t = turns[decoded->orientation];
    const mcf_image from = decoded->image;
    const int width = t.transpose ? from.height : from.width, height = t.transpose ? from.width : from.height;
    const size_t channels = (size_t)from.channels, stride = (size_t)width * channels;
    mcf_bytes turned = {0};
    MCF_TRY(mcf_bytes_resize(&turned, stride * (size_t)height, err));
    for (int y0 = 0; y0 < from.height; y0 += BLOCK)
        for (int x0 = 0; x0 < from.width; x0 += BLOCK)
            for (int y = y0; y < y0 + BLOCK && y < from.height; y++)
                for (int x = x0; x < x0 + BLOCK && x < from.width; x++) {
                    int to_x = t.transpose ? y : x, to_y = t.transpose ? x : y;
                    to_x = t.flip_x ? width - 1 - to_x : to_x;
                    to_y = t.flip_y ? height - 1 - to_y : to_y;
                    memcpy(turned.data + (size_t)to_y * stride + (size_t)to_x * channels,
                           from.pixels + (size_t)y * from.stride + (size_t)x * channels, channels);
                }
    mcf_bytes_free(buffer);
    *buffer = turned;
    decoded->image.width = width;
    decoded->image.height = height;
    decoded->image.stride = stride;
    decoded->image.pixels = turned.data;
    if (t.transpose) {
        const int w = decoded->original_width;
        decoded->original_width = decoded->original_height;
        decoded->original_height = w;
        swap_double(&decoded->scaled_width, &decoded->scaled_height);
    }
    return MCF_OK;
}
