// Private to run/config/: YAML as a small tree. Anchors, aliases, tags and several documents are refused:
// a config needs none, and they are how small files become large ones.
#ifndef MCF_RUN_CONFIG_YAML_H
#define MCF_RUN_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef enum { MCF_YAML_SCALAR, MCF_YAML_LIST, MCF_YAML_MAP } mcf_yaml_kind;

typedef struct mcf_yaml_node mcf_yaml_node;

typedef struct {
    char *key; // maps only
    mcf_yaml_node *value;
} mcf_yaml_item;

struct mcf_yaml_node {
    mcf_yaml_kind kind;
    char *text; // scalars
    bool plain; // written without quotes
    // What stands behind a plain scalar on its line, or inside a flow list, and is a comment to YAML: blanks, # and all up
    // to the end of the line. NULL: nothing.
    char *comment;
    char *file;
    int line; // of the key in a map, from 1; 0: no line to name
    size_t count;
    mcf_yaml_item *items;
};

enum {
    MCF_YAML_MAX_SIZE = 1 << 20, // bytes
    MCF_YAML_MAX_DEPTH = 16,
    MCF_YAML_MAX_NODES = 20000,
    MCF_YAML_MAX_KEYS = 256 // of one map
};

// *root is NULL for an empty document. Errors are MCF_ERR_USAGE with label and line (without when !lines).
mcf_status mcf_yaml_parse(mcf_yaml_node **root, const char *text, size_t size, const char *label, bool lines,
                          mcf_error *err);
mcf_yaml_node *mcf_yaml_new(mcf_yaml_kind kind, const char *text, const char *file,
                            int line); // NULL: no memory
// Takes over `value`, also when it fails for lack of memory.
bool mcf_yaml_add(mcf_yaml_node *parent, const char *key, mcf_yaml_node *value);
void mcf_yaml_free(mcf_yaml_node *node);                                // NULL is fine
mcf_yaml_node *mcf_yaml_get(const mcf_yaml_node *map, const char *key); // NULL: none, or no map
void mcf_yaml_remove(mcf_yaml_node *map, const char *key);
// Deep merge: maps are joined, all else of `over` replaces what `base` has. Takes over `over`.
bool mcf_yaml_merge(mcf_yaml_node *base, mcf_yaml_node *over);

// MCF_ERR_USAGE with "file:line: " in front.
mcf_status mcf_yaml_fail(const mcf_yaml_node *node, mcf_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Numbers as a config has them, in every locale: no hexadecimal, no infinities, nothing behind.
bool mcf_parse_number(const char *text, double *value);
bool mcf_parse_integer(const char *text, long long *value);
// The shortest decimal that reads back as the same double; buffer of 32.
void mcf_print_number(char *buffer, double value);

#endif
