// The report: what of each part is known is read or computed first, then the page is written from top to bottom.
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "report/internal.h"
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
        mcf_html_add(h, c->task == MCF_TASK_ALIGN ? "face alignment" : "face parsing");
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
    mcf_html_add(h, "<nav><a href=\"#curves\">Curves</a><a href=\"#reconstructions\">Reconstructions</a>"
                    "<a href=\"#attention\">Attention</a><a href=\"#features\">Features</a>"
                    "<a href=\"#retrieval\">Retrieval</a><a href=\"#scores\">Scores</a><a href=\"#config\">Config</a>"
                    "<a href=\"#machine\">Machine</a><a href=\"#next\">How to go on</a></nav></header>\n<main>\n");
}

static mcf_status write_page(mcf_report_page *page, mcf_error *err)
{
    mcf_html *h = &page->html;
    static void (*const sections[])(mcf_report_page *) = {
        mcf_report_summary,   mcf_report_curves, mcf_report_reconstructions, mcf_report_attention, mcf_report_features,
        mcf_report_retrieval, mcf_report_scores, mcf_report_configs,         mcf_report_machines,  mcf_report_next};
    head(page);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        sections[i](page);
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

mcf_status mcf_report(const mcf_report_options *options, mcf_report_result *result, mcf_error *err)
{
    mcf_report_page page = {.options = options, .count = (int)options->run_count, .result = result};
    *result = (mcf_report_result){0};
    if (options->run_count < 1 || options->run_count > MCF_REPORT_RUNS)
        return mcf_fail(err, MCF_ERR_USAGE, "%zu runs: a report takes 1 to %d", options->run_count, MCF_REPORT_RUNS);
    MCF_TRY(check_place(options, err));
    page.runs = calloc((size_t)page.count, sizeof *page.runs);
    mcf_status status = page.runs ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the runs");
    for (int i = 0; i < page.count && status == MCF_OK; i++) {
        status = mcf_report_run_open(&page.runs[i], options->runs[i], err);
        page.runs[i].index = i;
    }
    for (int i = 0; i < page.count && status == MCF_OK; i++)
        status = mcf_report_run_compute(&page.runs[i], options, err);
    if (status == MCF_OK)
        status = write_page(&page, err);
    for (int i = 0; page.runs && i < page.count; i++)
        mcf_report_run_close(&page.runs[i]);
    free(page.runs);
    mcf_text_free(&page.html);
    return status;
}
