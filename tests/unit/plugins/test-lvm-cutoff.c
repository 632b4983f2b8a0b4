/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which map below a volume still has a path, and which queues: from what device-mapper of Linux 6.1 said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lvm/cutoff.c"

/* What it stands on needs a kernel with device-mapper: tests/system/lab_lvm.py. */
int dm_each(const char *vg, const char *vg_uuid, DmFn fn, void *userdata, struct storaged_error *err)
{
        (void) vg;
        (void) vg_uuid;
        (void) fn;
        (void) userdata;
        return error_set(err, -ENOSYS, "no device-mapper");
}

int dm_make_error(const char *vg, const char *lv, struct storaged_error *err)
{
        (void) vg;
        (void) lv;
        return error_set(err, -ENOSYS, "no device-mapper");
}

static void a_map_has_a_path_while_one_is_active(void **state)
{
        (void) state;
        assert_true(has_path("2 0 0 0 1 1 A 0 4 2 8:0 A 0 0 1 8:32 A 0 0 1 8:96 A 0 0 1 8:48 A 0 0 1 "));
        assert_true(has_path("2 0 0 0 1 1 A 0 4 2 8:0 F 1 0 1 8:32 F 1 0 1 8:96 A 0 0 1 8:48 F 1 0 1 "));
        /* "A" of a group is not "A" of a path */
        assert_false(has_path("2 0 1 0 1 1 A 0 4 2 8:0 F 1 0 1 8:32 F 1 0 1 8:96 F 1 0 1 8:48 F 1 0 1 "));
        assert_false(has_path("2 0 1 0 0 0 "));
        assert_false(has_path(""));
        assert_false(has_path("8:0"));
        assert_false(has_path(" : A"));
}

static void a_map_queues_if_its_table_says_so(void **state)
{
        (void) state;
        assert_true(has_queueing("1 queue_if_no_path 0 1 1 round-robin 0 4 1 8:0 1 8:32 1 8:96 1 8:48 1 "));
        assert_true(has_queueing("3 queue_if_no_path pg_init_retries 50 0 1 1 service-time 0 1 1 8:0 1 "));
        assert_false(has_queueing("0 0 1 1 round-robin 0 4 1 8:0 1 8:32 1 8:96 1 8:48 1 "));
}

static void tell(void *userdata, const char *lv, const struct storaged_error *err)
{
        (void) lv;
        (void) err;
        (*(int *) userdata)++;
}

static void without_device_mapper_it_fails(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int told = 0;

        (void) state;
        assert_int_equal(cut_off("ibm", tell, &told, &err), -ENOSYS); /* lvmlockctl must not drop the locks then */
        assert_int_equal(told, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_map_has_a_path_while_one_is_active),
                cmocka_unit_test(a_map_queues_if_its_table_says_so),
                cmocka_unit_test(without_device_mapper_it_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
