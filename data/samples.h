// A few pictures of a source, spread evenly over it, as the network sees them.
#ifndef MCF_DATA_SAMPLES_H
#define MCF_DATA_SAMPLES_H

#include "data/source.h"
#include "data/transform.h"

// Fills images [*got,side,side,3] (resized and cropped as `crop` says, not flipped) and samples [*got], their places in the
// source. *got is at most `wanted` and at most the source's count; a picture that cannot be read is left out for one
// near it, or for good.
mcf_status mcf_samples_read(const mcf_source *source, int wanted, const mcf_center_crop_options *crop, uint8_t *images,
                            int64_t *samples, int *got, mcf_error *err);

// images [count,side,side,3] resized to [count,to,to,3].
mcf_status mcf_samples_resize(const uint8_t *images, int count, int side, uint8_t *out, int to, mcf_error *err);

#endif
