// Text that grows: lines of lists, kept by a thread until their turn.
#ifndef MCF_DATA_SYNTH_TEXT_H
#define MCF_DATA_SYNTH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *bytes;
    size_t size, capacity;
    bool failed; // out of memory
} text;

void mcf_lines_free(text *t);
void mcf_lines_put(text *t, const char *words);
void mcf_lines_format(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcf_lines_integer(text *t, int64_t value);
// Fixed point with `digits` decimals, rounded; |value| < 1e9. What printf would do, many times faster.
void mcf_lines_number(text *t, double value, int digits);

#endif
