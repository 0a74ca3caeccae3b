// Private to data/image/: the codecs behind mcf_image_decode.
#ifndef MCF_DATA_IMAGE_CODEC_H
#define MCF_DATA_IMAGE_CODEC_H

#include "data/image/image.h"

// Fails with MCF_ERR_FORMAT when a picture of that size is empty or above the limits. *refusal is set then.
mcf_status mcf_image_check_size(uint64_t width, uint64_t height, mcf_image_refusal *refusal, mcf_error *err);

// RGBA pixels, rows tightly packed, blended over white in place; then made 3 channels where channels is 3.
void mcf_image_over_white(uint8_t *pixels, size_t count, int channels);

// options->channels is 3 or 4. They fill all of *out but format.
mcf_status mcf_jpeg_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                           mcf_decoded *out, mcf_error *err);
mcf_status mcf_png_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                          mcf_decoded *out, mcf_error *err);
// Fails with MCF_ERR_FORMAT (unsupported) in a build without libwebp.
mcf_status mcf_webp_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                           mcf_decoded *out, mcf_error *err);

#endif
