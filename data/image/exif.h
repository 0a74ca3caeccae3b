// The EXIF orientation of a picture file, and turning pixels by it.
#ifndef MCF_DATA_IMAGE_EXIF_H
#define MCF_DATA_IMAGE_EXIF_H

#include "data/image/image.h"

// Orientation (tag 0x0112 of the first directory) of a TIFF structure as EXIF stores it, with or without "Exif\0\0"
// in front: 1..8; 1 for anything damaged, absent or out of that range.
int mcf_exif_orientation(const uint8_t *bytes, size_t size);
// The same of a whole file: JPEG's first APP1 that holds EXIF, PNG's eXIf, WebP's EXIF chunk.
int mcf_exif_orientation_of(const uint8_t *bytes, size_t size);

// Turns and mirrors decoded->image, whose rows are tightly packed in `buffer`, as decoded->orientation says, and the
// sizes with it. Needs a second picture's memory while it runs. Errors: MCF_ERR_NOMEM.
mcf_status mcf_image_turn(mcf_decoded *decoded, mcf_bytes *buffer, mcf_error *err);

#endif
