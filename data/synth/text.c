#include "data/synth/text.h"

void mcf_lines_integer(text *t, int64_t value)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0)
        *--at = '-';
    mcf_text_append(t, at, (size_t)(digits + sizeof digits - at));
}

void mcf_lines_number(text *t, double value, int digits)
{
    double scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    int64_t units = (int64_t)(value * scale + (value < 0 ? -0.5 : 0.5)), whole = (int64_t)scale;
    if (units < 0) {
        mcf_text_append(t, "-", 1);
        units = -units;
    }
    mcf_lines_integer(t, units / whole);
    char fraction[16] = ".";
    units %= whole;
    for (int i = digits; i > 0; i--) {
        fraction[i] = (char)('0' + units % 10);
        units /= 10;
    }
    if (digits)
        mcf_text_append(t, fraction, (size_t)digits + 1);
}
