/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates of the cluster: made once, found again, replaced when they are of no use, told from foreign ones. */
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

#include "base/fs.h"
#include "base/str.h"
#include "cluster/certs.h"
#include "tests/unit/scratch.h"

#define DAY_SEC (24 * 60 * 60)

static time_t clock_ahead;
time_t __real_time(time_t *t);
time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
        time_t now = __real_time(NULL) + clock_ahead;

        if (t)
                *t = now;
        return now;
}

static int setup(void **state)
{
        char *dir = malloc(SCRATCH_MAX);

        clock_ahead = 0;
        if (!dir || !scratch_make(dir))
                return -1;
        *state = dir;
        return 0;
}

static int teardown(void **state)
{
        (void) scratch_remove(*state);
        free(*state);
        return 0;
}

static Certs *made(const char *dir, const char *node)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Certs *c = NULL;

        if (certs_make(dir, node, FENCE_NONE, &err) < 0 || certs_load(&c, dir, node, &err) != 0)
                fail_msg("%s", err.text);
        return c;
}

static void nothing_there_is_missing(void **state)
{
        Certs *c = NULL;

        assert_int_equal(certs_load(&c, *state, "n1", NULL), CERTS_E_MISSING);
        assert_null(c);
}

static void all_nodes_have_one_authority(void **state)
{
        AUTO(certs_freep) Certs *a = made(*state, "n1");
        AUTO(certs_freep) Certs *b = made(*state, "n2");
        Certs *c = NULL;

        assert_string_equal(a->ca, b->ca);
        assert_string_not_equal(a->cert, b->cert);
        assert_string_not_equal(a->key, b->key);
        assert_int_equal(certs_load(&c, *state, "n3", NULL), CERTS_E_MISSING);
}

static void keys_are_for_root_only(void **state)
{
        AUTO(certs_freep) Certs *c = made(*state, "n1");
        AUTO(freep) char *ca_key = NULL;
        struct stat st;

        assert_int_equal(str_printf(&ca_key, "%s/ca.key", (char *) *state), 0);
        assert_int_equal(stat(ca_key, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(stat(c->key_path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void one_that_ends_soon_is_replaced(void **state)
{
        AUTO(certs_freep) Certs *old = made(*state, "n1");
        AUTO(freep) char *cert = NULL, *ca = NULL;
        Certs *c = NULL;

        clock_ahead = 300 * DAY_SEC;
        assert_int_equal(certs_load(&c, *state, "n1", NULL), 0);
        c = certs_free(c);
        clock_ahead = 380 * DAY_SEC;
        assert_int_equal(certs_load(&c, *state, "n1", NULL), CERTS_E_MISSING);
        assert_int_equal(certs_make(*state, "n1", FENCE_NONE, NULL), 0);
        assert_int_equal(fs_read_file(old->cert_path, 65536, &cert, NULL), 0);
        assert_int_equal(fs_read_file(old->ca_path, 65536, &ca, NULL), 0);
        assert_string_not_equal(old->cert, cert);
        assert_string_equal(old->ca, ca);
}

static void key_of_another_certificate_is_replaced(void **state)
{
        AUTO(certs_freep) Certs *a = made(*state, "n1");
        AUTO(certs_freep) Certs *b = made(*state, "n2");
        Certs *c = NULL;

        assert_int_equal(fs_write_atomic(a->key_path, b->key, strlen(b->key), 0600), 0);
        assert_int_equal(certs_load(&c, *state, "n1", NULL), CERTS_E_MISSING);
        assert_int_equal(fs_write_atomic(a->key_path, "x", 1, 0600), 0);
        assert_int_equal(certs_load(&c, *state, "n1", NULL), CERTS_E_MISSING);
}

static void certificate_of_another_authority_is_replaced(void **state)
{
        AUTO(certs_freep) Certs *a = made(*state, "n1");
        AUTO(freep) char *other = NULL;
        AUTO(certs_freep) Certs *b = NULL;
        Certs *c = NULL;

        assert_int_equal(str_printf(&other, "%s/other", (char *) *state), 0);
        b = made(other, "n1");
        assert_string_not_equal(a->ca, b->ca);
        assert_int_equal(fs_write_atomic(a->cert_path, b->cert, strlen(b->cert), 0600), 0);
        assert_int_equal(fs_write_atomic(a->key_path, b->key, strlen(b->key), 0600), 0);
        assert_int_equal(certs_load(&c, *state, "n1", NULL), CERTS_E_MISSING);
}

static void lost_key_of_the_authority_is_said(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(certs_freep) Certs *a = made(*state, "n1");
        AUTO(freep) char *ca_key = NULL;

        assert_int_equal(str_printf(&ca_key, "%s/ca.key", (char *) *state), 0);
        assert_int_equal(unlink(ca_key), 0);
        assert_int_equal(certs_make(*state, "n2", FENCE_NONE, &err), -ENOENT);
        assert_non_null(strstr(err.text, "ca.key"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(nothing_there_is_missing),
                TEST(all_nodes_have_one_authority),
                TEST(keys_are_for_root_only),
                TEST(one_that_ends_soon_is_replaced),
                TEST(key_of_another_certificate_is_replaced),
                TEST(certificate_of_another_authority_is_replaced),
                TEST(lost_key_of_the_authority_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
