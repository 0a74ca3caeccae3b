// Every call to oneDNN is in this file, but for convolutions, which are in onednn_conv.c. It works with versions 2 and 3, whose memory descriptors differ.
//
// Which primitive and which layout, measured on Zen 4 (one thread, GFLOP/s of 112 and 224 at most; 1576 and 400 rows,
// widths of ViT-B; oneDNN 2.6.3 and 3.2 agree to the noise):
//   y = x W^T       matmul, W plain 102 / 213, W packed 108 / 222; inner_product the same packed, and falls
//                   to a third with several threads in plain layouts
//   dX = dY W       matmul, W plain 106 / 205, W packed 110 / 222
//   dW += dY^T X    matmul, plain operands 102 / 200; the same with X packed, and with dY transposed beforehand
// So everything is a matmul. b is packed where many rows use it: right before the product, into one buffer, which
// costs 2 % of it at 1576 rows. (Packed copies kept per weight save that, and cost a gigabyte for ViT-B's networks.)
#include "backends/cpu/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "backends/cpu/onednn_internal.h"

enum { MAX_ARGUMENTS = 5 };

typedef mcf_cpu_layout layout;

// A product of one shape, ready to run.
typedef struct mcf_cpu_primitive {
    mcf_cpu_product product;
    dnnl_primitive_desc_t description; // owns the layouts
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, bias, c, scratch;
    size_t scratch_bytes;
    dnnl_primitive_t reorder; // of b from plain to b's layout, where it is packed
    dnnl_memory_t plain;
    void *packed_at;
} primitive;

mcf_status mcf_cpu_onednn_failed(dnnl_status_t status, const char *what, mcf_error *err)
{
    mcf_status kind = status == dnnl_out_of_memory ? MCF_ERR_NOMEM : MCF_ERR_DEVICE;
    return mcf_fail(err, kind, "oneDNN: %s failed with status %d", what, (int)status);
}

const char *mcf_cpu_onednn_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    if (!text[0])
        snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

// oneDNN obeys MCF_CPU_ISA too; it can be told only before its first primitive.
static void limit_isa(void)
{
    const char *name = mcf_cpu_choose_kernels()->name, *wish = getenv("MCF_CPU_ISA");
    if (!wish || !*wish)
        return;
    if (!strcmp(name, "avx2"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    else if (!strcmp(name, "avx512"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_vnni);
    else if (!strcmp(name, "avx512_bf16"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16);
    else if (!strcmp(name, "portable"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
}

bool mcf_cpu_onednn_has_bf16(void)
{
    limit_isa();
    int isa = dnnl_get_effective_cpu_isa(), needed = dnnl_cpu_isa_avx512_core_bf16;
    return (isa & needed) == needed;
}

mcf_status mcf_cpu_onednn_create(mcf_cpu_onednn **onednn, mcf_error *err)
{
    limit_isa();
    mcf_cpu_onednn *o = calloc(1, sizeof *o);
    if (!o)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for oneDNN");
    *onednn = o;
    DNNL_TRY(dnnl_engine_create(&o->engine, dnnl_cpu, 0), "making an engine");
    DNNL_TRY(dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags), "making a stream");
    return MCF_OK;
}

static void destroy_primitive(primitive *p)
{
    if (!p)
        return;
    dnnl_memory_t memories[] = {p->a, p->b, p->bias, p->c, p->scratch, p->plain};
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->reorder)
        dnnl_primitive_destroy(p->reorder);
    if (p->description)
        dnnl_primitive_desc_destroy(p->description);
    free(p);
}

void mcf_cpu_onednn_destroy(mcf_cpu_onednn *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->capacity; i++)
        destroy_primitive(o->primitives[i]);
    free(o->primitives);
    if (o->convolvers)
        o->destroy_convolvers(o);
    mcf_cpu_release(o->scratch, o->scratch_bytes);
    mcf_cpu_release(o->packed, o->packed_bytes);
    if (o->stream)
        dnnl_stream_destroy(o->stream);
    if (o->engine)
        dnnl_engine_destroy(o->engine);
    free(o);
}

// --- making a primitive

static dnnl_data_type_t data_type(int dtype)
{
    return dtype == MCF_BF16 ? dnnl_bf16 : dnnl_f32;
}

typedef struct {
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t a, b, bias, c;
#else
    dnnl_memory_desc_t a, b, bias, c;
    dnnl_matmul_desc_t matmul;
#endif
    dnnl_post_ops_t post;
    dnnl_primitive_attr_t attributes;
} parts;

static void destroy_parts(parts *d)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t made[] = {d->a, d->b, d->bias, d->c};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (made[i])
            dnnl_memory_desc_destroy(made[i]);
#endif
    if (d->post)
        dnnl_post_ops_destroy(d->post);
    if (d->attributes)
        dnnl_primitive_attr_destroy(d->attributes);
}

dnnl_status_t mcf_cpu_onednn_describe(dnnl_memory_desc_t *desc, int rank, const int64_t *dim, int dtype,
                                      const int64_t *stride)
{
    dnnl_dims_t dims = {0}, strides = {0};
    for (int i = 0; i < rank; i++) {
        dims[i] = dim[i];
        strides[i] = stride ? stride[i] : 0;
    }
#if DNNL_VERSION_MAJOR >= 3
    if (!stride)
        return dnnl_memory_desc_create_with_tag(desc, rank, dims, data_type(dtype), dnnl_format_tag_any);
    return dnnl_memory_desc_create_with_strides(desc, rank, dims, data_type(dtype), strides);
#else
    if (!stride)
        return dnnl_memory_desc_init_by_tag(desc, rank, dims, data_type(dtype), dnnl_format_tag_any);
    return dnnl_memory_desc_init_by_strides(desc, rank, dims, data_type(dtype), strides);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t post)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(post, 1, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(post, 1);
#endif
}

static dnnl_status_t append_activation(dnnl_post_ops_t post, int activation)
{
    dnnl_alg_kind_t kind = activation == MCF_ACT_RELU ? dnnl_eltwise_relu : dnnl_eltwise_gelu_erf;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(post, kind, 0, 0);
#else
    return dnnl_post_ops_append_eltwise(post, 1, kind, 0, 0);
#endif
}

static mcf_status describe_product(mcf_cpu_onednn *o, parts *d, primitive *p, mcf_error *err)
{
    const mcf_cpu_product *w = &p->product;
    int rank = w->rank;
    mcf_shape c = {.rank = rank}, bias = {.rank = rank};
    int64_t c_stride[MCF_MAX_RANK], bias_stride[MCF_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        c.dim[i] = w->a_dim[i] > w->b_dim[i] ? w->a_dim[i] : w->b_dim[i];
        bias.dim[i] = 1;
    }
    c.dim[rank - 2] = w->a_dim[rank - 2];
    c.dim[rank - 1] = bias.dim[rank - 1] = w->b_dim[rank - 1];
    mcf_contiguous_strides(&c, c_stride);
    mcf_contiguous_strides(&bias, bias_stride);
    DNNL_TRY(mcf_cpu_onednn_describe(&d->a, rank, w->a_dim, w->a_dtype, w->a_stride), "describing a");
    DNNL_TRY(mcf_cpu_onednn_describe(&d->b, rank, w->b_dim, w->b_dtype, w->packed ? NULL : w->b_stride),
             "describing b");
    DNNL_TRY(mcf_cpu_onednn_describe(&d->c, rank, c.dim, w->c_dtype, c_stride), "describing c");
    if (w->bias)
        DNNL_TRY(mcf_cpu_onednn_describe(&d->bias, rank, bias.dim, MCF_F32, bias_stride), "describing the bias");
    DNNL_TRY(dnnl_primitive_attr_create(&d->attributes), "making attributes");
    DNNL_TRY(dnnl_post_ops_create(&d->post), "making post-operations");
    if (w->accumulate)
        DNNL_TRY(append_sum(d->post), "adding a sum");
    if (w->activation)
        DNNL_TRY(append_activation(d->post, w->activation), "adding an activation");
    DNNL_TRY(dnnl_primitive_attr_set_post_ops(d->attributes, d->post), "setting post-operations");
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(d->attributes, dnnl_scratchpad_mode_user),
             "setting the scratchpad");
#if DNNL_VERSION_MAJOR >= 3
    DNNL_TRY(dnnl_matmul_primitive_desc_create(&p->description, o->engine, d->a, d->b, w->bias ? d->bias : NULL, d->c,
                                               d->attributes),
             "describing a product");
#else
    DNNL_TRY(dnnl_matmul_desc_init(&d->matmul, &d->a, &d->b, w->bias ? &d->bias : NULL, &d->c), "describing a product");
    DNNL_TRY(dnnl_primitive_desc_create(&p->description, &d->matmul, d->attributes, o->engine, NULL),
             "describing a product");
#endif
    return MCF_OK;
}

static layout layout_of(const primitive *p, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(p->description, what, 0);
}

static mcf_status make_memory(mcf_cpu_onednn *o, dnnl_memory_t *memory, layout form, mcf_error *err)
{
    DNNL_TRY(dnnl_memory_create(memory, form, o->engine, DNNL_MEMORY_NONE), "describing memory");
    return MCF_OK;
}

mcf_status mcf_cpu_onednn_reserve(void **memory, size_t *bytes, size_t needed, mcf_error *err)
{
    if (needed <= *bytes)
        return MCF_OK;
    mcf_cpu_release(*memory, *bytes);
    *bytes = 0;
    *memory = mcf_cpu_allocate(needed);
    if (!*memory)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %zu bytes of scratch", needed);
    *bytes = needed;
    return MCF_OK;
}

static mcf_status make_reorder(mcf_cpu_onednn *o, primitive *p, mcf_error *err)
{
    const mcf_cpu_product *product = &p->product;
    layout form = layout_of(p, dnnl_query_weights_md);
    MCF_TRY(mcf_cpu_onednn_reserve(&o->packed, &o->packed_bytes, dnnl_memory_desc_get_size(form), err));
    DNNL_TRY(dnnl_memory_create(&p->b, form, o->engine, o->packed), "describing memory");
    dnnl_memory_desc_t plain;
    DNNL_TRY(mcf_cpu_onednn_describe(&plain, product->rank, product->b_dim, product->b_dtype, product->b_stride),
             "describing a weight");
    dnnl_primitive_desc_t description = NULL;
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t status = dnnl_memory_create(&p->plain, plain, o->engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&description, plain, o->engine, form, o->engine, NULL);
    dnnl_memory_desc_destroy(plain);
#else
    dnnl_status_t status = dnnl_memory_create(&p->plain, &plain, o->engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&description, &plain, o->engine, form, o->engine, NULL);
#endif
    if (status == dnnl_success)
        status = dnnl_primitive_create(&p->reorder, description);
    if (description)
        dnnl_primitive_desc_destroy(description);
    DNNL_TRY(status, "making a reorder");
    return MCF_OK;
}

static mcf_status fill_primitive(mcf_cpu_onednn *o, primitive *p, mcf_error *err)
{
    parts d;
    memset(&d, 0, sizeof d);
    mcf_status status = describe_product(o, &d, p, err);
    destroy_parts(&d);
    MCF_TRY(status);
    DNNL_TRY(dnnl_primitive_create(&p->primitive, p->description), "making a product");
    layout scratch = layout_of(p, dnnl_query_scratchpad_md);
    p->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    MCF_TRY(make_memory(o, &p->a, layout_of(p, dnnl_query_src_md), err));
    MCF_TRY(make_memory(o, &p->c, layout_of(p, dnnl_query_dst_md), err));
    if (p->product.packed)
        MCF_TRY(make_reorder(o, p, err));
    else
        MCF_TRY(make_memory(o, &p->b, layout_of(p, dnnl_query_weights_md), err));
    if (p->product.bias)
        MCF_TRY(make_memory(o, &p->bias, dnnl_primitive_desc_query_md(p->description, dnnl_query_weights_md, 1), err));
    if (p->scratch_bytes) {
        MCF_TRY(make_memory(o, &p->scratch, scratch, err));
        MCF_TRY(mcf_cpu_onednn_reserve(&o->scratch, &o->scratch_bytes, p->scratch_bytes, err));
    }
    return MCF_OK;
}

// --- finding one

static size_t hash(const mcf_cpu_product *product)
{
    uint64_t h = 1469598103934665603u; // FNV-1a
    const unsigned char *bytes = (const unsigned char *)product;
    for (size_t i = 0; i < sizeof *product; i++)
        h = (h ^ bytes[i]) * 1099511628211u;
    return (size_t)h;
}

// Where a product is in the table, or where it would go.
static primitive **slot(primitive **table, size_t capacity, const mcf_cpu_product *product)
{
    size_t i = hash(product) & (capacity - 1);
    while (table[i] && memcmp(&table[i]->product, product, sizeof *product))
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static mcf_status grow(mcf_cpu_onednn *o, mcf_error *err)
{
    size_t capacity = o->capacity ? 2 * o->capacity : 128;
    primitive **table = calloc(capacity, sizeof *table);
    if (!table)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %zu products", capacity);
    for (size_t i = 0; i < o->capacity; i++)
        if (o->primitives[i])
            *slot(table, capacity, &o->primitives[i]->product) = o->primitives[i];
    free(o->primitives);
    o->primitives = table;
    o->capacity = capacity;
    return MCF_OK;
}

static mcf_status find_primitive(mcf_cpu_onednn *o, const mcf_cpu_product *product, primitive **found, mcf_error *err)
{
    if (2 * o->count >= o->capacity)
        MCF_TRY(grow(o, err));
    primitive **place = slot(o->primitives, o->capacity, product);
    if (!*place) {
        primitive *p = calloc(1, sizeof *p);
        if (!p)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a product");
        memcpy(&p->product, product, sizeof *product);
        mcf_status status = fill_primitive(o, p, err);
        if (status != MCF_OK) {
            destroy_primitive(p);
            return status;
        }
        *place = p;
        o->count++;
    }
    *found = *place;
    return MCF_OK;
}

mcf_status mcf_cpu_onednn_run(mcf_cpu_onednn *o, const mcf_cpu_product *product, const void *a, const void *b,
                              const float *bias, void *c, mcf_error *err)
{
    primitive *p = NULL;
    MCF_TRY(find_primitive(o, product, &p, err));
    if (product->packed) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->plain, (void *)b), "setting an address");
        // Only where the buffer has grown since: version 2 clears the layout's padding each time.
        if (p->packed_at != o->packed)
            DNNL_TRY(dnnl_memory_set_data_handle(p->b, o->packed), "setting an address");
        p->packed_at = o->packed;
        dnnl_exec_arg_t pack[] = {{DNNL_ARG_FROM, p->plain}, {DNNL_ARG_TO, p->b}};
        DNNL_TRY(dnnl_primitive_execute(p->reorder, o->stream, 2, pack), "packing a weight");
    } else {
        DNNL_TRY(dnnl_memory_set_data_handle(p->b, (void *)b), "setting an address");
    }
    DNNL_TRY(dnnl_memory_set_data_handle(p->a, (void *)a), "setting an address");
    DNNL_TRY(dnnl_memory_set_data_handle(p->c, c), "setting an address");
    dnnl_exec_arg_t arguments[MAX_ARGUMENTS] = {{DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}};
    int count = 3;
    if (bias) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->bias, (void *)bias), "setting an address");
        arguments[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, p->bias};
    }
    if (p->scratch) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->scratch, o->scratch), "setting an address");
        arguments[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->scratch};
    }
    DNNL_TRY(dnnl_primitive_execute(p->primitive, o->stream, count, arguments), "a product");
    DNNL_TRY(dnnl_stream_wait(o->stream), "a product");
    return MCF_OK;
}
