// Whether this process was started as one of several (mpirun, srun), and joining the others.
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

// What launchers set; a value above 1 is a job of several processes.
static const char *const size_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"};

static int started_together(void)
{
    for (size_t i = 0; i < sizeof size_variables / sizeof *size_variables; i++) {
        const char *value = getenv(size_variables[i]);
        if (value && atoi(value) > 1)
            return atoi(value);
    }
    // Slurm names the tasks of a step whether or not they know of each other.
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    return tasks && getenv("SLURM_PROCID") ? atoi(tasks) : 1;
}

static mcf_status seconds(const char *variable, double *value, mcf_error *err)
{
    const char *text = getenv(variable);
    char *end;
    *value = 0;
    if (!text || !*text)
        return MCF_OK;
    *value = strtod(text, &end);
    if (*end || !(*value >= 1) || *value > 1e6)
        return mcf_fail(err, MCF_ERR_USAGE, "%s=%.40s: give seconds, 1 or more", variable, text);
    return MCF_OK;
}

mcf_status mcf_join_cluster(mcf_cluster **cluster, mcf_error *err)
{
    const int processes = started_together();
    mcf_cluster_options options = {0};
    *cluster = NULL;
    if (processes <= 1)
        return MCF_OK;
    MCF_TRY(seconds("MCF_LOST_AFTER", &options.lost_after, err));
    MCF_TRY(seconds("MCF_EXCHANGE_TIMEOUT", &options.timeout, err));
    mcf_status status = mcf_transport_find("mpi", &options.transport, err);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "started as one of %d processes", processes);
    MCF_TRY(mcf_cluster_join(cluster, &options, err));
    if (mcf_cluster_count(*cluster) == processes)
        return MCF_OK;
    return mcf_fail(err, MCF_ERR_USAGE,
                    "started as one of %d processes, but MPI knows of %d; use the mpirun of the MPI that mcf was built "
                    "with, or srun --mpi=pmix",
                    processes, mcf_cluster_count(*cluster));
}

bool mcf_is_first(const mcf_call *call)
{
    return !call->job.cluster || mcf_cluster_rank(call->job.cluster) == 0;
}
