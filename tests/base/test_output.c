// What stands at an output path, and what becomes of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/output.h"

static int set_up(void **state)
{
    static char folder[64];
    strcpy(folder, "/tmp/mcf-output-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    char folder[128];
    return getcwd(folder, sizeof folder) && chdir("/") == 0 && mcf_tree_remove(folder, NULL) == MCF_OK ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    mcf_error err = {0};
    if (mcf_file_write(path, text, strlen(text), &err) != MCF_OK)
        fail_msg("%s", err.message);
}

static void expect(const char *path, const char *text)
{
    char *bytes;
    size_t size;
    mcf_error err = {0};
    if (mcf_file_read(path, 1000, &bytes, &size, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(bytes, text);
    free(bytes);
}

static void refused(const char *path, const char *why)
{
    mcf_error err = {0};
    assert_int_not_equal(mcf_file_check_place(path, &err), MCF_OK);
    if (!strstr(err.message, why))
        fail_msg("'%s' lacks '%s'", err.message, why);
    assert_int_not_equal(mcf_file_write(path, "x", 1, &err), MCF_OK);
}

static void test_links_are_followed(void **state)
{
    struct stat info;
    assert_int_equal(mkdir("disk", 0777), 0);
    put("disk/old", "old");
    assert_int_equal(symlink("disk/old", "a"), 0);
    assert_int_equal(symlink("a", "b"), 0);
    assert_int_equal(symlink("../disk/new", "disk/c"), 0); // dangles
    assert_int_equal(symlink("disk", "way"), 0);
    put("b", "through two links");
    put("way/c", "where a link pointed to nothing");
    expect("disk/old", "through two links");
    expect("disk/new", "where a link pointed to nothing");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lstat(i == 0 ? "a" : i == 1 ? "b" : "disk/c", &info), 0);
        assert_true(S_ISLNK(info.st_mode));
    }
    assert_int_equal(symlink("round", "about"), 0);
    assert_int_equal(symlink("about", "round"), 0);
    refused("round", "circle");
    assert_int_equal(symlink("nowhere/x", "lost"), 0);
    refused("lost", "there is no directory");
}

static void test_the_mode_is_kept(void **state)
{
    static const mode_t modes[] = {0600, 0640, 0755, 0666};
    struct stat info;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put("m", "before");
        assert_int_equal(chmod("m", modes[i]), 0);
        put("m", "after");
        assert_int_equal(stat("m", &info), 0);
        assert_int_equal(info.st_mode & 07777, modes[i]);
        expect("m", "after");
    }
}

// A pipe is written straight into, and is a pipe afterwards.
static void test_pipes(void **state)
{
    struct stat info;
    char got[64] = "";
    assert_int_equal(mkfifo("pipe", 0666), 0);
    assert_int_equal(symlink("pipe", "to-pipe"), 0);
    for (int i = 0; i < 2; i++) {
        const char *path = i ? "to-pipe" : "pipe";
        assert_int_equal(mcf_file_check_place(path, NULL), MCF_OK);
        pid_t child = fork();
        if (child == 0) {
            FILE *in = fopen("pipe", "r");
            size_t n = in ? fread(got, 1, sizeof got, in) : 0;
            _exit(n == 5 && !memcmp(got, "bytes", 5) ? 0 : 1);
        }
        put(path, "bytes");
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(stat("pipe", &info), 0);
        assert_true(S_ISFIFO(info.st_mode));
    }
}

static void test_a_descriptor_is_written_into(void **state)
{
    char path[64];
    FILE *file = fopen("behind", "w+");
    assert_non_null(file);
    fputs("first ", file);
    fflush(file);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    struct stat before, after;
    assert_int_equal(stat("behind", &before), 0);
    mcf_output_place place;
    assert_int_equal(mcf_output_find(path, &place, NULL), MCF_OK);
    assert_int_equal(place.kind, MCF_OUTPUT_STREAM);
    put(path, "second");
    assert_int_equal(stat("behind", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    fclose(file);
}

static void test_what_cannot_be_an_output(void **state)
{
    assert_int_equal(mkdir("folder", 0777), 0);
    put("file", "x");
    refused("folder", "directory");
    refused("file/x", "file is a file where a directory is needed");
    refused("file/x/y", "file is a file where a directory is needed");
    refused("none/x", "there is no directory none");
    refused("new/", "name");
    refused("", "name");
    mcf_error err = {0};
    assert_int_equal(mcf_directory_make("file/x/y", &err), MCF_ERR_IO);
    assert_non_null(strstr(err.message, "file is a file where a directory is needed"));
    assert_null(strstr(err.message, "permissions"));
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    refused("socket", "socket");
    close(fd);
    if (geteuid() != 0) {
        assert_int_equal(chmod("file", 0444), 0);
        refused("file", "protected");
    }
}

static void test_inputs_are_not_outputs(void **state)
{
    put("in", "x");
    assert_int_equal(link("in", "hard"), 0);
    assert_int_equal(symlink("in", "soft"), 0);
    const char *const inputs[] = {NULL, "missing", "in"};
    static const char *const same[] = {"in", "./in", "hard", "soft"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        mcf_error err = {0};
        assert_int_equal(mcf_output_differs(same[i], inputs, 3, &err), MCF_ERR_USAGE);
        assert_non_null(strstr(err.message, "same file as the input"));
    }
    assert_int_equal(mcf_output_differs("out", inputs, 3, NULL), MCF_OK);
    put("other", "x");
    assert_int_equal(mcf_output_differs("other", inputs, 3, NULL), MCF_OK);
}

// Reading never waits for what is no file.
static void test_reading_waits_for_nobody(void **state)
{
    static const char *const kinds[][2] = {{"pipe", "a pipe"}, {"folder", "a directory"}, {"socket", "a socket"}};
    assert_int_equal(mkfifo("pipe", 0666), 0);
    assert_int_equal(mkdir("folder", 0777), 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int of = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(of, (struct sockaddr *)&name, sizeof name), 0);
    close(of);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        mcf_error err = {0};
        int fd;
        char *bytes;
        size_t size;
        alarm(20);
        assert_int_equal(mcf_file_open(kinds[i][0], &fd, NULL, &err), MCF_ERR_FORMAT);
        assert_non_null(strstr(err.message, kinds[i][1]));
        assert_int_equal(mcf_file_read(kinds[i][0], 100, &bytes, &size, &err), MCF_ERR_FORMAT);
        alarm(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_links_are_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_mode_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pipes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_descriptor_is_written_into, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_an_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inputs_are_not_outputs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reading_waits_for_nobody, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
