#include "data/formats/tar_index.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"

enum { HEADER_WORDS = 7, ENTRY_WORDS = 3, MAX_NAME = 4096 };
static const char magic[8] = {'M', 'C', 'F', 'T', 'A', 'R', 'X', '1'};

void mcf_tar_index_free(mcf_tar_index *index)
{
    free(index->entries);
    free(index->names);
    *index = (mcf_tar_index){0};
}

typedef struct {
    mcf_tar_index *index;
    uint64_t entry_room, name_room;
} index_builder;

static mcf_status add_entry(index_builder *builder, uint64_t offset, uint64_t size, const char *name, mcf_error *err)
{
    mcf_tar_index *index = builder->index;
    size_t length = strlen(name) + 1;
    if (index->count == builder->entry_room) {
        builder->entry_room = builder->entry_room ? builder->entry_room * 2 : 256;
        mcf_tar_entry *grown = realloc(index->entries, builder->entry_room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %llu entries",
                            (unsigned long long)builder->entry_room);
        index->entries = grown;
    }
    if (builder->name_room - index->names_size < length) {
        builder->name_room = builder->name_room * 2 + length + 4096;
        char *grown = realloc(index->names, builder->name_room);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for names");
        index->names = grown;
    }
    index->entries[index->count++] = (mcf_tar_entry){offset, size, index->names_size};
    memcpy(index->names + index->names_size, name, length);
    index->names_size += length;
    return MCF_OK;
}

// The name as stored. In a locale that cannot hold it libarchive gives none; UTF-8 is then tried.
static const char *entry_name(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    if (!name)
        name = archive_entry_pathname_utf8(entry);
    while (name && name[0] == '.' && name[1] == '/')
        name += 2;
    return name;
}

static mcf_status fail_no_tar(const char *path, const char *why, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_FORMAT,
                    "%s: not a tar file that can be read at random (%s); a compressed tar must "
                    "be unpacked first",
                    path, why ? why : "unknown");
}

// Walks the headers. Where a file's bytes would pass the end of the tar, or a header makes no sense, the tar
// ends for us; what came before is kept.
static mcf_status scan(struct archive *reader, const char *path, uint64_t tar_size, mcf_tar_index *index,
                       mcf_error *err)
{
    index_builder builder = {.index = index};
    index->tar_size = tar_size;
    bool any = false, ended = false;
    uint64_t end = 0; // of the last whole entry, padding not counted
    struct archive_entry *entry;
    while (!ended) {
        int result = archive_read_next_header(reader, &entry);
        if (result == ARCHIVE_EOF)
            break;
        if (result < ARCHIVE_WARN) {
            if (!any)
                return fail_no_tar(path, archive_error_string(reader), err);
            index->truncated_at = end;
            return MCF_OK;
        }
        any = true;
        uint64_t offset = (uint64_t)archive_filter_bytes(reader, 0);
        int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
        bool link = archive_entry_hardlink(entry) != NULL;
        if (size < 0 || (!link && ((uint64_t)size > tar_size || offset > tar_size - (uint64_t)size))) {
            index->truncated_at = end ? end : 1;
            return MCF_OK;
        }
        if (archive_entry_filetype(entry) == AE_IFREG && !link) {
            const char *name = entry_name(entry);
            char made_up[48];
            if (!name || strlen(name) >= MAX_NAME) {
                snprintf(made_up, sizeof made_up, "entry-at-%llu", (unsigned long long)offset);
                name = made_up;
            }
            if (archive_entry_sparse_count(entry) > 0)
                index->skipped++;
            else
                MCF_TRY(add_entry(&builder, offset, (uint64_t)size, name, err));
            end = offset + (uint64_t)size;
        } else {
            end = offset;
        }
    }
    // A whole tar ends in two blocks of zeros. One cut between two entries has none.
    if (any && end + 511 >= tar_size)
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

mcf_status mcf_tar_index_scan_memory(const uint8_t *bytes, size_t size, const char *name, mcf_tar_index *index,
                                     mcf_error *err)
{
    *index = (mcf_tar_index){0};
    struct archive *reader = new_reader();
    if (!reader)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for the tar reader", name);
    mcf_status status = archive_read_open_memory(reader, bytes, size) == ARCHIVE_OK
                            ? scan(reader, name, size, index, err)
                            : fail_no_tar(name, archive_error_string(reader), err);
    archive_read_free(reader);
    if (status != MCF_OK)
        mcf_tar_index_free(index);
    return status;
}

mcf_status mcf_tar_index_scan(const char *path, mcf_tar_index *index, mcf_error *err)
{
    *index = (mcf_tar_index){0};
    struct stat info;
    if (stat(path, &info) != 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: not a regular file, so it cannot be read at random", path);
    if (info.st_size == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: the tar is empty (0 bytes)", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    struct archive *reader = new_reader();
    mcf_status status = !reader ? mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for the tar reader", path)
                        : archive_read_open_fd(reader, fd, 16384) == ARCHIVE_OK
                            ? scan(reader, path, (uint64_t)info.st_size, index, err)
                            : fail_no_tar(path, archive_error_string(reader), err);
    archive_read_free(reader);
    close(fd);
    if (status != MCF_OK)
        mcf_tar_index_free(index);
    index->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return status;
}

mcf_status mcf_tar_index_serialize(const mcf_tar_index *index, uint8_t **bytes, size_t *size, mcf_error *err)
{
    size_t words = HEADER_WORDS + index->count * ENTRY_WORDS;
    *size = words * 8 + index->names_size + 8;
    *bytes = malloc(*size);
    if (!*bytes)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for an index of %zu bytes", *size);
    uint64_t head[HEADER_WORDS] = {0,
                                   htole64(index->tar_size),
                                   htole64((uint64_t)index->mtime_ns),
                                   htole64(index->count),
                                   htole64(index->names_size),
                                   htole64(index->truncated_at),
                                   htole64(index->skipped)};
    memcpy(head, magic, sizeof magic);
    memcpy(*bytes, head, sizeof head);
    uint8_t *at = *bytes + sizeof head;
    for (uint64_t i = 0; i < index->count; i++, at += ENTRY_WORDS * 8) {
        const mcf_tar_entry *entry = &index->entries[i];
        uint64_t word[ENTRY_WORDS] = {htole64(entry->offset), htole64(entry->size), htole64(entry->name)};
        memcpy(at, word, sizeof word);
    }
    if (index->names_size)
        memcpy(at, index->names, index->names_size);
    uint64_t hash = htole64(XXH64(*bytes, *size - 8, 0));
    memcpy(*bytes + *size - 8, &hash, 8);
    return MCF_OK;
}

static uint64_t word_at(const uint8_t *bytes, size_t index)
{
    uint64_t word;
    memcpy(&word, bytes + index * 8, 8);
    return le64toh(word);
}

static mcf_status copy_checked(const uint8_t *bytes, mcf_tar_index *index, mcf_error *err)
{
    const uint8_t *names = bytes + (HEADER_WORDS + index->count * ENTRY_WORDS) * 8;
    if (index->names_size && names[index->names_size - 1] != 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "the last name has no end");
    index->entries = malloc(index->count * sizeof *index->entries + 1);
    index->names = malloc(index->names_size + 1);
    if (!index->entries || !index->names)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %llu entries", (unsigned long long)index->count);
    memcpy(index->names, names, index->names_size);
    for (uint64_t i = 0; i < index->count; i++) {
        size_t at = HEADER_WORDS + i * ENTRY_WORDS;
        mcf_tar_entry entry = {word_at(bytes, at), word_at(bytes, at + 1), word_at(bytes, at + 2)};
        if (entry.size > index->tar_size || entry.offset > index->tar_size - entry.size ||
            entry.name >= index->names_size)
            return mcf_fail(err, MCF_ERR_FORMAT, "entry %llu lies outside the tar", (unsigned long long)i);
        index->entries[i] = entry;
    }
    return MCF_OK;
}

mcf_status mcf_tar_index_parse(const uint8_t *bytes, size_t size, mcf_tar_index *index, mcf_error *err)
{
    *index = (mcf_tar_index){0};
    if (size < (HEADER_WORDS + 1) * 8 || memcmp(bytes, magic, sizeof magic) != 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "not a tar index");
    uint64_t count = word_at(bytes, 3), names_size = word_at(bytes, 4), rest = size - (HEADER_WORDS + 1) * 8;
    if (count > rest / (ENTRY_WORDS * 8) || names_size != rest - count * ENTRY_WORDS * 8)
        return mcf_fail(err, MCF_ERR_FORMAT, "%llu entries and %llu bytes of names do not fill %zu bytes",
                        (unsigned long long)count, (unsigned long long)names_size, size);
    uint64_t hash;
    memcpy(&hash, bytes + size - 8, 8);
    if (le64toh(hash) != XXH64(bytes, size - 8, 0))
        return mcf_fail(err, MCF_ERR_FORMAT, "checksum does not match");
    *index = (mcf_tar_index){.tar_size = word_at(bytes, 1),
                             .mtime_ns = (int64_t)word_at(bytes, 2),
                             .count = count,
                             .names_size = names_size,
                             .truncated_at = word_at(bytes, 5),
                             .skipped = word_at(bytes, 6)};
    mcf_status status = copy_checked(bytes, index, err);
    if (status != MCF_OK)
        mcf_tar_index_free(index);
    return status;
}

// True when path.idx is there, sound and of this very tar.
static bool load_index(const char *index_path, const struct stat *tar, mcf_tar_index *index)
{
    char *bytes;
    size_t size;
    if (mcf_file_read(index_path, (size_t)1 << 40, &bytes, &size, NULL) != MCF_OK)
        return false;
    mcf_status status = mcf_tar_index_parse((const uint8_t *)bytes, size, index, NULL);
    free(bytes);
    if (status != MCF_OK)
        return false;
    int64_t mtime_ns = (int64_t)tar->st_mtim.tv_sec * 1000000000 + tar->st_mtim.tv_nsec;
    if (index->tar_size == (uint64_t)tar->st_size && index->mtime_ns == mtime_ns)
        return true;
    mcf_tar_index_free(index);
    return false;
}

mcf_status mcf_tar_index_open(const char *path, mcf_tar_index *index, char *note, size_t note_size, mcf_error *err)
{
    note[0] = 0;
    *index = (mcf_tar_index){0};
    struct stat tar;
    if (stat(path, &tar) != 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    char *index_path = malloc(strlen(path) + 5);
    if (!index_path)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    sprintf(index_path, "%s.idx", path);
    mcf_status status = MCF_OK;
    mcf_error write_error = {0};
    if (!load_index(index_path, &tar, index)) {
        status = mcf_tar_index_scan(path, index, err);
        uint8_t *bytes = NULL;
        size_t size;
        if (status == MCF_OK && mcf_tar_index_serialize(index, &bytes, &size, &write_error) == MCF_OK)
            (void)mcf_file_write(index_path, bytes, size, &write_error);
        free(bytes);
    }
    free(index_path);
    if (status != MCF_OK)
        return status;
    if (index->truncated_at)
        snprintf(note, note_size,
                 "%s: truncated: it breaks off after byte %llu of %llu; its %llu whole files are "
                 "used, what followed is lost",
                 path, (unsigned long long)index->truncated_at, (unsigned long long)index->tar_size,
                 (unsigned long long)index->count);
    else if (index->skipped)
        snprintf(note, note_size, "%s: %llu sparse files are not read", path, (unsigned long long)index->skipped);
    else if (write_error.status != MCF_OK)
        snprintf(note, note_size, "%s: index kept in memory only (%s)", path, write_error.message);
    return MCF_OK;
}
