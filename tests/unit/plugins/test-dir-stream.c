/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Export and import: round trips whose contents are compared, and streams that lie, end early or are cancelled. */
#include "dir-fixture.h"

static int try_export(const char *volname, const char *format, const char *snap, bool with_snapshots, const char *to)
{
        int fd = open(file_at(to), O_RDWR | O_CREAT | O_TRUNC, 0600), r;

        assert_true(fd >= 0);
        r = dir_plugin.export_stream(fx.self, vol(volname), format, snap, with_snapshots, fd, &fx.err);
        (void) close(fd);
        return r;
}

static char imported[STORAGED_VOLNAME_MAX];

static int try_import(const char *volname, const char *format, bool allow_rename, const char *from)
{
        struct storaged_import_spec spec = {
                .size = sizeof(spec), .volname = volname, .stream_format = format, .allow_rename = allow_rename
        };
        int fd = open(file_at(from), O_RDONLY), r;

        assert_true(fd >= 0);
        r = dir_plugin.import_stream(fx.self, &spec, vol(volname), fd, imported, &fx.err);
        (void) close(fd);
        return r;
}

static bool is_same(const char *format_a, const char *a, const char *format_b, const char *b)
{
        return sh("qemu-img compare -q -f %s -F %s %s %s", format_a, format_b, file_at(a), file_at(b)) == 0;
}

/* A guest image with something at the start, in the middle and at the very end. */
static void make_guest(uint32_t vmid, uint32_t format, const char *name)
{
        const char *v = must_alloc(vmid, format, 8 * MIB, NULL);
        char rel[1200];

        (void) snprintf(rel, sizeof(rel), "images/%s", v);
        guest_write(rel, name, 1, "0 4k");
        guest_write(rel, name, 2, "3M 100k");
        guest_write(rel, name, 3, "8388096 512");
}

static void raw_round_trips_between_all_formats(void **state)
{
        static const struct {
                uint32_t format;
                const char *name;
        } formats[] = { { STORAGED_FORMAT_RAW, "raw" },
                        { STORAGED_FORMAT_QCOW2, "qcow2" },
                        { STORAGED_FORMAT_VMDK, "vmdk" } };

        (void) state;
        for (uint32_t i = 0; i < 3; i++) {
                char from[64], to[64], from_rel[128], to_rel[128];
                struct stat st;

                make_guest(100 + i, formats[i].format, formats[i].name);
                (void) snprintf(from, sizeof(from), "%u/vm-%u-disk-0.%s", 100 + i, 100 + i, formats[i].name);
                (void) snprintf(from_rel, sizeof(from_rel), "images/%s", from);
                must(try_export(from, "raw+size", NULL, false, "stream"));
                assert_int_equal(stat(file_at("stream"), &st), 0);
                assert_int_equal(st.st_size, 8 * MIB + 8);
                for (uint32_t k = 0; k < 3; k++) {
                        (void) snprintf(to, sizeof(to), "%u/vm-%u-disk-%u.%s", 200 + i, 200 + i, k, formats[k].name);
                        (void) snprintf(to_rel, sizeof(to_rel), "images/%s", to);
                        must(try_import(to, "raw+size", false, "stream"));
                        assert_string_equal(imported, to);
                        assert_true(is_same(formats[i].name, from_rel, formats[k].name, to_rel));
                        assert_true(stat_row(to).used < 2 * MIB); /* sparse as before */
                }
        }
        assert_true(is_clean());
}

static void qcow2_goes_with_its_snapshots(void **state)
{
        (void) state;
        make_guest(100, STORAGED_FORMAT_QCOW2, "qcow2");
        must(dir_plugin.snapshot(fx.self, vol("100/vm-100-disk-0.qcow2"), "s1", &fx.err));
        guest_write("images/100/vm-100-disk-0.qcow2", "qcow2", 9, "0 4k");
        must(try_export("100/vm-100-disk-0.qcow2", "qcow2+size", NULL, true, "stream"));
        must(try_import("200/vm-200-disk-0.qcow2", "qcow2+size", false, "stream"));
        assert_true(is_same("qcow2", "images/100/vm-100-disk-0.qcow2", "qcow2", "images/200/vm-200-disk-0.qcow2"));
        must(dir_plugin.rollback(fx.self, vol("200/vm-200-disk-0.qcow2"), "s1", &fx.err));
        assert_true(guest_has("images/200/vm-200-disk-0.qcow2", "qcow2", 1, "0 4k"));
        /* one snapshot, as raw */
        must(try_export("100/vm-100-disk-0.qcow2", "raw+size", "s1", false, "stream"));
        must(try_import("201/vm-201-disk-0.raw", "raw+size", false, "stream"));
        assert_true(guest_has("images/201/vm-201-disk-0.raw", "raw", 1, "0 4k"));
        assert_int_not_equal(try_export("100/vm-100-disk-0.qcow2", "raw+size", "none", false, "stream"), 0);
        make_guest(101, STORAGED_FORMAT_VMDK, "vmdk");
        must(try_export("101/vm-101-disk-0.vmdk", "vmdk+size", NULL, true, "stream"));
        must(try_import("202/vm-202-disk-0.vmdk", "vmdk+size", false, "stream"));
        assert_true(is_same("vmdk", "images/101/vm-101-disk-0.vmdk", "vmdk", "images/202/vm-202-disk-0.vmdk"));
}

static void only_what_the_table_says(void **state)
{
        (void) state;
        make_guest(100, STORAGED_FORMAT_RAW, "raw");
        assert_int_equal(try_export("100/vm-100-disk-0.raw", "qcow2+size", NULL, false, "stream"), -EOPNOTSUPP);
        assert_int_equal(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, true, "stream"), -EOPNOTSUPP);
        assert_int_equal(try_export("100/vm-100-disk-0.raw", "raw", NULL, false, "stream"), -EOPNOTSUPP);
        assert_int_equal(try_export("100/vm-100-disk-0.raw", "raw+size", "s1", false, "stream"), -EOPNOTSUPP);
        must(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, false, "stream"));
        assert_int_equal(try_import("200/a.qcow2", "qcow2+size", false, "stream"), -EINVAL);
        assert_int_equal(try_import("200/a.raw", "qcow2+size", false, "stream"), -EOPNOTSUPP);
        assert_int_equal(try_import("200/a.subvol", "raw+size", false, "stream"), -EOPNOTSUPP);
        assert_int_equal(list_all().n, 1);
        assert_true(is_clean());
}

static void directories_go_as_tar(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_SUBVOL, 0, NULL);
        assert_int_equal(mkdir(file_at("images/100/subvol-100-disk-0.subvol/etc"), 0751), 0);
        put_file("images/100/subvol-100-disk-0.subvol/etc/x", "hello", 5);
        must(try_export("100/subvol-100-disk-0.subvol", "tar+size", NULL, false, "stream"));
        must(try_import("200/subvol-200-disk-0.subvol", "tar+size", false, "stream"));
        assert_int_equal(sh("diff -r %s %s", file_at("images/100/subvol-100-disk-0.subvol"),
                            file_at("images/200/subvol-200-disk-0.subvol")),
                         0);
        assert_int_equal(truncate(file_at("stream"), 700), 0);
        assert_int_equal(try_import("201/subvol-201-disk-0.subvol", "tar+size", false, "stream"), -EIO);
        assert_false(is_there("images/201/subvol-201-disk-0.subvol"));
        assert_true(is_clean());
}

static void short_streams_leave_nothing(void **state)
{
        static const char *const targets[] = { "200/a.raw", "200/a.qcow2", "200/a.vmdk" };
        struct stat st;

        (void) state;
        make_guest(100, STORAGED_FORMAT_RAW, "raw");
        must(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, false, "stream"));
        assert_int_equal(truncate(file_at("stream"), 8 * MIB - 3), 0);
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(try_import(targets[i], "raw+size", false, "stream"), -EIO);
                assert_non_null(strstr(fx.err.text, "nothing was kept"));
        }
        assert_int_equal(truncate(file_at("stream"), 5), 0);
        assert_int_equal(try_import("200/a.raw", "raw+size", false, "stream"), -EIO);
        make_guest(101, STORAGED_FORMAT_QCOW2, "qcow2");
        must(try_export("101/vm-101-disk-0.qcow2", "qcow2+size", NULL, true, "stream"));
        assert_int_equal(stat(file_at("stream"), &st), 0);
        assert_int_equal(truncate(file_at("stream"), st.st_size - 200000), 0);
        assert_int_equal(try_import("200/b.qcow2", "qcow2+size", false, "stream"), -EIO);
        for (uint64_t cut = 300 * KIB; cut > 8; cut /= 2) {
                assert_int_equal(truncate(file_at("stream"), (off_t) cut), 0);
                assert_int_not_equal(try_import("200/b.qcow2", "qcow2+size", false, "stream"), 0);
        }
        make_guest(102, STORAGED_FORMAT_VMDK, "vmdk");
        must(try_export("102/vm-102-disk-0.vmdk", "vmdk+size", NULL, true, "stream"));
        assert_int_equal(stat(file_at("stream"), &st), 0);
        assert_int_equal(truncate(file_at("stream"), st.st_size - 70000), 0);
        assert_int_equal(try_import("200/c.vmdk", "vmdk+size", false, "stream"), -EIO);
        put_file("stream", "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
        assert_int_equal(try_import("200/a.raw", "raw+size", false, "stream"), -EINVAL);
        assert_int_equal(list_all().n, 3);
        assert_true(is_clean());
}

/* Puts an image file behind a size. */
static void wrap(const char *image, uint64_t size)
{
        uint8_t head[8];

        for (int i = 0; i < 8; i++)
                head[i] = (uint8_t) (size >> (8 * i));
        put_file("stream", head, sizeof(head));
        assert_int_equal(sh("cat %s >> %s", file_at(image), file_at("stream")), 0);
}

static void images_that_point_elsewhere_are_refused(void **state)
{
        (void) state;
        assert_int_equal(sh("qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw %s 1M", file_at("x")), 0);
        wrap("x", MIB);
        assert_int_equal(try_import("200/a.qcow2", "qcow2+size", false, "stream"), -EINVAL);
        assert_non_null(strstr(fx.err.text, "/etc/passwd"));
        assert_int_equal(
                sh("qemu-img create -q -f qcow2 -o data_file=%s,data_file_raw=on %s 1M", file_at("data"), file_at("y")),
                0);
        wrap("y", MIB);
        assert_int_equal(try_import("200/a.qcow2", "qcow2+size", false, "stream"), -EINVAL);
        assert_int_equal(sh("qemu-img create -q -f vmdk -o subformat=monolithicFlat %s 1M", file_at("z")), 0);
        wrap("z", MIB);
        assert_int_equal(try_import("200/a.vmdk", "vmdk+size", false, "stream"), -EINVAL);
        assert_int_equal(sh("qemu-img create -q -f qcow2 %s 2M", file_at("w")), 0);
        wrap("w", MIB); /* another size than it says */
        assert_int_equal(try_import("200/a.qcow2", "qcow2+size", false, "stream"), -EINVAL);
        /* and one that lies in the storage already is not followed either */
        assert_int_equal(mkdir(file_at("images/100"), 0755), 0);
        assert_int_equal(sh("cp %s %s", file_at("x"), file_at("images/100/evil.qcow2")), 0);
        assert_int_equal(try_export("100/evil.qcow2", "raw+size", NULL, false, "stream"), -EINVAL);
        assert_true(is_clean());
}

static void clones_and_chains_export_their_whole_view(void **state)
{
        char base[STORAGED_VOLNAME_MAX], clone[STORAGED_VOLNAME_MAX];

        (void) state;
        make_guest(100, STORAGED_FORMAT_QCOW2, "qcow2");
        must(dir_plugin.template(fx.self, vol("100/vm-100-disk-0.qcow2"), base, &fx.err));
        must(dir_plugin.clone(fx.self, vol(base), NULL, 101, clone, &fx.err));
        guest_write("images/101/vm-101-disk-0.qcow2", "qcow2", 7, "1M 4k");
        ((Dir *) fx.self)->store.has_chain = true;
        must(dir_plugin.snapshot(fx.self, vol(clone), "s1", &fx.err));
        guest_write("images/101/vm-101-disk-0.qcow2", "qcow2", 8, "2M 4k");
        must(try_export(clone, "raw+size", NULL, false, "stream"));
        must(try_import("200/a.raw", "raw+size", false, "stream"));
        assert_true(is_same("raw", "images/200/a.raw", "qcow2", "images/101/vm-101-disk-0.qcow2"));
        must(try_export(clone, "raw+size", "s1", false, "stream"));
        must(try_import("200/b.raw", "raw+size", false, "stream"));
        assert_true(is_same("raw", "images/200/b.raw", "qcow2", "images/101/snap-s1-vm-101-disk-0.qcow2"));
        assert_int_equal(try_export(clone, "qcow2+size", NULL, true, "stream"), -EINVAL);
}

static void taken_names(void **state)
{
        (void) state;
        make_guest(100, STORAGED_FORMAT_RAW, "raw");
        must(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, false, "stream"));
        assert_int_equal(try_import("100/vm-100-disk-0.raw", "raw+size", false, "stream"), -EEXIST);
        must(try_import("100/vm-100-disk-0.raw", "raw+size", true, "stream"));
        assert_string_equal(imported, "100/vm-100-disk-1.raw");
        put_file("template/iso/a.iso", "iso data", 8);
        must(try_export("iso/a.iso", "raw+size", NULL, false, "stream"));
        assert_int_equal(try_import("iso/a.iso", "raw+size", true, "stream"), -EEXIST);
        must(try_import("iso/b.iso", "raw+size", false, "stream"));
        assert_int_equal(sh("cmp -s %s %s", file_at("template/iso/a.iso"), file_at("template/iso/b.iso")), 0);
}

static void cancelled_or_deserted(void **state)
{
        int ends[2];

        (void) state;
        make_guest(100, STORAGED_FORMAT_RAW, "raw");
        must(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, false, "stream"));
        fx.host.cancel_at = 2 * MIB;
        assert_int_equal(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, false, "stream2"), -ECANCELED);
        assert_int_equal(try_import("200/a.raw", "raw+size", false, "stream"), -ECANCELED);
        assert_int_equal(try_import("200/a.qcow2", "raw+size", false, "stream"), -ECANCELED);
        fx.host.cancel_at = 0;
        assert_int_equal(pipe(ends), 0);
        (void) close(ends[0]);
        assert_int_equal(dir_plugin.export_stream(fx.self, vol("100/vm-100-disk-0.raw"), "raw+size", NULL, false,
                                                  ends[1], &fx.err),
                         -EPIPE);
        (void) close(ends[1]);
        assert_int_equal(list_all().n, 1);
        assert_true(is_clean());
}

static void import_to_die(void)
{
        (void) try_import("200/a.raw", "raw+size", false, "stream");
}

static void killed_import_leaves_nothing(void **state)
{
        (void) state;
        make_guest(100, STORAGED_FORMAT_RAW, "raw");
        must(try_export("100/vm-100-disk-0.raw", "raw+size", NULL, false, "stream"));
        die_at("dir.import.written", import_to_die);
        must(fixture_activate());
        assert_int_equal(list_all().n, 1);
        assert_true(is_clean());
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(raw_round_trips_between_all_formats),
                T(qcow2_goes_with_its_snapshots),
                T(only_what_the_table_says),
                T(directories_go_as_tar),
                T(short_streams_leave_nothing),
                T(images_that_point_elsewhere_are_refused),
                T(clones_and_chains_export_their_whole_view),
                T(taken_names),
                T(cancelled_or_deserted),
                T(killed_import_leaves_nothing),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
