// Faces that are drawn: the same whatever came before, points on the masks they belong to, every class,
// people who stay themselves.
#include "tests/data/helpers.h"

#include <math.h>
#include <time.h>

#include "data/synth/synth.h"

typedef struct {
    int size;
    uint8_t *pixels, *celeba, *lapa;
    mcf_synth_face face;
} kept;

static mcf_synth *renderer(int size)
{
    mcf_synth *s;
    mcf_error err = {0};
    if (mcf_synth_create(&s, size, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return s;
}

static mcf_synth_face draw(mcf_synth *s, uint64_t seed, uint64_t identity, uint32_t number)
{
    mcf_synth_face face;
    mcf_error err = {0};
    if (mcf_synth_render(s, seed, identity, number, &face, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return face;
}

static void *copy(const void *bytes, size_t size)
{
    void *to = malloc(size);
    assert_non_null(to);
    memcpy(to, bytes, size);
    return to;
}

static kept keep(const mcf_synth_face *f)
{
    size_t count = (size_t)f->size * (size_t)f->size;
    return (kept){f->size, copy(f->pixels, 3 * count), copy(f->celeba, count), copy(f->lapa, count), *f};
}

static void release(kept *k)
{
    free(k->pixels);
    free(k->celeba);
    free(k->lapa);
}

static bool same(const kept *k, const mcf_synth_face *f)
{
    size_t count = (size_t)f->size * (size_t)f->size;
    return k->size == f->size && !memcmp(k->pixels, f->pixels, 3 * count) && !memcmp(k->celeba, f->celeba, count) &&
           !memcmp(k->lapa, f->lapa, count) && !memcmp(k->face.points, f->points, sizeof f->points) &&
           !memcmp(k->face.box, f->box, sizeof f->box);
}

static void a_name_is_a_picture(void **state)
{
    (void)state;
    mcf_synth *a = renderer(96), *b = renderer(96);
    kept first[6];
    for (uint32_t i = 0; i < 6; i++) {
        mcf_synth_face f = draw(a, 5, i / 3, i % 3);
        first[i] = keep(&f);
    }
    // backwards, after others, on another renderer
    for (int i = 5; i >= 0; i--) {
        draw(b, 77, (uint64_t)i, 3);
        mcf_synth_face f = draw(b, 5, (uint64_t)i / 3, (uint32_t)i % 3);
        assert_true(same(&first[i], &f));
        f = draw(a, 5, (uint64_t)i / 3, (uint32_t)i % 3);
        assert_true(same(&first[i], &f));
        f = draw(a, 6, (uint64_t)i / 3, (uint32_t)i % 3);
        assert_false(same(&first[i], &f));
        f = draw(a, 5, (uint64_t)i / 3, (uint32_t)i % 3 + 7);
        assert_false(same(&first[i], &f));
    }
    for (int i = 0; i < 6; i++)
        release(&first[i]);
    mcf_synth_free(a);
    mcf_synth_free(b);
}

// Smallest distance from (x, y) to the centre of a pixel of one of two classes; large where there is none.
static float distance(const mcf_synth_face *f, float x, float y, int one, int two)
{
    float best = 1e9f;
    for (int v = 0; v < f->size; v++)
        for (int u = 0; u < f->size; u++) {
            int label = f->celeba[v * f->size + u];
            if (label == one || label == two) {
                float dx = (float)u + 0.5f - x, dy = (float)v + 0.5f - y, d = dx * dx + dy * dy;
                best = d < best ? d : best;
            }
        }
    return sqrtf(best);
}

static int area(const mcf_synth_face *f, int label)
{
    int sum = 0;
    for (int i = 0; i < f->size * f->size; i++)
        sum += f->celeba[i] == label;
    return sum;
}

typedef struct {
    long seen, far;
    float worst;
} tally;

static void measure(tally *t, const mcf_synth_face *f, mcf_point_set set, int i, int one, int two, float limit)
{
    const mcf_synth_point *p = &f->points[set][i];
    if (!p->visible || area(f, one) < 12)
        return;
    float d = distance(f, p->x, p->y, one, two);
    t->seen++;
    t->far += d > limit;
    t->worst = d > t->worst ? d : t->worst;
}

// Points that can be seen lie on, or within a few pixels of, the class they belong to.
static void points_lie_on_their_masks(void **state)
{
    (void)state;
    enum { FACES = 60 };
    mcf_synth *s = renderer(256);
    tally eyes = {0}, brows = {0}, nose = {0}, lips = {0}, pupils = {0};
    for (int n = 0; n < FACES; n++) {
        mcf_synth_face f = draw(s, 3, (uint64_t)n, 0);
        for (int i = 0; i < 8; i++) {
            measure(&eyes, &f, MCF_POINTS_98, 60 + i, MCF_SYNTH_L_EYE, MCF_SYNTH_L_EYE, 3);
            measure(&eyes, &f, MCF_POINTS_98, 68 + i, MCF_SYNTH_R_EYE, MCF_SYNTH_R_EYE, 3);
        }
        for (int i = 0; i < 9; i++) {
            measure(&brows, &f, MCF_POINTS_106, 33 + i, MCF_SYNTH_L_BROW, MCF_SYNTH_L_BROW, 3);
            measure(&brows, &f, MCF_POINTS_106, 42 + i, MCF_SYNTH_R_BROW, MCF_SYNTH_R_BROW, 3);
        }
        for (int i = 27; i < 36; i++)
            measure(&nose, &f, MCF_POINTS_68, i, MCF_SYNTH_NOSE, MCF_SYNTH_NOSE, 3);
        for (int i = 48; i < 68; i++)
            measure(&lips, &f, MCF_POINTS_68, i, MCF_SYNTH_U_LIP, MCF_SYNTH_L_LIP, 3);
        measure(&pupils, &f, MCF_POINTS_98, 96, MCF_SYNTH_L_EYE, MCF_SYNTH_L_EYE, 3);
        measure(&pupils, &f, MCF_POINTS_98, 97, MCF_SYNTH_R_EYE, MCF_SYNTH_R_EYE, 3);
    }
    const tally *all[5] = {&eyes, &brows, &nose, &lips, &pupils};
    static const char *const names[5] = {"eyes", "brows", "nose", "lips", "pupils"};
    for (int i = 0; i < 5; i++) {
        print_message("%s: %ld points seen, %ld further than 3 pixels, worst %.1f\n", names[i], all[i]->seen,
                      all[i]->far, (double)all[i]->worst);
        assert_true(all[i]->seen > (i == 4 ? 60 : 300));
        // hair, frames and fingers hide a part of a mask whose point is still seen beside them: rare
        assert_true(all[i]->far * 50 <= all[i]->seen);
    }
    mcf_synth_free(s);
}

static void points_and_boxes_lie_in_the_picture(void **state)
{
    (void)state;
    mcf_synth *s = renderer(128);
    int inside = 0, all = 0, hidden = 0;
    for (int n = 0; n < 80; n++) {
        mcf_synth_face f = draw(s, 8, (uint64_t)n, 1);
        assert_true(f.box[2] - f.box[0] > 25 && f.box[3] - f.box[1] > 25);
        assert_true(f.box[2] - f.box[0] < 160 && f.box[3] - f.box[1] < 160);
        for (int set = 0; set < MCF_POINT_SETS; set++)
            for (int i = 0; i < mcf_point_counts[set]; i++) {
                const mcf_synth_point *p = &f.points[set][i];
                assert_true(isfinite(p->x) && isfinite(p->y));
                assert_true(p->x >= f.box[0] && p->x <= f.box[2] && p->y >= f.box[1] && p->y <= f.box[3]);
                bool in = p->x >= 0 && p->y >= 0 && p->x < 128 && p->y < 128;
                assert_true(in || !p->visible);
                all++;
                inside += in;
                hidden += !p->visible;
            }
        // sets agree where they name the same place
        assert_memory_equal(&f.points[MCF_POINTS_98][0], &f.points[MCF_POINTS_106][0], 33 * sizeof(mcf_synth_point));
        assert_memory_equal(&f.points[MCF_POINTS_68][8], &f.points[MCF_POINTS_98][16], sizeof(mcf_synth_point));
        assert_memory_equal(&f.points[MCF_POINTS_68][48], &f.points[MCF_POINTS_98][76], 20 * sizeof(mcf_synth_point));
        assert_memory_equal(&f.points[MCF_POINTS_5][0], &f.points[MCF_POINTS_106][104], 2 * sizeof(mcf_synth_point));
        assert_memory_equal(&f.points[MCF_POINTS_5][3], &f.points[MCF_POINTS_106][84], sizeof(mcf_synth_point));
        assert_memory_equal(&f.points[MCF_POINTS_19][6], &f.points[MCF_POINTS_98][60], sizeof(mcf_synth_point));
        assert_memory_equal(&f.points[MCF_POINTS_19][11], &f.points[MCF_POINTS_98][72], sizeof(mcf_synth_point));
    }
    assert_true(inside > all * 97 / 100);
    assert_true(hidden > all / 50 && hidden < all / 2);
    mcf_synth_free(s);
}

// Small x is "left" in every set; the nose goes where the head turns.
// The same picture from nearer: the same person, pose and light, the face larger by the share that is promised.
static void framings_differ_by_size_alone(void **state)
{
    (void)state;
    mcf_synth *s = renderer(96);
    double grown = 0, most = 0;
    for (uint64_t i = 0; i < 40; i++) {
        mcf_synth_face far = draw(s, 3, i, 0);
        mcf_synth_set_framing(s, MCF_SYNTH_CLOSE);
        mcf_synth_face near = draw(s, 3, i, 0);
        mcf_synth_set_framing(s, MCF_SYNTH_PORTRAIT);
        assert_true(near.yaw == far.yaw && near.pitch == far.pitch && near.roll == far.roll);
        assert_memory_equal(&near.attributes, &far.attributes, sizeof near.attributes);
        double ratio = (near.box[3] - near.box[1]) / (far.box[3] - far.box[1]);
        assert_true(ratio > 1.1);
        grown += ratio / 40;
        most = fmax(most, near.box[3] - near.box[1]);
    }
    assert_true(grown > 1.4 && grown < 1.65);
    assert_true(most < 96 * 1.2);
    mcf_synth_free(s);
}

static void sides_are_as_published(void **state)
{
    (void)state;
    mcf_synth *s = renderer(128);
    int right = 0, left = 0, both = 0;
    for (int n = 0; n < 120; n++) {
        mcf_synth_face f = draw(s, 21, (uint64_t)n, 0);
        const mcf_synth_point *p = f.points[MCF_POINTS_5];
        float turn = p[2].x - 0.5f * (p[0].x + p[1].x), sum[2] = {0, 0};
        int count[2] = {0, 0};
        if (fabsf(f.roll) > 20)
            continue;
        if (f.yaw > 25 && f.yaw < 60) {
            right++;
            assert_true(turn > 0);
        } else if (f.yaw < -25 && f.yaw > -60) {
            left++;
            assert_true(turn < 0);
        }
        if (fabsf(f.yaw) < 45) {
            assert_true(p[0].x < p[1].x && p[3].x < p[4].x);
            assert_true(f.points[MCF_POINTS_106][33].x < f.points[MCF_POINTS_106][46].x);
            for (int i = 0; i < 128 * 128; i++)
                for (int side = 0; side < 2; side++)
                    if (f.celeba[i] == MCF_SYNTH_L_EYE + side) {
                        sum[side] += (float)(i % 128);
                        count[side]++;
                    }
            if (count[0] > 5 && count[1] > 5) {
                both++;
                assert_true(sum[0] / (float)count[0] < sum[1] / (float)count[1]);
            }
        }
    }
    assert_true(right > 3 && left > 3 && both > 40);
    mcf_synth_free(s);
}

static void every_class_appears(void **state)
{
    (void)state;
    mcf_synth *s = renderer(64);
    static const uint8_t lapa_of[MCF_SYNTH_CLASSES] = {0, 0, 1, 0, 0, 0, 2, 3, 4, 5, 6, 8, 9, 7, 10, 1, 0, 0, 0};
    long celeba[MCF_SYNTH_CLASSES] = {0}, lapa[MCF_SYNTH_LAPA_CLASSES] = {0};
    for (int n = 0; n < 250; n++) {
        mcf_synth_face f = draw(s, 2, (uint64_t)n, 0);
        for (int i = 0; i < 64 * 64; i++) {
            assert_true(f.celeba[i] < MCF_SYNTH_CLASSES && f.lapa[i] == lapa_of[f.celeba[i]]);
            celeba[f.celeba[i]]++;
            lapa[f.lapa[i]]++;
        }
    }
    for (int c = 0; c < MCF_SYNTH_CLASSES; c++) {
        assert_true(celeba[c] > 20);
        assert_true(c == 0 || strlen(mcf_synth_part_names[c]) > 2);
    }
    for (int c = 0; c < MCF_SYNTH_LAPA_CLASSES; c++)
        assert_true(lapa[c] > 20);
    assert_true(celeba[MCF_SYNTH_SKIN] > celeba[MCF_SYNTH_NOSE] && celeba[MCF_SYNTH_HAIR] > celeba[MCF_SYNTH_L_BROW]);
    mcf_synth_free(s);
}

// Pictures differ in light far more than people in skin; what is left of a colour without brightness is the
// person's.
static void people_stay_themselves(void **state)
{
    (void)state;
    enum { PEOPLE = 24, EACH = 6 };
    mcf_synth *s = renderer(64);
    double within = 0, mean[PEOPLE] = {0}, all = 0, between = 0;
    for (int n = 0; n < PEOPLE; n++) {
        double value[EACH];
        for (int k = 0; k < EACH; k++) {
            mcf_synth_face f = draw(s, 4, (uint64_t)n, (uint32_t)k);
            double skin = 0, count = 0, hair = 0, hairs = 0;
            for (int i = 0; i < 64 * 64; i++) {
                double grey = f.pixels[3 * i] * 0.3 + f.pixels[3 * i + 1] * 0.6 + f.pixels[3 * i + 2] * 0.1;
                if (f.celeba[i] == MCF_SYNTH_SKIN || f.celeba[i] == MCF_SYNTH_NOSE)
                    skin += grey, count++;
                else if (f.celeba[i] == MCF_SYNTH_HAIR)
                    hair += grey, hairs++;
            }
            value[k] = log((skin + 1) / (count + 1) + 5) - 0.3 * log((hair + 1) / (hairs + 1) + 20);
            mean[n] += value[k] / EACH;
        }
        for (int k = 0; k < EACH; k++)
            within += (value[k] - mean[n]) * (value[k] - mean[n]) / (PEOPLE * (EACH - 1));
        all += mean[n] / PEOPLE;
    }
    for (int n = 0; n < PEOPLE; n++)
        between += (mean[n] - all) * (mean[n] - all) / (PEOPLE - 1);
    print_message("skin over hair: variance %.4f between people, %.4f within\n", between, within);
    assert_true(between > 1.5 * within);
    mcf_synth_free(s);
}

static void pictures_of_one_person_differ(void **state)
{
    (void)state;
    mcf_synth *s = renderer(64);
    double low = 1e9, high = -1e9;
    for (uint32_t k = 0; k < 30; k++) {
        mcf_synth_face f = draw(s, 4, 9, k);
        low = f.yaw < low ? f.yaw : low;
        high = f.yaw > high ? f.yaw : high;
        assert_true(f.quality >= 60 && f.quality <= 100);
    }
    assert_true(low < -15 && high > 15);
    mcf_synth_free(s);
}

static void sizes_scale(void **state)
{
    (void)state;
    mcf_synth *small = renderer(64), *large = renderer(200);
    for (uint64_t n = 0; n < 5; n++) {
        mcf_synth_face a = draw(small, 1, n, 0), b = draw(large, 1, n, 0);
        for (int i = 0; i < 98; i++) {
            assert_true(fabsf(a.points[MCF_POINTS_98][i].x * 200 / 64 - b.points[MCF_POINTS_98][i].x) < 0.05f);
            assert_true(fabsf(a.points[MCF_POINTS_98][i].y * 200 / 64 - b.points[MCF_POINTS_98][i].y) < 0.05f);
        }
        double share_a = area(&a, MCF_SYNTH_SKIN) / (64.0 * 64), share_b = area(&b, MCF_SYNTH_SKIN) / (200.0 * 200);
        assert_true(fabs(share_a - share_b) < 0.03);
    }
    mcf_synth_free(small);
    mcf_synth_free(large);
}

static void wrong_sizes_and_numbers(void **state)
{
    (void)state;
    mcf_synth *s;
    mcf_error err = {0};
    assert_int_equal(mcf_synth_create(&s, 31, &err), MCF_ERR_USAGE);
    assert_null(s);
    assert_non_null(strstr(err.message, "31"));
    assert_int_equal(mcf_synth_create(&s, 1025, NULL), MCF_ERR_USAGE);
    s = renderer(32);
    mcf_synth_face f;
    assert_int_equal(mcf_synth_render(s, 0, 0, MCF_SYNTH_MAX_NUMBER, &f, &err), MCF_ERR_USAGE);
    assert_int_equal(mcf_synth_render(s, 0, (uint64_t)1 << 56, 0, &f, &err), MCF_ERR_USAGE);
    assert_int_equal(mcf_synth_render(s, ~(uint64_t)0, ((uint64_t)1 << 56) - 1, MCF_SYNTH_MAX_NUMBER - 1, &f, &err),
                     MCF_OK);
    mcf_synth_free(s);
    mcf_synth_free(NULL);
}

// bench/scripts/synth.sh measures; this only notices when drawing becomes several times slower.
static void drawing_is_quick(void **state)
{
    (void)state;
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#else
    mcf_synth *s = renderer(256);
    draw(s, 1, 0, 0);
    double best = 1e9;
    for (int round = 0; round < 3; round++) {
        clock_t began = clock();
        for (uint32_t n = 0; n < 16; n++)
            draw(s, 1, 1 + n / 8, n % 8);
        double each = (double)(clock() - began) / CLOCKS_PER_SEC / 16;
        best = each < best ? each : best;
    }
    print_message("%.1f ms a picture of 256 x 256\n", 1e3 * best);
    assert_true(best < 0.08);
    mcf_synth_free(s);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_a_picture),
        cmocka_unit_test(points_lie_on_their_masks),
        cmocka_unit_test(points_and_boxes_lie_in_the_picture),
        cmocka_unit_test(framings_differ_by_size_alone),
        cmocka_unit_test(sides_are_as_published),
        cmocka_unit_test(every_class_appears),
        cmocka_unit_test(people_stay_themselves),
        cmocka_unit_test(pictures_of_one_person_differ),
        cmocka_unit_test(sizes_scale),
        cmocka_unit_test(wrong_sizes_and_numbers),
        cmocka_unit_test(drawing_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
