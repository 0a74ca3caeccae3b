// The command line: one table per command gives its parsing, its --help and its man page.
#ifndef MCF_CLI_CLI_H
#define MCF_CLI_CLI_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/job.h"

#ifndef MCF_VERSION
#define MCF_VERSION "unknown"
#endif

enum { MCF_CLI_MAX_OPTIONS = 32 };

typedef struct {
    const char *name;     // long name without dashes; NULL ends a table
    const char *argument; // what the help calls its value; NULL: a flag
    const char *help;     // one sentence, no full stop
    bool required;
} mcf_option;

// Of commands that read weights.
#define MCF_ALLOW_NONFINITE                                                                                            \
    {                                                                                                                  \
        "allow-nonfinite", NULL, "Take weights that are NaN or infinite, which are refused otherwise", false           \
    }

// Which of the common options a command takes; --help is always there.
enum {
    MCF_TAKES_SET = 1 << 0,     // --set key.path=value, repeatable
    MCF_TAKES_BACKEND = 1 << 1, // --backend NAME, --threads N
    MCF_TAKES_DEVICES = 1 << 2, // --devices 0,1
    MCF_TAKES_QUIET = 1 << 3,
    MCF_TAKES_MACHINES = 1 << 4 // no option: under mpirun or srun its processes work together
};

typedef struct mcf_call mcf_call;

typedef struct {
    const char *name;
    const char *arguments;   // "CONFIG": as it stands in the synopsis
    int least, most;         // positional arguments; most -1: any number
    const char *summary;     // one line
    const char *description; // paragraphs separated by an empty line
    const mcf_option *options;
    unsigned common;      // MCF_TAKES_*
    const char *examples; // one a line
    bool hidden;          // not listed: serves the build
    // Prints results on stdout. Failing with MCF_ERR_USAGE exits with 2, MCF_ERR_INTERRUPTED with 130, else 1.
    mcf_status (*run)(const mcf_call *call, mcf_error *err);
} mcf_command;

// A parsed command line. Strings belong to argv.
struct mcf_call {
    const mcf_command *command;
    const mcf_command *const *commands;      // all of them
    const char *values[MCF_CLI_MAX_OPTIONS]; // by row of command->options; "" for a flag that is given
    const char **sets;                       // --set, in their order
    size_t set_count;
    mcf_job_options job; // --backend, --devices, --threads; the cluster, where there is one
    bool quiet;
    char **arguments;
    int argument_count;
};

mcf_status mcf_call_parse(mcf_call *call, const mcf_command *command, int argc, char **argv, bool *help,
                          mcf_error *err);
void mcf_call_free(mcf_call *call);
// The value of an option of the command's own table; NULL where it was not given.
const char *mcf_call_value(const mcf_call *call, const char *option);
bool mcf_call_flag(const mcf_call *call, const char *option);
// That every --set is of data.*, where a checkpoint brings the rest of its config; else MCF_ERR_USAGE.
mcf_status mcf_call_sets_of_data(const mcf_call *call, mcf_error *err);
// A whole number within [least, most]; `fallback` where it was not given.
mcf_status mcf_call_integer(const mcf_call *call, const char *option, int64_t fallback, int64_t least, int64_t most,
                            int64_t *value, mcf_error *err);
mcf_status mcf_call_number(const mcf_call *call, const char *option, double fallback, double least, double most,
                           double *value, mcf_error *err);

// --- several processes (cli/cluster.c)
// Joins the others where a launcher started several; else *cluster is NULL. May fail with *cluster set.
mcf_status mcf_join_cluster(mcf_cluster **cluster, mcf_error *err);
// Whether this process is the one that prints.
bool mcf_is_first(const mcf_call *call);

// --- help (cli/help.c). commands: all in the order of the help; NULL-terminated.
void mcf_help_program(const mcf_command *const *commands);
void mcf_help_command(const mcf_command *command);
// Writes mcf.1 and mcf-COMMAND.1 into a folder.
mcf_status mcf_help_man_pages(const mcf_command *const *commands, const char *folder, mcf_error *err);
// docs/commands.md
void mcf_help_markdown(const mcf_command *const *commands);
// Rows of the common options that `common` allows, --help last; ended by a row without name.
const mcf_option *mcf_common_options(unsigned common);

// --- signals (cli/interrupt.c)
// SIGINT, SIGTERM and SIGHUP (unless it is ignored, as under nohup) set a flag from here on; a second one ends the
// program at once, and so does `patience` seconds after the first, in whatever it is waiting then; 0: it takes the time
// it needs to save.
void mcf_interrupt_install(unsigned patience);
enum { MCF_PATIENCE = 10 }; // of commands that have nothing to save
// What the first signal is answered on stderr at once, since a step may take minutes; NULL: nothing.
void mcf_interrupt_answer(const char *line);
// The flag itself, for loops below that poll it.
const volatile sig_atomic_t *mcf_interrupt_flag(void);

// --- lines (cli/say.c)
// Formats one line, escapes what would not show as itself (base/printable.h) and ends it. Every line that may quote a
// name goes through here or through the bar and the tables below, which do the same.
// Two lines at most, on stderr: images that were left out, and how many of them are of a kind that is not read.
void mcf_say_left_out(long long broken, const char *first, long long unsupported, const char *first_unsupported);
void mcf_say(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcf_vsay(FILE *to, const char *format, va_list args);
// Where the words about a result go: stdout, or stderr where stdout receives the result itself (--out /dev/stdout).
FILE *mcf_words_beside(const char *out);

// --- progress on stderr (cli/bar.c)
typedef struct mcf_bar mcf_bar;
// quiet: draws nothing. unit: "img", "steps". NULL: out of memory, which all functions below take as quiet.
mcf_bar *mcf_bar_start(bool quiet, const char *unit);
// done of total units (total 0: not known); rate in units a second (0: measured from the calls); detail: short text behind, may be NULL.
void mcf_bar_update(mcf_bar *bar, double done, double total, double rate, const char *detail);
// A line of its own, above the bar.
void mcf_bar_say(mcf_bar *bar, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same as a callback for what runs below: "mcf: LINE" above the bar `context`. Also where quiet: what is left out of
// the data concerns the result.
void mcf_bar_notice(void *context, const char *line);
// Takes the bar away and frees; NULL is fine.
void mcf_bar_end(mcf_bar *bar);

// --- tables on stdout (cli/table.c)
typedef struct mcf_table mcf_table;
// columns: headings separated by '|'; one that begins with '>' is set to the right. NULL: out of memory.
mcf_table *mcf_table_create(const char *columns);
// The next cell of the row; rows end by themselves.
void mcf_table_cell(mcf_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcf_table_print(const mcf_table *table);
void mcf_table_free(mcf_table *table);
// "1.5 GiB" into a buffer of at least 32 bytes; returns it.
const char *mcf_format_bytes(char *text, size_t size, double bytes);
// "1 h 02 min", "3 min 20 s", "12 s"
const char *mcf_format_duration(char *text, size_t size, double seconds);

#endif
