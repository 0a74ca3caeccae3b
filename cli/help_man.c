// mcf help-man: man pages and docs/commands.md from the tables; run by the build.
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "run/config/config.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *folder = mcf_call_value(call, "out");
    if (mcf_call_flag(call, "markdown"))
        mcf_help_markdown(call->commands);
    if (mcf_call_flag(call, "config")) {
        char *text;
        MCF_TRY(mcf_config_document(&text, err));
        fputs(text, stdout);
        free(text);
    }
    return folder ? mcf_help_man_pages(call->commands, folder, err) : MCF_OK;
}

static const mcf_option options[] = {
    {"out", "DIR", "Write the man pages of all commands there", false},
    {"markdown", NULL, "Print docs/commands.md", false},
    {"config", NULL, "Print docs/config.md", false},
    {0},
};

const mcf_command mcf_command_help_man = {
    .name = "help-man",
    .arguments = "",
    .summary = "Write man pages and pages of docs/",
    .description = "Writes the man pages and the generated pages of docs/ from the program's own tables.",
    .options = options,
    .hidden = true,
    .run = run,
};
