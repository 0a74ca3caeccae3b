#include "data/synth/mask_png.h"

#include <setjmp.h>
#include <string.h>

#include <png.h>

typedef struct {
    mcf_bytes *out;
    char message[96];
} sink;

static void leave(png_structp png, png_const_charp message)
{
    sink *s = png_get_error_ptr(png);
    strncpy(s->message, message, sizeof s->message - 1);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void append(png_structp png, png_bytep bytes, size_t size)
{
    sink *s = png_get_io_ptr(png);
    // mask and headers are far smaller than what is set aside
    if (size > s->out->capacity - s->out->size)
        png_error(png, "larger than expected");
    memcpy(s->out->data + s->out->size, bytes, size);
    s->out->size += size;
}

static void flush(png_structp png)
{
    (void)png;
}

static void put_rows(png_structp png, const uint8_t *pixels, int size, int value)
{
    uint8_t row[MCF_IMAGE_MAX_SIDE / 8 + 1];
    for (int y = 0; y < size; y++) {
        const uint8_t *from = pixels + (size_t)y * (size_t)size;
        if (value < 0) {
            png_write_row(png, from);
            continue;
        }
        memset(row, 0, (size_t)(size + 7) / 8);
        for (int x = 0; x < size; x++)
            row[x / 8] |= (uint8_t)((from[x] == value) << (7 - x % 8));
        png_write_row(png, row);
    }
}

mcf_status mcf_synth_png(const uint8_t *pixels, int size, int value, mcf_bytes *out, mcf_error *err)
{
    sink s = {.out = out};
    MCF_TRY(mcf_bytes_resize(out, (size_t)size * (size_t)size + (size_t)size * 16 + 4096, err));
    out->size = 0;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, leave, ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory to write a PNG");
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return mcf_fail(err, MCF_ERR_INTERNAL, "PNG of a mask: %s", s.message);
    }
    png_set_write_fn(png, &s, append, flush);
    png_set_IHDR(png, info, (png_uint_32)size, (png_uint_32)size, value < 0 ? 8 : 1, PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 1);
    png_set_filter(png, 0, PNG_FILTER_NONE);
    png_write_info(png, info);
    put_rows(png, pixels, size, value);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return MCF_OK;
}
