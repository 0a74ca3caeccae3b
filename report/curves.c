// Sections with numbers over time: the summary and the curves.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"

// Seconds as people say them.
static const char *duration(char *text, size_t size, double seconds)
{
    const long s = seconds > 0 && seconds < 1e12 ? (long)(seconds + 0.5) : 0;
    if (s >= 86400)
        snprintf(text, size, "%ld d %ld h", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        snprintf(text, size, "%ld h %02ld min", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        snprintf(text, size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(text, size, "%ld s", s);
    return text;
}

// Time of the logged steps by their logged rates; 0: not known.
static double computing_seconds(const mcf_report_run *run)
{
    const mcf_curve *rate = mcf_run_log_curve(&run->log, "images_per_second");
    const double batch = (double)mcf_report_run_batch(run);
    double seconds = 0, last = NAN;
    // The first step has no rate yet: it counts as the one after it.
    for (size_t i = rate ? rate->count : 0; i > 0; i--) {
        if (rate->y[i - 1] > 0)
            last = rate->y[i - 1];
        if (last > 0)
            seconds += batch / last * (double)rate->stride;
    }
    return seconds;
}

static double median_rate(const mcf_report_run *run)
{
    const mcf_curve *rate = mcf_run_log_curve(&run->log, "images_per_second");
    double sum = 0;
    size_t n = 0;
    // The later half: a run's start has other speeds.
    for (size_t i = rate ? rate->count / 2 : 0; rate && i < rate->count; i++)
        if (rate->y[i] > 0) {
            sum += 1 / rate->y[i];
            n++;
        }
    return n ? (double)n / sum : NAN;
}

// Mean of the last twentieth, at least 1 and at most 200 values.
static double tail(const mcf_curve *c)
{
    double sum = 0;
    size_t n = 0, wanted = c ? c->count / 20 : 0;
    wanted = wanted < 1 ? 1 : wanted > 200 ? 200 : wanted;
    for (size_t i = c ? c->count : 0; i > 0 && n < wanted; i--)
        if (isfinite(c->y[i - 1])) {
            sum += c->y[i - 1];
            n++;
        }
    return n ? sum / (double)n : NAN;
}

static const char *status_of(const mcf_report_run *run)
{
    return mcf_report_run_complete(run) ? "complete" : run->running ? "running now" : "not finished";
}

static void card(mcf_html *html, const char *value, const char *what)
{
    mcf_html_add(html, "<div class=\"card\"><b>");
    mcf_html_text(html, value);
    mcf_html_format(html, "</b><span>%s</span></div>", what);
}

// The evaluation network's score after the last epoch, and its best after any; false: none is logged.
static bool validation_score(const mcf_report_run *run, const char **name, double *last, double *best, double *step)
{
    const mcf_curve *nme = mcf_run_log_curve(&run->log, "validation.nme"),
                    *c = nme ? nme : mcf_run_log_curve(&run->log, "validation.f1");
    if (!c || c->count == 0)
        return false;
    *name = nme ? "error (NME)" : "mean F1";
    *last = c->y[c->count - 1];
    *best = NAN;
    for (size_t i = 0; i < c->count; i++)
        if (isfinite(c->y[i]) && !(nme ? c->y[i] >= *best : c->y[i] <= *best)) {
            *best = c->y[i];
            *step = c->x[i];
        }
    return true;
}

static void score_card(mcf_html *h, const mcf_report_run *run)
{
    const char *name;
    char text[64], what[160];
    double last, best, step;
    if (!validation_score(run, &name, &last, &best, &step))
        return;
    snprintf(text, sizeof text, "%.2f %%", 100 * last);
    snprintf(what, sizeof what, "%s on validation faces; best %.2f %% at step %.0f", name, 100 * best, step);
    card(h, text, what);
}

static void cards(mcf_report_page *page, const mcf_report_run *run)
{
    mcf_html *h = &page->html;
    char text[128], what[160];
    mcf_html_add(h, "<div class=\"cards\">");
    if (run->has_config)
        snprintf(what, sizeof what, "epoch %.4g of %d", run->log.epoch, run->config.schedule.epochs);
    else
        snprintf(what, sizeof what, "epoch %.4g", run->log.epoch);
    card(h, status_of(run), what);
    snprintf(text, sizeof text, "%lld", (long long)run->log.steps);
    snprintf(what, sizeof what, "optimiser steps of %lld images", (long long)mcf_report_run_batch(run));
    card(h, text, mcf_report_run_batch(run) ? what : "optimiser steps");
    const mcf_curve *loss = mcf_run_log_curve(&run->log, "loss");
    if (loss && loss->count) {
        char first[32];
        mcf_report_number(text, sizeof text, tail(loss));
        snprintf(what, sizeof what, "loss now; %s at step %.0f", mcf_report_number(first, sizeof first, loss->y[0]),
                 loss->x[0]);
        card(h, text, what);
    }
    const mcf_curve *validation = mcf_run_log_curve(&run->log, "validation.loss");
    if (validation && validation->count)
        card(h, mcf_report_number(text, sizeof text, validation->y[validation->count - 1]), "validation loss");
    score_card(h, run);
    if (isfinite(median_rate(run))) {
        snprintf(what, sizeof what, "images a second; %s in all", duration(text, sizeof text, computing_seconds(run)));
        card(h, mcf_report_number(text, sizeof text, median_rate(run)), what);
    }
    if (run->searched) {
        snprintf(text, sizeof text, "%.1f %%", 100 * run->found.rank1);
        snprintf(what, sizeof what, "retrieval at rank 1; %.1f %% untrained", 100 * run->found_untrained.rank1);
        card(h, text, what);
    }
    snprintf(text, sizeof text, "%lld", (long long)run->log.broken);
    card(h, text, "broken images replaced");
    mcf_html_add(h, "</div>");
}

// Several runs side by side: a row is a name and what it says of a run.
typedef void (*fact)(const mcf_report_run *run, char *text, size_t size);

static void say_status(const mcf_report_run *run, char *text, size_t size)
{
    snprintf(text, size, "%s", status_of(run));
}

static void say_epoch(const mcf_report_run *run, char *text, size_t size)
{
    if (run->has_config)
        snprintf(text, size, "%.4g of %d", run->log.epoch, run->config.schedule.epochs);
    else
        snprintf(text, size, "%.4g", run->log.epoch);
}

static void say_steps(const mcf_report_run *run, char *text, size_t size)
{
    snprintf(text, size, "%lld", (long long)run->log.steps);
}

static void say_batch(const mcf_report_run *run, char *text, size_t size)
{
    const int64_t batch = mcf_report_run_batch(run);
    snprintf(text, size, batch ? "%lld" : "-", (long long)batch);
}

static void say_loss(const mcf_report_run *run, char *text, size_t size)
{
    mcf_report_number(text, size, tail(mcf_run_log_curve(&run->log, "loss")));
}

static void say_validation(const mcf_report_run *run, char *text, size_t size)
{
    const mcf_curve *c = mcf_run_log_curve(&run->log, "validation.loss");
    mcf_report_number(text, size, c && c->count ? c->y[c->count - 1] : NAN);
}

static void say_rate(const mcf_report_run *run, char *text, size_t size)
{
    mcf_report_number(text, size, median_rate(run));
}

static void say_time(const mcf_report_run *run, char *text, size_t size)
{
    const double seconds = computing_seconds(run);
    if (seconds > 0)
        duration(text, size, seconds);
    else
        snprintf(text, size, "-");
}

static void say_share(const mcf_report_run *run, double trained, double untrained, char *text, size_t size)
{
    if (run->searched)
        snprintf(text, size, "%.1f %% (%.1f %%)", 100 * trained, 100 * untrained);
    else
        snprintf(text, size, "-");
}

static void say_rank1(const mcf_report_run *run, char *text, size_t size)
{
    say_share(run, run->found.rank1, run->found_untrained.rank1, text, size);
}

static void say_map(const mcf_report_run *run, char *text, size_t size)
{
    say_share(run, run->found.map, run->found_untrained.map, text, size);
}

static void say_error(const mcf_report_run *run, char *text, size_t size)
{
    const char *name;
    double last, best, step;
    const bool known = validation_score(run, &name, &last, &best, &step) && name[0] == 'e';
    snprintf(text, size, known ? "%.2f %% (%.2f %%)" : "-", 100 * last, 100 * best);
}

static void say_f1(const mcf_report_run *run, char *text, size_t size)
{
    const char *name;
    double last, best, step;
    const bool known = validation_score(run, &name, &last, &best, &step) && name[0] == 'm';
    snprintf(text, size, known ? "%.2f %% (%.2f %%)" : "-", 100 * last, 100 * best);
}

static void say_broken(const mcf_report_run *run, char *text, size_t size)
{
    snprintf(text, size, "%lld", (long long)run->log.broken);
}

static void summary_table(mcf_report_page *page)
{
    static const struct {
        const char *title;
        fact say;
    } rows[] = {{"Status", say_status},
                {"Epoch", say_epoch},
                {"Optimiser steps", say_steps},
                {"Images a step", say_batch},
                {"Loss now <small>(terms and weights as in each config)</small>", say_loss},
                {"Validation loss", say_validation},
                {"Error (NME) on validation faces <small>(best epoch)</small>", say_error},
                {"Mean F1 on validation faces <small>(best epoch)</small>", say_f1},
                {"Images a second", say_rate},
                {"Computing time", say_time},
                {"Retrieval, rank 1 <small>(untrained)</small>", say_rank1},
                {"Retrieval, mAP <small>(untrained)</small>", say_map},
                {"Broken images", say_broken}};
    mcf_html *h = &page->html;
    char text[128];
    mcf_html_add(h, "<div class=\"scroll\"><table class=\"facts\"><thead><tr><th></th>");
    for (int i = 0; i < page->count; i++) {
        mcf_html_format(h, "<th class=\"n\"><span class=\"swatch run-%d\"></span>", page->runs[i].index);
        mcf_html_text(h, page->runs[i].name);
        mcf_html_add(h, "</th>");
    }
    mcf_html_add(h, "</tr></thead><tbody>");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        bool known = false; // of any run
        for (int i = 0; i < page->count && !known; i++) {
            rows[r].say(&page->runs[i], text, sizeof text);
            known = strcmp(text, "-") != 0;
        }
        if (!known)
            continue;
        mcf_html_format(h, "<tr><th>%s</th>", rows[r].title);
        for (int i = 0; i < page->count; i++) {
            rows[r].say(&page->runs[i], text, sizeof text);
            mcf_html_add(h, "<td class=\"n\">");
            mcf_html_text(h, text);
            mcf_html_add(h, "</td>");
        }
        mcf_html_add(h, "</tr>");
    }
    mcf_html_add(h, "</tbody></table></div>");
}

void mcf_report_summary(mcf_report_page *page)
{
    if (page->count == 1)
        cards(page, page->runs);
    else
        summary_table(page);
}

// --- curves

static void legend(mcf_report_page *page, bool validation)
{
    mcf_html *h = &page->html;
    mcf_html_add(h, "<div class=\"legend\">");
    for (int i = 0; i < page->count && page->count > 1; i++) {
        mcf_html_format(h,
                        "<label><input type=\"checkbox\" id=\"show-%d\" checked><span class=\"swatch run-%d\">"
                        "</span>",
                        i, i);
        mcf_html_text(h, page->runs[i].name);
        mcf_html_add(h, "</label>");
    }
    mcf_html_add(h, "<span><span class=\"swatch run-0\"></span>training, smoothed</span>"
                    "<label><input type=\"checkbox\" id=\"show-raw\" checked><span class=\"swatch run-0 pale\"></span>"
                    "every step</label>");
    if (validation)
        mcf_html_add(h, "<span><span class=\"swatch run-0 dash\"></span>validation</span>");
    mcf_html_add(h, "</div><style>");
    // Boxes hide lines without a script.
    for (int i = 0; i < page->count && page->count > 1; i++)
        mcf_html_format(h, "body:has(#show-%d:not(:checked)) svg .run-%d{display:none}", i, i);
    mcf_html_add(h, "body:has(#show-raw:not(:checked)) svg .raw{display:none}</style>");
}

// One chart of a key of all runs of a group, with its validation counterpart.
static bool chart_of(mcf_report_page *page, int group, const char *key, const char *title, const char *unit,
                     const char *note, bool smooth, bool zero)
{
    mcf_chart chart = {.title = title, .unit = unit, .note = note, .smooth = smooth, .zero = zero};
    char validation[80];
    snprintf(validation, sizeof validation, "validation.%s", key);
    for (int i = 0; i < page->count && chart.count < MCF_CHART_SERIES; i++) {
        const mcf_run_log *log = &page->runs[i].log;
        if (page->runs[i].group != group)
            continue;
        const mcf_curve *line = mcf_run_log_curve(log, key), *marks = mcf_run_log_curve(log, validation);
        if (line || marks)
            chart.series[chart.count++] = (mcf_chart_series){line, marks, i, page->runs[i].name};
    }
    const bool drawn = chart.count > 0 && mcf_html_chart(&page->html, &chart, page->charts);
    page->charts += drawn;
    return drawn;
}

// What is measured on validation faces, in percent.
static void score_chart(mcf_report_page *page, int group, const char *key, const char *title)
{
    mcf_chart chart = {.title = title, .unit = "%", .zero = true};
    mcf_curve curves[MCF_REPORT_RUNS] = {0};
    for (int i = 0; i < page->count; i++) {
        const mcf_curve *c = mcf_run_log_curve(&page->runs[i].log, key);
        if (page->runs[i].group != group || !c || c->count == 0)
            continue;
        curves[i] = *c;
        curves[i].y = malloc(c->count * sizeof *c->y);
        if (!curves[i].y) {
            page->html.failed = true;
            continue;
        }
        for (size_t k = 0; k < c->count; k++)
            curves[i].y[k] = 100 * c->y[k];
        chart.series[chart.count++] = (mcf_chart_series){NULL, &curves[i], i, page->runs[i].name};
    }
    page->charts += chart.count > 0 && mcf_html_chart(&page->html, &chart, page->charts);
    for (int i = 0; i < page->count; i++)
        free(curves[i].y);
}

// fp16 only: elsewhere the scale is 1 all the time.
static bool scale_moves(const mcf_report_page *page, int group)
{
    for (int i = 0; i < page->count; i++) {
        if (page->runs[i].group != group)
            continue;
        const mcf_curve *c = mcf_run_log_curve(&page->runs[i].log, "loss_scale");
        for (size_t k = 0; c && k < c->count; k++)
            if (c->y[k] != 1)
                return true;
    }
    return false;
}

static const char *title_of(const char *key)
{
    static const char *const titles[][2] = {
        {"loss", "Total loss"},
        {"loss.feature", "Feature term, L<sub>mim</sub>"},
        {"loss.contrastive", "Contrastive term, L<sub>con</sub>"},
        {"loss.pixel", "Pixel term, L<sub>2</sub>"},
        {"loss.coordinate", "Coordinate term"},
        {"loss.heatmap", "Heatmap term"},
        {"loss.cross_entropy", "Cross-entropy"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strcmp(titles[i][0], key) == 0)
            return titles[i][1];
    return NULL;
}

static void loss_charts(mcf_report_page *page, int group)
{
    char done[MCF_CURVES_MOST][64];
    int count = 0;
    chart_of(page, group, "loss", title_of("loss"), "", "weighted sum of the terms", true, false);
    for (int i = 0; i < page->count; i++)
        for (int k = 0; k < page->runs[i].log.count && page->runs[i].group == group; k++) {
            const char *key = page->runs[i].log.curves[k].name;
            bool known = strncmp(key, "loss.", 5) != 0 || !title_of(key);
            for (int d = 0; d < count && !known; d++)
                known = strcmp(done[d], key) == 0;
            if (known || count == MCF_CURVES_MOST)
                continue;
            strcpy(done[count++], key);
            chart_of(page, group, key, title_of(key), "", "unweighted", true, false);
        }
}

static void log_remarks(mcf_report_page *page)
{
    for (int i = 0; i < page->count; i++) {
        const mcf_report_run *run = &page->runs[i];
        const mcf_run_log *log = &run->log;
        if (run->log_error[0])
            mcf_report_missing(page, "The log could not be read.", run->log_error);
        else if (!log->present)
            mcf_report_missing(page, "There is no log.jsonl.", run->path);
        else if (log->count == 0)
            mcf_report_missing(page, "The log holds no step yet.", run->path);
        if (!log->torn && !log->bad_lines && !log->skipped && !log->not_finite)
            continue;
        mcf_html_add(&page->html, "<p class=\"note\">");
        if (page->count > 1)
            mcf_html_text_format(&page->html, "%s: ", run->name);
        if (log->torn)
            mcf_html_add(&page->html, "The log's last line is not complete yet and was left out. ");
        if (log->bad_lines)
            mcf_html_format(&page->html, "%lld lines of the log are damaged and were left out. ",
                            (long long)log->bad_lines);
        if (log->skipped)
            mcf_html_format(&page->html, "%lld steps were skipped to lower the loss scale. ", (long long)log->skipped);
        if (log->not_finite)
            mcf_html_format(&page->html, "%lld values of the log are not finite and are not drawn. ",
                            (long long)log->not_finite);
        mcf_html_add(&page->html, "</p>");
    }
}

static void charts(mcf_report_page *page, int group)
{
    mcf_report_group_heading(page, &page->runs[group]);
    mcf_html_add(&page->html, "<div class=\"charts\">");
    loss_charts(page, group);
    score_chart(page, group, "validation.nme", "Error (NME) on validation faces");
    score_chart(page, group, "validation.f1", "Mean F1 on validation faces");
    chart_of(page, group, "lr", "Learning rate", "", NULL, false, true);
    chart_of(page, group, "images_per_second", "Speed", "images/s", NULL, true, true);
    chart_of(page, group, "gradient_norm", "Gradient norm", "", "before clipping, without the loss scale", true, false);
    if (scale_moves(page, group))
        chart_of(page, group, "loss_scale", "Loss scale", "", NULL, false, false);
    mcf_html_add(&page->html, "</div>");
}

void mcf_report_curves(mcf_report_page *page)
{
    bool validation = false;
    for (int i = 0; i < page->count; i++)
        validation |= mcf_run_log_curve(&page->runs[i].log, "validation.loss") != NULL;
    mcf_html_add(&page->html, "<h2 id=\"curves\">Curves</h2>");
    log_remarks(page);
    legend(page, validation);
    for (int group = 0; group < page->count; group++)
        if (page->runs[group].group == group)
            charts(page, group);
}
