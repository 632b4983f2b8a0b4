/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps that may hang in the kernel: a FIFO nobody reads stands for the sysfs file of a host whose scan never comes
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "multipath/work.c"

#include <stdio.h>
#include <sys/stat.h>

#include "../scratch.h"

#define DEADLINE_MS 300
#define LATE_MS 20000 /* the machine may be busy; without the deadline this would be for ever */

__attribute__((noreturn)) static int hang(void *arg, int fd)
{
        (void) arg;
        (void) dprintf(fd, "begun");
        for (;;)
                (void) pause();
}

static int answer(void *arg, int fd)
{
        (void) dprintf(fd, "%s", (const char *) arg);
        return 0;
}

static int refuse(void *arg, int fd)
{
        (void) arg;
        (void) fd;
        return -ENODEV;
}

__attribute__((noreturn)) static int die(void *arg, int fd)
{
        (void) arg;
        (void) fd;
        _exit(1);
}

static void test_one_that_hangs_costs_its_deadline(void **state)
{
        Work works[] = {
                { .fn = hang }, { .fn = answer, .arg = "one" }, { .fn = refuse },
                { .fn = die },  { .fn = answer, .arg = "two" },
        };
        size_t n = sizeof(works) / sizeof(works[0]);
        uint64_t begun = work_now_ms();

        (void) state;
        assert_int_equal(work_run(works, n, 2, DEADLINE_MS), 0);
        assert_in_range(work_now_ms() - begun, DEADLINE_MS, LATE_MS);
        assert_int_equal(works[0].result, -ETIMEDOUT);
        assert_string_equal(works[0].out, "begun"); /* what was told before is worth something */
        assert_int_equal(works[1].result, 0);
        assert_string_equal(works[1].out, "one");
        assert_int_equal(works[2].result, -ENODEV);
        assert_int_equal(works[3].result, -ECHILD);
        assert_int_equal(works[4].result, 0);
        assert_string_equal(works[4].out, "two");
        for (size_t i = 0; i < n; i++)
                free(works[i].out);
}

static void test_a_write_that_never_comes_back(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char dir[SCRATCH_MAX], path[SCRATCH_MAX + 16];
        uint64_t begun = work_now_ms();

        (void) state;
        assert_non_null(scratch_make(dir));
        (void) snprintf(path, sizeof(path), "%s/scan", dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(work_write(path, "- - -", DEADLINE_MS, &err), -ETIMEDOUT);
        assert_in_range(work_now_ms() - begun, DEADLINE_MS, LATE_MS);
        assert_non_null(strstr(err.text, path));
        (void) snprintf(path, sizeof(path), "%s/nothing", dir);
        assert_int_equal(work_write(path, "1", LATE_MS, &err), -ENOENT);
        assert_int_equal(scratch_remove(dir), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_that_hangs_costs_its_deadline),
                cmocka_unit_test(test_a_write_that_never_comes_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
