/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory over a recorded /sys with NVMe native multipath and a SAS disk with two ports (tests/data/san): what no
 * lab has. Content and device-mapper are not asked for here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <nettle/base64.h>

#include "multipath/inventory.c"
#include "multipath/lun.c"
#include "multipath/maps.c"
#include "multipath/nvme.c"
#include "multipath/path.c"
#include "multipath/sysfs.c"
#include "multipath/vpd.c"

#include "base/fs.h"
#include "tests/unit/scratch.h"

/* --- what is not looked at here */

void content_probe(ContentProbe *probes, size_t n)
{
        (void) probes;
        (void) n;
}

void scsi_ask(LiveDisk *disks, size_t n)
{
        (void) disks;
        (void) n;
}

json_object *inventory_ports(int sys)
{
        (void) sys;
        return json_object_new_array();
}

struct dm_task *dm_task_create(int type)
{
        (void) type;
        return NULL;
}

int dm_task_set_name(struct dm_task *dmt, const char *name)
{
        (void) dmt;
        (void) name;
        return 0;
}

int dm_task_run(struct dm_task *dmt)
{
        (void) dmt;
        return 0;
}

int dm_task_get_info(struct dm_task *dmt, struct dm_info *info)
{
        (void) dmt;
        (void) info;
        return 0;
}

void dm_task_destroy(struct dm_task *dmt)
{
        (void) dmt;
}

/* --- the recorded tree */

static char top[SCRATCH_MAX];
static int sys_fd = -1;

static void make_dirs(char *path)
{
        for (char *p = strchr(path + strlen(top) + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                (void) mkdir(path, 0755);
                *p = '/';
        }
}

static void put_line(char *line)
{
        char path[1024], *place = line + 2 + strlen("/sys"), *value = strchr(place, ' ');
        struct base64_decode_ctx ctx;
        uint8_t bytes[4096];
        size_t n = sizeof(bytes);
        FILE *f;

        assert_non_null(value);
        *value++ = '\0';
        (void) snprintf(path, sizeof(path), "%s%s", top, place);
        make_dirs(path);
        if (line[0] == 'L') {
                assert_int_equal(symlink(value, path), 0);
                return;
        }
        base64_decode_init(&ctx);
        assert_true(strlen(value) < sizeof(bytes));
        assert_true(base64_decode_update(&ctx, &n, bytes, strlen(value), value));
        f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, n, f), n);
        assert_int_equal(fclose(f), 0);
}

static int build_tree(void **state)
{
        AUTO(freep) char *text = NULL;
        char *at = NULL;
        size_t len = 0;

        (void) state;
        assert_non_null(scratch_make(top));
        assert_int_equal(fs_read_file("tests/data/san/sysfs-nvme-sas.txt", 1 << 20, &text, &len), 0);
        for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
                if (line[0] != '#')
                        put_line(line);
        sys_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return sys_fd < 0;
}

static int remove_tree(void **state)
{
        (void) state;
        (void) close(sys_fd);
        return scratch_remove(top);
}

static void write_attribute(const char *place, const char *text)
{
        char path[1024];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", top, place);
        f = fopen(path, "we");
        assert_non_null(f);
        (void) fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

/* The LUN of that transport; its inventory is the caller's. */
static json_object *find_lun(const char *transport, json_object **ret_all)
{
        MapList none = MAP_LIST_INIT;
        InventoryRound round = { .sys = sys_fd, .maps = &none, .without_content = true };
        Inventory inv = { 0 };
        json_object *luns, *found = NULL;

        assert_int_equal(inventory_collect(&inv, &round, ret_all), 0);
        inventory_deinit(&inv);
        luns = json_object_object_get(*ret_all, "luns");
        assert_int_equal(json_object_array_length(luns), 2);
        for (size_t i = 0; i < 2; i++) {
                json_object *lun = json_object_array_get_idx(luns, i);

                if (strcmp(json_object_get_string(json_object_object_get(lun, "transport")), transport) == 0)
                        found = lun;
        }
        assert_non_null(found);
        return found;
}

static const char *text_of(json_object *o, const char *key)
{
        const char *s = json_object_get_string(json_object_object_get(o, key));

        return s ? s : "";
}

static int64_t number_of(json_object *o, const char *key)
{
        return json_object_get_int64(json_object_object_get(o, key));
}

/* What the two kinds of LUN of the recording have in common: 64 MiB over two paths. */
static json_object *assert_lun(json_object *lun, const char *wwid, const char *state, const char *product,
                               const char *serial)
{
        assert_string_equal(text_of(lun, "wwid"), wwid);
        assert_string_equal(text_of(lun, "state"), state);
        assert_string_equal(text_of(lun, "product"), product);
        assert_string_equal(text_of(lun, "serial"), serial);
        assert_int_equal(number_of(lun, "size"), 64 << 20);
        assert_int_equal(number_of(lun, "n_paths"), 2);
        return json_object_object_get(lun, "paths");
}

/* --- tests */

static void nvme_native_multipath_is_one_lun_with_its_controllers_as_paths(void **state)
{
        AUTO_JS *all = NULL;
        json_object *lun = find_lun("nvme", &all), *paths;

        (void) state;
        paths = assert_lun(lun, "nvme.1b36-4c564d3341-51454d55204e564d65204374726c-00000001", "ok", "QEMU NVMe Ctrl",
                           "LVM3A");
        assert_string_equal(text_of(lun, "device"), "/dev/nvme0n1");
        assert_int_equal(number_of(lun, "n_active"), 2);
        for (size_t i = 0; i < 2; i++) {
                json_object *p = json_object_array_get_idx(paths, i);

                assert_string_equal(text_of(p, "target"), "nqn.2019-08.org.qemu:ibm");
                assert_non_null(strstr(text_of(p, "portal"), "0000:00:0"));
                assert_true(strcmp(text_of(p, "dev"), "nvme0c0n1") == 0 || strcmp(text_of(p, "dev"), "nvme0c1n1") == 0);
        }
}

static void nvme_controller_that_is_lost_is_a_path_less(void **state)
{
        static const char state_file[] = "devices/pci0000:00/0000:00:02.0/nvme/nvme1/state";
        static const char ana_file[] = "devices/pci0000:00/0000:00:01.0/nvme/nvme0/nvme0c0n1/ana_state";
        AUTO_JS *all = NULL;
        AUTO_JS *again = NULL;
        json_object *lun;

        (void) state;
        write_attribute(state_file, "connecting\n");
        lun = find_lun("nvme", &all);
        assert_string_equal(text_of(lun, "state"), "degraded");
        assert_int_equal(number_of(lun, "n_active"), 1);
        assert_int_equal(number_of(lun, "n_paths"), 2);
        write_attribute(ana_file, "inaccessible\n"); /* what the array says of the other one */
        lun = find_lun("nvme", &again);
        assert_string_equal(text_of(lun, "state"), "failed");
        assert_int_equal(number_of(lun, "n_active"), 0);
        write_attribute(state_file, "live\n");
        write_attribute(ana_file, "optimized\n");
}

static void sas_disk_has_its_ports_as_paths(void **state)
{
        AUTO_JS *all = NULL;
        json_object *lun = find_lun("sas", &all), *paths;

        (void) state;
        /* nomap: two paths and no multipathd, as with FC and iSCSI */
        paths = assert_lun(lun, "36005076801234567", "nomap", "2145", "SAS1");
        assert_string_equal(text_of(lun, "vendor"), "IBM");
        assert_string_equal(text_of(json_object_array_get_idx(paths, 0), "target"), "6005076801234567");
        assert_string_equal(text_of(json_object_array_get_idx(paths, 0), "initiator"), "500605b000000000");
        assert_string_equal(text_of(json_object_array_get_idx(paths, 1), "initiator"), "500605b000000001");
        assert_string_not_equal(text_of(json_object_array_get_idx(paths, 0), "hctl"),
                                text_of(json_object_array_get_idx(paths, 1), "hctl"));
}

static void names_of_nvme_disks(void **state)
{
        static const char *const good[] = { "nvme0n1", "nvme12n3", "nvme0c1n1", "nvme1c12n2" };
        static const char *const bad[] = { "nvme0",    "nvme0n1p1", "nvme0c1", "nvmen1", "nvme0c1n",
                                           "nvme0n1x", "sda",       "nvme0q1", "nvme",   "nvme0c1n1p2" };

        (void) state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(nvme_may_be_path(good[i]));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(nvme_may_be_path(bad[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nvme_native_multipath_is_one_lun_with_its_controllers_as_paths),
                cmocka_unit_test(nvme_controller_that_is_lost_is_a_path_less),
                cmocka_unit_test(sas_disk_has_its_ports_as_paths),
                cmocka_unit_test(names_of_nvme_disks),
        };

        return cmocka_run_group_tests(tests, build_tree, remove_tree);
}
