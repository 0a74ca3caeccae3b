// PNG through libpng's classic interface.
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "data/image/codec.h"

typedef struct {
    png_structp png;
    png_infop info;
    png_bytep *rows;
    const uint8_t *bytes;
    size_t size, at;
    bool ran_out;
    mcf_bytes *out; // writing
    char message[128];
} png_state;

static void leave_with_message(png_structp png, png_const_charp message)
{
    png_state *state = png_get_error_ptr(png);
    strncpy(state->message, message, sizeof state->message - 1);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void read_bytes(png_structp png, png_bytep out, size_t count)
{
    png_state *state = png_get_io_ptr(png);
    if (count > state->size - state->at) {
        state->ran_out = true;
        png_error(png, "end of file");
    }
    memcpy(out, state->bytes + state->at, count);
    state->at += count;
}

// Everything that may longjmp happens in here; the caller cleans up.
static mcf_status read_png(png_state *state, const mcf_decode_options *options, mcf_bytes *buffer, mcf_decoded *out,
                           mcf_error *err)
{
    png_structp png = state->png;
    if (setjmp(png_jmpbuf(png))) {
        out->refusal = state->ran_out ? MCF_IMAGE_TRUNCATED : MCF_IMAGE_DAMAGED;
        if (state->ran_out)
            return mcf_fail(err, MCF_ERR_FORMAT, "truncated PNG: it ends after %zu bytes, before its picture does",
                            state->size);
        return mcf_fail(err, MCF_ERR_FORMAT, "damaged PNG: %s", state->message);
    }
    png_set_read_fn(png, state, read_bytes);
    png_set_user_limits(png, MCF_IMAGE_MAX_SIDE, MCF_IMAGE_MAX_SIDE);
    png_set_chunk_cache_max(png, 64);
    png_set_chunk_malloc_max(png, 8 << 20);
    // Text and profiles are never used: not even unpacked.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, state->info);
    uint32_t width = png_get_image_width(png, state->info), height = png_get_image_height(png, state->info);
    MCF_TRY(mcf_image_check_size(width, height, &out->refusal, err));

    int colour = png_get_color_type(png, state->info);
    png_set_strip_16(png);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(png);
    if (!(colour & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
    bool alpha = colour & PNG_COLOR_MASK_ALPHA || png_get_valid(png, state->info, PNG_INFO_tRNS);
    const bool blend = alpha && options->over_white;
    const int channels = blend ? 4 : options->channels;
    if (blend && !(colour & PNG_COLOR_MASK_ALPHA))
        png_set_tRNS_to_alpha(png);
    if (alpha && !blend)
        png_set_strip_alpha(png);
    if (channels == 4 && !blend)
        png_set_filler(png, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(png);
    png_read_update_info(png, state->info);

    size_t stride = (size_t)width * (size_t)channels;
    if (png_get_rowbytes(png, state->info) != stride)
        return mcf_fail(err, MCF_ERR_FORMAT, "damaged PNG: rows of %zu bytes where %zu were expected",
                        (size_t)png_get_rowbytes(png, state->info), stride);
    MCF_TRY(mcf_bytes_resize(buffer, stride * height, err));
    state->rows = malloc(height * sizeof *state->rows);
    if (!state->rows)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %u rows", height);
    for (uint32_t y = 0; y < height; y++)
        state->rows[y] = buffer->data + y * stride;
    png_read_image(png, state->rows);
    if (blend)
        mcf_image_over_white(buffer->data, (size_t)width * height, options->channels);
    out->image = (mcf_image){.width = (int)width,
                             .height = (int)height,
                             .channels = options->channels,
                             .stride = (size_t)width * (size_t)options->channels,
                             .pixels = buffer->data};
    out->original_width = (int)width;
    out->original_height = (int)height;
    out->scaled_width = width;
    out->scaled_height = height;
    return MCF_OK;
}

mcf_status mcf_png_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                          mcf_decoded *out, mcf_error *err)
{
    png_state state = {.bytes = bytes, .size = size};
    state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, leave_with_message, ignore_warning);
    state.info = state.png ? png_create_info_struct(state.png) : NULL;
    mcf_status status = state.info ? read_png(&state, options, buffer, out, err)
                                   : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the PNG decoder");
    png_destroy_read_struct(&state.png, &state.info, NULL);
    free(state.rows);
    return status;
}

// Index images: one byte a pixel, neither scaled nor looked up.
static mcf_status read_indices(png_state *state, mcf_bytes *buffer, int *width, int *height, mcf_error *err)
{
    png_structp png = state->png;
    mcf_image_refusal refusal;
    if (setjmp(png_jmpbuf(png)))
        return mcf_fail(err, MCF_ERR_FORMAT, state->ran_out ? "truncated PNG%s" : "damaged PNG: %s",
                        state->ran_out ? "" : state->message);
    png_set_read_fn(png, state, read_bytes);
    png_set_user_limits(png, MCF_IMAGE_MAX_SIDE, MCF_IMAGE_MAX_SIDE);
    png_set_chunk_cache_max(png, 64);
    png_set_chunk_malloc_max(png, 8 << 20);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, state->info);
    const size_t w = png_get_image_width(png, state->info), h = png_get_image_height(png, state->info);
    MCF_TRY(mcf_image_check_size(w, h, &refusal, err));
    if (png_get_bit_depth(png, state->info) == 16)
        return mcf_fail(err, MCF_ERR_FORMAT, "a label map has at most 8 bits a pixel, this PNG has 16");
    png_set_packing(png);
    if (png_get_color_type(png, state->info) & PNG_COLOR_MASK_ALPHA)
        png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, state->info);
    const size_t channels = png_get_channels(png, state->info), stride = w * channels;
    if (png_get_rowbytes(png, state->info) != stride)
        return mcf_fail(err, MCF_ERR_FORMAT, "damaged PNG: its rows have another length than their pixels");
    MCF_TRY(mcf_bytes_resize(buffer, stride * h, err));
    state->rows = malloc(h * sizeof *state->rows);
    if (!state->rows)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %zu rows", h);
    for (size_t y = 0; y < h; y++)
        state->rows[y] = buffer->data + y * stride;
    png_read_image(png, state->rows);
    for (size_t i = 0; channels == 3 && i < w * h; i++) {
        const uint8_t *p = buffer->data + 3 * i;
        if (p[0] != p[1] || p[0] != p[2])
            return mcf_fail(err, MCF_ERR_FORMAT, "a PNG of colours is no label map; save it with a palette or in grey");
        buffer->data[i] = p[0];
    }
    buffer->size = w * h;
    *width = (int)w;
    *height = (int)h;
    return MCF_OK;
}

mcf_status mcf_png_decode_indices(const uint8_t *bytes, size_t size, mcf_bytes *buffer, int *width, int *height,
                                  mcf_error *err)
{
    if (mcf_image_format_of(bytes, size) != MCF_IMAGE_PNG)
        return mcf_fail(err, MCF_ERR_FORMAT, "a label map is a PNG, this file is none");
    png_state state = {.bytes = bytes, .size = size};
    state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, leave_with_message, ignore_warning);
    state.info = state.png ? png_create_info_struct(state.png) : NULL;
    mcf_status status = state.info ? read_indices(&state, buffer, width, height, err)
                                   : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the PNG decoder");
    png_destroy_read_struct(&state.png, &state.info, NULL);
    free(state.rows);
    return status;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t count)
{
    png_state *state = png_get_io_ptr(png);
    mcf_bytes *out = state->out;
    if (count > out->capacity - out->size) {
        size_t capacity = out->capacity * 2 + count;
        uint8_t *grown = realloc(out->data, capacity);
        if (!grown)
            png_error(png, "out of memory");
        out->data = grown;
        out->capacity = capacity;
    }
    memcpy(out->data + out->size, bytes, count);
    out->size += count;
}

static void flush_nothing(png_structp png)
{
    (void)png;
}

static mcf_status write_rgb(png_state *state, const mcf_image *image, mcf_error *err)
{
    png_structp png = state->png;
    if (setjmp(png_jmpbuf(png)))
        return mcf_fail(err, MCF_ERR_NOMEM, "PNG encoder: %s", state->message);
    png_set_write_fn(png, state, write_bytes, flush_nothing);
    png_set_IHDR(png, state->info, (uint32_t)image->width, (uint32_t)image->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, state->info);
    if (image->channels == 4)
        png_set_filler(png, 0, PNG_FILLER_AFTER);
    for (int y = 0; y < image->height; y++)
        png_write_row(png, image->pixels + (size_t)y * image->stride);
    png_write_end(png, NULL);
    return MCF_OK;
}

// Rows of a mask: the bytes themselves, or a bit for each that equals `value`.
static void write_mask_rows(png_structp png, const uint8_t *pixels, int width, int height, int value)
{
    uint8_t row[MCF_IMAGE_MAX_SIDE / 8 + 1];
    for (int y = 0; y < height; y++) {
        const uint8_t *from = pixels + (size_t)y * (size_t)width;
        if (value < 0) {
            png_write_row(png, from);
            continue;
        }
        memset(row, 0, (size_t)(width + 7) / 8);
        for (int x = 0; x < width; x++)
            row[x / 8] |= (uint8_t)((from[x] == value) << (7 - x % 8));
        png_write_row(png, row);
    }
}

static mcf_status write_mask(png_state *state, const uint8_t *pixels, int width, int height, int value, mcf_error *err)
{
    png_structp png = state->png;
    if (setjmp(png_jmpbuf(png)))
        return mcf_fail(err, MCF_ERR_NOMEM, "PNG encoder: %s", state->message);
    png_set_write_fn(png, state, write_bytes, flush_nothing);
    png_set_IHDR(png, state->info, (uint32_t)width, (uint32_t)height, value < 0 ? 8 : 1, PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 1);
    png_set_filter(png, 0, PNG_FILTER_NONE);
    png_write_info(png, state->info);
    write_mask_rows(png, pixels, width, height, value);
    png_write_end(png, NULL);
    return MCF_OK;
}

static mcf_status begin_writing(png_state *state, int width, int height, mcf_bytes *out, mcf_error *err)
{
    mcf_image_refusal refusal;
    *state = (png_state){.out = out};
    MCF_TRY(mcf_image_check_size((uint64_t)width, (uint64_t)height, &refusal, err));
    MCF_TRY(mcf_bytes_resize(out, 0, err));
    state->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, state, leave_with_message, ignore_warning);
    state->info = state->png ? png_create_info_struct(state->png) : NULL;
    return state->info ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the PNG encoder");
}

mcf_status mcf_image_encode_png(const mcf_image *image, mcf_bytes *out, mcf_error *err)
{
    png_state state;
    mcf_status status = begin_writing(&state, image->width, image->height, out, err);
    if (status == MCF_OK)
        status = write_rgb(&state, image, err);
    png_destroy_write_struct(&state.png, &state.info);
    return status;
}

mcf_status mcf_image_encode_png_mask(const uint8_t *pixels, int width, int height, int value, mcf_bytes *out,
                                     mcf_error *err)
{
    png_state state;
    mcf_status status = begin_writing(&state, width, height, out, err);
    if (status == MCF_OK)
        status = write_mask(&state, pixels, width, height, value, err);
    png_destroy_write_struct(&state.png, &state.info);
    return status;
}
