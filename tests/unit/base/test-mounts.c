/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which mount a path is on, out of the kernel's table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mounts.h"

static const char table[] = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                            "30 21 0:40 / /etc/pve rw,nosuid,nodev shared:9 master:2 - fuse clusterfs rw,user_id=0\n"
                            "31 21 0:41 / /mnt/with\\040space rw - fuse.sshfs host: rw\n"
                            "32 21 0:42 / /srv rw - fuse.glusterfs g rw\n"
                            "33 21 0:43 / /srv rw - tmpfs none rw\n"
                            "34 30 0:44 / /etc/pve/inner rw - tmpfs none rw\n"
                            "35 21 0:45 / /ntfs rw - fuseblk /dev/sdb1 rw\n"
                            "a line that is none\n"
                            "36 21 0:46 / /short - \n"
                            "37 21 - fuse\n";

static void the_longest_point_above_it(void **state)
{
        (void) state;
        assert_int_equal(mounts_text_is_fuse(table, "/etc/pve"), 1);
        assert_int_equal(mounts_text_is_fuse(table, "/etc/pve/priv/lock"), 1);
        assert_int_equal(mounts_text_is_fuse(table, "/etc/pve/inner/x"), 0);
        assert_int_equal(mounts_text_is_fuse(table, "/etc/pvex"), 0);
        assert_int_equal(mounts_text_is_fuse(table, "/etc"), 0);
        assert_int_equal(mounts_text_is_fuse(table, "/"), 0);
        assert_int_equal(mounts_text_is_fuse(table, "/ntfs/a"), 1);
}

static void what_is_mounted_over_it_counts(void **state)
{
        (void) state;
        assert_int_equal(mounts_text_is_fuse(table, "/srv/a"), 0);
}

static void names_are_escaped_there(void **state)
{
        (void) state;
        assert_int_equal(mounts_text_is_fuse(table, "/mnt/with space"), 1);
        assert_int_equal(mounts_text_is_fuse(table, "/mnt/with\\040space"), 0);
}

static void of_a_whole_root_in_user_space(void **state)
{
        (void) state;
        assert_int_equal(mounts_text_is_fuse("1 0 0:1 / / rw - fuse.fuse-overlayfs x rw\n", "/etc/pve"), 1);
        assert_int_equal(mounts_text_is_fuse("", "/etc/pve"), 0);
}

static void its_type_and_source(void **state)
{
        Mount m = { .type = "as it was" };

        (void) state;
        assert_int_equal(mounts_text_find("", "/etc", &m), 0);
        assert_string_equal(m.type, "as it was");
        assert_int_equal(mounts_text_find(table, "/etc/pve/priv", &m), 1);
        assert_string_equal(m.type, "fuse");
        assert_string_equal(m.source, "clusterfs");
        assert_int_equal(mounts_text_find(table, "/short", &m), 1);
        assert_string_equal(m.type, "");
        assert_int_equal(mounts_find("/proc/self", &m), -ELOOP);
        assert_int_equal(mounts_find("/proc/nothing", &m), 1);
        assert_string_equal(m.type, "proc");
}

static void this_machines_own(void **state)
{
        (void) state;
        assert_int_equal(mounts_is_fuse("/proc/self"), 0); /* a link: asked by statfs */
        assert_int_equal(mounts_is_fuse("/proc/nothing"), 0);
        assert_true(mounts_is_fuse("/nothing/at/all") < 0);
        assert_true(mounts_is_fuse("relative") < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_longest_point_above_it), cmocka_unit_test(what_is_mounted_over_it_counts),
                cmocka_unit_test(names_are_escaped_there),    cmocka_unit_test(of_a_whole_root_in_user_space),
                cmocka_unit_test(its_type_and_source),        cmocka_unit_test(this_machines_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
