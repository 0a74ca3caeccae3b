// What a run leaves to read: RUN/log.jsonl and TensorBoard events.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "train/run_state.h"

void mcf_run_notice(const mcf_run *run, const char *format, ...)
{
    if (!run->options->notice || mcf_run_rank(run) > 0)
        return;
    char line[1400];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    run->options->notice(run->options->context, line);
}

mcf_status mcf_run_log_open(mcf_run *run, mcf_error *err)
{
    const int64_t resume_step = run->step > 0 ? run->step : -1;
    char *path = mcf_path_join(run->options->run, "log.jsonl");
    if (!path)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    mcf_status status = mcf_log_open(&run->log, path, resume_step, err);
    free(path);
    MCF_TRY(status);
    return mcf_tensorboard_open(&run->board, run->options->run, resume_step, err);
}

static mcf_status write(mcf_run *run, json_t *object, mcf_error *err)
{
    if (!object)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a log line");
    mcf_status status = mcf_log_write(run->log, object, err);
    json_decref(object);
    return status;
}

// A number of the log line and of TensorBoard.
static mcf_status write_number(mcf_run *run, json_t *object, const char *prefix, const char *name, double value,
                               mcf_error *err)
{
    char full[2 * MCF_SCORE_NAME], tag[2 * MCF_SCORE_NAME];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    strcpy(tag, full);
    for (char *c = tag; *c; c++)
        if (*c == '.')
            *c = '/'; // TensorBoard groups by it
    json_object_set_new(object, full, mcf_log_number(value));
    return mcf_tensorboard_scalar(run->board, tag, run->step, value, err);
}

static mcf_status write_losses(mcf_run *run, json_t *object, const mcf_losses *losses, mcf_error *err)
{
    for (int i = 0; i < losses->count; i++)
        MCF_TRY(write_number(run, object, "", losses->name[i], losses->value[i], err));
    return MCF_OK;
}

mcf_status mcf_run_log_step(mcf_run *run, const mcf_step_record *r, mcf_error *err)
{
    const double rate = mcf_run_images_per_second(run);
    const int64_t broken = run->broken + run->broken_now;
    if (!run->log)
        return MCF_OK;
    json_t *object = json_pack("{s:I, s:o}", "step", (json_int_t)run->step, "epoch", mcf_log_number(r->epoch));
    if (!object)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a log line");
    mcf_status status = write_losses(run, object, &r->losses, err);
    if (status == MCF_OK)
        status = mcf_tensorboard_scalar(run->board, "lr", run->step, r->lr, err);
    if (status == MCF_OK)
        status = mcf_tensorboard_scalar(run->board, "gradient_norm", run->step, r->gradient_norm, err);
    if (status == MCF_OK)
        status = mcf_tensorboard_scalar(run->board, "images_per_second", run->step, rate, err);
    if (status == MCF_OK && run->config->precision == MCF_PRECISION_FP16)
        status = mcf_tensorboard_scalar(run->board, "loss_scale", run->step, run->loss_scale, err);
    if (status == MCF_OK && run->config->precision == MCF_PRECISION_FP16)
        status = mcf_tensorboard_scalar(run->board, "skips", run->step, (double)run->skips, err);
    if (status == MCF_OK && run->config->precision == MCF_PRECISION_FP16)
        status = mcf_tensorboard_scalar(run->board, "nonfinite", run->step, (double)r->nonfinite, err);
    if (status != MCF_OK) {
        json_decref(object);
        return status;
    }
    json_object_set_new(object, "lr", mcf_log_number(r->lr));
    json_object_set_new(object, "gradient_norm", mcf_log_number(r->gradient_norm));
    json_object_set_new(object, "images_per_second", mcf_log_number(rate));
    json_object_set_new(object, "loss_scale", mcf_log_number(run->loss_scale));
    if (run->config->precision == MCF_PRECISION_FP16)
        json_object_set_new(object, "skips", json_integer((json_int_t)run->skips));
    if (r->skipped) {
        json_object_set_new(object, "skipped", json_true());
        json_object_set_new(object, "nonfinite", json_integer((json_int_t)r->nonfinite));
        if (r->nonfinite_in)
            json_object_set_new(object, "nonfinite_in", json_string(r->nonfinite_in));
    }
    json_object_set_new(object, "broken", json_integer((json_int_t)broken));
    const int64_t unsupported = run->unsupported + run->unsupported_now;
    if (unsupported)
        json_object_set_new(object, "unsupported", json_integer((json_int_t)unsupported));
    return write(run, object, err);
}

mcf_status mcf_run_log_validation(mcf_run *run, const mcf_scores *scores, mcf_error *err)
{
    if (!run->log)
        return MCF_OK;
    json_t *object = json_pack("{s:I}", "step", (json_int_t)run->step);
    if (!object)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a log line");
    mcf_status status = MCF_OK;
    for (int i = 0; status == MCF_OK && i < scores->count; i++)
        status = write_number(run, object, "validation.", scores->score[i].name, scores->score[i].value, err);
    if (status != MCF_OK) {
        json_decref(object);
        return status;
    }
    return write(run, object, err);
}

mcf_status mcf_run_log_changes(mcf_run *run, mcf_error *err)
{
    if (!run->log || !run->changes[0])
        return MCF_OK;
    return write(run, json_pack("{s:I, s:s}", "step", (json_int_t)(run->step + 1), "resumed", run->changes), err);
}

mcf_status mcf_run_log_broken(mcf_run *run, mcf_error *err)
{
    char *texts;
    int count;
    MCF_TRY(mcf_run_gather_broken(run, &texts, &count, err));
    mcf_status status = MCF_OK;
    for (int i = 0; run->log && status == MCF_OK && i < count; i++) {
        const char *text = texts + (size_t)i * MCF_BROKEN_TEXT;
        mcf_run_notice(run, "broken image: %s", text);
        // Belongs to the step that is being made.
        status = write(run, json_pack("{s:I, s:s}", "step", (json_int_t)(run->step + 1), "broken_image", text), err);
    }
    free(texts);
    return status;
}

// --- pace

void mcf_run_pace(mcf_run *run)
{
    mcf_pace *p = &run->pace;
    p->step[p->next] = run->step;
    p->seconds[p->next] = mcf_now();
    p->next = (p->next + 1) % MCF_PACE_WINDOW;
    p->count += p->count < MCF_PACE_WINDOW;
}

double mcf_run_rate(const mcf_run *run)
{
    const mcf_pace *p = &run->pace;
    if (p->count < 2)
        return 0;
    const int last = (p->next + MCF_PACE_WINDOW - 1) % MCF_PACE_WINDOW;
    const int first = (p->next + MCF_PACE_WINDOW - p->count) % MCF_PACE_WINDOW;
    const double seconds = p->seconds[last] - p->seconds[first];
    return seconds > 0 ? (double)(p->step[last] - p->step[first]) / seconds : 0;
}

double mcf_run_images_per_second(const mcf_run *run)
{
    return mcf_run_rate(run) * (double)mcf_config_effective_batch(run->config, run->engine->world);
}
