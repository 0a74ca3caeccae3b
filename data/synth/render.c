#include "data/synth/render.h"

#include <stdlib.h>

const char *const mcf_synth_part_names[MCF_SYNTH_CLASSES] = {
    NULL,   "neck",  "skin",  "cloth", "l_ear", "r_ear", "l_brow", "r_brow", "l_eye",  "r_eye",
    "nose", "mouth", "l_lip", "u_lip", "hair",  "eye_g", "hat",    "ear_r",  "neck_l",
};
const char *const mcf_synth_lapa_names[MCF_SYNTH_LAPA_CLASSES] = {
    "background", "face",      "left brow",   "right brow", "left eye", "right eye",
    "nose",       "upper lip", "inner mouth", "lower lip",  "hair",
};
// LaPa has no class for ears, neck and what is worn; glasses count as the face they stand on.
static const uint8_t to_lapa[MCF_SYNTH_CLASSES] = {
    [MCF_SYNTH_SKIN] = 1,  [MCF_SYNTH_L_BROW] = 2, [MCF_SYNTH_R_BROW] = 3, [MCF_SYNTH_L_EYE] = 4,
    [MCF_SYNTH_R_EYE] = 5, [MCF_SYNTH_NOSE] = 6,   [MCF_SYNTH_U_LIP] = 7,  [MCF_SYNTH_MOUTH] = 8,
    [MCF_SYNTH_L_LIP] = 9, [MCF_SYNTH_HAIR] = 10,  [MCF_SYNTH_EYE_G] = 1,
};

void mcf_synth_free(mcf_synth *r)
{
    if (!r)
        return;
    mcf_mesh_free(&r->m);
    free(r->front.iz);
    free(r->front.id);
    free(r->glass.iz);
    free(r->glass.id);
    free(r->shadow.map.iz);
    free(r->shadow.map.id);
    free(r->grain);
    free(r->head);
    free(r->linear);
    free(r->ground_known);
    free(r->spare);
    free(r->pixels);
    free(r->celeba);
    free(r->lapa);
    free(r);
}

mcf_status mcf_synth_create(mcf_synth **synth, int size, mcf_error *err)
{
    *synth = NULL;
    if (size < MCF_SYNTH_MIN_SIZE || size > MCF_SYNTH_MAX_SIZE)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "synthetic faces: a picture of %d pixels a side cannot be drawn, %d to %d can", size,
                        MCF_SYNTH_MIN_SIZE, MCF_SYNTH_MAX_SIZE);
    mcf_synth *r = calloc(1, sizeof *r);
    size_t count = (size_t)size * (size_t)size;
    int side = size * SAMPLES, stride = side + 4;
    size_t all = (size_t)side * (size_t)stride;
    if (!r)
        return mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory for a renderer");
    r->size = size;
    r->front = (samples){side, stride, malloc(all * sizeof(float)), malloc(all * sizeof(uint32_t))};
    r->glass = (samples){side, stride, malloc(all * sizeof(float)), malloc(all * sizeof(uint32_t))};
    size_t map = SHADOW_SIDE * (SHADOW_SIDE + 4);
    r->shadow.map =
        (samples){SHADOW_SIDE, SHADOW_SIDE + 4, malloc(map * sizeof(float)), malloc(map * sizeof(uint32_t))};
    r->grain = malloc(sizeof *r->grain);
    r->head = calloc(1, sizeof *r->head);
    // the background's half size grid has a margin
    r->linear = malloc((count + 1024) * sizeof *r->linear);
    r->spare = malloc((count + 1024) * sizeof *r->spare);
    r->ground_known = malloc(count + 1024);
    r->pixels = malloc(3 * count);
    r->celeba = malloc(count);
    r->lapa = malloc(count);
    if (!r->front.iz || !r->front.id || !r->glass.iz || !r->glass.id || !r->shadow.map.iz || !r->shadow.map.id ||
        !r->grain || !r->head || !r->linear || !r->spare || !r->ground_known || !r->pixels || !r->celeba || !r->lapa) {
        mcf_synth_free(r);
        return mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory for a renderer of %d pixels a side", size);
    }
    mcf_noise_make(r->grain);
    // cells of two to three pixels
    float fine = size > 320 ? 1 : size > 128 ? 0.78f : 0.52f;
    r->head->rows = 1 + (int)(fine * (HEAD_ROWS - 1));
    r->head->columns = 1 + 2 * (int)(fine * (HEAD_COLUMNS / 2));
    *synth = r;
    return MCF_OK;
}

static bool keep(const void *context, const part *p, v3 at)
{
    const builder *b = context;
    if (p->kind == PART_HAIR)
        return mcf_hair_keep(b, p, at);
    if (p->kind == PART_HAT)
        return mcf_hat_keep(b, at);
    if (at.z < 1)
        return true;
    if (at.y > b->f->mouth_y + 2) {
        lids l = mcf_face_lids(b->f, at.x > 0, at.x);
        return !(l.inside && at.y > l.low && at.y < l.high);
    }
    lips l = mcf_face_lips(b->f, at.x);
    return !(l.inside && at.y > l.lower_top && at.y < l.upper_low);
}

static bool casts(const void *context, const part *p, v3 at)
{
    return p->kind == PART_HAIR ? mcf_hair_casts(context, p, at) : keep(context, p, at);
}

// Camera: the middle of the face goes near the middle of the picture, its height to the share asked for.
static void set_stand(mcf_synth *r)
{
    const picture *v = &r->how;
    stand *s = &r->s;
    s->head = rotation(v->yaw, v->pitch, v->roll);
    s->body = rotation(v->body_yaw, 0, v->body_roll);
    s->pivot = v3_of(0, -8.5f, -2.2f);
    v3 middle = sub3(v3_of(0, -2.6f, 4), s->pivot);
    s->move = sub3(v3_of(v->shift_x, v->shift_y, -v->distance), rotate(&s->head, middle));
    float grid = (float)(r->size * SAMPLES);
    s->focal = v->face_share * grid * v->distance / (18.6f + 1.0f * (r->who.child > 0 ? -1 : 0));
    s->cx = s->cy = 0.5f * grid;
}

static void build(mcf_synth *r, const builder *b)
{
    mcf_mesh_clear(&r->m);
    mcf_head_add(b, r->head);
    mcf_eyes_add(b);
    mcf_mouth_add(b);
    mcf_ears_add(b);
    mcf_body_add(b);
    mcf_hair_add(b);
    mcf_hat_add(b);
    mcf_glasses_add(b);
    mcf_jewellery_add(b);
    mcf_occluder_add(b);
}

static void look(const mcf_synth *r, uint32_t id, float x, float y, surface *s)
{
    const triangle *t = &r->m.triangles[id - 1];
    const vertex *a = &r->m.vertices[t->v[0]], *b = &r->m.vertices[t->v[1]], *c = &r->m.vertices[t->v[2]];
    v3 w = raster_weights(&r->m, t, x, y);
    // the middle of a pixel's samples may lie beside the triangle of the first
    w = v3_of(maxf(w.x, 0), maxf(w.y, 0), maxf(w.z, 0));
    w = scale3(w, 1 / maxf(w.x + w.y + w.z, 1e-6f));
    s->part = &r->m.parts[t->part];
    s->at = raster_mix(w, a->at, b->at, c->at);
    s->p = raster_mix(w, a->p, b->p, c->p);
    s->n = normal3(raster_mix(w, a->n, b->n, c->n));
    s->along = raster_mix(w, a->along, b->along, c->along);
    s->light = w.x * a->light + w.y * b->light + w.z * c->light;
    s->pixel = -s->p.z * SAMPLES / r->s.focal;
}

static v3 through_glass(mcf_synth *r, const builder *b, int x, int y, v3 behind, uint8_t *label)
{
    int side = r->front.stride, hits = 0;
    uint32_t id = 0;
    for (int k = 0; k < SAMPLES * SAMPLES; k++) {
        uint32_t i = r->glass.id[(SAMPLES * y + k / SAMPLES) * side + SAMPLES * x + k % SAMPLES];
        if (i) {
            id = i;
            hits++;
        }
    }
    if (!hits)
        return behind;
    surface s;
    look(r, id, SAMPLES * (float)x + 1, SAMPLES * (float)y + 1, &s);
    if (r->how.tint > 0.6f && hits >= SAMPLES * SAMPLES / 2)
        *label = MCF_SYNTH_EYE_G;
    return mix3(behind, mcf_shade_lens(b, &s, behind), (float)hits / (SAMPLES * SAMPLES));
}

static shaded shade_sample(const mcf_synth *r, const builder *b, uint32_t id, float x, float y)
{
    surface s;
    look(r, id, x, y, &s);
    return mcf_shade(b, &r->shadow, &s);
}

// A pixel whose samples show several parts, or none: each part is shaded at the middle of its samples.
static shaded paint_edge(mcf_synth *r, const builder *b, const uint32_t *id, int *kind, int x, int y)
{
    enum { ALL = SAMPLES * SAMPLES };
    shaded sum = {{0, 0, 0}, MCF_SYNTH_BACKGROUND};
    int most = 0;
    for (int k = 0; k < ALL; k++) {
        int count = 1;
        float px = (float)(k % SAMPLES), py = (float)(k / SAMPLES);
        if (kind[k] == -2)
            continue;
        for (int j = k + 1; j < ALL; j++)
            if (kind[j] == kind[k]) {
                count++;
                px += (float)(j % SAMPLES), py += (float)(j / SAMPLES);
                kind[j] = -2;
            }
        shaded c = {{0, 0, 0}, MCF_SYNTH_BACKGROUND};
        if (!id[k])
            c.colour = mcf_ground_at(r, x, y);
        else
            c = shade_sample(r, b, id[k], SAMPLES * (float)x + px / (float)count + 0.5f,
                             SAMPLES * (float)y + py / (float)count + 0.5f);
        sum.colour = mad3(sum.colour, c.colour, (float)count / ALL);
        if (count > most || (count == most && sum.label == MCF_SYNTH_BACKGROUND)) {
            most = count;
            sum.label = c.label;
        }
    }
    return sum;
}

static void paint(mcf_synth *r, const builder *b)
{
    enum { ALL = SAMPLES * SAMPLES };
    int side = r->front.stride;
    bool glass = r->how.glasses != GLASSES_NONE;
    for (int y = 0; y < r->size; y++)
        for (int x = 0; x < r->size; x++) {
            const uint32_t *row = r->front.id + (size_t)(SAMPLES * y) * (size_t)side + SAMPLES * x, *next = row + side;
            const uint32_t id[ALL] = {row[0], row[1], next[0], next[1]};
            int kind[ALL], at = y * r->size + x;
            bool same = !(id[0] | id[1] | id[2] | id[3]);
            if (!same) {
                for (int k = 0; k < ALL; k++)
                    kind[k] = id[k] ? r->m.triangles[id[k] - 1].part : -1;
                same = kind[0] == kind[1] && kind[0] == kind[2] && kind[0] == kind[3];
            }
            shaded c = {{0, 0, 0}, MCF_SYNTH_BACKGROUND};
            if (!same)
                c = paint_edge(r, b, id, kind, x, y);
            else if (id[0])
                c = shade_sample(r, b, id[0], SAMPLES * (float)x + 0.5f * SAMPLES, SAMPLES * (float)y + 0.5f * SAMPLES);
            else
                c.colour = mcf_ground_at(r, x, y);
            if (glass)
                c.colour = through_glass(r, b, x, y, c.colour, &c.label);
            r->linear[at] = c.colour;
            r->celeba[at] = c.label;
            r->lapa[at] = to_lapa[c.label];
        }
}

static void describe(const mcf_synth *r, mcf_synth_face *out)
{
    const picture *v = &r->how;
    const float degree = 180 / SYNTH_PI;
    *out = (mcf_synth_face){.size = r->size, .pixels = r->pixels, .celeba = r->celeba, .lapa = r->lapa};
    out->yaw = v->yaw * degree;
    out->pitch = v->pitch * degree;
    out->roll = v->roll * degree;
    out->quality = v->quality;
    float turn = absf(out->yaw), key = v->key.y, around = v->sky.y;
    out->attributes = (mcf_synth_attributes){
        .pose = turn > 40 || absf(out->pitch) > 20 || absf(out->roll) > 25,
        .expression = v->smile > 0.75f || v->open > 1 || v->brow_raise > 0.6f || v->frown > 0.6f || v->pucker > 0.5f,
        .illumination = key > 2.6f * around || key + around < 0.75f || v->exposure > 1.35f,
        .makeup = r->who.makeup > 0.5f,
        .occlusion = v->occluder != OCCLUDER_NONE || v->glasses == GLASSES_SUN || r->who.fringe,
        .blur = v->blur > 0.9f || v->motion > 0 || v->low_resolution > 1.8f,
    };
}

void mcf_synth_set_framing(mcf_synth *r, mcf_synth_framing framing)
{
    r->framing = framing;
}

// A portrait's camera, nearer. The shifts shrink in step, so that a face is cut off no more often.
static void come_closer(picture *v)
{
    v->face_share = 0.85f + 0.67f * (v->face_share - 0.56f);
    v->shift_x *= 0.6f;
    v->shift_y *= 0.6f;
}

mcf_status mcf_synth_render(mcf_synth *r, uint64_t seed, uint64_t identity, uint32_t number, mcf_synth_face *out,
                            mcf_error *err)
{
    if (number >= MCF_SYNTH_MAX_NUMBER || identity >> 56)
        return mcf_fail(err, MCF_ERR_USAGE, "synthetic faces: picture %u of identity %llu is beyond what can be named",
                        number, (unsigned long long)identity);
    if (!r->head->valid || r->seed != seed || r->who.number != identity) {
        r->head->valid = false;
        r->seed = seed;
        mcf_synth_person(&r->who, seed, identity);
    }
    mcf_synth_picture(&r->how, &r->who, seed, number);
    if (r->framing == MCF_SYNTH_CLOSE)
        come_closer(&r->how);
    mcf_face_make(&r->f, &r->who, &r->how);
    set_stand(r);
    builder b = synth_builder(r);
    build(r, &b);
    v3 middle = stand_head(&r->s, v3_of(0, -1, 0));
    mcf_shadow_draw(&r->shadow, &r->m, r->how.key_direction, middle, 19, casts, &b);
    mcf_mesh_project(&r->m, &r->s);
    if (r->m.failed) {
        r->head->valid = false;
        return mcf_fail(err, MCF_ERR_NOMEM, "synthetic faces: no memory for a picture's triangles");
    }
    mcf_ground_clear(r);
    mcf_raster_clear(&r->front);
    mcf_raster_draw(&r->front, &r->m, keep, &b);
    if (r->how.glasses != GLASSES_NONE) {
        mcf_raster_clear(&r->glass);
        mcf_raster_layer(&r->glass, &r->front, &r->m, PART_LENS);
    }
    paint(r, &b);
    mcf_camera_develop(r);
    describe(r, out);
    mcf_points_find(r, out);
    return MCF_OK;
}
