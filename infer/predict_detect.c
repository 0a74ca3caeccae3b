// The detector as `mcf predict` uses it.
#include <stdlib.h>
#include <string.h>

#include "infer/detect.h"
#include "infer/predict.h"

struct mcf_predict_detector {
    mcf_detector *detector;
};

mcf_status mcf_predict_detector_open(mcf_predict_detector **out, const char *path, const mcf_job_options *job,
                                     mcf_error *err)
{
    *out = NULL;
    mcf_predict_detector *d = calloc(1, sizeof *d);
    if (!d)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a detector");
    const mcf_detector_options options = {.path = path, .job = *job};
    mcf_status status = mcf_detector_open(&d->detector, &options, err);
    if (status == MCF_OK)
        *out = d;
    else
        free(d);
    return status;
}

void mcf_predict_detector_close(mcf_predict_detector *d)
{
    if (!d)
        return;
    mcf_detector_close(d->detector);
    free(d);
}

mcf_status mcf_predict_detect(mcf_predict_detector *d, const uint8_t *pixels, int width, int height,
                              mcf_predict_face **faces, int *count, mcf_error *err)
{
    const mcf_image image = {
        .width = width, .height = height, .channels = 3, .stride = (size_t)width * 3, .pixels = pixels};
    mcf_faces found = {0};
    MCF_TRY(mcf_detector_run(d->detector, &image, 1, &found, err));
    *count = found.count;
    *faces = calloc((size_t)found.count + 1, sizeof **faces);
    mcf_status status = *faces ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d faces", found.count);
    for (int i = 0; status == MCF_OK && i < found.count; i++) {
        mcf_predict_face *face = &(*faces)[i];
        *face = (mcf_predict_face){.has_five = true, .from = "detector"};
        for (int k = 0; k < 4; k++)
            face->box[k] = found.faces[i].box[k];
        for (int k = 0; k < 10; k++)
            face->five[k / 2][k % 2] = found.faces[i].points[k / 2][k % 2];
    }
    mcf_faces_free(&found);
    return status;
}
