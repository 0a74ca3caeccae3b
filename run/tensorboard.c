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
#include "base/protobuf.h"

enum { MAX_TAG = 200 };

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

// wall_time = 1, step = 2
static void start_event(mcf_text *event, int64_t step)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    mcf_protobuf_double(event, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
    mcf_protobuf_integer(event, 2, (uint64_t)step);
}

// One write, so that readers see whole records; frees the event.
static mcf_status write_event(mcf_tensorboard *board, mcf_text *event, mcf_error *err)
{
    mcf_text record = {0};
    const uint64_t length = event->size;
    uint32_t crc = mcf_crc32c_masked(&length, sizeof length);
    mcf_text_append(&record, (const char *)&length, sizeof length);
    mcf_text_append(&record, (const char *)&crc, sizeof crc);
    mcf_text_append(&record, event->text, event->size);
    crc = mcf_crc32c_masked(event->text, event->size);
    mcf_text_append(&record, (const char *)&crc, sizeof crc);
    mcf_status status = event->failed || record.failed
                            ? mcf_fail(err, MCF_ERR_NOMEM, "%s: no memory for an event", board->path)
                            : mcf_file_write_all(board->fd, record.text, record.size, board->path, err);
    mcf_text_free(&record);
    mcf_text_free(event);
    return status;
}

static mcf_status write_head(mcf_tensorboard *board, int64_t resume_step, mcf_error *err)
{
    static const char version[] = "brain.Event:2";
    static const unsigned char start[] = {1 << 3 | MCF_WIRE_VARINT, 1}; // SessionLog.status = START
    mcf_text event = {0};
    start_event(&event, 0);
    mcf_protobuf_bytes(&event, 3, version, sizeof(version) - 1);
    MCF_TRY(write_event(board, &event, err));
    if (resume_step < 0)
        return MCF_OK;
    // Readers drop what they hold of this step and later ones.
    start_event(&event, resume_step + 1);
    mcf_protobuf_bytes(&event, 7, start, sizeof(start));
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
    mcf_text entry = {0}, summary = {0}, event = {0};
    const size_t length = strlen(tag);
    if (length > MAX_TAG)
        return mcf_fail(err, MCF_ERR_INTERNAL, "TensorBoard tag longer than %d bytes: %.40s...", MAX_TAG, tag);
    mcf_protobuf_bytes(&entry, 1, tag, length);              // Summary.Value.tag
    mcf_protobuf_float(&entry, 2, (float)value);             // Summary.Value.simple_value
    mcf_protobuf_bytes(&summary, 1, entry.text, entry.size); // Summary.value
    start_event(&event, step);
    mcf_protobuf_bytes(&event, 5, summary.text, summary.size); // Event.summary
    event.failed |= entry.failed || summary.failed;
    mcf_text_free(&entry);
    mcf_text_free(&summary);
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
