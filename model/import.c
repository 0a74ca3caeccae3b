#include "model/import.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/dense.h"
#include "model/import_farl.h"
#include "model/import_listed.h"
#include "model/import_names.h"
#include "model/load.h"
#include "model/position.h"
#include "model/published.h"

const char *const mcf_import_names[MCF_IMPORT_KINDS] = {"mcf", "mae", "moco-v3", "timm", "farl"};

enum { MAX_GROUPS = 3 };

static bool starts(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

// --- what the file has

typedef struct {
    mcf_listed file;
    const mcf_import_options *options;
    const char *group;
    bool finetuned;               // a whole network is looked for, under our names
    char prefix[MCF_IMPORT_NAME]; // what all names of the group begin with and the kind's do not
    bool part;                    // chosen: what lies beside the prefix is another's
    int *place;                   // of each entry of the store, in the file; -1: missing
} job;

static mcf_import_verdict name_of(const job *j, const mcf_listed_item *it, char to[MCF_IMPORT_NAME])
{
    if (!starts(it->name, j->prefix))
        return j->part ? MCF_NAME_DROPPED : MCF_NAME_UNKNOWN;
    const char *name = it->name + strlen(j->prefix);
    return j->finetuned ? mcf_farl_name(name, to) : mcf_import_name(j->options, name, to);
}

static bool find_taken(const job *j, const char *wanted, mcf_listed_item *found)
{
    char name[MCF_IMPORT_NAME];
    for (size_t i = 0; i < mcf_listed_count(&j->file); i++) {
        *found = mcf_listed_at(&j->file, i);
        if (!strcmp(found->group, j->group) && name_of(j, found, name) == MCF_NAME_TAKEN && !strcmp(name, wanted))
            return true;
    }
    return false;
}

// The same of the encoder's tensors, by timm's name.
static bool find_encoder(const job *j, const char *wanted, mcf_listed_item *found)
{
    char name[MCF_IMPORT_NAME + 16];
    snprintf(name, sizeof name, "%s%s", j->finetuned ? "backbone." : "", wanted);
    return find_taken(j, name, found);
}

// The parts, each ended by a dot, that all tensors' names of the group begin with: "_orig_mod.", "model.encoder.".
static void common_prefix(const job *j, char to[MCF_IMPORT_NAME])
{
    bool any = false;
    size_t length = 0;
    for (size_t i = 0; i < mcf_listed_count(&j->file); i++) {
        const mcf_listed_item it = mcf_listed_at(&j->file, i);
        if (strcmp(it.group, j->group) || it.object)
            continue;
        if (!any) {
            snprintf(to, MCF_IMPORT_NAME, "%s", it.name);
            length = strlen(to);
            any = true;
        }
        size_t same = 0;
        while (same < length && it.name[same] == to[same])
            same++;
        length = same;
    }
    while (length > 0 && to[length - 1] != '.')
        length--;
    to[length] = '\0';
}

// Without a prefix, else with as many parts of the common one as it takes.
static bool find_prefix(job *j)
{
    char common[MCF_IMPORT_NAME] = "";
    mcf_listed_item found;
    j->prefix[0] = '\0';
    if (find_encoder(j, "cls_token", &found))
        return true;
    common_prefix(j, common);
    for (char *dot = strchr(common, '.'); dot; dot = strchr(dot + 1, '.')) {
        snprintf(j->prefix, sizeof j->prefix, "%.*s", (int)(dot + 1 - common), common);
        if (find_encoder(j, "cls_token", &found))
            return true;
    }
    j->prefix[0] = '\0';
    return false;
}

// What is there in place of an encoder: the first names, and whose they look like.
static mcf_status fail_no_encoder(const job *j, const char *wanted, mcf_error *err)
{
    enum { SHOWN = 4 };
    char names[400] = "";
    size_t tensors = 0, used = 0;
    bool hugging_face = false;
    const char *object = NULL, *holder = NULL;
    for (size_t i = 0; i < mcf_listed_count(&j->file); i++) {
        const mcf_listed_item it = mcf_listed_at(&j->file, i);
        if (it.object) {
            object = object ? object : it.object;
            holder = holder ? holder : it.name;
            continue;
        }
        hugging_face =
            hugging_face || strstr(it.name, "embeddings.cls_token") || strstr(it.name, ".attention.attention.");
        if (tensors++ < SHOWN && used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s%s%.80s", used ? ", " : "", it.group,
                                     *it.group ? ": " : "", it.name);
    }
    if (tensors == 0 && object)
        return mcf_fail(
            err, MCF_ERR_FORMAT,
            "%s: holds no tensors but an object of class %.100s under '%.100s'; save its state_dict() instead",
            j->file.path, object, holder);
    if (tensors == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: holds no tensors; it is no checkpoint, or an empty one",
                        j->file.path);
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: holds no encoder of kind %s: there is no %s; its names are %s%s; %s",
                    j->file.path, mcf_import_names[j->options->kind], wanted, names, tensors > SHOWN ? ", ..." : "",
                    hugging_face ? "these are Hugging Face's own: take the authors' file or timm's"
                                 : "give another --kind, or another file");
}

// --- which of several

// The tensor that an encoder of this kind begins with, behind a prefix.
static const char *first_tensor(const mcf_import_options *o)
{
    static const char *const names[MCF_IMPORT_KINDS] = {
        "online_encoder.cls_token", "cls_token", "base_encoder.cls_token", "cls_token", "visual.class_embedding"};
    return o->kind == MCF_IMPORT_MOCO_V3 && o->momentum_encoder ? "momentum_encoder.cls_token" : names[o->kind];
}

// What is in front of `wanted` in a name, where that is whole parts; false: the name is another.
static bool is_behind(const char *name, const char *wanted, char prefix[MCF_IMPORT_NAME])
{
    const size_t length = strlen(name), tail = strlen(wanted);
    if (length < tail || length >= MCF_IMPORT_NAME || strcmp(name + length - tail, wanted) ||
        (length > tail && name[length - tail - 1] != '.'))
        return false;
    snprintf(prefix, MCF_IMPORT_NAME, "%.*s", (int)(length - tail), name);
    return true;
}

// The next of the file's encoders from *at on: a first tensor and the patches' beside it. Its label is the way to it,
// "teacher.backbone", and "." at the top.
static bool next_encoder(const job *j, size_t *at, mcf_listed_item *it, char prefix[MCF_IMPORT_NAME],
                         char label[2 * MCF_IMPORT_NAME])
{
    enum { MOST = 64 }; // tries: a hostile file may name a million first tensors
    const char *patches = j->options->kind == MCF_IMPORT_FARL ? "conv1.weight" : "patch_embed.proj.weight";
    const char *wanted = first_tensor(j->options), *last = strrchr(wanted, '.');
    char want[2 * MCF_IMPORT_NAME];
    for (int tries = 0; *at < mcf_listed_count(&j->file) && tries < MOST;) {
        *it = mcf_listed_at(&j->file, (*at)++);
        if (it->object || it->unread || !is_behind(it->name, wanted, prefix))
            continue;
        tries++;
        snprintf(want, sizeof want, "%s%.*s%s", prefix, last ? (int)(last + 1 - wanted) : 0, wanted, patches);
        bool whole = false;
        for (size_t i = 0; i < mcf_listed_count(&j->file) && !whole; i++) {
            const mcf_listed_item other = mcf_listed_at(&j->file, i);
            whole = !strcmp(other.group, it->group) && !strcmp(other.name, want);
        }
        const char *shown = prefix;
        while (starts(shown, "module.") || starts(shown, "_orig_mod."))
            shown = strchr(shown, '.') + 1;
        snprintf(label, 2 * MCF_IMPORT_NAME, "%s%s%s", it->group, *it->group && *shown ? "." : "", shown);
        if (*label && label[strlen(label) - 1] == '.')
            label[strlen(label) - 1] = '\0';
        if (!*label)
            strcpy(label, ".");
        if (whole)
            return true;
    }
    return false;
}

// All of them in words but the one that is taken; how many.
static int other_encoders(const job *j, char *words, size_t size)
{
    char prefix[MCF_IMPORT_NAME], label[2 * MCF_IMPORT_NAME], name[MCF_IMPORT_NAME];
    size_t used = 0, at = 0;
    int count = 0;
    mcf_listed_item it;
    words[0] = '\0';
    while (next_encoder(j, &at, &it, prefix, label)) {
        if (j->group && !strcmp(it.group, j->group) && name_of(j, &it, name) == MCF_NAME_TAKEN)
            continue;
        if (used < size)
            used += (size_t)snprintf(words + used, size - used, "%s%s", count ? ", " : "", label);
        count++;
    }
    return count;
}

static mcf_status select_encoder(job *j, mcf_error *err)
{
    char prefix[MCF_IMPORT_NAME], label[2 * MCF_IMPORT_NAME], words[400];
    size_t at = 0;
    mcf_listed_item it;
    while (next_encoder(j, &at, &it, prefix, label)) {
        if (strcmp(label, j->options->select))
            continue;
        j->group = it.group;
        j->part = true;
        strcpy(j->prefix, prefix);
        return MCF_OK;
    }
    j->group = NULL;
    const int count = other_encoders(j, words, sizeof words);
    return mcf_fail(err, MCF_ERR_USAGE, "%s: --select %.100s: it holds no encoder of kind %s there%s%s", j->file.path,
                    j->options->select, mcf_import_names[j->options->kind], count ? "; it holds " : "", words);
}

static mcf_status choose_group(job *j, mcf_error *err)
{
    static const char *const groups[MCF_IMPORT_KINDS][MAX_GROUPS] = {[MCF_IMPORT_MCF] = {"model", "state_dict", ""},
                                                                     [MCF_IMPORT_MAE] = {"model", "", NULL},
                                                                     [MCF_IMPORT_MOCO_V3] = {"state_dict", "", NULL},
                                                                     [MCF_IMPORT_TIMM] = {"", "state_dict", "model"},
                                                                     [MCF_IMPORT_FARL] = {"state_dict", "", NULL}};
    const mcf_import_kind kind = j->options->kind;
    char words[400];
    if (j->options->select)
        return select_encoder(j, err);
    for (int i = 0; i < MAX_GROUPS && groups[kind][i]; i++) {
        j->group = groups[kind][i];
        for (int finetuned = 0; finetuned <= (kind == MCF_IMPORT_FARL); finetuned++) {
            j->finetuned = finetuned;
            if (find_prefix(j))
                return MCF_OK;
        }
    }
    j->finetuned = false;
    j->group = NULL;
    const int count = other_encoders(j, words, sizeof words);
    if (count > 1)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: holds %d encoders of kind %s; choose one of them with --select: %s",
                        j->file.path, count, mcf_import_names[kind], words);
    if (count == 1)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: holds no encoder of kind %s where such files have it, but one under %s: there is no %s; "
                        "--select %s takes it, without what lies beside",
                        j->file.path, mcf_import_names[kind], words, first_tensor(j->options), words);
    return fail_no_encoder(j, first_tensor(j->options), err);
}

// CLIP stores the class embedding as [D] and positions as [1+L,D].
static mcf_shape with_ones(mcf_shape shape, int rank)
{
    while (shape.rank < rank) {
        memmove(shape.dim + 1, shape.dim, (size_t)shape.rank * sizeof *shape.dim);
        shape.dim[0] = 1;
        shape.rank++;
    }
    return shape;
}

// An object, or a tensor of a kind that is not read, where one of the network's is wanted.
static mcf_status is_object(const job *j, const mcf_listed_item *it, mcf_error *err)
{
    if (it->unread)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: %s is %s, which is not read; save it as plain dense floats",
                        j->file.path, it->name, it->unread);
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is an object of %s, not a tensor: refused", j->file.path, it->name,
                    it->object);
}

// What find_taken found, or not, in the place of a tensor that says what the network is.
static mcf_status no_transformer(const job *j, const char *name, const mcf_listed_item *found, mcf_error *err)
{
    if (found && (found->object || found->unread))
        return is_object(j, found, err);
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is missing or not of a vision transformer's shape", j->file.path,
                    name);
}

// Heads are in no tensor's shape: known, given, or of a published network; never made up.
static mcf_status choose_heads(const job *j, int64_t dim, int depth, int64_t hidden, int *heads, mcf_heads_source *from,
                               mcf_error *err)
{
    const mcf_import_options *o = j->options;
    const int own = o->own ? o->own->heads : 0;
    if (own && o->heads && own != o->heads)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: its own config says %d heads; leave --heads %d out", j->file.path, own,
                        o->heads);
    if (own || o->heads) {
        *heads = own ? own : o->heads;
        *from = own ? MCF_HEADS_OWN : MCF_HEADS_GIVEN;
    } else if (o->kind == MCF_IMPORT_FARL && dim % 64 == 0) {
        *heads = (int)(dim / 64);
        *from = MCF_HEADS_OF_CLIP;
    } else {
        // MoCo-v3's own ViT-S has twelve heads, all others' six
        const bool small = o->kind == MCF_IMPORT_MOCO_V3 && dim == 384 && depth == 12;
        *heads = small ? 12 : mcf_published_heads(dim, depth, hidden);
        *from = MCF_HEADS_PUBLISHED;
    }
    if (*heads < 1)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: the heads are not in the file, and no published network has %d blocks of width %lld with "
                        "MLPs of %lld; give --heads",
                        j->file.path, depth, (long long)dim, (long long)hidden);
    if (dim % *heads)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: the width is %lld and no multiple of the heads, %d; give --heads",
                        j->file.path, (long long)dim, *heads);
    return MCF_OK;
}

// The network as the shapes say.
static mcf_status describe(const job *j, mcf_imported *out, mcf_error *err)
{
    const mcf_import_options *o = j->options;
    mcf_listed_item patch, position, fc1, norm;
    char name[MCF_IMPORT_NAME];
    const bool has_patch = find_encoder(j, "patch_embed.proj.weight", &patch),
               has_position = find_encoder(j, "pos_embed", &position),
               has_fc1 = find_encoder(j, "blocks.0.mlp.fc1.weight", &fc1);
    if (!has_patch || patch.object || patch.unread || patch.shape.rank != 4 || patch.shape.dim[1] != 3 ||
        patch.shape.dim[2] != patch.shape.dim[3] || patch.shape.dim[0] < 4 || patch.shape.dim[0] > 1 << 16 ||
        patch.shape.dim[2] < 1 || patch.shape.dim[2] > 1 << 10)
        return no_transformer(j, "patch_embed.proj.weight", has_patch ? &patch : NULL, err);
    if (!has_position || position.object || position.unread || position.shape.rank > 3)
        return no_transformer(j, "pos_embed", has_position ? &position : NULL, err);
    if (!has_fc1 || fc1.object || fc1.unread || fc1.shape.rank != 2 || fc1.shape.dim[0] < 1 ||
        fc1.shape.dim[0] > 1 << 20)
        return no_transformer(j, "blocks.0.mlp.fc1.weight", has_fc1 ? &fc1 : NULL, err);
    const int64_t dim = patch.shape.dim[0], tokens = with_ones(position.shape, 3).dim[1];
    const int64_t side = tokens > 1 && tokens < 1 << 24 ? (int64_t)llround(sqrt((double)(tokens - 1))) : 0;
    if (side < 1 || side * side != tokens - 1 || side * patch.shape.dim[2] > 1 << 14)
        return no_transformer(j, "pos_embed", NULL, err);
    int depth = 0;
    do
        snprintf(name, sizeof name, "blocks.%d.norm1.weight", ++depth);
    while (depth < MCF_MAX_DEPTH && find_encoder(j, name, &norm));
    out->patch_size = (int)patch.shape.dim[2];
    out->image_size = (int)(side * patch.shape.dim[2]);
    int heads = 0;
    MCF_TRY(choose_heads(j, dim, depth, fc1.shape.dim[0], &heads, &out->heads_from, err));
    const bool farl = o->kind == MCF_IMPORT_FARL;
    out->encoder = (mcf_vit_options){.dim = (int)dim,
                                     .depth = depth,
                                     .heads = heads,
                                     .mlp_ratio = mcf_vit_mlp_ratio(fc1.shape.dim[0], dim),
                                     .activation = farl ? MCF_MLP_QUICK_GELU : MCF_MLP_GELU,
                                     .pre_norm = farl,
                                     .patch_bias = farl ? MCF_NO_PATCH_BIAS : MCF_PATCH_BIAS,
                                     .norm_eps = farl ? 1e-5 : MCF_VIT_NORM_EPS};
    if (o->own && !farl) {
        out->encoder.activation = o->own->activation;
        out->encoder.pre_norm = o->own->pre_norm;
        out->encoder.patch_bias = o->own->patch_bias;
        out->encoder.norm_eps = o->own->norm_eps;
    }
    memcpy(out->mean, farl ? mcf_clip_mean : mcf_imagenet_mean, sizeof out->mean);
    memcpy(out->std, farl ? mcf_clip_std : mcf_imagenet_std, sizeof out->std);
    return MCF_OK;
}

// In front of the network's names in the store.
static const char *store_prefix(const job *j)
{
    return j->finetuned ? "" : "x.";
}

// Finds every tensor of the network, and notes what does not fit.
static mcf_status match(job *j, const mcf_store *store, int position, mcf_error *err)
{
    const size_t skip = strlen(store_prefix(j));
    mcf_load_report report = {0};
    char name[MCF_IMPORT_NAME], own[MCF_IMPORT_NAME + 2];
    for (int e = 0; e < store->count; e++)
        j->place[e] = -1;
    for (size_t i = 0; i < mcf_listed_count(&j->file); i++) {
        const mcf_listed_item it = mcf_listed_at(&j->file, i);
        if (strcmp(it.group, j->group))
            continue;
        const mcf_import_verdict v = name_of(j, &it, name);
        if (v == MCF_NAME_DROPPED)
            continue;
        snprintf(own, sizeof own, "%s%s", store_prefix(j), name);
        const int e = v == MCF_NAME_TAKEN ? mcf_store_find(store, own) : -1;
        if (e < 0 && (it.object || it.unread))
            continue; // settings, and tensors of other kinds, beside the network's
        if (e < 0 || j->place[e] >= 0) {
            mcf_load_extra(&report, it.name);
            continue;
        }
        if (it.object || it.unread)
            return is_object(j, &it, err);
        const mcf_shape found = with_ones(it.shape, store->entries[e].shape.rank);
        // The position table's own side is what the network's was taken from.
        if (!mcf_shape_equal(&found, &store->entries[e].shape) &&
            (e != position || found.dim[2] != store->entries[e].shape.dim[2]))
            mcf_load_misshapen(&report, it.name, &it.shape, &store->entries[e].shape);
        j->place[e] = (int)i;
    }
    for (int e = 0; e < store->count; e++)
        if (j->place[e] < 0)
            mcf_load_missing(&report, store->entries[e].name + skip);
    return mcf_load_conclude(&report, j->file.path, err);
}

// A tensor may repeat one stored element for ever: what it would take is held against the file's size.
static mcf_status check_size(const job *j, const mcf_store *store, mcf_error *err)
{
    uint64_t bytes = 0;
    for (int e = 0; e < store->count; e++)
        bytes += (uint64_t)store->entries[e].count * sizeof(float);
    if (bytes / 16 > j->file.size)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: its tensors would take %llu bytes, the file has %llu: refused",
                        j->file.path, (unsigned long long)bytes, (unsigned long long)j->file.size);
    return MCF_OK;
}

static mcf_status take(job *j, const mcf_store *store, int position, mcf_imported *out, mcf_error *err)
{
    out->tensors = calloc((unsigned)store->count, sizeof *out->tensors);
    if (!out->tensors)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the tensors");
    for (int e = 0; e < store->count; e++) {
        const mcf_entry *entry = &store->entries[e];
        const char *name = entry->name + strlen(store_prefix(j));
        mcf_named_tensor *t = &out->tensors[out->count++];
        *t = (mcf_named_tensor){strdup(name), MCF_F32, entry->shape, malloc((size_t)entry->count * sizeof(float))};
        if (!t->name || !t->data)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %s", name);
        MCF_TRY(mcf_listed_read(&j->file, (size_t)j->place[e], t->data, err));
        if (!j->options->allow_nonfinite)
            MCF_TRY(mcf_check_finite(j->file.path, mcf_listed_at(&j->file, (size_t)j->place[e]).name, t->data,
                                     entry->count, err));
        const int size = j->options->image_size;
        if (e != position || !size || size == out->image_size)
            continue;
        const int64_t from = out->image_size / out->patch_size, to = size / out->patch_size, dim = out->encoder.dim;
        const mcf_shape shape = MCF_SHAPE(1, 1 + to * to, dim);
        float *resized = malloc((size_t)mcf_shape_count(&shape) * sizeof *resized);
        if (!resized)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a position table of %lld patches", (long long)(to * to));
        mcf_position_resize(t->data, from, from, resized, to, to, dim);
        free(t->data);
        t->data = resized;
        t->shape = shape;
        out->image_size = size;
    }
    return MCF_OK;
}

static mcf_status read_store(job *j, const mcf_store *store, int position, mcf_imported *out, mcf_error *err)
{
    j->place = calloc((unsigned)store->count, sizeof *j->place);
    mcf_status status = j->place ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for names");
    if (status == MCF_OK)
        status = match(j, store, position, err);
    if (status == MCF_OK)
        status = check_size(j, store, err);
    if (status == MCF_OK)
        status = take(j, store, position, out, err);
    free(j->place);
    return status;
}

static bool shape_of(void *context, const char *name, mcf_shape *shape)
{
    mcf_listed_item found;
    if (!find_taken(context, name, &found) || found.object || found.unread)
        return false;
    *shape = found.shape;
    return true;
}

static mcf_status import_finetuned(job *j, mcf_imported *out, mcf_error *err)
{
    const mcf_model_options model = {
        .encoder = out->encoder, .image_size = out->image_size, .patch_size = out->patch_size};
    mcf_dense_model *network;
    out->finetuned = true;
    MCF_TRY(mcf_farl_describe(j->file.path, j->options, out->encoder.depth, shape_of, j, &out->dense, err));
    MCF_TRY(mcf_dense_create(&model, &out->dense, false, &network, err));
    mcf_status status = read_store(j, &network->store, network->average.backbone.pos_embed, out, err);
    mcf_dense_destroy(network);
    return status;
}

static mcf_status import(job *j, mcf_imported *out, mcf_error *err)
{
    const int size = j->options->image_size;
    mcf_store store;
    mcf_vit vit = {0};
    MCF_TRY(choose_group(j, err));
    snprintf(out->chosen, sizeof out->chosen, "%s",
             j->options->select ? j->options->select
             : *j->group        ? j->group
                                : ".");
    (void)other_encoders(j, out->others, sizeof out->others);
    MCF_TRY(describe(j, out, err));
    if (size && (size < out->patch_size || size % out->patch_size || size > 1 << 13))
        return mcf_fail(err, MCF_ERR_USAGE, "--image-size %d: must be a multiple of the patch, %d, up to 8192", size,
                        out->patch_size);
    if (j->finetuned)
        return import_finetuned(j, out, err);
    if (j->options->task)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: holds an encoder, without a head; leave --task out", j->file.path);
    // The network's own table of names and shapes is what is wanted.
    mcf_store_init(&store);
    mcf_status status =
        mcf_vit_add(&store, "x", &out->encoder, out->image_size, out->patch_size, MCF_ROLE_TRAINED, &vit, err);
    if (status == MCF_OK)
        status = read_store(j, &store, vit.pos_embed, out, err);
    mcf_vit_free(&vit);
    mcf_store_free(&store);
    return status;
}

mcf_status mcf_import(const char *path, const mcf_import_options *options, mcf_imported *out, mcf_error *err)
{
    job j = {.options = options};
    *out = (mcf_imported){0};
    MCF_TRY(mcf_listed_open(&j.file, path, err));
    mcf_status status = import(&j, out, err);
    mcf_listed_close(&j.file);
    if (status != MCF_OK)
        mcf_imported_free(out);
    return status;
}

void mcf_imported_free(mcf_imported *imported)
{
    for (size_t i = 0; i < imported->count; i++) {
        free((char *)imported->tensors[i].name);
        free(imported->tensors[i].data);
    }
    free(imported->tensors);
    *imported = (mcf_imported){0};
}
