// What the published files look like: see data/synth/write.h and the data sets' own pages.
#define _GNU_SOURCE
#include "data/synth/layouts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { PATH = 4096 };

#define LANDMARK_HEAD(name, count)                                                                                     \
    static void name(text *t)                                                                                          \
    {                                                                                                                  \
        mcf_text_put(t, "image_name,scale,center_w,center_h");                                                         \
        for (int i = 0; i < count; i++)                                                                                \
            mcf_text_add(t, ",original_%d_x,original_%d_y", i, i);                                                     \
        mcf_text_put(t, "\n");                                                                                         \
    }
LANDMARK_HEAD(head_68, 68)
LANDMARK_HEAD(head_98, 98)

static void head_19(text *t)
{
    mcf_text_put(t, "image_name,x1,y1,x2,y2");
    for (int i = 0; i < 19; i++)
        mcf_text_add(t, ",original_%d_x,original_%d_y", i, i);
    mcf_text_put(t, "\n");
}

static void head_mapping(text *t)
{
    mcf_text_put(t, "idx\torig_idx\torig_file\n");
}

#define WFLW_LISTS "WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/"

const list_entry mcf_layout_lists[LISTS] = {
    [LIST_WFLW_TRAIN] = {WFLW_LISTS "list_98pt_rect_attr_train.txt", MCF_SYNTH_WFLW, NULL},
    [LIST_WFLW_TEST] = {WFLW_LISTS "list_98pt_rect_attr_test.txt", MCF_SYNTH_WFLW, NULL},
    [LIST_WFLW_CSV_TRAIN] = {"WFLW/face_landmarks_wflw_train.csv", MCF_SYNTH_WFLW, head_98},
    [LIST_WFLW_CSV_TEST] = {"WFLW/face_landmarks_wflw_test.csv", MCF_SYNTH_WFLW, head_98},
    [LIST_300W_TRAIN] = {"300W/face_landmarks_300w_train.csv", MCF_SYNTH_300W, head_68},
    [LIST_300W_TEST] = {"300W/face_landmarks_300w_test.csv", MCF_SYNTH_300W, head_68},
    [LIST_AFLW_TRAIN] = {"AFLW/aflw19_train.csv", MCF_SYNTH_AFLW, head_19},
    [LIST_AFLW_TEST] = {"AFLW/aflw19_test.csv", MCF_SYNTH_AFLW, head_19},
    [LIST_MAPPING] = {"CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt", MCF_SYNTH_CELEBA, head_mapping},
    [LIST_PARTITION] = {"CelebAMask-HQ/list_eval_partition.txt", MCF_SYNTH_CELEBA, NULL},
    [LIST_LABELS] = {"labels.jsonl", 0, NULL},
};

static mcf_status make_folder(const char *out, const char *below, mcf_error *err)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", out, below);
    return mcf_directory_make(path, err);
}

static mcf_status make_link(const char *out, const char *below, mcf_error *err)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", out, below);
    if (symlink("../images", path) != 0 && errno != EEXIST)
        return mcf_fail(err, MCF_ERR_IO, "%s: no link to ../images can be made: %s", path, strerror(errno));
    return MCF_OK;
}

mcf_status mcf_layout_folders(const char *out, unsigned layouts, int64_t pictures, mcf_error *err)
{
    MCF_TRY(make_folder(out, "images", err));
    if (layouts & MCF_SYNTH_WFLW) {
        MCF_TRY(make_folder(out, WFLW_LISTS, err));
        MCF_TRY(make_link(out, "WFLW/WFLW_images", err));
    }
    if (layouts & MCF_SYNTH_300W) {
        MCF_TRY(make_folder(out, "300W", err));
        MCF_TRY(make_link(out, "300W/images", err));
    }
    if (layouts & MCF_SYNTH_AFLW) {
        MCF_TRY(make_folder(out, "AFLW", err));
        MCF_TRY(make_link(out, "AFLW/images", err));
    }
    if (layouts & MCF_SYNTH_LAPA) {
        static const char *const folders[6] = {"LaPa/train/images", "LaPa/train/labels", "LaPa/train/landmarks",
                                               "LaPa/test/images",  "LaPa/test/labels",  "LaPa/test/landmarks"};
        for (int i = 0; i < 6; i++)
            MCF_TRY(make_folder(out, folders[i], err));
    }
    if (layouts & MCF_SYNTH_CELEBA) {
        MCF_TRY(make_folder(out, "CelebAMask-HQ/CelebA-HQ-img", err));
        for (int64_t i = 0; i < pictures; i += 2000) {
            char below[64];
            snprintf(below, sizeof below, "CelebAMask-HQ/CelebAMask-HQ-mask-anno/%lld", (long long)(i / 2000));
            MCF_TRY(make_folder(out, below, err));
        }
    }
    return MCF_OK;
}

// A file of a folder that counts as complete when labels.jsonl is there; made durable with all others by one
// syncfs.
static mcf_status put_part(const char *path, const void *bytes, size_t size, mcf_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    mcf_status status = mcf_file_write_all(fd, bytes, size, path, err);
    if (close(fd) != 0 && status == MCF_OK)
        status = mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    if (status != MCF_OK)
        unlink(path);
    return status;
}

// A picture: it may be read while others are made, so it is whole or not there.
static mcf_status put_file(const char *path, const void *bytes, size_t size, mcf_error *err)
{
    char aside[PATH + 8];
    snprintf(aside, sizeof aside, "%s.part", path);
    mcf_status status = put_part(aside, bytes, size, err);
    if (status == MCF_OK && rename(aside, path) != 0) {
        status = mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
        unlink(aside);
    }
    return status;
}

// The same picture under another name.
static mcf_status put_again(const char *from, const char *to, const mcf_bytes *bytes, mcf_error *err)
{
    if (link(from, to) == 0)
        return MCF_OK;
    if (errno == EEXIST && unlink(to) == 0 && link(from, to) == 0)
        return MCF_OK;
    return put_file(to, bytes->data, bytes->size, err);
}

static void image_path(char *path, size_t size, const picture_name *n)
{
    snprintf(path, size, "%06llu/%06llu_%03u.jpg", (unsigned long long)n->identity, (unsigned long long)n->identity,
             n->number);
}

static mcf_status put_lapa(const char *out, const picture_name *n, const mcf_synth_face *f, const char *image,
                           const mcf_bytes *jpeg, mcf_bytes *scratch, mcf_error *err)
{
    char path[PATH], name[64];
    const char *split = n->test ? "test" : "train";
    snprintf(name, sizeof name, "%06llu_%03u", (unsigned long long)n->identity, n->number);
    snprintf(path, sizeof path, "%s/LaPa/%s/images/%s.jpg", out, split, name);
    MCF_TRY(put_again(image, path, jpeg, err));
    MCF_TRY(mcf_image_encode_png_mask(f->lapa, f->size, f->size, -1, scratch, err));
    snprintf(path, sizeof path, "%s/LaPa/%s/labels/%s.png", out, split, name);
    MCF_TRY(put_part(path, scratch->data, scratch->size, err));
    text t = {0};
    mcf_text_put(&t, "106\n");
    for (int i = 0; i < 106; i++) {
        mcf_lines_number(&t, f->points[MCF_POINTS_106][i].x, 3);
        mcf_text_put(&t, " ");
        mcf_lines_number(&t, f->points[MCF_POINTS_106][i].y, 3);
        mcf_text_put(&t, "\n");
    }
    snprintf(path, sizeof path, "%s/LaPa/%s/landmarks/%s.txt", out, split, name);
    mcf_status status =
        t.failed ? mcf_fail(err, MCF_ERR_NOMEM, "%s: no memory", path) : put_part(path, t.text, t.size, err);
    mcf_text_free(&t);
    return status;
}

static mcf_status put_celeba(const char *out, const picture_name *n, const mcf_synth_face *f, const char *image,
                             const mcf_bytes *jpeg, mcf_bytes *scratch, mcf_error *err)
{
    char path[PATH];
    long long i = n->index;
    snprintf(path, sizeof path, "%s/CelebAMask-HQ/CelebA-HQ-img/%lld.jpg", out, i);
    MCF_TRY(put_again(image, path, jpeg, err));
    bool there[MCF_SYNTH_CLASSES] = {false};
    for (int k = 0; k < f->size * f->size; k++)
        there[f->celeba[k]] = true;
    for (int c = 1; c < MCF_SYNTH_CLASSES; c++) {
        if (!there[c])
            continue;
        MCF_TRY(mcf_image_encode_png_mask(f->celeba, f->size, f->size, c, scratch, err));
        snprintf(path, sizeof path, "%s/CelebAMask-HQ/CelebAMask-HQ-mask-anno/%lld/%05lld_%s.png", out, i / 2000, i,
                 mcf_synth_part_names[c]);
        MCF_TRY(put_part(path, scratch->data, scratch->size, err));
    }
    return MCF_OK;
}

mcf_status mcf_layout_files(const char *out, unsigned layouts, const picture_name *n, const mcf_synth_face *f,
                            mcf_bytes scratch[2], mcf_error *err)
{
    char path[PATH], below[96];
    image_path(below, sizeof below, n);
    int made = snprintf(path, sizeof path, "%s/images/%s", out, below);
    if (made < 0 || (size_t)made + 128 > sizeof path)
        return mcf_fail(err, MCF_ERR_USAGE, "%.80s...: the path is too long", out);
    mcf_image image = {f->size, f->size, 3, 3 * (size_t)f->size, f->pixels};
    MCF_TRY(mcf_image_encode_jpeg(&image, f->quality, &scratch[0], err));
    MCF_TRY(put_file(path, scratch[0].data, scratch[0].size, err));
    if (layouts & MCF_SYNTH_LAPA)
        MCF_TRY(put_lapa(out, n, f, path, &scratch[0], &scratch[1], err));
    if (layouts & MCF_SYNTH_CELEBA)
        MCF_TRY(put_celeba(out, n, f, path, &scratch[0], &scratch[1], err));
    return MCF_OK;
}

// --- lines

static void coordinates(text *t, const mcf_synth_point *p, int count, const char *between, double shift)
{
    for (int i = 0; i < count; i++) {
        if (i)
            mcf_text_put(t, between);
        mcf_lines_number(t, (double)p[i].x + shift, 3);
        mcf_text_put(t, between);
        mcf_lines_number(t, (double)p[i].y + shift, 3);
    }
}

// HRNet's: a square of 200 * scale round the centre, about what a detector gives; 300W's numbers are 2 pixels
// on.
static void landmark_line(text *t, const char *image, const mcf_synth_face *f, mcf_point_set set, double shift)
{
    double w = f->box[2] - f->box[0], h = f->box[3] - f->box[1], side = 1.2 * (w > h ? w : h);
    mcf_text_put(t, image);
    mcf_text_put(t, ",");
    mcf_lines_number(t, side / 200, 4);
    mcf_text_put(t, ",");
    mcf_lines_number(t, 0.5 * ((double)f->box[0] + f->box[2]) + shift, 2);
    mcf_text_put(t, ",");
    mcf_lines_number(t, 0.5 * ((double)f->box[1] + f->box[3]) + shift, 2);
    mcf_text_put(t, ",");
    coordinates(t, f->points[set], mcf_point_counts[set], ",", shift);
    mcf_text_put(t, "\n");
}

static void wflw_line(text *t, const char *image, const mcf_synth_face *f)
{
    const mcf_synth_attributes *a = &f->attributes;
    coordinates(t, f->points[MCF_POINTS_98], 98, " ", 0);
    for (int i = 0; i < 4; i++) {
        mcf_text_put(t, " ");
        mcf_lines_number(t, f->box[i], 0);
    }
    const uint8_t flags[6] = {a->pose, a->expression, a->illumination, a->makeup, a->occlusion, a->blur};
    for (int i = 0; i < 6; i++)
        mcf_text_put(t, flags[i] ? " 1" : " 0");
    mcf_text_put(t, " ");
    mcf_text_put(t, image);
    mcf_text_put(t, "\n");
}

// AFLW's own file of MATLAB has its first 20,000 rows for training, so a table of a box and points stands in its place.
static void aflw_line(text *t, const char *image, const mcf_synth_face *f)
{
    mcf_text_put(t, image);
    for (int i = 0; i < 4; i++) {
        mcf_text_put(t, ",");
        mcf_lines_number(t, f->box[i], 2);
    }
    mcf_text_put(t, ",");
    coordinates(t, f->points[MCF_POINTS_19], 19, ",", 0);
    mcf_text_put(t, "\n");
}

static void label_line(text *t, unsigned layouts, const picture_name *n, const char *image, const mcf_synth_face *f)
{
    const mcf_synth_attributes *a = &f->attributes;
    const char *split = n->test ? "test" : "train";
    mcf_text_add(t,
                 "{\"image\": \"images/%s\", \"identity\": %llu, \"number\": %u, \"split\": \"%s\", \"size\": "
                 "%d, \"box\": [",
                 image, (unsigned long long)n->identity, n->number, split, f->size);
    for (int i = 0; i < 4; i++) {
        mcf_text_put(t, i ? ", " : "");
        mcf_lines_number(t, f->box[i], 2);
    }
    const float pose[3] = {f->yaw, f->pitch, f->roll};
    mcf_text_put(t, "], \"yaw_pitch_roll\": [");
    for (int i = 0; i < 3; i++) {
        mcf_text_put(t, i ? ", " : "");
        mcf_lines_number(t, pose[i], 2);
    }
    mcf_text_add(t,
                 "], \"attributes\": {\"pose\": %d, \"expression\": %d, \"illumination\": %d, \"make-up\": "
                 "%d, \"occlusion\": %d, \"blur\": %d}, \"points\": {",
                 a->pose, a->expression, a->illumination, a->makeup, a->occlusion, a->blur);
    for (int s = 0; s < MCF_POINT_SETS; s++) {
        mcf_text_add(t, "%s\"%d\": [", s ? ", " : "", mcf_point_counts[s]);
        for (int i = 0; i < mcf_point_counts[s]; i++) {
            const mcf_synth_point *p = &f->points[s][i];
            mcf_text_put(t, i ? ", [" : "[");
            mcf_lines_number(t, p->x, 2);
            mcf_text_put(t, ", ");
            mcf_lines_number(t, p->y, 2);
            mcf_text_put(t, p->visible ? ", 1]" : ", 0]");
        }
        mcf_text_put(t, "]");
    }
    mcf_text_put(t, "}, \"pixels\": {");
    int area[MCF_SYNTH_CLASSES] = {0};
    for (int k = 0; k < f->size * f->size; k++)
        area[f->celeba[k]]++;
    bool first = true;
    for (int c = 1; c < MCF_SYNTH_CLASSES; c++)
        if (area[c]) {
            mcf_text_add(t, "%s\"%s\": %d", first ? "" : ", ", mcf_synth_part_names[c], area[c]);
            first = false;
        }
    mcf_text_put(t, "}");
    if (layouts & MCF_SYNTH_LAPA)
        mcf_text_add(t, ", \"lapa\": \"LaPa/%s/labels/%06llu_%03u.png\"", split, (unsigned long long)n->identity,
                     n->number);
    if (layouts & MCF_SYNTH_CELEBA)
        mcf_text_add(t, ", \"celeba\": \"CelebAMask-HQ/CelebAMask-HQ-mask-anno/%lld/%05lld_*.png\"",
                     (long long)(n->index / 2000), (long long)n->index);
    mcf_text_put(t, "}\n");
}

void mcf_layout_lines(text lines[LISTS], unsigned layouts, const picture_name *n, const mcf_synth_face *f)
{
    char image[96];
    image_path(image, sizeof image, n);
    if (layouts & MCF_SYNTH_WFLW) {
        wflw_line(&lines[LIST_WFLW_TRAIN + n->test], image, f);
        landmark_line(&lines[LIST_WFLW_CSV_TRAIN + n->test], image, f, MCF_POINTS_98, 0);
    }
    if (layouts & MCF_SYNTH_300W)
        landmark_line(&lines[LIST_300W_TRAIN + n->test], image, f, MCF_POINTS_68, 2);
    if (layouts & MCF_SYNTH_AFLW)
        aflw_line(&lines[LIST_AFLW_TRAIN + n->test], image, f);
    if (layouts & MCF_SYNTH_CELEBA) {
        // CelebA's own numbers tell the splits apart: train up to 162,770, test from 182,638.
        long long original = n->test ? 182637 + n->place : n->place;
        mcf_text_add(&lines[LIST_MAPPING], "%lld\t%lld\t%06lld.jpg\n", (long long)n->index, original, original + 1);
        mcf_text_add(&lines[LIST_PARTITION], "%06lld.jpg %d\n", original + 1, n->test ? 2 : 0);
    }
    label_line(&lines[LIST_LABELS], layouts, n, image, f);
}
