// How fast the loader makes batches.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "data/loader.h"
#include "run/config/data.h"

mcf_status mcf_bench_data(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                          mcf_error *err)
{
    *report = (mcf_bench_report){0};
    const mcf_data_options *d = &config->data;
    if (d->train.count == 0)
        return mcf_fail(err, MCF_ERR_USAGE, "data.train: nothing to load; give folders, shards or lists");
    mcf_source *source = NULL;
    mcf_loader *loader = NULL;
    MCF_TRY(mcf_data_open(&source, d, &d->train, err));
    mcf_center_crop_options crop = mcf_data_crop(d, config->model.image_size);
    crop.flip = true;
    const mcf_transform transform = mcf_transform_center_crop(&crop);
    const int64_t images = mcf_source_count(source);
    int batch = options->batch > 0 ? options->batch : config->batch.per_device;
    if (batch > images)
        batch = (int)images;
    const mcf_loader_options loader_options = {
        .seed = config->seed, .batch = batch, .workers = d->workers, .shuffle = true};
    mcf_status status = mcf_loader_create(&loader, source, &transform, &loader_options, err);
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
                     (long long)count, (long long)images, took, crop.side, crop.side,
                     crop.fast_decode ? "fast_decode" : "full decode", rate, rate / workers, workers);
        json_t *root =
            json_pack("{s:I, s:f, s:f, s:f, s:i, s:i, s:b, s:i, s:I}", "images", (json_int_t)count, "seconds", took,
                      "images_per_second", rate, "images_per_second_per_worker", rate / workers, "workers", workers,
                      "size", crop.side, "fast_decode", crop.fast_decode, "batch", batch, "broken", (json_int_t)broken);
        status = mcf_bench_finish(report, root, &table, err);
        json_decref(root);
        mcf_text_free(&table);
    }
    mcf_loader_destroy(loader);
    mcf_source_close(source);
    return status;
}
