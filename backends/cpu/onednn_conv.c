// Convolutions by oneDNN. Images stay as they are, channels innermost; weights are brought to the layout that the
// convolution likes best on the way in, and their gradients back to the plain one on the way out.
#include "backends/cpu/onednn_internal.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"

// A network has some dozens; a detector that sees pictures of all sizes has a new one for each.
enum { MCF_CPU_CONVOLVERS = 256, DIMS = 5 };

// A convolution of one shape, ready to run.
typedef struct mcf_cpu_convolver {
    mcf_cpu_convolution convolution;
    dnnl_primitive_desc_t hint, description; // own the layouts
    dnnl_primitive_t primitive, reorder;     // reorder: between the plain weight and the primitive's; NULL: the same
    dnnl_memory_t x, y, weight, plain, bias, scratch;
    size_t scratch_bytes, packed_bytes;
} convolver;

typedef struct {
    dnnl_memory_desc_t x, y, weight, plain, bias;
    dnnl_memory_desc_t hint_out; // of the hint: the operand that is the result, in the type of the others
    dnnl_primitive_attr_t attributes, adding;
    dnnl_post_ops_t post;
} parts;

static void destroy_parts(parts *d)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t made[] = {d->x, d->y, d->weight, d->plain, d->bias, d->hint_out};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (made[i])
            dnnl_memory_desc_destroy(made[i]);
#endif
    if (d->post)
        dnnl_post_ops_destroy(d->post);
    if (d->attributes)
        dnnl_primitive_attr_destroy(d->attributes);
    if (d->adding)
        dnnl_primitive_attr_destroy(d->adding);
}

static void destroy_convolver(convolver *v)
{
    if (!v)
        return;
    dnnl_memory_t memories[] = {v->x, v->y, v->weight, v->plain, v->bias, v->scratch};
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    if (v->primitive)
        dnnl_primitive_destroy(v->primitive);
    if (v->reorder)
        dnnl_primitive_destroy(v->reorder);
    if (v->description)
        dnnl_primitive_desc_destroy(v->description);
    if (v->hint)
        dnnl_primitive_desc_destroy(v->hint);
    free(v);
}

static void destroy_convolvers(mcf_cpu_onednn *o)
{
    for (size_t i = 0; i < MCF_CPU_CONVOLVERS; i++)
        destroy_convolver(o->convolvers[i]);
    free(o->convolvers);
}

// [batch, channels, height, width] as oneDNN counts axes, channels innermost in memory.
static dnnl_status_t describe_images(dnnl_memory_desc_t *desc, int64_t batch, int64_t height, int64_t width,
                                     int64_t channels, int dtype)
{
    return mcf_cpu_onednn_describe(desc, 4, (int64_t[]){batch, channels, height, width}, dtype,
                                   (int64_t[]){height * width * channels, 1, width * channels, channels});
}

static dnnl_status_t describe_weight(dnnl_memory_desc_t *desc, const mcf_cpu_convolution *c, int dtype, bool plain)
{
    const bool grouped = c->groups > 1;
    const int64_t dims[DIMS] = {c->groups, c->outputs / c->groups, c->channels / c->groups, c->rows, c->columns};
    mcf_shape shape = mcf_shape_make(grouped ? DIMS : DIMS - 1, grouped ? dims : dims + 1);
    int64_t stride[MCF_MAX_RANK];
    mcf_contiguous_strides(&shape, stride);
    return mcf_cpu_onednn_describe(desc, shape.rank, shape.dim, dtype, plain ? stride : NULL);
}

static mcf_status describe_operands(const mcf_cpu_convolution *c, parts *d, mcf_error *err)
{
    const bool x_is_out = c->kind == MCF_CPU_CONV_GRAD_X, y_is_out = c->kind == MCF_CPU_CONV_FORWARD;
    const int weight_dtype = c->kind == MCF_CPU_CONV_GRAD_WEIGHT ? c->out_dtype : c->dtype;
    DNNL_TRY(describe_images(&d->x, c->batch, c->height, c->width, c->channels, x_is_out ? c->out_dtype : c->dtype),
             "describing x");
    DNNL_TRY(
        describe_images(&d->y, c->batch, c->out_height, c->out_width, c->outputs, y_is_out ? c->out_dtype : c->dtype),
        "describing y");
    DNNL_TRY(describe_weight(&d->weight, c, weight_dtype, false), "describing a weight");
    DNNL_TRY(describe_weight(&d->plain, c, weight_dtype, true), "describing a weight");
    if (x_is_out)
        DNNL_TRY(describe_images(&d->hint_out, c->batch, c->height, c->width, c->channels, c->dtype), "describing x");
    else if (!y_is_out)
        DNNL_TRY(describe_weight(&d->hint_out, c, c->dtype, false), "describing a weight");
    if (c->bias)
        DNNL_TRY(mcf_cpu_onednn_describe(&d->bias, 1, &c->outputs, MCF_F32, (int64_t[]){1}), "describing a bias");
    DNNL_TRY(dnnl_primitive_attr_create(&d->attributes), "making attributes");
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(d->attributes, dnnl_scratchpad_mode_user),
             "setting the scratchpad");
    return MCF_OK;
}

// The primitive's description. The gradients ask for a forward convolution's as a hint.
static dnnl_status_t describe_convolution(mcf_cpu_onednn *o, convolver *v, parts *d)
{
    const mcf_cpu_convolution *c = &v->convolution;
    const dnnl_dims_t strides = {c->stride, c->stride}, pad = {c->pad, c->pad};
    const dnnl_alg_kind_t algorithm = dnnl_convolution_direct;
    const dnnl_prop_kind_t prop = c->kind == MCF_CPU_CONV_FORWARD ? dnnl_forward_inference : dnnl_forward_training;
    dnnl_primitive_desc_t *first = c->kind == MCF_CPU_CONV_FORWARD ? &v->description : &v->hint;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dims_t dilates = {0, 0};
    dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
        first, o->engine, prop, algorithm, c->kind == MCF_CPU_CONV_GRAD_X ? d->hint_out : d->x,
        c->kind == MCF_CPU_CONV_GRAD_WEIGHT ? d->hint_out : d->weight, c->bias ? d->bias : NULL, d->y, strides, dilates,
        pad, pad, d->attributes);
    if (status == dnnl_success && c->kind == MCF_CPU_CONV_GRAD_X)
        status = dnnl_convolution_backward_data_primitive_desc_create(&v->description, o->engine, algorithm, d->x,
                                                                      d->weight, d->y, strides, dilates, pad, pad,
                                                                      v->hint, d->attributes);
    if (status == dnnl_success && c->kind == MCF_CPU_CONV_GRAD_WEIGHT)
        status = dnnl_convolution_backward_weights_primitive_desc_create(&v->description, o->engine, algorithm, d->x,
                                                                         d->weight, NULL, d->y, strides, dilates, pad,
                                                                         pad, v->hint, d->attributes);
    return status;
#else
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &desc, prop, algorithm, c->kind == MCF_CPU_CONV_GRAD_X ? &d->hint_out : &d->x,
        c->kind == MCF_CPU_CONV_GRAD_WEIGHT ? &d->hint_out : &d->weight, c->bias ? &d->bias : NULL, &d->y, strides, pad,
        pad);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(first, &desc, d->attributes, o->engine, NULL);
    if (status != dnnl_success || c->kind == MCF_CPU_CONV_FORWARD)
        return status;
    if (c->kind == MCF_CPU_CONV_GRAD_X)
        status =
            dnnl_convolution_backward_data_desc_init(&desc, algorithm, &d->x, &d->weight, &d->y, strides, pad, pad);
    else
        status = dnnl_convolution_backward_weights_desc_init(&desc, algorithm, &d->x, &d->weight, NULL, &d->y, strides,
                                                             pad, pad);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&v->description, &desc, d->attributes, o->engine, v->hint);
    return status;
#endif
}

static mcf_cpu_layout layout_of(const convolver *v, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(v->description, what, 0);
}

// The way between the plain weight and the primitive's layout: into it, or for a gradient out of it, where it may add.
static mcf_status make_reorder(mcf_cpu_onednn *o, convolver *v, parts *d, mcf_cpu_layout form, mcf_error *err)
{
    const mcf_cpu_convolution *c = &v->convolution;
    const bool out = c->kind == MCF_CPU_CONV_GRAD_WEIGHT;
#if DNNL_VERSION_MAJOR >= 3
    mcf_cpu_layout plain = d->plain;
#else
    mcf_cpu_layout plain = &d->plain;
#endif
    DNNL_TRY(dnnl_memory_create(&v->plain, plain, o->engine, DNNL_MEMORY_NONE), "describing memory");
    if (dnnl_memory_desc_equal(form, plain) && !c->accumulate)
        return MCF_OK;
    v->packed_bytes = dnnl_memory_desc_get_size(form);
    DNNL_TRY(dnnl_primitive_attr_create(&d->adding), "making attributes");
    if (c->accumulate) {
        DNNL_TRY(dnnl_post_ops_create(&d->post), "making post-operations");
#if DNNL_VERSION_MAJOR >= 3
        DNNL_TRY(dnnl_post_ops_append_sum(d->post, 1, 0, dnnl_data_type_undef), "adding a sum");
#else
        DNNL_TRY(dnnl_post_ops_append_sum(d->post, 1), "adding a sum");
#endif
        DNNL_TRY(dnnl_primitive_attr_set_post_ops(d->adding, d->post), "setting post-operations");
    }
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&description, out ? form : plain, o->engine,
                                                              out ? plain : form, o->engine, d->adding);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&v->reorder, description);
    if (description)
        dnnl_primitive_desc_destroy(description);
    DNNL_TRY(status, "making a reorder");
    return MCF_OK;
}

static mcf_status fill_convolver(mcf_cpu_onednn *o, convolver *v, parts *d, mcf_error *err)
{
    const int kind = v->convolution.kind;
    MCF_TRY(describe_operands(&v->convolution, d, err));
    DNNL_TRY(describe_convolution(o, v, d), "describing a convolution");
    DNNL_TRY(dnnl_primitive_create(&v->primitive, v->description), "making a convolution");
    mcf_cpu_layout weight =
        layout_of(v, kind == MCF_CPU_CONV_GRAD_WEIGHT ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    mcf_cpu_layout x = layout_of(v, kind == MCF_CPU_CONV_GRAD_X ? dnnl_query_diff_src_md : dnnl_query_src_md);
    mcf_cpu_layout y = layout_of(v, kind == MCF_CPU_CONV_FORWARD ? dnnl_query_dst_md : dnnl_query_diff_dst_md);
    DNNL_TRY(dnnl_memory_create(&v->x, x, o->engine, DNNL_MEMORY_NONE), "describing memory");
    DNNL_TRY(dnnl_memory_create(&v->y, y, o->engine, DNNL_MEMORY_NONE), "describing memory");
    DNNL_TRY(dnnl_memory_create(&v->weight, weight, o->engine, DNNL_MEMORY_NONE), "describing memory");
    MCF_TRY(make_reorder(o, v, d, weight, err));
    if (v->convolution.bias)
        DNNL_TRY(dnnl_memory_create(&v->bias, dnnl_primitive_desc_query_md(v->description, dnnl_query_weights_md, 1),
                                    o->engine, DNNL_MEMORY_NONE),
                 "describing memory");
    mcf_cpu_layout scratch = layout_of(v, dnnl_query_scratchpad_md);
    v->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    if (v->scratch_bytes)
        DNNL_TRY(dnnl_memory_create(&v->scratch, scratch, o->engine, DNNL_MEMORY_NONE), "describing memory");
    return MCF_OK;
}

static mcf_status find_convolver(mcf_cpu_onednn *o, const mcf_cpu_convolution *convolution, convolver **found,
                                 mcf_error *err)
{
    o->destroy_convolvers = destroy_convolvers;
    if (!o->convolvers && !(o->convolvers = calloc(MCF_CPU_CONVOLVERS, sizeof *o->convolvers)))
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d convolutions", MCF_CPU_CONVOLVERS);
    for (size_t i = 0; i < MCF_CPU_CONVOLVERS && o->convolvers[i]; i++)
        if (!memcmp(&o->convolvers[i]->convolution, convolution, sizeof *convolution)) {
            *found = o->convolvers[i];
            return MCF_OK;
        }
    convolver *v = calloc(1, sizeof *v);
    if (!v)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a convolution");
    memcpy(&v->convolution, convolution, sizeof *convolution);
    parts d;
    memset(&d, 0, sizeof d);
    mcf_status status = fill_convolver(o, v, &d, err);
    destroy_parts(&d);
    if (status != MCF_OK) {
        destroy_convolver(v);
        return status;
    }
    convolver **place = &o->convolvers[o->next_convolver++ % MCF_CPU_CONVOLVERS];
    destroy_convolver(*place);
    *place = *found = v;
    return MCF_OK;
}

static mcf_status run_reorder(mcf_cpu_onednn *o, const convolver *v, dnnl_memory_t from, dnnl_memory_t to,
                              mcf_error *err)
{
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    DNNL_TRY(dnnl_primitive_execute(v->reorder, o->stream, 2, arguments), "reordering a weight");
    return MCF_OK;
}

mcf_status mcf_cpu_onednn_convolve(mcf_cpu_onednn *o, const mcf_cpu_convolution *convolution, const void *a,
                                   const void *b, const float *bias, void *c, mcf_error *err)
{
    convolver *v = NULL;
    MCF_TRY(find_convolver(o, convolution, &v, err));
    MCF_TRY(mcf_cpu_onednn_reserve(&o->scratch, &o->scratch_bytes, v->scratch_bytes, err));
    MCF_TRY(mcf_cpu_onednn_reserve(&o->packed, &o->packed_bytes, v->packed_bytes, err));
    const int kind = convolution->kind;
    void *x = kind == MCF_CPU_CONV_GRAD_X ? c : (void *)a;
    void *y = kind == MCF_CPU_CONV_FORWARD ? c : kind == MCF_CPU_CONV_GRAD_X ? (void *)a : (void *)b;
    void *weight = kind == MCF_CPU_CONV_GRAD_WEIGHT ? c : (void *)b;
    DNNL_TRY(dnnl_memory_set_data_handle(v->x, x), "setting an address");
    DNNL_TRY(dnnl_memory_set_data_handle(v->y, y), "setting an address");
    DNNL_TRY(dnnl_memory_set_data_handle(v->plain, weight), "setting an address");
    DNNL_TRY(dnnl_memory_set_data_handle(v->weight, v->reorder ? o->packed : weight), "setting an address");
    if (v->reorder && kind != MCF_CPU_CONV_GRAD_WEIGHT)
        MCF_TRY(run_reorder(o, v, v->plain, v->weight, err));
    dnnl_exec_arg_t arguments[5] = {
        {kind == MCF_CPU_CONV_GRAD_X ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, v->x},
        {kind == MCF_CPU_CONV_FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, v->y},
        {kind == MCF_CPU_CONV_GRAD_WEIGHT ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, v->weight},
    };
    int count = 3;
    if (v->bias) {
        DNNL_TRY(dnnl_memory_set_data_handle(v->bias, (void *)bias), "setting an address");
        arguments[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, v->bias};
    }
    if (v->scratch) {
        DNNL_TRY(dnnl_memory_set_data_handle(v->scratch, o->scratch), "setting an address");
        arguments[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, v->scratch};
    }
    DNNL_TRY(dnnl_primitive_execute(v->primitive, o->stream, count, arguments), "a convolution");
    if (v->reorder && kind == MCF_CPU_CONV_GRAD_WEIGHT)
        MCF_TRY(run_reorder(o, v, v->weight, v->plain, err));
    DNNL_TRY(dnnl_stream_wait(o->stream), "a convolution");
    return MCF_OK;
}
