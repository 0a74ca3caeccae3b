// The report: what of each part is known is read or computed first, then the page is written from top to bottom.
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "report/internal.h"
#include "run/input_faces.h"
#include "run/inputs.h"
#include "run/output.h"

#ifndef MCF_VERSION
#define MCF_VERSION "unknown"
#endif

// What was trained, in words.
static void describe(mcf_html *h, const mcf_report_run *run)
{
    const mcf_config *c = &run->config;
    if (!run->has_config)
        return;
    if (c->task != MCF_TASK_PRETRAIN) {
        const bool align = c->task == MCF_TASK_ALIGN;
        mcf_html_format(h, "face %s, %d %s, ", align ? "alignment" : "parsing", c->dense.head.outputs,
                        align ? "points" : "classes");
        mcf_html_text_format(h, "%s%s", c->model.init[0] ? "from " : "from random weights", c->model.init);
        mcf_html_add(h, c->dense.freeze_backbone ? ", the encoder frozen" : "");
    } else if (c->objective.method == MCF_METHOD_MOCO_V3) {
        mcf_html_add(h, "MoCo-v3");
    } else {
        const struct {
            double weight;
            const char *name;
        } terms[] = {{c->objective.feature_weight, "feature"},
                     {c->objective.pixel_weight, "pixel"},
                     {c->objective.contrastive_weight, "contrastive"}};
        const char *before = "pre-training on the ";
        for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
            if (terms[i].weight > 0) {
                mcf_html_format(h, "%s%s", before, terms[i].name);
                before = " + ";
            }
        mcf_html_add(h, " term");
    }
    mcf_html_format(h, "; encoder of %d blocks, width %d, patches of %d on %d&#215;%d pixels", c->model.encoder.depth,
                    c->model.encoder.dim, c->model.patch_size, c->model.image_size, c->model.image_size);
}

// Which runs a section is about.
typedef enum { OF_ALL, OF_PRETRAINING, OF_DENSE, OF_ALIGNMENT, OF_PARSING } whom;

static const struct {
    const char *id, *title; // in the list of contents; NULL: not there
    void (*write)(mcf_report_page *page);
    whom of;
} sections[] = {{NULL, NULL, mcf_report_summary, OF_ALL},
                {"curves", "Curves", mcf_report_curves, OF_ALL},
                {"reconstructions", "Reconstructions", mcf_report_reconstructions, OF_PRETRAINING},
                {"attention", "Attention", mcf_report_attention, OF_PRETRAINING},
                {"features", "Features", mcf_report_features, OF_PRETRAINING},
                {"retrieval", "Retrieval", mcf_report_retrieval, OF_PRETRAINING},
                {"scores", "Scores", mcf_report_scores, OF_ALL},
                {"errors", "Errors", mcf_report_errors, OF_ALIGNMENT},
                {"confusion", "Confusion", mcf_report_confusion, OF_PARSING},
                {"faces", "Faces", mcf_report_faces, OF_DENSE},
                {"config", "Config", mcf_report_configs, OF_ALL},
                {"machine", "Machine", mcf_report_machines, OF_ALL},
                {"next", "How to go on", mcf_report_next, OF_ALL}};

enum { SECTIONS = sizeof sections / sizeof *sections };

static bool wanted(const mcf_report_page *page, whom of)
{
    bool any = of == OF_ALL;
    for (int i = 0; i < page->count; i++) {
        const mcf_report_run *run = &page->runs[i];
        const bool dense = mcf_report_is_dense(run);
        any |= (of == OF_PRETRAINING && !dense) || (of == OF_DENSE && dense) ||
               (of == OF_ALIGNMENT && dense && run->config.task == MCF_TASK_ALIGN) ||
               (of == OF_PARSING && dense && run->config.task == MCF_TASK_PARSE);
    }
    return any;
}

static void nav(mcf_report_page *page)
{
    mcf_html_add(&page->html, "<nav>");
    for (int i = 0; i < SECTIONS; i++)
        if (sections[i].id && wanted(page, sections[i].of))
            mcf_html_format(&page->html, "<a href=\"#%s\">%s</a>", sections[i].id, sections[i].title);
    mcf_html_add(&page->html, "</nav>");
}

static void head(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    char when[32] = "";
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &utc);
    // The policy forbids whatever the page does not carry itself.
    mcf_html_add(h,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                 "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>");
    for (int i = 0; i < page->count; i++)
        mcf_html_text_format(h, "%s%s", i ? ", " : "", page->runs[i].name);
    mcf_html_add(h, " - mcf report</title>\n<style>\n");
    mcf_html_add(h, mcf_report_style);
    mcf_html_add(h, "</style>\n</head>\n<body>\n<header><h1>Training of ");
    for (int i = 0; i < page->count; i++)
        mcf_html_text_format(h, "%s%s", i ? ", " : "", page->runs[i].name);
    mcf_html_add(h, "</h1><p class=\"lead\">");
    if (page->count == 1)
        describe(h, page->runs);
    else
        mcf_html_format(h, "%d runs side by side", page->count);
    mcf_html_format(h, ". Report of %s.</p>", when);
    for (int i = 0; i < page->count && page->count > 1; i++) {
        mcf_html_format(h, "<p><span class=\"swatch run-%d\"></span><b>", page->runs[i].index);
        mcf_html_text(h, page->runs[i].name);
        mcf_html_add(h, "</b>: ");
        describe(h, &page->runs[i]);
        mcf_html_add(h, "</p>");
    }
    nav(page);
    mcf_html_add(h, "</header>\n<main>\n");
}

static mcf_status write_page(mcf_report_page *page, mcf_error *err)
{
    mcf_html *h = &page->html;
    head(page);
    for (int i = 0; i < SECTIONS; i++) {
        if (!wanted(page, sections[i].of))
            continue;
        sections[i].write(page);
        mcf_html_add(h, "\n");
    }
    mcf_html_add(h, "</main>\n<footer>Made by mcf " MCF_VERSION
                    ". This file is complete in itself: it loads nothing and sends nothing.</footer>\n<script>\n");
    mcf_html_add(h, mcf_report_script);
    mcf_html_add(h, "</script>\n</body>\n</html>\n");
    if (h->failed)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the report");
    page->result->bytes = (int64_t)h->size;
    return mcf_file_write(page->options->out, h->text, h->size, err);
}

// The page's folder is made before the work, and its place looked at.
static mcf_status check_place(const mcf_report_options *options, mcf_error *err)
{
    char *folder = mcf_path_parent(options->out);
    mcf_status status = folder ? mcf_directory_make(folder, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    free(folder);
    MCF_TRY(status);
    MCF_TRY(mcf_check_output(options->out, options->runs, options->run_count, err));
    return mcf_check_output(options->out, options->images, options->image_count, err);
}

static bool of_one_group(const mcf_report_run *a, const mcf_report_run *b)
{
    if (!mcf_report_is_dense(a) || !mcf_report_is_dense(b))
        return !mcf_report_is_dense(a) && !mcf_report_is_dense(b);
    return a->config.task == b->config.task && a->config.dense.head.outputs == b->config.dense.head.outputs &&
           mcf_config_face_layout(&a->config) == mcf_config_face_layout(&b->config);
}

static mcf_status open_runs(mcf_report_page *page, mcf_error *err)
{
    page->runs = calloc((size_t)page->count, sizeof *page->runs);
    if (!page->runs)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the runs");
    for (int i = 0; i < page->count; i++) {
        mcf_report_run *run = &page->runs[i];
        MCF_TRY(mcf_report_run_open(run, page->options->runs[i], err));
        run->index = run->group = i;
        for (int k = i - 1; k >= 0; k--)
            if (of_one_group(run, &page->runs[k]))
                run->group = page->runs[k].group;
    }
    return MCF_OK;
}

// What the run's config names may be read for the page.
static mcf_status check_inputs(const mcf_report_run *run, const char *out, mcf_error *err)
{
    if (!run->has_config)
        return MCF_OK;
    MCF_TRY(mcf_check_output_config(out, &run->config, err));
    return mcf_check_output_labels(out, &run->config, true, err);
}

mcf_status mcf_report(const mcf_report_options *options, mcf_report_result *result, mcf_error *err)
{
    mcf_report_page page = {.options = options, .count = (int)options->run_count, .result = result};
    *result = (mcf_report_result){0};
    if (options->run_count < 1 || options->run_count > MCF_REPORT_RUNS)
        return mcf_fail(err, MCF_ERR_USAGE, "%zu runs: a report takes 1 to %d", options->run_count, MCF_REPORT_RUNS);
    MCF_TRY(check_place(options, err));
    mcf_status status = open_runs(&page, err);
    for (int i = 0; i < page.count && status == MCF_OK; i++)
        status = check_inputs(&page.runs[i], options->out, err);
    for (int i = 0; i < page.count && status == MCF_OK; i++)
        status = mcf_report_run_compute(&page.runs[i], options, err);
    if (status == MCF_OK)
        status = mcf_report_draw_faces(&page, err);
    if (status == MCF_OK)
        status = write_page(&page, err);
    for (int i = 0; page.runs && i < page.count; i++)
        mcf_report_run_close(&page.runs[i]);
    free(page.runs);
    mcf_text_free(&page.html);
    return status;
}
