#include "run/config/check.h"

#include <math.h>
#include <stdio.h>

#include "model/check.h"
#include "model/masks.h"
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

// Whole numbers: a product that is rounded down in silence would be another network than the file says.
static mcf_status check_hidden(const mcf_vit_options *vit, const char *name, mcf_error *err)
{
    const double hidden = vit->dim * vit->mlp_ratio;
    if (hidden < 1 || hidden != floor(hidden))
        WRONG("model.%s.dim * mlp_ratio is %g, must be a whole number", name, hidden);
    return MCF_OK;
}

static mcf_status check_rising(const int *blocks, int count, const char *name, mcf_error *err)
{
    for (int i = 1; i < count; i++)
        if (blocks[i] <= blocks[i - 1])
            WRONG("%s must rise: %d stands behind %d", name, blocks[i], blocks[i - 1]);
    return MCF_OK;
}

static mcf_status check_mcf(const mcf_config *config, mcf_error *err)
{
    const mcf_model_options *model = &config->model;
    const mcf_objective_options *objective = &config->objective;
    const bool decoder = objective->feature_weight > 0 || objective->pixel_weight > 0;
    if (!decoder && objective->contrastive_weight == 0)
        WRONG("every term of the objective has weight 0; give one a weight");
    MCF_TRY(mcf_pretrain_check(model, objective, err));
    const int64_t side = model->image_size / model->patch_size, patches = side * side;
    if (decoder && mcf_visible_count(patches, objective->mask_ratio) == patches)
        WRONG("objective.mask_ratio %g hides none of %lld patches", objective->mask_ratio, (long long)patches);
    if (decoder)
        MCF_TRY(check_hidden(&model->decoder, "decoder", err));
    if (objective->feature_weight > 0) {
        MCF_TRY(check_hidden(&model->teacher, "teacher", err));
        MCF_TRY(check_rising(model->teacher_blocks, model->teacher_block_count, "model.teacher.blocks", err));
    }
    if (model->sync_batchnorm && model->batchnorm_groups > 1)
        WRONG("model.sync_batchnorm makes one group of all devices, model.batchnorm_groups (%d) splits one; give one "
              "of them",
              model->batchnorm_groups);
    return MCF_OK;
}

static mcf_status check_dense(const mcf_config *config, mcf_error *err)
{
    const mcf_dense_options *dense = &config->dense;
    if (config->augment.mirrored_count % 2)
        WRONG("augment.mirrored_classes has %d items; it is pairs of classes", config->augment.mirrored_count);
    if (config->augment.occlusion_range[0] > config->augment.occlusion_range[1])
        WRONG("augment.occlusion_size is [%g, %g]; the least comes first", config->augment.occlusion_range[0],
              config->augment.occlusion_range[1]);
    if (dense->feature_count != MCF_MAX_FEATURES)
        WRONG("model.features must name 4 blocks, one for each level of the pyramid");
    MCF_TRY(mcf_blocks_check("model.features", dense->features, dense->feature_count, "model.encoder",
                             config->model.encoder.depth, err));
    MCF_TRY(check_rising(dense->features, dense->feature_count, "model.features", err));
    if (config->task == MCF_TASK_ALIGN && dense->coordinate_weight == 0 && dense->heatmap_weight == 0)
        WRONG("objective.coordinate and objective.heatmap are both 0; give one a weight");
    if (config->task == MCF_TASK_PARSE && dense->cross_entropy_weight == 0)
        WRONG("objective.cross_entropy is 0: there is nothing to train on");
    return check_rising(config->schedule.milestones, config->schedule.milestone_count, "schedule.milestones", err);
}

static mcf_status check_pretrain(const mcf_config *config, mcf_error *err)
{
    if (config->schedule.warmup_epochs > config->schedule.epochs)
        WRONG("schedule.warmup_epochs (%g) is longer than schedule.epochs (%d)", config->schedule.warmup_epochs,
              config->schedule.epochs);
    if (config->optimizer.lr >= 0 && config->schedule.min_lr > config->optimizer.lr)
        WRONG("schedule.min_lr (%g) is above optimizer.lr (%g)", config->schedule.min_lr, config->optimizer.lr);
    return config->objective.method == MCF_METHOD_MCF ? check_mcf(config, err)
                                                      : mcf_pretrain_check(&config->model, &config->objective, err);
}

static mcf_status check_relations(const mcf_config *config, mcf_error *err)
{
    MCF_TRY(mcf_encoder_check(&config->model, err));
    MCF_TRY(check_hidden(&config->model.encoder, "encoder", err));
    return config->task == MCF_TASK_PRETRAIN ? check_pretrain(config, err) : check_dense(config, err);
}

mcf_status mcf_config_check_relations(const mcf_config *config, const char *label, mcf_error *err)
{
    mcf_status status = check_relations(config, err);
    return status == MCF_OK ? status : mcf_add_context(err, status, "%s", label);
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
