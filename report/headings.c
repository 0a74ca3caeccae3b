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

void mcf_report_run_heading(mcf_report_page *page, const mcf_report_run *run)
{
    if (page->count == 1)
        return;
    mcf_html_format(&page->html, "<h3><span class=\"swatch run-%d\"></span>", run->index);
    mcf_html_text(&page->html, run->name);
    mcf_html_add(&page->html, "</h3>");
}
