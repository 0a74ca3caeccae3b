// Private to train/config*.c.
#ifndef MCF_TRAIN_CONFIG_CHECK_H
#define MCF_TRAIN_CONFIG_CHECK_H

#include "run/config/config.h"
#include "run/config/table.h"

// What no single key can know: sizes that divide, blocks within a depth, terms that are on.
mcf_status mcf_config_check_relations(const mcf_config *config, const char *label, mcf_error *err);
// "at least 0", "above 0 and below 1", ...; returns buffer.
const char *mcf_config_range(const mcf_config_key *key, char *buffer, size_t size);

#endif
