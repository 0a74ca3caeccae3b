// How fast the loader makes batches.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "data/loader.h"
#include "data/faces/sample.h"
#include "run/config/data.h"
#include "run/config/faces.h"

// What is loaded: pictures as pre-training sees them, or labelled faces as fine-tuning does.
typedef struct {
    mcf_center_crop_options crop;
    mcf_face_set set;
    mcf_face_sample_options faces;
    mcf_transform transform;
    mcf_source *source;
    const char *how;
} load;

static mcf_status open_faces(load *l, const mcf_config *config, mcf_error *err)
{
    MCF_TRY(mcf_config_faces_read(&l->set, config, false, err));
    l->faces = (mcf_face_sample_options){.set = &l->set,
                                         .augment = mcf_config_face_augment(config),
                                         .random = true,
                                         .labels = config->task == MCF_TASK_PARSE,
                                         .classes = config->task == MCF_TASK_PARSE ? config->dense.head.outputs : 0};
    l->transform = mcf_face_transform(&l->faces);
    l->how = l->faces.labels ? "augmented, with label maps" : "augmented, with points";
    return mcf_face_source(&l->set, l->set.count, &l->source, err);
}

static mcf_status open_load(load *l, const mcf_config *config, mcf_error *err)
{
    const mcf_data_options *d = &config->data;
    if (d->train.count == 0)
        return mcf_fail(err, MCF_ERR_USAGE, "data.train: nothing to load; give folders, shards or lists");
    if (config->task != MCF_TASK_PRETRAIN)
        return open_faces(l, config, err);
    l->crop = mcf_data_crop(d, config->model.image_size);
    l->crop.flip = true;
    l->transform = mcf_transform_center_crop(&l->crop);
    l->how = l->crop.fast_decode ? "fast_decode" : "full decode";
    return mcf_data_open(&l->source, d, &d->train, err);
}

mcf_status mcf_bench_data(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                          mcf_error *err)
{
    *report = (mcf_bench_report){0};
    const mcf_data_options *d = &config->data;
    load l = {0};
    mcf_loader *loader = NULL;
    mcf_status status = open_load(&l, config, err);
    const int64_t images = status == MCF_OK ? mcf_source_count(l.source) : 0;
    int batch = options->batch > 0 ? options->batch : config->batch.per_device;
    if (batch > images)
        batch = (int)images;
    const mcf_loader_options loader_options = {
        .seed = config->seed, .batch = batch, .workers = d->workers, .shuffle = true};
    if (status == MCF_OK)
        status = mcf_loader_create(&loader, l.source, &l.transform, &loader_options, err);
    const double seconds = options->seconds > 0 ? options->seconds : 5;
    const mcf_batch *rows;
    // What is made while the workers start does not count.
    for (int i = 0; i < 3 && status == MCF_OK; i++)
        status = mcf_loader_next(loader, &rows, err);
    const double begin = mcf_now();
    int64_t count = 0;
    while (status == MCF_OK && mcf_now() - begin < seconds) {
        status = mcf_loader_next(loader, &rows, err);
        count += batch;
        if (status == MCF_OK && options->stop && *options->stop)
            status = mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
    }
    if (status == MCF_OK) {
        const double took = mcf_now() - begin, rate = (double)count / took;
        const int workers = d->workers > 0 ? d->workers : 1;
        const int64_t broken = mcf_loader_get_stats(loader)->broken;
        mcf_text table = {0};
        mcf_text_add(&table, "%lld images of %lld in %.1f s to %d x %d, %s: %.1f images/s, %.1f per worker of %d\n",
                     (long long)count, (long long)images, took, l.transform.width, l.transform.height, l.how, rate,
                     rate / workers, workers);
        json_t *root = json_pack("{s:I, s:f, s:f, s:f, s:i, s:i, s:b, s:i, s:I}", "images", (json_int_t)count,
                                 "seconds", took, "images_per_second", rate, "images_per_second_per_worker",
                                 rate / workers, "workers", workers, "size", l.transform.width, "fast_decode",
                                 l.crop.fast_decode, "batch", batch, "broken", (json_int_t)broken);
        status = mcf_bench_finish(report, root, &table, err);
        json_decref(root);
        mcf_text_free(&table);
    }
    mcf_loader_destroy(loader);
    mcf_source_close(l.source);
    mcf_face_set_free(&l.set);
    return status;
}
