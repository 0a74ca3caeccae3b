// Progress on stderr: a bar that is drawn over itself on a terminal, plain lines now and then elsewhere.
// The terminal's settings are never touched, so there is nothing to restore but the bar's own line.
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

#define REDRAW_SECONDS 0.1
#define LINE_SECONDS 15.0

struct mcf_bar {
    bool quiet, terminal, utf8;
    const char *unit;
    double began, first_done; // where the measured rate starts
    double last;              // time of the last drawing; negative: none yet
    bool drawn;               // the bar stands on the terminal's current line
    bool measured;
};

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

mcf_bar *mcf_bar_start(bool quiet, const char *unit)
{
    mcf_bar *bar = calloc(1, sizeof *bar);
    if (!bar)
        return NULL;
    const char *term = getenv("TERM");
    bar->quiet = quiet;
    bar->terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
    bar->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    bar->unit = unit;
    bar->began = mcf_now();
    bar->last = -1;
    return bar;
}

static void clear(mcf_bar *bar)
{
    if (bar->drawn)
        fputs("\r\033[K", stderr);
    bar->drawn = false;
}

// Appends `cells` columns of a bar of which `share` is full.
static void draw_bar(const mcf_bar *bar, char *text, size_t size, int cells, double share)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t used = 0;
    int full, part, i;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    full = (int)(share * cells);
    part = (int)((share * cells - full) * 8);
    for (i = 0; i < full && used + 4 < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s", bar->utf8 ? "█" : "=");
    if (i < cells && bar->utf8 && part && used + 4 < size) {
        used += (size_t)snprintf(text + used, size - used, "%s", eighths[part]);
        i++;
    }
    for (; i < cells && used + 4 < size; i++)
        used += (size_t)snprintf(text + used, size - used, " ");
    text[used] = 0;
}

// Bytes of the detail's first fields, two spaces apart, that fit into `room`: half a number would be another number.
static int whole_fields(const char *detail, int room)
{
    const int length = (int)strlen(detail);
    if (length <= room)
        return length;
    int fits = 0;
    for (int i = 0; i <= room && i < length; i++)
        if (i > 0 && detail[i] == ' ' && detail[i + 1] == ' ')
            fits = i;
    return fits;
}

void mcf_bar_update(mcf_bar *bar, double done, double total, double rate, const char *detail)
{
    char line[512], filled[512], left[32] = "", speed[64] = "";
    double t = mcf_now(), share = total > 0 ? done / total : 0;
    if (!bar || bar->quiet)
        return;
    if (!bar->measured) { // the first call: what a resumed run has done before is not of this rate
        bar->measured = true;
        bar->began = t;
        bar->first_done = done;
    }
    bool finished = total > 0 && done >= total;
    double wait = bar->terminal ? REDRAW_SECONDS : LINE_SECONDS;
    if (bar->last >= 0 && t - bar->last < wait && !finished)
        return;
    bar->last = t;
    if (rate <= 0 && t - bar->began > 0.05)
        rate = (done - bar->first_done) / (t - bar->began);
    if (rate > 0) {
        snprintf(speed, sizeof speed, rate < 10 ? "%.2f %s/s" : "%.0f %s/s", rate, bar->unit);
        if (total > done)
            mcf_format_duration(left, sizeof left, (total - done) / rate);
    }
    size_t used = total > 0 ? (size_t)snprintf(line, sizeof line, "%3.0f %%  %.0f/%.0f", 100 * share, done, total)
                            : (size_t)snprintf(line, sizeof line, "%.0f", done);
    snprintf(line + used, sizeof line - used, " %s%s%s%s%s%s%s", bar->unit, *speed ? "  " : "", speed,
             *left ? "  " : "", left, *left ? " left" : "", detail && *detail ? "  " : "");
    if (!bar->terminal) {
        mcf_say(stderr, "%s%s", line, detail ? detail : "");
        return;
    }
    // the numbers first, a bar where it fits, and of the detail what the terminal's width leaves
    int width = terminal_width() - 1, room = width - (int)strlen(line);
    int cells = total <= 0 || room < 12 ? 0 : room < 52 ? 10 : 20;
    fputs("\r", stderr);
    if (cells) {
        draw_bar(bar, filled, sizeof filled, cells, share);
        fprintf(stderr, bar->utf8 ? "▕%s▏" : "[%s]", filled);
        room -= cells + 2;
    }
    fprintf(stderr, "%.*s", width > 0 ? width : 0, line);
    if (detail && room > 0)
        fprintf(stderr, "%.*s", whole_fields(detail, room), detail);
    fputs("\033[K", stderr);
    fflush(stderr);
    bar->drawn = true;
}

void mcf_bar_say(mcf_bar *bar, const char *format, ...)
{
    va_list args;
    if (!bar || bar->quiet)
        return;
    clear(bar);
    va_start(args, format);
    mcf_vsay(stderr, format, args);
    va_end(args);
    bar->last = bar->terminal ? -1 : bar->last;
}

void mcf_bar_notice(void *context, const char *line)
{
    mcf_bar *bar = context;
    if (bar)
        clear(bar);
    mcf_say(stderr, "mcf: %s", line);
    if (bar)
        bar->last = bar->terminal ? -1 : bar->last;
}

void mcf_bar_end(mcf_bar *bar)
{
    if (!bar)
        return;
    if (bar->drawn)
        fputc('\n', stderr);
    free(bar);
}
