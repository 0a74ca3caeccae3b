// mcf bench step --predict: the printed page and its JSON.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "train/engine.h"
#include "bench/estimate/changes.h"
#include "run/config/faces.h"

typedef struct {
    const mcf_config *config;
    const mcf_card *card;
    mcf_recorded_step record, lean; // as configured; with model.recompute: blocks, where that is not configured
    mcf_prediction now, recomputed;
    mcf_predicted_changes changes;
    bool has_lean;
    int64_t most, most_lean; // images of a micro-batch that fit
    mcf_text *table;
    json_t *root;
} page;

enum { CORES_A_CARD = 5 }; // a DGX-1 has 40 cores for 8 cards

static double hours_of(const page *p, double images, double set)
{
    return mcf_predict_hours(images * p->record.world, set, MCF_SET_EPOCHS);
}

static bool is_dense(const page *p)
{
    return p->config->task != MCF_TASK_PRETRAIN;
}

// Of a finetuning run on the set that the config's layout names; 0: a layout of people's own data.
static double finetune_hours(const page *p, double images)
{
    const double batch = (double)p->record.batch * p->record.accumulate * p->record.world;
    const double faces = (double)mcf_predict_faces(mcf_config_face_layout(p->config)->name);
    return p->config->schedule.epochs * ceil(faces / batch) * batch / p->record.world / images / 3600;
}

static const char *fits(const mcf_card *card, const mcf_predicted_memory *m)
{
    return (double)m->total <= card->memory ? "fits" : "does not fit";
}

// --- parts of the page

static void write_head(const page *p)
{
    const mcf_prediction *n = &p->now;
    const mcf_card *card = p->card;
    mcf_text_add(
        p->table,
        "a prediction, not a measurement: %s, %d card%s, %s, %lld images x %d micro-batches a card\n"
        "%.1f images/s and card, %.3f s a step (%.1f ms a micro-batch), %.1f GFLOP an image, %.1f TFLOP/s a card "
        "(%.0f %% of %.0f)\n",
        card->about, p->record.world, p->record.world > 1 ? "s" : "",
        mcf_dtype_name(mcf_precision_dtype(p->config->precision)), (long long)p->record.batch, p->record.accumulate,
        n->images, n->step, n->micro_batch * 1e3, n->flops / n->images / n->step * 1e-9, n->flops / n->step * 1e-12,
        100 * n->flops / n->step / (p->config->precision == MCF_PRECISION_FP32 ? card->f32 : card->f16),
        (p->config->precision == MCF_PRECISION_FP32 ? card->f32 : card->f16) * 1e-12);
    mcf_text_add(
        p->table,
        "a first run may find from %.0f (all that may be worse at once) to %.0f (attention's pipes overlap fully)\n",
        p->changes.low, p->changes.high);
    json_object_update_new(p->root, json_pack("{s:f, s:f}", "images_per_second_per_device_low", p->changes.low,
                                              "images_per_second_per_device_high", p->changes.high));
    json_object_update_new(
        p->root, json_pack("{s:b, s:s, s:s, s:i, s:s, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "predicted", 1,
                           "device", card->name, "device_about", card->about, "devices", p->record.world, "precision",
                           mcf_dtype_name(mcf_precision_dtype(p->config->precision)), "batch",
                           (json_int_t)p->record.batch, "accumulate", p->record.accumulate, "images_per_second",
                           n->images * p->record.world, "images_per_second_per_device", n->images, "seconds_per_step",
                           n->step, "seconds_per_micro_batch", n->micro_batch, "flops_per_image",
                           n->flops / n->images / n->step, "gflops", n->flops / n->step * 1e-9));
}

static void write_rows(const page *p)
{
    const mcf_prediction *n = &p->now;
    json_t *rows = json_array();
    double rest = 0;
    mcf_text_add(p->table,
                 "by operation, ms of a step on a card:\n"
                 "  %-62s %-17s %6s %9s %6s %8s %7s  %s\n",
                 "", "kernel", "calls", "ms", "%", "TFLOP/s", "GB/s", "bound by");
    for (int i = 0; i < n->row_count; i++) {
        const mcf_predicted_row *r = &n->rows[i];
        const char *bound = r->compute > r->memory       ? "arithmetic"
                            : r->memory > r->seconds / 2 ? "memory"
                                                         : "starting kernels";
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:s}", "op",
                                              mcf_op_describe(r->op)->name, "name", r->name, "kernel",
                                              mcf_way_name(r->way), "calls", r->count, "seconds", r->seconds, "share",
                                              r->seconds / n->step, "gflop", r->flops * 1e-9, "gbytes", r->bytes * 1e-9,
                                              "efficiency", r->flops / r->seconds / p->card->f16, "bound", bound));
        if (r->seconds < 0.001 * n->step) {
            rest += r->seconds;
            continue;
        }
        mcf_text_add(p->table, "  %-62s %-17s %6d %9.2f %6.1f %8.1f %7.0f  %s\n", r->name, mcf_way_name(r->way),
                     r->count, r->seconds * 1e3, 100 * r->seconds / n->step, r->flops / r->seconds * 1e-12,
                     r->bytes / r->seconds * 1e-9, bound);
    }
    mcf_text_add(p->table, "  %-62s %-17s %6s %9.2f %6.1f\n", "operations below 0.1 % each", "", "", rest * 1e3,
                 100 * rest / n->step);
    json_object_set_new(p->root, "profile", rows);
}

// Products, attention, passes over memory.
static void write_groups(const page *p)
{
    const mcf_prediction *n = &p->now;
    double seconds[MCF_WAYS] = {0};
    json_t *groups = json_object();
    for (int i = 0; i < n->row_count; i++)
        seconds[n->rows[i].way] += n->rows[i].seconds;
    mcf_text_add(p->table, "by kernel, ms of a step:");
    for (int way = 0; way < MCF_WAYS; way++) {
        if (seconds[way] > 0)
            mcf_text_add(p->table, " %s %.1f (%.1f %%);", mcf_way_name((mcf_way)way), seconds[way] * 1e3,
                         100 * seconds[way] / n->step);
        json_object_set_new(groups, mcf_way_name((mcf_way)way), json_real(seconds[way]));
    }
    mcf_text_add(p->table,
                 "\n  sums of gradients %.2f ms beside, of which the step waits %.2f ms; the memory they take %.2f ms; "
                 "images of a "
                 "micro-batch %.2f ms beside; losses read %.2f ms\n",
                 n->reducing * 1e3, n->waiting * 1e3, n->contention * 1e3, n->uploading * 1e3, n->host * 1e3);
    json_object_set_new(p->root, "by_kernel", groups);
    json_object_set_new(p->root, "beside",
                        json_pack("{s:f, s:f, s:f, s:f, s:f}", "all_reduce_seconds", n->reducing, "waiting_seconds",
                                  n->waiting, "contention_seconds", n->contention, "upload_seconds", n->uploading,
                                  "host_seconds", n->host));
}

static void write_finetune_hours(const page *p)
{
    const char *layout = mcf_config_face_layout(p->config)->name;
    const int64_t faces = mcf_predict_faces(layout);
    const double hours = finetune_hours(p, p->now.images), most = finetune_hours(p, p->changes.low),
                 least = finetune_hours(p, p->changes.high), all = p->now.images * p->record.world;
    if (faces)
        mcf_text_add(p->table,
                     "%d epochs of %s's %lld faces on %d card%s: %.2f h, from %.2f to %.2f; without validation\n",
                     p->config->schedule.epochs, layout, (long long)faces, p->record.world,
                     p->record.world > 1 ? "s" : "", hours, least, most);
    mcf_text_add(p->table, "the loader has to bring %.0f images/s, %.0f for each of %d cores (%d a card)\n", all,
                 all / (CORES_A_CARD * p->record.world), CORES_A_CARD * p->record.world, CORES_A_CARD);
    json_object_update_new(p->root, json_pack("{s:s, s:I, s:i, s:f, s:f, s:f, s:f}", "layout", layout, "faces",
                                              (json_int_t)faces, "epochs", p->config->schedule.epochs, "hours", hours,
                                              "hours_low", least, "hours_high", most, "loader_images_per_second", all));
}

static void write_hours(const page *p)
{
    if (is_dense(p)) {
        write_finetune_hours(p);
        return;
    }
    const double full = hours_of(p, p->now.images, MCF_FULL_SET), light = hours_of(p, p->now.images, MCF_LIGHT_SET);
    const double all = p->now.images * p->record.world;
    mcf_text_add(
        p->table,
        "16 epochs on %d cards: light set (2 million) %.1f h, full set (20 million) %.1f h; the paper's authors: "
        "about 10 h and 4 days (%.0f images/s and card)\n"
        "the loader has to bring %.0f images/s, %.0f for each of %d cores (%d a card)\n",
        p->record.world, light, full, MCF_AUTHORS_IMAGES, all, all / (CORES_A_CARD * p->record.world),
        CORES_A_CARD * p->record.world, CORES_A_CARD);
    json_object_update_new(p->root, json_pack("{s:f, s:f, s:f, s:f}", "hours_light", light, "hours_full", full,
                                              "loader_images_per_second", all, "loader_images_per_second_per_core",
                                              all / (CORES_A_CARD * p->record.world)));
}

static json_t *memory_json(const mcf_card *card, const mcf_predicted_memory *m, double images, int64_t most)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:I}", "parameters_bytes", (json_int_t)m->parameters,
                     "arena_bytes", (json_int_t)m->arena, "work_bytes", (json_int_t)m->work, "driver_bytes",
                     (json_int_t)m->driver, "total_bytes", (json_int_t)m->total, "fits",
                     (double)m->total <= card->memory, "images_per_second_per_device", images, "largest_micro_batch",
                     (json_int_t)most);
}

static void write_memory(const page *p)
{
    const mcf_step_memory *r = &p->record.memory;
    const mcf_predicted_memory *m = &p->now.memory;
    const bool enough = (double)m->total <= p->card->memory;
    mcf_text_add(
        p->table,
        "memory, GB: parameters fp32 %.2f, in 16 bits %.2f, gradients %.2f, moments %.2f; arena of the plan %.2f "
        "(%.2f without reuse); work memory %.2f; driver and code %.2f (assumed)\n"
        "  %.2f of %.0f: %s%s; up to %lld images a micro-batch do\n",
        (double)r->masters * 1e-9, (double)r->low * 1e-9, (double)r->gradients * 1e-9, (double)r->moments * 1e-9,
        (double)r->arena * 1e-9, (double)r->unshared * 1e-9, (double)m->work * 1e-9, (double)m->driver * 1e-9,
        (double)m->total * 1e-9, p->card->memory * 1e-9, fits(p->card, m),
        enough ? "" : "; lower batch.per_device (and raise batch.accumulate)", (long long)p->most);
    json_object_set_new(p->root, "memory", memory_json(p->card, m, p->now.images, p->most));
    if (!p->has_lean)
        return;
    mcf_text_add(
        p->table,
        "  with model.recompute=blocks: arena %.2f, %.2f of %.0f: %s, up to %lld images; %.1f images/s and card\n",
        (double)p->lean.memory.arena * 1e-9, (double)p->recomputed.memory.total * 1e-9, p->card->memory * 1e-9,
        fits(p->card, &p->recomputed.memory), (long long)p->most_lean, p->recomputed.images);
    json_object_set_new(p->root, "memory_recompute",
                        memory_json(p->card, &p->recomputed.memory, p->recomputed.images, p->most_lean));
}

static void write_changes(const page *p)
{
    const mcf_predicted_changes *c = &p->changes;
    json_t *rows = json_array(), *outcomes = json_array();
    mcf_text_add(p->table, "what is not known, and the images/s and card if it turns out so:\n");
    for (int i = 0; i < c->outcome_count; i++) {
        mcf_text_add(p->table, "  %-88s %7.1f\n", c->outcome[i].what, c->outcome[i].images);
        json_array_append_new(outcomes, json_pack("{s:s, s:f}", "outcome", c->outcome[i].what,
                                                  "images_per_second_per_device", c->outcome[i].images));
    }
    json_object_set_new(p->root, "outcomes", outcomes);
    if (is_dense(p))
        mcf_text_add(p->table, "what would make it faster (now %.1f images/s and card):\n", p->now.images);
    else
        mcf_text_add(p->table,
                     "what would bring it to %.0f images/s and card, a day for the full set on 8 (now %.1f):\n",
                     c->wanted, p->now.images);
    for (int i = 0; i < c->count; i++) {
        const mcf_predicted_change *change = &c->change[i];
        mcf_text_add(p->table, "  %-88s %7.1f%s\n", change->what, change->images,
                     change->same_step ? "" : "  (another training)");
        json_array_append_new(rows, json_pack("{s:s, s:f, s:b}", "change", change->what, "images_per_second_per_device",
                                              change->images, "same_training", change->same_step));
    }
    json_object_set_new(p->root, "changes", rows);
    if (is_dense(p))
        return;
    mcf_text_add(p->table,
                 "  products, with their bias and GELU, reach %.0f %% of the peak here; for %.0f they would have to "
                 "reach %.0f %% with nothing else "
                 "changed, %.0f %% with all of the first three%s\n",
                 100 * c->share_now, c->wanted, 100 * c->share, 100 * c->share_all,
                 c->share_all > 1 ? ": out of reach" : "");
    json_object_update_new(p->root, json_pack("{s:f, s:f, s:f, s:f}", "wanted_images_per_second_per_device", c->wanted,
                                              "products_share", c->share_now, "products_share_wanted", c->share,
                                              "products_share_wanted_all_changed", c->share_all));
}

static mcf_status write_cards(const page *p, mcf_error *err)
{
    const mcf_what_if none = {0};
    const mcf_card *card;
    json_t *rows = json_array();
    json_object_set_new(p->root, "cards", rows);
    mcf_text_add(p->table,
                 "the same on other cards, %d of a kind (bf16 where the config says so and the card has it):\n"
                 "  %-10s %-21s %9s %9s %7s %9s %12s %9s %9s  %s\n",
                 p->record.world, "", "", "TFLOP/s", "GB/s", "GB", "images/s", "of its peak",
                 is_dense(p) ? "" : "light, h", is_dense(p) ? "run, h" : "full, h", "memory");
    for (int i = 0; (card = mcf_card_at(i)); i++) {
        mcf_prediction other;
        const double peak = p->config->precision == MCF_PRECISION_FP32 ? card->f32 : card->f16;
        MCF_TRY(mcf_predict(card, &none, &p->record, &other, err));
        char light[16] = "";
        const double full = is_dense(p) ? finetune_hours(p, other.images) : hours_of(p, other.images, MCF_FULL_SET);
        if (!is_dense(p))
            snprintf(light, sizeof light, "%.1f", hours_of(p, other.images, MCF_LIGHT_SET));
        mcf_text_add(p->table, "  %-10s %-21s %9.1f %9.0f %7.0f %9.1f %10.0f %% %9s %9.*f  %s\n", card->name,
                     card->about, peak * 1e-12, card->bandwidth * 1e-9, card->memory * 1e-9, other.images,
                     100 * other.flops / other.step / peak, light, is_dense(p) ? 2 : 1, full,
                     fits(card, &other.memory));
        json_t *row =
            json_pack("{s:s, s:s, s:f, s:b, s:s, s:s}", "name", card->name, "about", card->about,
                      "images_per_second_per_device", other.images, "fits", (double)other.memory.total <= card->memory,
                      "limits", card->limits, "measured", card->measured);
        if (!is_dense(p))
            json_object_set_new(row, "hours_light", json_real(hours_of(p, other.images, MCF_LIGHT_SET)));
        json_object_set_new(row, is_dense(p) ? "hours" : "hours_full", json_real(full));
        json_array_append_new(rows, row);
        mcf_prediction_free(&other);
    }
    return MCF_OK;
}

static void write_assumptions(const page *p)
{
    const mcf_card *c = p->card;
    mcf_text_add(
        p->table,
        "assumptions:\n"
        "  limits (%s): %.1f TFLOP/s in fp16, %.1f in fp32, %.0f GB/s, %d multiprocessors, %.2f GHz without "
        "throttling\n"
        "  measured by others (%s):\n"
        "    products: %.0f %% of the peak for long inner dimensions, less by tiles of 256 x 128 to 64 x 64, whole "
        "waves "
        "of them and 140, 100 or 20 steps to fill and drain\n"
        "    memory: %.0f GB/s with vectors; with 2-byte loads %.0f, as many bytes in flight as the curve says\n"
        "    %.1f us from kernel to kernel in a graph; links at 95.8 %%, the slot at 78 %% of their rate\n"
        "  attention: instructions of our machine code for sm_%d (ci/attention-instructions), no two pipes at once\n"
        "  shared kernels: operands once, strided ones as if contiguous; nothing stays in the second cache\n"
        "  sums of gradients: %s; the loader keeps up; work that waits for the host: %.2f ms a step\n"
        "  docs/prediction.md names the sources and how the figures were fitted\n",
        c->limits, c->f16 * 1e-12, c->f32 * 1e-12, c->bandwidth * 1e-9, c->units, c->clock * 1e-9, c->measured,
        100 * c->product16, mcf_card_stream(c, 1 << 20) * 1e-9, mcf_card_stream(c, 4096) * 1e-9, c->gap * 1e6,
        c->sm >= 80 ? 80 : c->sm,
        c->wiring == MCF_WIRING_CUBE     ? "a hybrid cube mesh by NVLink, single links"
        : c->wiring == MCF_WIRING_SWITCH ? "each to each by NVSwitch"
                                         : "each to each by PCIe, a slot for itself",
        p->now.host * 1e3);
    json_object_set_new(p->root, "assumptions",
                        json_pack("{s:f, s:f, s:f, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:s, s:s}", "f16_flops",
                                  c->f16, "f32_flops", c->f32, "memory_bytes", c->memory, "bytes_per_second",
                                  c->bandwidth, "clock_hz", c->clock, "multiprocessors", c->units, "product_share",
                                  c->product16, "product_share_f32", c->product32, "stream_bytes_per_second",
                                  mcf_card_stream(c, 1 << 20), "gap_seconds", c->gap, "link_bytes_per_second", c->link,
                                  "limits", c->limits, "measured", c->measured));
}

// --- all of it

static mcf_status fits_with(const page *p, const mcf_config *config, int64_t batch, bool *enough, mcf_error *err)
{
    const mcf_what_if none = {0};
    mcf_recorded_step record;
    mcf_prediction prediction;
    MCF_TRY(mcf_record_step(config, batch, p->record.world, &record, err));
    mcf_status status = mcf_predict(p->card, &none, &record, &prediction, err);
    mcf_record_free(&record);
    *enough = status == MCF_OK && (double)prediction.memory.total <= p->card->memory;
    if (status == MCF_OK)
        mcf_prediction_free(&prediction);
    return status;
}

// The largest micro-batch that the card holds, to an eighth of a power of two; 0: none. Statistics of BatchNorm are over
// two values at least.
static mcf_status largest_batch(const page *p, const mcf_config *config, int64_t *most, mcf_error *err)
{
    bool enough = true;
    *most = 0;
    for (int64_t batch = 2; batch < 1 << 14 && enough; batch *= 2) {
        MCF_TRY(fits_with(p, config, batch, &enough, err));
        *most = enough ? batch : *most;
    }
    const int64_t power = *most;
    for (int64_t part = power / 2; part > 0 && part >= power / 8; part /= 2) {
        MCF_TRY(fits_with(p, config, *most + part, &enough, err));
        *most += enough ? part : 0;
    }
    return MCF_OK;
}

static mcf_status prepare(page *p, const mcf_bench_options *options, mcf_error *err)
{
    const mcf_what_if none = {0};
    const int world = options->job.device_count ? options->job.device_count : 8;
    MCF_TRY(mcf_card_find(options->card, &p->card, err));
    MCF_TRY(mcf_record_step(p->config, options->batch, world, &p->record, err));
    MCF_TRY(mcf_predict(p->card, &none, &p->record, &p->now, err));
    MCF_TRY(mcf_predict_changes(p->card, p->config, &p->record, &p->now, MCF_WANTED_IMAGES, &p->changes, err));
    MCF_TRY(largest_batch(p, p->config, &p->most, err));
    if (p->config->model.recompute == MCF_RECOMPUTE_BLOCKS)
        return MCF_OK;
    mcf_config lean = *p->config;
    lean.model.recompute = MCF_RECOMPUTE_BLOCKS;
    p->has_lean = true;
    MCF_TRY(mcf_record_step(&lean, options->batch, world, &p->lean, err));
    MCF_TRY(largest_batch(p, &lean, &p->most_lean, err));
    return mcf_predict(p->card, &none, &p->lean, &p->recomputed, err);
}

static mcf_status write_page(page *p, mcf_error *err)
{
    write_head(p);
    write_groups(p);
    write_rows(p);
    write_hours(p);
    write_memory(p);
    write_changes(p);
    MCF_TRY(write_cards(p, err));
    write_assumptions(p);
    return MCF_OK;
}

mcf_status mcf_bench_predict(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                             mcf_error *err)
{
    mcf_text table = {0};
    page p = {.config = config, .table = &table, .root = json_object()};
    *report = (mcf_bench_report){0};
    mcf_status status = prepare(&p, options, err);
    if (status == MCF_OK)
        status = write_page(&p, err);
    if (status == MCF_OK)
        status = mcf_bench_finish(report, p.root, &table, err);
    json_decref(p.root);
    mcf_text_free(&table);
    mcf_prediction_free(&p.now);
    mcf_prediction_free(&p.recomputed);
    mcf_record_free(&p.record);
    mcf_record_free(&p.lean);
    return status;
}
