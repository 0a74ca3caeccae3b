// Text of the report: a growing string of HTML. Everything that comes from elsewhere (names, configs, messages)
// goes through mcf_html_text, so that no byte of it can become markup.
#ifndef MCF_REPORT_HTML_H
#define MCF_REPORT_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "data/image/image.h"

typedef mcf_text mcf_html; // start from {0}; ask `failed` once, at the end

// Markup as it is. `format` must take no foreign text.
void mcf_html_add(mcf_html *html, const char *markup);
void mcf_html_format(mcf_html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Text: & < > " ' are escaped, bytes that are no UTF-8 become U+FFFD, control characters but \n and \t are dropped.
void mcf_html_text(mcf_html *html, const char *text);
void mcf_html_text_format(mcf_html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcf_html_base64(mcf_html *html, const uint8_t *bytes, size_t size);
// A number for people: at most 4 significant digits, "1.2e-06" where small or large, "-" where not finite.
void mcf_html_number(mcf_html *html, double value);
// The same into a buffer of at least 32 bytes, which is returned.
char *mcf_report_number(char *text, size_t size, double value);

// <img> with the picture inside as a data URI. quality 0: PNG, for maps of few cells; else JPEG. `alt` is foreign
// text; `attributes` is markup ("class=\"cell\"") or "".
mcf_status mcf_html_picture(mcf_html *html, const uint8_t *rgb, int width, int height, int quality, const char *alt,
                            const char *attributes, mcf_error *err);

#endif
