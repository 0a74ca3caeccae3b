// What sections of the page begin with.
#include <stdio.h>

#include "report/internal.h"

void mcf_report_missing(mcf_report_page *page, const char *what, const char *why)
{
    mcf_html_format(&page->html, "<p class=\"missing\"><b>%s</b> ", what);
    mcf_html_text(&page->html, why);
    mcf_html_add(&page->html, "</p>");
    if (page->result->missing++ == 0)
        snprintf(page->result->first, sizeof page->result->first, "%s %s", what, why);
}

bool mcf_report_is_dense(const mcf_report_run *run)
{
    return run->has_config && run->config.task != MCF_TASK_PRETRAIN;
}

void mcf_report_group_heading(mcf_report_page *page, const mcf_report_run *run)
{
    bool several = false;
    for (int i = 0; i < page->count; i++)
        several |= page->runs[i].group != page->runs[0].group;
    if (!several)
        return;
    if (!mcf_report_is_dense(run)) {
        mcf_html_add(&page->html, "<h3>Pre-training</h3>");
        return;
    }
    const bool align = run->config.task == MCF_TASK_ALIGN;
    mcf_html_format(&page->html, "<h3>Face %s, %d %s, layout %s</h3>", align ? "alignment" : "parsing",
                    run->config.dense.head.outputs, align ? "points" : "classes",
                    mcf_config_face_layout(&run->config)->name);
}

void mcf_report_run_heading(mcf_report_page *page, const mcf_report_run *run)
{
    if (page->count == 1)
        return;
    mcf_html_format(&page->html, "<h3><span class=\"swatch run-%d\"></span>", run->index);
    mcf_html_text(&page->html, run->name);
    mcf_html_add(&page->html, "</h3>");
}
