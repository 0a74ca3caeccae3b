// Features of the faces in photographs.
#ifndef MCF_INFER_EMBED_DETECT_H
#define MCF_INFER_EMBED_DETECT_H

#include "infer/embed.h"

// Every face that options->detector finds in the images is aligned to `lapa` at 256 x 256 with black
// beyond the picture, as `mcf crop` writes it, and embedded as such a crop would be. `out` receives cls [N,D], mean [N,D],
// box [N,4], points [N,5,2] and score [N] in pixels of the upright image, and the names "IMAGE#FACE". Errors as of
// mcf_embed and mcf_detector_open; MCF_ERR_USAGE for retrieval or no `out`.
mcf_status mcf_embed_detected(const mcf_embed_options *options, mcf_embed_result *result, mcf_error *err);

#endif
