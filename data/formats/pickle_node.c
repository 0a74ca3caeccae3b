#include "data/formats/pickle_node.h"

#include <string.h>

bool mcf_pickle_is(const mcf_pickle_node *node, mcf_pickle_kind kind)
{
    return node && node->kind == kind;
}

bool mcf_pickle_text_equals(const mcf_pickle_node *node, const char *text)
{
    size_t length = strlen(text);
    return node && node->text && node->length == length && !memcmp(node->text, text, length);
}

const mcf_pickle_node *mcf_pickle_get(const mcf_pickle_node *dict, const char *key)
{
    if (!mcf_pickle_is(dict, MCF_PICKLE_DICT))
        return NULL;
    const mcf_pickle_node *found = NULL; // the last of equal keys counts, as in Python
    for (size_t i = 0; i + 1 < dict->count; i += 2)
        if (mcf_pickle_is(dict->items[i], MCF_PICKLE_STRING) && mcf_pickle_text_equals(dict->items[i], key))
            found = dict->items[i + 1];
    return found;
}

const char *mcf_pickle_callable(const mcf_pickle_node *call, size_t *length)
{
    if (!mcf_pickle_is(call, MCF_PICKLE_CALL) || call->items[0]->kind != MCF_PICKLE_GLOBAL)
        return NULL;
    *length = call->items[0]->length;
    return call->items[0]->text;
}

bool mcf_pickle_calls(const mcf_pickle_node *call, const char *name)
{
    return mcf_pickle_is(call, MCF_PICKLE_CALL) && mcf_pickle_is(call->items[0], MCF_PICKLE_GLOBAL) &&
           mcf_pickle_text_equals(call->items[0], name);
}
