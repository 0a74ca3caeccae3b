// What the formats share. The codecs are jpeg.c, png.c and webp.c; decode.c chooses among them.
#include "data/image/codec.h"

#include <string.h>

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
