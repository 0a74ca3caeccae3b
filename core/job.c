#include "core/job.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    mcf_job *job;
    int rank;
    pthread_t thread;
    bool started;
    mcf_device *device;
    mcf_member member;
    mcf_status status;
    mcf_error error;
} worker;

struct mcf_job {
    const mcf_backend *backend;
    mcf_job_options options;
    mcf_group *group;
    worker workers[MCF_MAX_DEVICES];
    int size;

    pthread_mutex_t mutex;
    pthread_cond_t go, done;
    mcf_job_task task; // NULL: end the thread
    void *context;
    uint64_t round; // counts tasks
    int running;
    int first_failed; // rank of the first to fail this round, -1: none
};

mcf_status mcf_job_parse_devices(mcf_job_options *options, const char *text, mcf_error *err)
{
    int count = 0;
    const char *at = text;
    for (;;) {
        char *end;
        errno = 0;
        long index = strtol(at, &end, 10);
        if (end == at || errno || index < 0 || index > 1 << 20)
            return mcf_fail(err, MCF_ERR_USAGE, "devices '%s': give their numbers as in 0,1,2", text);
        if (count == MCF_MAX_DEVICES)
            return mcf_fail(err, MCF_ERR_USAGE, "devices '%s': at most %d in one process", text, MCF_MAX_DEVICES);
        options->devices[count++] = (int)index;
        if (!*end)
            break;
        if (*end != ',')
            return mcf_fail(err, MCF_ERR_USAGE, "devices '%s': give their numbers as in 0,1,2", text);
        at = end + 1;
    }
    options->device_count = count;
    return MCF_OK;
}

static void *work(void *argument)
{
    worker *self = argument;
    mcf_job *job = self->job;
    uint64_t seen = 0;
    pthread_mutex_lock(&job->mutex);
    for (;;) {
        while (job->round == seen)
            pthread_cond_wait(&job->go, &job->mutex);
        seen = job->round;
        mcf_job_task task = job->task;
        void *context = job->context;
        if (!task)
            break;
        pthread_mutex_unlock(&job->mutex);
        self->error = (mcf_error){0};
        self->status = task(self->rank, context, &self->error);
        pthread_mutex_lock(&job->mutex);
        if (self->status != MCF_OK && job->first_failed < 0) {
            job->first_failed = self->rank;
            // The others may wait for this member: they must come back.
            pthread_mutex_unlock(&job->mutex);
            if (job->group)
                job->backend->group_abort(job->group, self->error.message);
            if (job->options.cluster)
                mcf_cluster_abort(job->options.cluster, self->status, self->error.message);
            pthread_mutex_lock(&job->mutex);
        }
        if (--job->running == 0)
            pthread_cond_signal(&job->done);
    }
    pthread_mutex_unlock(&job->mutex);
    return NULL;
}

static void start_round(mcf_job *job, mcf_job_task task, void *context)
{
    job->task = task;
    job->context = context;
    job->first_failed = -1;
    job->running = job->size;
    job->round++;
    pthread_cond_broadcast(&job->go);
}

mcf_status mcf_job_run(mcf_job *job, mcf_job_task task, void *context, mcf_error *err)
{
    pthread_mutex_lock(&job->mutex);
    start_round(job, task, context);
    while (job->running > 0)
        pthread_cond_wait(&job->done, &job->mutex);
    int failed = job->first_failed;
    pthread_mutex_unlock(&job->mutex);
    if (failed < 0)
        return MCF_OK;
    const worker *w = &job->workers[failed];
    if (job->size == 1)
        return mcf_fail(err, w->status, "%s", w->error.message);
    return mcf_fail(err, w->status, "device %d (member %d of %d): %s", job->options.devices[failed], failed + 1,
                    job->size, w->error.message);
}

// The order of sums and the size of a batch count on it.
static mcf_status check_ranks(const mcf_job *job, mcf_error *err)
{
    mcf_cluster *cluster = job->options.cluster;
    if (!cluster)
        return MCF_OK;
    int32_t own = job->size, all[MCF_MAX_RANKS];
    MCF_TRY(mcf_cluster_gather(cluster, &own, all, sizeof own, true, err));
    for (int r = 0; r < mcf_cluster_count(cluster); r++)
        if (all[r] != all[0])
            return mcf_fail(err, MCF_ERR_USAGE,
                            "rank %d (%s) opens %d devices and rank 0 (%s) %d: give all the same number in --devices",
                            r, mcf_cluster_host(cluster, r), all[r], mcf_cluster_host(cluster, 0), all[0]);
    return MCF_OK;
}

// The thread that uses a device also opens it: some drivers bind a device to the thread.
static mcf_status open_device(int rank, void *context, mcf_error *err)
{
    mcf_job *job = context;
    const mcf_device_options options = {.threads = job->options.threads, .opened = job->size};
    return job->backend->device_open(job->options.devices[rank], &options, &job->workers[rank].device, err);
}

static mcf_status close_device(int rank, void *context, mcf_error *err)
{
    mcf_job *job = context;
    if (job->workers[rank].device)
        job->backend->device_close(job->workers[rank].device);
    job->workers[rank].device = NULL;
    return MCF_OK;
}

static mcf_status start(mcf_job *job, mcf_error *err)
{
    for (int i = 0; i < job->size; i++) {
        worker *w = &job->workers[i];
        *w = (worker){.job = job, .rank = i};
        int failed = pthread_create(&w->thread, NULL, work, w);
        if (failed) {
            job->size = i; // those that run are ended by mcf_job_destroy
            return mcf_fail(err, MCF_ERR_NOMEM, "cannot start the thread of device %d: %s", job->options.devices[i],
                            strerror(failed));
        }
        w->started = true;
    }
    MCF_TRY(mcf_job_run(job, open_device, job, err));
    if (job->size > 1) {
        mcf_device *devices[MCF_MAX_DEVICES];
        for (int i = 0; i < job->size; i++)
            devices[i] = job->workers[i].device;
        MCF_TRY(job->backend->group_create(devices, job->size, job->options.timeout_seconds, &job->group, err));
    }
    MCF_TRY(check_ranks(job, err));
    mcf_cluster *cluster = job->options.cluster;
    const int first = cluster ? mcf_cluster_rank(cluster) * job->size : 0;
    for (int i = 0; i < job->size; i++)
        job->workers[i].member = (mcf_member){.rank = first + i,
                                              .world = mcf_job_world(job),
                                              .group = job->group,
                                              .cluster = cluster,
                                              .local = i,
                                              .locals = job->size};
    return MCF_OK;
}

mcf_status mcf_job_create(mcf_job **out, const mcf_job_options *options, mcf_error *err)
{
    *out = NULL;
    const mcf_backend *backend;
    MCF_TRY(mcf_backend_find(options->backend ? options->backend : "auto", &backend, err));
    mcf_job *job = calloc(1, sizeof *job);
    if (!job)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a job");
    job->backend = backend;
    job->options = *options;
    if (job->options.device_count == 0)
        job->options.device_count = 1;
    if (job->options.timeout_seconds <= 0)
        job->options.timeout_seconds = MCF_JOB_TIMEOUT;
    job->size = job->options.device_count;
    pthread_mutex_init(&job->mutex, NULL);
    pthread_cond_init(&job->go, NULL);
    pthread_cond_init(&job->done, NULL);
    mcf_status status = start(job, err);
    if (status != MCF_OK) {
        mcf_job_destroy(job);
        return status;
    }
    *out = job;
    return MCF_OK;
}

void mcf_job_destroy(mcf_job *job)
{
    if (!job)
        return;
    const bool running = job->size > 0 && job->workers[0].started;
    if (running) {
        if (job->group)
            job->backend->group_destroy(job->group);
        job->group = NULL;
        mcf_job_run(job, close_device, job, NULL);
        pthread_mutex_lock(&job->mutex);
        start_round(job, NULL, NULL);
        pthread_mutex_unlock(&job->mutex);
        for (int i = 0; i < job->size; i++)
            if (job->workers[i].started)
                pthread_join(job->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&job->done);
    pthread_cond_destroy(&job->go);
    pthread_mutex_destroy(&job->mutex);
    free(job);
}

int mcf_job_size(const mcf_job *job)
{
    return job->size;
}

int mcf_job_world(const mcf_job *job)
{
    return job->options.cluster ? job->size * mcf_cluster_count(job->options.cluster) : job->size;
}

mcf_cluster *mcf_job_cluster(const mcf_job *job)
{
    return job->options.cluster;
}

const mcf_backend *mcf_job_backend(const mcf_job *job)
{
    return job->backend;
}

mcf_device *mcf_job_device(const mcf_job *job, int rank)
{
    return job->workers[rank].device;
}

int mcf_job_device_index(const mcf_job *job, int rank)
{
    return job->options.devices[rank];
}

int mcf_job_threads(const mcf_job *job)
{
    return job->options.threads;
}

const mcf_member *mcf_job_member(const mcf_job *job, int rank)
{
    return &job->workers[rank].member;
}
