// Lines for people, on stdout or stderr: one each, whatever the names in them hold.
#define _GNU_SOURCE // vasprintf
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/printable.h"
#include "cli/cli.h"

void mcf_vsay(FILE *to, const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        return;
    char *line = mcf_printable_copy(text);
    if (line)
        fprintf(to, "%s\n", line);
    free(line);
    free(text);
}

void mcf_say(FILE *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mcf_vsay(to, format, args);
    va_end(args);
}

void mcf_say_left_out(long long broken, const char *first, long long unsupported, const char *first_unsupported)
{
    if (broken)
        mcf_say(stderr, "mcf: %lld image%s left out as unreadable, the first: %s", broken, broken == 1 ? "" : "s",
                first ? first : "");
    if (unsupported)
        mcf_say(stderr, "mcf: %lld of these %s not damaged but of a kind that is not read%s%s", unsupported,
                unsupported == 1 ? "is" : "are", first_unsupported ? ", the first: " : "",
                first_unsupported ? first_unsupported : "");
}

FILE *mcf_words_beside(const char *out)
{
    struct stat a, b;
    const bool same =
        out && stat(out, &a) == 0 && fstat(STDOUT_FILENO, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    return same ? stderr : stdout;
}
