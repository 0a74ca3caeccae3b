// The head as a surface over the rest plane. A point of the front is named by its rest coordinates (x, y), cm
// in the plane of the eyes, before features and expression are raised out of it: colours, openings, labels
// and landmarks are all functions of these coordinates, so they cannot come apart.
#ifndef MCF_DATA_SYNTH_FACE_H
#define MCF_DATA_SYNTH_FACE_H

#include "data/synth/scene.h"

enum { FACE_RINGS = 20 };

// A horizontal section of the skull: superellipse of exponent p about (0, y, z), W wide to each side,
// reaching front and back.
typedef struct {
    float y, width, front, back, z, p;
} ring;

typedef struct {
    const person *who;
    const picture *how;
    ring rings[FACE_RINGS];
    // derived places, cm
    float bottom, top;                               // of the head
    float eye_y, eye_x, eye_half, eye_z, eye_radius; // of the balls' centres
    float nose_root, nose_tip, nose_under;           // y
    float mouth_y, mouth_half, gap;                  // gap: half the opening of the rest plane at its middle
    float brow_y;
} face;

void mcf_face_make(face *f, const person *p, const picture *v);

// Section at place u in [0, FACE_RINGS - 1].
ring mcf_face_ring(const face *f, float u);
// The place of a height, and the section there.
float mcf_face_place(const face *f, float y);
ring mcf_face_ring_at(const face *f, float y);
// Its z alone, roughly.
float mcf_face_axis(const face *f, float y);
// Skull at polar angle a (0: front, positive to +x).
v3 mcf_face_skull(const ring *r, float angle);
// z of the skull's front over (x, y)
float mcf_face_skull_front(const ring *r, float x);

// Rest position (a point of the skull) to the person's head at rest, and that to the picture's expression.
v3 mcf_face_shape(const face *f, v3 rest);
v3 mcf_face_express(const face *f, v3 rest, v3 shaped);
// Both, for the front over (x, y).
v3 mcf_face_point(const face *f, float x, float y);

// Edges of the opening between the lids at x (side 0: x < 0), and whether x is between the corners.
typedef struct {
    float low, high, along; // along: 0 inner corner .. 1 outer
    bool inside;
} lids;
lids mcf_face_lids(const face *f, int side, float x);
// The same with lids wide open: for creases and shadows.
lids mcf_face_lids_open(const face *f, int side, float x);

typedef struct {
    float upper_top, upper_low, lower_top, lower_low; // y of the four edges of the lips
    float across;                                     // x / half width
    bool inside;                                      // between the corners
} lips;
lips mcf_face_lips(const face *f, float x);

// Brow at x: middle and half height; inside between its ends.
typedef struct {
    float y, half, along; // along: 0 inner .. 1 outer end
    bool inside;
} brow;
brow mcf_face_brow(const face *f, int side, float x);

// Half width of the nose's region at a height; 0 above and below.
float mcf_face_nose_half(const face *f, float y);

#endif
