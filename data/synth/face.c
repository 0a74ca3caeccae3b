// Mean sections and bumps were modelled by eye on anthropometric means (head 15 x 19.5 x 23 cm, pupils 6.4 cm
// apart); a person's numbers move them.
#include "data/synth/face.h"

static const ring mean_rings[FACE_RINGS] = {
    // y, width, front, back, z, p
    {11.30f, 0.02f, -0.28f, -0.32f, -0.3f, 2.00f}, {11.05f, 2.35f, 2.3f, -3.0f, -0.3f, 2.02f},
    {10.30f, 4.35f, 4.8f, -5.5f, -0.3f, 2.05f},    {8.90f, 6.05f, 7.1f, -7.8f, -0.3f, 2.08f},
    {7.00f, 7.05f, 8.6f, -9.2f, -0.2f, 2.12f},     {5.00f, 7.45f, 9.3f, -9.8f, -0.1f, 2.18f},
    {3.20f, 7.50f, 9.5f, -9.9f, 0.0f, 2.25f},      {1.80f, 7.40f, 9.4f, -9.7f, 0.2f, 2.28f},
    {0.30f, 7.20f, 9.15f, -9.2f, 0.4f, 2.28f},     {-1.20f, 7.02f, 9.1f, -8.5f, 0.6f, 2.24f},
    {-2.80f, 6.80f, 9.15f, -7.6f, 0.8f, 2.18f},    {-4.40f, 6.48f, 9.2f, -6.3f, 1.0f, 2.12f},
    {-6.00f, 6.06f, 9.2f, -4.4f, 1.5f, 2.06f},     {-7.40f, 5.56f, 9.1f, -1.8f, 2.3f, 2.02f},
    {-8.70f, 4.90f, 8.95f, 0.8f, 3.5f, 1.98f},     {-9.90f, 4.02f, 8.85f, 3.0f, 4.9f, 1.96f},
    {-10.90f, 3.02f, 8.65f, 4.7f, 6.0f, 1.96f},    {-11.60f, 1.95f, 8.15f, 5.8f, 6.8f, 1.98f},
    {-11.95f, 0.85f, 7.6f, 6.5f, 7.05f, 2.00f},    {-12.03f, 0.02f, 7.08f, 7.06f, 7.07f, 2.00f},
};

static float cubic(float a, float b, float c, float d, float t)
{
    return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

ring mcf_face_ring(const face *f, float u)
{
    int i = (int)clampf(u, 0, FACE_RINGS - 1.0001f);
    float t = clampf(u - (float)i, 0, 1);
    const ring *a = &f->rings[i > 0 ? i - 1 : 0], *b = &f->rings[i], *c = &f->rings[i + 1];
    const ring *d = &f->rings[i + 2 < FACE_RINGS ? i + 2 : FACE_RINGS - 1];
    ring r;
    r.y = cubic(a->y, b->y, c->y, d->y, t);
    r.width = maxf(cubic(a->width, b->width, c->width, d->width, t), 0.01f);
    r.front = cubic(a->front, b->front, c->front, d->front, t);
    r.back = cubic(a->back, b->back, c->back, d->back, t);
    r.z = cubic(a->z, b->z, c->z, d->z, t);
    r.p = cubic(a->p, b->p, c->p, d->p, t);
    return r;
}

float mcf_face_place(const face *f, float y)
{
    int i = 0;
    while (i + 2 < FACE_RINGS && f->rings[i + 1].y > y)
        i++;
    float low = 0, high = 1;
    float a = f->rings[i > 0 ? i - 1 : 0].y, b = f->rings[i].y, c = f->rings[i + 1].y,
          d = f->rings[i + 2 < FACE_RINGS ? i + 2 : FACE_RINGS - 1].y;
    for (int k = 0; k < 12; k++) {
        float t = 0.5f * (low + high);
        if (cubic(a, b, c, d, t) > y)
            low = t;
        else
            high = t;
    }
    return (float)i + 0.5f * (low + high);
}

ring mcf_face_ring_at(const face *f, float y)
{
    return mcf_face_ring(f, mcf_face_place(f, y));
}

float mcf_face_axis(const face *f, float y)
{
    int i = 0;
    while (i + 2 < FACE_RINGS && f->rings[i + 1].y > y)
        i++;
    const ring *a = &f->rings[i], *b = &f->rings[i + 1];
    return mixf(a->z, b->z, clampf((y - a->y) / (b->y - a->y), 0, 1));
}

v3 mcf_face_skull(const ring *r, float angle)
{
    float s = sin_fast(angle), c = cos_fast(angle);
    float a = absf(s) / r->width, b = absf(c) / maxf(c >= 0 ? r->front - r->z : r->z - r->back, 0.005f);
    float p = r->p,
          k = absf(p - 2) < 0.002f ? 1 / sqrtf(a * a + b * b) : pow_fast(pow_fast(a, p) + pow_fast(b, p), -1 / p);
    return v3_of(s * k, r->y, r->z + c * k);
}

float mcf_face_skull_front(const ring *r, float x)
{
    float t = absf(x) / r->width;
    return t >= 1 ? r->z : r->z + (r->front - r->z) * pow_fast(1 - pow_fast(t, r->p), 1 / r->p);
}

// Height of a face of the mean: the lower half is stretched below the eyes, the upper above.
static float to_person(const person *p, float y)
{
    return y < 0 ? y * p->lower : y * p->upper;
}

void mcf_face_make(face *f, const person *p, const picture *v)
{
    *f = (face){.who = p, .how = v};
    for (int i = 0; i < FACE_RINGS; i++) {
        ring r = mean_rings[i];
        float y = r.y, cheek = smooth(0, -5, y), jaw = smooth(-4, -8.5f, y), chin = smooth(-9, -11, y);
        float front = smooth(2, 6, y) * smooth(11.2f, 8, y);
        r.y = to_person(p, y);
        r.width *= p->width * mixf(mixf(1, p->jaw, cheek), p->chin_width, chin);
        r.width += p->fat * 0.22f * cheek * (1 - chin);
        r.front = r.front * p->depth + p->forehead * front;
        r.back *= mixf(p->depth, 1, jaw);
        r.z *= mixf(1, p->depth, jaw);
        f->rings[i] = r;
    }
    f->top = f->rings[0].y;
    f->bottom = f->rings[FACE_RINGS - 1].y;
    f->eye_x = p->eye_x * mixf(1, p->width, 0.6f);
    f->eye_y = p->eye_y;
    f->eye_half = p->eye_half;
    f->eye_radius = p->eye_half * 1.13f;
    f->nose_root = 0.45f;
    f->nose_tip = p->nose_tip * p->lower;
    f->nose_under = f->nose_tip - 1.1f;
    f->mouth_y = minf(p->mouth_y * p->lower, f->nose_under - 1.55f);
    f->mouth_half = p->mouth_half;
    f->gap = 0.34f;
    f->brow_y = p->brow_y + f->eye_y * 0.5f;
    ring r = mcf_face_ring_at(f, f->eye_y);
    f->eye_z = mcf_face_skull_front(&r, f->eye_x) + 0.15f * p->ridge - 0.42f - p->eye_depth - f->eye_radius;
}

static lids lids_with(const face *f, int side, float x, float blink, float squint)
{
    const person *p = f->who;
    float sign = side ? 1 : -1, ax = x * sign;
    float inner = f->eye_x - f->eye_half, t = (ax - inner) / (2 * f->eye_half);
    lids l = {.along = t, .inside = t > 0 && t < 1};
    float c = clampf(t, 0, 1), line = f->eye_y + p->eye_tilt * (c - 0.5f) - 0.06f + 0.03f * p->asymmetry * sign;
    float tu = c + 0.30f * c * (1 - c), tl = c - 0.33f * c * (1 - c);
    float qu = maxf(4 * tu * (1 - tu), 0), ql = maxf(4 * tl * (1 - tl), 0);
    float up = p->eye_up * sqrtf(qu) * (0.55f + 0.45f * qu), low = p->eye_low * sqrtf(ql) * (0.45f + 0.55f * ql);
    up *= 1 - 0.13f * squint;
    low *= 1 - 0.55f * clampf(squint, -0.3f, 1.2f);
    l.low = line - low;
    l.high = line + up;
    float meet = l.low + 0.12f * (l.high - l.low);
    l.high = mixf(l.high, meet, blink);
    l.low = mixf(l.low, meet, blink * 0.9f);
    return l;
}

lids mcf_face_lids(const face *f, int side, float x)
{
    // looking down lowers the upper lid
    float blink = clampf(f->how->blink[side] + maxf(-f->how->gaze_y, 0) * 0.6f, 0, 1);
    return lids_with(f, side, x, blink, f->how->squint);
}

lids mcf_face_lids_open(const face *f, int side, float x)
{
    return lids_with(f, side, x, 0, 0);
}

lips mcf_face_lips(const face *f, float x)
{
    const person *p = f->who;
    float a = x / f->mouth_half, b = absf(a);
    lips l = {.across = a, .inside = b < 1};
    float c = minf(b, 1), q = 1 - c * c;
    // the seam: a flat M
    float seam = f->mouth_y + 0.10f * bump1((c - 0.5f) / 0.5f) - 0.06f * bump1(c / 0.4f);
    float arc = (1 - c) * (1 + 0.95f * c);
    float bow = 1 - 0.26f * p->cupid * bump1(c / 0.2f) + 0.06f * p->cupid * bump1((c - 0.22f) / 0.2f);
    float full = q * (1 + 0.22f * (1 - q));
    l.upper_low = seam + f->gap * q;
    l.lower_top = seam - f->gap * q;
    l.upper_top = l.upper_low + p->lip_upper * arc * bow;
    l.lower_low = l.lower_top - p->lip_lower * full;
    return l;
}

brow mcf_face_brow(const face *f, int side, float x)
{
    const person *p = f->who;
    float ax = side ? x : -x, t = (ax - p->brow_inner) / (p->brow_outer - p->brow_inner);
    brow b = {.along = t, .inside = t > 0 && t < 1};
    float c = clampf(t, 0, 1);
    float arch = p->brow_arch * bump1((c - 0.62f) / 0.75f) - 0.5f * p->brow_arch * smooth(0.7f, 1.05f, c);
    b.y = f->brow_y - 0.12f + arch + p->brow_tilt * (c - 0.4f) - 0.2f * smooth(0.75f, 1, c);
    // blunt inside, pointed outside
    b.half = 0.5f * p->brow_thick * sqrtf(clampf(c / 0.09f, 0, 1)) * (1 - 0.75f * smooth(0.45f, 1.02f, c));
    if (c > 0.93f)
        b.half *= maxf(1 - c, 0) / 0.07f;
    return b;
}

float mcf_face_nose_half(const face *f, float y)
{
    float s = (f->nose_root - y) / (f->nose_root - f->nose_tip), n = f->who->nose_width;
    if (y > f->nose_root + 0.2f || y < f->nose_under)
        return 0;
    float ridge = 0.62f + 0.35f * clampf(s, 0, 1), wing = 2.02f * n;
    float w = mixf(ridge, wing, smooth(0.45f, 0.9f, s));
    if (y < f->nose_tip)
        w *= sqrtf(clampf((y - f->nose_under) / (f->nose_tip - f->nose_under), 0, 1)) * 0.35f + 0.65f;
    return w;
}

static float nose_height(const face *f, float x, float y)
{
    const person *p = f->who;
    float n = p->nose_width, ax = absf(x);
    float s = (f->nose_root - y) / (f->nose_root - f->nose_tip);
    float h = 0;
    if (s > -0.5f && y > f->nose_under - 0.2f) {
        float top = smooth(-0.5f, 0.1f, s), c = clampf(s, 0, 1);
        float ridge = mixf(p->bridge, p->tip_out, c * (0.55f + 0.45f * c)) + p->hump * bump1((s - 0.42f) / 0.4f);
        float under = 1;
        if (y < f->nose_tip) {
            float t = clampf((f->nose_tip - y) / (f->nose_tip - f->nose_under), 0, 1);
            under = sqrtf(maxf(1 - t * t, 0));
        }
        float w = (1.55f + 1.05f * c * n) * (1 + 0.12f * smooth(0.7f, 1, s));
        h += ridge * top * under * bump1(x / w);
        h += (0.15f + 0.4f * p->tip_round) * bump2(x / (1.55f * n), (y - f->nose_tip - 0.1f) / 1.35f) * under;
    }
    h += 1.2f * bump2((ax - 1.3f * n) / (1.05f * n), (y - f->nose_tip + 0.42f) / 1.05f);
    h -= 0.14f * bump2((ax - 2.0f * n) / 0.55f, (y - f->nose_tip + 0.25f) / 1.1f);
    h -= 0.55f * bump2((ax - 0.62f * n) / 0.55f, (y - f->nose_under - 0.22f) / 0.42f);
    return h;
}

// Distance of (x, y) from a line segment.
static float segment_distance(float x, float y, float ax, float ay, float bx, float by)
{
    float dx = bx - ax, dy = by - ay, t = clampf(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1);
    float ex = x - ax - t * dx, ey = y - ay - t * dy;
    return sqrtf(ex * ex + ey * ey);
}

static float lip_height(const face *f, float x, float y)
{
    lips l = mcf_face_lips(f, x);
    if (!l.inside || y > l.upper_top + 0.2f || y < l.lower_low - 0.2f)
        return 0;
    float q = 1 - l.across * l.across, out = f->who->lip_out;
    if (y >= l.upper_low) {
        float t = (y - l.upper_low) / maxf(l.upper_top - l.upper_low, 0.05f);
        return t < 1 ? out * q * 4 * t * (1 - t) * 0.9f - 0.1f * q * (1 - t) : 0;
    }
    if (y <= l.lower_top) {
        float t = (l.lower_top - y) / maxf(l.lower_top - l.lower_low, 0.05f);
        return t < 1 ? 1.25f * out * q * 4 * t * (1 - t) - 0.1f * q * (1 - t) : 0;
    }
    return -0.1f * q;
}

v3 mcf_face_shape(const face *f, v3 rest)
{
    const person *p = f->who;
    if (rest.z < 0.5f || rest.y > 7)
        return rest;
    float x = rest.x, y = rest.y, ax = absf(x), h = 0;
    float low = p->lower, front = smooth(0.5f, 3.5f, rest.z);

    h += p->ridge * bump2((ax - 2.6f) / 3.6f, (y - f->brow_y + 0.25f) / 1.7f);
    h += 0.35f * p->ridge * bump2(x / 1.7f, (y - f->brow_y + 0.3f) / 1.6f);
    h -= (0.95f + 0.5f * p->eye_depth) * bump2((ax - f->eye_x) / 3.1f, (y - f->eye_y - 0.1f) / 2.2f);
    h -= 0.5f * bump2((ax - f->eye_x + 1.55f) / 1.3f, (y - f->eye_y + 0.1f) / 1.7f);
    h += p->cheekbone * bump2((ax - 4.9f) / 3.4f, (y + 2.2f * low) / 2.6f);
    h += (0.12f + 0.32f * p->fat) * bump2((ax - 3.9f) / 3.4f, (y + 5.3f * low) / 3.6f);
    h -= (0.1f + 0.12f * p->age) * bump2((ax - 2.3f) / 1.7f, (y - f->eye_y + 1.35f) / 0.95f);
    h += 0.5f * bump2(x / 4.8f, (y - f->mouth_y) / 3.4f);
    h -= 0.36f * bump2(x / 2.9f, (y - f->mouth_y + 2.05f * low) / 1.1f);
    h += (0.5f + p->chin_out) * bump2(x / (2.7f * p->chin_width), (y + 10.6f * low) / 2.2f);
    h -= 0.12f * bump2(x / 0.5f, (y - f->mouth_y - 1.45f) / 0.95f);
    h -=
        (0.05f + 0.14f * p->age) * bump1(segment_distance(ax, y, 2.05f, f->nose_tip - 0.2f, 3.35f, f->mouth_y) / 0.75f);
    h += nose_height(f, x, y);
    h += lip_height(f, x, y);

    float z = rest.z + front * h;
    // The lids wrap the balls: over them, and right at the opening whatever lies beside.
    float dx = ax - f->eye_x, dy = y - f->eye_y, R = f->eye_radius + 0.08f, d = R * R - dx * dx - dy * dy;
    if (absf(dx) < R + 1 && absf(dy) < R + 1) {
        float ball = f->eye_z + sqrtf(maxf(d, 0.04f)), k = 0.22f, t = clampf(0.5f + 0.5f * (z - ball) / k, 0, 1);
        if (d > 0)
            z = mixf(ball, z, t) + k * t * (1 - t);
        lids l = mcf_face_lids_open(f, x > 0, x);
        float beside = maxf(absf(dx) - f->eye_half, 0), over = maxf(maxf(y - l.high, l.low - y), 0);
        z = mixf(z, ball, smooth(0.6f, 0.02f, sqrtf(beside * beside + over * over)));
    }
    float tip = bump2(x / 1.8f, (y - f->nose_tip) / 1.5f);
    v3 out = {x + 0.12f * p->asymmetry * bump2(x / 3, (y - f->nose_tip) / 3.5f), y + p->tip_up * tip, z};
    return out;
}

v3 mcf_face_express(const face *f, v3 rest, v3 s)
{
    const picture *v = f->how;
    if ((rest.z < 0.5f && rest.y > -5) || rest.y > f->brow_y + 3.6f)
        return s;
    float x = rest.x, y = rest.y, ax = absf(x), sign = x < 0 ? -1 : 1;
    v3 o = s;

    // lips closed: the gap of the rest plane shuts; then the jaw opens it again
    float mh = f->mouth_half;
    lips l = mcf_face_lips(f, x);
    float b = absf(l.across), c = minf(b, 1), q = 1 - c * c;
    float up_edge = -f->gap * q + v->lip_up * 0.55f * q, down_edge = f->gap * q;
    float weight_up = 0.26f * c * c, weight_down = 1 - 0.74f * c * c;
    float lift, jaw;
    if (y >= l.upper_low) {
        float t = y - l.upper_low;
        lift = up_edge * fall(t / 2.6f);
        jaw = weight_up * fall(t / 3.2f);
    } else if (y <= l.lower_top) {
        float t = l.lower_top - y;
        lift = down_edge * fall(t / 2.4f);
        jaw = mixf(weight_down, 1, smooth(0, 3.2f, t));
    } else {
        float t = (y - l.lower_top) / maxf(l.upper_low - l.lower_top, 0.001f);
        lift = mixf(down_edge, up_edge, t);
        jaw = mixf(weight_down, weight_up, t);
    }
    float angle = v->open / 9.2f * jaw;
    o.y += lift - angle * (s.z + 0.5f);
    o.z += angle * (s.y + 1) * 0.9f;

    // corners
    float corner = bump2((ax - mh) / 3.5f, (y - f->mouth_y) / 3.1f);
    o.x += sign * 0.62f * v->smile * corner;
    o.y += (v->smile > 0 ? 0.62f : 0.7f) * v->smile * corner;
    o.z -= 0.42f * absf(v->smile) * corner;
    if (v->smile > 0) {
        float cheek = bump2((ax - 4.1f) / 3, (y + 3.2f) / 3);
        o.z -= 0.12f * v->smile * bump1(segment_distance(ax, y, 2.05f, f->nose_tip - 0.2f, 3.35f, f->mouth_y) / 0.75f);
        o.y += 0.42f * v->smile * cheek;
        o.z += 0.42f * v->smile * cheek;
        o.y += 0.12f * v->smile * bump2((ax - 1.4f) / 1.4f, (y - f->nose_tip) / 1.4f);
        o.x += sign * 0.14f * v->smile * bump2((ax - 1.5f) / 1.3f, (y - f->nose_tip + 0.3f) / 1.4f);
    }
    if (v->pucker > 0) {
        float w = bump2(x / 5.2f, (y - f->mouth_y) / 3.6f) * v->pucker;
        o.x -= x * 0.42f * w;
        o.z += 0.75f * w;
    }
    float above = bump2((ax - 3) / 4.2f, (y - f->brow_y - 0.3f) / 3.2f);
    o.y += 0.62f * v->brow_raise * above;
    if (v->frown > 0) {
        float inner = bump2((ax - 1.5f) / 2.2f, (y - f->brow_y) / 1.8f);
        o.x -= sign * 0.28f * v->frown * inner;
        o.y -= 0.42f * v->frown * inner;
        o.z += 0.15f * v->frown * inner;
    }
    return o;
}

v3 mcf_face_point(const face *f, float x, float y)
{
    ring r = mcf_face_ring_at(f, y);
    v3 rest = {x, y, mcf_face_skull_front(&r, x)};
    return mcf_face_express(f, rest, mcf_face_shape(f, rest));
}
