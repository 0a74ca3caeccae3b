// Several cards: steps on parts of a batch are those of one card on the whole, bit for bit the same in every run, and
// sums alone, right and timed.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/gpu/gpu.h"
#include "core/job.h"

// --- steps

static mcf_status same_file(const char *a, const char *b, bool *same, mcf_error *err)
{
    uint64_t hash[2], size[2];
    MCF_TRY(mcf_file_hash(a, &hash[0], &size[0], err));
    MCF_TRY(mcf_file_hash(b, &hash[1], &size[1], err));
    *same = hash[0] == hash[1] && size[0] == size[1];
    return MCF_OK;
}

typedef struct {
    int runs, off, differ;
    double worst;
} tally;

static mcf_status try_steps(const gpu_options *o, int devices, const char *precision, tally *t, mcf_error *err)
{
    char first[4096], again[4096];
    gpu_golden g;
    bool same = false;
    snprintf(first, sizeof first, "%s/first.safetensors", o->scratch);
    snprintf(again, sizeof again, "%s/again.safetensors", o->scratch);
    mcf_status status = gpu_golden_run(o, "batch_32", devices, precision, "model.sync_batchnorm=true", first, &g, err);
    if (status == MCF_OK) {
        t->runs++;
        t->off += g.off > 0;
        t->worst = fmax(t->worst, g.worst);
        status = gpu_golden_run(o, "batch_32", devices, precision, "model.sync_batchnorm=true", again, &g, err);
    }
    if (status == MCF_OK)
        status = same_file(first, again, &same, err);
    if (status == MCF_OK && !same) {
        printf("FAILED %d devices, %s: two runs differ\n", devices, precision);
        t->differ++;
    }
    unlink(first);
    unlink(again);
    return status;
}

// --- sums alone

typedef struct {
    mcf_job *job;
    uint64_t count;
    int repeats;
    float *result[2]; // of the first member, twice
    bool wrong[MCF_MAX_DEVICES];
    double seconds[MCF_MAX_DEVICES]; // best
} sums;

static float value(uint64_t i, int rank)
{
    return (float)((i * 2654435761u >> 8 & 0xffff) + 1) / 65536.0f * (float)(1 + rank % 3);
}

static mcf_status measure(sums *s, int rank, const mcf_backend *b, mcf_stream *stream, mcf_buffer *from, mcf_buffer *to,
                          float *host, mcf_error *err)
{
    const mcf_member *member = mcf_job_member(s->job, rank);
    const uint64_t bytes = s->count * sizeof(float);
    for (uint64_t i = 0; i < s->count; i++)
        host[i] = value(i, rank);
    MCF_TRY(b->upload(stream, from, 0, host, bytes, err));
    MCF_TRY(b->stream_synchronize(stream, err));
    s->seconds[rank] = INFINITY;
    for (int k = 0; k < s->repeats; k++) {
        MCF_TRY(b->barrier(member->group, rank, stream, err));
        MCF_TRY(b->stream_synchronize(stream, err));
        const double begin = mcf_now();
        MCF_TRY(b->all_reduce(member->group, rank, stream, to, 0, from, 0, s->count, MCF_F32, MCF_REDUCE_SUM, err));
        MCF_TRY(b->stream_synchronize(stream, err));
        s->seconds[rank] = fmin(s->seconds[rank], mcf_now() - begin);
        if (k >= 2)
            continue;
        MCF_TRY(b->download(stream, host, to, 0, bytes, err));
        MCF_TRY(b->stream_synchronize(stream, err));
        if (rank == 0)
            memcpy(s->result[k], host, bytes);
        for (uint64_t i = 0; i < s->count; i++) {
            double sum = 0;
            for (int r = 0; r < mcf_job_size(s->job); r++)
                sum += value(i, r);
            s->wrong[rank] = s->wrong[rank] || !(fabs(host[i] - sum) <= 1e-6 * sum);
        }
    }
    return MCF_OK;
}

static mcf_status all_reduce(int rank, void *context, mcf_error *err)
{
    sums *s = context;
    const mcf_backend *b = mcf_job_backend(s->job);
    mcf_device *device = mcf_job_device(s->job, rank);
    mcf_stream *stream = NULL;
    mcf_buffer *from = NULL, *to = NULL;
    float *host = malloc(s->count * sizeof *host);
    mcf_status status =
        host ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu numbers", (unsigned long long)s->count);
    if (status == MCF_OK)
        status = b->stream_create(device, &stream, err);
    if (status == MCF_OK)
        status = b->buffer_create(device, s->count * sizeof(float), &from, err);
    if (status == MCF_OK)
        status = b->buffer_create(device, s->count * sizeof(float), &to, err);
    if (status == MCF_OK)
        status = measure(s, rank, b, stream, from, to, host, err);
    if (from)
        b->buffer_destroy(from);
    if (to)
        b->buffer_destroy(to);
    if (stream)
        b->stream_destroy(stream);
    free(host);
    return status;
}

static mcf_status try_sums(const gpu_options *o, int devices, uint64_t count, bool *right, double *seconds,
                           mcf_error *err)
{
    sums s = {.count = count, .repeats = o->tiny ? 2 : 5};
    mcf_job_options job = {.backend = o->backend->name, .device_count = devices};
    for (int i = 0; i < devices; i++)
        job.devices[i] = i;
    for (int k = 0; k < 2; k++)
        s.result[k] = malloc(count * sizeof(float));
    mcf_status status = s.result[0] && s.result[1] ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for sums");
    if (status == MCF_OK)
        status = mcf_job_create(&s.job, &job, err);
    if (status == MCF_OK)
        status = mcf_job_run(s.job, all_reduce, &s, err);
    *right = status == MCF_OK && memcmp(s.result[0], s.result[1], count * sizeof(float)) == 0;
    *seconds = 0;
    for (int i = 0; i < devices; i++) {
        *right = *right && !s.wrong[i];
        *seconds = fmax(*seconds, s.seconds[i]);
    }
    mcf_job_destroy(s.job);
    free(s.result[0]);
    free(s.result[1]);
    if (status == MCF_OK)
        printf("all-reduce over %d devices, %llu numbers in fp32: %s, %.3f ms, %.1f GB/s of sums\n", devices,
               (unsigned long long)count, *right ? "right, the same bits twice" : "WRONG", *seconds * 1e3,
               (double)count * 4e-9 / *seconds);
    return status;
}

mcf_status gpu_cards(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    tally t = {0};
    bool right = true;
    char plan[300] = "";
    double seconds = 0;
    const uint64_t most = o->tiny ? 300001 : 100000003;
    if (o->devices < 2) {
        *verdict = GPU_ABSENT;
        printf("= one card; nothing to compare it with\n");
        return MCF_OK;
    }
    const int limit = o->devices < 8 ? o->devices : 8;
    for (int devices = o->tiny ? limit : 2; devices <= limit; devices *= 2) {
        if (32 % devices == 0) {
            MCF_TRY(try_steps(o, devices, "fp32", &t, err));
            MCF_TRY(try_steps(o, devices, "fp16", &t, err));
        }
        for (uint64_t count = 1001; right && count <= most; count *= 333)
            MCF_TRY(try_sums(o, devices, count, &right, &seconds, err));
    }
    int all[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    if (right)
        MCF_TRY(try_sums(o, limit, most, &right, &seconds, err));
    if (o->backend->group_describe)
        MCF_TRY(o->backend->group_describe(all, limit, plan, sizeof plan, err));
    printf("%s\n", plan);
    *verdict = t.off || t.differ || !right || !t.runs ? GPU_FAILED : GPU_PASSED;
    printf("= up to %d cards: %d steps judged as of one card, worst %.2f of the bound, %s; sums %s, %.0f MB in %.2f ms "
           "(%.1f GB/s); %s\n",
           limit, t.runs, t.worst, t.differ ? "runs DIFFER" : "the same bits twice", right ? "right" : "WRONG",
           (double)most * 4e-6, seconds * 1e3, (double)most * 4e-9 / seconds, plan);
    return MCF_OK;
}
