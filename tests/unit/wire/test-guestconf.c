/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's disks: golden files, and the bounds. */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "wire/guestconf.h"

static void golden_files(void **state)
{
        glob_t g = { 0 };

        (void) state;
        assert_int_equal(glob("tests/data/guestconf/*.conf", 0, NULL, &g), 0);
        assert_true(g.gl_pathc >= 4);
        for (size_t i = 0; i < g.gl_pathc; i++) {
                AUTO(strlist_deinit) StrList disks = STRLIST_INIT, wanted = STRLIST_INIT;
                AUTO(freep) char *text = NULL, *expected = NULL, *path = NULL;
                size_t len = 0;

                assert_int_equal(fs_read_file(g.gl_pathv[i], GUESTCONF_SIZE_MAX, &text, &len), 0);
                assert_true(str_printf(&path, "%.*s.expected", (int) (strlen(g.gl_pathv[i]) - strlen(".conf")),
                                       g.gl_pathv[i]) >= 0);
                assert_int_equal(fs_read_file(path, GUESTCONF_SIZE_MAX, &expected, NULL), 0);
                assert_int_equal(strlist_split(&wanted, expected, "\n"), 0);
                assert_int_equal(guestconf_disks(text, len, &disks), 0);
                assert_int_equal(disks.n, wanted.n);
                for (size_t k = 0; k < disks.n; k++)
                        assert_string_equal(disks.items[k], wanted.items[k]);
        }
        globfree(&g);
}

static void no_text_has_no_disks(void **state)
{
        AUTO(strlist_deinit) StrList disks = STRLIST_INIT;

        (void) state;
        assert_int_equal(guestconf_disks("", 0, &disks), 0);
        assert_int_equal(disks.n, 0);
}

static void too_many_are_refused(void **state)
{
        AUTO(strlist_deinit) StrList disks = STRLIST_INIT;
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        for (unsigned i = 0; i < GUESTCONF_DISKS_MAX; i++)
                strbuf_addf(&b, "scsi%u: st:vm-100-disk-%u\n", i, i);
        assert_int_equal(guestconf_disks(b.data, b.len, &disks), 0);
        assert_int_equal(disks.n, GUESTCONF_DISKS_MAX);
        assert_int_equal(guestconf_disks("sata0: st:one-more\n", 19, &disks), -E2BIG);
}

static void too_long_a_name_is_passed_over(void **state)
{
        AUTO(strlist_deinit) StrList disks = STRLIST_INIT;
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        strbuf_adds(&b, "scsi0: st:");
        for (unsigned i = 0; i < 3000; i++)
                strbuf_addc(&b, 'x');
        strbuf_adds(&b, "\nscsi1: st:y\n");
        assert_int_equal(guestconf_disks(b.data, b.len, &disks), 0);
        assert_int_equal(disks.n, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(golden_files),
                cmocka_unit_test(no_text_has_no_disks),
                cmocka_unit_test(too_many_are_refused),
                cmocka_unit_test(too_long_a_name_is_passed_over),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
