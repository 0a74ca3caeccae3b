#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Bytes of the UTF-8 character at text, which ends at NUL, and its number; 0: none starts here (overlong forms, halves
// of pairs and numbers past the last are none).
static int character(const unsigned char *text, uint32_t *number)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (text[0] < 0x80) {
        *number = text[0];
        return 1;
    }
    int length = text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                 : (text[0] & 0xf0) == 0xe0        ? 3
                 : (text[0] & 0xf8) == 0xf0        ? 4
                                                   : 0;
    if (!length)
        return 0;
    uint32_t value = text[0] & (0xffu >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3f);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *number = value;
    return length;
}

// Shows nothing itself, and moves or hides what stands beside it.
static bool hides(uint32_t c)
{
    return (c >= 0x80 && c < 0xa0) || c == 0x061c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c < 0xe1000);
}

// What the character at text is printed as, and how many bytes it takes from text.
static int printed(const unsigned char *text, char to[16])
{
    uint32_t c;
    const int length = character(text, &c);
    if (length == 0) {
        snprintf(to, 16, "\\x%02x", text[0]);
        return 1;
    }
    if (c == '\n' || c == '\t' || c == '\r')
        snprintf(to, 16, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    else if (c < ' ' || c == 127)
        snprintf(to, 16, "\\x%02x", (unsigned)c);
    else if (hides(c))
        snprintf(to, 16, "\\u{%x}", (unsigned)c);
    else {
        memcpy(to, text, (size_t)length);
        to[length] = '\0';
    }
    return length;
}

char *mcf_printable(char *out, size_t size, const char *text)
{
    size_t used = 0;
    if (size == 0)
        return out;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        char to[16];
        const int taken = printed(at, to);
        const size_t length = strlen(to);
        if (length >= size - used)
            break;
        memcpy(out + used, to, length);
        used += length;
        at += taken;
    }
    out[used] = '\0';
    return out;
}

char *mcf_printable_copy(const char *text)
{
    const size_t size = 4 * strlen(text) + 1; // \xNN; \u{N} takes less than four times its character
    char *copy = malloc(size);
    return copy ? mcf_printable(copy, size, text) : NULL;
}

void mcf_printable_in_place(char *text, size_t size)
{
    char to[16];
    bool clean = true;
    for (const unsigned char *at = (const unsigned char *)text; *at && clean;) {
        const int taken = printed(at, to);
        clean = (int)strlen(to) == taken && !memcmp(to, at, (size_t)taken);
        at += taken;
    }
    if (clean)
        return;
    char *copy = strdup(text);
    if (!copy) { // then at least nothing that could do harm
        for (; *text; text++)
            *text = (unsigned char)*text < ' ' || (unsigned char)*text >= 127 ? '?' : *text;
        return;
    }
    mcf_printable(text, size, copy);
    free(copy);
}

char *mcf_name_as_utf8(const char *name)
{
    uint32_t c;
    bool plain = !strchr(name, '\\');
    for (const unsigned char *at = (const unsigned char *)name; *at && plain;) {
        const int length = character(at, &c);
        plain = length > 0;
        at += length;
    }
    if (plain)
        return strdup(name);
    char *out = malloc(4 * strlen(name) + 1), *to = out;
    if (!out)
        return NULL;
    for (const unsigned char *at = (const unsigned char *)name; *at;) {
        const int length = character(at, &c);
        if (length == 0) {
            to += sprintf(to, "\\x%02x", *at++);
            continue;
        }
        if (c == '\\')
            *to++ = '\\';
        memcpy(to, at, (size_t)length);
        to += length;
        at += length;
    }
    *to = '\0';
    return out;
}
