// mcf eval: scores of alignment and parsing, beside the paper's.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/commands.h"
#include "infer/eval.h"
#include "infer/published.h"
#include "run/input_faces.h"
#include "run/inputs.h"
#include "run/output.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

static double published_value(const mcf_published *p, const mcf_published_row *row, const char *measure)
{
    for (int i = 0; p->measures[i]; i++)
        if (strcmp(p->measures[i], measure) == 0)
            return row->value[i];
    return 0;
}

// The paper's rows at the network's input size, and FaRL's last epochs.
static bool is_shown(const mcf_published_row *row, const mcf_eval_result *r)
{
    return row->size == r->image_size;
}

static void print(const mcf_eval_result *r)
{
    const mcf_published *p = mcf_published_of(r->layout);
    char heading[600] = "score (%)";
    for (int n = 0; n < r->count; n++)
        snprintf(heading + strlen(heading), sizeof heading - strlen(heading), "|>%s", r->network[n].network);
    for (int i = 0; p && i < p->row_count; i++)
        if (is_shown(&p->rows[i], r))
            snprintf(heading + strlen(heading), sizeof heading - strlen(heading), "|>%s", p->rows[i].name);
    mcf_table *table = mcf_table_create(heading);
    for (int i = 0; i < r->network[0].count; i++) {
        const char *name = r->network[0].score[i].name;
        mcf_table_cell(table, "%s", name);
        for (int n = 0; n < r->count; n++)
            mcf_table_cell(table, "%.3f", r->network[n].score[i].value);
        for (int k = 0; p && k < p->row_count; k++) {
            const double value = is_shown(&p->rows[k], r) ? published_value(p, &p->rows[k], name) : 0;
            if (is_shown(&p->rows[k], r))
                mcf_table_cell(table, value > 0 ? "%.3f" : "-", value);
        }
    }
    mcf_table_print(table);
    mcf_table_free(table);
    for (int n = 0; n < r->count; n++)
        mcf_say(stdout, "%s: %lld faces, step %lld%s", r->network[n].network, (long long)r->network[n].faces,
                (long long)r->network[n].step,
                strcmp(r->network[n].network, "best") ? "" : "; the best epoch on these faces, as FaRL reports");
    if (r->network[0].broken)
        mcf_say(stdout, "%lld pictures cannot be read and are left out; the first: %s", (long long)r->network[0].broken,
                r->network[0].first_broken);
    if (r->network[0].unsupported)
        mcf_say(stdout, "%lld of them are not damaged but of a kind that is not read",
                (long long)r->network[0].unsupported);
}

static mcf_status write_json(const mcf_eval_result *r, const char *path, mcf_error *err)
{
    const mcf_published *p = mcf_published_of(r->layout);
    json_t *root =
        json_pack("{s:s, s:i, s:{}, s:{}}", "layout", r->layout, "image_size", r->image_size, "networks", "paper");
    for (int n = 0; root && n < r->count; n++) {
        const mcf_eval_network *of = &r->network[n];
        json_t *scores = json_object();
        for (int i = 0; i < of->count; i++)
            json_object_set_new(scores, of->score[i].name, json_real(of->score[i].value));
        json_object_set_new(json_object_get(root, "networks"), of->network,
                            json_pack("{s:I, s:I, s:I, s:I, s:o}", "step", (json_int_t)of->step, "faces",
                                      (json_int_t)of->faces, "broken", (json_int_t)of->broken, "unsupported",
                                      (json_int_t)of->unsupported, "scores", scores));
    }
    for (int k = 0; root && p && k < p->row_count; k++) {
        if (!is_shown(&p->rows[k], r))
            continue;
        json_t *row = json_object();
        for (int i = 0; p->measures[i]; i++)
            if (p->rows[k].value[i] > 0)
                json_object_set_new(row, p->measures[i], json_real(p->rows[k].value[i]));
        json_object_set_new(json_object_get(root, "paper"), p->rows[k].name, row);
    }
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    mcf_status status =
        text ? mcf_file_write(path, text, strlen(text), err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the scores");
    free(text);
    json_decref(root);
    return status;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *out = mcf_call_value(call, "out"), *auc = mcf_call_value(call, "auc");
    const char *const inputs[] = {call->arguments[0], mcf_call_value(call, "checkpoint")};
    mcf_config config;
    int64_t batch;
    double threshold;
    if (auc && strcmp(auc, "farl") && strcmp(auc, "exact"))
        return mcf_fail(err, MCF_ERR_USAGE, "--auc %s: must be farl or exact", auc);
    MCF_TRY(mcf_call_integer(call, "batch", 8, 1, 4096, &batch, err));
    MCF_TRY(mcf_call_number(call, "threshold", 0, 0, 10, &threshold, err));
    if (out)
        MCF_TRY(mcf_check_output(out, inputs, 2, err));
    MCF_TRY(mcf_config_load(&config, call->arguments[0], call->sets, call->set_count, err));
    mcf_status status = out ? mcf_check_output_config(out, &config, err) : MCF_OK;
    if (status == MCF_OK && out)
        status = mcf_check_output_labels(out, &config, false, err);
    if (status != MCF_OK) {
        mcf_config_free(&config);
        return status;
    }
    mcf_bar *bar = mcf_bar_start(call->quiet, "faces");
    const mcf_eval_options options = {.job = call->job,
                                      .checkpoint = mcf_call_value(call, "checkpoint"),
                                      .normaliser = mcf_call_value(call, "normaliser"),
                                      .threshold = threshold,
                                      .exact_auc = auc && !strcmp(auc, "exact"),
                                      .batch = (int)batch,
                                      .stop = mcf_interrupt_flag(),
                                      .progress = on_progress,
                                      .notice = mcf_bar_notice,
                                      .context = bar};
    static mcf_eval_result result;
    mcf_interrupt_install(MCF_PATIENCE);
    status = mcf_eval(&config, &options, &result, err);
    mcf_bar_end(bar);
    mcf_config_free(&config);
    if (status == MCF_OK && out)
        status = write_json(&result, out, err);
    if (status == MCF_OK && (!call->quiet || !out))
        print(&result);
    return status;
}

static const mcf_option options[] = {
    {"checkpoint", "FILE", "A run of mcf finetune (its last network and its best), a checkpoint or a file", true},
    {"out", "FILE", "Receives the scores as JSON", false},
    {"normaliser", "NAME", "Of the points' errors: inter-ocular, inter-pupil, box or diagonal (default: the set's)",
     false},
    {"threshold", "T", "Of fr and auc, in parts of the normaliser (default 0.07 for AFLW-19, else 0.1)", false},
    {"auc", "HOW", "farl (default): fr and auc on FaRL's grid; exact: without a grid", false},
    {"batch", "N", "Faces at a time (default 8)", false},
    {0},
};

const mcf_command mcf_command_eval = {
    .name = "eval",
    .arguments = "CONFIG",
    .least = 1,
    .most = 1,
    .summary = "Score face alignment or face parsing, beside the paper's figures",
    .description =
        "Scores the averaged network on the faces of the config's `data.validation`, in the pictures' own pixels: the "
        "normalised mean error of the points for all faces and each subset, the failure rate and the area under the "
        "cumulative error curve; or the F1 of each class and their mean without the background. The paper's rows for "
        "the same set and input size stand beside.\n\n"
        "Of a run both networks are scored: the last, and the best, which is the one whose validation was the best "
        "after an epoch: where data.validation is the test set, that is how FaRL reports its figures.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf eval configs/align/wflw/mcf_224.yaml --checkpoint runs/wflw\n"
                "mcf eval configs/parse/lapa/mcf_448.yaml --checkpoint runs/lapa --out scores.json",
    .run = run,
};
