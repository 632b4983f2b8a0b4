/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard: a file system that stops answering costs one bound, not one a call; what is left behind changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "tests/unit/scratch.h"

int __wrap_statfs(const char *path, struct statfs *st);

static char dir[SCRATCH_MAX];
static atomic_bool is_hanging, is_away;
static atomic_int n_to_hang; /* of the calls that come, so many hang */

/* What the guard's threads ask before each job: here the file system hangs, or is gone. */
int __wrap_statfs(const char *path, struct statfs *st)
{
        (void) path;
        if (is_hanging && n_to_hang-- > 0)
                while (is_hanging)
                        (void) usleep(500);
        *st = (struct statfs){ .f_type = (__fsword_t) (is_away ? EXT4_SUPER_MAGIC : FUSE_SUPER_MAGIC) };
        return 0;
}

static char *path_of(const char *name)
{
        static char path[128];

        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static uint64_t ms_since(uint64_t begun)
{
        return (now_usec() - begun) / 1000;
}

static void hang(int n)
{
        n_to_hang = n;
        is_hanging = true;
}

static void wait_idle(void)
{
        while (guard_get_silence_usec() > 0)
                (void) usleep(500);
}

static int make_dir(void **state)
{
        (void) state;
        return scratch_make(dir) && guard_set(dir) == 0 ? 0 : -1;
}

static int drop_dir(void **state)
{
        (void) state;
        (void) fs_unlink(path_of("a"));
        guard_end();
        return guard_covers(dir) ? -1 : rmdir(dir);
}

static void covers_its_directory_only(void **state)
{
        (void) state;
        assert_true(guard_covers(dir));
        assert_true(guard_covers(path_of("x")));
        assert_false(guard_covers("/tmp"));
        (void) snprintf(dir + strlen(dir), 2, "x");
        assert_false(guard_covers(dir));
        dir[strlen(dir) - 1] = '\0';
}

static void calls_do_what_they_do_elsewhere(void **state)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *text = NULL;
        FsSeen none = { 1, 1, 1 }, seen;
        size_t len = 0;

        (void) state;
        assert_int_equal(fs_look(path_of("a"), &none), 0);
        assert_int_equal(none.inode, 0);
        assert_int_equal(fs_exists(path_of("a")), 0);
        assert_int_equal(fs_read_file(path_of("a"), 10, &text, &len), -ENOENT);
        assert_int_equal(fs_write_atomic(path_of("a"), "four", 4, 0600), 0);
        assert_int_equal(fs_exists(path_of("a")), 1);
        assert_int_equal(fs_read_file(path_of("a"), 10, &text, &len), 0);
        assert_int_equal(len, 4);
        assert_string_equal(text, "four");
        assert_int_equal(fs_look(path_of("a"), &seen), 0);
        assert_int_equal(seen.bytes, 4);
        assert_int_equal(fs_touch(path_of("a")), 0);
        assert_int_equal(fs_list_dir(dir, &names), 0);
        assert_int_equal(names.n, 1);
        assert_string_equal(names.items[0], "a");
        assert_int_equal(fs_mkdir_p(path_of("b/c"), 0700), 0);
        assert_int_equal(rmdir(path_of("b/c")), 0);
        assert_int_equal(rmdir(path_of("b")), 0);
        assert_int_equal(fs_unlink(path_of("a")), 0);
        assert_int_equal(fs_unlink(path_of("a")), 0);
}

static void silence_costs_one_bound_and_heals(void **state)
{
        uint64_t begun = now_usec();
        FsSeen seen;

        (void) state;
        hang(1);
        assert_int_equal(fs_glance(path_of("a"), &seen), -ETIMEDOUT);
        assert_true(ms_since(begun) >= GUARD_GLANCE_USEC / 1000);
        begun = now_usec();
        for (int i = 0; i < 100; i++)
                assert_int_equal(fs_glance(path_of("a"), &seen), -ETIMEDOUT);
        assert_true(ms_since(begun) < 100 * GUARD_GLANCE_USEC / 1000 / 4);
        assert_true(guard_get_silence_usec() >= GUARD_GLANCE_USEC);
        is_hanging = false;
        wait_idle();
        assert_int_equal(fs_look(path_of("a"), &seen), 0);
}

/* Somebody was told that the write failed, and may have done something else since. */
static void reads_go_on_beside_a_write_that_hangs_and_is_given_up(void **state)
{
        FsSeen seen;

        (void) state;
        hang(1);
        assert_int_equal(fs_write_atomic(path_of("a"), "late", 4, 0600), -ETIMEDOUT);
        assert_int_equal(fs_look(path_of("a"), &seen), 0);
        assert_true(guard_get_silence_usec() > 0);
        is_hanging = false;
        wait_idle();
        assert_int_equal(fs_look(path_of("a"), &seen), 0);
        assert_int_equal(seen.inode, 0);
}

static void a_bare_directory_is_not_the_cluster(void **state)
{
        AUTO(freep) char *text = NULL;
        FsSeen seen = { 1, 2, 3 };

        (void) state;
        is_away = true;
        assert_int_equal(fs_look(path_of("a"), &seen), -ENOTCONN);
        assert_int_equal(seen.bytes, 2);
        assert_int_equal(fs_read_file(path_of("a"), 10, &text, NULL), -ENOTCONN);
        assert_int_equal(fs_write_atomic(path_of("a"), "no", 2, 0600), -ENOTCONN);
        assert_int_equal(fs_exists(path_of("a")), -ENOTCONN);
        is_away = false;
        assert_int_equal(fs_exists(path_of("a")), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(covers_its_directory_only),
                cmocka_unit_test(calls_do_what_they_do_elsewhere),
                cmocka_unit_test(silence_costs_one_bound_and_heals),
                cmocka_unit_test(reads_go_on_beside_a_write_that_hangs_and_is_given_up),
                cmocka_unit_test(a_bare_directory_is_not_the_cluster),
        };

        return cmocka_run_group_tests_name("guard", tests, make_dir, drop_dir);
}
