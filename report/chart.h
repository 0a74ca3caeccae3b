// Charts of the report: curves, mostly over steps, as inline SVG with axes, ticks and units. Colours are classes that the
// page's style sheet fills for light and dark; without scripts and styles the lines are still there.
#ifndef MCF_REPORT_CHART_H
#define MCF_REPORT_CHART_H

#include "report/html.h"
#include "run/read_log.h"

enum { MCF_CHART_SERIES = 16, MCF_CHART_TICKS = 12 };

typedef struct {
    const mcf_curve *line;  // NULL: none
    const mcf_curve *marks; // measured now and then: drawn dashed with dots; NULL: none
    int run;                // colour
    const char *name;       // foreign text
} mcf_chart_series;

typedef struct {
    const char *title, *unit; // markup of our own; unit "" where there is none
    const char *note;         // a sentence below the title, or NULL
    bool smooth;              // the line is a mean over some 1/20 of the points, the points pale behind it
    bool zero;                // the axis begins at 0
    const char *x_title;      // markup below the axis; NULL: optimiser steps, which are whole numbers
    const char *x_word;       // what a place on it is called, "error"; NULL: step
    double x_mark;            // a line across the plot there; 0: none
    mcf_chart_series series[MCF_CHART_SERIES];
    int count;
} mcf_chart;

// Appends a <figure>. `id` tells the charts of a page apart. False, and nothing appended, where no series has a finite
// value. The y axis is logarithmic where all values are positive and span a factor above 30.
bool mcf_html_chart(mcf_html *html, const mcf_chart *chart, int id);

// Round values within [low, high], 1, 2 or 5 times a power of ten apart, about `wanted` of them; the decades, with 2 and
// 5 where there are few, for a logarithmic axis (low > 0). Returns their number.
int mcf_chart_ticks(double low, double high, int wanted, bool logarithmic, double ticks[MCF_CHART_TICKS]);

#endif
