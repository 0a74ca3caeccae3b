// mcf: finds the command, runs it, turns what went wrong into one line and an exit code.
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

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

// One line whatever the message quotes: names of files may hold anything.
static int fail(const mcf_error *err, mcf_status status)
{
    fputs("mcf: ", stderr);
    for (const char *at = err->message; *at; at++)
        fputc((unsigned char)*at < ' ' || *at == 127 ? ' ' : *at, stderr);
    fputc('\n', stderr);
    return exit_code(status);
}

static int unknown_command(const char *name)
{
    fprintf(stderr, "mcf: %s is not a command; the commands are", name);
    for (int i = 0; mcf_commands[i]; i++)
        if (!mcf_commands[i]->hidden)
            fprintf(stderr, "%s %s", i ? "," : "", mcf_commands[i]->name);
    fputc('\n', stderr);
    return 2;
}

static const mcf_command *find(const char *name)
{
    for (int i = 0; mcf_commands[i]; i++)
        if (!strcmp(mcf_commands[i]->name, name))
            return mcf_commands[i];
    return NULL;
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
    if (status == MCF_OK && help)
        mcf_help_command(command);
    else if (status == MCF_OK)
        status = run_with_others(command, &call, &err);
    mcf_cluster *cluster = call.job.cluster;
    if (cluster)
        status = mcf_cluster_leave(cluster, status, &err, &tell, &ended);
    mcf_call_free(&call);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (status == MCF_OK)
            status = mcf_fail(&err, MCF_ERR_IO, "standard output: could not be written; is the disk full?");
    }
    if (status == MCF_OK)
        return 0;
    const int code = tell ? fail(&err, status) : exit_code(status);
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
    setlocale(LC_CTYPE, ""); // what the terminal can show; numbers stay in the C locale
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        fprintf(stderr, "mcf: no command is given; `mcf --help` lists them\n");
        return 2;
    }
    if (!strcmp(name, "--version")) {
        printf("mcf %s\n", MCF_VERSION);
        return 0;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        const mcf_command *command = argc > 2 ? find(argv[2]) : NULL;
        if (argc > 2 && !command)
            return unknown_command(argv[2]);
        if (command)
            mcf_help_command(command);
        else
            mcf_help_program();
        return 0;
    }
    const mcf_command *command = find(name);
    if (!command)
        return unknown_command(name);
    return run(command, argc - 1, argv + 1);
}
