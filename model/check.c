#include "model/check.h"

#include "model/masks.h"
#include "model/vit.h"

static mcf_status check_vit(const char *name, const mcf_vit_options *vit, mcf_error *err)
{
    if (vit->heads < 1 || vit->dim % vit->heads)
        return mcf_fail(err, MCF_ERR_USAGE, "model.%s.dim (%d) must be a multiple of model.%s.heads (%d)", name,
                        vit->dim, name, vit->heads);
    if (vit->dim < 4 || vit->dim % 4 || vit->dim > 1 << 16)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "model.%s.dim (%d) must be a multiple of 4 up to 65536, for the sine-cosine position table",
                        name, vit->dim);
    if (vit->depth < 1 || vit->depth > MCF_MAX_DEPTH)
        return mcf_fail(err, MCF_ERR_USAGE, "model.%s.depth is %d; it must be 1 to %d", name, vit->depth,
                        MCF_MAX_DEPTH);
    if (!(vit->mlp_ratio * vit->dim >= 1) || vit->mlp_ratio > 64)
        return mcf_fail(err, MCF_ERR_USAGE, "model.%s.mlp_ratio is %g; it must give 1 to 64 times model.%s.dim units",
                        name, vit->mlp_ratio, name);
    return MCF_OK;
}

static mcf_status check_size(const char *key, int size, int patch, mcf_error *err)
{
    if (patch < 1 || size < patch || size % patch || size > 1 << 14)
        return mcf_fail(err, MCF_ERR_USAGE, "%s (%d) must be a multiple of model.patch_size (%d)", key, size, patch);
    return MCF_OK;
}

static mcf_status check_teacher(const mcf_model_options *m, mcf_error *err)
{
    const int size = m->teacher_image_size ? m->teacher_image_size : m->image_size;
    MCF_TRY(check_vit("teacher", &m->teacher, err));
    MCF_TRY(check_size("model.teacher.image_size", size, m->patch_size, err));
    if (m->teacher_block_count < 1 || m->teacher_block_count > MCF_MAX_TEACHER_BLOCKS)
        return mcf_fail(err, MCF_ERR_USAGE, "model.teacher.blocks: name 1 to %d blocks", MCF_MAX_TEACHER_BLOCKS);
    return mcf_blocks_check("model.teacher.blocks", m->teacher_blocks, m->teacher_block_count, "model.teacher",
                            m->teacher.depth, err);
}

static mcf_status check_contrast(const mcf_model_options *m, const mcf_objective_options *objective, mcf_error *err)
{
    if (m->projector_hidden < 1 || m->projector_out < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "model.projector: hidden is %d and out is %d; both must be at least 1",
                        m->projector_hidden, m->projector_out);
    if (!(objective->temperature > 0))
        return mcf_fail(err, MCF_ERR_USAGE, "objective.contrastive.temperature is %g; it must be above 0",
                        objective->temperature);
    return MCF_OK;
}

// MCF's terms.
static mcf_status check_terms(const mcf_model_options *m, const mcf_objective_options *o, mcf_error *err)
{
    const bool decodes = o->pixel_weight != 0 || o->feature_weight != 0;
    const int64_t side = m->image_size / m->patch_size, patches = side * side;
    const int64_t visible = mcf_visible_count(patches, o->mask_ratio);
    if (!(o->mask_ratio >= 0 && o->mask_ratio < 1) || visible < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "objective.mask_ratio %g leaves none of %lld patches visible",
                        o->mask_ratio, (long long)patches);
    if (o->pixel_weight != 0 && visible == patches)
        return mcf_fail(err, MCF_ERR_USAGE, "objective.mask_ratio %g hides none of %lld patches", o->mask_ratio,
                        (long long)patches);
    if (decodes)
        MCF_TRY(check_vit("decoder", &m->decoder, err));
    if (o->contrastive_weight != 0)
        MCF_TRY(check_contrast(m, o, err));
    return o->feature_weight != 0 ? check_teacher(m, err) : MCF_OK;
}

mcf_status mcf_blocks_check(const char *name, const int *blocks, int count, const char *of, int depth, mcf_error *err)
{
    for (int i = 0; i < count; i++)
        if (blocks[i] < 1 || blocks[i] > depth)
            return mcf_fail(err, MCF_ERR_USAGE, "%s names block %d, but %s is %d blocks deep (counted from 1)", name,
                            blocks[i], of, depth);
    return MCF_OK;
}

mcf_status mcf_encoder_check(const mcf_model_options *m, mcf_error *err)
{
    MCF_TRY(check_size("model.image_size", m->image_size, m->patch_size, err));
    return check_vit("encoder", &m->encoder, err);
}

mcf_status mcf_pretrain_check(const mcf_model_options *m, const mcf_objective_options *o, mcf_error *err)
{
    MCF_TRY(mcf_encoder_check(m, err));
    return o->method == MCF_METHOD_MOCO_V3 ? check_contrast(m, o, err) : check_terms(m, o, err);
}
