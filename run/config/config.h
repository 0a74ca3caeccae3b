// The configuration of a job: YAML in, a checked struct out. The keys are rows of run/config/table.c.
#ifndef MCF_RUN_CONFIG_CONFIG_H
#define MCF_RUN_CONFIG_CONFIG_H

#include "run/config/options.h"

// Reads `path` with all it includes, then applies `sets` ("key.path=value", the last word), checks every key,
// type, range and relation. On success the caller frees with mcf_config_free; on failure nothing is held.
// Wrong content is MCF_ERR_USAGE with file and line.
mcf_status mcf_config_load(mcf_config *config, const char *path, const char *const *sets, size_t set_count,
                           mcf_error *err);
// The same from memory, where `include` is refused. `label` stands for the path in messages.
mcf_status mcf_config_parse(mcf_config *config, const char *text, size_t size, const char *label,
                            const char *const *sets, size_t set_count, mcf_error *err);
// The default value of every key (task pretrain, method mcf).
mcf_status mcf_config_defaults(mcf_config *config, mcf_error *err);
void mcf_config_free(mcf_config *config);

// The resolved configuration as YAML (malloc'd): every key the task uses, exact numbers, no includes.
// Reading it back gives the same struct.
mcf_status mcf_config_dump(const mcf_config *config, char **text, mcf_error *err);
// docs/config.md (malloc'd), from the table of keys.
mcf_status mcf_config_document(char **markdown, mcf_error *err);

// MCF_ERR_USAGE where the config's task is not pretrain.
mcf_status mcf_config_check_task(const mcf_config *config, mcf_error *err);
mcf_dtype mcf_precision_dtype(mcf_precision precision);

// Images of one optimiser step.
int64_t mcf_config_effective_batch(const mcf_config *config, int devices);
// The highest learning rate: optimizer.lr, or base_lr * effective batch / 256.
double mcf_config_peak_rate(const mcf_config *config, int devices);
// Rate factors by mcf_entry.rate_group, to the peak: optimizer.rates as given, 1 elsewhere.
void mcf_config_rate_factors(const mcf_config *config, int devices, double factor[MCF_RATE_GROUPS]);

#endif
