// Reads the headers of a tar with libarchive, once.
#define _GNU_SOURCE // qsort_r, newlocale
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/printable.h"
#include "data/formats/tar_index.h"

enum { MAX_NAME = 4096, LEFT_OUT = 1024 };

typedef enum { SYMBOLIC, HARD, SPARSE, CHARACTER, BLOCK, FIFO, SOCKET, VOLUME, DIRECTORY_LIST, OTHER, KINDS } odd_kind;
static const char *const kinds[KINDS][2] = {
    {"symbolic link", "symbolic links"},
    {"hard link to what is not in front of it", "hard links to what is not in front of them"},
    {"sparse file", "sparse files"},
    {"character device", "character devices"},
    {"block device", "block devices"},
    {"pipe", "pipes"},
    {"socket", "sockets"},
    {"part of a file on another volume", "parts of files on other volumes"},
    {"list of a directory (of an incremental backup)", "lists of directories (of an incremental backup)"},
    {"member of no known type", "members of no known type"}};

typedef struct {
    mcf_tar_index *index;
    const char *path; // for messages
    int fd;           // of the tar; -1: in `bytes`
    const uint8_t *bytes;
    uint64_t entry_room, name_room;
    struct {
        uint64_t entry, target; // offset into names
    } * links;                  // entries whose place is still to be found
    size_t link_count, link_room;
    uint64_t odd[KINDS];
    char first[KINDS][160];
    int64_t last; // the entry whose extent the next header shows; -1: none
    uint64_t at;  // of the next byte libarchive reads
    uint8_t *buffer;
    uint64_t behind;  // where something stands behind the end; 0: nothing
    mcf_error system; // why a read failed, status MCF_OK: none did
} builder;

void mcf_tar_index_free(mcf_tar_index *index)
{
    free(index->entries);
    free(index->names);
    free(index->left_out);
    *index = (mcf_tar_index){0};
}

uint64_t mcf_tar_header_hash(const uint8_t block[MCF_TAR_BLOCK])
{
    return XXH64(block, MCF_TAR_BLOCK, 0);
}

static mcf_status no_memory(const builder *b, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for its index", b->path);
}

static mcf_status add_name(builder *b, const char *name, uint64_t *at, mcf_error *err)
{
    mcf_tar_index *index = b->index;
    const size_t length = strlen(name) + 1;
    if (b->name_room - index->names_size < length) {
        b->name_room = b->name_room * 2 + length + 4096;
        char *grown = realloc(index->names, b->name_room);
        if (!grown)
            return no_memory(b, err);
        index->names = grown;
    }
    *at = index->names_size;
    memcpy(index->names + index->names_size, name, length);
    index->names_size += length;
    return MCF_OK;
}

static mcf_status add_entry(builder *b, uint64_t offset, uint64_t size, const char *name, mcf_error *err)
{
    mcf_tar_index *index = b->index;
    if (index->count == b->entry_room) {
        b->entry_room = b->entry_room ? b->entry_room * 2 : 256;
        mcf_tar_entry *grown = realloc(index->entries, b->entry_room * sizeof *grown);
        if (!grown)
            return no_memory(b, err);
        index->entries = grown;
    }
    uint64_t at = 0;
    MCF_TRY(add_name(b, name, &at, err));
    index->entries[index->count++] = (mcf_tar_entry){.offset = offset, .size = size, .name = at};
    return MCF_OK;
}

static void leave_out(builder *b, odd_kind kind, const char *name)
{
    if (b->odd[kind]++ == 0)
        mcf_printable(b->first[kind], sizeof b->first[kind], name);
}

static mcf_status add_link(builder *b, const char *name, const char *target, mcf_error *err)
{
    if (b->link_count == b->link_room) {
        b->link_room = b->link_room ? b->link_room * 2 : 64;
        void *grown = realloc(b->links, b->link_room * sizeof *b->links);
        if (!grown)
            return no_memory(b, err);
        b->links = grown;
    }
    while (target[0] == '.' && target[1] == '/')
        target += 2;
    MCF_TRY(add_entry(b, 0, 0, name, err));
    b->links[b->link_count].entry = b->index->count - 1;
    return add_name(b, target, &b->links[b->link_count++].target, err);
}

// The name as stored, whatever its bytes.
static const char *entry_name(struct archive_entry *entry, uint64_t offset, char made_up[48])
{
    const char *name = archive_entry_pathname(entry);
    if (!name)
        name = archive_entry_pathname_utf8(entry);
    while (name && name[0] == '.' && name[1] == '/')
        name += 2;
    if (name && strlen(name) < MAX_NAME)
        return name;
    snprintf(made_up, 48, "entry-at-%llu", (unsigned long long)offset);
    return made_up;
}

static mcf_status read_block(const builder *b, uint64_t offset, uint8_t block[MCF_TAR_BLOCK], mcf_error *err)
{
    if (offset > b->index->tar_size || b->index->tar_size - offset < MCF_TAR_BLOCK)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: a header lies outside the tar", b->path);
    if (b->fd >= 0)
        return mcf_file_read_at(b->fd, block, MCF_TAR_BLOCK, offset, b->path, err);
    memcpy(block, b->bytes + offset, MCF_TAR_BLOCK);
    return MCF_OK;
}

// A file's bytes are in one piece where the next header follows them at once: what claims otherwise is stored in a way
// that its header does not show (sparse in one of pax's forms).
static void check_extent(builder *b, uint64_t next_header)
{
    mcf_tar_index *index = b->index;
    if (b->last < 0)
        return;
    const mcf_tar_entry *e = &index->entries[b->last];
    const uint64_t end = e->offset + (e->size + MCF_TAR_BLOCK - 1) / MCF_TAR_BLOCK * MCF_TAR_BLOCK;
    if (next_header < end) {
        leave_out(b, SPARSE, index->names + e->name);
        index->count--;
    }
    b->last = -1;
}

static odd_kind kind_of(struct archive_entry *entry, char type)
{
    switch (archive_entry_filetype(entry)) {
    case AE_IFLNK:
        return SYMBOLIC;
    case AE_IFCHR:
        return CHARACTER;
    case AE_IFBLK:
        return BLOCK;
    case AE_IFIFO:
        return FIFO;
    case AE_IFSOCK:
        return SOCKET;
    default:
        return type == 'M' ? VOLUME : type == 'D' ? DIRECTORY_LIST : OTHER;
    }
}

// One member. *end: of its bytes, as far as they are ours to know; *whole false: it reaches past the tar.
static mcf_status take_member(builder *b, struct archive_entry *entry, uint64_t offset, uint64_t *end, bool *whole,
                              mcf_error *err)
{
    const uint64_t tar_size = b->index->tar_size;
    char made_up[48];
    const char *name = entry_name(entry, offset, made_up), *hard = archive_entry_hardlink(entry);
    uint8_t header[MCF_TAR_BLOCK] = {0};
    *whole = true;
    *end = offset;
    if (hard)
        return add_link(b, name, hard, err);
    if (archive_entry_filetype(entry) == AE_IFDIR)
        return MCF_OK;
    if (offset < MCF_TAR_BLOCK)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: a member without a header", b->path);
    MCF_TRY(read_block(b, offset - MCF_TAR_BLOCK, header, err));
    const char type = (char)header[156];
    if (type == 'V') // a label of the whole
        return MCF_OK;
    if (archive_entry_filetype(entry) != AE_IFREG) {
        leave_out(b, kind_of(entry, type), name);
        return MCF_OK;
    }
    const int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (archive_entry_sparse_count(entry) > 0 || type == 'S' || type == 'M') {
        leave_out(b, type == 'M' ? VOLUME : SPARSE, name);
        return MCF_OK;
    }
    if (size < 0 || (uint64_t)size > tar_size || offset > tar_size - (uint64_t)size) {
        *whole = false;
        return MCF_OK;
    }
    MCF_TRY(add_entry(b, offset, (uint64_t)size, name, err));
    b->index->entries[b->index->count - 1].header = mcf_tar_header_hash(header);
    b->last = (int64_t)b->index->count - 1;
    *end = offset + (uint64_t)size;
    return MCF_OK;
}

// --- hard links

static int by_name(const void *x, const void *y, void *context)
{
    const mcf_tar_index *index = context;
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    const int order = strcmp(index->names + index->entries[a].name, index->names + index->entries[b].name);
    return order ? order : (a > b) - (a < b);
}

// The last entry of this name in front of `before`, or -1.
static int64_t find_before(const mcf_tar_index *index, const uint64_t *sorted, const char *name, uint64_t before)
{
    uint64_t low = 0, high = index->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2, at = sorted[middle];
        const int order = strcmp(index->names + index->entries[at].name, name);
        if (order < 0 || (order == 0 && at < before))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcmp(index->names + index->entries[sorted[low - 1]].name, name) != 0)
        return -1;
    return (int64_t)sorted[low - 1];
}

// Hard links get the place of what they are links to, those of links among them in turn; the others are left out.
static mcf_status resolve_links(builder *b, mcf_error *err)
{
    mcf_tar_index *index = b->index;
    if (b->link_count == 0)
        return MCF_OK;
    uint64_t *sorted = malloc(index->count * sizeof *sorted);
    if (!sorted)
        return no_memory(b, err);
    for (uint64_t i = 0; i < index->count; i++)
        sorted[i] = i;
    qsort_r(sorted, index->count, sizeof *sorted, by_name, index);
    for (size_t i = 0; i < b->link_count; i++) {
        mcf_tar_entry *link = &index->entries[b->links[i].entry];
        const int64_t target = find_before(index, sorted, index->names + b->links[i].target, b->links[i].entry);
        if (target < 0 || index->entries[target].offset == 0) {
            leave_out(b, HARD, index->names + link->name);
            continue;
        }
        const mcf_tar_entry *to = &index->entries[target];
        link->offset = to->offset;
        link->size = to->size;
        link->header = to->header;
    }
    free(sorted);
    uint64_t kept = 0;
    for (uint64_t i = 0; i < index->count; i++)
        if (index->entries[i].offset != 0)
            index->entries[kept++] = index->entries[i];
    index->count = kept;
    return MCF_OK;
}

// --- the whole

static mcf_status describe_left_out(builder *b, mcf_error *err)
{
    char text[LEFT_OUT] = "";
    size_t used = 0;
    for (int k = 0; k < KINDS; k++)
        if (b->odd[k] && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu %s (%s%s)", used ? ", " : "",
                                     (unsigned long long)b->odd[k], kinds[k][b->odd[k] > 1], b->first[k],
                                     b->odd[k] > 1 ? ", ..." : "");
    if (b->behind && used < sizeof text)
        snprintf(text + used, sizeof text - used,
                 "%swhat stands behind its end at byte %llu (another tar? `tar --concatenate` joins two, cat does not)",
                 used ? ", " : "", (unsigned long long)b->behind);
    b->index->left_out = strdup(text);
    return b->index->left_out ? MCF_OK : no_memory(b, err);
}

static mcf_status fail_no_tar(const char *path, const char *why, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: not a tar file that can be read at random (%s)", path,
                    why ? why : "unknown");
}

// --- bytes for libarchive. It tells all its failures by one code, and only those of the format end a tar.

enum { AT_ONCE = 1 << 16 };

static la_ssize_t give_bytes(struct archive *reader, void *context, const void **bytes)
{
    builder *b = context;
    const uint64_t rest = b->at < b->index->tar_size ? b->index->tar_size - b->at : 0;
    const size_t size = rest < AT_ONCE ? (size_t)rest : AT_ONCE;
    *bytes = b->buffer;
    if (mcf_file_read_at(b->fd, b->buffer, size, b->at, b->path, &b->system) != MCF_OK) {
        archive_set_error(reader, EIO, "%s", b->system.message);
        return -1;
    }
    b->at += size;
    return (la_ssize_t)size;
}

static la_int64_t skip_bytes(struct archive *reader, void *context, la_int64_t wanted)
{
    (void)reader;
    builder *b = context;
    b->at += (uint64_t)wanted;
    return wanted;
}

// What failed where libarchive says no more than that something did: MCF_OK for the bytes themselves.
static mcf_status system_failure(const builder *b, struct archive *reader, mcf_error *err)
{
    if (b->system.status != MCF_OK)
        return mcf_fail(err, b->system.status, "%s", b->system.message);
    return archive_errno(reader) == ENOMEM ? no_memory(b, err) : MCF_OK;
}

// Zeros fill the last record behind the two blocks of zeros that end a tar. What else is there nobody reads: another tar,
// appended by cat.
static mcf_status look_behind(builder *b, uint64_t end, mcf_error *err)
{
    enum { FARTHEST = 16 << 20 };
    uint8_t block[MCF_TAR_BLOCK];
    const uint64_t size = b->index->tar_size, stop = size > end + FARTHEST ? end + FARTHEST : size;
    for (uint64_t at = end + 2 * MCF_TAR_BLOCK; !b->behind && at + MCF_TAR_BLOCK <= stop; at += MCF_TAR_BLOCK) {
        MCF_TRY(read_block(b, at, block, err));
        for (size_t i = 0; i < sizeof block && !b->behind; i++)
            b->behind = block[i] ? at : 0;
    }
    return MCF_OK;
}

// Walks the headers. Where a file's bytes would pass the end of the tar, or a header makes no sense, the tar ends for
// us; what came before is kept.
static mcf_status walk(builder *b, struct archive *reader, mcf_error *err)
{
    mcf_tar_index *index = b->index;
    bool any = false;
    uint64_t end = 0; // of the last whole member, padding not counted
    struct archive_entry *entry;
    for (;;) {
        const int result = archive_read_next_header(reader, &entry);
        if (result == ARCHIVE_WARN && archive_errno(reader) == ENOMEM)
            return no_memory(b, err);
        if (any && (result == ARCHIVE_EOF || result >= ARCHIVE_WARN))
            check_extent(b, (uint64_t)archive_read_header_position(reader));
        if (result == ARCHIVE_EOF) {
            MCF_TRY(look_behind(b, (uint64_t)archive_read_header_position(reader), err));
            break;
        }
        if (result < ARCHIVE_WARN) {
            MCF_TRY(system_failure(b, reader, err));
            if (!any)
                return fail_no_tar(b->path, archive_error_string(reader), err);
            index->truncated_at = end ? end : 1;
            return MCF_OK;
        }
        any = true;
        bool whole;
        MCF_TRY(take_member(b, entry, (uint64_t)archive_filter_bytes(reader, 0), &end, &whole, err));
        if (!whole) {
            index->truncated_at = end ? end : 1;
            return MCF_OK;
        }
    }
    // A whole tar ends in two blocks of zeros. One cut between two members has none.
    if (any && end + MCF_TAR_BLOCK - 1 >= index->tar_size)
        index->truncated_at = end;
    return MCF_OK;
}

static struct archive *new_reader(void)
{
    struct archive *reader = archive_read_new();
    if (reader && archive_read_support_format_tar(reader) != ARCHIVE_OK) {
        archive_read_free(reader);
        return NULL;
    }
    return reader;
}

static mcf_status open_and_walk(builder *b, struct archive *reader, mcf_error *err)
{
    const int opened = b->fd >= 0 ? archive_read_open2(reader, b, NULL, give_bytes, skip_bytes, NULL)
                                  : archive_read_open_memory(reader, b->bytes, b->index->tar_size);
    if (opened == ARCHIVE_OK)
        return walk(b, reader, err);
    MCF_TRY(system_failure(b, reader, err));
    return fail_no_tar(b->path, archive_error_string(reader), err);
}

static mcf_status scan(builder *b, mcf_error *err)
{
    struct archive *reader = new_reader();
    b->buffer = b->fd >= 0 ? malloc(AT_ONCE) : NULL;
    if (!reader || (b->fd >= 0 && !b->buffer)) {
        archive_read_free(reader);
        free(b->buffer);
        return no_memory(b, err);
    }
    // Names in pax headers are UTF-8; libarchive turns them into the locale's characters, and loses what that lacks.
    const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    const locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    mcf_status status = open_and_walk(b, reader, err);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    archive_read_free(reader);
    free(b->buffer);
    if (status == MCF_OK)
        status = resolve_links(b, err);
    if (status == MCF_OK)
        status = describe_left_out(b, err);
    free(b->links);
    if (status != MCF_OK)
        mcf_tar_index_free(b->index);
    return status;
}

mcf_status mcf_tar_index_scan_memory(const uint8_t *bytes, size_t size, const char *name, mcf_tar_index *index,
                                     mcf_error *err)
{
    *index = (mcf_tar_index){.tar_size = size};
    builder b = {.index = index, .path = name, .fd = -1, .bytes = bytes, .last = -1};
    return scan(&b, err);
}

mcf_status mcf_tar_index_scan(const char *path, mcf_tar_index *index, mcf_error *err)
{
    *index = (mcf_tar_index){0};
    int fd;
    struct stat info;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    if (fstat(fd, &info) != 0 || info.st_size == 0) {
        mcf_status status = errno && info.st_size
                                ? mcf_fail_errno(err, "read", path)
                                : mcf_fail(err, MCF_ERR_FORMAT, "%s: the tar is empty (0 bytes)", path);
        close(fd);
        return status;
    }
    index->tar_size = (uint64_t)info.st_size;
    builder b = {.index = index, .path = path, .fd = fd, .last = -1};
    mcf_status status = scan(&b, err);
    close(fd);
    index->mtime_ns = mcf_tar_time(&info.st_mtim);
    index->ctime_ns = mcf_tar_time(&info.st_ctim);
    index->inode = (uint64_t)info.st_ino;
    return status;
}
