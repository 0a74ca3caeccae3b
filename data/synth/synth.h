// Synthetic faces with exact labels: a small 3-D head, drawn with a z-buffer. Colours and labels are
// functions of the same surface coordinates, so points and masks follow the picture exactly.
//
// A picture is named by (seed, identity, number) and by nothing else: the same bytes whatever is drawn before
// it, by how many threads. An identity fixes shape, skin, hair, eyes, what is usually worn; a number pose,
// expression, light, background, camera. Random numbers: Philox streams MCF_RNG_SYNTH (epoch 0: the identity;
// 1 + number: the picture).
//
// Coordinates are pixels from the outer corner of the top left pixel (its centre is at 0.5, 0.5). Points are
// in the published orders; "left" is the left of the picture when the face looks into the camera, as LaPa's
// and CelebAMask-HQ's own l_ parts are taken (the subject's right). Outline points follow the visible edge of
// the face when it turns away, as annotators do.
#ifndef MCF_DATA_SYNTH_SYNTH_H
#define MCF_DATA_SYNTH_SYNTH_H

#include "data/image/image.h"

enum {
    MCF_SYNTH_MAX_POINTS = 106,
    MCF_SYNTH_MIN_SIZE = 32,
    MCF_SYNTH_MAX_SIZE = 1024,
    MCF_SYNTH_MAX_NUMBER = 1 << 24 // pictures of an identity
};

// The five sets of points, in the order of the published data sets.
typedef enum {
    MCF_POINTS_5 = 0, // eye centres, tip of the nose, corners of the mouth
    MCF_POINTS_19,    // AFLW-19
    MCF_POINTS_68,    // 300W (iBUG)
    MCF_POINTS_98,    // WFLW
    MCF_POINTS_106,   // LaPa
    MCF_POINT_SETS
} mcf_point_set;

extern const int mcf_point_counts[MCF_POINT_SETS];

// CelebAMask-HQ's classes in its order of painting; 0 is background.
enum {
    MCF_SYNTH_BACKGROUND = 0,
    MCF_SYNTH_NECK,
    MCF_SYNTH_SKIN,
    MCF_SYNTH_CLOTH,
    MCF_SYNTH_L_EAR,
    MCF_SYNTH_R_EAR,
    MCF_SYNTH_L_BROW,
    MCF_SYNTH_R_BROW,
    MCF_SYNTH_L_EYE,
    MCF_SYNTH_R_EYE,
    MCF_SYNTH_NOSE,
    MCF_SYNTH_MOUTH,
    MCF_SYNTH_L_LIP,
    MCF_SYNTH_U_LIP,
    MCF_SYNTH_HAIR,
    MCF_SYNTH_EYE_G,
    MCF_SYNTH_HAT,
    MCF_SYNTH_EAR_R,
    MCF_SYNTH_NECK_L,
    MCF_SYNTH_CLASSES
};
enum { MCF_SYNTH_LAPA_CLASSES = 11 };

// CelebAMask-HQ's names of the parts ("neck" ...); NULL for 0. LaPa's names in its order, "background" first.
extern const char *const mcf_synth_part_names[MCF_SYNTH_CLASSES];
extern const char *const mcf_synth_lapa_names[MCF_SYNTH_LAPA_CLASSES];

typedef struct {
    float x, y;
    uint8_t visible; // 0: outside the picture, or hidden by the head itself or something before it
} mcf_synth_point;

// WFLW's six attributes.
typedef struct {
    uint8_t pose, expression, illumination, makeup, occlusion, blur;
} mcf_synth_attributes;

typedef struct {
    int size;
    const uint8_t *pixels; // RGB [size, size, 3]
    const uint8_t *celeba; // [size, size], classes 0..18
    const uint8_t *lapa;   // [size, size], classes 0..10
    mcf_synth_point points[MCF_POINT_SETS][MCF_SYNTH_MAX_POINTS];
    float box[4]; // left, top, right, bottom of all points; may leave the picture
    float yaw, pitch,
        roll; // degrees; yaw > 0: towards the right of the picture, pitch > 0: up, roll > 0: clockwise
    mcf_synth_attributes attributes;
    int quality; // JPEG quality the picture was drawn for
} mcf_synth_face;

// How much of the picture the face takes, chin to crown: some 56 % as in a portrait, or 85 % as detectors' crops have it
// (the faces that face encoders are trained on). Everything else of a picture is the same.
typedef enum { MCF_SYNTH_PORTRAIT = 0, MCF_SYNTH_CLOSE } mcf_synth_framing;

// A renderer with its own memory (some 12 MiB at 256); one a thread.
typedef struct mcf_synth mcf_synth;

// size: of the square picture, MCF_SYNTH_MIN_SIZE..MAX. Errors: MCF_ERR_USAGE, MCF_ERR_NOMEM.
mcf_status mcf_synth_create(mcf_synth **synth, int size, mcf_error *err);
void mcf_synth_free(mcf_synth *synth);
// From the next picture on; a new renderer draws portraits.
void mcf_synth_set_framing(mcf_synth *synth, mcf_synth_framing framing);

// Draws one face; out's pointers belong to the renderer and hold until its next call.
// number < MCF_SYNTH_MAX_NUMBER. Errors: MCF_ERR_USAGE, MCF_ERR_NOMEM.
mcf_status mcf_synth_render(mcf_synth *synth, uint64_t seed, uint64_t identity, uint32_t number, mcf_synth_face *out,
                            mcf_error *err);

#endif
