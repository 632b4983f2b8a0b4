/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where is looked for a LUN: at every place its target has been seen, under whatever name the kernel has it, and at no
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "multipath/act-scan.c"
#include "multipath/sysfs.c"

#include "tests/unit/scratch.h"

/* --- what is not done here: nothing is written, nobody is asked */

int work_run(Work *works, size_t n, unsigned max, unsigned deadline_ms)
{
        (void) works;
        (void) n;
        (void) max;
        (void) deadline_ms;
        return -EIO;
}

int work_write(const char *path, const char *text, unsigned deadline_ms, struct storaged_error *err)
{
        (void) path;
        (void) text;
        (void) deadline_ms;
        (void) err;
        return -EIO;
}

uint64_t work_now_ms(void)
{
        return 0;
}

int daemon_settle(unsigned timeout_ms, struct storaged_error *err)
{
        (void) timeout_ms;
        (void) err;
        return -EIO;
}

void scsi_ask(LiveDisk *disks, size_t n)
{
        (void) disks;
        (void) n;
}

int act_collect(Act *a, const char *changed, bool with_content, json_object **ret)
{
        (void) a;
        (void) changed;
        (void) with_content;
        (void) ret;
        return -EIO;
}

int act_open_sys(const struct storaged_host *host)
{
        (void) host;
        return -EIO;
}

const char *act_text(json_object *o, const char *key)
{
        (void) o;
        (void) key;
        return "";
}

size_t act_paths(json_object *lun, json_object **ret)
{
        (void) lun;
        (void) ret;
        return 0;
}

/* --- a node's /sys */

/* The port behind host 3 has a name in one class, that behind host 4 in the other, that behind host 5 in both; host 6
 * knows of it, but not as a target; host 7 has no cable. */
static const char *const tree[][2] = {
        { "class/fc_transport/target3:0:1/port_name", "0x500507680b215678\n" },
        { "class/fc_transport/target3:0:2/port_name", "0x500507680b219999\n" },
        { "class/fc_remote_ports/rport-4:0-2/port_name", "0x500507680b215678\n" },
        { "class/fc_remote_ports/rport-4:0-2/scsi_target_id", "7\n" },
        { "class/fc_transport/target5:0:0/port_name", "0x500507680b215678\n" },
        { "class/fc_remote_ports/rport-5:0-1/port_name", "0x500507680b215678\n" },
        { "class/fc_remote_ports/rport-5:0-1/scsi_target_id", "0\n" },
        { "class/fc_remote_ports/rport-6:0-1/port_name", "0x500507680b215678\n" },
        { "class/fc_remote_ports/rport-6:0-1/scsi_target_id", "-1\n" },
        { "class/fc_host/host3/port_state", "Online\n" },
        { "class/fc_host/host7/port_state", "Linkdown\n" },
        { "class/scsi_host/host3/scan", "" },
        { "class/scsi_host/host7/scan", "" },
        { "class/scsi_host/host8/scan", "" },
};

static char top[SCRATCH_MAX];
static int sys_fd = -1;

static void put(const char *place, const char *text)
{
        char path[256];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", top, place);
        for (char *p = strchr(path + strlen(top) + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                (void) mkdir(path, 0755);
                *p = '/';
        }
        f = fopen(path, "we");
        assert_non_null(f);
        (void) fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

static int build_tree(void **state)
{
        (void) state;
        assert_non_null(scratch_make(top));
        for (size_t i = 0; i < sizeof(tree) / sizeof(tree[0]); i++)
                put(tree[i][0], tree[i][1]);
        sys_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return sys_fd < 0;
}

static int remove_tree(void **state)
{
        (void) state;
        (void) close(sys_fd);
        return scratch_remove(top);
}

/* --- tests */

static int look(const char *target, const char *lun, ScanList *ret, struct storaged_error *err)
{
        const struct storaged_pair pairs[] = { { "target", target }, { "lun", lun } };
        const struct storaged_config args = { .size = sizeof(args), .n_pairs = target ? 2 : 0, .pairs = pairs };
        const struct storaged_host host = { .size = sizeof(host), .node = "n1" };
        Act a = { .host = &host, .args = &args, .err = err };

        *ret = (ScanList){ 0 };
        return find_places(&a, sys_fd, ret);
}

static bool has(const ScanList *l, const char *host, const char *text)
{
        char path[96];

        (void) snprintf(path, sizeof(path), "/sys/class/scsi_host/%s/scan", host);
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->items[i].path, path) == 0 && strcmp(l->items[i].text, text) == 0)
                        return true;
        return false;
}

/* Other products looked at one of the two classes only, and found half of the paths. */
static void a_target_is_found_under_either_name_and_once(void **state)
{
        static const char *const names[] = { "0x500507680b215678", "500507680B215678", "50:05:07:68:0b:21:56:78" };
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                ScanList list;

                assert_int_equal(look(names[i], "9", &list, &err), 0);
                assert_int_equal(list.n, 3);
                assert_true(has(&list, "host3", "0 1 9"));
                assert_true(has(&list, "host4", "0 7 9"));
                assert_true(has(&list, "host5", "0 0 9"));
                free(list.items);
        }
}

static void one_that_nobody_sees_is_named(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ScanList list;

        (void) state;
        assert_int_equal(look("0x500507680b21567", "9", &list, &err), -ENOENT); /* a digit less */
        assert_non_null(strstr(err.text, "sees no target '0x500507680b21567'"));
        assert_int_equal(list.n, 0);
}

static void without_a_target_all_hosts_with_a_cable(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ScanList list;

        (void) state;
        assert_int_equal(look(NULL, NULL, &list, &err), 0);
        assert_int_equal(list.n, 2);
        assert_true(has(&list, "host3", "- - -"));
        assert_true(has(&list, "host8", "- - -"));
        free(list.items);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_target_is_found_under_either_name_and_once),
                cmocka_unit_test(one_that_nobody_sees_is_named),
                cmocka_unit_test(without_a_target_all_hosts_with_a_cable),
        };

        return cmocka_run_group_tests(tests, build_tree, remove_tree);
}
