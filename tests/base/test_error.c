// Errors: what stands in front, and what is cut where a message does not fit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_context_comes_first(void **state)
{
    mcf_error err;
    assert_int_equal(mcf_fail(&err, MCF_ERR_IO, "no %s", "room"), MCF_ERR_IO);
    assert_int_equal(mcf_add_context(&err, MCF_ERR_IO, "file %d", 3), MCF_ERR_IO);
    assert_string_equal(err.message, "file 3: no room");
    assert_int_equal(mcf_add_context(NULL, MCF_ERR_IO, "nobody asks"), MCF_ERR_IO);
}

// Every length of context over a message that fills the room: never beyond it, the context whole, the rest from its start.
static void test_the_tail_is_cut(void **state)
{
    enum { ROOM = sizeof((mcf_error *)0)->message - 1 };
    char context[ROOM + 10];
    for (int length = 0; length < ROOM + 9; length++) {
        mcf_error err = {.status = MCF_ERR_IO};
        memset(err.message, 'm', ROOM);
        err.message[ROOM] = 0;
        memset(context, 'c', (size_t)length);
        context[length] = 0;
        mcf_add_context(&err, MCF_ERR_IO, "%s", context);
        const int kept = length < ROOM ? length : ROOM;
        assert_int_equal(strspn(err.message, "c"), kept);
        if (kept + 2 <= ROOM) {
            assert_memory_equal(err.message + kept, ": ", 2);
            assert_int_equal(strspn(err.message + kept + 2, "m"), ROOM - kept - 2);
            assert_int_equal(strlen(err.message), ROOM);
        } else {
            assert_int_equal(strlen(err.message), kept);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_comes_first),
        cmocka_unit_test(test_the_tail_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
