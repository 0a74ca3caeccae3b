#include "infer/predict_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16, MOST = 1 << 30 };

static mcf_status read_all(mcf_predict_input *input, FILE *from, mcf_error *err)
{
    size_t room = 0;
    for (;;) {
        if (room < input->size + CHUNK + 1) {
            room = 2 * room + CHUNK + 1;
            char *grown = realloc(input->bytes, room);
            if (!grown)
                return mcf_fail(err, MCF_ERR_NOMEM, "standard input: no memory for %zu bytes", room);
            input->bytes = grown;
        }
        const size_t got = fread(input->bytes + input->size, 1, CHUNK, from);
        input->size += got;
        if (input->size > MOST)
            return mcf_fail(err, MCF_ERR_FORMAT, "standard input: more than 1 GiB; give a picture or a list of paths");
        if (got < CHUNK)
            break;
    }
    if (ferror(from))
        return mcf_fail(err, MCF_ERR_IO, "standard input: %s", strerror(errno));
    input->bytes[input->size] = '\0';
    return MCF_OK;
}

// Lines become strings where they stand; blank ones are passed over.
static mcf_status split(mcf_predict_input *input, mcf_error *err)
{
    char *at = input->bytes, *end = at + input->size;
    size_t lines = 1;
    for (const char *c = at; c < end; c++)
        lines += *c == '\n';
    input->paths = calloc(lines, sizeof *input->paths);
    if (!input->paths)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a list of %zu lines", lines);
    if (input->size >= 3 && !memcmp(at, "\xef\xbb\xbf", 3)) // a byte-order mark
        at += 3;
    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at)), *last = stop ? stop : end;
        const char *path = at;
        at = last + 1;
        while (last > path && last[-1] == '\r')
            last--;
        *last = '\0';
        if (*path)
            input->paths[input->path_count++] = path;
    }
    if (input->path_count == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "standard input: empty; give a picture or a list of paths, one a line");
    return MCF_OK;
}

mcf_status mcf_predict_input_read(mcf_predict_input *input, FILE *from, mcf_error *err)
{
    *input = (mcf_predict_input){0};
    mcf_status status = read_all(input, from, err);
    if (status == MCF_OK && mcf_image_format_of((const uint8_t *)input->bytes, input->size) == MCF_IMAGE_UNKNOWN)
        status = memchr(input->bytes, 0, input->size)
                     ? mcf_fail(err, MCF_ERR_FORMAT,
                                "standard input: neither a JPEG, PNG or WebP picture nor a list of paths")
                     : split(input, err);
    if (status != MCF_OK)
        mcf_predict_input_free(input);
    return status;
}

void mcf_predict_input_free(mcf_predict_input *input)
{
    free(input->bytes);
    free(input->paths);
    *input = (mcf_predict_input){0};
}
