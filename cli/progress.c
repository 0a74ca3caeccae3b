// Progress on stderr: a bar that is drawn over itself on a terminal, plain lines now and then elsewhere.
// The terminal's settings are never touched, so there is nothing to restore but the bar's own line.
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define REDRAW_SECONDS 0.1
#define LINE_SECONDS 15.0

struct mcf_progress {
    bool quiet, terminal, utf8;
    const char *unit;
    double began, first_done;  // where the measured rate starts
    double last;               // time of the last drawing; negative: none yet
    bool drawn;                // the bar stands on the terminal's current line
    bool measured;
    double done, total;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

mcf_progress *mcf_progress_start(bool quiet, const char *unit)
{
    mcf_progress *progress = calloc(1, sizeof *progress);
    if (!progress)
        return NULL;
    const char *term = getenv("TERM");
    progress->quiet = quiet;
    progress->terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
    progress->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    progress->unit = unit;
    progress->began = now();
    progress->last = -1;
    return progress;
}

static void clear(mcf_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

// Appends `cells` columns of a bar of which `share` is full.
static void draw_bar(const mcf_progress *progress, char *text, size_t size, int cells, double share)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t used = 0;
    int full, part, i;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    full = (int)(share * cells);
    part = (int)((share * cells - full) * 8);
    for (i = 0; i < full && used + 4 < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s", progress->utf8 ? "█" : "=");
    if (i < cells && progress->utf8 && part && used + 4 < size) {
        used += (size_t)snprintf(text + used, size - used, "%s", eighths[part]);
        i++;
    }
    for (; i < cells && used + 4 < size; i++)
        used += (size_t)snprintf(text + used, size - used, " ");
    text[used] = 0;
}

void mcf_progress_update(mcf_progress *progress, double done, double total, double rate, const char *detail)
{
    char line[512], bar[512], left[32] = "", speed[64] = "";
    double t = now(), share = total > 0 ? done / total : 0;
    if (!progress || progress->quiet)
        return;
    if (!progress->measured) {  // the first call: what a resumed run has done before is not of this rate
        progress->measured = true;
        progress->began = t;
        progress->first_done = done;
    }
    progress->done = done;
    progress->total = total;
    bool finished = total > 0 && done >= total;
    double wait = progress->terminal ? REDRAW_SECONDS : LINE_SECONDS;
    if (progress->last >= 0 && t - progress->last < wait && !finished)
        return;
    progress->last = t;
    if (rate <= 0 && t - progress->began > 0.05)
        rate = (done - progress->first_done) / (t - progress->began);
    if (rate > 0) {
        snprintf(speed, sizeof speed, rate < 10 ? "%.2f %s/s" : "%.0f %s/s", rate, progress->unit);
        if (total > done)
            mcf_format_duration(left, sizeof left, (total - done) / rate);
    }
    snprintf(line, sizeof line, "%3.0f %%  %.0f/%.0f %s%s%s%s%s%s%s", 100 * share, done, total, progress->unit,
             *speed ? "  " : "", speed, *left ? "  " : "", left, *left ? " left" : "",
             detail && *detail ? "  " : "");
    if (!progress->terminal) {
        fprintf(stderr, "%s%s\n", line, detail ? detail : "");
        return;
    }
    int width = terminal_width() - 1, cells = width - (int)strlen(line) - (detail ? (int)strlen(detail) : 0) - 3;
    if (cells > 40)
        cells = 40;
    fputs("\r", stderr);
    if (cells >= 8) {
        draw_bar(progress, bar, sizeof bar, cells, share);
        fprintf(stderr, progress->utf8 ? "▕%s▏ %s%s" : "[%s] %s%s", bar, line, detail ? detail : "");
    } else {  // a narrow terminal: the numbers only, cut where it ends
        char whole[1024];
        snprintf(whole, sizeof whole, "%s%s", line, detail ? detail : "");
        fprintf(stderr, "%.*s", width > 0 ? width : 0, whole);
    }
    fputs("\033[K", stderr);
    fflush(stderr);
    progress->drawn = true;
}

void mcf_progress_say(mcf_progress *progress, const char *format, ...)
{
    va_list args;
    if (!progress || progress->quiet)
        return;
    clear(progress);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    progress->last = progress->terminal ? -1 : progress->last;
}

void mcf_progress_end(mcf_progress *progress)
{
    if (!progress)
        return;
    if (progress->drawn)
        fputc('\n', stderr);
    free(progress);
}
