#include "report/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void mcf_html_add(mcf_html *html, const char *markup)
{
    mcf_text_put(html, markup);
}

void mcf_html_format(mcf_html *html, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mcf_text_vadd(html, format, args);
    va_end(args);
}

// Length of the UTF-8 sequence at `at` (RFC 3629: shortest form, no surrogates, up to U+10FFFF); 0: it is none.
static size_t sequence(const uint8_t *at)
{
    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    size_t length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) // the NUL at the end is caught here too
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

void mcf_html_text(mcf_html *html, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    while (*at) {
        size_t length = sequence(at);
        const char *as = NULL;
        if (length == 0)
            as = "\xef\xbf\xbd";
        else if (*at == '&')
            as = "&amp;";
        else if (*at == '<')
            as = "&lt;";
        else if (*at == '>')
            as = "&gt;";
        else if (*at == '"')
            as = "&quot;";
        else if (*at == '\'')
            as = "&#39;";
        else if ((*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7f)
            as = "";
        if (as)
            mcf_html_add(html, as);
        else
            mcf_text_append(html, (const char *)at, length);
        at += length ? length : 1;
    }
}

void mcf_html_text_format(mcf_html *html, const char *format, ...)
{
    mcf_text text = {0};
    va_list args;
    va_start(args, format);
    mcf_text_vadd(&text, format, args);
    va_end(args);
    html->failed |= text.failed;
    if (text.text)
        mcf_html_text(html, text.text);
    mcf_text_free(&text);
}

void mcf_html_base64(mcf_html *html, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    mcf_text_append(html, "", 0); // nothing is a text too
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16 | (i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (i + 2 < size ? bytes[i + 2] : 0);
        const char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], i + 1 < size ? digits[bits >> 6 & 63] : '=',
                              i + 2 < size ? digits[bits & 63] : '='};
        mcf_text_append(html, four, sizeof four);
    }
}

char *mcf_report_number(char *text, size_t size, double value)
{
    if (!isfinite(value))
        snprintf(text, size, "-");
    else if (value != 0 && (fabs(value) < 1e-3 || fabs(value) >= 1e6))
        snprintf(text, size, "%.3g", value);
    else
        snprintf(text, size, "%.*f",
                 fabs(value) >= 1000  ? 0
                 : fabs(value) >= 100 ? 1
                 : fabs(value) >= 10  ? 2
                 : fabs(value) >= 1   ? 3
                                      : 4,
                 value);
    return text;
}

void mcf_html_number(mcf_html *html, double value)
{
    char text[32];
    mcf_html_add(html, mcf_report_number(text, sizeof text, value));
}

mcf_status mcf_html_picture(mcf_html *html, const uint8_t *rgb, int width, int height, int quality, const char *alt,
                            const char *attributes, mcf_error *err)
{
    const mcf_image image = {
        .width = width, .height = height, .channels = 3, .stride = (size_t)width * 3, .pixels = rgb};
    mcf_bytes file = {0};
    mcf_status status =
        quality ? mcf_image_encode_jpeg(&image, quality, &file, err) : mcf_image_encode_png(&image, &file, err);
    if (status == MCF_OK) {
        mcf_html_format(html, "<img %s width=\"%d\" height=\"%d\" alt=\"", attributes, width, height);
        mcf_html_text(html, alt);
        mcf_html_format(html, "\" src=\"data:image/%s;base64,", quality ? "jpeg" : "png");
        mcf_html_base64(html, file.data, file.size);
        mcf_html_add(html, "\">");
    }
    mcf_bytes_free(&file);
    return status;
}
