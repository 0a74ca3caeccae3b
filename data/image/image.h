// Pictures in memory: JPEG, PNG and, where libwebp is built in, WebP to 8-bit RGB; JPEG and PNG back. Bytes are foreign: every size is checked before
// memory is taken, and a picture that is damaged, truncated or too large is an error that says so.
//
// What the pixels are (as PIL's Image.open(...).convert("RGB") unless noted):
// - JPEG: grey is replicated; CMYK and YCCK are taken in Adobe's inverted convention, R = K - K (255 - C) /
//   255.
// - PNG: grey of 1, 2, 4 bits is scaled to 0..255; palettes are looked up; alpha and tRNS are dropped
//   or, with over_white, blended over white: floor(v a + 255 (1 - a) + 0.5); 16-bit channels keep their high byte (PIL does so for colour; it saturates 16-bit grey, we do
//   not); gamma and colour profiles are ignored.
// - WebP: as libwebp decodes it; of an animation the first frame on its canvas; alpha as in PNG.
// - EXIF orientation is ignored, as torchvision's folder loader does, unless `upright` asks for it.
#ifndef MCF_DATA_IMAGE_IMAGE_H
#define MCF_DATA_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    MCF_IMAGE_MAX_SIDE = 65500,       // libjpeg's own limit
    MCF_IMAGE_MAX_PIXELS = 100000000, // a larger picture is refused before memory is taken
    MCF_IMAGE_MAX_SCANS = 100         // of a progressive JPEG: bounds the time a small file can take
};

// A view of 8-bit pixels, row-major, top row first. channels: 3 (RGB) or 4 (RGB and a byte without meaning).
typedef struct {
    int width, height, channels;
    size_t stride; // bytes from a row to the next
    const uint8_t *pixels;
} mcf_image;

typedef enum { MCF_IMAGE_UNKNOWN = 0, MCF_IMAGE_JPEG, MCF_IMAGE_PNG, MCF_IMAGE_WEBP } mcf_image_format;

// What a picture, document or video is that is valid, as far as its first bytes tell, but not read here: "a GIF picture".
// NULL: nothing known.
const char *mcf_image_other(const uint8_t *bytes, size_t size);
// Told by the first bytes, never by the name.
mcf_image_format mcf_image_format_of(const uint8_t *bytes, size_t size);

typedef struct {
    int channels; // 3 or 4; 0 means 3. 4 is what mcf_resize reads fastest
    // fast decode: when > 0 a JPEG is decoded at the smallest DCT scale of 1/8, 1/4, 1/2, 1 whose
    // shorter side is still >= this; PNG ignores it.
    int min_side;
    bool upright;    // turned and mirrored as the EXIF orientation says
    bool over_white; // what is transparent shows white
} mcf_decode_options;

// Why a picture was not decoded; names for counting them are mcf_image_refusal_names.
typedef enum {
    MCF_IMAGE_ACCEPTED = 0,
    MCF_IMAGE_EMPTY,       // a file without bytes
    MCF_IMAGE_NO_IMAGE,    // not the first bytes of a picture
    MCF_IMAGE_TRUNCATED,   // ends before its picture does
    MCF_IMAGE_DAMAGED,     // a picture's first bytes, then nonsense
    MCF_IMAGE_TOO_LARGE,   // above the limits
    MCF_IMAGE_UNSUPPORTED, // a picture of a kind that is not read
    MCF_IMAGE_REFUSALS
} mcf_image_refusal;
extern const char *const mcf_image_refusal_names[MCF_IMAGE_REFUSALS];

typedef struct {
    mcf_image image;                     // view into the caller's buffer
    int original_width, original_height; // after turning
    // Size of the whole picture on the decoded grid, original * scale: not integral when the scale cuts a
    // pixel.
    double scaled_width, scaled_height;
    mcf_image_format format;
    int orientation;           // EXIF, 1..8; 1 where there is none or it makes no sense. Read only with `upright`
    mcf_image_refusal refusal; // set on failure, unless memory was missing
} mcf_decoded;

// Decodes bytes[0..size) into buffer (rows tightly packed) and describes it in *out. options may be NULL.
// Errors: MCF_ERR_FORMAT (not an image, damaged, truncated, too large; the message has no file name, callers
// add it), MCF_ERR_UNSUPPORTED (a whole picture of a kind that is not read), MCF_ERR_NOMEM. Thread-safe.
mcf_status mcf_image_decode(const uint8_t *bytes, size_t size, const mcf_decode_options *options, mcf_bytes *buffer,
                            mcf_decoded *out, mcf_error *err);

// A PNG as a label map: buffer holds one byte a pixel, row by row: the palette's index or the grey value as stored (of 1,
// 2, 4 or 8 bits; not scaled). Colours are taken where red, green and blue are equal, alpha is dropped. Errors as above.
mcf_status mcf_png_decode_indices(const uint8_t *bytes, size_t size, mcf_bytes *buffer, int *width, int *height,
                                  mcf_error *err);

// Encode RGB (or 4-channel, fourth byte ignored) to a whole file in memory; out->size is its length.
// quality 1..100, chroma subsampled 4:2:0 below 90, 4:4:4 from 90 up.
mcf_status mcf_image_encode_jpeg(const mcf_image *image, int quality, mcf_bytes *out, mcf_error *err);
mcf_status mcf_image_encode_png(const mcf_image *image, mcf_bytes *out, mcf_error *err);
// A mask [height,width] as grey PNG: value >= 0: one bit a pixel, white where pixels equal it; -1: the bytes themselves.
mcf_status mcf_image_encode_png_mask(const uint8_t *pixels, int width, int height, int value, mcf_bytes *out,
                                     mcf_error *err);

#endif
