// What was predicted for a step beside what has been measured, where the device is a card that predictions know.
#include "bench/beside.h"
#include "bench/estimate/estimate.h"

mcf_status mcf_bench_beside(const mcf_config *config, const mcf_bench_beside_step *step, mcf_text *table, json_t *root,
                            mcf_error *err)
{
    const mcf_what_if none = {0};
    const mcf_card *card = mcf_card_of_device(step->device);
    mcf_recorded_step record;
    mcf_prediction p;
    double predicted[MCF_OP_COUNT] = {0};
    if (!card)
        return MCF_OK;
    MCF_TRY(mcf_record_step(config, step->batch, step->world, &record, err));
    mcf_status status = mcf_predict(card, &none, &record, &p, err);
    mcf_record_free(&record);
    MCF_TRY(status);
    for (int i = 0; i < p.row_count; i++)
        predicted[p.rows[i].op] += p.rows[i].seconds;
    mcf_text_add(table,
                 "predicted for %s: %.3f images/s; the step takes %.2f times as long\n"
                 "by operation, ms of a step: predicted, measured (each waited for)\n",
                 card->about, p.images * step->world, step->images > 0 ? p.images * step->world / step->images : 0);
    for (int op = 0; op < MCF_OP_COUNT; op++)
        if (step->seconds[op] > 0 && predicted[op] > 0)
            mcf_text_add(table, "  %-22s %9.2f %9.2f, %.2f times\n", mcf_op_describe((mcf_op)op)->name,
                         predicted[op] * 1e3, step->seconds[op] * 1e3, step->seconds[op] / predicted[op]);
    json_object_set_new(root, "predicted_images_per_second", json_real(p.images * step->world));
    mcf_prediction_free(&p);
    return MCF_OK;
}
