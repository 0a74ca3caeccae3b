// Config files of this repository without libyaml, for the build of ci/gpu-check: maps by indentation, {maps} and
// [lists], plain and quoted words, comments. What it does not know it refuses. tests/train/test_stand_ins.c compares its trees
// with libyaml's for every config of the repository.
#ifndef MCF_TESTS_GPU_PLAIN_YAML_H
#define MCF_TESTS_GPU_PLAIN_YAML_H

#include "run/config/yaml.h"

// As mcf_yaml_parse.
mcf_status mcf_plain_yaml_parse(mcf_yaml_node **root, const char *text, size_t size, const char *label, bool lines,
                                mcf_error *err);

#endif
