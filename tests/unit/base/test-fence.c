/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/fence: where the file system has no answer of its own, the directory is looked at just before the change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_MAX], lock[600], file[600], tmp[600];

static int setup(void **state)
{
        (void) state;
        if (!scratch_make(dir))
                return -1;
        (void) snprintf(lock, sizeof(lock), "%s/lock", dir);
        (void) snprintf(file, sizeof(file), "%s/file", dir);
        (void) snprintf(tmp, sizeof(tmp), "%s/file.new", dir);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        return scratch_remove(dir);
}

static Fence take_lock(void)
{
        Fence f = { .path = lock, .ends_usec = clock_usec(CLOCK_BOOTTIME) + 60 * USEC_PER_SEC };

        assert_int_equal(mkdir(lock, 0700), 0);
        assert_int_equal(fileid_look(lock, &f.id), 0);
        return f;
}

/* Its time of birth tells it from the one before, at the next tick of the kernel's clock. */
static void take_another(const Fence *f)
{
        FileId id;

        do {
                assert_int_equal(rmdir(lock), 0);
                assert_int_equal(mkdir(lock, 0700), 0);
                assert_int_equal(fileid_look(lock, &id), 0);
        } while (fileid_equal(&id, &f->id));
}

static void assert_text(const char *path, const char *text)
{
        AUTO(freep) char *have = NULL;

        assert_int_equal(fs_read_file(path, 100, &have, NULL), 0);
        assert_string_equal(have, text);
}

static void under_the_lock_it_is_done(void **state)
{
        Fence f = take_lock();

        (void) state;
        assert_int_equal(fence_check(&f), 0);
        assert_int_equal(fs_write_fenced(file, "one", 3, 0600, &f), 0);
        assert_int_equal(fs_write_atomic(tmp, "two", 3, 0600), 0);
        assert_int_equal(fence_rename(&f, tmp, file), 0);
        assert_text(file, "two");
        assert_int_equal(fence_unlink(&f, file), 0);
        assert_int_equal(fence_unlink(&f, file), -ENOENT);
        assert_int_equal(fs_unlink_fenced(file, &f), 0); /* that it is gone is what was wanted */
        assert_int_equal(fence_rename(&f, tmp, file), -ENOENT);
}

static void assert_refused(const Fence *f)
{
        assert_int_equal(fence_check(f), -ESTALE);
        assert_int_equal(fs_write_fenced(file, "late", 4, 0600, f), -ESTALE);
        assert_int_equal(fs_unlink_fenced(file, f), -ESTALE);
        assert_text(file, "one");
        assert_int_equal(fs_exists(tmp), 0);
}

static void without_it_nothing_is_changed(void **state)
{
        Fence f = take_lock();

        (void) state;
        assert_int_equal(fs_write_fenced(file, "one", 3, 0600, &f), 0);
        take_another(&f);
        assert_refused(&f);
        assert_int_equal(rmdir(lock), 0);
        assert_refused(&f);
}

static void after_its_life_nothing_is_changed(void **state)
{
        Fence f = take_lock();

        (void) state;
        assert_int_equal(fs_write_fenced(file, "one", 3, 0600, &f), 0);
        f.ends_usec = clock_usec(CLOCK_BOOTTIME);
        assert_refused(&f);
}

static void no_lock_is_no_hindrance(void **state)
{
        Fence none = { 0 }, copy = { 0 };

        (void) state;
        assert_int_equal(fence_check(FENCE_NONE), 0);
        assert_int_equal(fs_write_fenced(file, "one", 3, 0600, FENCE_NONE), 0);
        assert_int_equal(fs_write_fenced(file, "two", 3, 0600, &none), 0);
        assert_int_equal(fence_copy(FENCE_NONE, &copy), 0);
        assert_null(copy.path);
        assert_int_equal(fs_unlink_fenced(file, FENCE_NONE), 0);
}

static void a_copy_is_one_of_its_own(void **state)
{
        Fence f = take_lock(), copy = { 0 };

        (void) state;
        assert_int_equal(fence_copy(&f, &copy), 0);
        assert_ptr_not_equal(copy.path, f.path);
        assert_int_equal(fence_check(&copy), 0);
        fence_deinit(&copy);
        assert_null(copy.path);
}

static void what_is_too_large_for_one_call_goes_by_a_temporary(void **state)
{
        static char large[FENCE_DATA_MAX + 1], have[sizeof(large) + 1];
        Fence f = take_lock();
        size_t len = 0;
        AUTO(freep) char *text = NULL;

        (void) state;
        memset(large, 'x', sizeof(large));
        assert_int_equal(fence_put(&f, file, large, sizeof(large)), -ENOTTY);
        assert_int_equal(fence_put(&f, file, "x", 1), -ENOTTY); /* no such file system */
        assert_int_equal(fence_put(FENCE_NONE, file, "x", 1), -ENOTTY);
        assert_int_equal(fs_exists(file), 0);
        assert_int_equal(fs_write_fenced(file, large, sizeof(large), 0600, &f), 0);
        assert_int_equal(fs_read_file(file, sizeof(have), &text, &len), 0);
        assert_int_equal(len, sizeof(large));
        assert_int_equal(unlink(file), 0);
}

static void names_that_are_too_long_are_refused(void **state)
{
        char name[FENCE_NAME_MAX + 2], path[900];
        Fence f = take_lock();

        (void) state;
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        assert_int_equal(fence_unlink(&f, path), -ENAMETOOLONG);
        assert_int_equal(fence_put(&f, path, "x", 1), -ENAMETOOLONG);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(under_the_lock_it_is_done, setup, teardown),
                cmocka_unit_test_setup_teardown(without_it_nothing_is_changed, setup, teardown),
                cmocka_unit_test_setup_teardown(after_its_life_nothing_is_changed, setup, teardown),
                cmocka_unit_test_setup_teardown(no_lock_is_no_hindrance, setup, teardown),
                cmocka_unit_test_setup_teardown(a_copy_is_one_of_its_own, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_too_large_for_one_call_goes_by_a_temporary, setup, teardown),
                cmocka_unit_test_setup_teardown(names_that_are_too_long_are_refused, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
