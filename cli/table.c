// Aligned tables on stdout, and numbers as people read them.
#define _GNU_SOURCE // vasprintf
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "cli/cli.h"

enum { MAX_COLUMNS = 16 };

struct mcf_table {
    int columns;
    bool right[MAX_COLUMNS];
    char **cells; // row-major, headings first
    size_t count, capacity;
    bool failed; // out of memory: printing says so instead of showing half a table
};

static void add(mcf_table *table, char *text)
{
    if (!text) {
        table->failed = true;
        return;
    }
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) {
            table->failed = true;
            free(text);
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    table->cells[table->count++] = text;
}

mcf_table *mcf_table_create(const char *columns)
{
    mcf_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    for (const char *at = columns; table->columns < MAX_COLUMNS;) {
        size_t length = strcspn(at, "|");
        bool right = *at == '>';
        table->right[table->columns++] = right;
        add(table, strndup(at + right, length - right));
        if (!at[length])
            break;
        at += length + 1;
    }
    return table;
}

void mcf_table_cell(mcf_table *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    if (!table)
        return;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    char *shown = text ? mcf_printable_copy(text) : NULL;
    free(text);
    add(table, shown);
}

// Columns a UTF-8 text takes, for the characters that occur here.
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

void mcf_table_print(const mcf_table *table)
{
    int width[MAX_COLUMNS] = {0};
    if (!table || table->failed) {
        printf("(no memory for the table)\n");
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        int w = width_of(table->cells[i]), column = (int)(i % (size_t)table->columns);
        if (w > width[column])
            width[column] = w;
    }
    for (size_t i = 0; i < table->count; i++) {
        int column = (int)(i % (size_t)table->columns);
        int pad = width[column] - width_of(table->cells[i]);
        bool last = column == table->columns - 1 || i + 1 == table->count;
        if (table->right[column])
            printf("%*s%s", pad, "", table->cells[i]);
        else
            printf("%s%*s", table->cells[i], last ? 0 : pad, "");
        fputs(last ? "\n" : "  ", stdout);
    }
}

void mcf_table_free(mcf_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

const char *mcf_format_bytes(char *text, size_t size, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, size, unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

const char *mcf_format_duration(char *text, size_t size, double seconds)
{
    long s = seconds > 0 ? (long)(seconds + 0.5) : 0;
    if (s >= 86400)
        snprintf(text, size, "%ld d %02ld h", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        snprintf(text, size, "%ld h %02ld min", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        snprintf(text, size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(text, size, "%ld s", s);
    return text;
}
