// The draws, each a statement or declarator of its own: the order of arguments is the compiler's. Ranges were
// set by looking at contact sheets; what goes together in people (beards with strong jaws, long hair with
// lipstick) goes together here more often than not.
#include "data/synth/scene.h"

static float uniform(mcf_rng *r, float from, float to)
{
    return from + (to - from) * mcf_rng_float(r);
}

static bool chance(mcf_rng *r, float p)
{
    return mcf_rng_float(r) < p;
}

// Nearly normal, mean 0, deviation 1, within +-3: the sum of six uniforms, so no logarithm of the C
// library's.
static float bell(mcf_rng *r)
{
    float s = 0;
    for (int i = 0; i < 6; i++)
        s += mcf_rng_float(r);
    return clampf((s - 3) * 1.41421356f, -2.8f, 2.8f);
}

static int choose(mcf_rng *r, const float *weights, int count)
{
    float sum = 0;
    for (int i = 0; i < count; i++)
        sum += weights[i];
    float at = mcf_rng_float(r) * sum;
    for (int i = 0; i < count - 1; i++) {
        if (at < weights[i])
            return i;
        at -= weights[i];
    }
    return count - 1;
}

// sRGB bytes to linear
static v3 srgb(int r, int g, int b)
{
    float c[3] = {(float)r / 255, (float)g / 255, (float)b / 255};
    for (int i = 0; i < 3; i++)
        c[i] = c[i] <= 0.04045f ? c[i] / 12.92f : pow_fast((c[i] + 0.055f) / 1.055f, 2.4f);
    return v3_of(c[0], c[1], c[2]);
}

static v3 from_hsv(float h, float s, float v)
{
    float f = h * 6;
    int i = floor_int(f);
    f -= (float)i;
    float p = v * (1 - s), q = v * (1 - s * f), t = v * (1 - s * (1 - f));
    switch (((i % 6) + 6) % 6) {
    case 0:
        return v3_of(v, t, p);
    case 1:
        return v3_of(q, v, p);
    case 2:
        return v3_of(p, v, t);
    case 3:
        return v3_of(p, q, v);
    case 4:
        return v3_of(t, p, v);
    default:
        return v3_of(v, p, q);
    }
}

// Muted more often than bright, as clothes and walls are. Linear.
static v3 any_colour(mcf_rng *r)
{
    float s = chance(r, 0.4f) ? uniform(r, 0, 0.18f) : uniform(r, 0.12f, 0.75f);
    float v = uniform(r, 0.08f, 0.95f), h = mcf_rng_float(r);
    v3 c = from_hsv(h, s, v);
    return v3_of(c.x * c.x, c.y * c.y, c.z * c.z);
}

static v3 skin_tone(mcf_rng *r)
{
    static const int tones[8][3] = {{62, 38, 28},    {92, 58, 42},    {128, 82, 58},   {164, 112, 82},
                                    {192, 140, 106}, {214, 166, 132}, {230, 186, 156}, {240, 202, 178}};
    float at = uniform(r, 0, 7);
    if (chance(r, 0.35f))
        at = uniform(r, 4.2f, 7);
    int i = (int)clampf(at, 0, 6);
    v3 a = srgb(tones[i][0], tones[i][1], tones[i][2]);
    v3 b = srgb(tones[i + 1][0], tones[i + 1][1], tones[i + 1][2]);
    v3 c = mix3(a, b, at - (float)i);
    float pink = 0.06f * bell(r), gold = 0.05f * bell(r);
    return mul3(c, v3_of(1 + pink * 0.4f, 1 - pink * 0.5f + gold * 0.3f, 1 - gold));
}

static v3 hair_colour(mcf_rng *r, float skin_lightness)
{
    static const int tones[10][3] = {{22, 18, 17},   {34, 25, 21},    {54, 36, 26},    {78, 52, 34},  {106, 72, 44},
                                     {136, 102, 66}, {172, 142, 100}, {206, 184, 146}, {122, 52, 26}, {168, 84, 40}};
    float dark = 1.2f - skin_lightness;
    float w[10] = {1.6f + 5 * dark, 1.6f + 2 * dark, 1.5f, 1.3f, 1, 0.8f, 0.7f, 0.5f, 0.4f, 0.35f};
    if (skin_lightness < 0.3f)
        for (int i = 4; i < 10; i++)
            w[i] *= 0.12f;
    int i = choose(r, w, 10);
    v3 c = srgb(tones[i][0], tones[i][1], tones[i][2]);
    return scale3(c, uniform(r, 0.8f, 1.25f));
}

static void draw_face(person *p, mcf_rng *r)
{
    float m = p->masculine - 0.5f, c = p->child;
    p->width = 1 + 0.035f * bell(r) + 0.02f * m;
    p->upper = 1 + 0.035f * bell(r) + 0.03f * c;
    p->lower = 1 + 0.045f * bell(r) + 0.05f * m - 0.13f * c;
    p->fat = 0.55f * bell(r) + 0.15f * p->age + 0.5f * c;
    p->jaw = 1 + 0.045f * bell(r) + 0.08f * m + 0.035f * p->fat - 0.03f * c;
    p->chin_width = 1 + 0.12f * bell(r) + 0.2f * m;
    p->chin_out = 0.22f * bell(r) + 0.25f * m - 0.2f * c;
    p->depth = 1 + 0.03f * bell(r);
    p->forehead = 0.25f * bell(r) - 0.2f * m + 0.25f * c;
    p->cheekbone = 0.45f + 0.22f * bell(r) - 0.15f * c;
    p->ridge = clampf(0.22f + 0.45f * p->masculine + 0.12f * bell(r) - 0.3f * c, 0.02f, 0.95f);

    p->eye_x = 3.22f + 0.16f * bell(r) - 0.05f * c;
    p->eye_y = 0.12f * bell(r) - 0.35f * c;
    p->eye_half = 1.46f + 0.085f * bell(r) + 0.1f * c - 0.04f * m;
    p->eye_up = clampf(0.62f + 0.09f * bell(r) - 0.16f * m + 0.14f * c - 0.08f * p->age, 0.36f, 0.9f);
    p->eye_low = clampf(0.36f + 0.06f * bell(r), 0.2f, 0.5f);
    p->eye_tilt = 0.1f + 0.13f * bell(r) - 0.08f * p->age - 0.08f * m;
    p->eye_depth = clampf(0.12f * bell(r) + 0.18f * m, -0.3f, 0.45f);
    p->crease = clampf(0.34f + 0.16f * bell(r), 0.08f, 0.75f);
    p->lashes = clampf(0.45f - 0.7f * m + 0.2f * bell(r), 0.12f, 1);

    p->nose_width = clampf(1 + 0.13f * bell(r) + 0.08f * m - 0.04f * c, 0.72f, 1.4f);
    p->nose_tip = -3.95f + 0.33f * bell(r) - 0.25f * m + 0.85f * c;
    p->bridge = clampf(0.62f + 0.26f * bell(r) + 0.2f * m - 0.35f * c, 0.12f, 1.35f);
    p->tip_out = clampf(2.25f + 0.26f * bell(r) + 0.2f * m - 0.5f * c, 1.4f, 3.1f);
    p->tip_up = 0.2f * bell(r) - 0.2f * m + 0.3f * c - 0.15f * p->age;
    p->hump = clampf(0.16f * bell(r) + 0.12f * m - 0.2f * c, -0.25f, 0.5f);
    p->tip_round = clampf(0.5f + 0.2f * bell(r), 0.1f, 1);

    p->mouth_half = 2.5f + 0.18f * bell(r) + 0.12f * m - 0.3f * c;
    p->mouth_y = -7.15f + 0.22f * bell(r);
    p->lip_upper = clampf(0.66f + 0.2f * bell(r) - 0.2f * m - 0.15f * p->age, 0.26f, 1.15f);
    p->lip_lower = clampf(0.86f + 0.2f * bell(r) - 0.15f * m - 0.12f * p->age, 0.42f, 1.4f);
    p->cupid = clampf(0.5f + 0.3f * bell(r), 0, 1.2f);
    p->lip_out = clampf(0.32f + 0.1f * bell(r), 0.1f, 0.6f);

    p->brow_y = 2.05f + 0.18f * bell(r) - 0.25f * m + 0.1f * c;
    p->brow_arch = clampf(0.38f + 0.18f * bell(r) - 0.3f * m, 0.02f, 0.9f);
    p->brow_thick = clampf(0.48f + 0.1f * bell(r) + 0.2f * m - 0.1f * c, 0.2f, 0.8f);
    p->brow_inner = 1.25f + 0.2f * bell(r) - 0.12f * m;
    p->brow_outer = 5.15f + 0.2f * bell(r);
    p->brow_density = clampf(0.75f + 0.2f * bell(r) + 0.15f * m - 0.15f * c, 0.3f, 1);
    p->brow_tilt = 0.12f * bell(r);
    p->ear_size = 1 + 0.08f * bell(r) + 0.08f * m + 0.1f * p->age;
    p->ear_out = clampf(0.45f + 0.16f * bell(r), 0.15f, 0.95f);
    p->neck = 1 + 0.05f * bell(r) + 0.2f * m + 0.06f * p->fat - 0.12f * c;
    p->asymmetry = bell(r);
}

static void draw_colours(person *p, mcf_rng *r)
{
    p->skin = skin_tone(r);
    float lightness = clampf(p->skin.y * 2.2f, 0, 1.2f);
    p->hair = hair_colour(r, lightness);
    p->grey = p->age > 0.45f && chance(r, 0.75f) ? uniform(r, 0.2f, 1) : 0;
    if (p->grey > 0)
        p->hair = mix3(p->hair, scale3(srgb(196, 192, 188), uniform(r, 0.5f, 1)), p->grey);
    if (chance(r, 0.03f)) // dyed
        p->hair = scale3(from_hsv(mcf_rng_float(r), 0.75f, 1), 0.3f);
    p->hair2 = mix3(scale3(p->hair, 1.45f), srgb(170, 140, 105), chance(r, 0.25f) ? 0.3f : 0.04f);
    p->brow = mix3(scale3(p->hair, 0.6f), srgb(45, 32, 25), uniform(r, 0.3f, 0.7f));
    static const int irises[7][3] = {{52, 30, 18},  {78, 46, 24},   {104, 68, 34},  {112, 100, 52},
                                     {86, 112, 84}, {86, 126, 158}, {116, 132, 142}};
    float w[7] = {3, 3, 2, 1.5f * lightness, 1.2f * lightness, 2 * lightness, 1 * lightness};
    if (lightness < 0.35f)
        w[3] = w[4] = w[5] = w[6] = 0.05f;
    int i = choose(r, w, 7);
    p->iris = scale3(srgb(irises[i][0], irises[i][1], irises[i][2]), uniform(r, 0.8f, 1.3f));
    p->iris2 = mix3(p->iris, srgb(120, 84, 44), uniform(r, 0.1f, 0.6f));

    bool womanly = p->masculine < 0.5f && p->child < 0.5f;
    p->makeup = womanly && chance(r, 0.6f) ? uniform(r, 0.3f, 1) : 0;
    v3 natural = mul3(p->skin, mix3(v3_of(0.9f, 0.62f, 0.6f), v3_of(0.82f, 0.46f, 0.46f), mcf_rng_float(r)));
    static const int sticks[6][3] = {{172, 36, 48},   {190, 70, 84}, {140, 36, 60},
                                     {206, 110, 104}, {120, 30, 34}, {196, 82, 120}};
    const int *stick = sticks[mcf_rng_below(r, 6)];
    p->lip = p->makeup > 0 ? mix3(natural, srgb(stick[0], stick[1], stick[2]), p->makeup * 0.8f) : natural;
    p->shadow_colour = mix3(scale3(p->skin, 0.45f), any_colour(r), 0.35f);
    p->blush = clampf(0.35f + 0.25f * bell(r), 0, 1);
    p->freckles = lightness > 0.55f && chance(r, 0.15f) ? uniform(r, 0.3f, 1) : 0;
    p->moles = chance(r, 0.3f) ? 1 + (int)mcf_rng_below(r, 3) : 0;
    for (int k = 0; k < 3; k++) {
        p->mole_x[k] = uniform(r, -5, 5);
        p->mole_y[k] = uniform(r, -9, -1.5f);
    }
}

static void draw_hair(person *p, mcf_rng *r)
{
    float m = p->masculine, a = p->age;
    float w[HAIR_STYLES] = {
        [HAIR_BALD] = m * (0.25f + a),
        [HAIR_BUZZ] = m * 1.1f,
        [HAIR_SHORT] = 0.25f + 2.4f * m,
        [HAIR_CROP] = 0.25f + 1.2f * m,
        [HAIR_SWEPT] = 0.2f + 1.3f * m,
        [HAIR_BOB] = 1.5f * (1.02f - m),
        [HAIR_LONG] = 3.2f * (1.03f - m),
        [HAIR_CURLY] = 1.1f * (1.2f - m),
        [HAIR_AFRO] = p->skin.y < 0.22f ? 1.2f : 0.12f,
        [HAIR_BUN] = 1.3f * (1.0f - m),
    };
    if (p->child > 0.5f)
        w[HAIR_BALD] = 0;
    p->style = (hair_style)choose(r, w, HAIR_STYLES);
    p->hair_length = mcf_rng_float(r);
    p->hair_volume = uniform(r, 0.6f, 1.3f);
    p->hair_wave = chance(r, 0.5f) ? uniform(r, 0, 0.25f) : uniform(r, 0.3f, 1);
    p->hairline = 6.15f + 0.38f * bell(r) + 0.25f * m;
    p->part = chance(r, 0.5f) ? uniform(r, -1, 1) : 0;
    p->recede = m > 0.5f ? clampf(a * 1.6f + 0.25f * bell(r), 0, 1) : clampf(0.1f * bell(r), 0, 0.3f);
    p->fringe = chance(r, p->style == HAIR_BOB || p->style == HAIR_CROP ? 0.5f : 0.16f);
    p->parted = chance(r, 0.55f);
    p->tucked = chance(r, 0.22f);
    p->beard = BEARD_NONE;
    if (m > 0.5f && p->child < 0.5f) {
        float b[5] = {2.2f, 1.6f, 0.5f, 0.7f, 1.3f};
        p->beard = (beard_style)choose(r, b, 5);
    }
    p->beard_density = uniform(r, 0.5f, 1);
}

static void draw_things(person *p, mcf_rng *r)
{
    p->wears_glasses = chance(r, 0.14f + 0.2f * p->age);
    p->lens_width = uniform(r, 2.3f, 3.0f);
    p->lens_height = uniform(r, 1.55f, 2.5f);
    p->lens_square = uniform(r, 0, 1);
    p->frame_thick = uniform(r, 0.1f, 0.3f);
    v3 dark = scale3(v3_of(1, 0.9f, 0.85f), uniform(r, 0.01f, 0.06f)), wild = any_colour(r);
    p->frame = chance(r, 0.6f) ? dark : wild;
    p->metal = chance(r, 0.5f) ? v3_of(0.9f, 0.62f, 0.22f) : v3_of(0.75f, 0.75f, 0.78f);
    p->earrings = chance(r, p->masculine < 0.5f ? 0.55f : 0.08f) ? 1 + (int)mcf_rng_below(r, 3) : 0;
    p->necklace = chance(r, p->masculine < 0.5f ? 0.45f : 0.08f);
    p->beads = chance(r, 0.4f);
}

void mcf_synth_person(person *p, uint64_t seed, uint64_t number)
{
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_SYNTH, 0, number), *r = &rng;
    *p = (person){.number = number};
    p->masculine = clampf((chance(r, 0.5f) ? 0.86f : 0.12f) + 0.1f * bell(r), 0, 1);
    p->child = chance(r, 0.06f) ? uniform(r, 0.6f, 1) : 0;
    p->age = p->child > 0 ? 0 : clampf(pow_fast(mcf_rng_float(r), 1.5f), 0, 1);
    draw_face(p, r);
    draw_colours(p, r);
    draw_hair(p, r);
    draw_things(p, r);
}

static void draw_pose(picture *v, mcf_rng *r)
{
    const float degree = SYNTH_PI / 180;
    float kind = mcf_rng_float(r);
    v->yaw = (kind < 0.6f ? 12 * bell(r) : kind < 0.92f ? 27 * bell(r) : uniform(r, -78, 78)) * degree;
    v->yaw = clampf(v->yaw, -78 * degree, 78 * degree);
    v->pitch = clampf(8.5f * bell(r), -28, 28) * degree;
    v->roll = (chance(r, 0.88f) ? 6 * bell(r) : 18 * bell(r)) * degree;
    v->body_yaw = v->yaw * uniform(r, 0.1f, 0.75f);
    v->body_yaw += 6 * bell(r) * degree;
    v->body_roll = v->roll * uniform(r, 0, 0.4f);
    v->distance = uniform(r, 55, 150);
    v->face_share = clampf(0.56f + 0.075f * bell(r), 0.36f, 0.78f);
    v->shift_x = 0.9f * bell(r);
    v->shift_y = 0.8f * bell(r);
}

static void draw_expression(picture *v, mcf_rng *r)
{
    float w[9] = {3, 1.8f, 2.4f, 1.1f, 0.6f, 0.7f, 0.5f, 0.9f, 0.4f};
    v->teeth = true;
    switch (choose(r, w, 9)) {
    case 0: // at rest
        v->smile = 0.12f * bell(r);
        v->open = chance(r, 0.25f) ? uniform(r, 0, 0.35f) : 0;
        break;
    case 1: // smile, closed
        v->smile = uniform(r, 0.3f, 0.8f);
        v->squint = v->smile * 0.5f;
        break;
    case 2: // smile with teeth
        v->smile = uniform(r, 0.55f, 1.05f);
        v->lip_up = uniform(r, 0.25f, 0.55f);
        v->open = uniform(r, 0.1f, 0.7f);
        v->squint = uniform(r, 0.2f, 0.9f);
        break;
    case 3: // talking
        v->open = uniform(r, 0.25f, 1.5f);
        v->lip_up = uniform(r, 0, 0.25f);
        v->smile = 0.2f * bell(r);
        break;
    case 4: // surprise
        v->open = uniform(r, 1, 2.8f);
        v->brow_raise = uniform(r, 0.6f, 1);
        v->squint = -0.6f;
        break;
    case 5: // sad
        v->smile = -uniform(r, 0.25f, 0.7f);
        v->brow_raise = uniform(r, 0, 0.3f);
        v->frown = uniform(r, 0.2f, 0.7f);
        break;
    case 6: // angry
        v->frown = uniform(r, 0.6f, 1);
        v->squint = uniform(r, 0.2f, 0.5f);
        v->smile = -uniform(r, 0, 0.4f);
        v->open = chance(r, 0.4f) ? uniform(r, 0.3f, 1.8f) : 0;
        v->lip_up = v->open > 0 ? 0.3f : 0;
        break;
    case 7: // laughing
        v->smile = uniform(r, 0.8f, 1.15f);
        v->open = uniform(r, 0.9f, 2.2f);
        v->lip_up = uniform(r, 0.3f, 0.5f);
        v->squint = uniform(r, 0.6f, 1.2f);
        break;
    default: // kiss
        v->pucker = uniform(r, 0.5f, 1);
        v->open = chance(r, 0.4f) ? uniform(r, 0.1f, 0.6f) : 0;
        break;
    }
    v->brow_raise += 0.15f * bell(r);
    float lids = chance(r, 0.05f)  ? 0.96f
                 : chance(r, 0.1f) ? uniform(r, 0.2f, 0.75f)
                                   : clampf(0.06f * bell(r), 0, 0.3f);
    v->blink[0] = v->blink[1] = lids;
    if (chance(r, 0.02f))
        v->blink[mcf_rng_below(r, 2)] = 0.97f;
    bool at_camera = chance(r, 0.6f);
    v->gaze_x = at_camera ? clampf(-v->yaw * 0.8f, -0.5f, 0.5f) + 0.04f * bell(r) : 0.24f * bell(r);
    v->gaze_y = at_camera ? clampf(-v->pitch * 0.8f, -0.35f, 0.35f) + 0.03f * bell(r) : 0.13f * bell(r);
}

// Degrees.
static v3 direction(float azimuth, float elevation)
{
    const float degree = SYNTH_PI / 180;
    float a = azimuth * degree, e = elevation * degree;
    return v3_of(sin_fast(a) * cos_fast(e), sin_fast(e), cos_fast(a) * cos_fast(e));
}

// A direction with both angles drawn, the azimuth first; mirrored half the times where `either`.
static v3 any_direction(mcf_rng *r, float left, float right, float low, float high, bool either)
{
    float azimuth = uniform(r, left, right);
    if (either && chance(r, 0.5f))
        azimuth = -azimuth;
    return direction(azimuth, uniform(r, low, high));
}

static void draw_light(picture *v, mcf_rng *r)
{
    static const v3 warm = {1, 0.8f, 0.58f}, cool = {0.78f, 0.9f, 1.08f}, white = {1, 1, 1};
    float w[6] = {3, 2, 2, 2, 0.8f, 0.5f};
    float key = 1, ambient = 0.4f;
    v3 tone = chance(r, 0.5f) ? warm : cool, tint = mix3(white, tone, 0.5f * mcf_rng_float(r)), sky = white,
       ground = {0.8f, 0.72f, 0.66f};
    v->key_direction = any_direction(r, -60, 60, 8, 55, false);
    v->shadow_soft = uniform(r, 0.4f, 1.2f);
    switch (choose(r, w, 6)) {
    case 0: // studio
        key = uniform(r, 0.65f, 1), ambient = uniform(r, 0.3f, 0.5f);
        break;
    case 1: // sun
        key = uniform(r, 1.1f, 1.6f), ambient = uniform(r, 0.25f, 0.4f), v->shadow_soft = uniform(r, 0.05f, 0.3f);
        v->key_direction = any_direction(r, -95, 95, 22, 68, false);
        tint = mix3(white, warm, uniform(r, 0, 0.5f)), sky = v3_of(0.78f, 0.9f, 1.1f);
        break;
    case 2: // overcast
        key = uniform(r, 0.1f, 0.35f), ambient = uniform(r, 0.65f, 0.9f), sky = v3_of(0.92f, 0.97f, 1.04f);
        break;
    case 3: // indoors
        key = uniform(r, 0.5f, 0.85f), ambient = uniform(r, 0.3f, 0.45f),
        tint = mix3(white, warm, uniform(r, 0.3f, 0.9f));
        sky = v3_of(1, 0.9f, 0.78f);
        v->key_direction = any_direction(r, -45, 45, 35, 75, false);
        break;
    case 4: // from one side
        key = uniform(r, 1, 1.5f), ambient = uniform(r, 0.12f, 0.25f);
        v->key_direction = any_direction(r, 60, 100, 0, 30, true);
        break;
    default: // coloured
        key = uniform(r, 0.6f, 1), ambient = uniform(r, 0.2f, 0.35f);
        tint = add3(scale3(from_hsv(mcf_rng_float(r), 0.6f, 1), 0.7f), v3_of(0.3f, 0.3f, 0.3f));
        sky = add3(scale3(from_hsv(mcf_rng_float(r), 0.6f, 1), 0.6f), v3_of(0.4f, 0.4f, 0.4f));
        break;
    }
    v->key = scale3(tint, key);
    v->sky = scale3(sky, ambient * uniform(r, 0.95f, 1.15f));
    v->floor = scale3(mul3(ground, mix3(tint, white, 0.5f)), ambient * uniform(r, 0.45f, 0.8f));
    v->fill = scale3(mix3(tint, cool, 0.3f), key * uniform(r, 0.05f, 0.4f));
    v->fill_direction = direction(v->key_direction.x > 0 ? -55 : 55, uniform(r, -10, 25));
    tone = chance(r, 0.5f) ? warm : cool;
    v->rim = v3_of(0, 0, 0);
    if (chance(r, 0.4f))
        v->rim = scale3(mix3(white, tone, 0.6f), uniform(r, 0.4f, 1.4f));
    v->rim_direction = any_direction(r, 115, 160, 10, 50, true);
    v->gloss = uniform(r, 0.35f, 1.2f);
}

static void draw_surroundings(picture *v, const person *p, mcf_rng *r)
{
    float w[GROUND_KINDS] = {2.2f, 1.4f, 1.5f, 2, 1.8f, 0.9f, 0.5f};
    v->ground = (ground_kind)choose(r, w, GROUND_KINDS);
    for (int i = 0; i < 5; i++)
        v->ground_colour[i] = any_colour(r);
    v->ground_seed = mcf_rng_u32(r);
    v->ground_blur = uniform(r, 0, 1);

    v->glasses = GLASSES_NONE;
    if (p->wears_glasses && chance(r, 0.88f))
        v->glasses = GLASSES_CLEAR;
    else if (chance(r, 0.045f))
        v->glasses = GLASSES_SUN;
    v->tint = v->glasses == GLASSES_SUN ? uniform(r, 0.75f, 0.97f) : uniform(r, 0, 0.08f);
    v->lens_colour = chance(r, 0.6f) ? v3_of(0.02f, 0.02f, 0.025f) : scale3(any_colour(r), 0.12f);

    v->hat = HAT_NONE;
    if (chance(r, 0.1f)) {
        float h[5] = {0, 1.2f, 1.3f, 0.8f, p->masculine < 0.5f ? 1.2f : 0.05f};
        v->hat = (hat_kind)choose(r, h, 5);
    }
    v->hat_colour = any_colour(r);
    v->hat_colour2 = any_colour(r);
    v->hat_pattern = (int)mcf_rng_below(r, 3);
    float c[CLOTH_KINDS] = {2.2f, 1.4f, 1.4f, p->child > 0 ? 0.1f : 0.6f + 1.2f * p->masculine, 0.7f, 0.8f};
    v->cloth = (cloth_kind)choose(r, c, CLOTH_KINDS);
    v->cloth_colour = any_colour(r);
    v->cloth_colour2 = any_colour(r);
    if (v->cloth == CLOTH_SUIT)
        v->cloth_colour = scale3(mix3(v->cloth_colour, v3_of(0.2f, 0.2f, 0.24f), 0.8f), uniform(r, 0.15f, 0.8f));
    v->shirt_colour = chance(r, 0.6f) ? v3_of(0.78f, 0.79f, 0.82f) : mix3(any_colour(r), v3_of(0.7f, 0.7f, 0.7f), 0.5f);
    v->cloth_pattern = (int)mcf_rng_below(r, 6);
    v->tie = chance(r, 0.25f + 0.5f * p->masculine);
    v->earrings = p->earrings && chance(r, 0.85f);
    v->necklace = p->necklace && chance(r, 0.8f);
    v->occluder = OCCLUDER_NONE;
    if (chance(r, 0.1f))
        v->occluder = (occluder_kind)(1 + mcf_rng_below(r, OCCLUDER_KINDS - 1));
    v->occluder_x = uniform(r, -1, 1);
    v->occluder_y = uniform(r, 0, 1);
    v->occluder_angle = bell(r);
    v->occluder_colour = any_colour(r);
    v->hair_wind = bell(r);
}

static void draw_camera(picture *v, mcf_rng *r)
{
    v->exposure = 1.08f + 0.13f * bell(r);
    v->contrast = clampf(1 + 0.1f * bell(r), 0.7f, 1.3f);
    v->saturation = chance(r, 0.05f) ? 0 : clampf(1 + 0.12f * bell(r), 0.5f, 1.35f);
    v->vignette = chance(r, 0.4f) ? uniform(r, 0, 0.4f) : 0;
    v->blur = chance(r, 0.25f) ? uniform(r, 0.3f, 1.4f) : 0;
    v->motion = chance(r, 0.05f) ? uniform(r, 2, 6) : 0;
    v->motion_angle = uniform(r, 0, SYNTH_PI);
    v->noise = chance(r, 0.6f) ? uniform(r, 0.5f, 3.5f) : uniform(r, 3, 9);
    v->noise *= mcf_rng_float(r);
    v->low_resolution = chance(r, 0.07f) ? uniform(r, 1.5f, 3) : 1;
    float red = 0.04f * bell(r), blue = 0.05f * bell(r);
    v->white = v3_of(1 + red, 1, 1 + blue);
    v->quality = 72 + (int)mcf_rng_below(r, 24);
    v->noise_seed = mcf_rng_u32(r);
}

void mcf_synth_picture(picture *v, const person *p, uint64_t seed, uint32_t number)
{
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_SYNTH, 1 + number, p->number), *r = &rng;
    *v = (picture){0};
    draw_pose(v, r);
    draw_expression(v, r);
    draw_light(v, r);
    draw_surroundings(v, p, r);
    draw_camera(v, r);
}
