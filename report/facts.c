// Sections with words: scores beside the paper's, configs, machines, what to do next.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"

// --- scores

static void paper_table(mcf_report_page *page, const mcf_paper_row *row)
{
    mcf_html *h = &page->html;
    bool larger = false;
    for (int m = 0; m < MCF_PAPER_MEASURES; m++)
        larger |= row->at_448[m] > 0;
    mcf_html_format(h,
                    "<div class=\"scroll\"><table><thead><tr><th>set</th><th>measure</th><th class=\"n\">Scratch, 224"
                    "</th><th class=\"n\">%s, 224</th>%s%s%s</tr></thead><tbody>",
                    row->title, larger ? "<th class=\"n\">" : "", larger ? row->title : "", larger ? ", 448</th>" : "");
    for (int m = 0; m < MCF_PAPER_MEASURES; m++) {
        const mcf_paper_measure *measure = &mcf_paper_measures[m];
        if (row->at_224[m] <= 0)
            continue;
        mcf_html_format(h, "<tr><td>%s</td><td>%s %s</td><td class=\"n\">%.*f</td><td class=\"n\">%.*f</td>",
                        measure->set, measure->measure, measure->higher ? "&#8593;" : "&#8595;", measure->decimals,
                        mcf_paper_scratch.at_224[m], measure->decimals, row->at_224[m]);
        if (larger)
            mcf_html_format(h, "<td class=\"n\">%.*f</td>", measure->decimals, row->at_448[m]);
        mcf_html_add(h, "</tr>");
    }
    mcf_html_format(
        h,
        "</tbody></table></div><p class=\"note\">The paper's own figures, %s, at 224 %spixels; &#8593; more is "
        "better, &#8595; less is. They come after fine-tuning on these sets, so this run has no figures of its own to "
        "set beside them; those of <code>mcf finetune</code> that start from it have. What it has is "
        "<a href=\"#retrieval\">retrieval</a>.</p>",
        row->source, larger ? "and 448 " : "");
}

void mcf_report_scores(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h, "<h2 id=\"scores\">Scores beside the paper's</h2>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        char differences[800];
        if (mcf_report_is_dense(run))
            continue;
        mcf_report_run_heading(page, run);
        if (!run->has_config) {
            mcf_report_missing(page, "The config tells which row of the paper this is, and it is missing.",
                               run->config_error);
            continue;
        }
        if (run->config.objective.method == MCF_METHOD_MOCO_V3) {
            mcf_html_add(h,
                         "<p>MoCo-v3 makes M<sub>1</sub>, the frozen network of the feature term. The paper prints no "
                         "score of its own for it.</p>");
            continue;
        }
        const mcf_paper_row *row = mcf_paper_row_of(&run->config);
        if (!row) {
            mcf_html_add(h,
                         "<p>The paper has no row with this mix of terms, so there is nothing to set beside it.</p>");
            continue;
        }
        mcf_paper_differences(&run->config, row, differences, sizeof differences);
        mcf_html_format(h, "<p>The config's terms are those of the row <b>%s</b>.", row->title);
        if (differences[0]) {
            mcf_html_add(h, " <b>Its size is not</b> (the paper's in brackets): ");
            mcf_html_text(h, differences);
            mcf_html_add(h, ". Such a run shows that the method works, not how well it does at the paper's size.");
        }
        mcf_html_add(h, "</p>");
        paper_table(page, row);
    }
    mcf_report_dense_scores(page);
}

// --- configs

typedef struct {
    char key[128], value[512];
} setting;

// The lines of a dumped config as dotted keys. NULL: no memory.
static setting *settings_of(const mcf_config *config, int *count)
{
    enum { DEPTH = 8, MOST = 256 };
    char *text = NULL, part[DEPTH][64];
    setting *list = calloc(MOST, sizeof *list);
    *count = 0;
    if (!list || mcf_config_dump(config, &text, NULL) != MCF_OK) {
        free(list);
        return NULL;
    }
    for (const char *line = text; *line && *count < MOST; line += strcspn(line, "\n"), line += *line == '\n') {
        const size_t indent = strspn(line, " "), length = strcspn(line, "\n"), colon = strcspn(line, ":\n");
        const size_t depth = indent / 2;
        if (depth >= DEPTH || colon >= length || line[indent] == '#')
            continue;
        snprintf(part[depth], sizeof part[depth], "%.*s", (int)(colon - indent), line + indent);
        if (colon + 1 >= length)
            continue; // opens a section
        setting *s = &list[(*count)++];
        for (size_t d = 0, used = 0; d <= depth && used < sizeof s->key; d++)
            used += (size_t)snprintf(s->key + used, sizeof s->key - used, "%s%s", d ? "." : "", part[d]);
        snprintf(s->value, sizeof s->value, "%.*s", (int)(length - colon - 2), line + colon + 2);
    }
    free(text);
    return list;
}

static const char *value_of(const setting *list, int count, const char *key)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].key, key) == 0)
            return list[i].value;
    return NULL;
}

static void differences_row(mcf_html *h, const char *key, setting *const *lists, const int *counts, int runs)
{
    bool differs = false;
    for (int r = 0; r < runs; r++) {
        const char *value = value_of(lists[r], counts[r], key);
        if (!value)
            return;
        differs |= strcmp(value_of(lists[0], counts[0], key), value) != 0;
    }
    if (!differs)
        return;
    mcf_html_add(h, "<tr class=\"differs\"><th><code>");
    mcf_html_text(h, key);
    mcf_html_add(h, "</code></th>");
    for (int r = 0; r < runs; r++) {
        mcf_html_add(h, "<td>");
        mcf_html_text(h, value_of(lists[r], counts[r], key));
        mcf_html_add(h, "</td>");
    }
    mcf_html_add(h, "</tr>");
}

// What the runs' configs do not have in common, of the keys that all of them have: those of one method alone would bury
// the rest.
static void differences(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    setting *lists[MCF_REPORT_RUNS] = {0};
    int counts[MCF_REPORT_RUNS] = {0};
    for (int r = 0; r < page->count; r++)
        if (page->runs[r].has_config)
            lists[r] = settings_of(&page->runs[r].config, &counts[r]);
    mcf_html_add(h, "<h3>What differs</h3><div class=\"scroll\"><table><thead><tr><th>key</th>");
    for (int r = 0; r < page->count; r++) {
        mcf_html_format(h, "<th><span class=\"swatch run-%d\"></span>", page->runs[r].index);
        mcf_html_text(h, page->runs[r].name);
        mcf_html_add(h, "</th>");
    }
    mcf_html_add(h, "</tr></thead><tbody>");
    for (int i = 0; i < counts[0]; i++)
        differences_row(h, lists[0][i].key, lists, counts, page->count);
    mcf_html_add(h,
                 "</tbody></table></div><p class=\"note\">Keys that only some of the methods know are left out.</p>");
    for (int r = 0; r < page->count; r++)
        free(lists[r]);
}

void mcf_report_configs(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h, "<h2 id=\"config\">Config as run</h2>");
    if (page->count > 1)
        differences(page);
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        if (run->config_error[0])
            mcf_report_missing(page, "The config could not be read.", run->config_error);
        if (!run->config_text)
            continue;
        mcf_html_add(h, "<details><summary>");
        mcf_html_text_format(h, "%s/config.yaml", run->path);
        mcf_html_add(h, "</summary><pre>");
        mcf_html_text(h, run->config_text);
        mcf_html_add(h, "</pre></details>");
    }
}

// --- machines

static void fact(mcf_html *h, const char *title, const char *value)
{
    if (!value || !*value)
        return;
    mcf_html_format(h, "<tr><th>%s</th><td>", title);
    mcf_html_text(h, value);
    mcf_html_add(h, "</td></tr>");
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void start_facts(mcf_html *h, const mcf_report_run *run, const json_t *start)
{
    char text[1600];
    const json_t *devices = json_object_get(start, "devices");
    fact(h, "Processor", text_of(start, "cpu"));
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(json_object_get(start, "cores")));
    fact(h, "Cores", text);
    snprintf(text, sizeof text, "%s (%s)", text_of(start, "backend"), text_of(start, "about"));
    fact(h, "Backend", text);
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        char title[32];
        snprintf(title, sizeof title, "Device %zu", i);
        snprintf(text, sizeof text, "%s; %s; %.1f GiB", text_of(device, "name"), text_of(device, "detail"),
                 (double)json_integer_value(json_object_get(device, "memory")) / (1 << 30));
        fact(h, title, text);
    }
    const json_int_t threads = json_integer_value(json_object_get(start, "threads"));
    snprintf(text, sizeof text, "%lld", (long long)threads);
    fact(h, "Threads a device", threads ? text : "as many as the cores allow");
    snprintf(text, sizeof text, "%s %s, %s", text_of(start, "system"), text_of(start, "release"),
             text_of(start, "machine"));
    fact(h, "System", text);
    snprintf(text, sizeof text, "mcf %s", text_of(start, "version"));
    fact(h, "Version", text);
    const size_t starts = json_array_size(run->machine);
    snprintf(text, sizeof text, "%s%s", text_of(json_array_get(run->machine, 0), "started"),
             starts > 1 ? "; taken up again at steps" : "");
    for (size_t i = 1; i < starts; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %lld", i > 1 ? "," : "",
                 (long long)json_integer_value(json_object_get(json_array_get(run->machine, i), "step")));
    }
    fact(h, "Started", text);
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(json_object_get(start, "images")));
    fact(h, "Training images", text);
}

static void machine(mcf_report_page *page, const mcf_report_run *run)
{
    static const char *const precisions[] = {"fp32", "fp16", "bf16"};
    mcf_html *h = &page->html;
    const size_t starts = json_array_size(run->machine);
    char text[1200];
    if (!starts && !run->state) {
        mcf_report_missing(page, "Nothing is known of the machine.",
                           "the run has written neither machine.json nor a checkpoint");
        return;
    }
    mcf_html_add(h, "<div class=\"scroll\"><table class=\"facts\">");
    if (starts) {
        start_facts(h, run, json_array_get(run->machine, starts - 1));
    } else {
        snprintf(text, sizeof text, "%s, %lld devices, %s", text_of(run->state, "backend"),
                 (long long)json_integer_value(json_object_get(run->state, "devices")), text_of(run->state, "device"));
        fact(h, "Backend", text);
    }
    if (run->has_config)
        fact(h, "Precision", precisions[run->config.precision]);
    if (run->checkpoint)
        fact(h, "Newest checkpoint", run->checkpoint);
    snprintf(text, sizeof text, "%lld", (long long)run->log.broken);
    fact(h, "Broken images replaced", text);
    if (run->log.unsupported) {
        snprintf(text, sizeof text, "%lld", (long long)run->log.unsupported);
        fact(h, "Of them of a kind that is not read", text);
    }
    for (int i = 0; i < run->log.broken_count; i++)
        fact(h, "", run->log.broken_images[i]);
    mcf_html_add(h, "</table></div>");
}

void mcf_report_machines(mcf_report_page *page)
{
    mcf_html_add(&page->html, "<h2 id=\"machine\">Machine and data</h2>");
    for (int r = 0; r < page->count; r++) {
        mcf_report_run_heading(page, &page->runs[r]);
        machine(page, &page->runs[r]);
    }
}

// --- what to do next

// A path as a word of a shell command.
static void word(mcf_html *h, const char *path)
{
    if (*path && strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == strlen(path)) {
        mcf_html_add(h, path);
        return;
    }
    mcf_html_add(h, "&#39;");
    for (; *path; path += *path == '\'') {
        const size_t plain = strcspn(path, "'");
        mcf_html_text_format(h, "%.*s", (int)plain, path);
        path += plain;
        if (*path == '\'')
            mcf_html_add(h, "&#39;\\&#39;&#39;");
    }
    mcf_html_add(h, "&#39;");
}

static void command(mcf_html *h, const char *comment, const char *before, const char *path, const char *after)
{
    mcf_html_format(h, "# %s\n%s", comment, before);
    word(h, path);
    mcf_html_format(h, "%s\n", after);
}

void mcf_report_next(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h, "<h2 id=\"next\">How to go on</h2>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        mcf_report_run_heading(page, run);
        mcf_html_add(h, "<pre>");
        if (run->config_text && !mcf_report_run_complete(run) && !run->running) {
            mcf_html_format(h, "# take the run up where it stopped\nmcf %s ",
                            mcf_report_is_dense(run) ? "finetune" : "pretrain");
            word(h, run->path);
            mcf_html_add(h, "/config.yaml --resume --out ");
            word(h, run->path);
            mcf_html_add(h, "\n");
        }
        if (run->checkpoint && mcf_report_is_dense(run)) {
            command(h, "scores beside the paper's, also as JSON", "mcf eval CONFIG --checkpoint ", run->path,
                    " --out scores.json");
            command(h, "what it finds on your own pictures", "mcf predict --checkpoint ", run->path,
                    " --out drawn PICTURES/");
        } else if (run->checkpoint) {
            command(h, "features of your own pictures, for search or a classifier", "mcf embed --checkpoint ",
                    run->path, " --out features.safetensors PICTURES/");
            command(h, "the encoder with timm's names, for PyTorch", "mcf export ", run->path,
                    " --out backbone.safetensors");
        }
        if (run->checkpoint && run->picture_count)
            command(h, "what the decoder makes of your own pictures", "mcf reconstruct --checkpoint ", run->path,
                    " --out pictures PICTURES/");
        command(h, "this page again, or beside other runs", "mcf report ", run->path, " OTHER_RUN --out report.html");
        mcf_html_add(h, "</pre>");
    }
    bool pretraining = false;
    for (int r = 0; r < page->count; r++)
        pretraining |= !mcf_report_is_dense(&page->runs[r]);
    if (!pretraining) {
        mcf_html_add(h,
                     "<p>With the paper's data sets: <code>configs/align/</code> and <code>configs/parse/</code> hold "
                     "one config for each of its rows, at 224 and 448 pixels.</p>");
        return;
    }
    mcf_html_add(
        h, "<p>With real data: a folder of face pictures, or tar shards of them, and M<sub>1</sub>'s weights are "
           "all that the paper's own runs need. <code>configs/pretrain/</code> holds one config for each of its "
           "rows:</p><pre>mcf pretrain configs/pretrain/mcf_light.yaml --out runs/mcf_light \\\n"
           "    --set &#39;data.train=[/data/faces]&#39; --set model.teacher.checkpoint=moco_v3.safetensors</pre>");
}
