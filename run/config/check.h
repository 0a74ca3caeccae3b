// The relations between keys.
#ifndef MCF_RUN_CONFIG_CHECK_H
#define MCF_RUN_CONFIG_CHECK_H

#include "run/config/table.h"

// What no single key can know: sizes that divide, blocks within a depth, terms that are on.
mcf_status mcf_config_check_relations(const mcf_config *config, const char *label, mcf_error *err);
// "at least 0", "above 0 and below 1", ...; returns buffer.
const char *mcf_config_range(const mcf_config_key *key, char *buffer, size_t size);

// What a training run needs beyond what a single step on given tensors does: data, M_1's weights where
// the feature term is on, a batch that BatchNorm can average over.
mcf_status mcf_config_check_run(const mcf_config *config, mcf_error *err);

#endif
