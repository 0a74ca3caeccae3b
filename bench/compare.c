// One measurement on several backends, printed side by side.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { MOST = 8, NAME = 34 /* or the longest name */, COLUMN = 28 };

// "a,b,c" into names; they point into `copy`, which is changed.
static mcf_status split(char *copy, const char *names[MOST], int *count, mcf_error *err)
{
    char *rest = NULL;
    *count = 0;
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (*count == MOST)
            return mcf_fail(err, MCF_ERR_USAGE, "bench: more than %d backends", MOST);
        names[(*count)++] = word;
    }
    if (*count < 2)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --backend NAME,NAME takes two backends or more");
    return MCF_OK;
}

// The list a report's rows are in, and what their name is called.
static json_t *rows_of(json_t *report, const char **name)
{
    json_t *ops = json_object_get(report, "ops");
    *name = ops ? "name" : "op";
    return ops ? ops : json_object_get(report, "profile");
}

static json_t *find_row(json_t *report, const char *wanted, const char *dtype)
{
    const char *name;
    json_t *rows = rows_of(report, &name), *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        const char *this_one = json_string_value(json_object_get(row, name));
        const char *type = json_string_value(json_object_get(row, "dtype"));
        if (this_one && !strcmp(this_one, wanted) && (!dtype || (type && !strcmp(type, dtype))))
            return row;
    }
    return NULL;
}

// Numbers of whole reports: images a second, GFLOP/s.
static void whole(mcf_text *table, json_t **reports, int count, int wide, const char *key, const char *label)
{
    if (!json_object_get(reports[0], key))
        return;
    mcf_text_add(table, "%-*s", wide, label);
    for (int b = 0; b < count; b++)
        mcf_text_add(table, "%*.3f", COLUMN, json_number_value(json_object_get(reports[b], key)));
    mcf_text_add(table, "\n");
}

static void write_table(mcf_text *table, json_t **reports, const char *const *names, int count)
{
    const char *key;
    json_t *rows = rows_of(reports[0], &key), *row;
    size_t i;
    int wide = NAME;
    json_array_foreach(rows, i, row)
    {
        const int length = (int)strlen(json_string_value(json_object_get(row, key)));
        wide = length > wide ? length : wide;
    }
    mcf_text_add(table, "%-*s", wide, "");
    for (int b = 0; b < count; b++)
        mcf_text_add(table, "%*s", COLUMN, names[b]);
    mcf_text_add(table, "\n");
    whole(table, reports, count, wide, "images_per_second", "images/s");
    whole(table, reports, count, wide, "gflops", "GFLOP/s");
    whole(table, reports, count, wide, "fp32_gflops", "GFLOP/s in fp32");
    whole(table, reports, count, wide, "bf16_gflops", "GFLOP/s in bf16");
    json_array_foreach(rows, i, row)
    {
        const char *name = json_string_value(json_object_get(row, key));
        const char *dtype = json_string_value(json_object_get(row, "dtype"));
        mcf_text_add(table, "%-*s", wide, name);
        for (int b = 0; b < count; b++) {
            json_t *other = find_row(reports[b], name, dtype);
            // Rate where it says more than the time: FLOPs of products, bytes of the rest.
            const double gflops = json_number_value(json_object_get(other, "gflops"));
            const double gbytes = json_number_value(json_object_get(other, "gbytes_per_s"));
            const bool product = gflops > 4 * gbytes;
            if (!other)
                mcf_text_add(table, "%*s", COLUMN, "-");
            else if (json_object_get(other, "gflops"))
                mcf_text_add(table, " %9.2f ms %6.0f %7s", json_number_value(json_object_get(other, "seconds")) * 1e3,
                             product ? gflops : gbytes, product ? "GFLOP/s" : "GB/s");
            else
                mcf_text_add(table, " %9.2f ms               ",
                             json_number_value(json_object_get(other, "seconds")) * 1e3);
        }
        mcf_text_add(table, "\n");
    }
}

static mcf_status compare(mcf_bench_function function, const mcf_config *config, const mcf_bench_options *options,
                          const char *const *names, int count, json_t **reports, mcf_bench_report *out, mcf_error *err)
{
    json_t *list = json_array();
    mcf_text table = {0};
    mcf_status status = MCF_OK;
    for (int b = 0; b < count && status == MCF_OK; b++) {
        mcf_bench_options one = *options;
        mcf_bench_report report = {0};
        one.job.backend = names[b];
        status = function(config, &one, &report, err);
        if (status == MCF_OK) {
            reports[b] = json_loads(report.json, 0, NULL);
            json_array_append(list, reports[b]);
        }
        if (status == MCF_OK && !reports[b])
            status = mcf_fail(err, MCF_ERR_NOMEM, "bench: no memory for a report");
        mcf_bench_report_free(&report);
    }
    json_t *root = json_pack("{s:o}", "backends", list);
    if (status == MCF_OK) {
        write_table(&table, reports, names, count);
        status = mcf_bench_finish(out, root, &table, err);
    }
    json_decref(root);
    mcf_text_free(&table);
    return status;
}

mcf_status mcf_bench_backends(mcf_bench_function function, const mcf_config *config, const mcf_bench_options *options,
                              mcf_bench_report *report, mcf_error *err)
{
    const char *names[MOST];
    json_t *reports[MOST] = {NULL};
    int count = 0;
    *report = (mcf_bench_report){0};
    char *copy = strdup(options->job.backend);
    if (!copy)
        return mcf_fail(err, MCF_ERR_NOMEM, "bench: no memory for names");
    mcf_status status = split(copy, names, &count, err);
    if (status == MCF_OK)
        status = compare(function, config, options, names, count, reports, report, err);
    for (int b = 0; b < count; b++)
        json_decref(reports[b]);
    free(copy);
    return status;
}

// --- tuning

static void add_line(void *context, const char *line)
{
    mcf_text_add(context, "%s\n", line);
}

typedef struct {
    mcf_job *job;
    double seconds;
    mcf_text table;
} tuning;

static mcf_status tune(int rank, void *context, mcf_error *err)
{
    tuning *t = context;
    const mcf_backend *backend = mcf_job_backend(t->job);
    if (!backend->tune)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "backend %s has nothing to tune; opencl has", backend->name);
    return backend->tune(mcf_job_device(t->job, rank), t->seconds, add_line, &t->table, err);
}

mcf_status mcf_bench_tune(const mcf_bench_options *options, mcf_bench_report *report, mcf_error *err)
{
    *report = (mcf_bench_report){0};
    tuning t = {.seconds = options->seconds > 0 ? options->seconds : 0.2};
    if (options->job.device_count > 1)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --tune takes one device at a time");
    MCF_TRY(mcf_job_create(&t.job, &options->job, err));
    mcf_status status = mcf_job_run(t.job, tune, &t, err);
    json_t *root =
        json_pack("{s:s, s:i}", "backend", mcf_job_backend(t.job)->name, "device", mcf_job_device_index(t.job, 0));
    if (status == MCF_OK)
        status = mcf_bench_finish(report, root, &t.table, err);
    json_decref(root);
    mcf_text_free(&t.table);
    mcf_job_destroy(t.job);
    return status;
}
