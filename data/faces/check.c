#include "data/faces/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/faces/draw.h"
#include "data/faces/file.h"
#include "data/faces/mask.h"

const char *mcf_face_state_name(mcf_face_state state)
{
    static const char *const names[MCF_FACE_KINDS] = {"good faces",        "missing pictures",
                                                      "broken pictures",   "missing label maps",
                                                      "broken label maps", "faces without a crop"};
    return names[state];
}

// Reads a picture with the buffers of a thread. *missing: it is not there.
static mcf_status read_picture(const char *path, mcf_bytes *file, mcf_bytes *pixels, mcf_decoded *decoded,
                               bool *missing, mcf_error *err)
{
    bool there;
    *missing = false;
    MCF_TRY(mcf_face_read_file(path, file, &there, err));
    *missing = !there;
    if (!there)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(ENOENT));
    const mcf_status status =
        mcf_image_decode(file->data, file->size, &(mcf_decode_options){.channels = 4}, pixels, decoded, err);
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "%s", path);
}

// --- reading all

typedef struct {
    const mcf_face_set *set;
    const mcf_face_check_options *options;
    mcf_face_check *check;
    atomic_llong next, done;
    atomic_bool stop;
    pthread_mutex_t lock; // of the sums in check
} job;

typedef struct {
    mcf_bytes file, pixels;
    mcf_mask_scratch mask;
} buffers;

static mcf_face_state look(job *j, int64_t i, buffers *b, mcf_decoded *decoded, mcf_face_mask *mask, mcf_error *err)
{
    const mcf_face *face = &j->set->faces[i];
    mcf_face_map map;
    bool missing;
    if (read_picture(face->image, &b->file, &b->pixels, decoded, &missing, err) != MCF_OK)
        return missing ? MCF_FACE_NO_PICTURE : MCF_FACE_BROKEN_PICTURE;
    const int width = decoded->original_width, height = decoded->original_height;
    if (j->options->labels) {
        const mcf_status status =
            mcf_face_mask_read(j->set, i, j->options->classes, width, height, &b->mask, mask, err);
        if (status != MCF_OK)
            return status == MCF_ERR_IO ? MCF_FACE_NO_MASK : MCF_FACE_BROKEN_MASK;
    }
    if (mcf_face_map_of(j->set, i, j->options->augment, NULL, width, height, &map, err) != MCF_OK) {
        char place[600];
        mcf_add_context(err, err->status, "%s", mcf_face_where(j->set, face->file, face->line, place, sizeof place));
        return MCF_FACE_NO_CROP;
    }
    return MCF_FACE_GOOD;
}

static int64_t points_outside(const mcf_face_set *set, int64_t i, int width, int height)
{
    int64_t outside = 0;
    for (int p = 0; p < set->points; p++) {
        const double *at = set->xy + (i * set->points + p) * 2;
        outside += !(at[0] >= -0.5 && at[1] >= -0.5 && at[0] <= width - 0.5 && at[1] <= height - 0.5);
    }
    return outside;
}

static void sum_up(job *j, int64_t i, const mcf_decoded *decoded, const mcf_face_mask *mask)
{
    mcf_face_check *c = j->check;
    const int w = decoded->original_width, h = decoded->original_height;
    const int64_t outside = points_outside(j->set, i, w, h);
    int64_t pixels[256] = {0};
    for (size_t p = 0, n = mask->labels ? (size_t)mask->width * (size_t)mask->height : 0; p < n; p++)
        pixels[mask->labels[p]]++;
    pthread_mutex_lock(&j->lock);
    c->points_outside += outside;
    c->faces_outside += outside > 0;
    for (int side = 0; side < 2; side++) {
        const int length = side ? w : h;
        c->least_side = c->least_side && c->least_side < length ? c->least_side : length;
        c->most_side = c->most_side > length ? c->most_side : length;
    }
    for (int k = 0; k < 256; k++) {
        c->class_pixels[k] += pixels[k];
        c->class_faces[k] += pixels[k] > 0;
    }
    pthread_mutex_unlock(&j->lock);
}

static void *work(void *argument)
{
    job *j = argument;
    buffers b = {0};
    while (!atomic_load(&j->stop)) {
        const int64_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->set->count)
            break;
        mcf_error err = {0};
        mcf_decoded decoded;
        mcf_face_mask mask = {0};
        const mcf_face_state state = look(j, i, &b, &decoded, &mask, &err);
        j->check->state[i] = (uint8_t)state;
        if (state == MCF_FACE_GOOD)
            sum_up(j, i, &decoded, &mask);
        else
            j->check->what[i] = strdup(err.message);
        atomic_fetch_add(&j->done, 1);
    }
    mcf_bytes_free(&b.file);
    mcf_bytes_free(&b.pixels);
    mcf_mask_scratch_free(&b.mask);
    return NULL;
}

static mcf_status run_threads(job *j, mcf_error *err)
{
    pthread_t threads[64];
    int started = 0;
    const int wanted = j->options->threads < 1 ? 1 : j->options->threads > 64 ? 64 : j->options->threads;
    while (started < wanted && pthread_create(&threads[started], NULL, work, j) == 0)
        started++;
    if (!started)
        return mcf_fail(err, MCF_ERR_IO, "no thread can be started");
    while (atomic_load(&j->done) < j->set->count && !atomic_load(&j->stop)) {
        usleep(50000);
        if (j->options->progress)
            j->options->progress(j->options->context, atomic_load(&j->done), j->set->count);
        if (j->options->stop && *j->options->stop)
            atomic_store(&j->stop, true);
    }
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return atomic_load(&j->stop) ? mcf_fail(err, MCF_ERR_INTERRUPTED, "interrupted") : MCF_OK;
}

mcf_status mcf_face_check_run(mcf_face_check *check, const mcf_face_set *set, const mcf_face_check_options *options,
                              mcf_error *err)
{
    *check = (mcf_face_check){.count = set->count};
    check->state = calloc((size_t)set->count + 1, 1);
    check->what = calloc((size_t)set->count + 1, sizeof *check->what);
    if (!check->state || !check->what) {
        mcf_face_check_free(check);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a check of %lld faces", (long long)set->count);
    }
    job j = {.set = set, .options = options, .check = check, .lock = PTHREAD_MUTEX_INITIALIZER};
    mcf_status status = run_threads(&j, err);
    for (int64_t i = 0; i < set->count; i++)
        check->states[check->state[i]]++;
    if (status != MCF_OK)
        mcf_face_check_free(check);
    return status;
}

void mcf_face_check_free(mcf_face_check *check)
{
    for (int64_t i = 0; check->what && i < check->count; i++)
        free(check->what[i]);
    free(check->what);
    free(check->state);
    *check = (mcf_face_check){0};
}

// --- the sheet

typedef struct {
    const mcf_face_set *set;
    mcf_face_augment augment;
    bool labels;
    uint64_t seed;
    int cell;
    buffers buffers;
    mcf_face_scratch scratch;
    mcf_bytes crop, map;
} artist;

static void draw_points(const artist *a, const mcf_canvas *canvas, const float *shares)
{
    for (int p = 0; p < a->set->points; p++) {
        uint8_t rgb[3];
        mcf_draw_colour(p + 1, rgb);
        mcf_draw_point(canvas, shares[2 * p] * a->cell - 0.5, shares[2 * p + 1] * a->cell - 0.5, a->cell / 140.0, rgb);
    }
}

// One face into its cell.
static mcf_status draw_face(artist *a, int64_t i, bool random, const mcf_canvas *canvas, mcf_error *err)
{
    mcf_decoded decoded;
    mcf_face_map map;
    mcf_face_mask mask;
    bool missing;
    mcf_rng rng = mcf_rng_make(a->seed, MCF_RNG_AUGMENT1, 0, (uint64_t)i);
    const mcf_face_draws drawn = mcf_face_draw(&a->augment, &rng), *draws = random ? &drawn : NULL;
    const bool flip = draws && draws->flip;
    const size_t cell = (size_t)a->cell, size = (size_t)a->augment.size;
    MCF_TRY(read_picture(a->set->faces[i].image, &a->buffers.file, &a->buffers.pixels, &decoded, &missing, err));
    const int width = decoded.image.width, height = decoded.image.height;
    MCF_TRY(mcf_face_map_of(a->set, i, &a->augment, draws, width, height, &map, err));
    MCF_TRY(mcf_bytes_resize(&a->crop, cell * cell * 3, err));
    MCF_TRY(mcf_face_pixels(&a->augment, &map, draws, &decoded.image, &a->scratch, a->crop.data, err));
    for (size_t y = 0; y < cell; y++)
        memcpy(canvas->pixels + y * canvas->stride, a->crop.data + y * cell * 3, cell * 3);
    if (a->labels) {
        MCF_TRY(mcf_face_mask_read(a->set, i, 0, width, height, &a->buffers.mask, &mask, err));
        MCF_TRY(mcf_bytes_resize(&a->map, size * size, err));
        MCF_TRY(mcf_face_labels(&a->augment, &map, flip, mask.labels, mask.width, mask.height, width, height,
                                &a->scratch, a->map.data, err));
        mcf_draw_classes(canvas, a->map.data, (int)size, (int)size, 0.5);
        return MCF_OK;
    }
    MCF_TRY(mcf_bytes_resize(&a->map, (size_t)a->set->points * 2 * sizeof(float), err));
    MCF_TRY(mcf_face_points_of(a->set, i, &map, flip, (float *)(void *)a->map.data, err));
    draw_points(a, canvas, (const float *)(const void *)a->map.data);
    return MCF_OK;
}

// `wanted` good faces spread over the set; returns how many there are.
static int choose(const mcf_face_check *check, int wanted, int64_t *chosen)
{
    const int64_t good = check->states[MCF_FACE_GOOD];
    const int count = good < wanted ? (int)good : wanted;
    int64_t seen = 0;
    int got = 0;
    for (int64_t i = 0; i < check->count && got < count; i++) {
        if (check->state[i] != MCF_FACE_GOOD)
            continue;
        if (seen++ >= got * good / count)
            chosen[got++] = i;
    }
    return got;
}

mcf_status mcf_face_sheet(const mcf_face_set *set, const mcf_face_check *check, const mcf_face_augment *augment,
                          bool labels, bool random, uint64_t seed, int wanted, int columns, int cell, mcf_bytes *pixels,
                          int *width, int *height, mcf_error *err)
{
    int64_t chosen[256];
    const int count = choose(check, wanted < 256 ? wanted : 256, chosen), gap = 4, each = random ? 2 : 1;
    const int rows = (count + columns - 1) / columns * each;
    artist a = {.set = set, .augment = *augment, .labels = labels, .seed = seed, .cell = cell};
    a.augment.out_size = cell;
    *width = columns * (cell + gap) + gap;
    *height = rows ? rows * (cell + gap) + gap : 0;
    const size_t stride = (size_t)*width * 3;
    mcf_status status = mcf_bytes_resize(pixels, stride * (size_t)*height, err);
    if (status == MCF_OK && rows)
        memset(pixels->data, 255, stride * (size_t)*height);
    for (int k = 0; status == MCF_OK && k < count * each; k++) {
        const int face = k / each, row = face / columns * each + k % each, column = face % columns;
        const mcf_canvas canvas = {.width = cell,
                                   .height = cell,
                                   .stride = stride,
                                   .pixels = pixels->data + (size_t)(gap + row * (cell + gap)) * stride +
                                             (size_t)(gap + column * (cell + gap)) * 3};
        status = draw_face(&a, chosen[face], k % each == 1, &canvas, err);
    }
    mcf_bytes_free(&a.buffers.file);
    mcf_bytes_free(&a.buffers.pixels);
    mcf_mask_scratch_free(&a.buffers.mask);
    mcf_face_scratch_free(&a.scratch);
    mcf_bytes_free(&a.crop);
    mcf_bytes_free(&a.map);
    return status;
}
