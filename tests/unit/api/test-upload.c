/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool file of an upload: what goes in, and that it never stays behind. */
#include "api/upload.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "tests/unit/scratch.h"

#define SHA1_OF_ABC "a9993e364706816aba3e25717850c26c9cd0d89d"

static Paths paths;

static int setup(void **state)
{
        char *dir = malloc(SCRATCH_MAX);

        if (!dir || !scratch_make(dir) || paths_init(&paths, dir) < 0)
                return -1;
        *state = dir;
        return 0;
}

static int teardown(void **state)
{
        int r = scratch_remove(*state);

        paths_deinit(&paths);
        free(*state);
        return r;
}

static unsigned count_spooled(void)
{
        AUTO(freep) char *directory = NULL;
        struct dirent *entry;
        unsigned n = 0;
        DIR *d;

        assert_int_equal(str_printf(&directory, "%s/upload", paths.lib), 0);
        d = opendir(directory);
        assert_non_null(d);
        while ((entry = readdir(d)))
                n += entry->d_name[0] != '.';
        (void) closedir(d);
        return n;
}

static Upload *new_upload(void)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Upload *u = NULL;

        assert_int_equal(upload_new(&u, &paths, 0, &err), 0);
        return u;
}

static void pieces_become_a_file_and_parameters(void **state)
{
        AUTO(upload_freep) Upload *u = new_upload();
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *text = NULL;
        struct stat st;

        (void) state;
        upload_take(u, "content", NULL, "is", 0, 2);
        upload_take(u, "content", NULL, "o", 2, 1);
        upload_take(u, "checksum-algorithm", NULL, "sha1", 0, 4);
        upload_take(u, "filename", "dir/a b.iso", "ab", 0, 2);
        upload_take(u, "filename", "dir/a b.iso", "c", 2, 1);
        upload_take(u, "checksum", NULL, SHA1_OF_ABC, 0, 40);
        assert_int_equal(upload_finish(u, &params, &err), 0);
        assert_string_equal(params_get(&params, "content"), "iso");
        assert_string_equal(params_get(&params, "filename"), "a_b.iso");
        assert_string_equal(params_get(&params, "checksum"), SHA1_OF_ABC);
        assert_int_equal(upload_verify(u, "sha1", SHA1_OF_ABC, &err), 0);
        assert_int_equal(fs_read_file(upload_get_path(u), 100, &text, NULL), 0);
        assert_string_equal(text, "abc");
        assert_int_equal(stat(upload_get_path(u), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(upload_get_size(u), 3);
}

static void checksums_that_differ_are_refused(void **state)
{
        AUTO(upload_freep) Upload *u = new_upload();
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        upload_take(u, "checksum-algorithm", NULL, "sha1", 0, 4);
        upload_take(u, "filename", "a.iso", "abd", 0, 3);
        assert_int_equal(upload_finish(u, &params, &err), 0);
        assert_int_equal(upload_verify(u, "sha1", SHA1_OF_ABC, &err), -EINVAL);
        assert_string_equal(err.param, "checksum");
}

static void an_algorithm_named_behind_the_file_is_too_late(void **state)
{
        AUTO(upload_freep) Upload *u = new_upload();
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        upload_take(u, "filename", "a.iso", "abc", 0, 3);
        upload_take(u, "checksum-algorithm", NULL, "sha1", 0, 4);
        assert_int_equal(upload_finish(u, &params, &err), 0);
        assert_int_equal(upload_verify(u, "sha1", SHA1_OF_ABC, &err), -EINVAL);
        assert_string_equal(err.param, "checksum-algorithm");
}

static void the_first_failure_stays_and_takes_the_file_away(void **state)
{
        static const struct {
                const char *name, *file, *data, *param;
                size_t len;
        } rows[] = {
                { "other", "a.iso", "x", "other", 1 },      { "filename", "..", "x", "filename", 1 },
                { "content", NULL, "is\0o", "content", 4 }, { "con\ntent", NULL, "iso", "", 3 },
                { "content", NULL, "\xff", "content", 1 },  { "filename", "b.iso", "x", "filename", 1 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(upload_freep) Upload *u = new_upload();
                AUTO(params_deinit) Params params = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;

                assert_int_equal(count_spooled(), 1);
                if (rows[i].file && strcmp(rows[i].file, "b.iso") == 0)
                        upload_take(u, "filename", "a.iso", "x", 0, 1);
                upload_take(u, rows[i].name, rows[i].file, rows[i].data, 0, rows[i].len);
                upload_take(u, "checksum", NULL, "later", 0, 5);
                assert_int_equal(upload_finish(u, &params, &err), -EINVAL);
                assert_string_equal(err.param, rows[i].param);
                assert_int_equal(count_spooled(), 0);
        }
}

static void a_body_without_a_file_is_refused(void **state)
{
        AUTO(upload_freep) Upload *u = new_upload();
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        upload_take(u, "content", NULL, "iso", 0, 3);
        assert_int_equal(upload_finish(u, &params, &err), -EINVAL);
        assert_string_equal(err.param, "filename");
}

static void fields_given_twice_or_too_long_are_refused(void **state)
{
        AUTO(upload_freep) Upload *twice = new_upload();
        AUTO(upload_freep) Upload *longer = new_upload();
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        char text[PARAM_LENGTH_MAX + 1];

        (void) state;
        upload_take(twice, "content", NULL, "iso", 0, 3);
        upload_take(twice, "content", NULL, "iso", 0, 3);
        upload_take(twice, "filename", "a.iso", "x", 0, 1);
        assert_int_equal(upload_finish(twice, &params, &err), -EINVAL);
        assert_string_equal(err.param, "content");
        (void) memset(text, 'a', sizeof(text));
        upload_take(longer, "checksum", NULL, text, 0, sizeof(text));
        assert_int_equal(upload_finish(longer, &params, &err), -EINVAL);
        assert_string_equal(err.param, "checksum");
}

static void a_file_that_can_not_fit_is_refused_at_once(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Upload *u = NULL;

        (void) state;
        assert_int_equal(upload_new(&u, &paths, UINT64_C(1) << 60, &err), -ENOSPC);
        assert_null(u);
        assert_int_equal(count_spooled(), 0);
}

static void a_full_disk_is_told_and_leaves_nothing(void **state)
{
        AUTO(upload_freep) Upload *u = new_upload();
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        upload_take(u, "filename", "a.iso", "x", 0, 1);
        upload_fail(u, -ENOSPC, NULL, "no space left");
        upload_take(u, "filename", "a.iso", "y", 1, 1);
        assert_int_equal(upload_finish(u, &params, &err), -ENOSPC);
        assert_int_equal(count_spooled(), 0);
}

static void what_was_handed_over_stays_until_the_next_start(void **state)
{
        AUTO(freep) char *path = NULL;
        Upload *u = new_upload();

        (void) state;
        upload_take(u, "filename", "a.iso", "x", 0, 1);
        path = strdup(upload_get_path(u));
        upload_hand_over(u);
        (void) upload_free(u);
        assert_int_equal(access(path, F_OK), 0);
        upload_clean_spool(&paths);
        assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pieces_become_a_file_and_parameters),
                cmocka_unit_test(checksums_that_differ_are_refused),
                cmocka_unit_test(an_algorithm_named_behind_the_file_is_too_late),
                cmocka_unit_test(the_first_failure_stays_and_takes_the_file_away),
                cmocka_unit_test(a_body_without_a_file_is_refused),
                cmocka_unit_test(fields_given_twice_or_too_long_are_refused),
                cmocka_unit_test(a_file_that_can_not_fit_is_refused_at_once),
                cmocka_unit_test(a_full_disk_is_told_and_leaves_nothing),
                cmocka_unit_test(what_was_handed_over_stays_until_the_next_start),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
