// PyTorch's files, zip or the older stream: which members there are, what their storages hold, and the tensors that the
// pickle machine found in them. Every offset and size is checked against the file where it is used, hence the length.
#include "base/file.h"
#include "data/formats/pth.h"
#include "data/formats/pth_zip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Pickles of models are some hundred kilobytes; optimizer states some megabytes.
enum { MAX_PICKLE = 256 << 20, MAX_KEY = 256, MAX_NAME = 1024, MAX_ENTRIES = 1 << 14, MAX_DEPTH = 64 };

typedef struct {
    char key[MAX_KEY]; // name in the container
    int type;          // into `types`
    int64_t count;     // elements
    uint64_t at;       // stream files: offset of the bytes; UINT64_MAX: not known
} storage;

struct mcf_pth {
    char *label;
    const uint8_t *bytes; // the whole file
    size_t size;
    void *mapped;
    mcf_pth_zip *zip;   // NULL: a stream file
    char *pickle_bytes; // of a zip's data.pkl
    mcf_pickle *pickle;
    mcf_pth_entry *entries;
    size_t count, capacity;
    storage *storages;
    int storage_count, storage_capacity;
    uint8_t *loaded; // bytes of storage number loaded_index
    int loaded_index;
    char **strings;
    size_t string_count, string_capacity;
    int modules; // of an archive of torch.jit.save, as they are met
};

// OTHER: read as fp32 only. UNREAD: known by name and size, so that what lies behind it in a stream is found.
enum { OTHER = -1, UNREAD = -2 };
static const struct {
    const char *storage, *dtype, *name;
    int size, mcf;
} types[] = {
    {"torch.FloatStorage", "torch.float32", "float32", 4, MCF_F32},
    {"torch.DoubleStorage", "torch.float64", "float64", 8, MCF_F64},
    {"torch.HalfStorage", "torch.float16", "float16", 2, MCF_F16},
    {"torch.BFloat16Storage", "torch.bfloat16", "bfloat16", 2, MCF_BF16},
    {"torch.LongStorage", "torch.int64", "int64", 8, MCF_I64},
    {"torch.IntStorage", "torch.int32", "int32", 4, MCF_I32},
    {"torch.ShortStorage", "torch.int16", "int16", 2, OTHER},
    {"torch.CharStorage", "torch.int8", "int8", 1, OTHER},
    {"torch.ByteStorage", "torch.uint8", "uint8", 1, MCF_U8},
    {"torch.BoolStorage", "torch.bool", "bool", 1, OTHER},
    {"torch.storage.UntypedStorage", "", "bytes", 1, MCF_U8},
    {"torch.ComplexFloatStorage", "torch.complex64", "complex64", 8, UNREAD},
    {"torch.ComplexDoubleStorage", "torch.complex128", "complex128", 16, UNREAD},
    {"torch.ComplexHalfStorage", "torch.complex32", "complex32", 4, UNREAD},
    {"torch.QInt8Storage", "torch.qint8", "qint8", 1, UNREAD},
    {"torch.QUInt8Storage", "torch.quint8", "quint8", 1, UNREAD},
    {"torch.QInt32Storage", "torch.qint32", "qint32", 4, UNREAD},
    {"torch.QUInt4x2Storage", "torch.quint4x2", "quint4x2", 1, UNREAD},
    {"torch.QUInt2x4Storage", "torch.quint2x4", "quint2x4", 1, UNREAD},
    {"", "torch.uint16", "uint16", 2, UNREAD},
    {"", "torch.uint32", "uint32", 4, UNREAD},
    {"", "torch.uint64", "uint64", 8, UNREAD},
    {"", "torch.float8_e4m3fn", "float8_e4m3fn", 1, UNREAD},
    {"", "torch.float8_e5m2", "float8_e5m2", 1, UNREAD},
    {"", "torch.float8_e4m3fnuz", "float8_e4m3fnuz", 1, UNREAD},
    {"", "torch.float8_e5m2fnuz", "float8_e5m2fnuz", 1, UNREAD},
    {"", "torch.float8_e8m0fnu", "float8_e8m0fnu", 1, UNREAD},
};
enum { TYPE_COUNT = sizeof types / sizeof *types };

static bool grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? 2 * *capacity : 64;
    void *memory = realloc(*(void **)array, larger * size);
    if (!memory)
        return false;
    *(void **)array = memory;
    *capacity = larger;
    return true;
}

static mcf_status no_memory(const mcf_pth *file, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", file->label);
}

static const char *keep_string(mcf_pth *file, const char *text, size_t length)
{
    if (!grow(&file->strings, file->string_count, &file->string_capacity, sizeof *file->strings))
        return NULL;
    char *copy = strndup(text, length); // a name ends at a zero byte
    if (copy)
        file->strings[file->string_count++] = copy;
    return copy;
}

bool mcf_pth_is(const void *bytes, size_t size)
{
    const uint8_t *b = bytes;
    return size >= 4 && (!memcmp(b, "PK\3\4", 4) || (b[0] == 0x80 && b[1] >= 1 && b[1] <= 5));
}

static mcf_status read_part(const mcf_pth *file, const char *name, int64_t size, size_t limit, char **bytes,
                            size_t *length, mcf_error *err)
{
    return mcf_pth_zip_read(file->zip, name, size, limit, bytes, length, err);
}

static mcf_status check_byte_order(const mcf_pth *file, mcf_error *err)
{
    char *order;
    size_t length;
    mcf_error missing;
    // Files before torch 2.1 do not say; they are little-endian.
    if (read_part(file, "byteorder", -1, 16, &order, &length, &missing) != MCF_OK)
        return MCF_OK;
    bool little = length == 6 && !memcmp(order, "little", 6);
    free(order);
    return little ? MCF_OK
                  : mcf_fail(err, MCF_ERR_UNSUPPORTED,
                             "%s: written on a big-endian machine; save it again on a "
                             "little-endian one",
                             file->label);
}

// --- storages

static int find_type(const mcf_pickle_node *node, bool as_dtype)
{
    if (!mcf_pickle_is(node, MCF_PICKLE_GLOBAL))
        return -1;
    for (int i = 0; i < TYPE_COUNT; i++) {
        const char *name = as_dtype ? types[i].dtype : types[i].storage;
        if (*name && mcf_pickle_text_equals(node, name))
            return i;
    }
    return -1;
}

static mcf_status foreign(const mcf_pth *file, const char *name, const char *what, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: tensor %s: %s", file->label, name, what);
}

static mcf_status no_such_type(mcf_pth *file, const mcf_pickle_node *type, const char **unread, mcf_error *err)
{
    char words[200];
    const bool named = mcf_pickle_is(type, MCF_PICKLE_GLOBAL);
    snprintf(words, sizeof words, "a tensor of the type %.*s",
             named ? (int)(type->length < 100 ? type->length : 100) : 7, named ? type->text : "unknown");
    *unread = keep_string(file, words, strlen(words));
    return *unread ? MCF_OK : no_memory(file, err);
}

// ('storage', class, key, location, count) and, in stream files, a view (key, offset, count) or None. *unread is set, and
// nothing else, where the class is none we know.
static mcf_status find_storage(mcf_pth *file, const mcf_pickle_node *persistent, const char *name, int *index,
                               int64_t *view_offset, const char **unread, mcf_error *err)
{
    const mcf_pickle_node *id = mcf_pickle_is(persistent, MCF_PICKLE_PERSISTENT) ? persistent->items[0] : NULL;
    if (!mcf_pickle_is(id, MCF_PICKLE_TUPLE) || id->count < 5 || !mcf_pickle_text_equals(id->items[0], "storage") ||
        !mcf_pickle_is(id->items[2], MCF_PICKLE_STRING) || !mcf_pickle_is(id->items[4], MCF_PICKLE_INT))
        return foreign(file, name, "its storage is not described as torch.save does", err);
    int type = find_type(id->items[1], false);
    *unread = NULL;
    if (type < 0)
        return no_such_type(file, id->items[1], unread, err);
    const mcf_pickle_node *key = id->items[2];
    int64_t count = id->items[4]->integer;
    if (key->length == 0 || key->length >= MAX_KEY || memchr(key->text, 0, key->length))
        return foreign(file, name, "its storage has no usable key", err);
    if (count < 0 || (uint64_t)count > file->size / (uint64_t)types[type].size)
        return foreign(file, name, "its storage is larger than the file", err);
    *view_offset = 0;
    if (id->count > 5 && mcf_pickle_is(id->items[5], MCF_PICKLE_TUPLE)) {
        const mcf_pickle_node *view = id->items[5];
        if (view->count != 3 || !mcf_pickle_is(view->items[1], MCF_PICKLE_INT) || view->items[1]->integer < 0)
            return foreign(file, name, "its storage is a view that makes no sense", err);
        *view_offset = view->items[1]->integer;
    }
    for (int i = 0; i < file->storage_count; i++)
        if (strlen(file->storages[i].key) == key->length && !memcmp(file->storages[i].key, key->text, key->length)) {
            if (file->storages[i].type != type || file->storages[i].count != count)
                return foreign(file, name, "its storage is described in two ways", err);
            *index = i;
            return MCF_OK;
        }
    if (file->storage_count >= MAX_ENTRIES)
        return foreign(file, name, "the file names more storages than any checkpoint", err);
    size_t capacity = (size_t)file->storage_capacity;
    if (!grow(&file->storages, (size_t)file->storage_count, &capacity, sizeof *file->storages))
        return no_memory(file, err);
    file->storage_capacity = (int)capacity;
    storage *s = &file->storages[file->storage_count];
    *s = (storage){.type = type, .count = count, .at = UINT64_MAX};
    memcpy(s->key, key->text, key->length);
    *index = file->storage_count++;
    return MCF_OK;
}

// --- tensors

static mcf_status read_numbers(const mcf_pth *file, const mcf_pickle_node *node, const char *name, int64_t *numbers,
                               int *count, mcf_error *err)
{
    if (!mcf_pickle_is(node, MCF_PICKLE_TUPLE) && !mcf_pickle_is(node, MCF_PICKLE_LIST))
        return foreign(file, name, "its sizes or strides are no tuple", err);
    if (node->count > MCF_MAX_RANK)
        return foreign(file, name, "it has more than 6 dimensions", err);
    *count = (int)node->count;
    for (size_t i = 0; i < node->count; i++) {
        if (!mcf_pickle_is(node->items[i], MCF_PICKLE_INT) || node->items[i]->integer < 0)
            return foreign(file, name, "a size or stride is no number from 0", err);
        numbers[i] = node->items[i]->integer;
    }
    return MCF_OK;
}

// That every element lies in the storage.
static mcf_status check_extent(const mcf_pth *file, const mcf_pth_entry *e, int64_t available, mcf_error *err)
{
    if (e->count == 0)
        return MCF_OK;
    int64_t last = e->offset;
    for (int i = 0; i < e->shape.rank; i++) {
        int64_t reach;
        if (__builtin_mul_overflow(e->shape.dim[i] - 1, e->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return foreign(file, e->name, "its strides overflow", err);
    }
    return last < available ? MCF_OK : foreign(file, e->name, "it reaches past its storage", err);
}

// What a view means beyond its strides (torch._utils.get_tensor_metadata): {"neg": True} turns the sign. A conjugate of
// real numbers is the number. Whatever comes next is named.
static mcf_status read_flags(mcf_pth *file, const mcf_pickle_node *flags, mcf_pth_entry *e, mcf_error *err)
{
    if (!mcf_pickle_is(flags, MCF_PICKLE_DICT))
        return MCF_OK;
    for (size_t i = 0; i + 1 < flags->count; i += 2) {
        const mcf_pickle_node *key = flags->items[i], *value = flags->items[i + 1];
        const bool off =
            mcf_pickle_is(value, MCF_PICKLE_NONE) ||
            ((mcf_pickle_is(value, MCF_PICKLE_BOOL) || mcf_pickle_is(value, MCF_PICKLE_INT)) && !value->integer);
        if (off || mcf_pickle_text_equals(key, "conj"))
            continue;
        if (mcf_pickle_text_equals(key, "neg")) {
            e->negative = true;
            continue;
        }
        char words[128];
        const bool named = mcf_pickle_is(key, MCF_PICKLE_STRING);
        snprintf(words, sizeof words, "a view marked '%.*s', whose meaning is not known",
                 named ? (int)(key->length < 60 ? key->length : 60) : 1, named ? key->text : "?");
        e->unread = keep_string(file, words, strlen(words));
        return e->unread ? MCF_OK : no_memory(file, err);
    }
    return MCF_OK;
}

// _rebuild_tensor_v2(storage, offset, size, stride, ...); v3 has the element type as its seventh argument.
static mcf_status read_tensor(mcf_pth *file, const mcf_pickle_node *arguments, bool v3, mcf_pth_entry *e,
                              mcf_error *err)
{
    if (arguments->count < (v3 ? 7 : 4) || !mcf_pickle_is(arguments->items[1], MCF_PICKLE_INT) ||
        arguments->items[1]->integer < 0)
        return foreign(file, e->name, "it is not built as torch.save does", err);
    int64_t view_offset = 0;
    MCF_TRY(find_storage(file, arguments->items[0], e->name, &e->storage, &view_offset, &e->unread, err));
    if (e->unread)
        return MCF_OK;
    const storage *s = &file->storages[e->storage];
    int64_t available = s->count;
    int type = s->type;
    if (v3) {
        type = find_type(arguments->items[6], true);
        if (type < 0)
            return no_such_type(file, arguments->items[6], &e->unread, err);
        available = available * types[s->type].size / types[type].size;
    }
    if (types[type].mcf == UNREAD) {
        char words[64];
        snprintf(words, sizeof words, "a tensor of %s", types[type].name);
        e->unread = keep_string(file, words, strlen(words));
        return e->unread ? MCF_OK : no_memory(file, err);
    }
    const size_t flags_at = v3 ? 7 : 6;
    if (arguments->count > flags_at) {
        MCF_TRY(read_flags(file, arguments->items[flags_at], e, err));
        if (e->unread)
            return MCF_OK;
    }
    e->type = type;
    e->stored = types[type].name;
    e->native = types[type].mcf != OTHER;
    if (e->native)
        e->dtype = (mcf_dtype)types[type].mcf;
    if (__builtin_add_overflow(arguments->items[1]->integer, view_offset, &e->offset))
        return foreign(file, e->name, "its offset overflows", err);
    int strides;
    MCF_TRY(read_numbers(file, arguments->items[2], e->name, e->shape.dim, &e->shape.rank, err));
    MCF_TRY(read_numbers(file, arguments->items[3], e->name, e->stride, &strides, err));
    if (strides != e->shape.rank)
        return foreign(file, e->name, "it has not as many strides as sizes", err);
    if (mcf_shape_count_checked(&e->shape, &e->count, NULL) != MCF_OK)
        return foreign(file, e->name, "its sizes overflow", err);
    return check_extent(file, e, available, err);
}

static mcf_status add_entry(mcf_pth *file, const mcf_pth_entry *entry, mcf_error *err)
{
    if (file->count >= MAX_ENTRIES)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: names more tensors than any checkpoint; refused", file->label);
    if (!grow(&file->entries, file->count, &file->capacity, sizeof *file->entries))
        return no_memory(file, err);
    file->entries[file->count++] = *entry;
    return MCF_OK;
}

// Which of torch's tensor rebuilders this is a call of, and with what: 2, 3 or 0 for none.
static int rebuilds(const mcf_pickle_node *value, const mcf_pickle_node **arguments)
{
    if (!mcf_pickle_is(value, MCF_PICKLE_CALL))
        return 0;
    const mcf_pickle_node *function = value->items[0];
    *arguments = value->items[1];
    // A tensor with attributes of Python's: (function, class, its arguments, attributes).
    if (mcf_pickle_text_equals(function, "torch._tensor._rebuild_from_type_v2") && (*arguments)->count >= 3 &&
        mcf_pickle_is((*arguments)->items[0], MCF_PICKLE_GLOBAL) &&
        mcf_pickle_is((*arguments)->items[2], MCF_PICKLE_TUPLE)) {
        function = (*arguments)->items[0];
        *arguments = (*arguments)->items[2];
    }
    if (mcf_pickle_text_equals(function, "torch._utils._rebuild_tensor_v2") ||
        mcf_pickle_text_equals(function, "torch._utils._rebuild_tensor"))
        return 2;
    return mcf_pickle_text_equals(function, "torch._utils._rebuild_tensor_v3") ? 3 : 0;
}

// Tensors of kinds that are not read, by the function that would build them.
static const char *unread_kind(const mcf_pickle_node *value)
{
    static const struct {
        const char *function, *words;
    } kinds[] = {
        {"torch._utils._rebuild_sparse_tensor", "a sparse tensor"},
        {"torch._utils._rebuild_sparse_csr_tensor", "a sparse tensor"},
        {"torch._utils._rebuild_qtensor", "a quantised tensor"},
        {"torch._utils._rebuild_nested_tensor", "a nested tensor"},
        {"torch._utils._rebuild_meta_tensor_no_storage", "a tensor without values (of the meta device)"},
        {"torch._utils._rebuild_wrapper_subclass", "a tensor of a class of its own"},
        {"torch._utils._rebuild_device_tensor_from_numpy", "a tensor of another device"},
        {"torch._utils._rebuild_device_tensor_from_cpu_tensor", "a tensor of another device"},
        {"torch._utils._rebuild_xla_tensor", "a tensor of another device"},
        {"numpy.core.multiarray._reconstruct", "a NumPy array"},
        {"numpy._core.multiarray._reconstruct", "a NumPy array"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (mcf_pickle_calls(value, kinds[i].function))
            return kinds[i].words;
    return NULL;
}

// name: NULL where there was no memory for it.
static mcf_status add_value(mcf_pth *file, const char *group, const char *name, const mcf_pickle_node *value,
                            mcf_error *err)
{
    mcf_pth_entry entry = {.group = group, .name = name};
    if (!entry.name)
        return no_memory(file, err);
    // A Parameter is a tensor with a flag.
    bool parameter = mcf_pickle_calls(value, "torch._utils._rebuild_parameter") ||
                     mcf_pickle_calls(value, "torch._utils._rebuild_parameter_with_state");
    if (parameter && value->items[1]->count > 0)
        value = value->items[1]->items[0];
    const mcf_pickle_node *arguments;
    const int version = rebuilds(value, &arguments);
    if (version) {
        MCF_TRY(read_tensor(file, arguments, version == 3, &entry, err));
        return add_entry(file, &entry, err);
    }
    entry.unread = unread_kind(value);
    if (entry.unread)
        return add_entry(file, &entry, err);
    size_t length;
    const char *callable = mcf_pickle_callable(value, &length);
    if (!callable && mcf_pickle_is(value, MCF_PICKLE_GLOBAL)) {
        callable = value->text;
        length = value->length;
    }
    if (!callable)
        return MCF_OK; // numbers, strings, settings: no tensors
    entry.object = keep_string(file, callable, length);
    return entry.object ? add_entry(file, &entry, err) : no_memory(file, err);
}

static mcf_status collect(mcf_pth *file, const mcf_pickle_node *dict, const char *group, bool nested, mcf_error *err)
{
    for (size_t i = 0; i + 1 < dict->count; i += 2) {
        const mcf_pickle_node *key = dict->items[i], *value = dict->items[i + 1];
        if (!mcf_pickle_is(key, MCF_PICKLE_STRING))
            continue;
        if (key->length > MAX_NAME)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: a name has %zu bytes; it is no PyTorch checkpoint", file->label,
                            key->length);
        if (mcf_pickle_is(value, MCF_PICKLE_DICT) && nested) {
            const char *name = keep_string(file, key->text, key->length);
            if (!name)
                return no_memory(file, err);
            MCF_TRY(collect(file, value, name, false, err));
        } else {
            MCF_TRY(add_value(file, group, keep_string(file, key->text, key->length), value, err));
        }
    }
    return MCF_OK;
}

// --- archives of torch.jit.save

// Modules are objects of classes whose code lies beside them, with their parameters, buffers and modules as attributes.
static bool is_script_module(const mcf_pickle_node *node)
{
    static const char made_by[] = "__torch__.";
    size_t length;
    const char *class = mcf_pickle_callable(node, &length);
    return class && length > sizeof made_by - 1 && !memcmp(class, made_by, sizeof made_by - 1) &&
           mcf_pickle_is(node->state, MCF_PICKLE_DICT);
}

// The tensors of a module and of those inside it, under the names that they have in its state_dict.
static mcf_status collect_script(mcf_pth *file, const mcf_pickle_node *module, const char *prefix, int depth,
                                 mcf_error *err)
{
    // One module may stand in several places, so that few bytes can describe very many.
    if (depth > MAX_DEPTH || ++file->modules > MAX_ENTRIES)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: has more modules than any network, or they lie too deep; refused",
                        file->label);
    for (size_t i = 0; i + 1 < module->state->count; i += 2) {
        const mcf_pickle_node *key = module->state->items[i], *value = module->state->items[i + 1];
        const mcf_pickle_node *arguments;
        const bool inner = is_script_module(value);
        if (!mcf_pickle_is(key, MCF_PICKLE_STRING) || (!inner && !rebuilds(value, &arguments) && !unread_kind(value)))
            continue;
        char name[MAX_NAME];
        const int made = snprintf(name, sizeof name, "%s%s%.*s", prefix, *prefix ? "." : "",
                                  (int)(key->length < MAX_NAME ? key->length : MAX_NAME), key->text);
        if (made < 0 || made >= MAX_NAME)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: a name has over %d bytes; it is no PyTorch checkpoint",
                            file->label, MAX_NAME);
        if (inner)
            MCF_TRY(collect_script(file, value, name, depth + 1, err));
        else
            MCF_TRY(add_value(file, "", keep_string(file, name, (size_t)made), value, err));
    }
    return MCF_OK;
}

// --- opening

static mcf_status open_zip_file(mcf_pth *file, mcf_error *err)
{
    size_t length, used;
    MCF_TRY(mcf_pth_zip_open(&file->zip, file->bytes, file->size, file->label, err));
    MCF_TRY(check_byte_order(file, err));
    MCF_TRY(read_part(file, "data.pkl", -1, MAX_PICKLE, &file->pickle_bytes, &length, err));
    mcf_status status = mcf_pickle_read(file->pickle_bytes, length, &file->pickle, &used, err);
    return status == MCF_OK ? status : mcf_add_context(err, status, "%s, data.pkl", file->label);
}

// Reads the pickle at *at and moves past it.
static mcf_status next_pickle(const mcf_pth *file, size_t *at, mcf_pickle **pickle, mcf_error *err)
{
    size_t used;
    size_t left = file->size - *at;
    mcf_status status = mcf_pickle_read(file->bytes + *at, left, pickle, &used, err);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "%s, pickle at byte %zu", file->label, *at);
    *at += used;
    return MCF_OK;
}

static const uint8_t stream_magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

// After the pickles: for each key in the list, a count and its bytes.
static mcf_status place_storages(mcf_pth *file, const mcf_pickle_node *keys, size_t at, mcf_error *err)
{
    if (!mcf_pickle_is(keys, MCF_PICKLE_LIST))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: the list of storages is missing; the file is damaged", file->label);
    for (size_t k = 0; k < keys->count; k++) {
        const mcf_pickle_node *key = keys->items[k];
        storage *s = NULL;
        for (int i = 0; i < file->storage_count && mcf_pickle_is(key, MCF_PICKLE_STRING); i++)
            if (strlen(file->storages[i].key) == key->length && !memcmp(file->storages[i].key, key->text, key->length))
                s = &file->storages[i];
        if (!s) // of a class without a known size: what lies behind it has no place, which is said where it is wanted
            return MCF_OK;
        uint64_t count = 0, bytes = (uint64_t)s->count * (uint64_t)types[s->type].size;
        if (file->size - at < 8)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: ends before storage %s; fetch it again", file->label, s->key);
        for (int i = 0; i < 8; i++)
            count |= (uint64_t)file->bytes[at + (size_t)i] << (8 * i);
        at += 8;
        if (count != (uint64_t)s->count || bytes > file->size - at)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: storage %s is cut short or damaged; fetch it again", file->label,
                            s->key);
        s->at = at;
        at += bytes;
    }
    return MCF_OK;
}

static mcf_status open_stream_file(mcf_pth *file, size_t *after, mcf_error *err)
{
    size_t at = 0;
    for (int part = 0; part < 3; part++) { // magic number, protocol, system's sizes
        mcf_pickle *pickle;
        MCF_TRY(next_pickle(file, &at, &pickle, err));
        const mcf_pickle_node *root = mcf_pickle_root(pickle);
        bool fits = part != 0 || (mcf_pickle_is(root, MCF_PICKLE_BIGINT) && root->length == sizeof stream_magic &&
                                  !memcmp(root->text, stream_magic, sizeof stream_magic));
        const mcf_pickle_node *little = part == 2 ? mcf_pickle_get(root, "little_endian") : NULL;
        bool big_endian = little && !little->integer;
        mcf_pickle_free(pickle);
        if (!fits)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: a pickle, but not one that torch.save wrote", file->label);
        if (big_endian)
            return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: written on a big-endian machine", file->label);
    }
    MCF_TRY(next_pickle(file, &at, &file->pickle, err));
    *after = at;
    return MCF_OK;
}

// ('module', ...) without a class that could be named.
static bool is_module(const mcf_pickle_node *persistent)
{
    const mcf_pickle_node *id = mcf_pickle_is(persistent, MCF_PICKLE_PERSISTENT) ? persistent->items[0] : NULL;
    return mcf_pickle_is(id, MCF_PICKLE_TUPLE) && id->count >= 1 && mcf_pickle_text_equals(id->items[0], "module");
}

// What stands in the place of a dict.
static const char *describe(const mcf_pickle_node *node, char *words, size_t size)
{
    size_t length = 0;
    const char *name = mcf_pickle_callable(node, &length);
    if (name && length > 14 && !memcmp(name, "torch._utils._", 14))
        return "a single tensor";
    if (name) {
        snprintf(words, size, "an object of class %.*s", (int)(length < 200 ? length : 200), name);
        return words;
    }
    return mcf_pickle_is(node, MCF_PICKLE_LIST) || mcf_pickle_is(node, MCF_PICKLE_TUPLE) ? "a list"
           : mcf_pickle_is(node, MCF_PICKLE_NONE)                                        ? "None"
                                                                                         : "a plain value";
}

static mcf_status read_contents(mcf_pth *file, mcf_error *err)
{
    if (!mcf_pth_is(file->bytes, file->size))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: neither a zip file nor a pickle; it is no PyTorch checkpoint",
                        file->label);
    size_t after = 0;
    MCF_TRY(file->bytes[0] == 'P' ? open_zip_file(file, err) : open_stream_file(file, &after, err));
    const mcf_pickle_node *root = mcf_pickle_root(file->pickle);
    if (file->zip && is_script_module(root))
        return collect_script(file, root, "", 0, err);
    if (!mcf_pickle_is(root, MCF_PICKLE_DICT)) {
        char words[240];
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: holds %s, not a dict of tensors; save model.state_dict() instead",
                        file->label, describe(root, words, sizeof words));
    }
    MCF_TRY(collect(file, root, "", true, err));
    if (file->zip)
        return MCF_OK;
    // Storages of optimizers and the like lie between those of the tensors.
    mcf_pickle_node *const *uses;
    size_t use_count = mcf_pickle_persistents(file->pickle, &uses);
    if (use_count > MAX_ENTRIES)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: names more storages than any checkpoint; refused", file->label);
    for (size_t i = 0; i < use_count; i++) {
        int index;
        int64_t view;
        const char *unread;
        if (!is_module(uses[i]))
            MCF_TRY(find_storage(file, uses[i], "(not a parameter)", &index, &view, &unread, err));
    }
    mcf_pickle *keys;
    MCF_TRY(next_pickle(file, &after, &keys, err));
    mcf_status status = place_storages(file, mcf_pickle_root(keys), after, err);
    mcf_pickle_free(keys);
    return status;
}

static mcf_status open_bytes(mcf_pth **out, const void *bytes, size_t size, void *mapped, const char *label,
                             mcf_error *err)
{
    mcf_pth *file = calloc(1, sizeof *file);
    if (!file || !(file->label = strdup(label))) {
        free(file);
        if (mapped)
            munmap(mapped, size);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", label);
    }
    file->bytes = bytes;
    file->size = size;
    file->mapped = mapped;
    file->loaded_index = -1;
    mcf_status status = read_contents(file, err);
    if (status != MCF_OK) {
        mcf_pth_close(file);
        return status;
    }
    *out = file;
    return MCF_OK;
}

mcf_status mcf_pth_open_memory(mcf_pth **file, const void *bytes, size_t size, const char *label, mcf_error *err)
{
    *file = NULL;
    return open_bytes(file, bytes, size, NULL, label, err);
}

mcf_status mcf_pth_open(mcf_pth **file, const char *path, mcf_error *err)
{
    *file = NULL;
    int fd;
    uint64_t size;
    MCF_TRY(mcf_file_open(path, &fd, &size, err));
    if (size == 0) {
        close(fd);
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: is empty (0 bytes); fetch it again", path);
    }
    void *mapped = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    return open_bytes(file, mapped, (size_t)size, mapped, path, err);
}

void mcf_pth_close(mcf_pth *file)
{
    if (!file)
        return;
    mcf_pickle_free(file->pickle);
    for (size_t i = 0; i < file->string_count; i++)
        free(file->strings[i]);
    free(file->strings);
    free(file->pickle_bytes);
    free(file->entries);
    free(file->storages);
    free(file->loaded);
    mcf_pth_zip_close(file->zip);
    if (file->mapped)
        munmap(file->mapped, file->size);
    free(file->label);
    free(file);
}

size_t mcf_pth_count(const mcf_pth *file)
{
    return file->count;
}
const mcf_pth_entry *mcf_pth_at(const mcf_pth *file, size_t index)
{
    return &file->entries[index];
}

// --- reading

static mcf_status load_storage(mcf_pth *file, int index, const uint8_t **bytes, mcf_error *err)
{
    const storage *s = &file->storages[index];
    if (!file->zip) {
        if (s->at == UINT64_MAX)
            return mcf_fail(err, MCF_ERR_FORMAT,
                            "%s: storage %s is not in the file, or behind one of an unknown type; save it again with "
                            "torch.save as it is today",
                            file->label, s->key);
        *bytes = file->bytes + s->at;
        return MCF_OK;
    }
    if (file->loaded_index != index) {
        char name[MAX_KEY + 8], *loaded;
        size_t length;
        snprintf(name, sizeof name, "data/%s", s->key);
        MCF_TRY(read_part(file, name, s->count * types[s->type].size, file->size, &loaded, &length, err));
        free(file->loaded);
        file->loaded = (uint8_t *)loaded;
        file->loaded_index = index;
    }
    *bytes = file->loaded;
    return MCF_OK;
}

static float element(const uint8_t *bytes, int64_t index, int type)
{
    union {
        float f32;
        double f64;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
    } v;
    memcpy(&v, bytes + index * types[type].size, (size_t)types[type].size);
    switch (types[type].mcf) {
    case MCF_F32:
        return v.f32;
    case MCF_F64:
        return (float)v.f64;
    case MCF_F16:
        return mcf_f16_to_f32(v.u16);
    case MCF_BF16:
        return mcf_bf16_to_f32(v.u16);
    case MCF_I64:
        return (float)v.i64;
    case MCF_I32:
        return (float)v.i32;
    default:
        break;
    }
    if (types[type].size == 2)
        return v.i16;
    return types[type].mcf == MCF_U8 || !strcmp(types[type].name, "bool") ? bytes[index] : (int8_t)bytes[index];
}

mcf_status mcf_pth_read_f32(mcf_pth *file, const mcf_pth_entry *e, float *values, mcf_error *err)
{
    if (e->unread)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: %s is %s, which is not read; save it as plain dense floats",
                        file->label, e->name, e->unread);
    if (e->object)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is an object of class %s, not a tensor", file->label, e->name,
                        e->object);
    if (e->count == 0)
        return MCF_OK;
    const uint8_t *bytes = NULL;
    MCF_TRY(load_storage(file, e->storage, &bytes, err));
    int64_t place[MCF_MAX_RANK] = {0}, at = e->offset;
    for (int64_t i = 0; i < e->count; i++) {
        const float value = element(bytes, at, e->type);
        values[i] = e->negative ? -value : value;
        for (int axis = e->shape.rank - 1; axis >= 0; axis--) {
            at += e->stride[axis];
            if (++place[axis] < e->shape.dim[axis])
                break;
            at -= place[axis] * e->stride[axis];
            place[axis] = 0;
        }
    }
    return MCF_OK;
}
