/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Old plugins still work with today's host; broken ones are refused with the reason. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];

static const char *plugin_path(const char *file)
{
        static char path[PATH_MAX + 64];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, file);
        return path;
}

static void old_plugin_serves_what_it_has(void **state)
{
        Harness h;

        (void) state;
        harness_init(&h, plugin_path("old-plugin.so"), NULL);
        harness_dir_make(&h);
        harness_spawn(&h);
        assert_int_equal(harness_start(&h, true), 0);
        assert_int_equal(h.n_log, 1);
        assert_int_equal(harness_call(&h, "activate", NULL), 0);
        assert_int_equal(harness_call(&h, "status", NULL), 0);
        assert_int_equal(json_get_uint(h.reply, "used", 0), 2000);
        assert_int_equal(harness_call(&h, "list", "{}"), 0);
        assert_int_equal(json_object_array_length(h.reply), 2);
        assert_string_equal(json_get_string(json_object_array_get_idx(h.reply, 0), "volid"), "Test-1:vm-100-disk-0");
        assert_string_equal(json_get_string(json_object_array_get_idx(h.reply, 1), "volid"), "Test-1:vm-100-disk-1");
        assert_int_equal(harness_call(&h, "path", "{\"volume\":\"vm-100-disk-0\"}"), 0);
        assert_string_equal(json_get_string(h.reply, "path"), "/dev/old/vm-100-disk-0");
        assert_int_equal(harness_end(&h), 0);
        harness_dir_remove(&h);
        harness_deinit(&h);
}

static void old_plugin_does_not_have_what_came_later(void **state)
{
        static const char *const later[] = {
                "activate_volume",
                "deactivate_volume",
                "holders",
                "snapshot",
                "rollback",
                "delete_snapshot",
                "list_snapshots",
                "clone",
                "template",
                "rename",
                "export",
                "import",
                "upload",
                "set_notes",
                "set_protected",
                "alloc",
                "free",
                "resize",
                "fence",
        };
        Harness h;

        (void) state;
        harness_init(&h, plugin_path("old-plugin.so"), NULL);
        assert_int_equal(json_object_array_length(json_get(h.description, "operations")), 2);
        assert_true(harness_has(&h, "list") && harness_has(&h, "path"));
        harness_dir_make(&h);
        harness_spawn(&h);
        assert_int_equal(harness_start(&h, true), 0);
        for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
                assert_int_equal(harness_call(&h, later[i], "{\"volume\":\"vm-100-disk-0\",\"snapshot\":\"a\"}"),
                                 -EOPNOTSUPP);
                assert_non_null(strstr(h.text, "type old does not support"));
        }
        assert_int_equal(harness_end(&h), 0);
        harness_dir_remove(&h);
        harness_deinit(&h);
}

/* Refused by --describe with the reason on stderr, and by a worker with the same reason as the answer to start. */
static void assert_refused(const char *path, int code, const char *why)
{
        const char *worker = getenv("STORAGED_WORKER");
        AUTO(freep) char *err = NULL;
        Harness h = { .worker = worker, .plugin = path, .socket = -EBADF, .assembler = FRAME_ASSEMBLER_INIT };

        assert_int_equal(run_program((const char *[]){ worker, "--describe", path, NULL }, NULL, &err), EXIT_FAILURE);
        if (!strstr(err, why))
                fail_msg("%s: '%s' does not tell '%s'", path, err, why);
        harness_spawn(&h);
        assert_int_equal(harness_start(&h, false), code);
        if (!strstr(h.text, why))
                fail_msg("%s: '%s' does not tell '%s'", path, h.text, why);
        assert_int_equal(harness_end(&h), EXIT_FAILURE);
        harness_deinit(&h);
}

static void plugin_of_another_abi_is_refused(void **state)
{
        (void) state;
        assert_refused(plugin_path("broken-wrong-abi.so"), -EPROTONOSUPPORT,
                       "built for version 2 of the plugin contract, this storaged speaks version 1");
}

static void plugin_that_registered_too_little_is_refused(void **state)
{
        (void) state;
        assert_refused(plugin_path("broken-too-small.so"), -EINVAL, "registered 64 bytes of operations");
}

static void plugin_without_a_required_operation_is_refused(void **state)
{
        (void) state;
        assert_refused(plugin_path("broken-no-list.so"), -EINVAL, "has no operation list");
}

static void library_without_the_entry_is_refused(void **state)
{
        (void) state;
        assert_refused(plugin_path("broken-no-entry.so"), -EINVAL, "does not export storaged_plugin_entry");
}

static void plugin_that_contradicts_itself_is_refused(void **state)
{
        (void) state;
        assert_refused(plugin_path("broken-bad-default.so"), -EINVAL, "default_format must be one of formats");
}

static void file_that_is_no_library_is_refused(void **state)
{
        char path[] = "/tmp/storaged-abi-XXXXXX";
        int fd = mkstemp(path);

        (void) state;
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
        assert_refused(path, -EINVAL, "can't be loaded");
        assert_int_equal(fchmod(fd, 0666), 0);
        assert_refused(path, -EPERM, "chown root and chmod o-w");
        (void) close(fd);
        (void) unlink(path);
        assert_refused(path, -ENOENT, "No such file or directory");
        assert_refused("relative.so", -EINVAL, "must be absolute");
        assert_refused("/tmp", -EINVAL, "not a regular file");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(old_plugin_serves_what_it_has),
                cmocka_unit_test(old_plugin_does_not_have_what_came_later),
                cmocka_unit_test(plugin_of_another_abi_is_refused),
                cmocka_unit_test(plugin_that_registered_too_little_is_refused),
                cmocka_unit_test(plugin_without_a_required_operation_is_refused),
                cmocka_unit_test(library_without_the_entry_is_refused),
                cmocka_unit_test(plugin_that_contradicts_itself_is_refused),
                cmocka_unit_test(file_that_is_no_library_is_refused),
        };
        const char *plugins = getenv("ABI_PLUGINS");

        if (!plugins || !realpath(plugins, folder)) {
                (void) fprintf(stderr, "ABI_PLUGINS is not set, or no such directory\n");
                return 2;
        }
        return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}
