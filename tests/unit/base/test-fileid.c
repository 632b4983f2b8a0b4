/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Identity of directories: the same under renewal, another one after it was made anew; texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fileid.h"
#include "tests/unit/scratch.h"

/*
 * File systems stamp births with the kernel's coarse clock, or with the finest time it has given to anybody, whichever
 * is later (ktime_get_coarse_real_ts64_mg): that may be ahead of the clock. What is born once the clock is past a birth
 * is younger.
 */
static void wait_until_past(int64_t born_ns)
{
        struct timespec now;

        do {
                assert_int_equal(sched_yield(), 0);
                assert_int_equal(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
        } while (now.tv_sec * INT64_C(1000000000) + now.tv_nsec <= born_ns);
}

static void made_anew_is_another_one(void **state)
{
        char top[SCRATCH_MAX], path[96];
        FileId first, same, second;

        (void) state;
        assert_non_null(scratch_make(top));
        (void) snprintf(path, sizeof(path), "%s/d", top);
        assert_int_equal(fileid_get(path, &first), -ENOENT);
        for (unsigned i = 0; i < 200; i++) { /* numbers of inodes are used again at once */
                assert_int_equal(mkdir(path, 0700), 0);
                assert_int_equal(fileid_get(path, &first), 0);
                assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
                assert_int_equal(fileid_get(path, &same), 0);
                assert_true(fileid_equal(&first, &same));
                assert_int_equal(rmdir(path), 0);
                assert_int_equal(fileid_get(path, &same), -ENOENT);
                wait_until_past(first.born_ns);
                assert_int_equal(mkdir(path, 0700), 0);
                assert_int_equal(fileid_get(path, &second), 0);
                assert_false(fileid_equal(&first, &second));
                assert_int_equal(rmdir(path), 0);
        }
        assert_int_equal(rmdir(top), 0);
}

static void text_and_back(void **state)
{
        static const char *const bad[] = { "", "x", "1", "1:2", "1:2:", "1:2:x", "1:2:3:4", "1:2:3x" };
        FileId id = { .dev = UINT64_MAX, .ino = 0xabc, .born_ns = INT64_MIN }, back;
        char text[FILEID_TEXT_MAX];

        (void) state;
        fileid_print(&id, text);
        assert_int_equal(fileid_parse(text, &back), 0);
        assert_true(fileid_equal(&id, &back));
        back = id;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(fileid_parse(bad[i], &back), -EINVAL);
        assert_true(fileid_equal(&id, &back));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(made_anew_is_another_one),
                cmocka_unit_test(text_and_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
