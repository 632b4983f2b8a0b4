/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets of storages: where they are, who may read them, what is refused, what is removed. */
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
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "core/secret.h"
#include "tests/unit/core/paths-fixture.h"

static void below(const Fixture *f, const char *name, char ret[static 256])
{
        (void) snprintf(ret, 256, "%s/%s", f->paths.priv, name);
}

static void assert_text(const Fixture *f, const char *name, const char *text)
{
        AUTO(freep) char *found = NULL;
        char path[256];

        below(f, name, path);
        assert_int_equal(fs_read_file(path, SECRET_MAX, &found, NULL), 0);
        assert_string_equal(found, text);
}

static int store(Fixture *f, const char *type, const char *id, const char *key, const char *value)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        return secret_store(&f->paths, type, id, key, value, FENCE_NONE, &err);
}

static bool exists(const Fixture *f, const char *name)
{
        char path[256];

        below(f, name, path);
        return access(path, F_OK) == 0;
}

static void each_kind_has_its_file(void **state)
{
        Fixture *f = *state;

        assert_int_equal(store(f, "pbs", "b1", "password", "geheim"), 0);
        assert_text(f, "storage/b1.pw", "geheim\n");
        assert_int_equal(store(f, "cifs", "c1", "password", "geheim"), 0);
        assert_text(f, "storage/c1.pw", "password=geheim\n");
        assert_int_equal(store(f, "pbs", "b1", "encryption-key", "{\"kdf\":null}\n"), 0);
        assert_text(f, "storage/b1.enc", "{\"kdf\":null}\n");
        assert_int_equal(store(f, "pbs", "b1", "master-pubkey", "PEM\nlines"), 0);
        assert_text(f, "storage/b1.master.pem", "PEM\nlines\n");
        assert_int_equal(store(f, "rbd", "r1", "keyring", "[client.x]\n\tkey = k\n"), 0);
        assert_text(f, "ceph/r1.keyring", "[client.x]\n\tkey = k\n");
        assert_int_equal(store(f, "cephfs", "r2", "keyring", "k=="), 0);
        assert_text(f, "ceph/r2.secret", "k==\n");
        assert_int_equal(store(f, "mine", "m1", "api-token", "t"), 0);
        assert_text(f, "storage/m1.api-token.secret", "t\n");
}

static void only_root_may_read(void **state)
{
        Fixture *f = *state;
        char path[256];
        struct stat st;

        (void) umask(0);
        assert_int_equal(store(f, "pbs", "b1", "password", "x"), 0);
        below(f, "storage/b1.pw", path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        below(f, "storage", path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(stat(f->paths.priv, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
}

static void storing_again_replaces(void **state)
{
        Fixture *f = *state;

        assert_int_equal(store(f, "pbs", "b1", "password", "one"), 0);
        assert_int_equal(store(f, "pbs", "b1", "password", "two"), 0);
        assert_text(f, "storage/b1.pw", "two\n");
}

static void bad_values_name_the_key_and_not_the_value(void **state)
{
        Fixture *f = *state;
        AUTO(freep) char *big = calloc(1, SECRET_MAX + 2);
        const char *const bad[] = { "", "two\nlines", "bell\a", big };

        memset(big, 'a', SECRET_MAX + 1);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;

                assert_int_equal(secret_store(&f->paths, "cifs", "c1", "password", bad[i], FENCE_NONE, &err), -EINVAL);
                assert_string_equal(err.param, "password");
                assert_null(strstr(err.text, "lines"));
        }
        assert_false(exists(f, "storage/c1.pw"));
}

static void ids_and_keys_are_words(void **state)
{
        Fixture *f = *state;
        AUTO(freep) char *path = NULL;

        assert_int_equal(secret_path(&f->paths, "pbs", "../x", "password", &path), -EINVAL);
        assert_int_equal(secret_path(&f->paths, "pbs", "a/b", "password", &path), -EINVAL);
        assert_int_equal(secret_path(&f->paths, "pbs", "", "password", &path), -EINVAL);
        assert_int_equal(secret_path(&f->paths, "pbs", "a", "x.y", &path), -EINVAL);
        assert_int_equal(secret_path(&f->paths, "pbs", "a", "../y", &path), -EINVAL);
        assert_null(path);
}

static void failure_is_told_without_the_value(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;

        assert_int_equal(fs_mkdir_p(f->paths.cluster, 0755), 0);
        assert_int_equal(fs_write_atomic(f->paths.priv, "x", 1, 0600), 0); /* a file where the directory should be */
        assert_true(secret_store(&f->paths, "pbs", "b1", "password", "geheim", FENCE_NONE, &err) < 0);
        assert_non_null(strstr(err.text, "b1"));
        assert_non_null(strstr(err.text, "password"));
        assert_null(strstr(err.text, "geheim"));
}

static void remove_all_takes_only_this_storages(void **state)
{
        static const char *const gone[] = { "storage/b1.pw",
                                            "storage/b1.enc",
                                            "storage/b1.master.pem",
                                            "ceph/b1.keyring",
                                            "storage/b1.api-token.secret",
                                            "storage/b1.pw.tmp.4711",
                                            "ceph/b1.secret" };
        static const char *const stay[] = { "storage/b1.x.pw", "storage/b10.pw",   "storage/b1",
                                            "storage/b1.conf", "ceph/b1.conf",     "storage/b1.x.y.secret",
                                            "storage/B1.pw",   "storage/b1.pw.old" };
        Fixture *f = *state;
        char path[256];

        assert_int_equal(store(f, "pbs", "b1", "password", "x"), 0);
        assert_int_equal(store(f, "rbd", "b1", "keyring", "x"), 0);
        for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
                below(f, gone[i], path);
                assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
        }
        for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++) {
                below(f, stay[i], path);
                assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
        }
        secret_remove_all(&f->paths, "pbs", "b1", FENCE_NONE);
        for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
                if (exists(f, gone[i]))
                        fail_msg("%s is still there", gone[i]);
        for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
                if (!exists(f, stay[i]))
                        fail_msg("%s is gone", stay[i]);
        secret_remove_all(&f->paths, "pbs", "never-was", FENCE_NONE);
}

static void remove_of_one_leaves_the_others(void **state)
{
        Fixture *f = *state;
        struct storaged_error err = STORAGED_ERROR_INIT;

        assert_int_equal(store(f, "pbs", "b1", "password", "x"), 0);
        assert_int_equal(store(f, "pbs", "b1", "encryption-key", "x"), 0);
        assert_int_equal(secret_remove(&f->paths, "pbs", "b1", "password", &err), 0);
        assert_int_equal(secret_remove(&f->paths, "pbs", "b1", "password", &err), 0);
        assert_false(exists(f, "storage/b1.pw"));
        assert_true(exists(f, "storage/b1.enc"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_kind_has_its_file),
                TEST(only_root_may_read),
                TEST(storing_again_replaces),
                TEST(bad_values_name_the_key_and_not_the_value),
                TEST(ids_and_keys_are_words),
                TEST(failure_is_told_without_the_value),
                TEST(remove_all_takes_only_this_storages),
                TEST(remove_of_one_leaves_the_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
