#include "train/optimise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double smallest_scale = 0x1p-20;

double mcf_step_gradient_scale(const mcf_step_plan *plan)
{
    return 1 / (plan->micro_batches * plan->loss_scale);
}

mcf_micro_options mcf_step_micro(const mcf_engine *engine, const mcf_step_plan *plan, int number)
{
    return (mcf_micro_options){
        .batch = plan->batch,
        .image_u8 = plan->image_u8,
        .outputs = plan->outputs,
        .backward = true,
        .average = engine->objective.averaging == MCF_AVERAGE_IN_GRAPH,
        .accumulate = number > 0,
        .reduce = number == plan->micro_batches - 1,
        .loss_scale = (float)plan->loss_scale,
        .number = number,
    };
}

mcf_status mcf_optimise_gradients(mcf_engine *engine, const mcf_step_plan *plan, mcf_micro_source source, void *context,
                                  bool *made, mcf_error *err)
{
    const mcf_objective *objective = &engine->objective;
    *made = false;
    for (int i = 0; i < plan->micro_batches; i++) {
        const mcf_inputs *inputs;
        MCF_TRY(source(context, i, &inputs, err));
        if (!inputs)
            return MCF_OK;
        if (i == 0 && objective->averaging == MCF_AVERAGE_BEFORE_STEP)
            MCF_TRY(mcf_engine_ema(engine, objective->momentum, err));
        const mcf_micro_options micro = mcf_step_micro(engine, plan, i);
        MCF_TRY(mcf_engine_run(engine, &micro, inputs, err));
    }
    *made = true;
    return MCF_OK;
}

mcf_status mcf_optimise_update(mcf_engine *engine, const mcf_step_plan *plan, mcf_error *err)
{
    const mcf_objective *objective = &engine->objective;
    const mcf_optimizer_options *o = &engine->config->optimizer;
    mcf_adamw_step step = {
        .lr = plan->lr,
        .beta1 = o->betas[0],
        .beta2 = o->betas[1],
        .eps = o->eps,
        .weight_decay = o->weight_decay,
        .step = plan->number,
        .grad_scale = mcf_step_gradient_scale(plan),
        .clip_norm = o->clip_norm,
    };
    mcf_config_rate_factors(engine->config, engine->world, step.rate_factor);
    MCF_TRY(mcf_engine_adamw(engine, &step, err));
    return objective->averaging == MCF_AVERAGE_AFTER_STEP ? mcf_engine_ema(engine, objective->momentum, err) : MCF_OK;
}

mcf_status mcf_optimise(mcf_engine *engine, const mcf_step_plan *plan, mcf_micro_source source, void *context,
                        bool *made, mcf_error *err)
{
    MCF_TRY(mcf_optimise_gradients(engine, plan, source, context, made, err));
    return *made ? mcf_optimise_update(engine, plan, err) : MCF_OK;
}

// --- steps that may have to be made again

// What an attempt changes beside parameters and moments, which stay as they are where a gradient is not finite.
static const mcf_role changing[] = {MCF_ROLE_TARGET, MCF_ROLE_STATS, MCF_ROLE_TARGET_STATS};
enum { CHANGING = sizeof changing / sizeof *changing };

static mcf_status keep(mcf_engine *engine, float *kept[CHANGING], mcf_error *err)
{
    for (int i = 0; i < CHANGING; i++) {
        const size_t count = (size_t)engine->objective.store->role_count[changing[i]];
        if (!kept[i] && !(kept[i] = malloc(count * sizeof(float) + 1)))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a copy of the averages");
        MCF_TRY(mcf_engine_read_role(engine, MCF_ARRAY_MASTER, changing[i], kept[i], err));
    }
    return MCF_OK;
}

static mcf_status put_back(mcf_engine *engine, float *const kept[CHANGING], mcf_error *err)
{
    for (int i = 0; i < CHANGING; i++)
        MCF_TRY(mcf_engine_write_role(engine, MCF_ARRAY_MASTER, changing[i], kept[i], err));
    return mcf_engine_refresh(engine, err);
}

static mcf_status attempt(mcf_engine *engine, const mcf_step_plan *plan, mcf_micro_source source, void *context,
                          mcf_losses *losses, double *norm2, mcf_error *err)
{
    mcf_losses all[plan->micro_batches];
    bool made;
    char text[256];
    MCF_TRY(mcf_optimise(engine, plan, source, context, &made, err));
    if (!made)
        return mcf_fail(err, MCF_ERR_INTERNAL, "step %lld has no inputs", (long long)plan->number);
    MCF_TRY(mcf_engine_losses(engine, plan->micro_batches, all, err));
    *losses = mcf_losses_of(&engine->objective);
    for (int i = 0; i < plan->micro_batches; i++)
        mcf_losses_add(losses, &all[i], 1.0 / plan->micro_batches);
    if (!isfinite(losses->value[0]))
        return mcf_fail(err, MCF_ERR_NUMERIC, "step %lld: the loss is %s", (long long)plan->number,
                        mcf_losses_print(losses, text, sizeof text));
    return mcf_engine_gradient_norm2(engine, norm2, err);
}

mcf_status mcf_optimise_until_finite(mcf_engine *engine, mcf_step_plan *plan, mcf_micro_source source, void *context,
                                     mcf_losses *losses, int *attempts, mcf_error *err)
{
    const bool scaled = engine->config->precision == MCF_PRECISION_FP16;
    float *kept[CHANGING] = {NULL};
    double norm2 = NAN;
    mcf_status status = scaled ? keep(engine, kept, err) : MCF_OK;
    while (status == MCF_OK) {
        status = attempt(engine, plan, source, context, losses, &norm2, err);
        if (status != MCF_OK || isfinite(norm2))
            break;
        if (!scaled || plan->loss_scale < smallest_scale)
            status = mcf_fail(err, MCF_ERR_NUMERIC, "step %lld: the loss is %g but its gradients are not finite",
                              (long long)plan->number, losses->value[0]);
        else
            status = put_back(engine, kept, err);
        plan->loss_scale /= 2;
        if (attempts)
            ++*attempts;
    }
    for (int i = 0; i < CHANGING; i++)
        free(kept[i]);
    return status;
}
