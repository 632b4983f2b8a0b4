/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which guests are containers, from the names in the cluster file system. */
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

#include "base/fs.h"
#include "core/guests.h"
#include "tests/unit/core/paths-fixture.h"

static void make(const Fixture *f, const char *dir, const char *name)
{
        char path[512];

        (void) snprintf(path, sizeof(path), "%s/nodes/%s", f->paths.cluster, dir);
        assert_int_equal(fs_mkdir_p(path, 0755), 0);
        if (!name)
                return;
        (void) snprintf(path, sizeof(path), "%s/nodes/%s/%s", f->paths.cluster, dir, name);
        assert_int_equal(fs_write_atomic(path, "", 0, 0640), 0);
}

static void no_cluster_directory_has_none(void **state)
{
        Fixture *f = *state;
        uint32_t *vmids = NULL;
        size_t n = 7;

        assert_int_equal(guests_container_vmids(&f->paths, GUESTS_READ, &vmids, &n), 0);
        assert_int_equal(n, 0);
        assert_null(vmids);
}

static void node_without_containers_has_none(void **state)
{
        Fixture *f = *state;
        uint32_t *vmids = NULL;
        size_t n = 7;

        make(f, "a/qemu-server", "100.conf");
        make(f, "b/lxc", NULL);
        assert_int_equal(guests_container_vmids(&f->paths, GUESTS_READ, &vmids, &n), 0);
        assert_int_equal(n, 0);
        free(vmids);
}

static void all_nodes_sorted_each_once(void **state)
{
        Fixture *f = *state;
        uint32_t *vmids = NULL;
        size_t n = 0;

        make(f, "b/lxc", "300.conf");
        make(f, "b/lxc", "101.conf");
        make(f, "a/lxc", "999999999.conf");
        make(f, "a/lxc", "101.conf");
        make(f, "a/lxc", "200.conf");
        make(f, "a/qemu-server", "150.conf");
        assert_int_equal(guests_container_vmids(&f->paths, GUESTS_READ, &vmids, &n), 0);
        assert_int_equal(n, 4);
        assert_int_equal(vmids[0], 101);
        assert_int_equal(vmids[1], 200);
        assert_int_equal(vmids[2], 300);
        assert_int_equal(vmids[3], 999999999);
        free(vmids);
}

static void other_names_are_passed_over(void **state)
{
        static const char *const names[] = { "99.conf",  "0100.conf", "100.conf.tmp",    "100",      ".conf",
                                             "100.CONF", "x100.conf", "1000000000.conf", "100.conf~" };
        Fixture *f = *state;
        uint32_t *vmids = NULL;
        size_t n = 0;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                make(f, "a/lxc", names[i]);
        make(f, ".hidden/lxc", "100.conf");
        make(f, "c", "lxc"); /* a file where a directory should be */
        assert_int_equal(guests_container_vmids(&f->paths, GUESTS_READ, &vmids, &n), 0);
        assert_int_equal(n, 0);
        free(vmids);
}

static void where_a_guest_is(void **state)
{
        Fixture *f = *state;
        char node[GUEST_NODE_MAX] = "unset", path[512];
        const char *kind = NULL;

        assert_int_equal(guests_find_node(&f->paths, GUESTS_READ, 100, "a", node, &kind), -ENOENT);
        make(f, "a/qemu-server", "101.conf");
        make(f, "b/lxc", "100.conf");
        assert_int_equal(guests_find_node(&f->paths, GUESTS_READ, 100, "a", node, &kind), 0);
        assert_string_equal(node, "b");
        assert_string_equal(kind, "lxc");
        assert_int_equal(guests_find_node(&f->paths, GUESTS_GLANCE, 101, NULL, node, &kind), 0);
        assert_string_equal(node, "a");
        assert_string_equal(kind, "qemu-server");
        assert_int_equal(guests_find_node(&f->paths, GUESTS_READ, 102, "a", node, &kind), -ENOENT);
        /* What can't be looked at is not taken for "nowhere". */
        make(f, "c", NULL);
        (void) snprintf(path, sizeof(path), "%s/nodes/c/lxc", f->paths.cluster);
        assert_int_equal(symlink("lxc", path), 0);
        assert_int_equal(guests_find_node(&f->paths, GUESTS_READ, 102, "a", node, &kind), -ELOOP);
        assert_int_equal(guests_find_node(&f->paths, GUESTS_READ, 102, "c", node, &kind), -ELOOP);
        assert_string_equal(node, "a");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(no_cluster_directory_has_none),
                TEST(node_without_containers_has_none),
                TEST(all_nodes_sorted_each_once),
                TEST(other_names_are_passed_over),
                TEST(where_a_guest_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
