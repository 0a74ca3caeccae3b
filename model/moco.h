// MoCo-v3 (Chen, Xie, He 2021), which makes M_1.
#ifndef MCF_MODEL_MOCO_H
#define MCF_MODEL_MOCO_H

#include "model/pretrain_model.h"

// The graph's inputs: image1, image2 (and flip1, flip2), labels i64 [B] (own class: the image's place in the job), with
// `average` momentum f32 [1]. Outputs where asked for: out.q1, out.q2, out.k1, out.k2 [B,out] (normalised).
extern const mcf_pretrain_method mcf_method_moco;

#endif
