// mcf devices: what there is to compute on, and why something is not usable.
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/cluster/transport.h"
#include "cli/commands.h"

static void precisions(const mcf_device_info *info, char *text, size_t size)
{
    static const struct {
        mcf_dtype dtype;
        const char *name;
    } rows[] = {{MCF_F32, "fp32"}, {MCF_BF16, "bf16"}, {MCF_F16, "fp16"}, {MCF_F64, "fp64"}};
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!(info->dtypes >> rows[i].dtype & 1))
            continue;
        const bool emulated =
            (rows[i].dtype == MCF_BF16 && info->emulated_bf16) || (rows[i].dtype == MCF_F16 && info->emulated_fp16);
        used += (size_t)snprintf(text + used, size - used, "%s%s%s", used ? ", " : "", rows[i].name,
                                 emulated ? " (emulated)" : "");
        if (used >= size)
            return;
    }
}

static json_t *device_json(int index, const mcf_device_info *info)
{
    static const struct {
        mcf_dtype dtype;
        const char *name;
    } rows[] = {{MCF_F32, "fp32"}, {MCF_BF16, "bf16"}, {MCF_F16, "fp16"}, {MCF_F64, "fp64"}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (info->dtypes >> rows[i].dtype & 1)
            json_array_append_new(list, json_string(rows[i].name));
    return json_pack("{s:i, s:s, s:s, s:I, s:I, s:i, s:o, s:b, s:b}", "index", index, "name", info->name, "detail",
                     info->detail, "memory_total", (json_int_t)info->memory_total, "memory_free",
                     (json_int_t)info->memory_free, "compute_units", info->compute_units, "precisions", list,
                     "emulated_bf16", (int)info->emulated_bf16, "emulated_fp16", (int)info->emulated_fp16);
}

static void add_rows(const mcf_backend *backend, mcf_table *table, json_t *devices)
{
    int count = backend->device_count();
    for (int i = 0; i < count; i++) {
        mcf_device_info info = {0};
        mcf_error err = {0};
        char numbers[96], total[32], free_[32];
        if (backend->device_info(i, &info, &err) != MCF_OK) {
            mcf_table_cell(table, "%s", i ? "" : backend->name);
            mcf_table_cell(table, "%d", i);
            mcf_table_cell(table, "not usable: %s", err.message);
            for (int rest = 0; rest < 4; rest++)
                mcf_table_cell(table, "%s", "");
            json_array_append_new(devices, json_pack("{s:i, s:s}", "index", i, "reason", err.message));
            continue;
        }
        precisions(&info, numbers, sizeof numbers);
        mcf_table_cell(table, "%s", i ? "" : backend->name);
        mcf_table_cell(table, "%d", i);
        mcf_table_cell(table, "%s", info.name);
        mcf_table_cell(table, "%d", info.compute_units);
        mcf_table_cell(table, "%s of %s", mcf_format_bytes(free_, sizeof free_, (double)info.memory_free),
                       mcf_format_bytes(total, sizeof total, (double)info.memory_total));
        mcf_table_cell(table, "%s", numbers);
        mcf_table_cell(table, "%s", info.detail);
        json_array_append_new(devices, device_json(i, &info));
    }
}

// How all devices of a backend would work together; false where it has nothing to say.
static bool together(const mcf_backend *backend, char *text, size_t size)
{
    enum { MOST = 16 };
    const int count = backend->device_count();
    int devices[MOST];
    if (!backend->group_describe || count < 2 || count > MOST)
        return false;
    for (int i = 0; i < count; i++)
        devices[i] = i;
    return backend->group_describe(devices, count, text, size, NULL) == MCF_OK;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    mcf_table *table = mcf_table_create("backend|>device|name|>units|>memory free|precisions|detail");
    json_t *list = json_array();
    const char *const *names = mcf_backend_names();
    char missing[8][1200], groups[8][300];
    int missing_count = 0, group_count = 0;

    for (int i = 0; names[i]; i++) {
        const mcf_backend *backend;
        mcf_error reason = {0};
        json_t *devices = json_array();
        if (mcf_backend_find(names[i], &backend, &reason) != MCF_OK) {
            if (missing_count < 8)
                snprintf(missing[missing_count++], sizeof missing[0], "%s: %s", names[i], reason.message);
            json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:o}", "backend", names[i], "usable", 0, "reason",
                                                  reason.message, "devices", devices));
            continue;
        }
        add_rows(backend, table, devices);
        char text[240] = "";
        if (together(backend, text, sizeof text) && group_count < 8)
            snprintf(groups[group_count++], sizeof groups[0], "%s: %s", backend->name, text);
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:s, s:o, s:s*}", "backend", backend->name, "usable", 1, "about",
                                        backend->about, "devices", devices, "together", text[0] ? text : NULL));
    }
    const mcf_transport *transport;
    mcf_error reason = {0};
    char version[256] = "";
    if (mcf_transport_find("mpi", &transport, &reason) == MCF_OK)
        transport->probe(version, sizeof version, &reason);
    else if (missing_count < 8)
        snprintf(missing[missing_count++], sizeof missing[0], "mpi (several machines): %s", reason.message);
    json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "transport", "mpi", "usable", version[0] != '\0',
                                          version[0] ? "about" : "reason", version[0] ? version : reason.message));
    if (mcf_call_flag(call, "json")) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        mcf_table_print(table);
        if (group_count)
            printf("\nall devices together:\n");
        for (int i = 0; i < group_count; i++)
            mcf_say(stdout, "  %s", groups[i]);
        if (version[0])
            printf("\n"), mcf_say(stdout, "several machines: %s", version);
        if (missing_count)
            printf("\nnot usable here:\n");
        for (int i = 0; i < missing_count; i++)
            mcf_say(stdout, "  %s", missing[i]);
    }
    mcf_table_free(table);
    json_decref(list);
    (void)err;
    return MCF_OK;
}

static const mcf_option options[] = {
    {"json", NULL, "Print JSON in place of the table", false},
    {0},
};

const mcf_command mcf_command_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "List backends and devices, and why one is not usable",
    .description = "Lists every backend with its devices: memory, precisions, instruction set. A backend "
                   "that cannot be used "
                   "here, and MPI for several machines where it is missing, are named with the reason. Where "
                   "several cards can sum gradients together, a line says how and by which links.",
    .options = options,
    .examples = "mcf devices\nmcf devices --json",
    .run = run,
};
