/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leases: who may enter, who is refused, what a record may hold. */
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

#include "base/clock.h"
#include "base/fs.h"
#include "core/lease.h"
#include "tests/unit/scratch.h"

#define VOLUME "st:100/vm-100-disk-0.raw"
#define AT (UINT64_C(1700000000) * USEC_PER_SEC)

typedef struct Fixture {
        char root[SCRATCH_MAX];
        Paths paths;
        char *path;
        struct storaged_error err;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(scratch_make(f->root));
        assert_int_equal(paths_init(&f->paths, f->root), 0);
        assert_true(lease_path(&f->paths, "st", "100/vm-100-disk-0.raw", false, &f->path) >= 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        (void) scratch_remove(f->root);
        paths_deinit(&f->paths);
        free(f->path);
        free(f);
        return 0;
}

static void one_takes_and_leaves(void **state)
{
        Lease l = LEASE_INIT;

        (void) state;
        assert_false(lease_is_held(&l));
        assert_false(lease_holds(&l, ""));
        lease_take(&l, VOLUME, "n1", AT);
        assert_true(lease_holds(&l, "n1"));
        assert_false(lease_holds(&l, "n2"));
        assert_false(lease_is_shared(&l));
        assert_int_equal(l.since, AT / USEC_PER_SEC);
        assert_false(lease_leave(&l, "n2"));
        assert_true(lease_leave(&l, "n1"));
        assert_false(lease_is_held(&l));
        assert_false(lease_leave(&l, "n1"));
}

static void two_share_and_either_stays(void **state)
{
        (void) state;
        for (int i = 0; i < 2; i++) {
                Lease l = LEASE_INIT;
                uint64_t generation;

                assert_int_equal(lease_join(&l, "n2"), -EINVAL);
                lease_take(&l, VOLUME, "n1", AT);
                generation = l.generation;
                assert_int_equal(lease_join(&l, "n1"), -EINVAL);
                assert_int_equal(lease_join(&l, "n2"), 0);
                assert_int_equal(lease_join(&l, "n2"), 0);
                assert_int_equal(lease_join(&l, "n3"), -EBUSY);
                assert_true(lease_is_shared(&l) && lease_holds(&l, "n1") && lease_holds(&l, "n2"));
                assert_true(lease_leave(&l, i ? "n1" : "n2"));
                assert_false(lease_is_shared(&l));
                assert_string_equal(l.node, i ? "n2" : "n1");
                assert_int_equal(l.generation, generation);
        }
}

static void generations_differ(void **state)
{
        Lease l = LEASE_INIT;
        uint64_t first;

        (void) state;
        lease_take(&l, VOLUME, "n1", AT);
        first = l.generation;
        lease_take(&l, VOLUME, "n2", AT); /* the same moment */
        assert_true(l.generation > first);
        first = l.generation;
        lease_take(&l, VOLUME, "n2", AT - 10); /* a clock that went back */
        assert_true(l.generation > first);
}

static void take_over_needs_all_other_holders_dead(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strlist_deinit) StrList dead = STRLIST_INIT;
        Lease l = LEASE_INIT, before;

        (void) state;
        lease_take(&l, VOLUME, "n1", AT);
        assert_int_equal(lease_join(&l, "n2"), 0);
        before = l;
        assert_int_equal(lease_take_over(&l, "n3", &dead, AT, &err), -EBUSY);
        assert_int_equal(strlist_adds(&dead, "n1"), 0);
        assert_int_equal(lease_take_over(&l, "n3", &dead, AT, &err), -EBUSY);
        assert_non_null(strstr(err.text, "'n2'"));
        assert_string_equal(err.param, "dead-node");
        assert_memory_equal(&l, &before, sizeof(l));
        assert_int_equal(lease_take_over(&l, "n2", &dead, AT, &err), 0);
        assert_string_equal(l.node, "n2");
        assert_string_equal(l.volume, VOLUME);
        assert_false(lease_is_shared(&l));
        assert_true(l.generation > before.generation);
}

static void refusal_names_holder_and_time(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Lease l = LEASE_INIT;

        (void) state;
        lease_take(&l, VOLUME, "n1", AT);
        assert_int_equal(lease_refuse(&l, &err), -EBUSY);
        assert_non_null(strstr(err.text, "'n1'"));
        assert_non_null(strstr(err.text, "2023-11-1"));
}

static void record_comes_back_as_it_was(void **state)
{
        Fixture *f = *state;
        Lease l = LEASE_INIT, back;
        struct stat st;

        assert_int_equal(lease_load(f->path, VOLUME, &back, &f->err), 0);
        assert_false(lease_is_held(&back));
        assert_string_equal(back.volume, VOLUME);
        lease_take(&l, VOLUME, "n1", AT);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(lease_store(f->path, &l, FENCE_NONE, &f->err), 0);
                assert_int_equal(lease_load(f->path, VOLUME, &back, &f->err), 0);
                assert_memory_equal(&l, &back, sizeof(l));
                assert_int_equal(lease_join(&l, "n2"), 0);
        }
        l = LEASE_INIT;
        assert_int_equal(lease_store(f->path, &l, FENCE_NONE, &f->err), 0);
        assert_int_equal(stat(f->path, &st), -1);
        assert_int_equal(lease_store(f->path, &l, FENCE_NONE, &f->err), 0);
}

static void bad_record_is_told_and_never_nobody(void **state)
{
        static const char *const texts[] = {
                "",
                "{",
                "[]",
                "null",
                "{}",
                "{\"volume\":\"st:x\",\"node\":\"n1\",\"mode\":\"exclusive\",\"since\":1,\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"mode\":\"exclusive\",\"since\":1,\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"node\":\"\",\"mode\":\"exclusive\",\"since\":1,\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"node\":\"n1\",\"mode\":\"shared\",\"since\":1,\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"node\":\"n1\",\"mode\":\"exclusive\",\"since\":1}",
                "{\"volume\":\"" VOLUME
                "\",\"node\":\"n1\",\"partner\":\"n2\",\"mode\":\"exclusive\",\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"node\":\"n1\",\"partner\":\"n1\",\"mode\":\"shared\",\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"node\":7,\"mode\":\"exclusive\",\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"node\":\"n1\",\"partner\":7,\"mode\":\"exclusive\",\"generation\":1}",
        };
        Fixture *f = *state;
        Lease l = LEASE_INIT;

        lease_take(&l, VOLUME, "n1", AT);
        assert_int_equal(lease_store(f->path, &l, FENCE_NONE, &f->err), 0);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                assert_int_equal(fs_write_atomic(f->path, texts[i], strlen(texts[i]), 0600), 0);
                assert_int_equal(lease_load(f->path, VOLUME, &l, &f->err), -EBADMSG);
                assert_non_null(strstr(f->err.text, f->path));
        }
}

static void names_of_records(void **state)
{
        static const char *const rows[][2] = {
                { "st:100/vm-100-disk-0.raw", "st%3A100%2Fvm-100-disk-0.raw" },
                { "vm-100-disk-0", "vm-100-disk-0" },
                { "..", "%2E." },
                { ".x", "%2Ex" },
                { "a b%c~", "a%20b%25c%7E" },
                { "\xc3\xa4", "%C3%A4" },
        };
        char text[STORAGED_VOLNAME_MAX];
        AUTO(freep) char *one = NULL, *two = NULL;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(freep) char *name = NULL;

                assert_int_equal(record_name(rows[i][0], &name), 0);
                assert_string_equal(name, rows[i][1]);
        }
        (void) memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(record_name(text, &one), 0);
        text[sizeof(text) - 2] = 'y';
        assert_int_equal(record_name(text, &two), 0);
        assert_int_equal(strlen(one), 160);
        assert_string_not_equal(one, two);
}

static void local_lease_is_not_in_the_cluster(void **state)
{
        Fixture *f = *state;
        AUTO(freep) char *local = NULL;

        assert_true(lease_path(&f->paths, "st", "100/x", true, &local) >= 0);
        assert_non_null(str_skip(local, f->paths.lib));
        assert_non_null(str_skip(f->path, f->paths.priv));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_takes_and_leaves),
                cmocka_unit_test(two_share_and_either_stays),
                cmocka_unit_test(generations_differ),
                cmocka_unit_test(take_over_needs_all_other_holders_dead),
                cmocka_unit_test(refusal_names_holder_and_time),
                T(record_comes_back_as_it_was),
                T(bad_record_is_told_and_never_nobody),
                cmocka_unit_test(names_of_records),
                T(local_lease_is_not_in_the_cluster),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
