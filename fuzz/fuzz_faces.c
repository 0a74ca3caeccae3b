// Label files of faces: the first byte chooses the parser. Whatever is read, numbers are finite and counts are bounded.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/faces/faces.h"
#include "data/faces/read.h"

enum { MOST = 512, IDS = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_set(const mcf_face_set *set)
{
    for (int64_t i = 0; i < set->count; i++) {
        if (!set->faces[i].image[0])
            abort();
        for (int k = 0; k < 4; k++)
            if (!isfinite(set->faces[i].box[k]))
                abort();
        for (int k = 0; k < 2 * set->points; k++)
            if (!isfinite(set->xy[i * set->points * 2 + k]))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static double xy[2 * MOST];
    static int8_t parts[IDS];
    static int32_t numbers[IDS];
    mcf_error err = {0};
    mcf_status status = MCF_OK;
    int points = 0;
    if (size < 1)
        return 0;
    char *text = malloc(size); // one byte less, and the zero behind
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    mcf_face_set set = {.layout = mcf_face_layout_find("points")};
    const int32_t file = mcf_face_file(&set, "fuzz");
    switch (data[0] % 7) {
    case 0:
        status = mcf_pts_parse(text, size - 1, "fuzz", MOST, xy, &points, &err);
        break;
    case 1:
        status = mcf_lapa_parse(text, size - 1, "fuzz", MOST, xy, &points, &err);
        break;
    case 2:
        status = mcf_csv_parse(&set, text, size - 1, file, "folder", 2, &err);
        break;
    case 3:
        status = mcf_face_json_parse(&set, text, size - 1, file, "folder", "name.jpg", &err);
        break;
    case 4:
        status = mcf_wflw_parse(&set, text, size - 1, file, "folder", &err);
        break;
    case 5:
        status = mcf_partition_parse(text, size - 1, "fuzz", parts, IDS, &err);
        break;
    default:
        status = mcf_mapping_parse(text, size - 1, "fuzz", numbers, IDS, &err);
    }
    if (status != MCF_OK && (err.status != status || !err.message[0]))
        abort();
    if (status == MCF_OK && (points < 0 || points > MOST))
        abort();
    for (int k = 0; status == MCF_OK && k < 2 * points; k++)
        if (!isfinite(xy[k]))
            abort();
    check_set(&set);
    mcf_face_set_free(&set);
    free(text);
    return 0;
}
