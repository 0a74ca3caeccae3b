// A job: the devices that work together, one thread each, in this process and, with a cluster, in those of other
// machines that run the same program: each directs its own devices. The caller directs: it hands a task to all members and
// gets one status back when all are done, so that loops, logs and checkpoints are plain sequential code.
#ifndef MCF_CORE_JOB_H
#define MCF_CORE_JOB_H

#include "core/runtime.h"

enum { MCF_MAX_DEVICES = 64 };

// Zeros mean: backend "auto", device 0 alone, threads chosen by the backend, the usual timeout.
typedef struct {
    const char *backend;          // "auto", "cpu", ...
    int devices[MCF_MAX_DEVICES]; // indices in the backend; the same CPU may be named several times
    int device_count;
    int threads;            // CPU: worker threads of each device; 0: cores / devices
    double timeout_seconds; // of a collective; 0: MCF_JOB_TIMEOUT
    mcf_cluster *cluster;   // the caller's; the processes of the job. NULL: this one
} mcf_job_options;

#define MCF_JOB_TIMEOUT 300.0

typedef struct mcf_job mcf_job;

// Reads "0,1,2" into options->devices; MCF_ERR_USAGE for anything else.
mcf_status mcf_job_parse_devices(mcf_job_options *options, const char *text, mcf_error *err);

// Finds the backend, starts the threads, opens the devices, makes their group where there are several.
// Errors: the backend cannot be used here (MCF_ERR_UNSUPPORTED), no such device, ranks with other numbers of devices
// (MCF_ERR_USAGE).
mcf_status mcf_job_create(mcf_job **job, const mcf_job_options *options, mcf_error *err);
// Ends the threads and closes the devices; runtimes on them must be gone. NULL is fine.
void mcf_job_destroy(mcf_job *job);

int mcf_job_size(const mcf_job *job);  // devices of this process
int mcf_job_world(const mcf_job *job); // of all
mcf_cluster *mcf_job_cluster(const mcf_job *job);
const mcf_backend *mcf_job_backend(const mcf_job *job);
mcf_device *mcf_job_device(const mcf_job *job, int rank);
int mcf_job_device_index(const mcf_job *job, int rank);
int mcf_job_threads(const mcf_job *job); // as asked for; 0: the backend's choice
const mcf_member *mcf_job_member(const mcf_job *job, int rank);

// Runs task(rank, context) on the thread of every member and waits for all. When one fails the group is aborted, so
// the others return too, here and in the cluster; the error of the one that failed comes back with its device's number
// in front. After a failure of a job with several members no collective works any more. `rank` counts this process's.
typedef mcf_status (*mcf_job_task)(int rank, void *context, mcf_error *err);
mcf_status mcf_job_run(mcf_job *job, mcf_job_task task, void *context, mcf_error *err);

#endif
