/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/paths: the real system, and everything below a root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/paths.h"

static void real_system(void **state)
{
        static const char *const roots[] = { NULL, "", "/", "///" };

        (void) state;
        for (size_t i = 0; i < 4; i++) {
                AUTO(paths_deinit) Paths p = PATHS_INIT;

                assert_int_equal(paths_init(&p, roots[i]), 0);
                assert_string_equal(p.root, "");
                assert_string_equal(p.config, "/etc/pve/storage.cfg");
                assert_string_equal(p.priv, "/etc/pve/priv");
                assert_string_equal(p.socket, "/run/storaged/api.sock");
                assert_string_equal(p.tasks, "/var/lib/storaged/tasks");
        }
}

static void below_a_root(void **state)
{
        AUTO(paths_deinit) Paths p = PATHS_INIT;

        (void) state;
        assert_int_equal(paths_init(&p, "/tmp/x//"), 0);
        assert_string_equal(p.root, "/tmp/x");
        assert_string_equal(p.cluster, "/tmp/x/etc/pve");
        assert_string_equal(p.run, "/tmp/x/run/storaged");
        assert_string_equal(p.lib, "/tmp/x/var/lib/storaged");
}

static void relative_root_is_made_absolute(void **state)
{
        AUTO(paths_deinit) Paths p = PATHS_INIT;
        char cwd[PATH_MAX], want[PATH_MAX + 8];

        (void) state;
        assert_non_null(getcwd(cwd, sizeof(cwd)));
        (void) snprintf(want, sizeof(want), "%s/root", cwd);
        assert_int_equal(paths_init(&p, "root"), 0);
        assert_string_equal(p.root, want);
}

static void only_our_own_places_move_with_the_root(void **state)
{
        static const struct {
                const char *path, *want;
        } rows[] = {
                { "/var/lib/vz", "/r/var/lib/vz" },   { "/var/lib/vz/x", "/r/var/lib/vz/x" },
                { "/mnt/pve/nas", "/r/mnt/pve/nas" }, { "/var/lib/vzx", "/var/lib/vzx" },
                { "/mnt/pve", "/mnt/pve" },           { "/srv/data", "/srv/data" },
        };
        AUTO(paths_deinit) Paths p = PATHS_INIT;

        (void) state;
        assert_int_equal(paths_init(&p, "/r"), 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(freep) char *got = NULL;

                assert_int_equal(paths_of_storage(&p, rows[i].path, &got), 0);
                assert_string_equal(got, rows[i].want);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(real_system),
                cmocka_unit_test(below_a_root),
                cmocka_unit_test(relative_root_is_made_absolute),
                cmocka_unit_test(only_our_own_places_move_with_the_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
