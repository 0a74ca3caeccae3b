// Triangles in front of the camera: what all parts of a picture are made of.
#ifndef MCF_DATA_SYNTH_MESH_H
#define MCF_DATA_SYNTH_MESH_H

#include <stddef.h>

#include "data/synth/face.h"

typedef enum {
    PART_HEAD,  // at: rest position
    PART_EYE,   // at: direction from the ball's centre, of length 1
    PART_MOUTH, // the dark inside; at.z: depth
    PART_TEETH, // at: x, y from the edge of the gums, 0 upper or 1 lower
    PART_TONGUE,
    PART_EAR,  // at: place in the ear, radius 1; z: height
    PART_BODY, // neck, shoulders and what they wear; at: rest position
    PART_HAIR, // at: angle, y, strand coordinate; side: layer
    PART_HAT,  // at: angle, y, distance from the edge
    PART_VISOR,
    PART_FRAME, // of glasses
    PART_LENS,  // drawn over the rest; at: place in the lens, -1..1
    PART_EARRING,
    PART_NECKLACE,
    PART_HAND,  // a hand before the face; at: along, across
    PART_OBJECT // what else is in the way; side: which
} part_kind;

typedef struct {
    v3 p;        // camera space, cm; the camera looks along -z
    v3 n;        // unit
    v3 at;       // the part's own coordinates
    v3 along;    // direction of hair; zero elsewhere
    float light; // share of the surroundings' light that gets here, 0..1
} vertex;

typedef struct {
    uint32_t v[3];
    uint8_t part; // index of mesh.parts
    bool holes;   // some of it may be cut out: ask for every sample
    bool shadow;  // goes into the shadow map
} triangle;

typedef struct {
    part_kind kind;
    int side; // 0 left, 1 right where there are two; or a layer
    bool two_sided;
} part;

enum { MESH_MAX_PARTS = 48 };

typedef struct {
    vertex *vertices;
    triangle *triangles;
    v3 *screen; // of every vertex: x, y in the sample grid, z: nearness, > 0 where it can be drawn
    size_t vertex_count, vertex_capacity, triangle_count, triangle_capacity, screen_capacity;
    part parts[MESH_MAX_PARTS];
    int part_count;
    bool failed; // out of memory: everything after it does nothing
} mesh;

// Where head and shoulders stand before the camera.
typedef struct {
    m3 head, body;
    v3 pivot, move;      // p -> R (p - pivot) + move
    float focal, cx, cy; // in samples
} stand;

static inline v3 stand_head(const stand *s, v3 p)
{
    return add3(rotate(&s->head, sub3(p, s->pivot)), s->move);
}

// weight 1: with the head, 0: with the shoulders
static inline v3 stand_blend(const stand *s, v3 p, float weight)
{
    v3 q = sub3(p, s->pivot);
    return add3(mix3(rotate(&s->body, q), rotate(&s->head, q), weight), s->move);
}

void mcf_mesh_clear(mesh *m);
void mcf_mesh_free(mesh *m);
// -1 when there is no more room: adding triangles to that part does nothing.
int mcf_mesh_part(mesh *m, part_kind kind, int side, bool two_sided);
// Index of the first of `count` new zeroed vertices; they are valid until the next call.
size_t mcf_mesh_vertices(mesh *m, size_t count);
// Two triangles for every cell of a grid of rows x columns vertices, rows downwards and columns to the right
// as seen from outside. casts: whether it throws shadow.
void mcf_mesh_grid(mesh *m, int part, size_t first, int rows, int columns, bool casts);
// Normals of such a grid by differences; wrap: the last column is the first again.
void mcf_mesh_grid_normals(mesh *m, size_t first, int rows, int columns, bool wrap);
// How open the surface is to its surroundings, from the heights of grid neighbours `reach` cells away; only
// where it faces the camera.
void mcf_mesh_grid_light(mesh *m, size_t first, int rows, int columns, int reach, float strength);

// A tube of `sides` round a line of points in camera space; radius may vary (radii NULL: radius everywhere).
void mcf_mesh_tube(mesh *m, int part, const v3 *points, int count, float radius, const float *radii, int sides,
                   bool closed);
// axes: three half axes in camera space.
void mcf_mesh_ellipsoid(mesh *m, int part, v3 centre, const v3 axes[3], int rows, int columns);

// Fills m->screen as the camera sees it (nearness: 1 / distance), or a lamp at infinity in direction z, with
// x to the right and y up round `centre`, `scale` samples a cm on a grid of `side` (nearness: 1000 + cm
// towards the lamp).
void mcf_mesh_project(mesh *m, const stand *s);
void mcf_mesh_project_light(mesh *m, v3 x, v3 y, v3 z, v3 centre, float scale, float side);

#endif
