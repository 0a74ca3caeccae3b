// --help, man pages and docs/commands.md, all from the commands' tables.
#define _GNU_SOURCE // open_memstream
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

enum { WIDTH = 96 };

// Prints words of `text` filled to WIDTH, every line indented; the first line continues at column `at`.
static void fill(const char *text, int indent, int at)
{
    while (*text) {
        if (text[0] == '\n' && text[1] == '\n') {
            printf("\n\n%*s", indent, "");
            at = indent;
            text += 2;
            continue;
        }
        if (*text == ' ' || *text == '\n') {
            text++;
            continue;
        }
        int length = (int)strcspn(text, " \n");
        if (at > indent && at + 1 + length > WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
        }
        if (at > indent) {
            putchar(' ');
            at++;
        }
        printf("%.*s", length, text);
        at += length;
        text += length;
    }
    putchar('\n');
}

// "--out DIR" into a buffer.
static int option_text(const mcf_option *option, char *text, size_t size)
{
    return snprintf(text, size, option->argument ? "--%s %s" : "--%s", option->name, option->argument);
}

// "mcf embed --checkpoint FILE --out FILE [OPTION...] IMAGE..."
static void synopsis(const mcf_command *command, char *line, size_t size)
{
    int used = snprintf(line, size, "mcf %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
    for (const mcf_option *o = command->options; o->name; o++)
        if (o->required)
            used += snprintf(line + used, size - (size_t)used, " --%s %s", o->name, o->argument);
    snprintf(line + used, size - (size_t)used, " [OPTION]...");
}

void mcf_help_program(const mcf_command *const *commands)
{
    printf("mcf pre-trains face encoders by masked image modelling and contrast (Mask Contrastive Face).\n\n"
           "usage: mcf COMMAND ...\n\n");
    for (int i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n`mcf COMMAND --help` or `man mcf-COMMAND` tells more; `mcf --version` says which mcf this is.\n");
}

static void print_options(const mcf_option *options)
{
    char text[128];
    for (; options->name; options++) {
        int length = option_text(options, text, sizeof text);
        printf("  %-26s", text);
        if (length >= 26)
            printf("\n%28s", "");
        fill(options->help, 28, 28);
    }
}

void mcf_help_command(const mcf_command *command)
{
    char line[1024];
    synopsis(command, line, sizeof line);
    printf("usage: %s\n\n", line);
    fill(command->description, 0, 0);
    printf("\noptions:\n");
    print_options(command->options);
    print_options(mcf_common_options(command->common));
    if (command->examples) {
        printf("\nexamples:\n");
        for (const char *at = command->examples; *at;) {
            int length = (int)strcspn(at, "\n");
            printf("  %.*s\n", length, at);
            at += length + (at[length] == '\n');
        }
    }
}

// Text for roff: minus signs, backslashes and leading dots keep their meaning; backquotes become bold.
static void roff(FILE *out, const char *text)
{
    bool bold = false, start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        start = *text == '\n';
        if (text[0] == '\n' && text[1] == '\n') {
            fputs("\n.PP\n", out);
            text++;
        } else if (*text == '`') {
            fputs(bold ? "\\fR" : "\\fB", out);
            bold = !bold;
        } else if (*text == '-') {
            fputs("\\-", out);
        } else if (*text == '\\') {
            fputs("\\e", out);
        } else {
            fputc(*text, out);
        }
    }
}

static void roff_options(FILE *out, const mcf_option *options)
{
    for (; options->name; options++) {
        fputs(".TP\n\\fB\\-\\-", out);
        roff(out, options->name);
        fputs("\\fR", out);
        if (options->argument) {
            fputs(" \\fI", out);
            roff(out, options->argument);
            fputs("\\fR", out);
        }
        fputc('\n', out);
        roff(out, options->help);
        fputs(".\n", out);
    }
}

static void man_command(FILE *out, const mcf_command *command)
{
    char line[1024];
    synopsis(command, line, sizeof line);
    fprintf(out, ".TH MCF\\-%s 1 \"\" \"mcf %s\" \"mcf\"\n.SH NAME\nmcf\\-%s \\- ", command->name, MCF_VERSION,
            command->name);
    roff(out, command->summary);
    fputs("\n.SH SYNOPSIS\n", out);
    roff(out, line);
    fputs("\n.SH DESCRIPTION\n", out);
    roff(out, command->description);
    fputs("\n.SH OPTIONS\n", out);
    roff_options(out, command->options);
    roff_options(out, mcf_common_options(command->common));
    if (command->examples) {
        fputs(".SH EXAMPLES\n.nf\n", out);
        roff(out, command->examples);
        fputs("\n.fi\n", out);
    }
    fputs(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage or config, 130 interrupted (after saving).\n"
          ".SH SEE ALSO\n\\fBmcf\\fR(1)\n",
          out);
}

static void man_program(const mcf_command *const *commands, FILE *out)
{
    fprintf(out,
            ".TH MCF 1 \"\" \"mcf %s\" \"mcf\"\n.SH NAME\nmcf \\- pre\\-train face encoders\n"
            ".SH SYNOPSIS\n\\fBmcf\\fR \\fICOMMAND\\fR ...\n.SH DESCRIPTION\n"
            "Pre\\-trains vision transformers on faces by masked image modelling and contrast\n"
            "(Mask Contrastive Face), on processors and accelerators.\n.SH COMMANDS\n",
            MCF_VERSION);
    for (int i = 0; commands[i]; i++) {
        if (commands[i]->hidden)
            continue;
        fprintf(out, ".TP\n\\fBmcf\\-%s\\fR(1)\n", commands[i]->name);
        roff(out, commands[i]->summary);
        fputc('\n', out);
    }
    fputs(".SH ENVIRONMENT\n.TP\n\\fBMCF_MODULE_PATH\\fR\nFolder where backend modules are looked for first.\n"
          ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage or config, 130 interrupted (after saving).\n",
          out);
}

mcf_status mcf_help_man_pages(const mcf_command *const *commands, const char *folder, mcf_error *err)
{
    char path[4096];
    for (int i = -1; i < 0 || commands[i]; i++) {
        if (i >= 0 && commands[i]->hidden)
            continue;
        if (i < 0)
            snprintf(path, sizeof path, "%s/mcf.1", folder);
        else
            snprintf(path, sizeof path, "%s/mcf-%s.1", folder, commands[i]->name);
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        if (!out)
            return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
        if (i < 0)
            man_program(commands, out);
        else
            man_command(out, commands[i]);
        const bool broken = ferror(out) != 0;
        mcf_status status = fclose(out) != 0 || broken ? mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path)
                                                       : mcf_file_write(path, text, size, err);
        free(text);
        MCF_TRY(status);
    }
    return MCF_OK;
}

static void markdown_options(const mcf_option *options)
{
    char text[128];
    for (; options->name; options++) {
        option_text(options, text, sizeof text);
        printf("| `%s` | %s |\n", text, options->help);
    }
}

void mcf_help_markdown(const mcf_command *const *commands)
{
    printf("# Commands\n\nMade by `mcf help-man --markdown` from the tables in `cli/`; a test compares.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage or config, 130 interrupted (after saving).\n");
    for (int i = 0; commands[i]; i++) {
        const mcf_command *command = commands[i];
        char line[1024];
        if (command->hidden)
            continue;
        synopsis(command, line, sizeof line);
        printf("\n## mcf %s\n\n`%s`\n\n%s\n\n| option | |\n| --- | --- |\n", command->name, line, command->description);
        markdown_options(command->options);
        markdown_options(mcf_common_options(command->common));
        if (command->examples)
            printf("\n```sh\n%s\n```\n", command->examples);
    }
}
