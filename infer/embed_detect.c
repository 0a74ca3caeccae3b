// Photographs in, their faces' features out: detected, aligned and cropped as `mcf crop` does it, then embedded.
#include "infer/embed_detect.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "data/faces/crop_face.h"
#include "data/formats/safetensors.h"
#include "infer/detect.h"
#include "infer/network.h"
#include "run/config/data.h"
#include "run/inputs.h"
#include "run/output.h"

enum { FACES_AT_ONCE = 32 };

typedef struct {
    const mcf_embed_options *options;
    mcf_embed_result *result;
    mcf_embedder *embedder;
    mcf_detector *detector;
    mcf_source *source;
    mcf_center_crop_options crop;
    // of the picture being read
    mcf_bytes encoded, decoded;
    uint8_t *face; // [256,256,4], the fourth byte is nobody's: what mcf_resize reads fastest
    uint8_t *rgb;  // [256,256,3]
    mcf_resizer resizer;
    uint8_t *images; // [FACES_AT_ONCE,S,S,3]
    int waiting;     // images in it
    // one row a face
    float *cls, *mean, *box, *points, *score; // [room, dim], [room, dim], [room, 4], [room, 10], [room]
    int64_t rows, embedded, room;
    json_t *names;
} face_job;

static mcf_status grow(float **values, int64_t room, int64_t width, mcf_error *err)
{
    float *grown = realloc(*values, (size_t)(room * width) * sizeof *grown);
    if (!grown)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the features of %lld faces", (long long)room);
    *values = grown;
    return MCF_OK;
}

static mcf_status make_room(face_job *j, mcf_error *err)
{
    if (j->rows < j->room)
        return MCF_OK;
    const int64_t room = j->room ? 2 * j->room : 64, dim = mcf_embedder_dim(j->embedder);
    MCF_TRY(grow(&j->cls, room, dim, err));
    MCF_TRY(grow(&j->mean, room, dim, err));
    MCF_TRY(grow(&j->box, room, 4, err));
    MCF_TRY(grow(&j->points, room, 10, err));
    MCF_TRY(grow(&j->score, room, 1, err));
    j->room = room;
    return MCF_OK;
}

static mcf_status embed_waiting(face_job *j, mcf_error *err)
{
    const int64_t dim = mcf_embedder_dim(j->embedder);
    if (j->waiting == 0)
        return MCF_OK;
    MCF_TRY(mcf_embedder_run(j->embedder, j->images, j->waiting, j->cls + j->embedded * dim,
                             j->mean + j->embedded * dim, err));
    j->embedded += j->waiting;
    j->waiting = 0;
    return MCF_OK;
}

// The face in j->rgb as the network sees a picture of 256 x 256.
static mcf_status to_network(face_job *j, mcf_error *err)
{
    for (int i = 0; i < MCF_CROP_SIDE * MCF_CROP_SIDE; i++)
        memcpy(j->face + 4 * i, j->rgb + 3 * i, 3);
    const mcf_decoded whole = {.image = {MCF_CROP_SIDE, MCF_CROP_SIDE, 4, MCF_CROP_SIDE * 4, j->face},
                               .original_width = MCF_CROP_SIDE,
                               .original_height = MCF_CROP_SIDE,
                               .scaled_width = MCF_CROP_SIDE,
                               .scaled_height = MCF_CROP_SIDE,
                               .orientation = 1};
    const int side = j->crop.side;
    const mcf_resize_plan plan =
        mcf_resize_then_crop(&whole, j->crop.shorter ? j->crop.shorter : side, side, j->crop.filter);
    uint8_t *to = j->images + (size_t)j->waiting * (size_t)side * (size_t)side * 3;
    MCF_TRY(mcf_resize(&j->resizer, &whole.image, &plan, to, (size_t)side * 3, err));
    j->waiting++;
    return j->waiting == FACES_AT_ONCE ? embed_waiting(j, err) : MCF_OK;
}

static mcf_status add_name(face_job *j, const char *picture, int number, mcf_error *err)
{
    char name[4200];
    char *stored = mcf_name_as_utf8(picture); // JSON has no place for other bytes
    snprintf(name, sizeof name, "%.4000s#%d", stored ? stored : "", number);
    const bool added = stored && json_array_append_new(j->names, json_string(name)) == 0;
    free(stored);
    return added ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the names");
}

static mcf_status add_face(face_job *j, const char *picture, const mcf_image *image, const mcf_face *face, int number,
                           mcf_error *err)
{
    mcf_similarity fit;
    // points that coincide have no crop; `mcf crop` leaves such a face out as well
    if (mcf_template_fit(MCF_TEMPLATE_LAPA, face->points, &fit, NULL) != MCF_OK)
        return MCF_OK;
    MCF_TRY(make_room(j, err));
    MCF_TRY(add_name(j, picture, number, err));
    memcpy(j->box + 4 * j->rows, face->box, 4 * sizeof(float));
    memcpy(j->points + 10 * j->rows, face->points, 10 * sizeof(float));
    j->score[j->rows++] = face->score;
    mcf_crop_sample(image, &fit, MCF_BORDER_BLACK, j->rgb);
    return to_network(j, err);
}

static mcf_status leave_out(face_job *j, const char *picture, const mcf_error *why)
{
    char text[5200];
    mcf_embed_result *r = j->result;
    snprintf(text, sizeof text, "%s: %s", picture, why->message);
    r->broken++;
    if (!r->first_broken)
        r->first_broken = strdup(text);
    if (why->status != MCF_ERR_UNSUPPORTED)
        return MCF_OK;
    r->unsupported++;
    if (!r->first_unsupported)
        r->first_unsupported = strdup(text);
    return MCF_OK;
}

static mcf_status add_picture(face_job *j, int64_t sample, mcf_error *err)
{
    static const mcf_decode_options upright = {.channels = 3, .upright = true, .over_white = true};
    char picture[4096];
    mcf_decoded decoded;
    mcf_error why = {0};
    mcf_faces faces = {0};
    mcf_source_name(j->source, sample, picture, sizeof picture);
    mcf_status status = mcf_source_read_patiently(j->source, sample, &j->encoded, &why);
    if (status == MCF_OK)
        status = mcf_image_decode(j->encoded.data, j->encoded.size, &upright, &j->decoded, &decoded, &why);
    if (status == MCF_ERR_NOMEM || status == MCF_ERR_IO) // of the system, not of the picture
        return mcf_fail(err, status, "%s: %s", picture, why.message);
    if (status != MCF_OK)
        return leave_out(j, picture, &why);
    MCF_TRY(mcf_detector_run(j->detector, &decoded.image, 1, &faces, err));
    j->result->images++;
    j->result->without_face += faces.count == 0;
    for (int i = 0; i < faces.count && status == MCF_OK; i++)
        status = add_face(j, picture, &decoded.image, &faces.faces[i], i, err);
    mcf_faces_free(&faces);
    return status;
}

static mcf_status save(const face_job *j, const char *path, mcf_error *err)
{
    const int64_t dim = mcf_embedder_dim(j->embedder), rows = j->rows;
    char *list = json_dumps(j->names, JSON_COMPACT);
    if (!list)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the names");
    const mcf_named_tensor tensors[] = {{"cls", MCF_F32, MCF_SHAPE(rows, dim), j->cls},
                                        {"mean", MCF_F32, MCF_SHAPE(rows, dim), j->mean},
                                        {"box", MCF_F32, MCF_SHAPE(rows, 4), j->box},
                                        {"points", MCF_F32, MCF_SHAPE(rows, 5, 2), j->points},
                                        {"score", MCF_F32, MCF_SHAPE(rows), j->score}};
    const char *const metadata[] = {"names", list, "detector", mcf_detector_sha256(j->detector), NULL};
    mcf_status status = mcf_safetensors_save(path, tensors, 5, metadata, NULL, NULL, err);
    free(list);
    return status;
}

static mcf_status open_all(face_job *j, mcf_error *err)
{
    const mcf_embed_options *o = j->options;
    const mcf_detector_options detector = {.path = o->detector, .job = o->network.job};
    MCF_TRY(mcf_check_output(o->out, o->paths, o->path_count, err));
    MCF_TRY(mcf_check_output(o->out, &o->network.checkpoint, 1, err));
    MCF_TRY(mcf_check_output(o->out, &o->detector, 1, err));
    if (o->network.config)
        MCF_TRY(mcf_check_output_config(o->out, o->network.config, err));
    MCF_TRY(mcf_detector_open(&j->detector, &detector, err));
    MCF_TRY(mcf_embedder_open(&j->embedder, &o->network, err));
    const mcf_config *c = mcf_embedder_config(j->embedder);
    j->crop = mcf_data_crop(&c->data, c->model.image_size);
    MCF_TRY(mcf_source_open_keys(&j->source, o->paths, (int)o->path_count, o->format,
                                 (const char *const *)c->data.image_keys.items, c->data.image_keys.count, err));
    mcf_source_tell(j->source, o->notice, o->context);
    MCF_TRY(mcf_source_check_output(j->source, o->out, err));
    const size_t side = (size_t)j->crop.side, pixels = MCF_CROP_SIDE * MCF_CROP_SIDE;
    j->images = malloc(FACES_AT_ONCE * side * side * 3);
    j->face = calloc(pixels, 4);
    j->rgb = malloc(pixels * 3);
    j->names = json_array();
    return j->images && j->face && j->rgb && j->names
               ? make_room(j, err)
               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d faces", FACES_AT_ONCE);
}

static mcf_status embed_faces(face_job *j, mcf_error *err)
{
    const mcf_embed_options *o = j->options;
    const double begin = mcf_now();
    MCF_TRY(open_all(j, err));
    const int64_t total = mcf_source_count(j->source);
    for (int64_t i = 0; i < total; i++) {
        MCF_TRY(add_picture(j, i, err));
        if (o->progress)
            o->progress(o->context, i + 1, total);
        if (o->stop && *o->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld of %lld images; nothing was written",
                            (long long)i + 1, (long long)total);
    }
    MCF_TRY(embed_waiting(j, err));
    mcf_embed_result *r = j->result;
    r->faces = j->rows;
    r->dim = mcf_embedder_dim(j->embedder);
    if (r->images == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "none of the %lld images can be read; the first: %s", (long long)r->broken,
                        r->first_broken ? r->first_broken : "");
    MCF_TRY(save(j, o->out, err));
    r->seconds = mcf_now() - begin;
    return MCF_OK;
}

mcf_status mcf_embed_detected(const mcf_embed_options *options, mcf_embed_result *result, mcf_error *err)
{
    *result = (mcf_embed_result){0};
    if (!options->out || options->retrieval)
        return mcf_fail(
            err, MCF_ERR_USAGE,
            "retrieval judges a picture a person's folder; crop the faces first (mcf crop), then embed them");
    face_job j = {.options = options, .result = result};
    mcf_status status = embed_faces(&j, err);
    mcf_source_close(j.source);
    mcf_detector_close(j.detector);
    mcf_embedder_close(j.embedder);
    mcf_bytes_free(&j.encoded);
    mcf_bytes_free(&j.decoded);
    mcf_resizer_free(&j.resizer);
    json_decref(j.names);
    free(j.images);
    free(j.face);
    free(j.rgb);
    free(j.cls);
    free(j.mean);
    free(j.box);
    free(j.points);
    free(j.score);
    return status;
}
