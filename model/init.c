#include "model/init.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "base/rng.h"
#include "model/position.h"

// A stream is named by the tensor, so a network's numbers do not depend on what else is built.
static mcf_rng stream(const mcf_init *c, int entry)
{
    const char *name = c->store->entries[entry].name;
    return mcf_rng_make(c->seed, MCF_RNG_INIT, 0, XXH64(name, strlen(name), 0) >> 8);
}

void mcf_init_uniform(const mcf_init *c, int entry, double bound)
{
    mcf_rng rng = stream(c, entry);
    float *at = mcf_params_at(c->params, c->store, entry);
    for (int64_t i = 0; i < c->store->entries[entry].count; i++)
        at[i] = (float)(bound * (2.0 * (double)mcf_rng_float(&rng) - 1));
}

void mcf_init_normal(const mcf_init *c, int entry, double deviation)
{
    mcf_rng rng = stream(c, entry);
    float *at = mcf_params_at(c->params, c->store, entry);
    for (int64_t i = 0; i < c->store->entries[entry].count; i++)
        at[i] = (float)(deviation * mcf_rng_normal(&rng));
}

void mcf_init_fill(const mcf_init *c, int entry, float value)
{
    float *at = mcf_params_at(c->params, c->store, entry);
    for (int64_t i = 0; i < c->store->entries[entry].count; i++)
        at[i] = value;
}

// Xavier-uniform (Glorot & Bengio 2010, eq. 16); kernels count as matrices [out, in*h*w]. Bias zero.
void mcf_init_linear(const mcf_init *c, mcf_affine affine)
{
    const mcf_entry *e = &c->store->entries[affine.weight];
    double out = (double)e->shape.dim[0], in = (double)e->count / out;
    mcf_init_uniform(c, affine.weight, sqrt(6 / (in + out)));
    if (affine.bias >= 0)
        mcf_init_fill(c, affine.bias, 0);
}

void mcf_init_norm(const mcf_init *c, mcf_affine affine)
{
    mcf_init_fill(c, affine.weight, 1);
    mcf_init_fill(c, affine.bias, 0);
}

void mcf_init_blocks(const mcf_init *c, const mcf_blocks *stack)
{
    for (int i = 0; i < stack->depth; i++) {
        const mcf_block *block = &stack->blocks[i];
        mcf_init_norm(c, block->norm1);
        mcf_init_linear(c, block->qkv);
        mcf_init_linear(c, block->proj);
        mcf_init_norm(c, block->norm2);
        mcf_init_linear(c, block->fc1);
        mcf_init_linear(c, block->fc2);
    }
}

void mcf_init_vit(const mcf_init *c, const mcf_vit *v)
{
    int64_t side = v->image_size / v->patch_size;
    if (v->norm_pre.weight >= 0)
        mcf_init_norm(c, v->norm_pre);
    mcf_init_normal(c, v->cls_token, 0.02);
    mcf_position_table(mcf_params_at(c->params, c->store, v->pos_embed), v->stack.dim, side, side);
    mcf_init_linear(c, v->patch_embed);
    if (v->patch_embed.bias >= 0)
        mcf_init_uniform(c, v->patch_embed.bias, 1 / sqrt(3.0 * v->patch_size * v->patch_size));
    mcf_init_blocks(c, &v->stack);
    if (v->norm.weight >= 0)
        mcf_init_norm(c, v->norm);
}

void mcf_init_copy(const mcf_init *c, int from, int to)
{
    if (from >= 0)
        memcpy(mcf_params_at(c->params, c->store, to), mcf_params_at(c->params, c->store, from),
               (size_t)c->store->entries[from].count * sizeof(float));
}
