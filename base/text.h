// Text that grows.
#ifndef MCF_BASE_TEXT_H
#define MCF_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

// Start from {0}. Without memory nothing more is added and `failed` is set: ask once, at the end.
typedef struct {
    char *text; // malloc'd, with a NUL behind `size` bytes; NULL while nothing has been added
    size_t size, capacity;
    bool failed;
} mcf_text;

void mcf_text_append(mcf_text *text, const char *bytes, size_t size);
void mcf_text_put(mcf_text *text, const char *words);
void mcf_text_add(mcf_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcf_text_vadd(mcf_text *text, const char *format, va_list args);
void mcf_text_free(mcf_text *text);

#endif
