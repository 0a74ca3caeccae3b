// Sections about alignment and parsing: scores beside the paper's, cumulative errors, confusion, faces.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/faces/draw.h"
#include "data/faces/mask.h"
#include "infer/published.h"
#include "report/internal.h"

enum { CURVE_POINTS = 240, PICTURE_QUALITY = 88, NAMES_MOST = MCF_EVAL_MOST };

// The next run of this one's group that was scored; NULL: none. run NULL: the first.
static const mcf_report_run *next_judged(const mcf_report_page *page, int group, const mcf_report_run *run)
{
    for (int i = run ? run->index + 1 : 0; i < page->count; i++)
        if (page->runs[i].group == group && page->runs[i].judged)
            return &page->runs[i];
    return NULL;
}

static void swatch(mcf_report_page *page, const mcf_report_run *run)
{
    if (page->count > 1)
        mcf_html_format(&page->html, "<span class=\"swatch run-%d\"></span>", run->index);
}

static const char *class_name(const mcf_report_run *run, int c, char number[24])
{
    const char *name = mcf_face_class_name(run->layout, c);
    snprintf(number, 24, "class %d", c);
    return name ? name : number;
}

// --- the table of scores

// A score's name for people, as markup; foreign parts are the layouts' own words.
static void measure_title(const mcf_report_run *run, const char *name, char *text, size_t size)
{
    char norm[MCF_EVAL_NAME];
    const char *more = sscanf(name, "nme.%63[^.]", norm) == 1 ? strchr(name + 4, '.') : NULL;
    if (more)
        snprintf(text, size, "&#8195;%s", more + 1);
    else if (strncmp(name, "nme.", 4) == 0)
        snprintf(text, size, "error (NME), %s &#8595;", norm);
    else if (strcmp(name, "fr") == 0)
        snprintf(text, size, "failures: error above %g %% &#8595;", 100 * run->threshold);
    else if (strcmp(name, "auc") == 0)
        snprintf(text, size, "area under the curve to %g %% &#8593;", 100 * run->threshold);
    else if (strcmp(name, "f1") == 0)
        snprintf(text, size, "F1, mean but background &#8593;");
    else
        snprintf(text, size, "&#8195;%s%.40s", name[3] >= '0' && name[3] <= '9' ? "class " : "", name + 3);
}

static bool less_is_better(const char *name)
{
    return strncmp(name, "nme", 3) == 0 || strcmp(name, "fr") == 0;
}

static double score_of(const mcf_eval_network *network, const char *name)
{
    for (int i = 0; i < network->count; i++)
        if (strcmp(network->score[i].name, name) == 0)
            return network->score[i].value;
    return NAN;
}

// The scores that any run of the group has, in the order of the first that has them.
static int names_of(const mcf_report_page *page, int group, const char *names[NAMES_MOST])
{
    int count = 0;
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));)
        for (int i = 0; i < run->eval->network[0].count; i++) {
            bool known = false;
            for (int k = 0; k < count && !known; k++)
                known = strcmp(names[k], run->eval->network[0].score[i].name) == 0;
            if (!known && count < NAMES_MOST)
                names[count++] = run->eval->network[0].score[i].name;
        }
    return count;
}

// The best network is another one than the last.
static bool has_better(const mcf_report_run *run)
{
    return run->eval->count > 1 && run->eval->network[1].step != run->eval->network[0].step;
}

static void own_cells(mcf_report_page *page, int group, const char *name)
{
    mcf_html *h = &page->html;
    double low = NAN, high = NAN;
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));) {
        low = fmin(low, score_of(&run->eval->network[0], name));
        high = fmax(high, score_of(&run->eval->network[0], name));
    }
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));) {
        const double value = score_of(&run->eval->network[0], name);
        const bool first = low < high && value == (less_is_better(name) ? low : high);
        mcf_html_format(h, "<td class=\"n\">%s", first ? "<b>" : "");
        mcf_html_format(h, isfinite(value) ? "%.2f" : "-", value);
        mcf_html_add(h, first ? "</b>" : "");
        if (has_better(run) && isfinite(score_of(&run->eval->network[1], name)))
            mcf_html_format(h, " <small>(%.2f)</small>", score_of(&run->eval->network[1], name));
        mcf_html_add(h, "</td>");
    }
}

// --- the paper's columns

typedef struct {
    const mcf_published *set;                  // NULL: the paper has no such set
    int size;                                  // of the rows beside this group
    mcf_report_dense_row row[MCF_REPORT_RUNS]; // that each run stands for
} beside;

static bool stands_for(const mcf_report_page *page, const beside *b, int group, const char *name)
{
    for (int i = 0; i < page->count; i++)
        if (page->runs[i].group == group && b->row[i].name && strcmp(b->row[i].name, name) == 0)
            return true;
    return false;
}

// Rows that stand in other tables than these, one column for each, once.
static bool is_extra(const mcf_report_page *page, const beside *b, int group, int run)
{
    if (page->runs[run].group != group || !b->row[run].other)
        return false;
    for (int i = 0; i < run; i++)
        if (page->runs[i].group == group && b->row[i].other == b->row[run].other)
            return false;
    return mcf_paper_value(b->row[run].other, b->set->layout, b->set->measures[0]) > 0;
}

static double published(const beside *b, const mcf_published_row *row, const char *name)
{
    for (int i = 0; b->set->measures[i]; i++)
        if (strcmp(b->set->measures[i], name) == 0)
            return row->value[i];
    return 0;
}

static void paper_cell(mcf_html *h, const beside *b, double value, bool own)
{
    const int decimals = strcmp(b->set->layout, "aflw-19") == 0 && value < 10 ? 3 : 2; // as printed there
    mcf_html_format(h, "<td class=\"n%s\">", own ? " own" : "");
    mcf_html_format(h, value > 0 ? "%.*f" : "-", decimals, value);
    mcf_html_add(h, "</td>");
}

// name NULL: the column's heads.
static void paper_cells(mcf_report_page *page, const beside *b, int group, const char *name)
{
    mcf_html *h = &page->html;
    for (int i = 0; b->set && i < b->set->row_count; i++) {
        const mcf_published_row *row = &b->set->rows[i];
        const bool own = stands_for(page, b, group, row->name);
        if (row->size != b->size)
            continue;
        if (name) {
            paper_cell(h, b, published(b, row, name), own);
        } else {
            mcf_html_format(h, "<th class=\"n%s\">", own ? " own" : "");
            mcf_html_text(h, row->name);
            mcf_html_add(h, "</th>");
        }
    }
    for (int i = 0; b->set && i < page->count; i++) {
        if (!is_extra(page, b, group, i))
            continue;
        if (name)
            paper_cell(h, b, mcf_paper_value(b->row[i].other, b->set->layout, name), true);
        else
            mcf_html_format(h, "<th class=\"n own\">%s</th>", b->row[i].other->title);
    }
}

static int paper_columns(const mcf_report_page *page, const beside *b, int group)
{
    int count = 0;
    for (int i = 0; b->set && i < b->set->row_count; i++)
        count += b->set->rows[i].size == b->size;
    for (int i = 0; b->set && i < page->count; i++)
        count += is_extra(page, b, group, i);
    return count;
}

static void scores_table(mcf_report_page *page, const beside *b, int group)
{
    mcf_html *h = &page->html;
    const char *names[NAMES_MOST];
    const int count = names_of(page, group, names), columns = paper_columns(page, b, group);
    int runs = 0;
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));)
        runs++;
    if (runs == 0)
        return;
    mcf_html_format(h,
                    "<div class=\"scroll\"><table class=\"scores\"><thead><tr><th></th><th class=\"n\" "
                    "colspan=\"%d\">%s</th>",
                    runs, page->count > 1 ? "these runs" : "this run");
    if (columns)
        mcf_html_format(h, "<th class=\"n\" colspan=\"%d\">the paper, at %d</th>", columns, b->size);
    mcf_html_add(h, "</tr><tr><th>in %</th>");
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));) {
        mcf_html_add(h, "<th class=\"n\">");
        swatch(page, run);
        mcf_html_text(h, run->name);
        mcf_html_add(h, "</th>");
    }
    paper_cells(page, b, group, NULL);
    mcf_html_add(h, "</tr></thead><tbody>");
    for (int i = 0; i < count; i++) {
        char title[160];
        measure_title(next_judged(page, group, NULL), names[i], title, sizeof title);
        mcf_html_format(h, "<tr><td>%s</td>", title);
        own_cells(page, group, names[i]);
        paper_cells(page, b, group, names[i]);
        mcf_html_add(h, "</tr>");
    }
    mcf_html_add(h, "</tbody></table></div>");
}

// What was scored, and what keeps it from being the paper's row.
static void remarks(mcf_report_page *page, const beside *b, const mcf_report_run *run)
{
    mcf_html *h = &page->html;
    const mcf_report_dense_row *row = &b->row[run->index];
    char differences[900] = "";
    mcf_html_add(h, "<p class=\"note\">");
    if (page->count > 1) {
        mcf_html_add(h, "<b>");
        mcf_html_text(h, run->name);
        mcf_html_add(h, "</b>: ");
    }
    if (run->judged) {
        const mcf_eval_network *last = &run->eval->network[0];
        mcf_html_format(h, "the averaged network of step %lld on %lld faces of ", (long long)last->step,
                        (long long)last->faces);
        mcf_html_text(h, run->source_names);
        if (has_better(run))
            mcf_html_format(h, "; in brackets that of step %lld, the best on these faces, as FaRL reports its figures",
                            (long long)run->eval->network[1].step);
        if (last->broken)
            mcf_html_format(h, "; %lld pictures cannot be read and are left out", (long long)last->broken);
        if (page->options->limit > 0)
            mcf_html_add(h, "; a part of the set, drawn at random");
        mcf_html_add(h, ". ");
    }
    if (!b->set) {
        mcf_html_text_format(h, "The layout %s is none of the paper's sets.", run->layout ? run->layout->name : "");
    } else if (!row->name && !row->other) {
        mcf_html_text_format(h, "It stands for no row of the paper: %s.", row->why);
    } else {
        mcf_html_add(h, "It stands for the paper's row <b>");
        if (row->name)
            mcf_html_text(h, row->name);
        else
            mcf_html_add(h, row->other->title);
        mcf_html_add(h, "</b>");
        mcf_paper_dense_differences(&run->config, run->judged ? run->eval->network[0].faces : 0, differences,
                                    sizeof differences);
        if (differences[0]) {
            mcf_html_add(h, ", but <b>not at its size</b> (the paper's in brackets): ");
            mcf_html_text(h, differences);
        }
        mcf_html_add(h, ".");
    }
    mcf_html_add(h, "</p>");
}

void mcf_report_dense_scores(mcf_report_page *page)
{
    for (int g = 0; g < page->count; g++) {
        const mcf_report_run *lead = &page->runs[g];
        beside b = {0};
        if (lead->group != g || !mcf_report_is_dense(lead))
            continue;
        mcf_report_group_heading(page, lead);
        b.set = mcf_published_of(mcf_config_face_layout(&lead->config)->name);
        b.size = lead->config.model.image_size == 448 ? 448 : 224;
        for (int i = g; i < page->count; i++)
            if (page->runs[i].group == g)
                mcf_paper_dense_row(&page->runs[i].config, &b.row[i]);
        scores_table(page, &b, g);
        for (int i = g; i < page->count; i++) {
            if (page->runs[i].group != g)
                continue;
            if (!page->runs[i].judged)
                mcf_report_missing(page, "No scores.", page->runs[i].judge_error);
            remarks(page, &b, &page->runs[i]);
        }
    }
}

// --- cumulative errors

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Shares of the faces, in percent, whose error is at most x, for x from 0 to `end` (percent).
static bool cumulate(const mcf_report_run *run, double end, mcf_curve *curve)
{
    double *sorted = malloc((size_t)run->error_count * sizeof *sorted + 1);
    *curve = (mcf_curve){.x = malloc(CURVE_POINTS * sizeof(double)), .y = malloc(CURVE_POINTS * sizeof(double))};
    if (!sorted || !curve->x || !curve->y) {
        free(sorted);
        return false;
    }
    memcpy(sorted, run->errors, (size_t)run->error_count * sizeof *sorted);
    qsort(sorted, (size_t)run->error_count, sizeof *sorted, by_value);
    int64_t below = 0;
    for (int i = 0; i < CURVE_POINTS; i++) {
        curve->x[i] = end * i / (CURVE_POINTS - 1);
        while (below < run->error_count && 100 * sorted[below] <= curve->x[i])
            below++;
        curve->y[i] = 100.0 * (double)below / (double)run->error_count;
    }
    curve->count = CURVE_POINTS;
    free(sorted);
    return true;
}

// To the threshold, and on to where nine of ten faces of every run are in, up to ten times as far.
static double end_of_curves(const mcf_report_page *page, int group)
{
    double end = 0;
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));) {
        int64_t above = run->error_count;
        double at = run->threshold;
        for (; at < 10 * run->threshold && above > run->error_count / 10; at += run->threshold / 10) {
            above = 0;
            for (int64_t i = 0; i < run->error_count; i++)
                above += run->errors[i] > at;
        }
        end = fmax(end, 100 * at);
    }
    return end;
}

static void error_chart(mcf_report_page *page, int group)
{
    const mcf_report_run *first = next_judged(page, group, NULL);
    mcf_curve curves[MCF_REPORT_RUNS] = {0};
    char x_title[120], note[120];
    mcf_chart chart = {.title = "Cumulative error", .unit = "% of the faces", .x_word = "error", .zero = true};
    if (!first || first->error_count == 0)
        return;
    snprintf(x_title, sizeof x_title, "error (NME, %s), %%", first->norm);
    snprintf(note, sizeof note, "dashed: %g %%, up to which the area counts", 100 * first->threshold);
    chart.x_title = x_title;
    chart.note = note;
    chart.x_mark = 100 * first->threshold;
    const double end = end_of_curves(page, group);
    for (const mcf_report_run *run = NULL; (run = next_judged(page, group, run));) {
        if (!cumulate(run, end, &curves[run->index]))
            page->html.failed = true;
        else
            chart.series[chart.count++] = (mcf_chart_series){&curves[run->index], NULL, run->index, run->name};
    }
    page->charts += mcf_html_chart(&page->html, &chart, page->charts);
    for (int i = 0; i < MCF_REPORT_RUNS; i++) {
        free(curves[i].x);
        free(curves[i].y);
    }
}

void mcf_report_errors(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h,
                 "<h2 id=\"errors\">Cumulative errors</h2><p class=\"lead\">How many of the faces have an error of at "
                 "most so much: the steeper to the left, the better.</p>");
    for (int g = 0; g < page->count; g++) {
        const mcf_report_run *lead = &page->runs[g];
        if (lead->group != g || !mcf_report_is_dense(lead) || lead->config.task != MCF_TASK_ALIGN)
            continue;
        mcf_report_group_heading(page, lead);
        mcf_html_add(h, "<div class=\"wide\">");
        error_chart(page, g);
        mcf_html_add(h, "</div>");
        for (int i = g; i < page->count; i++)
            if (page->runs[i].group == g && !page->runs[i].judged)
                mcf_report_missing(page, "No curve.", page->runs[i].judge_error);
    }
}

// --- confusion

static void matrix_row(mcf_report_page *page, const mcf_report_run *run, int c)
{
    mcf_html *h = &page->html;
    const int classes = run->classes;
    const int64_t *row = run->confusion + (size_t)c * (size_t)classes;
    int64_t total = 0;
    char number[24];
    for (int k = 0; k < classes; k++)
        total += row[k];
    mcf_html_add(h, "<tr><th scope=\"row\">");
    mcf_html_text(h, class_name(run, c, number));
    mcf_html_add(h, "</th>");
    for (int k = 0; k < classes; k++) {
        const double share = total ? (double)row[k] / (double)total : 0;
        // Of the wrong ones the small shares are what is looked for.
        if (share < 0.0005)
            mcf_html_add(h, "<td></td>");
        else
            mcf_html_format(h, "<td style=\"background:rgba(%s,%.2f)\">%.1f</td>", k == c ? "0,114,178" : "213,94,0",
                            k == c ? 0.45 * share : fmin(0.6, 0.9 * sqrt(share)), 100 * share);
    }
    mcf_html_add(h, "</tr>");
}

static void matrix(mcf_report_page *page, const mcf_report_run *run)
{
    mcf_html *h = &page->html;
    char number[24];
    mcf_html_add(h, "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><th>true, down; found, across</th>");
    for (int k = 0; k < run->classes; k++) {
        mcf_html_add(h, "<th scope=\"col\"><span>");
        mcf_html_text(h, class_name(run, k, number));
        mcf_html_add(h, "</span></th>");
    }
    mcf_html_add(h, "</tr></thead><tbody>");
    for (int c = 0; c < run->classes; c++)
        matrix_row(page, run, c);
    mcf_html_add(h, "</tbody></table></div>");
}

void mcf_report_confusion(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h,
                 "<h2 id=\"confusion\">What is taken for what</h2><p class=\"lead\">Of the pixels of each true class, "
                 "the shares (%) that are found as each class, over all faces scored. Blue: right; orange: wrong.</p>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        if (!mcf_report_is_dense(run) || run->config.task != MCF_TASK_PARSE)
            continue;
        mcf_report_run_heading(page, run);
        if (run->judged)
            matrix(page, run);
        else
            mcf_report_missing(page, "No confusion matrix.", run->judge_error);
    }
}

// --- faces

static void picture_cell(mcf_report_page *page, const uint8_t *picture, const char *alt, const char *below)
{
    mcf_html *h = &page->html;
    mcf_error err = {0};
    mcf_html_add(h, "<td>");
    if (!picture)
        mcf_html_add(h, "-");
    else if (mcf_html_picture(h, picture, MCF_REPORT_FACE_SIDE, MCF_REPORT_FACE_SIDE, PICTURE_QUALITY, alt, "", &err) !=
             MCF_OK)
        mcf_html_text(h, err.message);
    mcf_html_add(h, below);
    mcf_html_add(h, "</td>");
}

static void found_row(mcf_report_page *page, const mcf_report_run *run, int from, int to)
{
    mcf_html *h = &page->html;
    const bool align = run->config.task == MCF_TASK_ALIGN;
    mcf_html_add(h, "<tr><th scope=\"row\">");
    if (page->count > 1) {
        swatch(page, run);
        mcf_html_text(h, run->name);
    } else {
        mcf_html_add(h, "found");
    }
    mcf_html_add(h, "</th>");
    for (int i = from; i < to; i++) {
        char below[64];
        snprintf(below, sizeof below, "%s %.*f %%", align ? "error" : "F1", align ? 2 : 1,
                 100 * run->face_score[run->drawn[i].face]);
        picture_cell(page, run->drawn[i].found, align ? "true and found points" : "found classes", below);
    }
    mcf_html_add(h, "</tr>");
}

static void plain_row(mcf_report_page *page, const mcf_report_run *run, bool truth, int from, int to)
{
    mcf_html_format(&page->html, "<tr><th scope=\"row\">%s</th>", truth ? "true" : "picture");
    for (int i = from; i < to; i++)
        picture_cell(page, truth ? run->drawn[i].truth : run->drawn[i].picture, truth ? "true classes" : "picture", "");
    mcf_html_add(&page->html, "</tr>");
}

// The best or the worst of the faces that `run` and those after it in its group are scored on.
static void faces_table(mcf_report_page *page, const mcf_report_run *run, bool best)
{
    mcf_html *h = &page->html;
    const int from = best ? 0 : run->best_count, to = best ? run->best_count : run->drawn_count;
    if (to <= from)
        return;
    mcf_html_format(
        h,
        "<div class=\"scroll\"><table class=\"pics faces\"><thead><tr><th></th><th colspan=\"%d\">%s</th></tr>"
        "</thead>",
        to - from, best ? "the best" : "the worst");
    if (run->config.task == MCF_TASK_PARSE) {
        plain_row(page, run, false, from, to);
        plain_row(page, run, true, from, to);
    }
    for (int i = run->index; i < page->count; i++)
        if (i == run->index || (mcf_report_same_faces(run, &page->runs[i]) && page->runs[i].drawn_count))
            found_row(page, &page->runs[i], from, to);
    mcf_html_add(h, "</table></div>");
}

static void faces_legend(mcf_report_page *page, const mcf_report_run *run)
{
    mcf_html *h = &page->html;
    mcf_html_add(h, "<div class=\"legend\">");
    if (run->config.task == MCF_TASK_ALIGN) {
        const uint8_t *t = mcf_report_truth_colour, *f = mcf_report_found_colour;
        mcf_html_format(h,
                        "<span><span class=\"patch\" style=\"background:rgb(%d,%d,%d)\"></span>true</span><span>"
                        "<span class=\"patch\" style=\"background:rgb(%d,%d,%d)\"></span>found</span>",
                        t[0], t[1], t[2], f[0], f[1], f[2]);
    }
    for (int c = 1; run->config.task == MCF_TASK_PARSE && c < run->classes; c++) {
        char number[24];
        uint8_t rgb[3];
        mcf_draw_colour(c, rgb);
        mcf_html_format(h, "<span><span class=\"patch\" style=\"background:rgb(%d,%d,%d)\"></span>", rgb[0], rgb[1],
                        rgb[2]);
        mcf_html_text(h, class_name(run, c, number));
        mcf_html_add(h, "</span>");
    }
    mcf_html_add(h, "</div>");
}

// Whether a run before this one is scored on the same faces, so that they are drawn already.
static bool drawn_before(const mcf_report_page *page, const mcf_report_run *run)
{
    for (int i = 0; i < run->index; i++)
        if (page->runs[i].drawn_count && mcf_report_same_faces(run, &page->runs[i]))
            return true;
    return false;
}

void mcf_report_faces(mcf_report_page *page)
{
    mcf_html *h = &page->html;
    mcf_html_add(h,
                 "<h2 id=\"faces\">Best and worst faces</h2><p class=\"lead\">Chosen by the score of each face; where "
                 "several runs are scored on the same faces, by the mean of their scores, so that all show the same "
                 "ones. What is drawn is the crop that the network sees.</p>");
    for (int r = 0; r < page->count; r++) {
        const mcf_report_run *run = &page->runs[r];
        if (!mcf_report_is_dense(run))
            continue;
        if (!run->judged || run->drawn_count == 0) {
            mcf_report_run_heading(page, run);
            mcf_report_missing(page, "No faces.", run->judged ? run->draw_error : run->judge_error);
            continue;
        }
        if (drawn_before(page, run))
            continue;
        mcf_report_group_heading(page, run);
        faces_legend(page, run);
        faces_table(page, run, true);
        faces_table(page, run, false);
    }
}
