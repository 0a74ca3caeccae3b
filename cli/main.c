// mcf: finds the command, runs it, turns what went wrong into one line and an exit code.
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"

static int exit_code(mcf_status status)
{
    switch (status) {
    case MCF_OK:
        return 0;
    case MCF_ERR_USAGE:
        return 2;
    case MCF_ERR_INTERRUPTED:
        return 130;
    default:
        return 1;
    }
}

static int fail(const mcf_error *err, mcf_status status)
{
    mcf_say(stderr, "mcf: %s", err->message);
    return exit_code(status);
}

static int unknown_command(const char *name)
{
    char list[512] = "";
    for (int i = 0; mcf_commands[i]; i++)
        if (!mcf_commands[i]->hidden)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s %s", i ? "," : "", mcf_commands[i]->name);
    mcf_say(stderr, "mcf: %s is not a command; the commands are%s", name, list);
    return 2;
}

static const mcf_command *find(const char *name)
{
    for (int i = 0; mcf_commands[i]; i++)
        if (!strcmp(mcf_commands[i]->name, name))
            return mcf_commands[i];
    return NULL;
}

// What was printed has arrived, or it is said that it has not: a full disk shows only here.
static mcf_status flush(mcf_error *err)
{
    errno = 0;
    const bool broken = ferror(stdout) != 0;
    if (fflush(stdout) == 0 && !broken)
        return MCF_OK;
    return mcf_fail(err, MCF_ERR_IO, "standard output: cannot be written%s%s; free some space or send it elsewhere",
                    errno ? ": " : "", errno ? strerror(errno) : "");
}

static int finish_words(void)
{
    mcf_error err = {0};
    const mcf_status status = flush(&err);
    return status == MCF_OK ? 0 : fail(&err, status);
}

static mcf_status run_with_others(const mcf_command *command, mcf_call *call, mcf_error *err)
{
    if (command->common & MCF_TAKES_MACHINES)
        MCF_TRY(mcf_join_cluster(&call->job.cluster, err));
    call->quiet = call->quiet || !mcf_is_first(call);
    return command->run(call, err);
}

static int run(const mcf_command *command, int argc, char **argv)
{
    mcf_call call;
    mcf_error err = {0};
    bool help, tell = true, ended = true;
    mcf_status status = mcf_call_parse(&call, command, argc, argv, &help, &err);
    call.commands = mcf_commands;
    if (status == MCF_OK && help)
        mcf_help_command(command);
    else if (status == MCF_OK)
        status = run_with_others(command, &call, &err);
    mcf_cluster *cluster = call.job.cluster;
    if (cluster)
        status = mcf_cluster_leave(cluster, status, &err, &tell, &ended);
    mcf_call_free(&call);
    if (status == MCF_OK)
        status = flush(&err);
    if (status == MCF_OK)
        return 0;
    const int code = tell ? fail(&err, status) : exit_code(status);
    // mpirun kills all ranks once one exits with a failure: the one that tells has time to say its line.
    if (!tell && ended)
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    if (!ended)
        mcf_cluster_end(cluster, code);
    return code;
}

// OpenMP's threads wait for work by spinning for seconds, which on a machine shared with anything else costs many
// times what it saves. Read when the cpu backend's module is loaded; the user's own setting stays.
static void spin_briefly(void)
{
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT"))
        setenv("GOMP_SPINCOUNT", "20000", 0);
}

int main(int argc, char **argv)
{
    spin_briefly();
    signal(SIGXFSZ, SIG_IGN); // a file size limit is then an error of the write, with the file's name
    setlocale(LC_CTYPE, "");  // what the terminal can show; numbers stay in the C locale
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        fprintf(stderr, "mcf: no command is given; `mcf --help` lists them\n");
        return 2;
    }
    if (!strcmp(name, "--version")) {
        printf("mcf %s\n", MCF_VERSION);
        return finish_words();
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        const mcf_command *command = argc > 2 ? find(argv[2]) : NULL;
        if (argc > 2 && !command)
            return unknown_command(argv[2]);
        if (command)
            mcf_help_command(command);
        else
            mcf_help_program(mcf_commands);
        return finish_words();
    }
    const mcf_command *command = find(name);
    if (!command)
        return unknown_command(name);
    return run(command, argc - 1, argv + 1);
}
