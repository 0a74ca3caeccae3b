#include "report/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of the drawing, in its own units; one column of the plot is one bucket of steps.
enum { WIDTH = 460, HEIGHT = 268, LEFT = 58, RIGHT = 12, TOP = 12, BOTTOM = 40 };
enum { COLUMNS = WIDTH - LEFT - RIGHT, ROWS = HEIGHT - TOP - BOTTOM, LOG_SPAN = 30, WINDOWS = 20 };

typedef struct {
    double x0, x1, y0, y1; // y in log10 where logarithmic
    bool logarithmic;
} frame;

// --- ticks

int mcf_chart_ticks(double low, double high, int wanted, bool logarithmic, double ticks[MCF_CHART_TICKS])
{
    int count = 0;
    if (!(high > low) || !isfinite(low) || !isfinite(high)) {
        ticks[0] = low;
        return 1;
    }
    if (logarithmic) {
        const double decades = log10(high / low);
        const int every = decades > MCF_CHART_TICKS ? (int)ceil(decades / (MCF_CHART_TICKS - 1)) : 1;
        for (int e = (int)floor(log10(low)); e <= (int)ceil(log10(high)); e++)
            for (int m = 1; m <= 5; m += m == 1 ? 1 : 3) {
                const double tick = m * pow(10, e);
                if ((m > 1 && decades > 3) || (e % every != 0) || tick < low * (1 - 1e-9) || tick > high * (1 + 1e-9))
                    continue;
                if (count < MCF_CHART_TICKS)
                    ticks[count++] = tick;
            }
        if (count > 0)
            return count;
    }
    const double rough = (high - low) / (wanted > 1 ? wanted : 1), power = pow(10, floor(log10(rough)));
    const double mantissa = rough / power;
    const double step = power * (mantissa <= 1.5 ? 1 : mantissa <= 3.5 ? 2 : mantissa <= 7.5 ? 5 : 10);
    for (double k = ceil(low / step - 1e-9); k * step <= high + 1e-9 * step && count < MCF_CHART_TICKS; k++)
        ticks[count++] = k == 0 ? 0 : k * step; // no -0
    return count;
}

// --- ranges

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Widens [*low, *high] by a curve's values but the outermost 1 % of either side: one spike hides nothing else.
static bool widen(const mcf_curve *c, bool all, double *low, double *high)
{
    double *values = malloc((c->count + 1) * sizeof *values);
    size_t n = 0;
    if (!values)
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (isfinite(c->y[i]))
            values[n++] = c->y[i];
    qsort(values, n, sizeof *values, by_value);
    const size_t cut = all || n < 50 ? 0 : n / 100;
    if (n > 0) {
        *low = fmin(*low, values[cut]);
        *high = fmax(*high, values[n - 1 - cut]);
    }
    free(values);
    return n > 0;
}

static bool find_frame(const mcf_chart *chart, frame *f)
{
    double low = INFINITY, high = -INFINITY;
    bool any = false;
    *f = (frame){.x0 = INFINITY, .x1 = -INFINITY};
    for (int i = 0; i < chart->count; i++) {
        const mcf_curve *curves[] = {chart->series[i].line, chart->series[i].marks};
        for (int k = 0; k < 2; k++) {
            if (!curves[k] || curves[k]->count == 0)
                continue;
            any |= widen(curves[k], k == 1 || !chart->smooth, &low, &high);
            f->x0 = fmin(f->x0, curves[k]->x[0]);
            f->x1 = fmax(f->x1, curves[k]->x[curves[k]->count - 1]);
        }
    }
    if (!any)
        return false;
    if (f->x1 <= f->x0)
        f->x1 = f->x0 + 1;
    f->logarithmic = !chart->zero && low > 0 && high > low * LOG_SPAN;
    if (chart->zero)
        low = fmin(low, 0);
    f->y0 = f->logarithmic ? log10(low) : low;
    f->y1 = f->logarithmic ? log10(high) : high;
    double space = (f->y1 - f->y0) * 0.04;
    if (!(space > 0))
        space = f->y0 != 0 ? fabs(f->y0) * 0.1 : 1;
    f->y0 -= chart->zero && low >= 0 ? 0 : space;
    f->y1 += space;
    return true;
}

static double place_x(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * COLUMNS;
}

// Kept near the plot, so that a value far outside stays a sane number.
static double place_y(const frame *f, double y)
{
    const double v = f->logarithmic ? log10(y > 0 ? y : 1e-300) : y;
    const double share = (v - f->y0) / (f->y1 - f->y0);
    return TOP + (1 - fmax(-1, fmin(2, share))) * ROWS;
}

// --- lines

// What the steps of a column have in common: bounds of the values, and the smoothed curve where it leaves the column.
typedef struct {
    double low, high, x, smooth;
    bool any;
} column;

// A running mean from one end, of finite values: sums of weighted values and of weights.
typedef struct {
    double sum, weight;
} mean;

static void take(mean *m, double keep, double y)
{
    if (!isfinite(y))
        return;
    m->sum = keep * m->sum + (1 - keep) * y;
    m->weight = keep * m->weight + (1 - keep);
}

// 0: nothing to draw, or no memory. The smoothed curve looks to both sides: a mean of the past alone runs late.
static size_t fill_columns(const mcf_curve *c, const frame *f, bool smooth, column *columns)
{
    const double window = smooth ? fmax(1, (double)c->count / (2 * WINDOWS)) : 1, keep = 1 - 2 / (window + 1);
    mean *later = malloc((c->count + 1) * sizeof *later), earlier = {0, 0};
    size_t used = 0;
    memset(columns, 0, (COLUMNS + 1) * sizeof *columns);
    if (!later)
        return 0;
    later[c->count] = (mean){0, 0};
    for (size_t i = c->count; i > 0; i--) {
        later[i - 1] = later[i];
        take(&later[i - 1], keep, c->y[i - 1]);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!isfinite(c->y[i]))
            continue;
        take(&earlier, keep, c->y[i]);
        column *at = &columns[(int)((c->x[i] - f->x0) / (f->x1 - f->x0) * COLUMNS)];
        at->low = at->any ? fmin(at->low, c->y[i]) : c->y[i];
        at->high = at->any ? fmax(at->high, c->y[i]) : c->y[i];
        at->x = c->x[i];
        at->smooth = (earlier.sum + later[i].sum) / (earlier.weight + later[i].weight);
        used += !at->any;
        at->any = true;
    }
    free(later);
    return used;
}

static void draw_line(mcf_html *html, const mcf_chart *chart, const mcf_chart_series *s, const frame *f)
{
    column *columns = malloc((COLUMNS + 1) * sizeof *columns);
    if (!columns) {
        html->failed = true;
        return;
    }
    const size_t used = fill_columns(s->line, f, chart->smooth, columns);
    if (chart->smooth && used > 1) {
        mcf_html_format(html, "<path class=\"raw run-%d\" d=\"", s->run);
        char move = 'M';
        for (int i = 0; i <= COLUMNS; i++)
            if (columns[i].any) {
                mcf_html_format(html, "%c%.1f %.1f", move, place_x(f, columns[i].x), place_y(f, columns[i].low));
                if (columns[i].high > columns[i].low)
                    mcf_html_format(html, "V%.1f", place_y(f, columns[i].high));
                move = 'L';
            }
        mcf_html_add(html, "\"/>");
    }
    mcf_html_format(html, "<polyline class=\"line run-%d\" data-name=\"", s->run);
    mcf_html_text(html, s->name);
    mcf_html_add(html, "\" points=\"");
    for (int i = 0; i <= COLUMNS; i++)
        if (columns[i].any)
            mcf_html_format(html, "%.1f,%.2f ", place_x(f, columns[i].x), place_y(f, columns[i].smooth));
    mcf_html_add(html, "\"/>");
    if (used == 1) // a line of one point is invisible
        mcf_html_format(html, "<circle class=\"dot run-%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", s->run,
                        place_x(f, s->line->x[0]),
                        place_y(f, columns[(int)((s->line->x[0] - f->x0) / (f->x1 - f->x0) * COLUMNS)].smooth));
    free(columns);
}

static void draw_marks(mcf_html *html, const mcf_chart_series *s, const frame *f)
{
    const mcf_curve *c = s->marks;
    const size_t step = c->count / 200 + 1;
    mcf_html_format(html, "<polyline class=\"marks run-%d\" data-name=\"", s->run);
    mcf_html_text_format(html, "%s, validation", s->name);
    mcf_html_add(html, "\" points=\"");
    for (size_t i = 0; i < c->count; i += step)
        if (isfinite(c->y[i]))
            mcf_html_format(html, "%.1f,%.2f ", place_x(f, c->x[i]), place_y(f, c->y[i]));
    mcf_html_add(html, "\"/>");
    for (size_t i = 0; c->count <= 60 && i < c->count; i++)
        if (isfinite(c->y[i]))
            mcf_html_format(html, "<circle class=\"dot run-%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", s->run,
                            place_x(f, c->x[i]), place_y(f, c->y[i]));
}

// --- axes

static void tick_text(char *text, size_t size, double value)
{
    if (value != 0 && (fabs(value) >= 1e5 || fabs(value) < 1e-3))
        snprintf(text, size, "%.2g", value);
    else
        snprintf(text, size, "%.6g", value);
}

static void draw_axes(mcf_html *html, const mcf_chart *chart, const frame *f)
{
    double ticks[MCF_CHART_TICKS];
    char text[32];
    const double low = f->logarithmic ? pow(10, f->y0) : f->y0, high = f->logarithmic ? pow(10, f->y1) : f->y1;
    int count = mcf_chart_ticks(low, high, 5, f->logarithmic, ticks);
    for (int i = 0; i < count; i++) {
        const double y = place_y(f, ticks[i]);
        tick_text(text, sizeof text, ticks[i]);
        mcf_html_format(html,
                        "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" "
                        "text-anchor=\"end\">%s</text>",
                        LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, text);
    }
    count = mcf_chart_ticks(f->x0, f->x1, 5, false, ticks);
    for (int i = 0; i < count; i++) {
        if (!chart->x_title && ticks[i] != floor(ticks[i]))
            continue; // there is no half step
        const double x = place_x(f, ticks[i]);
        tick_text(text, sizeof text, ticks[i]);
        mcf_html_format(html,
                        "<path class=\"grid\" d=\"M%.1f %dv4\"/><text class=\"tick\" x=\"%.1f\" y=\"%d\" "
                        "text-anchor=\"%s\">%s</text>",
                        x, HEIGHT - BOTTOM, fmin(x, WIDTH - 2), HEIGHT - BOTTOM + 18,
                        x > WIDTH - RIGHT - 16 ? "end" : "middle", text);
    }
    if (chart->x_mark > f->x0 && chart->x_mark <= f->x1)
        mcf_html_format(html, "<path class=\"cursor\" d=\"M%.1f %dV%d\"/>", place_x(f, chart->x_mark), TOP,
                        HEIGHT - BOTTOM);
    mcf_html_format(html,
                    "<path class=\"axis\" d=\"M%d %dV%dH%d\"/><text class=\"tick\" x=\"%d\" y=\"%d\" "
                    "text-anchor=\"middle\">%s</text>",
                    LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT, LEFT + COLUMNS / 2, HEIGHT - 6,
                    chart->x_title ? chart->x_title : "optimiser step");
}

static double last_value(const mcf_curve *c)
{
    for (size_t i = c ? c->count : 0; i > 0; i--)
        if (isfinite(c->y[i - 1]))
            return c->y[i - 1];
    return NAN;
}

bool mcf_html_chart(mcf_html *html, const mcf_chart *chart, int id)
{
    frame f;
    if (!find_frame(chart, &f))
        return false;
    mcf_html_format(html, "<figure class=\"chart\"><figcaption>%s%s%s%s", chart->title, *chart->unit ? " <small>" : "",
                    chart->unit, *chart->unit ? "</small>" : "");
    if (f.logarithmic)
        mcf_html_add(html, " <small>log scale</small>");
    if (chart->note)
        mcf_html_format(html, "<span class=\"note\">%s</span>", chart->note);
    mcf_html_format(html,
                    "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"chart-%d\" "
                    "data-box=\"%d %d %d %d\" data-range=\"%.9g %.9g %.9g %.9g\" data-log=\"%d\" data-x=\"%s\">"
                    "<title id=\"chart-%d\">%s over %s; last value",
                    WIDTH, HEIGHT, id, LEFT, TOP, COLUMNS, ROWS, f.x0, f.x1, f.y0, f.y1, f.logarithmic,
                    chart->x_word ? chart->x_word : "step", id, chart->title,
                    chart->x_title ? chart->x_title : "optimiser steps");
    for (int i = 0; i < chart->count; i++) {
        mcf_html_text_format(html, "%s %s: ", i ? "," : "", chart->series[i].name);
        mcf_html_number(html, last_value(chart->series[i].line ? chart->series[i].line : chart->series[i].marks));
    }
    mcf_html_format(html, "</title><clipPath id=\"clip-%d\"><path d=\"M%d %dH%dV%dH%dz\"/></clipPath>", id, LEFT,
                    TOP - 4, WIDTH - RIGHT + 4, HEIGHT - BOTTOM, LEFT);
    draw_axes(html, chart, &f);
    mcf_html_format(html, "<g clip-path=\"url(#clip-%d)\">", id);
    for (int i = 0; i < chart->count; i++)
        if (chart->series[i].line && chart->series[i].line->count)
            draw_line(html, chart, &chart->series[i], &f);
    for (int i = 0; i < chart->count; i++)
        if (chart->series[i].marks && chart->series[i].marks->count)
            draw_marks(html, &chart->series[i], &f);
    mcf_html_add(html, "</g></svg></figure>\n");
    return true;
}
