// WebP through libwebp and libwebpdemux, which are optional.
#include "data/image/codec.h"

#include <string.h>

#ifndef MCF_HAS_WEBP

mcf_status mcf_webp_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                           mcf_decoded *out, mcf_error *err)
{
    (void)bytes, (void)size, (void)options, (void)buffer;
    out->refusal = MCF_IMAGE_UNSUPPORTED;
    return mcf_fail(err, MCF_ERR_FORMAT,
                    "a WebP picture, which this build cannot read; build with libwebp (Debian: libwebp-dev)");
}

#else

#include <webp/decode.h>
#include <webp/demux.h>

static mcf_status refuse(mcf_decoded *out, VP8StatusCode code, size_t size, mcf_error *err)
{
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the WebP decoder");
    const bool cut = code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED;
    out->refusal = cut ? MCF_IMAGE_TRUNCATED : MCF_IMAGE_DAMAGED;
    if (cut)
        return mcf_fail(err, MCF_ERR_FORMAT, "truncated WebP: it ends after %zu bytes, before its picture does", size);
    return mcf_fail(err, MCF_ERR_FORMAT, "damaged WebP: libwebp's status %d", (int)code);
}

// One still picture into `pixels`, RGBA, `size_out` bytes of it.
static VP8StatusCode decode_still(const uint8_t *bytes, size_t size, uint8_t *pixels, size_t stride, size_t size_out)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return VP8_STATUS_INVALID_PARAM;
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = size_out;
    return WebPDecode(bytes, size, &config);
}

// The first frame where it lies on its canvas; outside nothing is opaque.
static VP8StatusCode decode_first_frame(const uint8_t *bytes, size_t size, int width, int height, uint8_t *pixels)
{
    const WebPData data = {bytes, size};
    WebPDemuxState state;
    WebPDemuxer *demuxer = WebPDemuxPartial(&data, &state);
    if (!demuxer)
        return VP8_STATUS_BITSTREAM_ERROR;
    WebPIterator frame;
    VP8StatusCode code = state == WEBP_DEMUX_PARSING_HEADER || state == WEBP_DEMUX_PARSED_HEADER
                             ? VP8_STATUS_NOT_ENOUGH_DATA
                             : VP8_STATUS_BITSTREAM_ERROR;
    if (WebPDemuxGetFrame(demuxer, 1, &frame)) {
        if (frame.x_offset >= 0 && frame.y_offset >= 0 && frame.width > 0 && frame.height > 0 &&
            frame.width <= width - frame.x_offset && frame.height <= height - frame.y_offset) {
            const size_t stride = (size_t)width * 4;
            memset(pixels, 0, stride * (size_t)height);
            uint8_t *corner = pixels + (size_t)frame.y_offset * stride + (size_t)frame.x_offset * 4;
            code = frame.complete ? decode_still(frame.fragment.bytes, frame.fragment.size, corner, stride,
                                                 stride * (size_t)(frame.height - 1) + (size_t)frame.width * 4)
                                  : VP8_STATUS_NOT_ENOUGH_DATA;
        }
        WebPDemuxReleaseIterator(&frame);
    }
    WebPDemuxDelete(demuxer);
    return code;
}

mcf_status mcf_webp_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                           mcf_decoded *out, mcf_error *err)
{
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(bytes, size, &features);
    if (code != VP8_STATUS_OK)
        return refuse(out, code, size, err);
    MCF_TRY(mcf_image_check_size((uint64_t)features.width, (uint64_t)features.height, &out->refusal, err));
    const size_t width = (size_t)features.width, height = (size_t)features.height;
    MCF_TRY(mcf_bytes_resize(buffer, width * height * 4, err));
    code = features.has_animation ? decode_first_frame(bytes, size, features.width, features.height, buffer->data)
                                  : decode_still(bytes, size, buffer->data, width * 4, width * 4 * height);
    if (code != VP8_STATUS_OK)
        return refuse(out, code, size, err);
    const size_t channels = (size_t)options->channels;
    if (options->over_white)
        mcf_image_over_white(buffer->data, width * height, options->channels);
    else
        for (size_t i = 0; i < width * height; i++) { // alpha is dropped
            memmove(buffer->data + i * channels, buffer->data + i * 4, 3);
            if (channels == 4)
                buffer->data[i * 4 + 3] = 255;
        }
    buffer->size = width * height * channels;
    out->image = (mcf_image){.width = features.width,
                             .height = features.height,
                             .channels = options->channels,
                             .stride = width * channels,
                             .pixels = buffer->data};
    out->original_width = features.width;
    out->original_height = features.height;
    out->scaled_width = features.width;
    out->scaled_height = features.height;
    return MCF_OK;
}

#endif
