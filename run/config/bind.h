// From a tree of YAML to the struct.
#ifndef MCF_RUN_CONFIG_BIND_H
#define MCF_RUN_CONFIG_BIND_H

#include "run/config/table.h"
#include "run/config/yaml.h"

const mcf_config_key *mcf_config_find_key(const char *path); // NULL: no such key
// Reads one value into its place of the struct.
mcf_status mcf_config_bind(const mcf_config_key *key, const mcf_yaml_node *node, mcf_config *config, mcf_error *err);
// Reads a whole config; its task and method must be in the struct already, since they decide what belongs.
mcf_status mcf_config_bind_tree(const mcf_yaml_node *root, mcf_config *config, mcf_error *err);
void mcf_config_clear_paths(mcf_path_list *list);

#endif
