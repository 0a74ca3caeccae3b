// JPEG through libjpeg-turbo's classic interface.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "data/image/codec.h"

// One error manager for both directions: libjpeg leaves by longjmp, the message stays here.
typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf leave;
    bool ran_out;   // the source asked for bytes past the end
    bool no_memory; // libjpeg's or the sink's: the picture is not to blame
    char message[JMSG_LENGTH_MAX];
} jpeg_errors;

static void leave_with_message(j_common_ptr info)
{
    jpeg_errors *errors = (jpeg_errors *)info->err;
    info->err->format_message(info, errors->message);
    errors->no_memory = errors->no_memory || info->err->msg_code == JERR_OUT_OF_MEMORY;
    longjmp(errors->leave, 1);
}

// Most warnings are about harmless oddities (bytes before a marker); these mean that pixels are made up.
static void judge_warning(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    info->err->num_warnings++;
    switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        leave_with_message(info);
    }
}

static void ignore_message(j_common_ptr info)
{
    (void)info;
}

static void check_scans(j_common_ptr info)
{
    j_decompress_ptr decoder = (j_decompress_ptr)info;
    if (info->is_decompressor && decoder->input_scan_number > MCF_IMAGE_MAX_SCANS) {
        jpeg_errors *errors = (jpeg_errors *)info->err;
        snprintf(errors->message, sizeof errors->message, "more than %d scans", MCF_IMAGE_MAX_SCANS);
        longjmp(errors->leave, 1);
    }
}

// The whole file is in memory. At its end the decoder is fed an end marker: a file that merely lacks one is
// whole; one that lacks data then raises JWRN_HIT_MARKER.
static boolean feed_end(j_decompress_ptr decoder)
{
    static const JOCTET end[2] = {0xff, JPEG_EOI};
    ((jpeg_errors *)decoder->err)->ran_out = true;
    decoder->src->next_input_byte = end;
    decoder->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void skip_bytes(j_decompress_ptr decoder, long count)
{
    if (count <= 0)
        return;
    if ((size_t)count > decoder->src->bytes_in_buffer) {
        feed_end(decoder);
        return;
    }
    decoder->src->next_input_byte += count;
    decoder->src->bytes_in_buffer -= (size_t)count;
}

static void do_nothing(j_decompress_ptr decoder)
{
    (void)decoder;
}

// Adobe writes CMYK inverted: a stored 255 is no ink. R = K - K (255 - C) / 255 on stored values, with PIL's
// rounding of a product of bytes: (t + (t >> 8)) >> 8, t = a b + 128.
static void convert_cmyk_row(const uint8_t *in, uint8_t *out, int width, int channels)
{
    for (int x = 0; x < width; x++, in += 4, out += channels) {
        unsigned light = in[3];
        for (int c = 0; c < 3; c++) {
            unsigned product = (255u - in[c]) * light + 128;
            unsigned ink = (product + (product >> 8)) >> 8;
            out[c] = (uint8_t)(light > ink ? light - ink : 0);
        }
        if (channels == 4)
            out[3] = 255;
    }
}

// Denominator of the smallest scale whose shorter side still reaches min_side. Only 1, 2, 4, 8 have vector
// code in libjpeg-turbo; the scales between them are slower than full size.
static unsigned choose_divisor(unsigned width, unsigned height, int min_side)
{
    unsigned shorter = width < height ? width : height, divisor = 1;
    while (min_side > 0 && divisor < 8 && shorter / (divisor * 2) >= (unsigned)min_side)
        divisor *= 2;
    return divisor;
}

typedef struct {
    struct jpeg_decompress_struct decoder;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jpeg_errors errors;
    mcf_bytes row; // CMYK only
} jpeg_reader;

// What libjpeg says of whole pictures that it has no code for: lossless or hierarchical ones, 12 bits a channel,
// arithmetic coding where it was built without.
static bool is_another_kind(int code)
{
    return code == JERR_SOF_UNSUPPORTED || code == JERR_BAD_PRECISION || code == JERR_ARITH_NOTIMPL ||
           code == JERR_NOT_COMPILED || code == JERR_NOTIMPL || code == JERR_CONVERSION_NOTIMPL;
}

// Everything that may longjmp happens in here; the caller cleans up.
static mcf_status read_jpeg(jpeg_reader *reader, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                            mcf_decoded *out, mcf_error *err)
{
    j_decompress_ptr decoder = &reader->decoder;
    if (setjmp(reader->errors.leave)) {
        if (reader->errors.no_memory)
            return mcf_fail(err, MCF_ERR_NOMEM, "JPEG decoder: %s", reader->errors.message);
        if (is_another_kind(reader->errors.base.msg_code)) {
            out->refusal = MCF_IMAGE_UNSUPPORTED;
            return mcf_fail(err, MCF_ERR_FORMAT, "a JPEG of a kind that is not read (%s); convert it",
                            reader->errors.message);
        }
        out->refusal = reader->errors.ran_out ? MCF_IMAGE_TRUNCATED : MCF_IMAGE_DAMAGED;
        if (reader->errors.ran_out)
            return mcf_fail(err, MCF_ERR_FORMAT, "truncated JPEG: it ends after %zu bytes, before its picture does",
                            size);
        return mcf_fail(err, MCF_ERR_FORMAT, "damaged JPEG: %s", reader->errors.message);
    }
    jpeg_read_header(decoder, TRUE);
    MCF_TRY(mcf_image_check_size(decoder->image_width, decoder->image_height, &out->refusal, err));

    bool cmyk = decoder->jpeg_color_space == JCS_CMYK || decoder->jpeg_color_space == JCS_YCCK;
    decoder->out_color_space = cmyk ? JCS_CMYK : options->channels == 4 ? JCS_EXT_RGBX : JCS_RGB;
    decoder->dct_method = JDCT_ISLOW;
    decoder->scale_num = 1;
    decoder->scale_denom = choose_divisor(decoder->image_width, decoder->image_height, options->min_side);
    jpeg_start_decompress(decoder);

    size_t stride = (size_t)decoder->output_width * (size_t)options->channels;
    MCF_TRY(mcf_bytes_resize(buffer, stride * decoder->output_height, err));
    if (cmyk)
        MCF_TRY(mcf_bytes_resize(&reader->row, (size_t)decoder->output_width * 4, err));
    while (decoder->output_scanline < decoder->output_height) {
        unsigned y = decoder->output_scanline;
        JSAMPROW rows[4];
        if (cmyk) {
            rows[0] = reader->row.data;
            jpeg_read_scanlines(decoder, rows, 1);
            convert_cmyk_row(reader->row.data, buffer->data + y * stride, (int)decoder->output_width,
                             options->channels);
            continue;
        }
        unsigned count = decoder->output_height - y < 4 ? decoder->output_height - y : 4;
        for (unsigned i = 0; i < count; i++)
            rows[i] = buffer->data + (y + i) * stride;
        jpeg_read_scanlines(decoder, rows, count);
    }
    // A later scan that never came raises no warning: it shows only as an early end.
    if (reader->errors.ran_out && jpeg_has_multiple_scans(decoder)) {
        out->refusal = MCF_IMAGE_TRUNCATED;
        return mcf_fail(err, MCF_ERR_FORMAT, "truncated JPEG: it ends after %zu bytes, before its last scan", size);
    }

    out->original_width = (int)decoder->image_width;
    out->original_height = (int)decoder->image_height;
    out->scaled_width = (double)decoder->image_width / decoder->scale_denom;
    out->scaled_height = (double)decoder->image_height / decoder->scale_denom;
    out->image = (mcf_image){.width = (int)decoder->output_width,
                             .height = (int)decoder->output_height,
                             .channels = options->channels,
                             .stride = stride,
                             .pixels = buffer->data};
    return MCF_OK;
}

mcf_status mcf_jpeg_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                           mcf_decoded *out, mcf_error *err)
{
    jpeg_reader reader = {.source = {.next_input_byte = bytes,
                                     .bytes_in_buffer = size,
                                     .init_source = do_nothing,
                                     .fill_input_buffer = feed_end,
                                     .skip_input_data = skip_bytes,
                                     .resync_to_restart = jpeg_resync_to_restart,
                                     .term_source = do_nothing},
                          .progress = {.progress_monitor = check_scans}};
    reader.decoder.err = jpeg_std_error(&reader.errors.base);
    reader.errors.base.error_exit = leave_with_message;
    reader.errors.base.emit_message = judge_warning;
    reader.errors.base.output_message = ignore_message;
    if (setjmp(reader.errors.leave)) {
        jpeg_destroy_decompress(&reader.decoder);
        return mcf_fail(err, MCF_ERR_NOMEM, "JPEG decoder: %s", reader.errors.message);
    }
    jpeg_create_decompress(&reader.decoder);
    reader.decoder.src = &reader.source;
    reader.decoder.progress = &reader.progress;
    mcf_status status = read_jpeg(&reader, size, options, buffer, out, err);
    jpeg_destroy_decompress(&reader.decoder);
    mcf_bytes_free(&reader.row);
    return status;
}

// The sink grows the caller's own buffer. libjpeg's jpeg_mem_dest says where its buffer is at the end only: after a
// failure nobody knows what is to be freed.
typedef struct {
    struct jpeg_compress_struct encoder;
    jpeg_errors errors;
    struct jpeg_destination_mgr sink;
    mcf_bytes *out;
} jpeg_writer;

static void grow(j_compress_ptr encoder, size_t used)
{
    jpeg_writer *writer = (jpeg_writer *)encoder;
    mcf_bytes *out = writer->out;
    const size_t capacity = used < 8192 ? 16384 : 2 * used;
    uint8_t *grown = realloc(out->data, capacity);
    if (!grown) {
        writer->errors.no_memory = true;
        ERREXIT1(encoder, JERR_OUT_OF_MEMORY, 0);
    }
    *out = (mcf_bytes){.data = grown, .size = used, .capacity = capacity};
    writer->sink.next_output_byte = grown + used;
    writer->sink.free_in_buffer = capacity - used;
}

static void begin_output(j_compress_ptr encoder)
{
    grow(encoder, 0);
}

static boolean grow_output(j_compress_ptr encoder)
{
    grow(encoder, ((jpeg_writer *)encoder)->out->capacity);
    return TRUE;
}

static void end_output(j_compress_ptr encoder)
{
    jpeg_writer *writer = (jpeg_writer *)encoder;
    writer->out->size = writer->out->capacity - writer->sink.free_in_buffer;
}

static mcf_status write_jpeg(jpeg_writer *writer, const mcf_image *image, int quality, mcf_error *err)
{
    j_compress_ptr encoder = &writer->encoder;
    if (setjmp(writer->errors.leave))
        return mcf_fail(err, writer->errors.no_memory ? MCF_ERR_NOMEM : MCF_ERR_FORMAT, "JPEG encoder: %s",
                        writer->errors.message);
    jpeg_create_compress(encoder);
    encoder->dest = &writer->sink;
    encoder->image_width = (JDIMENSION)image->width;
    encoder->image_height = (JDIMENSION)image->height;
    encoder->input_components = image->channels;
    encoder->in_color_space = image->channels == 4 ? JCS_EXT_RGBX : JCS_RGB;
    jpeg_set_defaults(encoder);
    jpeg_set_quality(encoder, quality, TRUE);
    if (quality >= 90)
        encoder->comp_info[0].h_samp_factor = encoder->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(encoder, TRUE);
    while (encoder->next_scanline < encoder->image_height) {
        JSAMPROW row = (JSAMPROW)(image->pixels + encoder->next_scanline * image->stride);
        jpeg_write_scanlines(encoder, &row, 1);
    }
    jpeg_finish_compress(encoder);
    return MCF_OK;
}

mcf_status mcf_image_encode_jpeg(const mcf_image *image, int quality, mcf_bytes *out, mcf_error *err)
{
    mcf_image_refusal refusal;
    MCF_TRY(mcf_image_check_size((uint64_t)image->width, (uint64_t)image->height, &refusal, err));
    jpeg_writer writer = {
        .out = out,
        .sink = {.init_destination = begin_output, .empty_output_buffer = grow_output, .term_destination = end_output}};
    writer.encoder.err = jpeg_std_error(&writer.errors.base);
    writer.errors.base.error_exit = leave_with_message;
    writer.errors.base.output_message = ignore_message;
    mcf_status status = write_jpeg(&writer, image, quality, err);
    jpeg_destroy_compress(&writer.encoder);
    return status;
}
