// From the bytes of pictures to records of their faces.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "data/image/exif.h"
#include "infer/crop_internal.h"

const char *const mcf_drop_names[MCF_DROPS] = {
    "points outside the picture", "score",        "side",       "enlarged", "inside", "sharpness", "residual",
    "more faces than allowed",    "no alignment", "duplicates",
};

const char *mcf_crop_refusal_name(int reason)
{
    return reason == MCF_CROP_UNREADABLE ? "unreadable" : mcf_image_refusal_names[reason];
}

void mcf_crop_counts_add(mcf_crop_counts *to, const mcf_crop_counts *more)
{
    to->pictures += more->pictures;
    to->without_face += more->without_face;
    to->turned += more->turned;
    to->found += more->found;
    to->kept += more->kept;
    to->captions += more->captions;
    to->latin1 += more->latin1;
    for (int i = 0; i < MCF_CROP_REFUSALS; i++)
        to->refused[i] += more->refused[i];
    for (int i = 0; i < MCF_DROPS; i++)
        to->dropped[i] += more->dropped[i];
}

void crop_result_free(crop_result *r)
{
    for (int i = 0; i < r->record_count; i++) {
        free(r->records[i].key);
        free(r->records[i].caption);
        free(r->records[i].json);
        mcf_bytes_free(&r->records[i].image);
    }
    for (int i = 0; i < r->failure_count; i++) {
        free(r->failures[i].source);
        free(r->failures[i].reason);
        free(r->failures[i].message);
    }
    free(r->records);
    free(r->failures);
    free(r->detections);
    *r = (crop_result){0};
}

mcf_status crop_worker_open(crop_worker *w, const mcf_crop_options *options, mcf_error *err)
{
    *w = (crop_worker){.options = options};
    w->crop = malloc(MCF_CROP_SIDE * MCF_CROP_SIDE * 3);
    if (!w->crop)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a crop");
    mcf_detector_options detector = options->detector;
    detector.job.threads = 1;
    detector.job.cluster = NULL;
    const mcf_status status = mcf_detector_open(&w->detector, &detector, err);
    if (status != MCF_OK) {
        free(w->crop);
        w->crop = NULL;
    }
    return status;
}

void crop_worker_close(crop_worker *w)
{
    mcf_detector_close(w->detector);
    free(w->crop);
    *w = (crop_worker){0};
}

static mcf_status no_memory(mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the faces of a picture");
}

// --- what is read

// A picture in memory.
typedef struct {
    int64_t sample;
    mcf_bytes file, pixels;
    mcf_decoded decoded;
    int turned; // EXIF value of a rotation that was tried and kept; 1: none
    mcf_faces faces;
    int refused; // a reason; MCF_IMAGE_ACCEPTED: none
    char message[256];
} photograph;

static void free_photograph(photograph *p)
{
    mcf_bytes_free(&p->file);
    mcf_bytes_free(&p->pixels);
    mcf_faces_free(&p->faces);
}

static mcf_status read_photograph(const crop_unit *unit, photograph *p, mcf_error *err)
{
    static const mcf_decode_options options = {.channels = 3, .upright = true, .over_white = true};
    mcf_error why = {0};
    mcf_status status = mcf_source_read_patiently(unit->source, p->sample, &p->file, &why);
    p->turned = 1;
    p->refused = status == MCF_OK ? MCF_IMAGE_ACCEPTED : MCF_CROP_UNREADABLE;
    if (status == MCF_OK) {
        status = mcf_image_decode(p->file.data, p->file.size, &options, &p->pixels, &p->decoded, &why);
        p->refused = p->decoded.refusal;
    }
    if (status == MCF_ERR_NOMEM || status == MCF_ERR_IO) {
        char name[1024];
        return mcf_fail(err, status, "%s: %s", mcf_source_name(unit->source, p->sample, name, sizeof name),
                        why.message);
    }
    if (status != MCF_OK)
        snprintf(p->message, sizeof p->message, "%.255s", why.message);
    return MCF_OK;
}

static bool is_utf8(const uint8_t *s, size_t size)
{
    for (size_t i = 0; i < size;) {
        const int more = s[i] < 0x80                   ? 0
                         : s[i] >= 0xc2 && s[i] < 0xe0 ? 1
                         : s[i] >= 0xe0 && s[i] < 0xf0 ? 2
                         : s[i] >= 0xf0 && s[i] < 0xf5 ? 3
                                                       : -1;
        if (more < 0 || (size_t)more > size - i - 1)
            return false;
        for (int k = 1; k <= more; k++)
            if ((s[i + (size_t)k] & 0xc0) != 0x80)
                return false;
        // overlong forms, surrogates, beyond U+10FFFF
        if ((s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) ||
            (s[i] == 0xf0 && s[i + 1] < 0x90) || (s[i] == 0xf4 && s[i + 1] > 0x8f))
            return false;
        i += (size_t)more + 1;
    }
    return true;
}

// Bytes as they were if they are UTF-8, else converted from Latin-1. malloc'd; NULL: no memory.
static char *to_utf8(const mcf_bytes *bytes, size_t *size, bool *latin1)
{
    *latin1 = !is_utf8(bytes->data, bytes->size);
    char *out = malloc(2 * bytes->size + 1);
    if (!out)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < bytes->size; i++) {
        const uint8_t c = bytes->data[i];
        if (*latin1 && c >= 0x80) {
            out[n++] = (char)(0xc0 | c >> 6);
            out[n++] = (char)(0x80 | (c & 0x3f));
        } else
            out[n++] = (char)c;
    }
    *size = n;
    return out;
}

// What stands beside a picture.
typedef struct {
    mcf_bytes text, meta;
    bool has_text, has_meta, latin1;
    char *caption;
    size_t caption_size;
} company;

static mcf_status read_company(const crop_unit *unit, int64_t sample, company *c, mcf_error *err)
{
    mcf_error why;
    // a caption that cannot be read is as good as none: the faces are there all the same
    if (mcf_source_read_sidecar(unit->source, sample, MCF_SIDECAR_TEXT, &c->text, &c->has_text, &why) != MCF_OK)
        c->has_text = false;
    if (mcf_source_read_sidecar(unit->source, sample, MCF_SIDECAR_JSON, &c->meta, &c->has_meta, &why) != MCF_OK)
        c->has_meta = false;
    if (c->has_text && !(c->caption = to_utf8(&c->text, &c->caption_size, &c->latin1)))
        return no_memory(err);
    return MCF_OK;
}

static void free_company(company *c)
{
    mcf_bytes_free(&c->text);
    mcf_bytes_free(&c->meta);
    free(c->caption);
}

// --- what is kept

static int points_outside(const mcf_face *face, int width, int height)
{
    int outside = 0;
    for (int k = 0; k < 5; k++) {
        const float x = face->points[k][0], y = face->points[k][1];
        outside += !(x >= -0.5f && x <= (float)width - 0.5f && y >= -0.5f && y <= (float)height - 0.5f);
    }
    return outside;
}

typedef struct {
    mcf_similarity fit;
    double inside, sharpness, residual;
    uint64_t dhash;
} measures;

// Asks the questions in their order; MCF_DROPS: the face stays, its crop is in worker->crop.
static mcf_crop_drop judge(crop_worker *w, const photograph *p, const mcf_face *face, int kept, measures *m)
{
    const mcf_crop_filters *f = &w->options->filters;
    const mcf_image *image = &p->decoded.image;
    if (points_outside(face, image->width, image->height) > f->max_outside)
        return MCF_DROP_OUTSIDE;
    if (face->score < f->min_score)
        return MCF_DROP_SCORE;
    if (mcf_template_fit(w->options->face_template, face->points, &m->fit, NULL) != MCF_OK)
        return MCF_DROP_POINTS;
    const double side = mcf_similarity_side(&m->fit);
    if (side < f->min_side)
        return MCF_DROP_SIDE;
    if (f->max_enlarge > 0 && MCF_CROP_SIDE / side > f->max_enlarge)
        return MCF_DROP_ENLARGED;
    m->inside = mcf_crop_inside(&m->fit, image->width, image->height);
    if (m->inside < f->min_inside)
        return MCF_DROP_INSIDE;
    mcf_crop_sample(image, &m->fit, w->options->border, w->crop);
    m->sharpness = mcf_crop_sharpness(w->crop);
    if (m->sharpness < f->min_sharp)
        return MCF_DROP_SHARPNESS;
    m->residual = mcf_template_residual(w->options->face_template, face->points, &m->fit);
    if (f->max_residual > 0 && m->residual > f->max_residual)
        return MCF_DROP_RESIDUAL;
    if (f->max_faces > 0 && kept >= f->max_faces)
        return MCF_DROP_NUMBER;
    m->dhash = mcf_crop_dhash(w->crop);
    return MCF_DROPS;
}

static mcf_status encode(const crop_worker *w, mcf_bytes *to, mcf_error *err)
{
    const mcf_image crop = {
        .width = MCF_CROP_SIDE, .height = MCF_CROP_SIDE, .channels = 3, .stride = MCF_CROP_SIDE * 3, .pixels = w->crop};
    return w->options->png ? mcf_image_encode_png(&crop, to, err) : mcf_image_encode_jpeg(&crop, 95, to, err);
}

static crop_record *new_record(crop_result *r)
{
    if (r->record_count == r->record_room) {
        const int room = r->record_room ? 2 * r->record_room : 16;
        crop_record *grown = realloc(r->records, (size_t)room * sizeof *grown);
        if (!grown)
            return NULL;
        r->records = grown;
        r->record_room = room;
    }
    crop_record *one = &r->records[r->record_count++];
    *one = (crop_record){0};
    return one;
}

static mcf_status write_face(crop_worker *w, const photograph *p, const mcf_face *face, int number,
                             const crop_names *names, const company *c, const char *sha256, const measures *m,
                             crop_result *r, mcf_error *err)
{
    crop_record *record = new_record(r);
    if (!record)
        return no_memory(err);
    const crop_facts facts = {.names = names,
                              .width = p->decoded.image.width,
                              .height = p->decoded.image.height,
                              .orientation = p->decoded.orientation,
                              .turned = p->turned,
                              .face = face,
                              .fit = &m->fit,
                              .template_name = mcf_template_names[w->options->face_template],
                              .source_sha256 = sha256,
                              .detector = mcf_detector_names[mcf_detector_kind_of(w->detector)],
                              .detector_sha256 = mcf_detector_sha256(w->detector),
                              .caption_encoding = !c->has_text ? NULL
                                                  : c->latin1  ? "latin-1"
                                                               : "utf-8",
                              .inside = m->inside,
                              .sharpness = m->sharpness,
                              .residual = m->residual,
                              .dhash = m->dhash,
                              .source_meta = c->has_meta ? (const char *)c->meta.data : NULL,
                              .source_meta_size = c->meta.size};
    char key[CROP_KEY + 16];
    snprintf(key, sizeof key, "%s-%d", names->key, number);
    record->key = strdup(key);
    record->json = crop_face_json(&facts);
    record->dhash = m->dhash;
    if (c->caption) {
        record->caption = malloc(c->caption_size + 1);
        if (record->caption)
            memcpy(record->caption, c->caption, c->caption_size);
        record->caption_size = c->caption_size;
    }
    if (!record->key || !record->json || (c->caption && !record->caption))
        return no_memory(err);
    return encode(w, &record->image, err);
}

static mcf_status write_faces(crop_worker *w, const crop_unit *unit, const photograph *p, const crop_names *names,
                              crop_result *r, mcf_error *err)
{
    char sha256[65] = "";
    company c = {0};
    int kept = 0;
    mcf_status status = MCF_OK;
    for (int i = 0; i < p->faces.count && status == MCF_OK; i++) {
        measures m;
        const mcf_crop_drop drop = judge(w, p, &p->faces.faces[i], kept, &m);
        if (drop != MCF_DROPS) {
            r->counts.dropped[drop]++;
            continue;
        }
        if (kept == 0) {
            mcf_sha256(p->file.data, p->file.size, sha256);
            status = read_company(unit, p->sample, &c, err);
        }
        if (status == MCF_OK)
            status = write_face(w, p, &p->faces.faces[i], i, names, &c, sha256, &m, r, err);
        r->counts.kept++;
        r->counts.captions += c.has_text;
        r->counts.latin1 += c.has_text && c.latin1;
        kept++;
    }
    free_company(&c);
    return status;
}

// --- a few pictures

static mcf_status note_failure(crop_result *r, const crop_names *names, const photograph *p, mcf_error *err)
{
    if (r->failure_count == r->failure_room) {
        const int room = r->failure_room ? 2 * r->failure_room : 16;
        crop_failure *grown = realloc(r->failures, (size_t)room * sizeof *grown);
        if (!grown)
            return no_memory(err);
        r->failures = grown;
        r->failure_room = room;
    }
    crop_failure *f = &r->failures[r->failure_count++];
    *f = (crop_failure){.source = strdup(names->source),
                        .reason = strdup(mcf_crop_refusal_name(p->refused)),
                        .message = strdup(p->message)};
    return f->source && f->reason && f->message ? MCF_OK : no_memory(err);
}

static mcf_status note_detections(crop_result *r, const crop_names *names, const photograph *p, mcf_error *err)
{
    char *line = crop_detections_json(names->source, &p->faces,
                                      p->refused != MCF_IMAGE_ACCEPTED ? mcf_crop_refusal_name(p->refused) : NULL);
    if (!line)
        return no_memory(err);
    const size_t length = strlen(line), needed = r->detections_size + length + 3;
    if (needed > r->detections_room) {
        char *grown = realloc(r->detections, 2 * needed);
        if (!grown) {
            free(line);
            return no_memory(err);
        }
        r->detections = grown;
        r->detections_room = 2 * needed;
    }
    r->detections_size +=
        (size_t)sprintf(r->detections + r->detections_size, "%s%s", r->detections_size ? ",\n" : "", line);
    free(line);
    return MCF_OK;
}

// Turns a picture by quarters until faces show; the best of the three is kept, none where none has any.
static mcf_status try_rotations(crop_worker *w, photograph *p, mcf_error *err)
{
    static const int quarters[] = {6, 3, 8};
    double best = 0;
    for (int i = 0; i < 3; i++) {
        photograph turned = {.decoded = p->decoded};
        MCF_TRY(mcf_bytes_resize(&turned.pixels, p->pixels.size, err));
        memcpy(turned.pixels.data, p->pixels.data, p->pixels.size);
        turned.decoded.image.pixels = turned.pixels.data;
        turned.decoded.orientation = quarters[i];
        mcf_status status = mcf_image_turn(&turned.decoded, &turned.pixels, err);
        if (status == MCF_OK)
            status = mcf_detector_run(w->detector, &turned.decoded.image, 1, &turned.faces, err);
        double sum = 0;
        for (int k = 0; k < turned.faces.count; k++)
            sum += turned.faces.faces[k].score;
        if (status == MCF_OK && sum > best) {
            best = sum;
            mcf_faces_free(&p->faces);
            p->faces = turned.faces;
            p->turned = quarters[i];
            turned.faces = (mcf_faces){0};
        }
        free_photograph(&turned);
        MCF_TRY(status);
    }
    if (p->turned == 1)
        return MCF_OK;
    const int exif = p->decoded.orientation;
    p->decoded.orientation = p->turned;
    MCF_TRY(mcf_image_turn(&p->decoded, &p->pixels, err));
    p->decoded.orientation = exif;
    return MCF_OK;
}

static mcf_status finish(crop_worker *w, const crop_unit *unit, photograph *p, crop_result *r, mcf_error *err)
{
    crop_names names;
    crop_name_picture(unit, p->sample, &names);
    r->counts.pictures++;
    if (p->refused != MCF_IMAGE_ACCEPTED) {
        r->counts.refused[p->refused]++;
        MCF_TRY(note_failure(r, &names, p, err));
    } else {
        if (p->faces.count == 0 && w->options->rotations)
            MCF_TRY(try_rotations(w, p, err));
        r->counts.found += p->faces.count;
        r->counts.without_face += p->faces.count == 0;
        r->counts.turned += p->turned != 1;
    }
    if (w->options->detect_only)
        return note_detections(r, &names, p, err);
    if (p->refused != MCF_IMAGE_ACCEPTED)
        return MCF_OK;
    const double begin = mcf_now();
    mcf_status status = write_faces(w, unit, p, &names, r, err);
    w->sample += mcf_now() - begin;
    return status;
}

// The pictures that were read, through the detector and on.
static mcf_status look(crop_worker *w, const crop_unit *unit, photograph *p, int count, crop_result *r, mcf_error *err)
{
    mcf_image *images = malloc(((size_t)count + 1) * sizeof *images);
    mcf_faces *faces = malloc(((size_t)count + 1) * sizeof *faces);
    mcf_status status = images && faces ? MCF_OK : no_memory(err);
    int usable = 0;
    for (int i = 0; i < count && status == MCF_OK; i++)
        if (p[i].refused == MCF_IMAGE_ACCEPTED)
            images[usable++] = p[i].decoded.image;
    if (status == MCF_OK)
        status = mcf_detector_run(w->detector, images, usable, faces, err);
    if (status == MCF_OK)
        for (int i = 0, k = 0; i < count; i++)
            if (p[i].refused == MCF_IMAGE_ACCEPTED)
                p[i].faces = faces[k++];
    for (int i = 0; i < count && status == MCF_OK; i++)
        status = finish(w, unit, &p[i], r, err);
    free(images);
    free(faces);
    return status;
}

mcf_status crop_pictures(crop_worker *w, const crop_unit *unit, int64_t begin, int64_t end, crop_result *r,
                         mcf_error *err)
{
    const int64_t most_pixels = 8 << 20; // of pictures held at once, but for one that is larger by itself
    const int batch = w->options->batch > 0 ? w->options->batch : 16;
    photograph *held = calloc((size_t)batch, sizeof *held);
    int count = 0;
    int64_t pixels = 0;
    mcf_status status = held ? MCF_OK : no_memory(err);
    for (int64_t i = begin; i < end && status == MCF_OK; i++) {
        const double started = mcf_now();
        if (w->options->stop && *w->options->stop)
            status = mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
        photograph *p = &held[count++];
        *p = (photograph){.sample = i};
        if (status == MCF_OK)
            status = read_photograph(unit, p, err);
        w->decode += mcf_now() - started;
        pixels += (int64_t)p->decoded.image.width * p->decoded.image.height;
        if (status == MCF_OK && (count == batch || pixels >= most_pixels || i + 1 == end)) {
            status = look(w, unit, held, count, r, err);
            for (int k = 0; k < count; k++)
                free_photograph(&held[k]);
            count = 0;
            pixels = 0;
        }
    }
    for (int k = 0; k < count; k++)
        free_photograph(&held[k]);
    free(held);
    return status;
}
