/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lvmlocal.conf: what is missing is appended, what is there stays to the byte, what is no configuration is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common-lvm/dm.c"
#include "lvm/lvmlocal.c"

#include "base/fs.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_MAX], path[96];

static int setup(void **state)
{
        (void) state;
        if (!scratch_make(dir))
                return -1;
        (void) snprintf(path, sizeof(path), "%s/lvmlocal.conf", dir);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        (void) unlink(path);
        return rmdir(dir); /* fails if a temporary file is left */
}

static void put(const char *text)
{
        assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
}

static void is(const char *want)
{
        AUTO(freep) char *text = NULL;
        size_t n = 0;

        assert_int_equal(fs_read_file(path, 65536, &text, &n), 0);
        assert_string_equal(text, want);
}

static void a_missing_file_is_made(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        LvmLocal l = { 9, true };

        (void) state;
        assert_int_equal(lvmlocal_read(path, &l, &err), 0);
        assert_int_equal(l.host_id, 0);
        assert_false(l.has_kill);
        assert_int_equal(lvmlocal_write(path, 3, "/usr/lib/storaged/storaged-cut-off", &err), 0);
        assert_int_equal(lvmlocal_read(path, &l, &err), 0);
        assert_int_equal(l.host_id, 3);
        assert_true(l.has_kill);
}

static void what_is_there_stays(void **state)
{
        static const char own[] = "# mine\nlocal {\n\thost_id = 12\n}\nglobal { lvmlockctl_kill_command=\"/my/own\" }";
        struct storaged_error err = STORAGED_ERROR_INIT;
        LvmLocal l;

        (void) state;
        put(own);
        assert_int_equal(lvmlocal_write(path, 12, "/other", &err), 0);
        is(own);
        assert_int_equal(lvmlocal_write(path, 13, NULL, &err), -EEXIST);
        assert_non_null(strstr(err.text, "host_id 12"));
        is(own);
        put("local {\n\t# host_id = 0\n}\nglobal/lvmlockctl_kill_command=\"\""); /* as Debian ships it; no newline */
        assert_int_equal(lvmlocal_write(path, 2, NULL, &err), 0);
        is("local {\n\t# host_id = 0\n}\nglobal/lvmlockctl_kill_command=\"\"\n# storaged: this node's number at "
           "sanlock.\nlocal/host_id = 2\n");
        assert_int_equal(lvmlocal_read(path, &l, &err), 0);
        assert_int_equal(l.host_id, 2);
        assert_false(l.has_kill);
}

static void what_is_no_configuration_is_refused(void **state)
{
        static const char *const broken[] = { "local {", "local { host_id = 2001 }", "local { host_id = -1 }", "= 3" };
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
                put(broken[i]);
                assert_int_equal(lvmlocal_write(path, 1, "/x", &err), -EPROTO);
                is(broken[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_missing_file_is_made, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_there_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_no_configuration_is_refused, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
