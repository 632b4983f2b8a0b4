/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files of the node: read whole, replaced whole, and what was there stays if that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include <storaged/cleanup.h>

#include "common/text.h"
#include "tests/unit/scratch.h"

#define MAX 4096

static char dir[SCRATCH_MAX], path[96];

static int setup(void **state)
{
        (void) state;
        if (!scratch_make(dir))
                return -1;
        (void) snprintf(path, sizeof(path), "%s/file", dir);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        (void) unlink(path);
        return rmdir(dir); /* fails if a temporary file is left */
}

static void holds(const char *want)
{
        AUTO(freep) char *text = NULL;

        assert_int_equal(text_read(path, MAX, &text), 0);
        if (!want)
                assert_null(text);
        else
                assert_string_equal(text, want);
}

static void a_file_is_made_replaced_and_taken_away(void **state)
{
        struct stat st;

        (void) state;
        holds(NULL);
        assert_int_equal(text_write(path, "one\n"), 0);
        holds("one\n");
        assert_int_equal(text_write(path, ""), 0);
        holds("");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(text_write(path, NULL), 0);
        assert_int_equal(text_write(path, NULL), 0);
        holds(NULL);
}

static void what_is_no_small_file_is_not_read(void **state)
{
        AUTO(freep) char *text = NULL;

        (void) state;
        assert_int_equal(text_write(path, "12345"), 0);
        assert_int_equal(text_read(path, 4, &text), -EFBIG);
        assert_int_equal(text_read(path, 5, &text), 0);
        assert_string_equal(text, "12345");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it: open(2) alone would wait for ever */
        free(TAKE(text));
        assert_int_equal(text_read(path, MAX, &text), -EINVAL);
        assert_int_equal(text_read(dir, MAX, &text), -EISDIR);
        assert_null(text);
}

static void a_failed_write_leaves_the_former_text(void **state)
{
        static const struct rlimit none = { 2, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
        char below[128];

        (void) state;
        (void) snprintf(below, sizeof(below), "%s/none/file", dir);
        assert_int_equal(text_write(below, "x"), -ENOENT);
        assert_int_equal(text_write(path, "one"), 0);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); /* as on a full disk: the first bytes fit */
        assert_int_equal(text_write(path, "twelve"), -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
        holds("one");
}

static void a_text_is_made(void **state)
{
        AUTO(freep) char *text = NULL;

        (void) state;
        assert_int_equal(text_printf(&text, "%s-%d", "a", 7), 0);
        assert_string_equal(text, "a-7");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_file_is_made_replaced_and_taken_away, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_no_small_file_is_not_read, setup, teardown),
                cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_former_text, setup, teardown),
                cmocka_unit_test(a_text_is_made),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
