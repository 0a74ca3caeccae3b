// The pickle machine, one function for an opcode or a few of a kind: a switch of sixty cases and what they share is
// one subject, hence the length.
#include "data/formats/pickle.h"
#include "data/formats/pickle_calls.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What one stream may make: a model has some ten thousand values, an optimizer's state some hundred thousand. GET repeats
// values at two bytes each, so the stream's own size is no bound. All of it together stays below 512 MiB.
enum { BLOCK = 512, MAX_NODES = 1 << 20, MAX_ITEMS = 4 << 20, MAX_STEPS = 8 << 20, MAX_NAME = 1024 };

typedef struct block {
    struct block *next;
    mcf_pickle_node nodes[BLOCK];
    int used;
} block;

typedef struct owned {
    struct owned *next;
    char text[];
} owned;

struct mcf_pickle {
    block *blocks;
    owned *texts;
    mcf_pickle_node *root;
    size_t node_count;
    mcf_pickle_node **persistents;
    size_t persistent_count, persistent_capacity;
};

typedef struct {
    const uint8_t *bytes;
    size_t size, at;
    mcf_pickle *pickle;
    mcf_pickle_node **stack;
    size_t depth, stack_capacity;
    size_t *marks;
    size_t mark_count, mark_capacity;
    mcf_pickle_node **memo;
    size_t memo_count, memo_capacity;
    size_t steps, item_count; // so far
    mcf_error *err;
} reader;

// --- memory

// These return constants, so that the compiler sees that a failure leaves the caller.
static mcf_status no_memory(reader *r)
{
    mcf_fail(r->err, MCF_ERR_NOMEM, "pickle: out of memory, or with more and longer values than any checkpoint");
    return MCF_ERR_NOMEM;
}

static mcf_status bad(reader *r, const char *what)
{
    mcf_fail(r->err, MCF_ERR_FORMAT, "pickle, byte %zu: %s; the file is damaged or no checkpoint", r->at, what);
    return MCF_ERR_FORMAT;
}

static mcf_pickle_node *new_node(reader *r, mcf_pickle_kind kind)
{
    mcf_pickle *p = r->pickle;
    if (p->node_count++ >= MAX_NODES)
        return NULL;
    if (!p->blocks || p->blocks->used == BLOCK) {
        block *b = calloc(1, sizeof *b);
        if (!b)
            return NULL;
        b->next = p->blocks;
        p->blocks = b;
    }
    mcf_pickle_node *node = &p->blocks->nodes[p->blocks->used++];
    node->kind = kind;
    return node;
}

static bool grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? 2 * *capacity : 8;
    void *memory = realloc(*(void **)array, larger * size);
    if (!memory)
        return false;
    *(void **)array = memory;
    *capacity = larger;
    return true;
}

static mcf_status add_item(reader *r, mcf_pickle_node *node, mcf_pickle_node *item)
{
    if (++r->item_count > MAX_ITEMS)
        return bad(r, "more values than any checkpoint has");
    if (!grow(&node->items, node->count, &node->capacity, sizeof *node->items))
        return no_memory(r);
    node->items[node->count++] = item;
    return MCF_OK;
}

static mcf_status push(reader *r, mcf_pickle_node *node)
{
    if (!node || !grow(&r->stack, r->depth, &r->stack_capacity, sizeof *r->stack))
        return no_memory(r);
    r->stack[r->depth++] = node;
    return MCF_OK;
}

// Values below the last mark belong to what is outside.
static size_t floor_of(const reader *r)
{
    return r->mark_count ? r->marks[r->mark_count - 1] : 0;
}

static mcf_status pop(reader *r, mcf_pickle_node **node)
{
    if (r->depth <= floor_of(r))
        return bad(r, "the stack is empty");
    *node = r->stack[--r->depth];
    return MCF_OK;
}

static mcf_status top(reader *r, mcf_pickle_node **node)
{
    if (r->depth <= floor_of(r))
        return bad(r, "the stack is empty");
    *node = r->stack[r->depth - 1];
    return MCF_OK;
}

// --- bytes

static mcf_status take(reader *r, size_t count, const uint8_t **bytes)
{
    if (count > r->size - r->at)
        return bad(r, "ends in the middle of a value");
    *bytes = r->bytes + r->at;
    r->at += count;
    return MCF_OK;
}

static mcf_status take_number(reader *r, int size, uint64_t *number)
{
    const uint8_t *b;
    MCF_TRY(take(r, (size_t)size, &b));
    *number = 0;
    for (int i = 0; i < size; i++)
        *number |= (uint64_t)b[i] << (8 * i);
    return MCF_OK;
}

// Up to a newline, which is taken too.
static mcf_status take_line(reader *r, const char **text, size_t *length)
{
    const uint8_t *start = r->bytes + r->at;
    const uint8_t *end = memchr(start, '\n', r->size - r->at);
    if (!end)
        return bad(r, "a line does not end");
    *text = (const char *)start;
    *length = (size_t)(end - start);
    r->at += *length + 1;
    return MCF_OK;
}

static mcf_status push_text(reader *r, mcf_pickle_kind kind, int length_bytes)
{
    uint64_t length;
    const uint8_t *bytes;
    MCF_TRY(take_number(r, length_bytes, &length));
    if (length > r->size - r->at)
        return bad(r, "a string ends past the file");
    MCF_TRY(take(r, (size_t)length, &bytes));
    mcf_pickle_node *node = new_node(r, kind);
    if (!node)
        return no_memory(r);
    node->text = (const char *)bytes;
    node->length = (size_t)length;
    return push(r, node);
}

static mcf_status push_int(reader *r, mcf_pickle_kind kind, int64_t value)
{
    mcf_pickle_node *node = new_node(r, kind);
    if (!node)
        return no_memory(r);
    node->integer = value;
    return push(r, node);
}

static mcf_status push_long(reader *r, int length_bytes)
{
    uint64_t length;
    const uint8_t *b;
    MCF_TRY(take_number(r, length_bytes, &length));
    if (length > r->size - r->at)
        return bad(r, "a number ends past the file");
    MCF_TRY(take(r, (size_t)length, &b));
    if (length > 8) {
        mcf_pickle_node *node = new_node(r, MCF_PICKLE_BIGINT);
        if (!node)
            return no_memory(r);
        node->text = (const char *)b;
        node->length = (size_t)length;
        return push(r, node);
    }
    uint64_t value = length && b[length - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (size_t i = (size_t)length; i-- > 0;)
        value = value << 8 | b[i];
    return push_int(r, MCF_PICKLE_INT, (int64_t)value);
}

// Text numbers of protocol 0: short, so a copy with a terminator will do.
static mcf_status line_number(reader *r, char copy[64])
{
    const char *text;
    size_t length;
    MCF_TRY(take_line(r, &text, &length));
    if (length == 0 || length >= 64)
        return bad(r, "a number has no digits or too many");
    memcpy(copy, text, length);
    copy[length] = '\0';
    return MCF_OK;
}

static mcf_status push_int_line(reader *r)
{
    char text[64], *end;
    MCF_TRY(line_number(r, text));
    if (!strcmp(text, "00") || !strcmp(text, "01"))
        return push_int(r, MCF_PICKLE_BOOL, text[1] == '1');
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || (*end && strcmp(end, "L")))
        return bad(r, "a number is none");
    return push_int(r, MCF_PICKLE_INT, value);
}

static mcf_status push_float(reader *r, double number)
{
    mcf_pickle_node *node = new_node(r, MCF_PICKLE_FLOAT);
    if (!node)
        return no_memory(r);
    node->number = number;
    return push(r, node);
}

static mcf_status push_binary_float(reader *r)
{
    const uint8_t *b;
    MCF_TRY(take(r, 8, &b));
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | b[i];
    double number;
    memcpy(&number, &bits, sizeof number);
    return push_float(r, number);
}

static mcf_status push_float_line(reader *r)
{
    char text[64], *end;
    MCF_TRY(line_number(r, text));
    double number = strtod(text, &end);
    if (*end)
        return bad(r, "a number is none");
    return push_float(r, number);
}

// Strings of protocol 0: quoted (STRING) or bare (UNICODE). Escapes are left as they are: no name of ours has any.
static mcf_status push_text_line(reader *r, bool quoted)
{
    const char *text;
    size_t length;
    MCF_TRY(take_line(r, &text, &length));
    if (quoted) {
        if (length < 2 || (text[0] != '\'' && text[0] != '"') || text[length - 1] != text[0])
            return bad(r, "a string has no quotes");
        text++;
        length -= 2;
    }
    mcf_pickle_node *node = new_node(r, MCF_PICKLE_STRING);
    if (!node)
        return no_memory(r);
    node->text = text;
    node->length = length;
    return push(r, node);
}

// --- containers

static mcf_status push_mark(reader *r)
{
    if (!grow(&r->marks, r->mark_count, &r->mark_capacity, sizeof *r->marks))
        return no_memory(r);
    r->marks[r->mark_count++] = r->depth;
    return MCF_OK;
}

// Takes off all that lies above the last mark, and the mark: values are then at stack[*first ..] until the next push.
static mcf_status pop_mark(reader *r, size_t *first, size_t *count)
{
    if (!r->mark_count)
        return bad(r, "there is no mark");
    *first = r->marks[--r->mark_count];
    *count = r->depth - *first;
    r->depth = *first;
    return MCF_OK;
}

static mcf_status push_collected(reader *r, mcf_pickle_kind kind, size_t first, size_t count)
{
    if (kind == MCF_PICKLE_DICT && count % 2)
        return bad(r, "a dict has a key without a value");
    mcf_pickle_node *node = new_node(r, kind);
    if (!node)
        return no_memory(r);
    for (size_t i = 0; i < count; i++)
        MCF_TRY(add_item(r, node, r->stack[first + i]));
    return push(r, node);
}

static mcf_status collect(reader *r, mcf_pickle_kind kind)
{
    size_t first, count;
    MCF_TRY(pop_mark(r, &first, &count));
    return push_collected(r, kind, first, count);
}

static mcf_status short_tuple(reader *r, size_t count)
{
    if (r->depth - floor_of(r) < count)
        return bad(r, "the stack is empty");
    r->depth -= count;
    return push_collected(r, MCF_PICKLE_TUPLE, r->depth, count);
}

// Adds what lies above the mark to the container below it. Inert objects swallow what is put into them.
static mcf_status extend(reader *r, mcf_pickle_kind kind)
{
    size_t first, count;
    mcf_pickle_node *container;
    MCF_TRY(pop_mark(r, &first, &count));
    MCF_TRY(top(r, &container));
    if (container->kind != kind)
        return container->kind == MCF_PICKLE_CALL ? MCF_OK : bad(r, "items for what is no container");
    if (kind == MCF_PICKLE_DICT && count % 2)
        return bad(r, "a dict has a key without a value");
    for (size_t i = 0; i < count; i++)
        MCF_TRY(add_item(r, container, r->stack[first + i]));
    return MCF_OK;
}

static mcf_status append(reader *r)
{
    mcf_pickle_node *item, *list;
    MCF_TRY(pop(r, &item));
    MCF_TRY(top(r, &list));
    if (list->kind == MCF_PICKLE_CALL)
        return MCF_OK;
    return list->kind == MCF_PICKLE_LIST ? add_item(r, list, item) : bad(r, "an item for what is no list");
}

static mcf_status set_item(reader *r)
{
    mcf_pickle_node *key, *value, *dict;
    MCF_TRY(pop(r, &value));
    MCF_TRY(pop(r, &key));
    MCF_TRY(top(r, &dict));
    if (dict->kind == MCF_PICKLE_CALL)
        return MCF_OK;
    if (dict->kind != MCF_PICKLE_DICT)
        return bad(r, "an entry for what is no dict");
    MCF_TRY(add_item(r, dict, key));
    return add_item(r, dict, value);
}

// --- memo

static mcf_status put(reader *r, uint64_t index)
{
    mcf_pickle_node *node;
    MCF_TRY(top(r, &node));
    if (index > r->steps) // every value was made by a step before
        return bad(r, "a memo number is out of range");
    while (r->memo_capacity <= index) {
        size_t old = r->memo_capacity;
        if (!grow(&r->memo, old, &r->memo_capacity, sizeof *r->memo))
            return no_memory(r);
        memset(r->memo + old, 0, (r->memo_capacity - old) * sizeof *r->memo);
    }
    r->memo[index] = node;
    r->memo_count++;
    return MCF_OK;
}

static mcf_status get(reader *r, uint64_t index)
{
    if (index >= r->memo_capacity || !r->memo[index])
        return bad(r, "a memo number was never set");
    return push(r, r->memo[index]);
}

static mcf_status memo_line(reader *r, mcf_status (*use)(reader *, uint64_t))
{
    char text[64], *end;
    MCF_TRY(line_number(r, text));
    errno = 0;
    unsigned long long index = strtoull(text, &end, 10);
    if (errno || *end)
        return bad(r, "a memo number is none");
    return use(r, index);
}

// --- globals and calls (what may be called: pickle_calls.c)

static mcf_pickle_node *global_node(reader *r, const char *module, size_t module_length, const char *name,
                                    size_t name_length)
{
    if (module_length > MAX_NAME || name_length > MAX_NAME)
        return NULL;
    owned *text = malloc(sizeof *text + module_length + name_length + 1);
    mcf_pickle_node *node = text ? new_node(r, MCF_PICKLE_GLOBAL) : NULL;
    if (!node) {
        free(text);
        return NULL;
    }
    text->next = r->pickle->texts;
    r->pickle->texts = text;
    memcpy(text->text, module, module_length);
    text->text[module_length] = '.';
    memcpy(text->text + module_length + 1, name, name_length);
    node->text = text->text;
    node->length = module_length + 1 + name_length;
    return node;
}

static mcf_status global_lines(reader *r, mcf_pickle_node **node)
{
    const char *module, *name;
    size_t module_length, name_length;
    MCF_TRY(take_line(r, &module, &module_length));
    MCF_TRY(take_line(r, &name, &name_length));
    *node = global_node(r, module, module_length, name, name_length);
    return *node ? MCF_OK : no_memory(r);
}

static mcf_status stack_global(reader *r)
{
    mcf_pickle_node *module, *name;
    MCF_TRY(pop(r, &name));
    MCF_TRY(pop(r, &module));
    if (module->kind != MCF_PICKLE_STRING || name->kind != MCF_PICKLE_STRING)
        return bad(r, "a global has no name");
    return push(r, global_node(r, module->text, module->length, name->text, name->length));
}

// Calls of OrderedDict and its kin become what they build; all others stay calls, never made.
static mcf_status call(reader *r, mcf_pickle_node *callable, mcf_pickle_node *arguments, bool makes_only)
{
    if (callable->kind != MCF_PICKLE_GLOBAL && !mcf_pickle_is(callable, MCF_PICKLE_CALL))
        return bad(r, "a call of what is no function");
    MCF_TRY(mcf_pickle_check_call(callable, arguments, makes_only, r->err));
    bool dict = mcf_pickle_text_equals(callable, "collections.OrderedDict") ||
                mcf_pickle_text_equals(callable, "collections.defaultdict") ||
                mcf_pickle_text_equals(callable, "builtins.dict") ||
                mcf_pickle_text_equals(callable, "__builtin__.dict");
    if (callable->kind == MCF_PICKLE_GLOBAL && dict) {
        mcf_pickle_node *node = new_node(r, MCF_PICKLE_DICT);
        if (!node)
            return no_memory(r);
        // Python 2 wrote OrderedDict([[key, value], ...]).
        const mcf_pickle_node *pairs = arguments->count ? arguments->items[0] : NULL;
        if (pairs && pairs->kind == MCF_PICKLE_LIST)
            for (size_t i = 0; i < pairs->count; i++) {
                const mcf_pickle_node *pair = pairs->items[i];
                if ((pair->kind != MCF_PICKLE_LIST && pair->kind != MCF_PICKLE_TUPLE) || pair->count != 2)
                    return bad(r, "an OrderedDict has a part that is no pair");
                MCF_TRY(add_item(r, node, pair->items[0]));
                MCF_TRY(add_item(r, node, pair->items[1]));
            }
        return push(r, node);
    }
    // torch.Size((1, 2)) is a tuple.
    if (mcf_pickle_text_equals(callable, "torch.Size") && arguments->count == 1 &&
        (arguments->items[0]->kind == MCF_PICKLE_TUPLE || arguments->items[0]->kind == MCF_PICKLE_LIST))
        return push(r, arguments->items[0]);
    mcf_pickle_node *node = new_node(r, MCF_PICKLE_CALL);
    if (!node)
        return no_memory(r);
    MCF_TRY(add_item(r, node, callable));
    MCF_TRY(add_item(r, node, arguments));
    return push(r, node);
}

static mcf_status reduce(reader *r, bool makes_only)
{
    mcf_pickle_node *callable, *arguments;
    MCF_TRY(pop(r, &arguments));
    MCF_TRY(pop(r, &callable));
    if (arguments->kind != MCF_PICKLE_TUPLE)
        return bad(r, "a call has no arguments");
    return call(r, callable, arguments, makes_only);
}

static mcf_status new_object_with_keywords(reader *r)
{
    mcf_pickle_node *keywords;
    MCF_TRY(pop(r, &keywords));
    return reduce(r, true);
}

// INST: the class is in the stream, the arguments above the mark. OBJ: the class is the first above the mark.
static mcf_status instance(reader *r, bool class_in_stream)
{
    mcf_pickle_node *class = NULL;
    if (class_in_stream)
        MCF_TRY(global_lines(r, &class));
    size_t first, count;
    MCF_TRY(pop_mark(r, &first, &count));
    if (!class) {
        if (!count)
            return bad(r, "an object has no class");
        class = r->stack[first++];
        count--;
    }
    mcf_pickle_node *arguments = new_node(r, MCF_PICKLE_TUPLE);
    if (!arguments)
        return no_memory(r);
    for (size_t i = 0; i < count; i++)
        MCF_TRY(add_item(r, arguments, r->stack[first + i]));
    return call(r, class, arguments, false);
}

// A state for an object. Dicts take attributes beside their entries (state_dict's _metadata): nothing of ours.
static mcf_status build(reader *r)
{
    mcf_pickle_node *state, *object;
    MCF_TRY(pop(r, &state));
    MCF_TRY(top(r, &object));
    if (object->kind == MCF_PICKLE_GLOBAL)
        return mcf_fail(
            r->err, MCF_ERR_FORMAT,
            "the file changes %.*s itself when it is opened: refused, nothing was run; do not open it elsewhere",
            (int)(object->length < 200 ? object->length : 200), object->text);
    if (object->kind == MCF_PICKLE_CALL)
        object->state = state;
    return MCF_OK;
}

// ('module', class, file, source): old streams keep the source of a module's class beside it, and mean the class.
static mcf_pickle_node *class_of_module(const mcf_pickle_node *id)
{
    return mcf_pickle_is(id, MCF_PICKLE_TUPLE) && id->count > 1 && mcf_pickle_text_equals(id->items[0], "module") &&
                   mcf_pickle_is(id->items[1], MCF_PICKLE_GLOBAL)
               ? id->items[1]
               : NULL;
}

static mcf_status persistent(reader *r, bool line)
{
    mcf_pickle_node *id;
    if (line) {
        MCF_TRY(push_text_line(r, false));
    }
    MCF_TRY(pop(r, &id));
    if (class_of_module(id))
        return push(r, class_of_module(id));
    mcf_pickle_node *node = new_node(r, MCF_PICKLE_PERSISTENT);
    if (!node)
        return no_memory(r);
    MCF_TRY(add_item(r, node, id));
    mcf_pickle *p = r->pickle;
    if (!grow(&p->persistents, p->persistent_count, &p->persistent_capacity, sizeof *p->persistents))
        return no_memory(r);
    p->persistents[p->persistent_count++] = node;
    return push(r, node);
}

static mcf_status push_global_lines(reader *r)
{
    mcf_pickle_node *node;
    MCF_TRY(global_lines(r, &node));
    return push(r, node);
}

static mcf_status push_number(reader *r, int bytes, bool is_signed)
{
    uint64_t n;
    MCF_TRY(take_number(r, bytes, &n));
    return push_int(r, MCF_PICKLE_INT, is_signed ? (int64_t)(int32_t)(uint32_t)n : (int64_t)n);
}

static mcf_status memo_number(reader *r, int bytes, mcf_status (*use)(reader *, uint64_t))
{
    uint64_t n;
    MCF_TRY(take_number(r, bytes, &n));
    return use(r, n);
}

// The families of opcodes. Each sets *known to false, and does nothing, where the opcode is not one of its own.
// The protocol, frames and the stack itself.
static mcf_status step_stack(reader *r, uint8_t opcode, bool *known)
{
    mcf_pickle_node *node;
    const uint8_t *skipped;
    size_t first, count;
    switch (opcode) {
    case 0x80: { // PROTO
        MCF_TRY(take(r, 1, &skipped));
        return *skipped > 5 ? bad(r, "a pickle protocol newer than 5") : MCF_OK;
    }
    case 0x95:
        return take(r, 8, &skipped); // FRAME
    case '(':
        return push_mark(r);
    case '0': // POP: a value, or the mark itself
        if (r->mark_count && r->depth == floor_of(r)) {
            r->mark_count--;
            return MCF_OK;
        }
        return pop(r, &node);
    case '1':
        return pop_mark(r, &first, &count);
    case '2':
        MCF_TRY(top(r, &node));
        return push(r, node);
    default:
        *known = false;
        return MCF_OK;
    }
}

// None, truth values, numbers, texts and bytes.
static mcf_status step_value(reader *r, uint8_t opcode, bool *known)
{
    switch (opcode) {
    case 'N':
        return push_int(r, MCF_PICKLE_NONE, 0);
    case 0x88:
        return push_int(r, MCF_PICKLE_BOOL, 1);
    case 0x89:
        return push_int(r, MCF_PICKLE_BOOL, 0);
    case 'I':
    case 'L':
        return push_int_line(r);
    case 'J':
        return push_number(r, 4, true);
    case 'K':
        return push_number(r, 1, false);
    case 'M':
        return push_number(r, 2, false);
    case 0x8a:
        return push_long(r, 1);
    case 0x8b:
        return push_long(r, 4);
    case 'F':
        return push_float_line(r);
    case 'G':
        return push_binary_float(r);
    case 'S':
        return push_text_line(r, true);
    case 'V':
        return push_text_line(r, false);
    case 'T':
        return push_text(r, MCF_PICKLE_STRING, 4);
    case 'U':
        return push_text(r, MCF_PICKLE_STRING, 1);
    case 'X':
        return push_text(r, MCF_PICKLE_STRING, 4);
    case 0x8c:
        return push_text(r, MCF_PICKLE_STRING, 1);
    case 0x8d:
        return push_text(r, MCF_PICKLE_STRING, 8);
    case 'B':
        return push_text(r, MCF_PICKLE_BYTES, 4);
    case 'C':
        return push_text(r, MCF_PICKLE_BYTES, 1);
    case 0x8e:
    case 0x96:
        return push_text(r, MCF_PICKLE_BYTES, 8);
    default:
        *known = false;
        return MCF_OK;
    }
}

// Lists, tuples, dicts and sets.
static mcf_status step_collection(reader *r, uint8_t opcode, bool *known)
{
    switch (opcode) {
    case ']':
        return push_collected(r, MCF_PICKLE_LIST, r->depth, 0);
    case ')':
        return push_collected(r, MCF_PICKLE_TUPLE, r->depth, 0);
    case '}':
        return push_collected(r, MCF_PICKLE_DICT, r->depth, 0);
    case 0x8f:
        return push_collected(r, MCF_PICKLE_SET, r->depth, 0);
    case 'l':
        return collect(r, MCF_PICKLE_LIST);
    case 't':
        return collect(r, MCF_PICKLE_TUPLE);
    case 'd':
        return collect(r, MCF_PICKLE_DICT);
    case 0x91:
        return collect(r, MCF_PICKLE_SET);
    case 0x85:
        return short_tuple(r, 1);
    case 0x86:
        return short_tuple(r, 2);
    case 0x87:
        return short_tuple(r, 3);
    case 'a':
        return append(r);
    case 'e':
        return extend(r, MCF_PICKLE_LIST);
    case 's':
        return set_item(r);
    case 'u':
        return extend(r, MCF_PICKLE_DICT);
    case 0x90:
        return extend(r, MCF_PICKLE_SET);
    default:
        *known = false;
        return MCF_OK;
    }
}

// Values that are named and used again.
static mcf_status step_memo(reader *r, uint8_t opcode, bool *known)
{
    switch (opcode) {
    case 'p':
        return memo_line(r, put);
    case 'q':
        return memo_number(r, 1, put);
    case 'r':
        return memo_number(r, 4, put);
    case 0x94:
        return put(r, r->memo_count);
    case 'g':
        return memo_line(r, get);
    case 'h':
        return memo_number(r, 1, get);
    case 'j':
        return memo_number(r, 4, get);
    default:
        *known = false;
        return MCF_OK;
    }
}

// Globals, calls, objects and storages.
static mcf_status step_object(reader *r, uint8_t opcode, bool *known)
{
    switch (opcode) {
    case 'c':
        return push_global_lines(r);
    case 0x93:
        return stack_global(r);
    case 'R':
        return reduce(r, false);
    case 0x81: // NEWOBJ
        return reduce(r, true);
    case 0x92:
        return new_object_with_keywords(r);
    case 'i':
        return instance(r, true);
    case 'o':
        return instance(r, false);
    case 'b':
        return build(r);
    case 'P':
        return persistent(r, true);
    case 'Q':
        return persistent(r, false);
    default:
        *known = false;
        return MCF_OK;
    }
}

static mcf_status step(reader *r, uint8_t opcode)
{
    mcf_status (*const families[])(reader *, uint8_t, bool *) = {step_stack, step_value, step_collection, step_memo,
                                                                 step_object};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        bool known = true;
        mcf_status status = families[i](r, opcode, &known);
        if (known)
            return status;
    }
    char what[64];
    snprintf(what, sizeof what, "opcode 0x%02x is not known", opcode);
    r->at--;
    return bad(r, what);
}

mcf_status mcf_pickle_read(const void *bytes, size_t size, mcf_pickle **pickle, size_t *used, mcf_error *err)
{
    reader r = {.bytes = bytes, .size = size, .err = err};
    *pickle = NULL;
    r.pickle = calloc(1, sizeof *r.pickle);
    if (!r.pickle)
        return no_memory(&r);
    mcf_status status = MCF_OK;
    for (;;) {
        const uint8_t *opcode;
        status = take(&r, 1, &opcode);
        if (status != MCF_OK || *opcode == '.')
            break;
        status = ++r.steps > MAX_STEPS ? bad(&r, "longer than any checkpoint's") : step(&r, *opcode);
        if (status != MCF_OK)
            break;
    }
    if (status == MCF_OK)
        status = pop(&r, &r.pickle->root);
    free(r.stack);
    free(r.marks);
    free(r.memo);
    if (status != MCF_OK) {
        mcf_pickle_free(r.pickle);
        return status;
    }
    *used = r.at;
    *pickle = r.pickle;
    return MCF_OK;
}

void mcf_pickle_free(mcf_pickle *pickle)
{
    if (!pickle)
        return;
    for (block *b = pickle->blocks, *next; b; b = next) {
        next = b->next;
        for (int i = 0; i < b->used; i++)
            free(b->nodes[i].items);
        free(b);
    }
    for (owned *t = pickle->texts, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    free(pickle->persistents);
    free(pickle);
}

size_t mcf_pickle_persistents(const mcf_pickle *pickle, mcf_pickle_node *const **nodes)
{
    *nodes = pickle->persistents;
    return pickle->persistent_count;
}

const mcf_pickle_node *mcf_pickle_root(const mcf_pickle *pickle)
{
    return pickle->root;
}
