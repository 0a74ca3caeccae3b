// Passes over the flat store: AdamW, averaging, the gradient norm, low-precision copies.
#include "core/runtime_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static mcf_operand flat(mcf_buffer *buffer, mcf_dtype dtype, int64_t count)
{
    mcf_operand operand = {.buffer = buffer, .dtype = dtype, .shape = MCF_SHAPE(count), .stride = {1}};
    return operand;
}

static mcf_operand pairs(mcf_buffer *buffer, mcf_dtype dtype, int64_t rows)
{
    mcf_operand operand = {.buffer = buffer, .dtype = dtype, .shape = MCF_SHAPE(rows, 2), .stride = {2, 1}};
    return operand;
}

static mcf_status refresh_role(mcf_runtime *runtime, mcf_role role, mcf_error *err)
{
    mcf_runtime_touch(runtime, role);
    if (!runtime->low[role] || !runtime->master[role])
        return MCF_OK;
    int64_t count = runtime->store->role_count[role];
    mcf_launch launch = {.op = MCF_OP_copy, .n_in = 1, .n_out = 1};
    launch.in[COPY_IN_x] = flat(runtime->master[role], MCF_F32, count);
    launch.out[COPY_OUT_out] = flat(runtime->low[role], runtime->low_precision, count);
    return runtime->backend->launch(runtime->stream, &launch, err);
}

mcf_status mcf_runtime_refresh(mcf_runtime *runtime, mcf_error *err)
{
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        MCF_TRY(refresh_role(runtime, (mcf_role)role, err));
    return MCF_OK;
}

// The range table: one row an entry, (begin, end) and (rate factor, decay).
static mcf_status prepare_ranges(mcf_runtime *runtime, const mcf_adamw_step *step, mcf_error *err)
{
    const mcf_store *store = runtime->store;
    const mcf_backend *b = runtime->backend;
    double wanted[5] = {step->weight_decay, step->rate_factor[0], step->rate_factor[1], step->rate_factor[2],
                        step->rate_factor[3]};
    if (runtime->ranges && !memcmp(wanted, runtime->rates_of, sizeof wanted))
        return MCF_OK;
    int count = 0;
    for (int i = 0; i < store->count; i++)
        count += store->entries[i].role == MCF_ROLE_TRAINED && !store->entries[i].frozen;
    int64_t *ranges = calloc((size_t)count + 1, 2 * sizeof *ranges);
    float *rates = calloc((size_t)count + 1, 2 * sizeof *rates);
    mcf_status status = MCF_OK;
    if (!ranges || !rates)
        status = mcf_fail(err, MCF_ERR_NOMEM, "optimizer: out of memory");
    int row = 0;
    for (int i = 0; status == MCF_OK && i < store->count; i++) {
        const mcf_entry *e = &store->entries[i];
        if (e->role != MCF_ROLE_TRAINED || e->frozen)
            continue;
        ranges[2 * row] = e->offset;
        ranges[2 * row + 1] = e->offset + e->count;
        rates[2 * row] = (float)step->rate_factor[e->rate_group];
        rates[2 * row + 1] = e->decay ? (float)step->weight_decay : 0.0f;
        row++;
    }
    uint64_t bytes = (uint64_t)count * 2;
    if (status == MCF_OK && !runtime->ranges) {
        status = b->buffer_create(runtime->device, bytes * sizeof *ranges + 64, &runtime->ranges, err);
        if (status == MCF_OK)
            status = b->buffer_create(runtime->device, bytes * sizeof *rates + 64, &runtime->rates, err);
        if (status == MCF_OK)
            status = b->buffer_create(runtime->device, MCF_ADAMW_SCALARS * sizeof(float), &runtime->scalars, err);
    }
    if (status == MCF_OK)
        status = b->upload(runtime->stream, runtime->ranges, 0, ranges, bytes * sizeof *ranges, err);
    if (status == MCF_OK)
        status = b->upload(runtime->stream, runtime->rates, 0, rates, bytes * sizeof *rates, err);
    runtime->range_count = count;
    memcpy(runtime->rates_of, wanted, sizeof wanted);
    free(ranges);
    free(rates);
    return status;
}

mcf_status mcf_runtime_adamw(mcf_runtime *runtime, const mcf_adamw_step *step, mcf_error *err)
{
    if (!runtime->training)
        return mcf_fail(err, MCF_ERR_INTERNAL, "optimizer: this runtime does not train");
    MCF_TRY(prepare_ranges(runtime, step, err));
    // The corrections use the betas as the device has them: 1 - 0.999 loses five digits in fp32, and both lose the same.
    double beta1 = (float)step->beta1, beta2 = (float)step->beta2;
    float scalars[MCF_ADAMW_NORM2] = {
        [MCF_ADAMW_LR] = (float)step->lr,
        [MCF_ADAMW_BETA1] = (float)beta1,
        [MCF_ADAMW_BETA2] = (float)beta2,
        [MCF_ADAMW_EPS] = (float)step->eps,
        [MCF_ADAMW_CORRECTION1] = (float)(1.0 - pow(beta1, (double)step->step)),
        [MCF_ADAMW_CORRECTION2] = (float)(1.0 - pow(beta2, (double)step->step)),
        [MCF_ADAMW_GRAD_SCALE] = (float)step->grad_scale,
        [MCF_ADAMW_CLIP] = (float)step->clip_norm,
    };
    MCF_TRY(runtime->backend->upload(runtime->stream, runtime->scalars, 0, scalars, sizeof scalars, err));
    int64_t count = runtime->store->role_count[MCF_ROLE_TRAINED];
    mcf_launch norm = {.op = MCF_OP_sum_squares, .n_in = 1, .n_out = 1};
    norm.in[SUM_SQUARES_IN_x] = flat(runtime->gradient, MCF_F32, count);
    norm.out[SUM_SQUARES_OUT_out] = flat(runtime->scalars, MCF_F32, 1);
    norm.out[SUM_SQUARES_OUT_out].offset = MCF_ADAMW_NORM2 * sizeof(float);
    MCF_TRY(runtime->backend->launch(runtime->stream, &norm, err));
    mcf_launch launch = {.op = MCF_OP_adamw, .n_in = ADAMW_INPUTS, .n_out = ADAMW_OUTPUTS};
    launch.in[ADAMW_IN_param] = launch.out[ADAMW_OUT_out] = flat(runtime->master[MCF_ROLE_TRAINED], MCF_F32, count);
    launch.in[ADAMW_IN_grad] = norm.in[SUM_SQUARES_IN_x];
    launch.in[ADAMW_IN_m] = flat(runtime->moment1, MCF_F32, count);
    launch.in[ADAMW_IN_v] = flat(runtime->moment2, MCF_F32, count);
    launch.in[ADAMW_IN_ranges] = pairs(runtime->ranges, MCF_I64, runtime->range_count);
    launch.in[ADAMW_IN_rates] = pairs(runtime->rates, MCF_F32, runtime->range_count);
    launch.in[ADAMW_IN_scalars] = flat(runtime->scalars, MCF_F32, MCF_ADAMW_SCALARS);
    MCF_TRY(runtime->backend->launch(runtime->stream, &launch, err));
    return refresh_role(runtime, MCF_ROLE_TRAINED, err);
}

mcf_status mcf_runtime_gradient_norm2(mcf_runtime *runtime, double *norm2, mcf_error *err)
{
    if (!runtime->scalars)
        return mcf_fail(err, MCF_ERR_INTERNAL, "optimizer: no step has been made");
    float value;
    MCF_TRY(runtime->backend->download(runtime->stream, &value, runtime->scalars, MCF_ADAMW_NORM2 * sizeof value,
                                       sizeof value, err));
    MCF_TRY(mcf_runtime_synchronize(runtime, err));
    *norm2 = value;
    return MCF_OK;
}

static mcf_status follow(mcf_runtime *runtime, mcf_role target, mcf_role source, int64_t count, double momentum,
                         mcf_error *err)
{
    if (!count)
        return MCF_OK;
    mcf_launch launch = {.op = MCF_OP_ema, .attr = {.ema = {momentum, 1.0}}, .n_in = EMA_INPUTS, .n_out = EMA_OUTPUTS};
    launch.in[EMA_IN_target] = launch.out[EMA_OUT_out] = flat(runtime->master[target], MCF_F32, count);
    launch.in[EMA_IN_source] = flat(runtime->master[source], MCF_F32, count);
    MCF_TRY(runtime->backend->launch(runtime->stream, &launch, err));
    return refresh_role(runtime, target, err);
}

mcf_status mcf_runtime_ema(mcf_runtime *runtime, double momentum, mcf_error *err)
{
    const mcf_store *store = runtime->store;
    MCF_TRY(follow(runtime, MCF_ROLE_TARGET, MCF_ROLE_TRAINED, store->averaged_count, momentum, err));
    return follow(runtime, MCF_ROLE_TARGET_STATS, MCF_ROLE_STATS, store->averaged_stats, momentum, err);
}
