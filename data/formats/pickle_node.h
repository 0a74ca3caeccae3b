// The values of a pickle as data/formats/pickle.h reads them: a tree in which every object is inert.
#ifndef MCF_DATA_FORMATS_PICKLE_NODE_H
#define MCF_DATA_FORMATS_PICKLE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    MCF_PICKLE_NONE,
    MCF_PICKLE_BOOL,      // integer is 0 or 1
    MCF_PICKLE_INT,       // integer
    MCF_PICKLE_BIGINT,    // text holds the little-endian two's complement bytes of a number past 64 bits
    MCF_PICKLE_FLOAT,     // number
    MCF_PICKLE_STRING,    // text, not zero-terminated
    MCF_PICKLE_BYTES,     // text
    MCF_PICKLE_LIST,      // items
    MCF_PICKLE_TUPLE,     // items
    MCF_PICKLE_SET,       // items
    MCF_PICKLE_DICT,      // items: key, value, key, value
    MCF_PICKLE_GLOBAL,    // text is "module.name"
    MCF_PICKLE_CALL,      // items[0] the callable, items[1] its arguments (a tuple); state where BUILD gave one
    MCF_PICKLE_PERSISTENT // items[0] the id
} mcf_pickle_kind;

typedef struct mcf_pickle_node {
    mcf_pickle_kind kind;
    int64_t integer;
    double number;
    const char *text; // points into the stream, or into memory of the pickle
    size_t length;    // of text
    struct mcf_pickle_node **items;
    size_t count, capacity;
    struct mcf_pickle_node *state;
} mcf_pickle_node;

bool mcf_pickle_is(const mcf_pickle_node *node, mcf_pickle_kind kind);
bool mcf_pickle_text_equals(const mcf_pickle_node *node, const char *text);
// The value of a string key in a dict; NULL: none, or no dict.
const mcf_pickle_node *mcf_pickle_get(const mcf_pickle_node *dict, const char *key);
// The "module.name" that a call calls, or NULL. Not zero-terminated: *length.
const char *mcf_pickle_callable(const mcf_pickle_node *call, size_t *length);
bool mcf_pickle_calls(const mcf_pickle_node *call, const char *name);

#endif
