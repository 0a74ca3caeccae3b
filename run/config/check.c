#include "run/config/check.h"

#include <math.h>
#include <stdio.h>

#include "run/config/yaml.h"

#define WRONG(...) return mcf_fail(err, MCF_ERR_USAGE, __VA_ARGS__)

const char *mcf_config_range(const mcf_config_key *key, char *buffer, size_t size)
{
    char low[32], high[32];
    mcf_print_number(low, key->low);
    mcf_print_number(high, key->high);
    const char *from = key->low_open ? "above" : "at least";
    const char *to = key->high_open ? "below" : "at most";
    if (isinf(key->low) && isinf(key->high))
        snprintf(buffer, size, "any");
    else if (isinf(key->high))
        snprintf(buffer, size, "%s %s", from, low);
    else if (!key->low_open && !key->high_open)
        snprintf(buffer, size, "%s to %s", low, high);
    else
        snprintf(buffer, size, "%s %s and %s %s", from, low, to, high);
    return buffer;
}

static mcf_status check_vit(const mcf_vit_options *vit, const char *name, const char *label, mcf_error *err)
{
    if (vit->dim % vit->heads != 0)
        WRONG("%s: model.%s.dim (%d) must be a multiple of model.%s.heads (%d)", label, name, vit->dim, name,
              vit->heads);
    if (vit->dim % 4 != 0)
        WRONG("%s: model.%s.dim (%d) must be a multiple of 4, for the sine-cosine position table", label, name,
              vit->dim);
    double hidden = vit->dim * vit->mlp_ratio;
    if (hidden < 1 || hidden != floor(hidden))
        WRONG("%s: model.%s.dim * mlp_ratio is %g, must be a whole number", label, name, hidden);
    return MCF_OK;
}

static mcf_status check_blocks(const int *blocks, int count, int depth, const char *name, const char *of,
                               const char *label, mcf_error *err)
{
    for (int i = 0; i < count; i++) {
        if (blocks[i] > depth)
            WRONG("%s: %s names block %d, but %s is %d blocks deep", label, name, blocks[i], of, depth);
        if (i > 0 && blocks[i] <= blocks[i - 1])
            WRONG("%s: %s must rise: %d stands behind %d", label, name, blocks[i], blocks[i - 1]);
    }
    return MCF_OK;
}

static mcf_status check_mcf(const mcf_config *config, const char *label, mcf_error *err)
{
    const mcf_model_options *model = &config->model;
    const mcf_objective_options *objective = &config->objective;
    bool decoder = objective->feature_weight > 0 || objective->pixel_weight > 0;
    if (!decoder && objective->contrastive_weight == 0)
        WRONG("%s: every term of the objective has weight 0; give one a weight", label);
    int64_t side = model->image_size / model->patch_size, patches = side * side;
    int64_t visible = (int64_t)floor((double)patches * (1 - objective->mask_ratio));
    if (visible < 1)
        WRONG("%s: objective.mask_ratio %g leaves none of %lld patches visible", label, objective->mask_ratio,
              (long long)patches);
    if (decoder && visible == patches)
        WRONG("%s: objective.mask_ratio %g hides none of %lld patches", label, objective->mask_ratio,
              (long long)patches);
    if (decoder)
        MCF_TRY(check_vit(&model->decoder, "decoder", label, err));
    if (objective->feature_weight > 0) {
        MCF_TRY(check_vit(&model->teacher, "teacher", label, err));
        MCF_TRY(check_blocks(model->teacher_blocks, model->teacher_block_count, model->teacher.depth,
                             "model.teacher.blocks", "model.teacher", label, err));
        if (model->teacher_image_size % model->patch_size != 0)
            WRONG("%s: model.teacher.image_size (%d) must be a multiple of model.patch_size (%d)", label,
                  model->teacher_image_size, model->patch_size);
    }
    if (model->sync_batchnorm && model->batchnorm_groups > 1)
        WRONG("%s: model.sync_batchnorm makes one group of all devices, model.batchnorm_groups (%d) splits "
              "one; "
              "give one of them",
              label, model->batchnorm_groups);
    return MCF_OK;
}

static mcf_status check_dense(const mcf_config *config, const char *label, mcf_error *err)
{
    const mcf_dense_options *dense = &config->dense;
    const mcf_model_options *model = &config->model;
    if (dense->feature_count != MCF_MAX_FEATURES)
        WRONG("%s: model.features must name 4 blocks, one for each level of the pyramid", label);
    MCF_TRY(check_blocks(dense->features, dense->feature_count, model->encoder.depth, "model.features", "model.encoder",
                         label, err));
    if (config->task == MCF_TASK_ALIGN && dense->coordinate_weight == 0 && dense->heatmap_weight == 0)
        WRONG("%s: objective.coordinate and objective.heatmap are both 0; give one a weight", label);
    if (config->task == MCF_TASK_PARSE && dense->cross_entropy_weight == 0)
        WRONG("%s: objective.cross_entropy is 0: there is nothing to train on", label);
    const mcf_schedule_options *schedule = &config->schedule;
    for (int i = 1; i < schedule->milestone_count; i++)
        if (schedule->milestones[i] <= schedule->milestones[i - 1])
            WRONG("%s: schedule.milestones must rise: %d stands behind %d", label, schedule->milestones[i],
                  schedule->milestones[i - 1]);
    return MCF_OK;
}

mcf_status mcf_config_check_relations(const mcf_config *config, const char *label, mcf_error *err)
{
    const mcf_model_options *model = &config->model;
    if (model->image_size % model->patch_size != 0)
        WRONG("%s: model.image_size (%d) must be a multiple of model.patch_size (%d)", label, model->image_size,
              model->patch_size);
    MCF_TRY(check_vit(&model->encoder, "encoder", label, err));
    const bool pretrain = config->task == MCF_TASK_PRETRAIN;
    if (pretrain && config->schedule.warmup_epochs > config->schedule.epochs)
        WRONG("%s: schedule.warmup_epochs (%g) is longer than schedule.epochs (%d)", label,
              config->schedule.warmup_epochs, config->schedule.epochs);
    if (pretrain && config->optimizer.lr >= 0 && config->schedule.min_lr > config->optimizer.lr)
        WRONG("%s: schedule.min_lr (%g) is above optimizer.lr (%g)", label, config->schedule.min_lr,
              config->optimizer.lr);
    if (pretrain)
        return config->objective.method == MCF_METHOD_MCF ? check_mcf(config, label, err) : MCF_OK;
    return check_dense(config, label, err);
}

mcf_status mcf_config_check_run(const mcf_config *config, mcf_error *err)
{
    if (config->data.train.count == 0)
        WRONG("data.train names no images; give it in the config or with --set 'data.train=[PATH]'");
    if (config->task != MCF_TASK_PRETRAIN || config->objective.method != MCF_METHOD_MCF)
        return MCF_OK;
    if (config->objective.feature_weight > 0 && config->model.teacher_checkpoint[0] == '\0')
        WRONG("the feature term needs M_1's weights; give model.teacher.checkpoint=FILE.safetensors, or "
              "`random` "
              "for an untrained M_1, or set objective.feature.weight=0");
    if (config->objective.contrastive_weight > 0) {
        int groups = config->model.batchnorm_groups;
        if (config->batch.per_device % groups != 0)
            WRONG("batch.per_device (%d) must be a multiple of model.batchnorm_groups (%d)", config->batch.per_device,
                  groups);
        if (config->batch.per_device / groups < 2)
            WRONG("batch.per_device (%d) leaves BatchNorm a single image to average over; give at least %d",
                  config->batch.per_device, 2 * groups);
    }
    return MCF_OK;
}
