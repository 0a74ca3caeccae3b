// A picture from foreign bytes: decoded in every way, resized, and where it decodes, encoded again.
// The first byte chooses the channels and the DCT scale; the rest is the file.
#include <stdint.h>
#include <stdlib.h>

#include "data/image/resize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Decoding 100 million pixels is legal but would only slow the search: claims above this are left out.
static int is_large(const uint8_t *bytes, size_t size)
{
    uint64_t pixels = 0;
    if (mcf_image_format_of(bytes, size) == MCF_IMAGE_PNG && size >= 24)
        pixels = ((uint64_t)bytes[16] << 24 | bytes[17] << 16 | bytes[18] << 8 | bytes[19]) *
                 ((uint64_t)bytes[20] << 24 | bytes[21] << 16 | bytes[22] << 8 | bytes[23]);
    for (size_t i = 2; i + 9 <= size && mcf_image_format_of(bytes, size) == MCF_IMAGE_JPEG; i++)
        if (bytes[i] == 0xff && (bytes[i + 1] & 0xf0) == 0xc0) {
            uint64_t claim =
                (uint64_t)(bytes[i + 5] << 8 | bytes[i + 6]) * (uint64_t)(bytes[i + 7] << 8 | bytes[i + 8]);
            pixels = claim > pixels ? claim : pixels;
        }
    // WebP keeps its size in one of three places; what libwebp reads from them is at most this.
    if (mcf_image_format_of(bytes, size) == MCF_IMAGE_WEBP && size >= 30) {
        const uint64_t extended = (1 + ((uint64_t)bytes[24] | bytes[25] << 8 | bytes[26] << 16)) *
                                  (1 + ((uint64_t)bytes[27] | bytes[28] << 8 | bytes[29] << 16));
        const uint64_t lossy =
            (uint64_t)((bytes[26] | bytes[27] << 8) & 0x3fff) * (uint64_t)((bytes[28] | bytes[29] << 8) & 0x3fff);
        const uint32_t bits = (uint32_t)(bytes[21] | bytes[22] << 8 | bytes[23] << 16) | (uint32_t)bytes[24] << 24;
        const uint64_t lossless = (uint64_t)(1 + (bits & 0x3fff)) * (1 + (bits >> 14 & 0x3fff));
        pixels = bytes[15] == 'X' ? extended : bytes[15] == 'L' ? lossless : lossy;
    }
    return pixels > 1 << 18 && pixels <= MCF_IMAGE_MAX_PIXELS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || is_large(data + 1, size - 1))
        return 0;
    mcf_decode_options options = {
        .channels = data[0] & 1 ? 4 : 3, .min_side = data[0] >> 2, .upright = data[0] & 4, .over_white = data[0] & 8};
    mcf_bytes buffer = {0}, file = {0};
    mcf_decoded decoded;
    mcf_error err = {.status = MCF_OK};
    if (mcf_image_decode(data + 1, size - 1, &options, &buffer, &decoded, &err) != MCF_OK) {
        if (!err.message[0])
            abort();
    } else {
        uint8_t out[17 * 17 * 3];
        mcf_resizer resizer = {0};
        mcf_resize_plan plan =
            mcf_resize_center_crop(&decoded, 17, data[0] & 2 ? MCF_FILTER_BICUBIC : MCF_FILTER_BILINEAR);
        if (mcf_resize(&resizer, &decoded.image, &plan, out, 51, &err) != MCF_OK)
            abort();
        mcf_resizer_free(&resizer);
        if (decoded.image.width < 64 && decoded.image.height < 64 &&
            (mcf_image_encode_png(&decoded.image, &file, &err) != MCF_OK ||
             mcf_image_encode_jpeg(&decoded.image, 50, &file, &err) != MCF_OK))
            abort();
    }
    mcf_bytes_free(&file);
    mcf_bytes_free(&buffer);
    return 0;
}
