// Names as they are printed: nothing that moves the cursor, breaks a line or hides; and as they are stored.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/printable.h"

static const struct {
    const char *text, *shown;
} cases[] = {
    {"plain name.jpg", "plain name.jpg"},
    {"Gr\xc3\xb6\xc3\x9f"
     "e \xe9\xa1\x94 \xf0\x9f\x98\x80.png",
     "Gr\xc3\xb6\xc3\x9f"
     "e \xe9\xa1\x94 \xf0\x9f\x98\x80.png"},
    {"a\nb\tc\rd", "a\\nb\\tc\\rd"},
    {"\033[2J\033]0;title\a", "\\x1b[2J\\x1b]0;title\\x07"},
    {"\x7f", "\\x7f"},
    {"latin \xe9\xff", "latin \\xe9\\xff"},
    {"c1 \xc2\x9b"
     "31m",
     "c1 \\u{9b}31m"},
    {"overlong \xc0\x8a", "overlong \\xc0\\x8a"},
    {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
    {"past \xf4\x90\x80\x80", "past \\xf4\\x90\\x80\\x80"},
    {"bidi \xe2\x80\xaegpj.exe", "bidi \\u{202e}gpj.exe"},
    {"line \xe2\x80\xa8 end", "line \\u{2028} end"},
    {"zero \xe2\x80\x8bwidth", "zero \\u{200b}width"},
    {"cut \xe2\x82", "cut \\xe2\\x82"},
    {"back\\slash", "back\\slash"},
};

static void test_what_is_shown(void **state)
{
    char out[256], again[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(mcf_printable(out, sizeof out, cases[i].text), cases[i].shown);
        assert_string_equal(mcf_printable(again, sizeof again, out), out);
        char *copy = mcf_printable_copy(cases[i].text);
        assert_string_equal(copy, cases[i].shown);
        free(copy);
        strcpy(out, cases[i].text);
        mcf_printable_in_place(out, sizeof out);
        assert_string_equal(out, cases[i].shown);
    }
}

// Every room, of every text: never past it, ended, and the start of the whole.
static void test_no_room(void **state)
{
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t size = 1; size < sizeof out; size++) {
            memset(out, '#', sizeof out);
            mcf_printable(out, size, cases[i].text);
            assert_true(strlen(out) < size);
            assert_int_equal(strncmp(cases[i].shown, out, strlen(out)), 0);
            if (size < sizeof out)
                assert_int_equal(out[size], '#');
        }
}

static void test_errors_are_printable(void **state)
{
    mcf_error err;
    mcf_fail(&err, MCF_ERR_IO, "%s: lost", "a\n\033[1mb\xff.jpg");
    assert_string_equal(err.message, "a\\n\\x1b[1mb\\xff.jpg: lost");
    mcf_add_context(&err, MCF_ERR_IO, "%s", "in\r");
    assert_string_equal(err.message, "in\\r: a\\n\\x1b[1mb\\xff.jpg: lost");
}

// Different names stay different, whatever bytes they have.
static void test_stored_names_differ(void **state)
{
    static const char *const names[] = {"a\xff",   "a\xfe",      "a\\xff", "a\\\\xff", "a\\",
                                        "a\\\xff", "a\\x5c\xff", "a?",     "a\xc3\xbf"};
    enum { COUNT = sizeof names / sizeof *names };
    char *stored[COUNT];
    for (int i = 0; i < COUNT; i++) {
        stored[i] = mcf_name_as_utf8(names[i]);
        char *shown = mcf_printable_copy(stored[i]); // UTF-8: nothing is left to escape
        assert_string_equal(shown, stored[i]);
        free(shown);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(stored[i], stored[j]);
    }
    assert_string_equal(stored[0], "a\\xff");
    assert_string_equal(stored[2], "a\\\\xff");
    assert_string_equal(stored[8], "a\xc3\xbf");
    for (int i = 0; i < COUNT; i++)
        free(stored[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_shown),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_errors_are_printable),
        cmocka_unit_test(test_stored_names_differ),
    };
    return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
