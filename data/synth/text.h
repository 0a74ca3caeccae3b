// Text that grows: lines of lists, kept by a thread until their turn.
#ifndef MCF_DATA_SYNTH_TEXT_H
#define MCF_DATA_SYNTH_TEXT_H

#include <stdint.h>

#include "base/text.h"

typedef mcf_text text;

void mcf_lines_integer(text *t, int64_t value);
// Fixed point with `digits` decimals, rounded; |value| < 1e9. What printf would do, many times faster.
void mcf_lines_number(text *t, double value, int digits);

#endif
