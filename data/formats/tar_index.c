#include "data/formats/tar_index.h"

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

enum { HEADER_WORDS = 9, ENTRY_WORDS = 4, ALIKE = 7, SOME_HEADERS = 16 };
static const char magic[8] = {'M', 'C', 'F', 'T', 'A', 'R', 'X', '2'}; // the first ALIKE of every version

mcf_status mcf_tar_index_serialize(const mcf_tar_index *index, uint8_t **bytes, size_t *size, mcf_error *err)
{
    const size_t words = HEADER_WORDS + index->count * ENTRY_WORDS, left_out = strlen(index->left_out);
    *size = words * 8 + index->names_size + left_out + 8;
    *bytes = malloc(*size);
    if (!*bytes)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for an index of %zu bytes", *size);
    uint64_t head[HEADER_WORDS] = {0,
                                   htole64(index->tar_size),
                                   htole64((uint64_t)index->mtime_ns),
                                   htole64((uint64_t)index->ctime_ns),
                                   htole64(index->inode),
                                   htole64(index->count),
                                   htole64(index->names_size),
                                   htole64(left_out),
                                   htole64(index->truncated_at)};
    memcpy(head, magic, sizeof magic);
    memcpy(*bytes, head, sizeof head);
    uint8_t *at = *bytes + sizeof head;
    for (uint64_t i = 0; i < index->count; i++, at += ENTRY_WORDS * 8) {
        const mcf_tar_entry *entry = &index->entries[i];
        uint64_t word[ENTRY_WORDS] = {htole64(entry->offset), htole64(entry->size), htole64(entry->name),
                                      htole64(entry->header)};
        memcpy(at, word, sizeof word);
    }
    if (index->names_size)
        memcpy(at, index->names, index->names_size);
    memcpy(at + index->names_size, index->left_out, left_out);
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

static mcf_status copy_checked(const uint8_t *bytes, size_t left_out, mcf_tar_index *index, mcf_error *err)
{
    const uint8_t *names = bytes + (HEADER_WORDS + index->count * ENTRY_WORDS) * 8;
    if (index->names_size && names[index->names_size - 1] != 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "the last name has no end");
    index->entries = malloc(index->count * sizeof *index->entries + 1);
    index->names = malloc(index->names_size + 1);
    index->left_out = strndup((const char *)names + index->names_size, left_out);
    if (!index->entries || !index->names || !index->left_out)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %llu entries", (unsigned long long)index->count);
    memcpy(index->names, names, index->names_size);
    for (uint64_t i = 0; i < index->count; i++) {
        size_t at = HEADER_WORDS + i * ENTRY_WORDS;
        mcf_tar_entry entry = {.offset = word_at(bytes, at),
                               .size = word_at(bytes, at + 1),
                               .name = word_at(bytes, at + 2),
                               .header = word_at(bytes, at + 3)};
        if (entry.size > index->tar_size || entry.offset > index->tar_size - entry.size ||
            entry.offset < MCF_TAR_BLOCK || entry.name >= index->names_size)
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
    const uint64_t count = word_at(bytes, 5), names_size = word_at(bytes, 6), left_out = word_at(bytes, 7),
                   rest = size - (HEADER_WORDS + 1) * 8;
    if (count > rest / (ENTRY_WORDS * 8) || names_size > rest - count * ENTRY_WORDS * 8 ||
        left_out != rest - count * ENTRY_WORDS * 8 - names_size)
        return mcf_fail(err, MCF_ERR_FORMAT, "%llu entries and %llu bytes of names do not fill %zu bytes",
                        (unsigned long long)count, (unsigned long long)names_size, size);
    uint64_t hash;
    memcpy(&hash, bytes + size - 8, 8);
    if (le64toh(hash) != XXH64(bytes, size - 8, 0))
        return mcf_fail(err, MCF_ERR_FORMAT, "checksum does not match");
    *index = (mcf_tar_index){.tar_size = word_at(bytes, 1),
                             .mtime_ns = (int64_t)word_at(bytes, 2),
                             .ctime_ns = (int64_t)word_at(bytes, 3),
                             .inode = word_at(bytes, 4),
                             .count = count,
                             .names_size = names_size,
                             .truncated_at = word_at(bytes, 8)};
    mcf_status status = copy_checked(bytes, (size_t)left_out, index, err);
    if (status != MCF_OK)
        mcf_tar_index_free(index);
    return status;
}

// Whether the headers stand where the index says, of every step-th file and of the last.
static bool headers_stand(int fd, const mcf_tar_index *index, uint64_t step)
{
    for (uint64_t i = 0; i < index->count;
         i += i + 1 < index->count && i + step >= index->count ? index->count - 1 - i : step) {
        uint8_t block[MCF_TAR_BLOCK];
        const mcf_tar_entry *entry = &index->entries[i];
        if (mcf_file_read_at(fd, block, sizeof block, entry->offset - sizeof block, "", NULL) != MCF_OK ||
            mcf_tar_header_hash(block) != entry->header)
            return false;
    }
    return true;
}

typedef enum {
    NONE,
    FOREIGN,
    OURS,
    FITS,
    MOVED
} found; // OURS: of another tar, or damaged. MOVED: fits, times to renew

// What stands at index_path; *index is filled where it fits. Errors: the system's; a file that may not be read is foreign.
static mcf_status load_index(const char *index_path, const char *path, const struct stat *tar, mcf_tar_index *index,
                             found *state, mcf_error *err)
{
    char *bytes;
    size_t size;
    mcf_error why = {0};
    *state = mcf_path_exists(index_path) ? FOREIGN : NONE;
    if (*state == NONE || access(index_path, R_OK) != 0)
        return MCF_OK;
    mcf_status status = mcf_file_read(index_path, (size_t)1 << 40, &bytes, &size, &why);
    if (status != MCF_OK)
        return status == MCF_ERR_FORMAT ? MCF_OK : mcf_fail(err, status, "%s", why.message);
    const bool ours = size >= ALIKE && !memcmp(bytes, magic, ALIKE);
    status = mcf_tar_index_parse((const uint8_t *)bytes, size, index, &why);
    free(bytes);
    if (status == MCF_ERR_NOMEM)
        return mcf_fail(err, status, "%s", why.message);
    if (status != MCF_OK) {
        *state = ours ? OURS : FOREIGN;
        return MCF_OK;
    }
    int fd = -1;
    const bool same = index->tar_size == (uint64_t)tar->st_size && index->mtime_ns == mcf_tar_time(&tar->st_mtim),
               moved = index->ctime_ns != mcf_tar_time(&tar->st_ctim) || index->inode != (uint64_t)tar->st_ino;
    const uint64_t step = moved || index->count <= SOME_HEADERS ? 1 : index->count / SOME_HEADERS;
    const bool fits = same && mcf_file_open(path, &fd, NULL, NULL) == MCF_OK && headers_stand(fd, index, step);
    if (fd >= 0)
        close(fd);
    if (!fits)
        mcf_tar_index_free(index);
    *state = !fits ? OURS : moved ? MOVED : FITS;
    return MCF_OK;
}

static void write_index(const mcf_tar_index *index, const char *index_path, mcf_error *err)
{
    uint8_t *bytes = NULL;
    size_t size;
    if (mcf_tar_index_serialize(index, &bytes, &size, err) == MCF_OK)
        (void)mcf_file_write(index_path, bytes, size, err);
    free(bytes);
}

// Where the index is kept: beside the tar, under another name where somebody else's file has that one, or nowhere.
static mcf_status find_index(const char *path, const struct stat *tar, mcf_tar_index *index, char place[2][4200],
                             const char **kept, found *state, mcf_error *err)
{
    for (int i = 0; i < 2; i++) {
        const int length = snprintf(place[i], sizeof place[i], i ? "%s.mcf.idx" : "%s.idx", path);
        if (length >= (int)sizeof place[i])
            return mcf_fail(err, MCF_ERR_IO, "%.200s...: the path is too long", path);
        *kept = place[i];
        MCF_TRY(load_index(place[i], path, tar, index, state, err));
        if (*state != FOREIGN)
            return MCF_OK;
    }
    *kept = NULL;
    return MCF_OK;
}

mcf_status mcf_tar_index_open(const char *path, mcf_tar_index *index, char *note, size_t note_size, mcf_error *err)
{
    struct stat tar;
    char place[2][4200];
    const char *kept = NULL;
    found state = NONE;
    mcf_error write_error = {0};
    note[0] = 0;
    *index = (mcf_tar_index){0};
    if (stat(path, &tar) != 0)
        return mcf_fail_errno(err, "open", path);
    MCF_TRY(find_index(path, &tar, index, place, &kept, &state, err));
    if (state != FITS && state != MOVED)
        MCF_TRY(mcf_tar_index_scan(path, index, err));
    if (state == MOVED) {
        index->ctime_ns = mcf_tar_time(&tar.st_ctim);
        index->inode = (uint64_t)tar.st_ino;
    }
    if (state != FITS && kept)
        write_index(index, kept, &write_error);
    size_t used = 0;
    if (index->truncated_at)
        used = (size_t)snprintf(note, note_size,
                                "%s: truncated: it breaks off after byte %llu of %llu; its %llu whole files are used, "
                                "what followed is lost",
                                path, (unsigned long long)index->truncated_at, (unsigned long long)index->tar_size,
                                (unsigned long long)index->count);
    if (index->left_out[0] && used < note_size)
        used += (size_t)snprintf(note + used, note_size - used, "%s%s: not read: %s", used ? "; " : "", path,
                                 index->left_out);
    if (state == MOVED || used >= note_size)
        return MCF_OK;
    if (write_error.status != MCF_OK)
        snprintf(note + used, note_size - used, "%s%s: index kept in memory only (%s)", used ? "; " : "", path,
                 write_error.message);
    else if (kept != place[0] && state != FITS)
        snprintf(note + used, note_size - used, "%s%s: another program's file, left alone; the index of this tar is %s",
                 used ? "; " : "", place[0], kept ? kept : "in memory only");
    return MCF_OK;
}
