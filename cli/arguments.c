// Parsing a command's options from its table.
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// In the order of the help. The names are the contract's.
static const struct {
    unsigned takes;
    mcf_option option;
} common_rows[] = {
    {MCF_TAKES_SET, {"set", "KEY.PATH=VALUE", "Set one key of the config; may be repeated", false}},
    {MCF_TAKES_BACKEND,
     {"backend", "NAME", "Where to compute: auto, cpu, cpu-reference, opencl or cuda (default auto)", false}},
    {MCF_TAKES_DEVICES, {"devices", "0,1,..", "Devices of the backend to use (default 0)", false}},
    {MCF_TAKES_DEVICES,
     {"timeout", "SECONDS", "After how long a device that does not go on ends the job (default 300)", false}},
    {MCF_TAKES_BACKEND,
     {"threads", "N", "Threads of each CPU device (default: all cores, shared by the devices)", false}},
    {MCF_TAKES_QUIET, {"quiet", NULL, "No progress", false}},
    {~0u, {"help", NULL, "Show this help", false}},
};
enum { COMMON_ROWS = sizeof common_rows / sizeof common_rows[0] };
enum { FIRST_ROW = 256 }; // of the codes that getopt_long gives for rows: behind all letters

const mcf_option *mcf_common_options(unsigned common)
{
    static mcf_option rows[COMMON_ROWS + 1];
    int count = 0;
    for (int i = 0; i < COMMON_ROWS; i++)
        if (common_rows[i].takes == ~0u || (common_rows[i].takes & common))
            rows[count++] = common_rows[i].option;
    rows[count] = (mcf_option){0};
    return rows;
}

static mcf_status usage(const mcf_command *command, mcf_error *err, const char *what)
{
    return mcf_fail(err, MCF_ERR_USAGE, "%s: %s; `mcf %s --help` shows how to call it", command->name, what,
                    command->name);
}

// A whole number within [least, most]; `what` names it in the message.
static mcf_status parse_integer(const char *what, const char *text, int64_t least, int64_t most, int64_t *value,
                                mcf_error *err)
{
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    if (!*text || *end || errno || *value < least || *value > most)
        return mcf_fail(err, MCF_ERR_USAGE, "%s %s is not a whole number from %lld to %lld", what, text,
                        (long long)least, (long long)most);
    return MCF_OK;
}

static mcf_status parse_common(mcf_call *call, const char *name, const char *value, bool *help, mcf_error *err)
{
    if (!strcmp(name, "set")) {
        const char *equals = strchr(value, '=');
        if (!equals || equals == value)
            return mcf_fail(err, MCF_ERR_USAGE, "--set %s: not of the form key.path=value", value);
        call->sets[call->set_count++] = value;
    } else if (!strcmp(name, "backend")) {
        call->job.backend = value;
    } else if (!strcmp(name, "devices")) {
        mcf_status status = mcf_job_parse_devices(&call->job, value, err);
        return status == MCF_OK ? status : mcf_add_context(err, status, "--devices");
    } else if (!strcmp(name, "timeout")) {
        int64_t seconds;
        MCF_TRY(parse_integer("--timeout", value, 1, 86400, &seconds, err));
        call->job.timeout_seconds = (double)seconds;
    } else if (!strcmp(name, "threads")) {
        int64_t threads;
        MCF_TRY(parse_integer("--threads", value, 1, 4096, &threads, err));
        call->job.threads = (int)threads;
    } else if (!strcmp(name, "quiet")) {
        call->quiet = true;
    } else {
        *help = true;
    }
    return MCF_OK;
}

// What getopt_long did not take.
static mcf_status refuse(const mcf_command *command, int letter, const char *word, const mcf_option *const *rows,
                         mcf_error *err)
{
    char message[512];
    if (letter == ':')
        snprintf(message, sizeof message, "%s wants a value", word);
    else if (optopt >= FIRST_ROW)
        snprintf(message, sizeof message, "--%s takes no value", rows[optopt - FIRST_ROW]->name);
    else if (optopt)
        snprintf(message, sizeof message, "-%c is not an option", optopt);
    else
        snprintf(message, sizeof message, "%s is not an option, or stands for several", word);
    return usage(command, err, message);
}

// That all that is needed is there, and no more.
static mcf_status check_complete(const mcf_call *call, mcf_error *err)
{
    const mcf_command *command = call->command;
    char message[512];
    for (int i = 0; command->options && command->options[i].name; i++) {
        const mcf_option *o = &command->options[i];
        if (o->required && !call->values[i]) {
            snprintf(message, sizeof message, "--%s %s is missing", o->name, o->argument);
            return usage(command, err, message);
        }
        if (call->values[i] && o->argument && !*call->values[i]) {
            snprintf(message, sizeof message, "--%s is empty", o->name);
            return usage(command, err, message);
        }
    }
    if (call->argument_count < command->least) {
        snprintf(message, sizeof message, "%s is missing", command->arguments);
        return usage(command, err, message);
    }
    if (command->most >= 0 && call->argument_count > command->most) {
        snprintf(message, sizeof message, "%s is one argument too many", call->arguments[command->most]);
        return usage(command, err, message);
    }
    return MCF_OK;
}

mcf_status mcf_call_parse(mcf_call *call, const mcf_command *command, int argc, char **argv, bool *help, mcf_error *err)
{
    struct option table[MCF_CLI_MAX_OPTIONS + COMMON_ROWS + 1];
    const mcf_option *rows[MCF_CLI_MAX_OPTIONS + COMMON_ROWS];
    int own = 0, count = 0, letter;

    memset(call, 0, sizeof *call);
    call->command = command;
    call->job.backend = "auto";
    *help = false;
    call->sets = calloc((size_t)argc + 1, sizeof *call->sets);
    if (!call->sets)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the command line");

    for (; command->options && command->options[own].name; own++)
        rows[count++] = &command->options[own];
    for (const mcf_option *common = mcf_common_options(command->common); common->name; common++)
        rows[count++] = common;
    for (int i = 0; i < count; i++)
        table[i] =
            (struct option){rows[i]->name, rows[i]->argument ? required_argument : no_argument, NULL, FIRST_ROW + i};
    table[count] = (struct option){0};

    opterr = 0;
    optind = 0; // glibc: start anew
    while ((letter = getopt_long(argc, argv, ":hq", table, NULL)) != -1) {
        const int row = letter - FIRST_ROW;
        if (letter == ':' || letter == '?')
            return refuse(command, letter, argv[optind - 1], rows, err);
        if (letter == 'h')
            *help = true;
        else if (letter == 'q')
            call->quiet = true;
        else if (row < own)
            call->values[row] = optarg ? optarg : "";
        else
            MCF_TRY(parse_common(call, rows[row]->name, optarg, help, err));
    }
    call->arguments = argv + optind;
    call->argument_count = argc - optind;
    return *help ? MCF_OK : check_complete(call, err);
}

void mcf_call_free(mcf_call *call)
{
    free(call->sets);
    call->sets = NULL;
}

const char *mcf_call_value(const mcf_call *call, const char *option)
{
    for (int i = 0; call->command->options[i].name; i++)
        if (!strcmp(call->command->options[i].name, option))
            return call->values[i];
    return NULL;
}

bool mcf_call_flag(const mcf_call *call, const char *option)
{
    return mcf_call_value(call, option) != NULL;
}

mcf_status mcf_call_sets_of_data(const mcf_call *call, mcf_error *err)
{
    for (size_t i = 0; i < call->set_count; i++)
        if (strncmp(call->sets[i], "data.", 5) != 0)
            return mcf_fail(err, MCF_ERR_USAGE,
                            "%s: --set %s: a checkpoint brings its own config, of which --set changes data.* alone",
                            call->command->name, call->sets[i]);
    return MCF_OK;
}

mcf_status mcf_call_integer(const mcf_call *call, const char *option, int64_t fallback, int64_t least, int64_t most,
                            int64_t *value, mcf_error *err)
{
    const char *text = mcf_call_value(call, option);
    char what[64];
    *value = fallback;
    if (!text)
        return MCF_OK;
    snprintf(what, sizeof what, "%s: --%s", call->command->name, option);
    return parse_integer(what, text, least, most, value, err);
}

mcf_status mcf_call_number(const mcf_call *call, const char *option, double fallback, double least, double most,
                           double *value, mcf_error *err)
{
    const char *text = mcf_call_value(call, option);
    char *end;
    *value = fallback;
    if (!text)
        return MCF_OK;
    errno = 0;
    double parsed = strtod(text, &end);
    if (!*text || *end || errno || !isfinite(parsed) || parsed < least || parsed > most)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: --%s %s is not a number from %g to %g", call->command->name, option,
                        text, least, most);
    *value = parsed;
    return MCF_OK;
}
