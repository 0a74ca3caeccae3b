// Formats: a TFRecord is length (u64), masked crc of the length, bytes, masked crc of the bytes. The fields
// are those of tensorflow's event.proto and summary.proto.
#define _GNU_SOURCE
#include "run/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

enum { MAX_TAG = 200, MAX_EVENT = 512 };

struct mcf_tensorboard {
    int fd;
    char *path;
};

uint32_t mcf_crc32c(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

uint32_t mcf_crc32c_masked(const void *bytes, size_t size)
{
    uint32_t crc = mcf_crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

typedef struct {
    unsigned char bytes[MAX_EVENT];
    size_t size;
} message;

enum { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 };

static void put_varint(message *m, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        m->bytes[m->size++] = (unsigned char)(value | 0x80);
    m->bytes[m->size++] = (unsigned char)value;
}

static void put_field(message *m, int number, int wire_type)
{
    put_varint(m, (uint64_t)(number << 3 | wire_type));
}

static void put_bytes(message *m, int number, const void *bytes, size_t size)
{
    put_field(m, number, DELIMITED);
    put_varint(m, size);
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

// wall_time = 1, step = 2
static void start_event(message *m, int64_t step)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    m->size = 0;
    put_field(m, 1, FIXED64);
    memcpy(m->bytes + m->size, &seconds, 8);
    m->size += 8;
    put_field(m, 2, VARINT);
    put_varint(m, (uint64_t)step);
}

static mcf_status write_event(mcf_tensorboard *board, const message *event, mcf_error *err)
{
    unsigned char record[MAX_EVENT + 16];
    uint64_t length = event->size;
    memcpy(record, &length, 8);
    uint32_t crc = mcf_crc32c_masked(record, 8);
    memcpy(record + 8, &crc, 4);
    memcpy(record + 12, event->bytes, event->size);
    crc = mcf_crc32c_masked(event->bytes, event->size);
    memcpy(record + 12 + event->size, &crc, 4);
    return mcf_file_write_all(board->fd, record, event->size + 16, board->path, err);
}

static mcf_status write_head(mcf_tensorboard *board, int64_t resume_step, mcf_error *err)
{
    static const char version[] = "brain.Event:2";
    static const unsigned char start[] = {1 << 3 | VARINT, 1}; // SessionLog.status = START
    message event;
    start_event(&event, 0);
    put_bytes(&event, 3, version, sizeof(version) - 1);
    MCF_TRY(write_event(board, &event, err));
    if (resume_step < 0)
        return MCF_OK;
    // Readers drop what they hold of this step and later ones.
    start_event(&event, resume_step + 1);
    put_bytes(&event, 7, start, sizeof(start));
    return write_event(board, &event, err);
}

mcf_status mcf_tensorboard_open(mcf_tensorboard **out, const char *directory, int64_t resume_step, mcf_error *err)
{
    static atomic_uint counter;
    char host[65] = "localhost";
    *out = NULL;
    gethostname(host, sizeof(host) - 1);
    mcf_tensorboard *board = calloc(1, sizeof(*board));
    if (!board || asprintf(&board->path, "%s/events.out.tfevents.%010lld.%s.%d.%u", directory, (long long)time(NULL),
                           host, (int)getpid(), atomic_fetch_add(&counter, 1u)) < 0) {
        free(board);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", directory);
    }
    board->fd = open(board->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    mcf_status status = MCF_OK;
    if (board->fd < 0)
        status = mcf_fail(err, MCF_ERR_IO, "%s: cannot write: %s", board->path, strerror(errno));
    else
        status = write_head(board, resume_step, err);
    if (status != MCF_OK) {
        mcf_tensorboard_close(board);
        return status;
    }
    *out = board;
    return MCF_OK;
}

mcf_status mcf_tensorboard_scalar(mcf_tensorboard *board, const char *tag, int64_t step, double value, mcf_error *err)
{
    message entry = {.size = 0}, summary = {.size = 0}, event;
    float single = (float)value;
    size_t length = strlen(tag);
    if (length > MAX_TAG)
        return mcf_fail(err, MCF_ERR_INTERNAL, "TensorBoard tag longer than %d bytes: %.40s...", MAX_TAG, tag);
    put_bytes(&entry, 1, tag, length); // Summary.Value.tag
    put_field(&entry, 2, FIXED32);     // Summary.Value.simple_value
    memcpy(entry.bytes + entry.size, &single, 4);
    entry.size += 4;
    put_bytes(&summary, 1, entry.bytes, entry.size); // Summary.value
    start_event(&event, step);
    put_bytes(&event, 5, summary.bytes, summary.size); // Event.summary
    return write_event(board, &event, err);
}

const char *mcf_tensorboard_path(const mcf_tensorboard *board)
{
    return board->path;
}

void mcf_tensorboard_close(mcf_tensorboard *board)
{
    if (!board)
        return;
    if (board->fd >= 0)
        close(board->fd);
    free(board->path);
    free(board);
}
