// mcf data check: what a data set holds, and what is wrong with it.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "data/faces/check.h"
#include "data/faces/mask.h"
#include "data/loader.h"
#include "data/samples.h"
#include "run/config/config.h"
#include "run/config/data.h"
#include "run/config/faces.h"
#include "run/input_faces.h"
#include "run/inputs.h"
#include "run/output.h"

enum { NAMED = 10, SHEET_FACES = 24, SHEET_COLUMNS = 8, SHEET_CELL = 192 };

// What is found of data.train or data.validation.
typedef struct {
    const char *name; // "train" or "validation"
    json_t *json;     // the same as the lines printed
    mcf_bytes sheet;
    int width, height;
    int64_t bad; // faces or pictures that are of no use
} part;

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

// Where the sheet goes; NULL: none is wanted.
static const char *sheet_path(const mcf_call *call)
{
    const char *given = mcf_call_value(call, "sheet"), *path = given ? given : "data-check.jpg";
    return strcmp(path, "none") ? path : NULL;
}

// --- labelled faces

static void add_states(json_t *json, const mcf_face_check *check)
{
    json_t *faults = json_object();
    for (int s = MCF_FACE_GOOD + 1; s < MCF_FACE_KINDS; s++) {
        if (!check->states[s])
            continue;
        json_t *named = json_array();
        for (int64_t i = 0; i < check->count && json_array_size(named) < NAMED; i++)
            if (check->state[i] == s)
                json_array_append_new(named, json_string(check->what[i] ? check->what[i] : ""));
        json_object_set_new(faults, mcf_face_state_name((mcf_face_state)s),
                            json_pack("{s:I, s:o}", "count", (json_int_t)check->states[s], "first", named));
    }
    json_object_set_new(json, "faults", faults);
}

static void add_left_out(json_t *json, const mcf_face_set *set)
{
    json_t *named = json_array();
    for (int64_t i = 0; i < set->fault_count && i < NAMED; i++) {
        char place[600];
        mcf_face_where(set, set->faults[i].file, set->faults[i].line, place, sizeof place);
        mcf_printable_in_place(place, sizeof place); // JSON has no place for bytes that are no UTF-8
        json_array_append_new(named, json_sprintf("%s: %s", place, set->faults[i].what));
    }
    if (set->fault_count)
        json_object_set_new(json_object_get(json, "faults"), "faces left out",
                            json_pack("{s:I, s:o}", "count", (json_int_t)set->fault_count, "first", named));
    else
        json_decref(named);
}

static void add_subsets(json_t *json, const mcf_face_set *set)
{
    json_t *subsets = json_object();
    bool any = false;
    for (int s = 0; s < set->subset_count; s++) {
        int64_t count = 0;
        for (int64_t i = 0; i < set->count; i++)
            count += set->faces[i].subsets >> s & 1;
        any = any || count > 0;
        json_object_set_new(subsets, set->subset_names[s], json_integer(count));
    }
    if (any)
        json_object_set_new(json, "subsets", subsets);
    else
        json_decref(subsets);
}

static void add_classes(json_t *json, const mcf_face_set *set, const mcf_face_check *check)
{
    json_t *classes = json_array();
    int64_t all = 0;
    int most = -1;
    for (int c = 0; c < MCF_FACE_MAX_CLASSES; c++) {
        all += check->class_pixels[c];
        most = check->class_pixels[c] ? c : most;
    }
    for (int c = 0; c <= most; c++) {
        const char *name = mcf_face_class_name(set->layout, c);
        json_array_append_new(classes, json_pack("{s:i, s:s, s:I, s:f}", "class", c, "name", name ? name : "", "faces",
                                                 (json_int_t)check->class_faces[c], "share",
                                                 (double)check->class_pixels[c] / (double)all));
    }
    json_object_set_new(json, "classes", classes);
}

static mcf_status check_faces(const mcf_call *call, const mcf_config *config, bool validation, part *p, mcf_error *err)
{
    const bool labels = config->task == MCF_TASK_PARSE;
    const mcf_face_augment augment = mcf_config_face_augment(config);
    mcf_face_set set;
    mcf_face_check check = {0};
    MCF_TRY(mcf_config_faces_read(&set, config, validation, err));
    const char *sheet = sheet_path(call);
    const mcf_status place = sheet ? mcf_check_picture_faces(sheet, &set, err) : MCF_OK;
    if (place != MCF_OK) {
        mcf_face_set_free(&set);
        return place;
    }
    mcf_bar *bar = mcf_bar_start(call->quiet, "img");
    const mcf_face_check_options options = {.augment = &augment,
                                            .labels = labels,
                                            .classes = labels ? config->dense.head.outputs : 0,
                                            .threads = config->data.workers,
                                            .progress = on_progress,
                                            .context = bar,
                                            .stop = mcf_interrupt_flag()};
    mcf_status status = mcf_face_check_run(&check, &set, &options, err);
    mcf_bar_end(bar);
    if (status == MCF_OK) {
        p->json =
            json_pack("{s:s, s:s, s:I, s:I, s:i, s:I, s:I, s:i, s:i}", "part", p->name, "layout", set.layout->name,
                      "faces", (json_int_t)set.count, "good", (json_int_t)check.states[MCF_FACE_GOOD], "points",
                      set.points, "points outside", (json_int_t)check.points_outside, "faces with points outside",
                      (json_int_t)check.faces_outside, "least side", check.least_side, "most side", check.most_side);
        add_states(p->json, &check);
        add_left_out(p->json, &set);
        add_subsets(p->json, &set);
        if (labels)
            add_classes(p->json, &set, &check);
        p->bad = set.count - check.states[MCF_FACE_GOOD];
        status = mcf_face_sheet(&set, &check, &augment, labels, !validation, config->seed, SHEET_FACES, SHEET_COLUMNS,
                                SHEET_CELL, &p->sheet, &p->width, &p->height, err);
    }
    mcf_face_check_free(&check);
    mcf_face_set_free(&set);
    return status;
}

// --- pictures without labels

static mcf_status read_pictures(mcf_bar *bar, const mcf_config *config, const mcf_source *source, part *p,
                                mcf_error *err)
{
    const mcf_center_crop_options crop = mcf_data_crop(&config->data, SHEET_CELL);
    const mcf_transform transform = mcf_transform_center_crop(&crop);
    const mcf_loader_options options = {.batch = 1,
                                        .workers = config->data.workers,
                                        .ahead = 4 * config->data.workers,
                                        .keep_broken = true,
                                        .end_epoch = 1,
                                        .broken_min = INT64_MAX,
                                        .broken_share = 1};
    const int64_t count = mcf_source_count(source);
    mcf_loader *loader;
    MCF_TRY(mcf_loader_create(&loader, source, &transform, &options, err));
    const mcf_batch *batch = NULL;
    json_t *named = json_array();
    int64_t unsupported = 0;
    mcf_status status;
    for (int64_t done = 0; (status = mcf_loader_next(loader, &batch, err)) == MCF_OK && batch; done++) {
        if (batch->sample[0] < 0) {
            const mcf_loader_stats *stats = mcf_loader_get_stats(loader);
            char name[4096];
            p->bad++;
            unsupported = stats->unsupported;
            if (json_array_size(named) < NAMED && stats->recent_count > 0) {
                const mcf_broken_sample *b = &stats->recent[stats->recent_count - 1];
                mcf_source_name(source, b->sample, name, sizeof name);
                mcf_printable_in_place(name, sizeof name);
                json_array_append_new(named, json_sprintf("%s: %s", name, b->error.message));
            }
        }
        mcf_bar_update(bar, (double)done, (double)count, 0, NULL);
        if (*mcf_interrupt_flag()) {
            status = mcf_fail(err, MCF_ERR_INTERRUPTED, "interrupted");
            break;
        }
    }
    mcf_loader_destroy(loader);
    p->json = json_pack("{s:s, s:I, s:I, s:{}}", "part", p->name, "pictures", (json_int_t)count, "good",
                        (json_int_t)(count - p->bad), "faults");
    if (p->bad)
        json_object_set_new(json_object_get(p->json, "faults"), "broken pictures",
                            json_pack("{s:I, s:I, s:O}", "count", (json_int_t)p->bad, "unsupported",
                                      (json_int_t)unsupported, "first", named));
    json_decref(named);
    return status;
}

static mcf_status picture_sheet(const mcf_config *config, const mcf_source *source, part *p, mcf_error *err)
{
    const mcf_center_crop_options crop = mcf_data_crop(&config->data, SHEET_CELL);
    const size_t cell = SHEET_CELL, row = cell * 3;
    uint8_t *images = malloc(SHEET_FACES * cell * row);
    int64_t samples[SHEET_FACES];
    int got = 0;
    mcf_status status = images ? mcf_samples_read(source, SHEET_FACES, &crop, images, samples, &got, err)
                               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the sheet");
    const int rows = (got + SHEET_COLUMNS - 1) / SHEET_COLUMNS;
    p->width = SHEET_COLUMNS * SHEET_CELL;
    p->height = rows * SHEET_CELL;
    if (status == MCF_OK)
        status = mcf_bytes_resize(&p->sheet, (size_t)p->width * 3 * (size_t)p->height, err);
    if (status == MCF_OK && got)
        memset(p->sheet.data, 255, p->sheet.size);
    for (int k = 0; status == MCF_OK && k < got; k++)
        for (size_t y = 0; y < cell; y++)
            memcpy(p->sheet.data + ((size_t)(k / SHEET_COLUMNS) * cell + y) * (size_t)p->width * 3 +
                       (size_t)(k % SHEET_COLUMNS) * row,
                   images + ((size_t)k * cell + y) * row, row);
    free(images);
    return status;
}

static mcf_status check_pictures(const mcf_call *call, const mcf_config *config, bool validation, part *p,
                                 mcf_error *err)
{
    mcf_source *source;
    MCF_TRY(mcf_data_open(&source, &config->data, validation ? &config->data.validation : &config->data.train, err));
    const char *sheet = sheet_path(call);
    mcf_bar *bar = mcf_bar_start(call->quiet, "img");
    mcf_source_tell(source, mcf_bar_notice, bar);
    mcf_status status = sheet ? mcf_check_picture_source(sheet, source, err) : MCF_OK;
    if (status == MCF_OK)
        status = read_pictures(bar, config, source, p, err);
    mcf_bar_end(bar);
    if (status == MCF_OK)
        status = picture_sheet(config, source, p, err);
    mcf_source_close(source);
    return status;
}

// --- saying it

static void print_part(const json_t *json)
{
    const char *layout = json_string_value(json_object_get(json, "layout")), *key;
    const json_t *fault, *value;
    size_t i;
    const json_int_t good = json_integer_value(json_object_get(json, "good"));
    char labels[64] = "label maps";
    if (!json_object_get(json, "classes"))
        snprintf(labels, sizeof labels, "%lld points each",
                 (long long)json_integer_value(json_object_get(json, "points")));
    const json_int_t outside = json_integer_value(json_object_get(json, "points outside"));
    if (layout)
        printf("%s: %lld faces of layout %s, %s; %lld good\n", json_string_value(json_object_get(json, "part")),
               (long long)json_integer_value(json_object_get(json, "faces")), layout, labels, (long long)good);
    else
        printf("%s: %lld pictures; %lld good\n", json_string_value(json_object_get(json, "part")),
               (long long)json_integer_value(json_object_get(json, "pictures")), (long long)good);
    if (json_integer_value(json_object_get(json, "most side")))
        printf("  pictures of %lld to %lld pixels a side\n",
               (long long)json_integer_value(json_object_get(json, "least side")),
               (long long)json_integer_value(json_object_get(json, "most side")));
    if (outside)
        printf("  %lld points of %lld faces lie outside their pictures (they are kept)\n", (long long)outside,
               (long long)json_integer_value(json_object_get(json, "faces with points outside")));
    json_object_foreach((json_t *)json_object_get(json, "subsets"), key, value)
        printf("  subset %s: %lld\n", key, (long long)json_integer_value(value));
    json_array_foreach(json_object_get(json, "classes"), i, value)
        printf("  class %2lld %-12s in %5lld faces, %6.3f %% of the pixels\n",
               (long long)json_integer_value(json_object_get(value, "class")),
               json_string_value(json_object_get(value, "name")),
               (long long)json_integer_value(json_object_get(value, "faces")),
               100 * json_number_value(json_object_get(value, "share")));
    json_object_foreach((json_t *)json_object_get(json, "faults"), key, fault)
    {
        const json_t *first = json_object_get(fault, "first");
        const json_int_t count = json_integer_value(json_object_get(fault, "count"));
        printf("  %s: %lld\n", key, (long long)count);
        const json_int_t unsupported = json_integer_value(json_object_get(fault, "unsupported"));
        if (unsupported)
            printf("    of them not damaged but of a kind that is not read: %lld\n", (long long)unsupported);
        json_array_foreach(first, i, value) mcf_say(stdout, "    %s", json_string_value(value));
        if (count > (json_int_t)json_array_size(first))
            printf("    and %lld more\n", (long long)(count - (json_int_t)json_array_size(first)));
    }
}

// The parts' sheets below each other.
static mcf_status write_sheet(const part *parts, int count, const char *path, mcf_error *err)
{
    mcf_bytes sheet = {0}, file = {0};
    size_t height = 0, at = 0;
    const size_t width = (size_t)parts[0].width;
    for (int i = 0; i < count; i++)
        height += (size_t)parts[i].height;
    const mcf_image image = {
        .width = (int)width, .height = (int)height, .channels = 3, .stride = width * 3, .pixels = NULL};
    mcf_image drawn = image;
    mcf_status status = mcf_bytes_resize(&sheet, width * 3 * height, err);
    for (int i = 0; status == MCF_OK && i < count; at += (size_t)parts[i].height * width * 3, i++)
        memcpy(sheet.data + at, parts[i].sheet.data, (size_t)parts[i].height * width * 3);
    drawn.pixels = sheet.data;
    const char *end = strrchr(path, '.');
    if (status == MCF_OK)
        status = end && strcmp(end, ".png") == 0 ? mcf_image_encode_png(&drawn, &file, err)
                                                 : mcf_image_encode_jpeg(&drawn, 92, &file, err);
    if (status == MCF_OK)
        status = mcf_file_write(path, file.data, file.size, err);
    mcf_bytes_free(&sheet);
    mcf_bytes_free(&file);
    return status;
}

static mcf_status say(const mcf_call *call, part *parts, int count, mcf_error *err)
{
    const char *path = sheet_path(call);
    int64_t bad = 0;
    int height = 0;
    json_t *all = json_array();
    for (int i = 0; i < count; i++) {
        bad += parts[i].bad;
        height += parts[i].height;
        json_array_append(all, parts[i].json);
        if (!mcf_call_flag(call, "json"))
            print_part(parts[i].json);
    }
    const bool wanted = path && height > 0;
    mcf_status status = wanted ? write_sheet(parts, count, path, err) : MCF_OK;
    if (status == MCF_OK && mcf_call_flag(call, "json")) {
        json_t *json = json_pack("{s:O, s:s?}", "parts", all, "sheet", wanted ? path : NULL);
        json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(json);
    } else if (status == MCF_OK && wanted) {
        mcf_say(stdout,
                "%s: some of them with their labels; of training faces, each row is followed by one of the same faces "
                "augmented",
                path);
    }
    json_decref(all);
    if (status == MCF_OK && bad)
        return mcf_fail(err, MCF_ERR_FORMAT, "%lld of the pictures or labels are of no use; they are named above",
                        (long long)bad);
    return status;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    mcf_config config;
    part parts[2] = {{.name = "train"}, {.name = "validation"}};
    int count = 0;
    if (strcmp(call->arguments[0], "check") != 0)
        return mcf_fail(err, MCF_ERR_USAGE, "mcf data %s: there is only mcf data check CONFIG", call->arguments[0]);
    MCF_TRY(mcf_config_load(&config, call->arguments[1], call->sets, call->set_count, err));
    mcf_interrupt_install(0);
    mcf_status status =
        config.data.train.count + config.data.validation.count
            ? MCF_OK
            : mcf_fail(err, MCF_ERR_USAGE, "%s: data.train and data.validation name nothing", call->arguments[1]);
    const char *sheet = sheet_path(call);
    if (status == MCF_OK && sheet)
        status = mcf_check_output_picture(sheet, NULL, 0, err);
    if (status == MCF_OK && sheet)
        status = mcf_check_picture_config(sheet, &config, err);
    for (int validation = 0; validation < 2 && status == MCF_OK; validation++) {
        if (!(validation ? config.data.validation.count : config.data.train.count))
            continue;
        parts[count].name = validation ? "validation" : "train";
        status = config.task == MCF_TASK_PRETRAIN ? check_pictures(call, &config, validation, &parts[count], err)
                                                  : check_faces(call, &config, validation, &parts[count], err);
        count++;
    }
    if (status == MCF_OK)
        status = say(call, parts, count, err);
    for (int i = 0; i < count; i++) {
        json_decref(parts[i].json);
        mcf_bytes_free(&parts[i].sheet);
    }
    mcf_config_free(&config);
    return status;
}

static const mcf_option options[] = {
    {"json", NULL, "Print JSON", false},
    {"sheet", "FILE", "Receives the sheet, .jpg or .png (default: data-check.jpg; none: no sheet)", false},
    {0},
};

const mcf_command mcf_command_data = {
    .name = "data",
    .arguments = "check CONFIG",
    .least = 2,
    .most = 2,
    .summary = "Check what a data set holds",
    .description =
        "Reads every picture and label of data.train and data.validation once and says what is found, missing and "
        "broken, with file and line: at most ten of each kind are named, all are counted. For published sets it says "
        "the "
        "subsets, for label maps how often each class occurs.\n\n"
        "A sheet shows faces spread over the set as the network sees them, with points or coloured classes drawn on "
        "them; of training faces every row is followed by one of the same faces under augmentation.\n\n"
        "Exits with 1 where anything is missing or broken.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_QUIET,
    .examples = "mcf data check configs/small/faces96.yaml --set 'data.train=[faces]'\n"
                "mcf data check align.yaml --json --sheet sheet.png",
    .run = run,
};
