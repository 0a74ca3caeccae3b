// log.jsonl and TensorBoard events: whole lines only, cut to the past on resume, decoded back from the bytes.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/log.h"
#include "run/tensorboard.h"

static char directory[] = "/tmp/mcf_log_XXXXXX";
static char path[512];

static int group_setup(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/log.jsonl", directory);
    return 0;
}

static int group_teardown(void **state)
{
    return mcf_tree_remove(directory, NULL) == MCF_OK ? 0 : -1;
}

static void write_step(mcf_log *log, int step)
{
    mcf_error err;
    json_t *line = json_pack("{s:i, s:o, s:s}", "step", step, "loss", mcf_log_number(step + 0.125), "note", "a\n\"b");
    assert_int_equal(mcf_log_write(log, line, &err), MCF_OK);
    json_decref(line);
}

static void assert_file(const char *expected)
{
    char *text;
    size_t size;
    mcf_error err;
    assert_int_equal(mcf_file_read(path, 1 << 20, &text, &size, &err), MCF_OK);
    assert_string_equal(text, expected);
    free(text);
}

#define LINE(step) "{\"step\":" #step ",\"loss\":" #step ".125,\"note\":\"a\\n\\\"b\"}\n"

static void lines_are_cut_on_resume(void **state)
{
    mcf_error err;
    mcf_log *log;
    assert_int_equal(mcf_log_open(&log, path, -1, &err), MCF_OK);
    for (int step = 1; step <= 4; step++)
        write_step(log, step);
    assert_int_equal(mcf_log_sync(log, &err), MCF_OK);
    mcf_log_close(log);
    assert_file(LINE(1) LINE(2) LINE(3) LINE(4));

    // a line torn by a kill, of a step that would count
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "{\"step\":4", 9), 9);
    close(fd);
    assert_int_equal(mcf_log_open(&log, path, 4, &err), MCF_OK);
    assert_file(LINE(1) LINE(2) LINE(3) LINE(4));
    write_step(log, 5);
    mcf_log_close(log);
    assert_file(LINE(1) LINE(2) LINE(3) LINE(4) LINE(5));

    assert_int_equal(mcf_log_open(&log, path, 2, &err), MCF_OK);
    write_step(log, 3);
    mcf_log_close(log);
    assert_file(LINE(1) LINE(2) LINE(3));

    assert_int_equal(mcf_log_open(&log, path, 0, &err), MCF_OK);
    mcf_log_close(log);
    assert_file("");
    unlink(path);
    assert_int_equal(mcf_log_open(&log, path, 7, &err), MCF_OK); // nothing to cut
    mcf_log_close(log);
    assert_int_equal(mcf_log_open(&log, path, -1, &err), MCF_OK);
    write_step(log, 1);
    mcf_log_close(log);
    assert_int_equal(mcf_log_open(&log, path, -1, &err), MCF_OK);
    mcf_log_close(log);
    assert_file("");
}

static void numbers_json_lacks(void **state)
{
    json_t *values[] = {mcf_log_number(NAN), mcf_log_number(INFINITY), mcf_log_number(-INFINITY), mcf_log_number(0.1)};
    assert_string_equal(json_string_value(values[0]), "nan");
    assert_string_equal(json_string_value(values[1]), "inf");
    assert_string_equal(json_string_value(values[2]), "-inf");
    assert_true(json_real_value(values[3]) == 0.1);
    for (int i = 0; i < 4; i++)
        json_decref(values[i]);
}

// A limit on the file size stands for the full disk: the part that went in is taken back.
static void full_disk_leaves_whole_lines(void **state)
{
    mcf_error err = {0};
    mcf_log *log;
    struct rlimit old, small;
    assert_int_equal(mcf_log_open(&log, path, -1, &err), MCF_OK);
    write_step(log, 1);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = sizeof(LINE(1)) + 10;
    setrlimit(RLIMIT_FSIZE, &small);
    json_t *line = json_pack("{s:i, s:s}", "step", 2, "note", "longer than ten bytes");
    mcf_status status = mcf_log_write(log, line, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    json_decref(line);
    assert_int_equal(status, MCF_ERR_IO);
    assert_non_null(strstr(err.message, "log.jsonl: cannot write"));
    assert_file(LINE(1));
    write_step(log, 2);
    mcf_log_close(log);
    assert_file(LINE(1) LINE(2));
    assert_int_equal(mcf_log_open(&log, "/nowhere/log.jsonl", -1, &err), MCF_ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/log.jsonl: cannot write: No such file"));
}

// --- TensorBoard, decoded by plain protobuf rules ---

static uint64_t varint(const unsigned char **at)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        value |= (uint64_t)(**at & 0x7f) << shift;
        if (!(*(*at)++ & 0x80))
            return value;
    }
}

typedef struct {
    double wall;
    int64_t step;
    char version[32], tag[64];
    float value;
    int session;
} event;

static void decode(const unsigned char *at, const unsigned char *end, int level, event *e)
{
    while (at < end) {
        uint64_t key = varint(&at);
        int field = (int)(key >> 3), type = (int)(key & 7);
        if (type == 0) {
            uint64_t value = varint(&at);
            if (level == 0 && field == 2)
                e->step = (int64_t)value;
            if (level == 3 && field == 1)
                e->session = (int)value;
        } else if (type == 1) {
            memcpy(&e->wall, at, 8);
            at += 8;
        } else if (type == 5) {
            assert_true(level == 2 && field == 2);
            memcpy(&e->value, at, 4);
            at += 4;
        } else {
            assert_int_equal(type, 2);
            size_t size = varint(&at);
            if (level == 0 && field == 3)
                snprintf(e->version, sizeof(e->version), "%.*s", (int)size, (const char *)at);
            else if (level == 0 && field == 5)
                decode(at, at + size, 1, e);
            else if (level == 0 && field == 7)
                decode(at, at + size, 3, e);
            else if (level == 1 && field == 1)
                decode(at, at + size, 2, e);
            else if (level == 2 && field == 1)
                snprintf(e->tag, sizeof(e->tag), "%.*s", (int)size, (const char *)at);
            else
                fail_msg("field %d at level %d", field, level);
            at += size;
        }
    }
    assert_ptr_equal(at, end);
}

static int read_events(const char *file, event *events, int room)
{
    char *bytes;
    size_t size;
    mcf_error err;
    int count = 0;
    assert_int_equal(mcf_file_read(file, 1 << 20, &bytes, &size, &err), MCF_OK);
    for (size_t at = 0; at < size; count++) {
        uint64_t length;
        uint32_t crc;
        assert_true(count < room);
        memcpy(&length, bytes + at, 8);
        memcpy(&crc, bytes + at + 8, 4);
        assert_true(crc == mcf_crc32c_masked(bytes + at, 8));
        memcpy(&crc, bytes + at + 12 + length, 4);
        assert_true(crc == mcf_crc32c_masked(bytes + at + 12, length));
        memset(&events[count], 0, sizeof(events[count]));
        const unsigned char *start = (const unsigned char *)bytes + at + 12;
        decode(start, start + length, 0, &events[count]);
        at += 16 + length;
        assert_true(at <= size);
    }
    free(bytes);
    return count;
}

static void crc_is_castagnoli(void **state)
{
    assert_int_equal(mcf_crc32c("123456789", 9), 0xe3069283u);
    unsigned char zeros[32] = {0};
    assert_int_equal(mcf_crc32c(zeros, 32), 0x8a9136aau); // RFC 3720, B.4
    uint32_t crc = mcf_crc32c("123456789", 9);
    assert_int_equal(mcf_crc32c_masked("123456789", 9), (crc >> 15 | crc << 17) + 0xa282ead8u);
}

static void events_are_read_back(void **state)
{
    mcf_error err = {0};
    mcf_tensorboard *board, *second;
    event e[8];
    assert_int_equal(mcf_tensorboard_open(&board, directory, -1, &err), MCF_OK);
    assert_int_equal(mcf_tensorboard_scalar(board, "loss", 1, 2.5, &err), MCF_OK);
    assert_int_equal(mcf_tensorboard_scalar(board, "loss.feature", 300, -1e-3, &err), MCF_OK);
    assert_int_equal(mcf_tensorboard_open(&second, directory, 128, &err), MCF_OK);
    assert_int_equal(mcf_tensorboard_scalar(second, "loss", 129, 1, &err), MCF_OK);
    assert_string_not_equal(mcf_tensorboard_path(board), mcf_tensorboard_path(second));

    assert_int_equal(read_events(mcf_tensorboard_path(board), e, 8), 3);
    assert_string_equal(e[0].version, "brain.Event:2");
    assert_string_equal(e[1].tag, "loss");
    assert_true(e[1].step == 1 && e[1].value == 2.5f && e[1].wall > 1.6e9);
    assert_string_equal(e[2].tag, "loss.feature");
    assert_true(e[2].step == 300 && e[2].value == -1e-3f);

    assert_int_equal(read_events(mcf_tensorboard_path(second), e, 8), 3);
    assert_true(e[1].session == 1 && e[1].step == 129);
    assert_true(e[2].step == 129 && e[2].value == 1);
    mcf_tensorboard_close(board);
    mcf_tensorboard_close(second);
    char tag[400];
    memset(tag, 'x', sizeof(tag) - 1);
    tag[sizeof(tag) - 1] = '\0';
    assert_int_equal(mcf_tensorboard_open(&board, "/nowhere", -1, &err), MCF_ERR_IO);
    assert_int_equal(mcf_tensorboard_open(&board, directory, -1, &err), MCF_OK);
    assert_int_equal(mcf_tensorboard_scalar(board, tag, 1, 1, &err), MCF_ERR_INTERNAL);
    mcf_tensorboard_close(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_on_resume),      cmocka_unit_test(numbers_json_lacks),
        cmocka_unit_test(full_disk_leaves_whole_lines), cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test(events_are_read_back),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
