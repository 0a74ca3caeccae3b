#include "infer/predict.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/printable.h"
#include "data/faces/crop_face.h"
#include "data/faces/mask.h"
#include "data/faces/sample.h"
#include "infer/dense.h"
#include "infer/letters.h"
#include "infer/predict_input.h"
#include "run/config/faces.h"
#include "run/input_faces.h"
#include "run/output.h"

enum { READABLE = 512, LEGEND_SIDE = 14 };

typedef struct {
    const mcf_predict_options *options;
    mcf_dense_inference network;
    mcf_predict_detector *detector;
    mcf_face_augment still;
    const mcf_face_layout *layout;
    bool align;
    int outputs, batch;
    // of the picture being made
    mcf_bytes encoded, decoded, file;
    mcf_image image;
    mcf_face_scratch scratch;
    mcf_face_map *maps;  // [batch]
    uint8_t *crops;      // [batch, side, side, 3]
    float *out, *inner;  // answers of a batch; one face's logits, classes innermost
    uint8_t *pred, *own; // [height, width]: classes of all faces; of one
    mcf_bytes classes[2];
    json_t *faces;
    mcf_canvas canvas;
    mcf_bytes drawn;
    int enlarged; // the drawn picture's pixels for one of the photograph
} prediction;

// --- crops

// CelebAMask-HQ's pictures are crops of FFHQ's kind: a photograph with five points is brought to it.
static mcf_status quad_map(const prediction *p, const mcf_predict_face *face, mcf_face_map *map, mcf_error *err)
{
    float points[5][2];
    mcf_similarity fit;
    for (int i = 0; i < 10; i++)
        points[i / 2][i % 2] = (float)face->five[i / 2][i % 2];
    MCF_TRY(mcf_template_fit(MCF_TEMPLATE_FFHQ, (const float(*)[2])points, &fit, err));
    const int side = p->still.size;
    const double s = (double)side / MCF_CROP_SIDE, shift = (s - 1) / 2; // centres at whole numbers
    const mcf_face_affine crop = {
        {s * fit.a, -s * fit.b, s * fit.tx + shift, s * fit.b, s * fit.a, s * fit.ty + shift}};
    return mcf_face_map_make(&crop, p->still.warp, side, side, map, err);
}

static mcf_status map_of(const prediction *p, const mcf_predict_face *face, mcf_face_map *map, mcf_error *err)
{
    const bool whole = strcmp(face->from, "whole picture") == 0;
    double xy[10];
    mcf_face one = {.box = {face->box[0], face->box[1], face->box[2], face->box[3]}};
    const mcf_face_set set = {
        .layout = p->layout, .points = face->has_five ? 5 : 0, .count = 1, .faces = &one, .xy = xy};
    mcf_face_augment still = p->still;
    memcpy(xy, face->five, sizeof xy);
    if (still.crop == MCF_CROP_OF_IMAGE && face->has_five)
        return quad_map(p, face, map, err);
    // Without points the box has to do; a whole picture is taken as it is.
    if ((still.crop == MCF_CROP_OF_POINTS && !face->has_five) || (still.crop == MCF_CROP_OF_IMAGE && !whole))
        still.crop = MCF_CROP_OF_BOX;
    if (whole) {
        still.crop = MCF_CROP_OF_IMAGE;
        still.face_scale = 1;
    }
    return mcf_face_map_of(&set, 0, &still, NULL, p->image.width, p->image.height, map, err);
}

// --- answers

static json_t *pair(double x, double y)
{
    return json_pack("[f, f]", x, y);
}

static mcf_status take_points(prediction *p, const mcf_face_map *map, const float *shares, json_t *face, mcf_error *err)
{
    double *xy = malloc((size_t)p->outputs * 2 * sizeof *xy);
    json_t *points = json_array();
    if (!xy || !points) {
        free(xy);
        json_decref(points);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the points");
    }
    const int longest = p->image.width > p->image.height ? p->image.width : p->image.height;
    double size = 0; // of the face in the drawn picture
    mcf_face_points_back(map, shares, p->outputs, xy);
    for (int i = 0; i < p->outputs; i++)
        for (int k = 0; k < p->outputs; k++)
            size = fmax(size, fabs(xy[2 * i] - xy[2 * k]) * p->enlarged);
    const double radius = fmin(fmax(1.5, size / 90), fmax(2, longest * p->enlarged / 150.0));
    for (int i = 0; i < p->outputs; i++) {
        uint8_t rgb[3] = {60, 255, 90};
        mcf_draw_point(&p->canvas, (xy[2 * i] + 0.5) * p->enlarged - 0.5, (xy[2 * i + 1] + 0.5) * p->enlarged - 0.5,
                       radius, rgb);
        json_array_append_new(points, pair(xy[2 * i], xy[2 * i + 1]));
    }
    json_object_set_new(face, "points", points);
    free(xy);
    return MCF_OK;
}

static const char *class_name(const prediction *p, int c, char buffer[24])
{
    const char *name = mcf_face_class_name(p->layout, c);
    if (name)
        return name;
    snprintf(buffer, 24, c ? "class %d" : "background", c);
    return buffer;
}

// Mean softmax probability of each class over the crop's pixels where it is the largest.
static void class_probabilities(const prediction *p, double *mean)
{
    const int64_t pixels = (int64_t)p->still.size * p->still.size;
    int64_t count[MCF_FACE_MAX_CLASSES] = {0};
    for (int c = 0; c < p->outputs; c++)
        mean[c] = 0;
    for (int64_t i = 0; i < pixels; i++) {
        const float *logit = p->inner + i * p->outputs;
        int best = 0;
        double sum = 0;
        for (int c = 1; c < p->outputs; c++)
            best = logit[c] > logit[best] ? c : best;
        for (int c = 0; c < p->outputs; c++)
            sum += exp((double)logit[c] - logit[best]);
        mean[best] += 1 / sum;
        count[best]++;
    }
    for (int c = 0; c < p->outputs; c++)
        mean[c] = count[c] ? mean[c] / (double)count[c] : 0;
}

static mcf_status take_logits(prediction *p, const mcf_face_map *map, const float *logits, json_t *face, mcf_error *err)
{
    const int64_t side = p->still.size, classes = p->outputs, pixels = (int64_t)p->image.width * p->image.height;
    double probability[MCF_FACE_MAX_CLASSES];
    int64_t count[MCF_FACE_MAX_CLASSES] = {0};
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < side * side; i++)
            p->inner[i * classes + c] = logits[c * side * side + i];
    mcf_face_unwarp(map, p->inner, (int)side, (int)side, (int)classes, 0, p->image.width, p->image.height, p->own);
    for (int64_t i = 0; i < pixels; i++) {
        count[p->own[i]]++;
        p->pred[i] = p->own[i] ? p->own[i] : p->pred[i];
    }
    if (p->options->probabilities)
        class_probabilities(p, probability);
    json_t *found = json_object();
    for (int c = 0; found && c < classes; c++) {
        char buffer[24];
        if (!count[c])
            continue;
        json_t *of = json_pack("{s:i, s:I}", "class", c, "pixels", (json_int_t)count[c]);
        if (p->options->probabilities)
            json_object_set_new(of, "probability", json_real(probability[c]));
        json_object_set_new(found, class_name(p, c, buffer), of);
    }
    json_object_set_new(face, "classes", found);
    return found ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the classes");
}

// --- pictures

// The photograph, enlarged by a whole factor until it can be read, with room below for a legend.
static mcf_status new_canvas(prediction *p, mcf_error *err)
{
    const int longest = p->image.width > p->image.height ? p->image.width : p->image.height;
    const int k = p->enlarged = longest < READABLE ? (READABLE + longest - 1) / longest : 1;
    p->canvas = (mcf_canvas){.width = p->image.width * k, .height = p->image.height * k};
    p->canvas.stride = (size_t)p->canvas.width * 3;
    MCF_TRY(mcf_bytes_resize(&p->drawn, p->canvas.stride * (size_t)p->canvas.height, err));
    p->canvas.pixels = p->drawn.data;
    for (int y = 0; y < p->canvas.height; y++)
        for (int x = 0; x < p->canvas.width; x++)
            memcpy(p->canvas.pixels + (size_t)y * p->canvas.stride + (size_t)x * 3,
                   p->image.pixels + (size_t)(y / k) * p->image.stride + (size_t)(x / k) * 3, 3);
    return MCF_OK;
}

// Colours and names of the classes that occur, below the picture. *rows: pixels that it takes; drawn where `draw`.
static void legend(const prediction *p, const mcf_canvas *canvas, int top, const bool *occurs, bool draw, int *rows)
{
    static const uint8_t ink[3] = {20, 20, 20};
    const int scale = canvas->width >= 1600  ? 3
                      : canvas->width >= 400 ? 2
                                             : 1,
              line = (LEGEND_SIDE * scale) / 2 + 4 * scale;
    int x = 2 * scale, y = top + 2 * scale;
    for (int c = 1; c < p->outputs; c++) {
        char buffer[24];
        uint8_t rgb[3];
        if (!occurs[c])
            continue;
        const char *name = class_name(p, c, buffer);
        const int width = 9 * scale + mcf_text_width(name, scale) + 6 * scale;
        if (x + width > canvas->width && x > 2 * scale) {
            x = 2 * scale;
            y += line;
        }
        mcf_draw_colour(c, rgb);
        for (int dy = 0; draw && dy < 7 * scale; dy++)
            for (int dx = 0; dx < 7 * scale && x + dx < canvas->width; dx++)
                memcpy(canvas->pixels + (size_t)(y + dy) * canvas->stride + (size_t)(x + dx) * 3, rgb, 3);
        if (draw)
            mcf_draw_text(canvas, x + 9 * scale, y, scale, name, ink);
        x += width;
    }
    *rows = y + line - top;
}

static mcf_status add_legend(prediction *p, mcf_error *err)
{
    bool occurs[MCF_FACE_MAX_CLASSES] = {false};
    int rows;
    const size_t pixels = (size_t)p->image.width * (size_t)p->image.height;
    for (size_t i = 0; i < pixels; i++)
        occurs[p->pred[i]] = true;
    legend(p, &p->canvas, p->canvas.height, occurs, false, &rows);
    const size_t before = p->canvas.stride * (size_t)p->canvas.height, more = p->canvas.stride * (size_t)rows;
    uint8_t *grown = malloc(before + more);
    if (!grown)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture");
    memcpy(grown, p->canvas.pixels, before);
    memset(grown + before, 255, more);
    mcf_status status = mcf_bytes_resize(&p->drawn, before + more, err);
    if (status == MCF_OK) {
        memcpy(p->drawn.data, grown, before + more);
        const int top = p->canvas.height;
        p->canvas.pixels = p->drawn.data;
        p->canvas.height += rows;
        legend(p, &p->canvas, top, occurs, true, &rows);
    }
    free(grown);
    return status;
}

static mcf_status write_file(const prediction *p, const char *stem, const char *end, const void *bytes, size_t size,
                             mcf_error *err)
{
    char name[1200];
    snprintf(name, sizeof name, "%s%s", stem, end);
    char *path = mcf_path_join(p->options->out, name);
    if (!path)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    mcf_status status = mcf_file_write(path, bytes, size, err);
    free(path);
    return status;
}

static mcf_status write_results(prediction *p, const char *name, int64_t number, mcf_error *err)
{
    char stem[1100], base[1024];
    const size_t length = strlen(name), cut = length < sizeof base ? 0 : length + 1 - sizeof base;
    memcpy(base, name + cut, length - cut + 1);
    char *start = base;
    for (char *c = base; *c; c++)
        if (*c == '/' || *c == ':')
            start = c + 1;
    char *dot = strrchr(start, '.');
    if (dot && dot != start)
        *dot = '\0';
    snprintf(stem, sizeof stem, "%06lld-%s", (long long)number, start);
    if (!p->align) {
        mcf_draw_classes(&p->canvas, p->pred, p->image.width, p->image.height, 0.5);
        MCF_TRY(mcf_image_encode_png_mask(p->pred, p->image.width, p->image.height, -1, &p->file, err));
        MCF_TRY(write_file(p, stem, ".label.png", p->file.data, p->file.size, err));
        MCF_TRY(add_legend(p, err));
    }
    const mcf_image picture = {.width = p->canvas.width,
                               .height = p->canvas.height,
                               .channels = 3,
                               .stride = p->canvas.stride,
                               .pixels = p->canvas.pixels};
    MCF_TRY(mcf_image_encode_png(&picture, &p->file, err));
    MCF_TRY(write_file(p, stem, ".png", p->file.data, p->file.size, err));
    char *stored = mcf_name_as_utf8(name);
    json_t *root = stored ? json_pack("{s:s, s:i, s:i, s:O}", "image", stored, "width", p->image.width, "height",
                                      p->image.height, "faces", p->faces)
                          : NULL;
    free(stored);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) : NULL;
    mcf_status status = text ? write_file(p, stem, ".json", text, strlen(text), err)
                             : mcf_fail(err, MCF_ERR_NOMEM, "%s: no memory for the answer", name);
    free(text);
    json_decref(root);
    return status;
}

// --- one picture

static mcf_status decode(prediction *p, mcf_error *err)
{
    const mcf_decode_options options = {.channels = 3, .upright = true, .over_white = true};
    mcf_decoded decoded;
    MCF_TRY(mcf_image_decode(p->encoded.data, p->encoded.size, &options, &p->decoded, &decoded, err));
    p->image = decoded.image;
    if (p->align)
        return MCF_OK;
    const size_t pixels = (size_t)p->image.width * (size_t)p->image.height;
    for (int i = 0; i < 2; i++)
        MCF_TRY(mcf_bytes_resize(&p->classes[i], pixels, err));
    p->pred = p->classes[0].data;
    p->own = p->classes[1].data;
    memset(p->pred, 0, pixels);
    return MCF_OK;
}

// Up to a batch of faces of one picture.
static mcf_status some_faces(prediction *p, const mcf_predict_face *faces, int count, mcf_error *err)
{
    const size_t side = (size_t)p->still.size, crop = side * side * 3;
    for (int i = 0; i < count; i++) {
        MCF_TRY(map_of(p, &faces[i], &p->maps[i], err));
        MCF_TRY(
            mcf_face_pixels(&p->still, &p->maps[i], NULL, &p->image, &p->scratch, p->crops + (size_t)i * crop, err));
    }
    MCF_TRY(mcf_dense_run(&p->network, p->crops, count, p->out, err));
    for (int i = 0; i < count; i++) {
        const double *b = faces[i].box;
        json_t *face = json_pack("{s:s, s:[f, f, f, f]}", "from", faces[i].from, "box", b[0], b[1], b[2], b[3]);
        if (!face || json_array_append_new(p->faces, face))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a face");
        MCF_TRY((p->align ? take_points : take_logits)(p, &p->maps[i], p->out + i * p->network.row, face, err));
    }
    return MCF_OK;
}

// faces NULL: to be found.
static mcf_status one_picture(prediction *p, const char *name, int64_t number, const mcf_predict_face *faces, int count,
                              mcf_predict_result *result, mcf_error *err)
{
    mcf_predict_face whole = {.from = "whole picture"}, *found = NULL;
    MCF_TRY(decode(p, err));
    MCF_TRY(new_canvas(p, err));
    if (!faces && p->detector) {
        MCF_TRY(mcf_predict_detect(p->detector, p->image.pixels, p->image.width, p->image.height, &found, &count, err));
        faces = found;
    } else if (!faces) {
        memcpy(whole.box, (double[4]){-0.5, -0.5, p->image.width - 0.5, p->image.height - 0.5}, sizeof whole.box);
        faces = &whole;
        count = 1;
    }
    p->faces = json_array();
    mcf_status status = p->faces ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the faces");
    for (int i = 0; status == MCF_OK && i < count; i += p->batch)
        status = some_faces(p, faces + i, count - i < p->batch ? count - i : p->batch, err);
    if (status == MCF_OK)
        status = write_results(p, name, number, err);
    json_decref(p->faces);
    p->faces = NULL;
    free(found);
    if (status == MCF_OK) {
        result->pictures++;
        result->faces += count;
    }
    return status;
}

// A picture that cannot be read or used is told and left out; what is wrong with the machine ends all.
static mcf_status try_picture(prediction *p, const mcf_source *source, int64_t index, int64_t number,
                              const mcf_predict_face *faces, int count, mcf_predict_result *result, mcf_error *err)
{
    char name[4096], line[5200];
    mcf_error why = {0};
    mcf_source_name(source, index, name, sizeof name);
    mcf_status status = mcf_source_read_patiently(source, index, &p->encoded, &why);
    if (status == MCF_OK)
        status = one_picture(p, name, number, faces, count, result, &why);
    if (status == MCF_OK)
        return MCF_OK;
    if (status != MCF_ERR_FORMAT && status != MCF_ERR_UNSUPPORTED && status != MCF_ERR_NUMERIC &&
        !(status == MCF_ERR_IO && !p->faces && !mcf_path_exists(name)))
        return mcf_fail(err, status, "%s: %s", name, why.message);
    result->broken++;
    result->unsupported += status == MCF_ERR_UNSUPPORTED;
    snprintf(line, sizeof line, "%s: %s", name, why.message);
    if (p->options->notice)
        p->options->notice(p->options->context, line);
    return MCF_OK;
}

// --- all pictures

static mcf_status stopped(const prediction *p, int64_t done, int64_t total, mcf_error *err)
{
    if (p->options->progress)
        p->options->progress(p->options->context, done, total);
    return p->options->stop && *p->options->stop
               ? mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld pictures", (long long)done)
               : MCF_OK;
}

static mcf_status found_pictures(prediction *p, const char *const *paths, size_t count, mcf_predict_result *result,
                                 mcf_error *err)
{
    mcf_source *source;
    MCF_TRY(mcf_source_open(&source, paths, (int)count, MCF_SOURCE_AUTO, err));
    mcf_source_tell(source, p->options->notice, p->options->context);
    mcf_status status = mcf_source_check_folder(source, p->options->out, err);
    for (int64_t i = 0; status == MCF_OK && i < mcf_source_count(source); i++) {
        status = try_picture(p, source, i, i, NULL, 0, result, err);
        if (status == MCF_OK)
            status = stopped(p, i + 1, mcf_source_count(source), err);
    }
    mcf_source_close(source);
    return status;
}

// A picture, or a list of them.
static mcf_status piped_pictures(prediction *p, mcf_predict_result *result, mcf_error *err)
{
    mcf_predict_input input;
    MCF_TRY(mcf_predict_input_read(&input, p->options->input, err));
    mcf_status status;
    if (input.paths) {
        status = mcf_check_output_folder(p->options->out, input.paths, input.path_count, err);
        if (status == MCF_OK)
            status = found_pictures(p, input.paths, input.path_count, result, err);
    } else if ((status = mcf_bytes_resize(&p->encoded, input.size, err)) == MCF_OK) {
        memcpy(p->encoded.data, input.bytes, input.size);
        status = one_picture(p, "stdin", 0, NULL, 0, result, err);
        if (status != MCF_OK)
            status = mcf_add_context(err, status, "standard input");
    }
    mcf_predict_input_free(&input);
    return status;
}

// Faces of one picture that stand together are one picture.
static mcf_status given_pictures(prediction *p, const mcf_face_set *set, mcf_predict_result *result, mcf_error *err)
{
    mcf_source *source;
    mcf_predict_face *faces = calloc((size_t)set->count + 1, sizeof *faces);
    if (!faces)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld faces", (long long)set->count);
    mcf_status status = mcf_face_source(set, set->count, &source, err);
    int64_t number = 0;
    for (int64_t i = 0; i < set->count; i++) {
        faces[i].from = "given";
        memcpy(faces[i].box, set->faces[i].box, sizeof faces[i].box);
        faces[i].has_five = set->points && mcf_face_five(set->xy + i * set->points * 2, set->points, faces[i].five);
    }
    for (int64_t i = 0, end; status == MCF_OK && i < set->count; i = end) {
        for (end = i + 1; end < set->count && strcmp(set->faces[i].image, set->faces[end].image) == 0;)
            end++;
        status = try_picture(p, source, i, number++, faces + i, (int)(end - i), result, err);
        if (status == MCF_OK)
            status = stopped(p, end, set->count, err);
    }
    if (status == MCF_OK || source)
        mcf_source_close(source);
    free(faces);
    return status;
}

static mcf_status prepare(prediction *p, mcf_error *err)
{
    const mcf_predict_options *o = p->options;
    p->batch = o->batch ? o->batch : 4;
    MCF_TRY(mcf_dense_open(&p->network, &o->job, o->checkpoint, p->batch, err));
    const mcf_config *c = mcf_dense_config(&p->network);
    const mcf_face_augment augment = mcf_config_face_augment(c);
    p->still = mcf_face_augment_still(&augment);
    p->still.out_size = p->still.size;
    p->layout = mcf_config_face_layout(c);
    p->align = c->task == MCF_TASK_ALIGN;
    p->outputs = c->dense.head.outputs;
    if (!p->align && p->outputs > MCF_FACE_MAX_CLASSES)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: %d classes; label maps hold %d", o->checkpoint, p->outputs,
                        MCF_FACE_MAX_CLASSES);
    const size_t side = (size_t)p->still.size;
    p->maps = calloc((size_t)p->batch, sizeof *p->maps);
    p->crops = malloc((size_t)p->batch * side * side * 3);
    p->out = malloc((size_t)p->batch * (size_t)p->network.row * sizeof *p->out);
    p->inner = malloc((p->align ? 1 : (size_t)p->network.row) * sizeof *p->inner);
    if (!p->maps || !p->crops || !p->out || !p->inner)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a batch of %d faces", p->batch);
    return o->detector ? mcf_predict_detector_open(&p->detector, o->detector, &o->job, err) : MCF_OK;
}

static mcf_status predict(prediction *p, mcf_predict_result *result, mcf_error *err)
{
    const mcf_predict_options *o = p->options;
    mcf_face_set set = {0};
    MCF_TRY(mcf_check_output_folder(o->out, o->paths, o->path_count, err));
    if (o->faces) {
        const mcf_face_query query = {.layout = "points", .paths = &o->faces, .path_count = 1};
        MCF_TRY(mcf_face_set_read(&set, &query, err));
        mcf_face_set_tell(&set, "--faces", o->notice, o->context);
    }
    mcf_status status = o->faces ? mcf_check_folder_faces(o->out, &set, err) : MCF_OK;
    if (status == MCF_OK)
        status = prepare(p, err);
    if (status == MCF_OK)
        status = mcf_directory_make(o->out, err);
    if (status == MCF_OK)
        status = o->faces   ? given_pictures(p, &set, result, err)
                 : o->input ? piped_pictures(p, result, err)
                            : found_pictures(p, o->paths, o->path_count, result, err);
    mcf_face_set_free(&set);
    if (status == MCF_OK && result->pictures == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "none of the %lld pictures can be used", (long long)result->broken);
    return status;
}

mcf_status mcf_predict_pictures(const mcf_predict_options *options, mcf_predict_result *result, mcf_error *err)
{
    prediction p = {.options = options};
    *result = (mcf_predict_result){0};
    mcf_status status = predict(&p, result, err);
    mcf_predict_detector_close(p.detector);
    mcf_dense_close(&p.network);
    mcf_face_scratch_free(&p.scratch);
    mcf_bytes_free(&p.encoded);
    mcf_bytes_free(&p.decoded);
    mcf_bytes_free(&p.file);
    mcf_bytes_free(&p.drawn);
    for (int i = 0; i < 2; i++)
        mcf_bytes_free(&p.classes[i]);
    free(p.maps);
    free(p.crops);
    free(p.out);
    free(p.inner);
    return status;
}
