#include "bench/estimate/estimate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/topology.h"

// Of a link's or a slot's rate: 47.9 of 50 GB/s between V100s over two NVLinks (Dell, HPC solution resources, table 3,
// p2pBandwidthLatencyTest); 12.3 of 15.75 GB/s from pinned memory to a V100 PCIe (gpu-benches, cuda-memcpy).
static const double link_share = 0.958, slot_share = 0.78;
// A small copy with its call and the wait for it, 1 KiB in gpu-benches' cuda-memcpy: an upper bound where nothing
// waits.
static const double small_copy = 30e-6;
// What a sum costs beside its bytes: two meetings of the members' threads and some hundred calls of the runtime by one
// of them. An assumption until a card shows it, the middle of 50 to 100 us.
static const double sum_latency = 75e-6;
// What the driver, the kernels' and cuBLAS's code take of a card: an assumption, nvidia-smi shows it.
static const uint64_t driver_bytes = 600u << 20;
// As in backends/cuda: upload.c, devices.c, memory.c.
enum { SMALL = 64 << 10, RING = 64 << 20, WORKSPACE = 8 << 20, WORKSPACE_SM90 = 32 << 20, STREAMS = 2 };

// --- rows

static void name_of(const mcf_launch *l, char name[MCF_PREDICT_NAME])
{
    const char *op = mcf_op_describe(l->op)->name;
    if (l->op == MCF_OP_matmul) {
        const int rank = l->in[MATMUL_IN_a].shape.rank, ta = l->attr.matmul.trans_a != 0,
                  tb = l->attr.matmul.trans_b != 0;
        snprintf(name, MCF_PREDICT_NAME, "%s %lld x %lld over %lld, %s %s%s > %s%s",
                 ta   ? "A'B "
                 : tb ? "AB' "
                      : "AB  ",
                 (long long)l->out[MATMUL_OUT_out].shape.dim[rank - 2],
                 (long long)l->out[MATMUL_OUT_out].shape.dim[rank - 1],
                 (long long)l->in[MATMUL_IN_a].shape.dim[rank - 1 - ta], mcf_dtype_name(l->in[MATMUL_IN_a].dtype),
                 mcf_dtype_name(l->in[MATMUL_IN_b].dtype),
                 l->n_in > MATMUL_IN_bias && l->in[MATMUL_IN_bias].buffer ? " + bias" : "",
                 mcf_dtype_name(l->out[MATMUL_OUT_out].dtype),
                 l->attr.matmul.activation == MCF_ACT_GELU ? ", GELU" : "");
    } else if (l->op == MCF_OP_attention || l->op == MCF_OP_attention_grad) {
        const int64_t *d = l->in[ATTENTION_IN_qkv].shape.dim;
        snprintf(name, MCF_PREDICT_NAME, "%s, %lld tokens, %lld heads of %lld", op, (long long)d[1], (long long)d[3],
                 (long long)d[4]);
    } else if (l->op == MCF_OP_conv2d || l->op == MCF_OP_conv2d_grad_x || l->op == MCF_OP_conv2d_grad_weight) {
        const bool grad = l->op == MCF_OP_conv2d_grad_weight;
        const int64_t *w = (grad ? &l->out[CONV2D_GRAD_WEIGHT_OUT_dweight] : &l->in[CONV2D_IN_weight])->shape.dim;
        const int64_t *map = (grad ? &l->in[CONV2D_GRAD_WEIGHT_IN_dy] : &l->out[CONV2D_OUT_y])->shape.dim;
        snprintf(name, MCF_PREDICT_NAME, "%s %lldx%lld, %lld > %lld, map %lld x %lld, %s", op, (long long)w[2],
                 (long long)w[3], (long long)w[1], (long long)w[0], (long long)map[1], (long long)map[2],
                 mcf_dtype_name(l->in[0].dtype));
    } else if (l->op == MCF_OP_copy) {
        snprintf(name, MCF_PREDICT_NAME, "%s %s > %s", op, mcf_dtype_name(l->in[COPY_IN_x].dtype),
                 mcf_dtype_name(l->out[COPY_OUT_out].dtype));
    } else {
        snprintf(name, MCF_PREDICT_NAME, "%s", op);
    }
}

static mcf_status add_row(mcf_prediction *p, const mcf_launch *l, const mcf_estimate *e, int times, mcf_error *err)
{
    char name[MCF_PREDICT_NAME];
    int i = 0;
    name_of(l, name);
    while (i < p->row_count && (p->rows[i].op != l->op || p->rows[i].way != e->way || strcmp(p->rows[i].name, name)))
        i++;
    if (i == p->row_capacity) {
        const int capacity = 2 * p->row_capacity + 64;
        mcf_predicted_row *grown = realloc(p->rows, (size_t)capacity * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
        p->rows = grown;
        p->row_capacity = capacity;
    }
    mcf_predicted_row *row = &p->rows[i];
    if (i == p->row_count) {
        *row = (mcf_predicted_row){.op = l->op, .way = e->way};
        memcpy(row->name, name, sizeof name);
        p->row_count++;
    }
    row->count += times;
    row->flops += e->flops * times;
    row->bytes += e->bytes * times;
    row->compute += e->compute * times;
    row->memory += e->memory * times;
    row->seconds += e->seconds * times;
    return MCF_OK;
}

static int longest_first(const void *a, const void *b)
{
    const mcf_predicted_row *x = a, *y = b;
    return x->seconds != y->seconds ? (x->seconds < y->seconds) - (x->seconds > y->seconds) : strcmp(x->name, y->name);
}

// --- cards together

static bool in_cube(int a, int b)
{
    return a / 4 == b / 4 || a % 4 == b % 4;
}

// How the backend would go about a sum, for cards wired like that.
static void plan_of(const mcf_card *card, int world, cuda_plan *plan)
{
    cuda_topology t = {.count = world};
    for (int a = 0; a < world; a++)
        for (int b = 0; b < world; b++) {
            const bool sees = card->wiring != MCF_WIRING_CUBE || in_cube(a, b);
            const cuda_link link = card->wiring == MCF_WIRING_PCIE ? CUDA_LINK_PCIE : CUDA_LINK_NVLINK;
            t.link[a][b] = (unsigned char)(a == b ? CUDA_LINK_SELF : sees ? link : CUDA_LINK_HOST);
        }
    cuda_plan_make(&t, plan);
}

double mcf_predict_all_reduce(const mcf_card *card, int world, double bytes)
{
    cuda_plan plan;
    if (world < 2)
        return 0;
    plan_of(card, world, &plan);
    // Four times all streams wait for each other: events and the begin of kernels.
    const double meetings = 4 * 2 * card->gap + sum_latency;
    // Where a card's ways to all others are one, everything passes it; else each pair has its own link.
    const double volume = card->wiring == MCF_WIRING_CUBE ? cuda_plan_time(&plan) : 2.0 * (world - 1) / world;
    const double share = card->wiring == MCF_WIRING_PCIE ? slot_share : link_share;
    return bytes * volume / (card->link * share) + meetings;
}

// --- a card's streams

typedef struct {
    const mcf_card *card;
    const mcf_what_if *what;
    const mcf_recorded_step *record;
    mcf_prediction *p;
    double clock[STREAMS], *event; // s
    double busy, upload, reduced;  // s of this phase; bytes that were summed
    double scratch[4];
} follower;

static double collective(const follower *f, const mcf_recorded_call *call)
{
    const int world = f->record->world;
    if (call->kind == MCF_RECORDED_ALL_REDUCE) {
        // Of a cube mesh each card reads from three others at once.
        const double bytes = call->bytes * (f->what->links_in_turn && f->card->wiring == MCF_WIRING_CUBE ? 3 : 1);
        return mcf_predict_all_reduce(f->card, world, bytes) + f->what->sum_latency;
    }
    return mcf_predict_all_reduce(f->card, world, 0) + call->bytes * (world - 1) / (f->card->link * slot_share);
}

static mcf_status follow(follower *f, const mcf_recorded_call *call, int times, mcf_error *err)
{
    double *clock = &f->clock[call->stream], seconds = 0;
    mcf_estimate e;
    switch (call->kind) {
    case MCF_RECORDED_LAUNCH:
        e = mcf_estimate_launch(f->card, f->what, &call->launch);
        seconds = e.seconds;
        for (int i = 0; i < 4; i++)
            f->scratch[i] = fmax(f->scratch[i], e.scratch[i]);
        MCF_TRY(add_row(f->p, &call->launch, &e, times, err));
        break;
    case MCF_RECORDED_COPY:
        seconds = mcf_estimate_copy(f->card, call->bytes).seconds;
        break;
    case MCF_RECORDED_UPLOAD:
        // Large ones come beside; what is left here is the copy to their place.
        f->upload += call->bytes / (f->card->slot * slot_share);
        seconds = call->bytes > SMALL ? mcf_estimate_copy(f->card, call->bytes).seconds : small_copy;
        break;
    case MCF_RECORDED_CAPTURE:
        seconds = f->card->gap;
        break;
    case MCF_RECORDED_ALL_REDUCE:
        f->p->reducing += collective(f, call);
        f->reduced += call->bytes;
        *clock += collective(f, call);
        return MCF_OK;
    case MCF_RECORDED_ALL_GATHER:
    case MCF_RECORDED_REDUCE_SCATTER:
    case MCF_RECORDED_BROADCAST:
        seconds = collective(f, call);
        break;
    case MCF_RECORDED_RECORD:
        f->event[call->event] = *clock;
        return MCF_OK;
    case MCF_RECORDED_WAIT:
        *clock = fmax(*clock, f->event[call->event]);
        return MCF_OK;
    }
    *clock += seconds;
    f->busy += call->stream == 0 ? seconds : 0;
    return MCF_OK;
}

static mcf_status follow_phase(follower *f, const mcf_phase *phase, mcf_error *err)
{
    f->clock[0] = f->clock[1] = f->busy = f->upload = f->reduced = 0;
    for (int i = phase->first; i < phase->end; i++)
        MCF_TRY(follow(f, &f->record->recording.calls[i], phase->times, err));
    return MCF_OK;
}

static mcf_status follow_step(follower *f, mcf_error *err)
{
    mcf_prediction *p = f->p;
    for (int i = 0; i < MCF_PHASES; i++) {
        const mcf_phase *phase = &f->record->phase[i];
        if (!phase->times)
            continue;
        MCF_TRY(follow_phase(f, phase, err));
        // Images come while the micro-batch before computes, or hold it up.
        const double seconds = fmax(f->clock[0], f->upload);
        p->step += phase->times * seconds;
        p->computing += phase->times * f->busy;
        p->waiting += phase->times * (seconds - f->busy);
        p->uploading = fmax(p->uploading, f->upload);
        if (i < 3)
            p->micro_batch = phase->times > 1 || !p->micro_batch ? f->busy : p->micro_batch;
        // Each byte is read where it lies, by the card that sums it, and what is summed is written and fetched.
        p->contention += 2.5 * f->reduced / mcf_card_stream(f->card, 1 << 20);
    }
    p->host = 3 * small_copy;
    p->step += p->contention + p->host;
    return MCF_OK;
}

static void add_memory(const follower *f, mcf_predicted_memory *m)
{
    const mcf_step_memory *r = &f->record->memory;
    m->parameters = r->masters + r->low + r->gradients + r->moments + r->rest;
    m->arena = r->arena;
    m->work = STREAMS * (f->card->sm >= 90 ? WORKSPACE_SM90 : WORKSPACE) + RING;
    for (int i = 0; i < 4; i++)
        m->work += (uint64_t)(1.25 * f->scratch[i]);
    m->driver = driver_bytes;
    m->total = m->parameters + m->arena + m->work + m->driver;
}

mcf_status mcf_predict(const mcf_card *card, const mcf_what_if *what, const mcf_recorded_step *record,
                       mcf_prediction *p, mcf_error *err)
{
    mcf_card slower = *card; // at another clock all but the memory goes with it
    if (what->clock > 0) {
        slower.clock *= what->clock;
        slower.f16 *= what->clock;
        slower.bf16 *= what->clock;
        slower.f32 *= what->clock;
    }
    follower f = {.card = &slower, .what = what, .record = record, .p = p};
    *p = (mcf_prediction){0};
    if (record->world > CUDA_MEMBERS)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: %d cards; a prediction is for 1 to %d of one machine",
                        record->world, CUDA_MEMBERS);
    f.event = calloc((size_t)record->recording.events + 1, sizeof *f.event);
    if (!f.event)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
    mcf_status status = follow_step(&f, err);
    free(f.event);
    if (status != MCF_OK) {
        mcf_prediction_free(p);
        return status;
    }
    qsort(p->rows, (size_t)p->row_count, sizeof *p->rows, longest_first);
    p->flops = record->flops * record->accumulate;
    p->images = (double)(record->batch * record->accumulate) / p->step;
    add_memory(&f, &p->memory);
    return MCF_OK;
}

void mcf_prediction_free(mcf_prediction *p)
{
    free(p->rows);
    *p = (mcf_prediction){0};
}

double mcf_predict_hours(double images_per_second, double images, double epochs)
{
    return images * epochs / images_per_second / 3600;
}

int64_t mcf_predict_faces(const char *layout)
{
    static const struct {
        const char *layout;
        int64_t faces;
    } sets[] = {{"aflw-19", 20000}, {"wflw", 7500}, {"300w", 3148}, {"lapa", 18176}, {"celebamask-hq", 24183}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strcmp(sets[i].layout, layout))
            return sets[i].faces;
    return 0;
}
