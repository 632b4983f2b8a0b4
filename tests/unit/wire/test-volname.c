/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of storages and volumes: what they mean, and that nothing hostile gets through. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/volname.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define FILE_ STORAGED_NAMING_FILE
#define LVM STORAGED_NAMING_LVM
#define THIN STORAGED_NAMING_LVMTHIN
#define RBD STORAGED_NAMING_RBD
#define ZFS STORAGED_NAMING_ZFS
#define ISCSI STORAGED_NAMING_ISCSI
#define DIRECT STORAGED_NAMING_ISCSIDIRECT
#define PBS STORAGED_NAMING_PBS

static const struct {
        enum storaged_naming naming;
        const char *volname, *content, *name;
        uint32_t vmid;
        const char *basename;
        uint32_t basevmid;
        bool is_base;
        const char *format;
} good[] = {
        { FILE_, "100/vm-100-disk-0.raw", "images", "vm-100-disk-0.raw", 100, "", 0, false, "raw" },
        { FILE_, "100/vm-100-disk-0.qcow2", "images", "vm-100-disk-0.qcow2", 100, "", 0, false, "qcow2" },
        { FILE_, "100/any-Name.vmdk", "images", "any-Name.vmdk", 100, "", 0, false, "vmdk" },
        { FILE_, "999999999/subvol-999999999-disk-0.subvol", "images", "subvol-999999999-disk-0.subvol", 999999999, "",
          0, false, "subvol" },
        { FILE_, "100/base-100-disk-0.raw", "images", "base-100-disk-0.raw", 100, "", 0, true, "raw" },
        { FILE_, "100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2", "images", "vm-101-disk-0.qcow2", 101,
          "base-100-disk-0.qcow2", 100, false, "qcow2" },
        { FILE_, "100/base-100-disk-0.qcow2/101/base-101-disk-0.qcow2", "images", "base-101-disk-0.qcow2", 101,
          "base-100-disk-0.qcow2", 100, true, "qcow2" },
        { FILE_, "100/snap-a.raw", "images", "snap-a.raw", 100, "", 0, false, "raw" },
        { FILE_, "100/vm-100-disk-0.raw.qcow2", "images", "vm-100-disk-0.raw.qcow2", 100, "", 0, false, "qcow2" },
        { FILE_, "iso/debian 12.iso", "iso", "debian 12.iso", 0, "", 0, false, "iso" },
        { FILE_, "iso/X.ISO", "iso", "X.ISO", 0, "", 0, false, "iso" },
        { FILE_, "iso/x.Img", "iso", "x.Img", 0, "", 0, false, "iso" },
        { FILE_, "vztmpl/debian-12.tar.gz", "vztmpl", "debian-12.tar.gz", 0, "", 0, false, "tgz" },
        { FILE_, "vztmpl/debian-12.tar.xz", "vztmpl", "debian-12.tar.xz", 0, "", 0, false, "txz" },
        { FILE_, "vztmpl/debian-12.tar.zst", "vztmpl", "debian-12.tar.zst", 0, "", 0, false, "tzst" },
        { FILE_, "vztmpl/debian-12.tar.bz2", "vztmpl", "debian-12.tar.bz2", 0, "", 0, false, "tbz2" },
        { FILE_, "vztmpl/debian-12.tar", "vztmpl", "debian-12.tar", 0, "", 0, false, "tar" },
        { FILE_, "backup/vzdump-qemu-100-2026_11_21-10_00_00.vma.zst", "backup",
          "vzdump-qemu-100-2026_11_21-10_00_00.vma.zst", 100, "", 0, false, "vma.zst" },
        { FILE_, "backup/vzdump-lxc-101-2026_11_21-10_00_00.tar.lzo", "backup",
          "vzdump-lxc-101-2026_11_21-10_00_00.tar.lzo", 101, "", 0, false, "tar.lzo" },
        { FILE_, "backup/vzdump-openvz-102-2026_11_21-10_00_00.tgz", "backup",
          "vzdump-openvz-102-2026_11_21-10_00_00.tgz", 102, "", 0, false, "tgz" },
        { FILE_, "backup/mine.vma", "backup", "mine.vma", 0, "", 0, false, "vma" },
        { FILE_, "backup/vzdump-qemu-7-x.tar.bz2", "backup", "vzdump-qemu-7-x.tar.bz2", 0, "", 0, false, "tar.bz2" },
        { FILE_, "snippets/hook.pl", "snippets", "hook.pl", 0, "", 0, false, "snippet" },
        { FILE_, "snippets/..hidden", "snippets", "..hidden", 0, "", 0, false, "snippet" },
        { FILE_, "import/x.ova", "import", "x.ova", 0, "", 0, false, "ova" },
        { FILE_, "import/x.ovf", "import", "x.ovf", 0, "", 0, false, "ovf" },
        { FILE_, "import/x.vmdk", "import", "x.vmdk", 0, "", 0, false, "vmdk" },
        { FILE_, "import/x.ova/disk one.vmdk", "import", "x.ova/disk one.vmdk", 0, "", 0, false, "ova+vmdk" },
        { FILE_, "import/x.ova/d.qcow2", "import", "x.ova/d.qcow2", 0, "", 0, false, "ova+qcow2" },
        { LVM, "vm-100-disk-0", "images", "vm-100-disk-0", 100, "", 0, false, "raw" },
        { LVM, "vm-100-disk-0.qcow2", "images", "vm-100-disk-0.qcow2", 100, "", 0, false, "qcow2" },
        { LVM, "vm-100-state-x", "images", "vm-100-state-x", 100, "", 0, false, "raw" },
        { THIN, "vm-100-disk-0", "images", "vm-100-disk-0", 100, "", 0, false, "raw" },
        { THIN, "base-100-disk-0", "images", "base-100-disk-0", 100, "", 0, true, "raw" },
        { RBD, "vm-100-disk-0", "images", "vm-100-disk-0", 100, "", 0, false, "raw" },
        { RBD, "base-100-disk-0", "images", "base-100-disk-0", 100, "", 0, true, "raw" },
        { RBD, "base-100-disk-0/vm-101-disk-1", "images", "vm-101-disk-1", 101, "base-100-disk-0", 100, false, "raw" },
        { ZFS, "vm-100-disk-0", "images", "vm-100-disk-0", 100, "", 0, false, "raw" },
        { ZFS, "base-100-disk-0", "images", "base-100-disk-0", 100, "", 0, true, "raw" },
        { ZFS, "subvol-100-disk-0", "images", "subvol-100-disk-0", 100, "", 0, false, "subvol" },
        { ZFS, "basevol-100-disk-0", "images", "basevol-100-disk-0", 100, "", 0, true, "subvol" },
        { ZFS, "basevol-100-disk-0/subvol-101-disk-0", "images", "subvol-101-disk-0", 101, "basevol-100-disk-0", 100,
          false, "subvol" },
        { ISCSI, "0.0.1.scsi-36001405", "images", "0.0.1.scsi-36001405", 0, "", 0, false, "raw" },
        { DIRECT, "lun0", "images", "0", 0, "", 0, false, "raw" },
        { DIRECT, "lun12", "images", "12", 0, "", 0, false, "raw" },
        { PBS, "backup/vm/100/2026-11-21T10:00:00Z", "backup", "vm/100/2026-11-21T10:00:00Z", 100, "", 0, false,
          "pbs-vm" },
        { PBS, "backup/ct/101/2026-11-21T10:00:00Z", "backup", "ct/101/2026-11-21T10:00:00Z", 101, "", 0, false,
          "pbs-ct" },
        { PBS, "backup/host/pve1/2026-11-21T10:00:00Z", "backup", "host/pve1/2026-11-21T10:00:00Z", 0, "", 0, false,
          "pbs-host" },
};

static void every_row_of_the_naming_table(void **state)
{
        (void) state;
        for (size_t i = 0; i < LENGTH(good); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                struct storaged_volname v;

                if (volname_parse(good[i].naming, good[i].volname, &v, &err) < 0)
                        fail_msg("%s: %s", good[i].volname, err.text);
                assert_int_equal(v.size, sizeof(v));
                assert_string_equal(v.volname, good[i].volname);
                assert_string_equal(content_to_string(v.content), good[i].content);
                assert_string_equal(v.name, good[i].name);
                assert_int_equal(v.vmid, good[i].vmid);
                assert_string_equal(v.basename, good[i].basename);
                assert_int_equal(v.basevmid, good[i].basevmid);
                assert_int_equal(v.is_base, good[i].is_base);
                assert_string_equal(v.format, good[i].format);
        }
}

static const struct {
        enum storaged_naming naming;
        const char *volname;
} bad[] = {
        { FILE_, "" },
        { FILE_, "/" },
        { FILE_, "100" },
        { FILE_, "100/" },
        { FILE_, "100/." },
        { FILE_, "100/.." },
        { FILE_, "/100/vm-100-disk-0.raw" },
        { FILE_, "100//vm-100-disk-0.raw" },
        { FILE_, "100/vm-100-disk-0.raw/" },
        { FILE_, "../100/vm-100-disk-0.raw" },
        { FILE_, "100/../vm-100-disk-0.raw" },
        { FILE_, "100/../101/vm-101-disk-0.raw" },
        { FILE_, "100/x.raw/../vm-100-disk-0.raw" },
        { FILE_, "100/a/b.raw" },
        { FILE_, "100/a.raw/b.raw" },
        { FILE_, "100/a.raw/101/b/c.raw" },
        { FILE_, "99/vm-99-disk-0.raw" },
        { FILE_, "0100/vm-100-disk-0.raw" },
        { FILE_, "1000000000/vm-1000000000-disk-0.raw" },
        { FILE_, "100a/vm-100-disk-0.raw" },
        { FILE_, "100/vm-100-disk-0" },
        { FILE_, "100/vm-100-disk-0.RAW" },
        { FILE_, "100/.raw" },
        { FILE_, "100/vm 100.raw" },
        { FILE_, "100/vm\n100.raw" },
        { FILE_, "100/snap-one-vm-100-disk-0.qcow2" },
        { FILE_, "100/base-100-disk-0.qcow2/101/snap-a.qcow2" },
        { FILE_, "100/base-100-disk-0.img/101/vm-101-disk-0.qcow2" },
        { FILE_, "iso" },
        { FILE_, "iso/" },
        { FILE_, "iso/.iso" },
        { FILE_, "iso/../x.iso" },
        { FILE_, "iso/a/x.iso" },
        { FILE_, "iso/x.isO2" },
        { FILE_, "ISO/x.iso" },
        { FILE_, "iso/x\x01.iso" },
        { FILE_, "iso/x\x7f.iso" },
        { FILE_, "vztmpl/x.tar.lzo" },
        { FILE_, "vztmpl/x.TAR" },
        { FILE_, "vztmpl/x.tgz" },
        { FILE_, "backup/x.zip" },
        { FILE_, "backup/x.vma.xz" },
        { FILE_, "backup/vm/100/2026-11-21T10:00:00Z" },
        { FILE_, "snippets/.." },
        { FILE_, "snippets/a/b" },
        { FILE_, "import/x.zip" },
        { FILE_, "import/x.ovf/disk.vmdk" },
        { FILE_, "import/x.ova/disk.iso" },
        { FILE_, "import/x.ova/../disk.vmdk" },
        { FILE_, "import/.ova/disk.vmdk" },
        { FILE_, "private/100" },
        { FILE_, "rootdir/100" },
        { FILE_, "vm-100-disk-0" },
        { LVM, "" },
        { LVM, "base-100-disk-0" },
        { LVM, "vm-100-" },
        { LVM, "vm-100" },
        { LVM, "vm-99-disk-0" },
        { LVM, "vm-100-disk-0/x" },
        { LVM, "vm-100-disk 0" },
        { LVM, "vm-100-disk;0" },
        { LVM, "vm-100-disk-" },
        { LVM, "-vm-100-disk-0" },
        { LVM, "snap_vm-100-disk-0_a" },
        { LVM, "../vm-100-disk-0" },
        { THIN, "base-100-disk-0/vm-101-disk-0" },
        { THIN, "snap_vm-100-disk-0_a" },
        { RBD, "vm-100-disk-0@snap" },
        { RBD, "vm-100-disk-0/vm-101-disk-0" },
        { RBD, "base-100-disk-0/" },
        { RBD, "/vm-100-disk-0" },
        { RBD, "base-100-disk-0/base-101-disk-0/vm-102-disk-0" },
        { RBD, "subvol-100-disk-0" },
        { RBD, "vm-100-disk 0" },
        { ZFS, "vm-100-disk-0@snap" },
        { ZFS, "vm-100-disk-0#mark" },
        { ZFS, "subvol-100-disk-0/subvol-101-disk-0" },
        { ZFS, "base-100-disk-0/../x" },
        { ZFS, "rpool/vm-100-disk-0" },
        { ISCSI, "0.0.1" },
        { ISCSI, "0.0.1." },
        { ISCSI, "0.0.scsi-1" },
        { ISCSI, "0.0.1.scsi/1" },
        { ISCSI, "0.0.1.scsi 1" },
        { DIRECT, "lun" },
        { DIRECT, "lun1a" },
        { DIRECT, "lun-1" },
        { DIRECT, "lun1234567890" },
        { PBS, "backup/vm/100" },
        { PBS, "backup/vm/100/2026-11-21 10:00:00" },
        { PBS, "backup/vm/100/2026-13-21T10:00:00Z" },
        { PBS, "backup/vm/100/2026-11-21T10:00:00Z/x" },
        { PBS, "backup/vm/../2026-11-21T10:00:00Z" },
        { PBS, "backup/vm/-x/2026-11-21T10:00:00Z" },
        { PBS, "backup/qemu/100/2026-11-21T10:00:00Z" },
        { PBS, "iso/vm/100/2026-11-21T10:00:00Z" },
        { (enum storaged_naming) 0, "vm-100-disk-0" },
        { (enum storaged_naming) 99, "vm-100-disk-0" },
};

static void hostile_and_wrong_names_are_refused_by_name(void **state)
{
        (void) state;
        for (size_t i = 0; i < LENGTH(bad); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                struct storaged_volname v;

                memset(&v, 0xaa, sizeof(v));
                if (volname_parse(bad[i].naming, bad[i].volname, &v, &err) != -EINVAL)
                        fail_msg("'%s' was accepted", bad[i].volname);
                assert_string_equal(err.param, "volume");
                assert_non_null(strstr(err.text, "volume name"));
                for (const char *s = err.text; *s; s++)
                        assert_true((unsigned char) *s >= 0x20);
                assert_int_equal(v.size, 0xaaaaaaaa); /* untouched */
        }
}

static void names_up_to_the_limit_and_no_longer(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct storaged_volname v;
        char name[4096];

        (void) state;
        memset(name, 'x', sizeof(name));
        memcpy(name, "iso/", 4);
        memcpy(name + 4 + NAME_MAX - 4, ".iso", 5); /* a file's name is at most NAME_MAX */
        assert_int_equal(volname_parse(FILE_, name, &v, &err), 0);
        assert_int_equal(strlen(v.volname), 4 + NAME_MAX);
        memset(name + 4, 'x', sizeof(name) - 4);
        memcpy(name + 4 + NAME_MAX + 1 - 4, ".iso", 5);
        assert_int_equal(volname_parse(FILE_, name, &v, &err), -EINVAL);
        assert_non_null(strstr(err.text, "255"));
        memset(name + 4, 'x', sizeof(name) - 4);
        memcpy(name + sizeof(name) - 5, ".iso", 5);
        assert_int_equal(volname_parse(FILE_, name, &v, &err), -EINVAL);
        assert_non_null(strstr(err.text, "longer"));
}

static void snapshot_names(void **state)
{
        static const char *const valid[] = { "s1", "before-upgrade", "A_b-9", "Current" };
        static const char *const invalid[] = { "",
                                               "s",
                                               "1x",
                                               "-x",
                                               "_x",
                                               "current",
                                               "a b",
                                               "a/b",
                                               "a.b",
                                               "caf\xc3\xa9",
                                               "a2345678901234567890123456789012345678901" };

        (void) state;
        for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
                assert_true(snapshot_name_is_valid(valid[i]));
        for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
                assert_false(snapshot_name_is_valid(invalid[i]));
}

static void storage_ids(void **state)
{
        static const char *const fine[] = { "ab", "local", "a1", "A.b-c_d9", "nfs-1.example" };
        static const char *const wrong[] = { "",   "a",   "1a",  "-a",  "a-",         "a.",
                                             "a_", "a b", "a/b", "a:b", "\xc3\xa4-b", "a\nb" };
        char id[400];

        (void) state;
        for (size_t i = 0; i < LENGTH(fine); i++)
                assert_true(storage_id_is_valid(fine[i], strlen(fine[i])));
        for (size_t i = 0; i < LENGTH(wrong); i++)
                assert_false(storage_id_is_valid(wrong[i], strlen(wrong[i])));
        memset(id, 'a', sizeof(id));
        assert_true(storage_id_is_valid(id, 200));
        assert_true(storage_id_is_valid(id, STORAGE_ID_MAX - 1));
        assert_false(storage_id_is_valid(id, STORAGE_ID_MAX));
}

static void volume_id_splits_at_the_first_colon(void **state)
{
        static const char *const wrong[] = { "",    ":",      "local",    "local:",   ":x",
                                             "a:x", "../x:y", "/dev/sda", "lo cal:x", "-x:y" };
        struct storaged_error err = STORAGED_ERROR_INIT;
        char id[STORAGE_ID_MAX] = "untouched";
        const char *volname = NULL, *volid = "local:backup/vm/100/2026-11-21T10:00:00Z";

        (void) state;
        for (size_t i = 0; i < LENGTH(wrong); i++) {
                assert_int_equal(volid_split(wrong[i], id, &volname, &err), -EINVAL);
                assert_string_equal(err.param, "volume");
                assert_string_equal(id, "untouched");
                assert_null(volname);
        }
        assert_int_equal(volid_split(volid, id, &volname, &err), 0);
        assert_string_equal(id, "local");
        assert_ptr_equal(volname, volid + 6);
}

static void next_disk_takes_the_lowest_gap(void **state)
{
        static const char *const used[] = {
                "100/vm-100-disk-0.raw",
                "100/base-100-disk-1.qcow2/100/vm-100-disk-1.qcow2",
                "base-100-disk-2",
                "subvol-100-disk-3",
                "basevol-100-disk-4",
                "vm-100-disk-6",
                "vm-1000-disk-5",
                "vm-10-disk-5",
                "vm-100-disk-5-old",
                "vm-100-state-5",
                "vm-100-disk-99999",
                "vm-100-disk-",
                "other",
        };
        struct storaged_error err = STORAGED_ERROR_INIT;
        char name[64];

        (void) state;
        assert_int_equal(volname_next_disk(100, "vm", ".raw", used, LENGTH(used), name, sizeof(name), &err), 0);
        assert_string_equal(name, "vm-100-disk-5.raw");
        assert_int_equal(volname_next_disk(101, "subvol", "", used, LENGTH(used), name, sizeof(name), &err), 0);
        assert_string_equal(name, "subvol-101-disk-0");
        assert_int_equal(volname_next_disk(101, "vm", "", NULL, 0, name, sizeof(name), &err), 0);
        assert_string_equal(name, "vm-101-disk-0");
        assert_int_equal(volname_next_disk(101, "vm", "", NULL, 0, name, 13, &err), -ENAMETOOLONG);
}

static void next_disk_when_all_are_taken(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char names[DISK_NUMBER_MAX + 1][24], name[64] = "untouched";
        const char *used[DISK_NUMBER_MAX + 1];

        (void) state;
        for (unsigned i = 0; i <= DISK_NUMBER_MAX; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "vm-100-disk-%u", i);
                used[i] = names[i];
        }
        assert_int_equal(volname_next_disk(100, "vm", "", used, LENGTH(used) - 1, name, sizeof(name), &err), 0);
        assert_string_equal(name, "vm-100-disk-1023");
        memcpy(name, "untouched", sizeof("untouched"));
        assert_int_equal(volname_next_disk(100, "vm", "", used, LENGTH(used), name, sizeof(name), &err), -ENOSPC);
        assert_string_equal(name, "untouched");
}

static void words_of_masks(void **state)
{
        static const char *const contents[] = { "images", "rootdir",  "iso",    "vztmpl",
                                                "backup", "snippets", "import", "none" };
        static const char *const formats[] = { "raw", "qcow2", "vmdk", "subvol" };
        static const char *const namings[] = { "file", "lvm", "lvmthin", "rbd", "zfs", "iscsi", "iscsidirect", "pbs" };

        (void) state;
        for (size_t i = 0; i < LENGTH(contents); i++)
                assert_string_equal(content_to_string(content_from_string(contents[i])), contents[i]);
        for (size_t i = 0; i < LENGTH(formats); i++)
                assert_string_equal(format_to_string(format_from_string(formats[i])), formats[i]);
        for (size_t i = 0; i < LENGTH(namings); i++)
                assert_string_equal(naming_to_string(naming_from_string(namings[i])), namings[i]);
        assert_int_equal(content_from_string("Images"), 0);
        assert_int_equal(format_from_string(""), 0);
        assert_null(content_to_string(STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ISO));
        assert_null(naming_to_string(0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_row_of_the_naming_table),
                cmocka_unit_test(hostile_and_wrong_names_are_refused_by_name),
                cmocka_unit_test(names_up_to_the_limit_and_no_longer),
                cmocka_unit_test(snapshot_names),
                cmocka_unit_test(storage_ids),
                cmocka_unit_test(volume_id_splits_at_the_first_colon),
                cmocka_unit_test(next_disk_takes_the_lowest_gap),
                cmocka_unit_test(next_disk_when_all_are_taken),
                cmocka_unit_test(words_of_masks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
