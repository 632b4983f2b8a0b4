/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the host's LVM is configured, and that what storaged writes there goes again without a trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common-lvm/dm.c"
#include "lvm/host-lvm.c"

#include "base/fs.h"

static char top[] = "/tmp/storaged-lvm-host.XXXXXX";
static const struct storaged_host host = { .size = sizeof(host), .node = "n1", .root = top };

static void put(const char *name, const char *text)
{
        char path[PATH_MAX];

        path_of(&host, name, path);
        if (text)
                assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
        else
                (void) unlink(path);
}

static void assert_text(const char *name, const char *wanted)
{
        AUTO(freep) char *text = NULL;

        assert_int_equal(read_text(&host, name, &text), 0);
        if (wanted)
                assert_string_equal(text, wanted);
        else
                assert_null(text);
}

static HostLvm look(const char *conf, const char *local)
{
        HostLvm h;

        put(CONF, conf);
        put(LOCAL, local);
        host_lvm_read(&host, &h);
        return h;
}

static int begin(void **state)
{
        static const char *const dirs[] = { "/etc", "/etc/lvm", "/var", "/var/lib" };
        char path[PATH_MAX];

        (void) state;
        if (!mkdtemp(top))
                return -1;
        for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
                path_of(&host, dirs[i], path);
                if (mkdir(path, 0755) < 0)
                        return -1;
        }
        return 0;
}

static int end(void **state)
{
        static const char *const names[] = { CONF,     LOCAL,  DEVICES,    NOTE,   DEVICES_DIR, "/etc/lvm",
                                             NOTE_DIR, "/etc", "/var/lib", "/var", "" };
        char path[PATH_MAX];

        (void) state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                path_of(&host, names[i], path);
                (void) remove(path);
        }
        return 0;
}

static void words_of_lvm_conf(void **state)
{
        HostLvm h;

        (void) state;
        h = look(NULL, NULL);
        assert_false(h.scans_lvs || h.has_filter || h.has_devices_file || h.says_devices || h.is_ours || h.error[0]);
        h = look("devices {\n\tscan_lvs = 1\n\tfilter = [ \"a|.*|\" ]\n}\n", NULL);
        assert_true(h.scans_lvs);
        assert_false(h.has_filter); /* it keeps nothing away */
        h = look("devices {\n\tscan_lvs = 1\n\tglobal_filter = [ \"a|sda|\", \"r|.*|\" ]\n}\n", "devices/scan_lvs=0\n");
        assert_false(h.scans_lvs); /* lvmlocal.conf has the last word */
        assert_true(h.has_filter);
        h = look("# devices {\n# \tuse_devicesfile = 1\n# }\n", NULL);
        assert_false(h.says_devices);
        h = look("devices {\n\tuse_devicesfile = 1\n}\n", NULL);
        assert_true(h.says_devices);
        assert_false(h.has_devices_file); /* there is none: LVM looks at everything */
        h = look("devices {\n\tuse_devicesfile = ", NULL);
        assert_true(h.error[0]);
}

static void what_was_set_up_goes_without_a_trace(void **state)
{
        static const char mine[] = "local {\n\thost_id = 3\n}"; /* without an end of line */
        HostLvm h;

        (void) state;
        h = look("", mine);
        assert_int_equal(host_lvm_begin_list(&host, NULL), 0);
        assert_int_equal(host_lvm_limit(&host, NULL), 0);
        assert_int_equal(host_lvm_limit(&host, NULL), 0); /* once */
        assert_text(LOCAL, "local {\n\thost_id = 3\n}\n" BLOCK);
        host_lvm_read(&host, &h);
        assert_true(h.is_ours && h.has_devices_file && h.has_list);
        assert_false(h.says_devices || h.error[0]);
        assert_int_equal(h.n_devices, 0);
        put(DEVICES,
            "VERSION=1.1.2\nIDTYPE=sys_wwid IDNAME=naa.5 DEVNAME=/dev/sda PVID=x\nIDTYPE=devname IDNAME=/dev/x\n");
        host_lvm_read(&host, &h);
        assert_int_equal(h.n_devices, 2);
        assert_int_equal(host_lvm_release(&host, NULL), 0);
        assert_text(LOCAL, "local {\n\thost_id = 3\n}\n");
        assert_text(DEVICES, NULL);
        assert_text(NOTE, NULL);
        assert_int_equal(host_lvm_release(&host, NULL), 0);
}

static void a_list_made_by_hand_stays(void **state)
{
        static const char list[] = "VERSION=1.1.2\nIDTYPE=devname IDNAME=/dev/sda\n";
        HostLvm h;

        (void) state;
        h = look("devices {\n\tuse_devicesfile = 1\n}\n", NULL);
        put(DEVICES, list);
        host_lvm_read(&host, &h);
        assert_true(h.has_list && h.has_devices_file);
        assert_false(h.is_ours);
        assert_int_equal(host_lvm_release(&host, NULL), 0);
        assert_text(DEVICES, list);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_of_lvm_conf),
                cmocka_unit_test(what_was_set_up_goes_without_a_trace),
                cmocka_unit_test(a_list_made_by_hand_stays),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
