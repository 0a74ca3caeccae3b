// A planned graph, ready to run again and again on one device.
#include "core/collectives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

// Buckets of gradients reduced at once; 4M elements are 16 MiB, past which a link's latency no longer shows. Small
// networks have several too, so that the first are reduced beside the backward pass.
enum { BUCKET_ELEMENTS = 4 << 20, BUCKETS_LEAST = 4, MAX_BUCKETS = 1024 };

typedef struct {
    mcf_bucket range;
    int after; // node after which the bucket is complete; -1: not written by this graph
} ready_bucket;

struct mcf_program {
    mcf_runtime *runtime;
    mcf_graph *graph;
    mcf_plan plan;
    mcf_launch *launches;      // one a node
    uint64_t arena_generation; // of the arena that the launches point into
    ready_bucket *buckets;
    int bucket_count;
    mcf_capture **captures; // [2][nodes], by whether gradients add and the first node; NULL: none yet
    mcf_program_stats stats;
    bool profiling;
    double seconds[MCF_OP_COUNT]; // while profiling, by operation
    mcf_cost spent[MCF_OP_COUNT];
};

// --- binding

static mcf_operand bind(const mcf_program *program, mcf_value id)
{
    mcf_operand operand = {0};
    if (id < 0)
        return operand;
    const mcf_runtime *runtime = program->runtime;
    const mcf_graph_value *value = &program->graph->values[id];
    const mcf_graph_value *base = &program->graph->values[value->base];
    size_t size = mcf_dtype_size(base->dtype);
    uint64_t place;
    operand.dtype = value->dtype;
    operand.shape = value->shape;
    memcpy(operand.stride, value->stride, sizeof value->stride);
    operand.offset = (size_t)value->offset * size;
    switch (base->place) {
    case MCF_PLACE_ARENA:
    case MCF_PLACE_INPUT:
        place = program->plan.offset[value->base];
        operand.buffer = mcf_runtime_arena(runtime, &place);
        operand.offset += place;
        break;
    case MCF_PLACE_MASTER:
        operand.buffer = runtime->master[base->role];
        operand.offset += (size_t)base->role_offset * size;
        break;
    case MCF_PLACE_LOW:
        operand.buffer = runtime->low[base->role];
        operand.offset += (size_t)base->role_offset * size;
        break;
    case MCF_PLACE_GRADIENT:
        operand.buffer = runtime->gradient;
        operand.offset += (size_t)base->role_offset * size;
        break;
    }
    return operand;
}

static void forget_captures(mcf_program *program)
{
    for (int i = 0; program->captures && i < 2 * program->graph->node_count; i++) {
        if (program->captures[i])
            program->runtime->backend->capture_destroy(program->captures[i]);
        program->captures[i] = NULL;
    }
}

static mcf_status bind_all(mcf_program *program, mcf_error *err)
{
    const mcf_graph *graph = program->graph;
    forget_captures(program);
    for (int i = 0; i < graph->node_count; i++) {
        const mcf_graph_node *node = &graph->nodes[i];
        mcf_launch *launch = &program->launches[i];
        *launch = (mcf_launch){.op = node->op, .attr = node->attr, .n_in = node->n_in, .n_out = node->n_out};
        for (int k = 0; k < node->n_in; k++)
            launch->in[k] = bind(program, node->in[k]);
        for (int k = 0; k < node->n_out; k++)
            launch->out[k] = bind(program, node->out[k]);
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] >= 0 && !launch->out[k].buffer)
                return mcf_fail(err, MCF_ERR_INTERNAL,
                                "%s: its result has no memory here (gradients without training?)",
                                mcf_op_describe(node->op)->name);
    }
    program->arena_generation = program->runtime->arena_generation;
    return MCF_OK;
}

// Whether a launch reads the store's weights, so that packed copies can be kept between updates.
static bool is_weight(const mcf_graph_value *base)
{
    return base->node < 0 && (base->place == MCF_PLACE_MASTER || base->place == MCF_PLACE_LOW) && base->entry >= 0;
}

static void stamp_versions(const mcf_program *program, int index)
{
    const mcf_graph *graph = program->graph;
    const mcf_graph_node *node = &graph->nodes[index];
    for (int k = 0; k < node->n_in; k++) {
        if (node->in[k] < 0)
            continue;
        const mcf_graph_value *base = &graph->values[graph->values[node->in[k]].base];
        if (is_weight(base))
            program->launches[index].in[k].version = program->runtime->version[base->role];
    }
}

// --- creation

static mcf_status find_buckets(mcf_program *program, mcf_error *err)
{
    mcf_graph *graph = program->graph;
    if (program->runtime->member.world == 1)
        return MCF_OK;
    mcf_bucket ranges[MAX_BUCKETS];
    int64_t target = BUCKET_ELEMENTS;
    int64_t total = program->runtime->store->role_count[MCF_ROLE_TRAINED];
    if (total / target < BUCKETS_LEAST)
        target = total / BUCKETS_LEAST + 1;
    if (total / target >= MAX_BUCKETS / 2)
        target = total / (MAX_BUCKETS / 2);
    int count = mcf_store_buckets(program->runtime->store, target, ranges, MAX_BUCKETS);
    program->buckets = calloc((size_t)count + 1, sizeof *program->buckets);
    if (!program->buckets)
        return mcf_fail(err, MCF_ERR_NOMEM, "program: out of memory");
    program->bucket_count = count;
    for (int b = 0; b < count; b++)
        program->buckets[b] = (ready_bucket){ranges[b], -1};
    for (int i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].n_out; k++) {
            mcf_value out = graph->nodes[i].out[k];
            if (out < 0 || graph->values[out].place != MCF_PLACE_GRADIENT)
                continue;
            for (int b = 0; b < count; b++)
                if (graph->values[out].role_offset >= ranges[b].begin && graph->values[out].role_offset < ranges[b].end)
                    program->buckets[b].after = i;
        }
    return MCF_OK;
}

static mcf_status check_support(const mcf_program *program, mcf_error *err)
{
    const mcf_runtime *runtime = program->runtime;
    for (int i = 0; i < program->graph->node_count; i++) {
        const mcf_launch *launch = &program->launches[i];
        if (mcf_op_is_collective(launch->op) || runtime->backend->supports(runtime->device, launch))
            continue;
        char types[128] = "";
        for (int k = 0; k < launch->n_in; k++) {
            strcat(types, k ? ", " : "");
            strcat(types, launch->in[k].buffer ? mcf_dtype_name(launch->in[k].dtype) : "-");
        }
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "backend %s cannot do %s(%s) -> %s; choose another precision",
                        runtime->backend->name, mcf_op_describe(launch->op)->name, types,
                        mcf_dtype_name(launch->out[0].dtype));
    }
    return MCF_OK;
}

static mcf_status prepare(mcf_program *program, mcf_error *err)
{
    mcf_graph *graph = program->graph;
    mcf_runtime *runtime = program->runtime;
    MCF_TRY(mcf_graph_status(graph, err));
    if (graph->world != runtime->member.world)
        return mcf_fail(err, MCF_ERR_INTERNAL, "program: the graph is for %d devices, the job has %d", graph->world,
                        runtime->member.world);
    mcf_graph_simplify(graph);
    MCF_TRY(mcf_graph_status(graph, err));
    MCF_TRY(mcf_plan_create(graph, mcf_runtime_alignment(runtime), runtime->arena_piece, &program->plan, err));
    MCF_TRY(mcf_runtime_reserve_arena(runtime, program->plan.arena_bytes ? program->plan.arena_bytes : 64, err));
    program->launches = calloc((size_t)graph->node_count + 1, sizeof *program->launches);
    program->captures = calloc((size_t)graph->node_count * 2 + 1, sizeof *program->captures);
    if (!program->launches || !program->captures)
        return mcf_fail(err, MCF_ERR_NOMEM, "program: out of memory");
    MCF_TRY(bind_all(program, err));
    MCF_TRY(check_support(program, err));
    MCF_TRY(find_buckets(program, err));
    program->stats = (mcf_program_stats){
        .nodes = graph->node_count,
        .arena_bytes = program->plan.arena_bytes,
        .value_bytes = program->plan.value_bytes,
    };
    for (int i = 0; i < graph->node_count; i++) {
        mcf_cost cost = mcf_op_cost(&program->launches[i]);
        program->stats.flops += cost.flops;
        program->stats.bytes += cost.bytes;
    }
    return MCF_OK;
}

mcf_status mcf_program_create(mcf_runtime *runtime, mcf_graph *graph, mcf_program **out, mcf_error *err)
{
    *out = NULL;
    mcf_program *program = calloc(1, sizeof *program);
    if (!program || !graph) {
        free(program);
        mcf_graph_destroy(graph);
        return mcf_fail(err, MCF_ERR_NOMEM, "program: out of memory");
    }
    program->runtime = runtime;
    program->graph = graph;
    mcf_status status = prepare(program, err);
    if (status != MCF_OK) {
        mcf_program_destroy(program);
        return status;
    }
    *out = program;
    return MCF_OK;
}

void mcf_program_destroy(mcf_program *program)
{
    if (!program)
        return;
    forget_captures(program);
    free(program->captures);
    mcf_plan_free(&program->plan);
    mcf_graph_destroy(program->graph);
    free(program->launches);
    free(program->buckets);
    free(program);
}

mcf_program *mcf_runtime_cached(mcf_runtime *runtime, const char *key)
{
    for (int i = 0; i < runtime->cache_count; i++)
        if (!strcmp(runtime->cache[i].key, key))
            return runtime->cache[i].program;
    return NULL;
}

mcf_status mcf_runtime_cache(mcf_runtime *runtime, const char *key, mcf_program *program, mcf_error *err)
{
    char *copy = strdup(key);
    if (!copy || !mcf_grow(&runtime->cache, runtime->cache_count, &runtime->cache_capacity, sizeof *runtime->cache)) {
        free(copy);
        return mcf_fail(err, MCF_ERR_NOMEM, "program cache: out of memory");
    }
    runtime->cache[runtime->cache_count++] = (mcf_cached_program){copy, program, mcf_program_destroy};
    return MCF_OK;
}

// --- running

// Launches point into the arena: after it grew they are bound anew.
static mcf_status follow_arena(mcf_program *program, mcf_error *err)
{
    return program->arena_generation == program->runtime->arena_generation ? MCF_OK : bind_all(program, err);
}

mcf_status mcf_program_write(mcf_program *program, const char *input, const void *data, size_t bytes, mcf_error *err)
{
    const mcf_graph *graph = program->graph;
    MCF_TRY(follow_arena(program, err));
    for (int v = 0; v < graph->value_count; v++) {
        const mcf_graph_value *value = &graph->values[v];
        if (!value->name || strcmp(value->name, input))
            continue;
        size_t size = (size_t)mcf_shape_count(&value->shape) * mcf_dtype_size(value->dtype);
        if (size != bytes)
            return mcf_fail(err, MCF_ERR_SHAPE, "input %s takes %zu bytes, got %zu", input, size, bytes);
        uint64_t place = program->plan.offset[v];
        mcf_buffer *buffer = mcf_runtime_arena(program->runtime, &place);
        return program->runtime->backend->upload(program->runtime->stream, buffer, place, data, bytes, err);
    }
    return mcf_fail(err, MCF_ERR_INTERNAL, "the graph has no input named %s", input);
}

// Averages the buckets that are complete after a node, on the stream beside.
static mcf_status reduce_ready(mcf_program *program, int node, mcf_error *err)
{
    for (int i = 0; i < program->bucket_count; i++) {
        const ready_bucket *bucket = &program->buckets[i];
        if (bucket->after == node)
            MCF_TRY(mcf_reduce_begin(program->runtime, i, bucket->range.begin, bucket->range.end, err));
    }
    return MCF_OK;
}

// What other machines have to do with the buckets comes to its end, in the order in which it began.
static mcf_status reduce_rest(mcf_program *program, mcf_error *err)
{
    mcf_runtime *runtime = program->runtime;
    const mcf_backend *b = runtime->backend;
    for (int node = 0; runtime->member.cluster && node < program->graph->node_count; node++)
        for (int i = 0; i < program->bucket_count; i++) {
            const ready_bucket *bucket = &program->buckets[i];
            if (bucket->after == node)
                MCF_TRY(mcf_reduce_end(runtime, i, bucket->range.begin, bucket->range.end, err));
        }
    MCF_TRY(b->event_record(runtime->reduce_stream, runtime->reduced, err));
    return b->event_wait(runtime->stream, runtime->reduced, err);
}

// What a node wrote in the store has new contents.
static void touch_written(mcf_program *program, const mcf_graph_node *node)
{
    for (int k = 0; k < node->n_out; k++) {
        if (node->out[k] < 0)
            continue;
        const mcf_graph_value *out = &program->graph->values[node->out[k]];
        if (out->place == MCF_PLACE_MASTER || out->place == MCF_PLACE_LOW)
            mcf_runtime_touch(program->runtime, out->role);
    }
}

static mcf_status run_node(mcf_program *program, int i, bool accumulate, mcf_error *err)
{
    mcf_runtime *runtime = program->runtime;
    const mcf_graph_node *node = &program->graph->nodes[i];
    mcf_launch *launch = &program->launches[i];
    launch->accumulate = 0;
    for (int k = 0; k < node->n_out; k++)
        if (node->accumulate[k] == MCF_ACC_ALWAYS || (node->accumulate[k] == MCF_ACC_RUN && accumulate))
            launch->accumulate |= 1u << k;
    stamp_versions(program, i);
    double start = program->profiling ? mcf_now() : 0;
    mcf_status status = mcf_op_is_collective(launch->op) ? mcf_collective_run(runtime, launch, err)
                                                         : runtime->backend->launch(runtime->stream, launch, err);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "node %d, %s", i, mcf_op_describe(launch->op)->name);
    touch_written(program, node);
    if (program->profiling) {
        MCF_TRY(mcf_runtime_synchronize(runtime, err));
        const mcf_cost cost = mcf_op_cost(launch);
        program->seconds[launch->op] += mcf_now() - start;
        program->spent[launch->op].flops += cost.flops;
        program->spent[launch->op].bytes += cost.bytes;
    }
    return MCF_OK;
}

static mcf_status run_nodes(mcf_program *program, int first, int end, bool accumulate, mcf_error *err)
{
    for (int i = first; i < end; i++)
        MCF_TRY(run_node(program, i, accumulate, err));
    return MCF_OK;
}

// Collectives meet other devices, and a bucket that is complete is reduced beside: both end a capture. Where it ends
// does not depend on whether this run reduces.
static int capture_end_after(const mcf_program *program, int first)
{
    const int count = program->graph->node_count;
    if (program->runtime->member.world == 1)
        return count;
    for (int i = first; i < count; i++) {
        if (mcf_op_is_collective(program->launches[i].op))
            return i > first ? i : i + 1;
        for (int b = 0; b < program->bucket_count; b++)
            if (program->buckets[b].after == i)
                return i + 1;
    }
    return count;
}

// Nodes that are the same calls in every run: a backend may keep them as one.
static mcf_status run_captured(mcf_program *program, int first, int end, bool accumulate, mcf_error *err)
{
    mcf_runtime *runtime = program->runtime;
    const mcf_backend *b = runtime->backend;
    const bool collective = runtime->member.world > 1 && mcf_op_is_collective(program->launches[first].op);
    if (!b->capture_create || program->profiling || collective)
        return run_nodes(program, first, end, accumulate, err);
    mcf_capture **capture = &program->captures[(accumulate ? program->graph->node_count : 0) + first];
    bool launch;
    if (!*capture)
        MCF_TRY(b->capture_create(runtime->stream, capture, err));
    MCF_TRY(b->capture_begin(*capture, &launch, err));
    if (!launch) {
        for (int i = first; i < end; i++)
            touch_written(program, &program->graph->nodes[i]);
        return MCF_OK;
    }
    mcf_status status = run_nodes(program, first, end, accumulate, err);
    if (status == MCF_OK)
        status = b->capture_end(*capture, err);
    if (status != MCF_OK) {
        b->capture_destroy(*capture);
        *capture = NULL;
    }
    return status;
}

mcf_status mcf_program_run(mcf_program *program, bool accumulate, bool reduce, mcf_error *err)
{
    mcf_runtime *runtime = program->runtime;
    MCF_TRY(follow_arena(program, err));
    reduce = reduce && runtime->member.world > 1 && program->bucket_count > 0;
    for (int first = 0, end; first < program->graph->node_count; first = end) {
        end = capture_end_after(program, first);
        MCF_TRY(run_captured(program, first, end, accumulate, err));
        if (reduce)
            MCF_TRY(reduce_ready(program, end - 1, err));
    }
    return reduce ? reduce_rest(program, err) : MCF_OK;
}

// --- outputs

static const mcf_graph_output *find_output(const mcf_program *program, const char *name)
{
    for (int i = 0; i < program->graph->output_count; i++)
        if (!strcmp(program->graph->outputs[i].name, name))
            return &program->graph->outputs[i];
    return NULL;
}

bool mcf_program_has_output(const mcf_program *program, const char *output)
{
    return find_output(program, output);
}

mcf_status mcf_program_output_shape(const mcf_program *program, const char *name, mcf_shape *shape, mcf_error *err)
{
    const mcf_graph_output *output = find_output(program, name);
    if (!output)
        return mcf_fail(err, MCF_ERR_INTERNAL, "the graph has no output named %s", name);
    *shape = program->graph->values[output->value].shape;
    return MCF_OK;
}

mcf_status mcf_program_keep(mcf_program *program, const char *name, int number, mcf_error *err)
{
    mcf_runtime *runtime = program->runtime;
    mcf_shape shape;
    MCF_TRY(mcf_program_output_shape(program, name, &shape, err));
    mcf_operand operand = bind(program, find_output(program, name)->value);
    if (mcf_shape_count(&shape) != 1 || operand.dtype != MCF_F32)
        return mcf_fail(err, MCF_ERR_INTERNAL, "output %s is not one fp32 number", name);
    MCF_TRY(mcf_runtime_reserve_kept(runtime, number + 1, err));
    return runtime->backend->copy(runtime->stream, runtime->kept, (uint64_t)number * sizeof(float), operand.buffer,
                                  operand.offset, sizeof(float), err);
}

mcf_status mcf_program_read_f64(mcf_program *program, const char *name, double *values, int64_t count, mcf_error *err)
{
    mcf_shape shape;
    MCF_TRY(mcf_program_output_shape(program, name, &shape, err));
    if (mcf_shape_count(&shape) != count)
        return mcf_fail(err, MCF_ERR_SHAPE, "output %s has %lld elements, %lld were asked for", name,
                        (long long)mcf_shape_count(&shape), (long long)count);
    mcf_operand operand = bind(program, find_output(program, name)->value);
    uint64_t bytes = (uint64_t)count * mcf_dtype_size(operand.dtype);
    void *raw = malloc(bytes ? bytes : 1);
    if (!raw)
        return mcf_fail(err, MCF_ERR_NOMEM, "output %s: out of memory", name);
    mcf_runtime *runtime = program->runtime;
    mcf_status status = runtime->backend->download(runtime->stream, raw, operand.buffer, operand.offset, bytes, err);
    if (status == MCF_OK)
        status = mcf_runtime_synchronize(runtime, err);
    for (int64_t i = 0; status == MCF_OK && i < count; i++) {
        switch (operand.dtype) {
        case MCF_F32:
            values[i] = ((float *)raw)[i];
            break;
        case MCF_F64:
            values[i] = ((double *)raw)[i];
            break;
        case MCF_F16:
            values[i] = mcf_f16_to_f32(((uint16_t *)raw)[i]);
            break;
        case MCF_BF16:
            values[i] = mcf_bf16_to_f32(((uint16_t *)raw)[i]);
            break;
        case MCF_I64:
            values[i] = (double)((int64_t *)raw)[i];
            break;
        case MCF_I32:
            values[i] = ((int32_t *)raw)[i];
            break;
        case MCF_U8:
            values[i] = ((uint8_t *)raw)[i];
            break;
        case MCF_DTYPE_COUNT:
            break;
        }
    }
    free(raw);
    return status;
}

mcf_status mcf_program_read(mcf_program *program, const char *name, float *values, int64_t count, mcf_error *err)
{
    double *wide = malloc((size_t)(count ? count : 1) * sizeof *wide);
    if (!wide)
        return mcf_fail(err, MCF_ERR_NOMEM, "output %s: out of memory", name);
    mcf_status status = mcf_program_read_f64(program, name, wide, count, err);
    for (int64_t i = 0; status == MCF_OK && i < count; i++)
        values[i] = (float)wide[i];
    free(wide);
    return status;
}

// --- description

void mcf_program_describe(const mcf_program *program, mcf_program_stats *stats)
{
    *stats = program->stats;
}

void mcf_program_profile(mcf_program *program, bool on)
{
    program->profiling = on;
    if (on) {
        memset(program->seconds, 0, sizeof program->seconds);
        memset(program->spent, 0, sizeof program->spent);
    }
}

double mcf_program_profile_seconds(const mcf_program *program, mcf_op op, mcf_cost *cost)
{
    *cost = program->spent[op];
    return program->seconds[op];
}

void mcf_program_print(const mcf_program *program, mcf_text *text)
{
    static const char *const places[] = {"arena", "input", "master", "low", "gradient"};
    const mcf_graph *graph = program->graph;
    mcf_text_add(text, "%d nodes, arena %.1f MiB of %.1f MiB without reuse, %.2f GFLOP\n", program->stats.nodes,
                 (double)program->stats.arena_bytes / (1 << 20), (double)program->stats.value_bytes / (1 << 20),
                 program->stats.flops * 1e-9);
    for (int i = 0; i < graph->node_count; i++) {
        const mcf_graph_node *node = &graph->nodes[i];
        mcf_text_add(text, "%5d %-18s", i, mcf_op_describe(node->op)->name);
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k] >= 0)
                mcf_text_add(text, " %%%d", graph->values[node->in[k]].base);
        mcf_text_add(text, " ->");
        for (int k = 0; k < node->n_out; k++) {
            mcf_value out = node->out[k];
            if (out < 0)
                continue;
            const mcf_graph_value *value = &graph->values[out];
            char shape[128];
            mcf_text_add(text, " %%%d %s%s %s", out, mcf_dtype_name(value->dtype),
                         mcf_shape_print(&value->shape, shape, sizeof shape), places[value->place]);
            if (value->place == MCF_PLACE_ARENA)
                mcf_text_add(text, "+%llu until %d", (unsigned long long)program->plan.offset[out],
                             program->plan.last[out]);
        }
        mcf_text_put(text, "\n");
    }
}
