/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pool is for: names of objects, and the verdict from what was counted. A wrong "sure" would cost data. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "rbd/admin-evidence.c"

/* The verdict is under test, not the cluster. */
const char *admin_get(const Admin *a, const char *key)
{
        (void) a;
        (void) key;
        return NULL;
}

void json_member(json_object *o, const char *key, json_object *value)
{
        if (value)
                (void) json_object_object_add(o, key, value);
}

static void names_of_objects(void **state)
{
        static const struct {
                const char *name, *application;
        } rows[] = {
                { "rbd_directory", "rbd" },
                { "rbd_id.vm-100-disk-0", "rbd" },
                { "rbd_data.10f62ae8944a.0000000000000000", "rbd" },
                { "rbd_data.3.10f62ae8944a.0000000000000000", "rbd" },
                { "rbd_header.10f62ae8944a", "rbd" },
                { "1.00000000", "cephfs" },
                { "10000000000.00000000", "cephfs" },
                { "mds0_inotable", "cephfs" },
                { "200.00000001", "cephfs" },
                { ".dir.3f6c.4155.1", "rgw" },
                { "default.realm", "rgw" },
                { "zone_info.5a7e", "rgw" },
                { "obj", NULL },
                { "rbd", NULL },
                { "1.0000000", NULL },
                { "1.000000000", NULL },
                { "xyz.00000000", NULL },
                { "", NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *got = object_application(rows[i].name);

                if (rows[i].application ? !got || strcmp(got, rows[i].application) != 0 : got != NULL)
                        fail_msg("'%s' is %s", rows[i].name, got ? got : "nobody's");
        }
}

static void judge(PoolEvidence e, const char *application)
{
        pool_evidence_judge(&e);
        if (application)
                assert_string_equal(e.application, application);
        else
                assert_null(e.application);
        assert_true(strlen(e.because) > 0);
}

static void sure_is_what_nothing_contradicts(void **state)
{
        (void) state;
        judge((PoolEvidence){ .n_rbd = 3 }, "rbd");
        judge((PoolEvidence){ .file_system = "fs", .n_cephfs = 9 }, "cephfs");
        judge((PoolEvidence){ .file_system = "fs" }, "cephfs");
        judge((PoolEvidence){ .storages = "kube" }, "rbd");
        judge((PoolEvidence){ .storages = "kube", .n_rbd = 2, .n_other = 1, .other_example = "x" }, "rbd");
        judge((PoolEvidence){ .storages = "kube", .n_other = 1, .other_example = "x" }, "rbd");
}

static void all_else_is_left_to_the_administrator(void **state)
{
        (void) state;
        judge((PoolEvidence){ 0 }, NULL);
        judge((PoolEvidence){ .n_other = 1, .other_example = "x" }, NULL);
        judge((PoolEvidence){ .n_rbd = 3, .n_other = 1, .other_example = "x" }, NULL);
        judge((PoolEvidence){ .n_rbd = 3, .n_rgw = 1 }, NULL);
        judge((PoolEvidence){ .n_rbd = 3, .n_cephfs = 1 }, NULL);
        judge((PoolEvidence){ .n_rgw = 30 }, NULL);
        judge((PoolEvidence){ .n_cephfs = 30 }, NULL);
        judge((PoolEvidence){ .storages = "kube", .n_cephfs = 1 }, NULL);
        judge((PoolEvidence){ .storages = "kube", .n_rgw = 1, .n_rbd = 5 }, NULL);
        judge((PoolEvidence){ .file_system = "fs", .n_rbd = 1 }, NULL);
        judge((PoolEvidence){ .file_system = "fs", .storages = "kube" }, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_of_objects),
                cmocka_unit_test(sure_is_what_nothing_contradicts),
                cmocka_unit_test(all_else_is_left_to_the_administrator),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
