/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots of both kinds, templates and linked clones, with real qemu-img and the contents compared. */
#include "dir-fixture.h"

#define DISK "100/vm-100-disk-0.qcow2"
#define FILE_AT "images/100/vm-100-disk-0.qcow2"

static int setup_chain(void **state)
{
        static const struct storaged_pair extra[] = { { "snapshot-as-volume-chain", "1" } };

        (void) state;
        return fixture_setup_with(extra, 1);
}

typedef struct Snaps {
        char text[256]; /* name<parent, in order */
        size_t n;
} Snaps;

static int take_snapshot(void *userdata, const struct storaged_snapshot *s)
{
        Snaps *all = userdata;
        size_t n = strlen(all->text);

        (void) snprintf(all->text + n, sizeof(all->text) - n, "%s<%s ", s->name, s->parent ? s->parent : "");
        all->n++;
        assert_true(s->ctime > 1500000000);
        return 0;
}

static const char *snapshots(void)
{
        static Snaps all;

        all = (Snaps){ .n = 0 };
        must(dir_plugin.list_snapshots(fx.self, vol(DISK), take_snapshot, &all, &fx.err));
        return all.text;
}

static void take(const char *name)
{
        must(dir_plugin.snapshot(fx.self, vol(DISK), name, &fx.err));
}

/* Three snapshots with 1, 2, 3 in the first 64 KiB, and 4 now. */
static void make_history(void)
{
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        guest_write(FILE_AT, "qcow2", 1, "0 64k");
        guest_write(FILE_AT, "qcow2", 9, "1M 64k");
        take("s1");
        guest_write(FILE_AT, "qcow2", 2, "0 64k");
        take("s2");
        guest_write(FILE_AT, "qcow2", 3, "0 64k");
        take("s3");
        guest_write(FILE_AT, "qcow2", 4, "0 64k");
}

static void internal_snapshots_come_and_go(void **state)
{
        (void) state;
        make_history();
        fx.host.n_run = 0;
        assert_string_equal(snapshots(), "s1< s2<s1 s3<s2 ");
        assert_int_equal(fx.host.n_run, 0);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol(DISK), "s2", &fx.err), -EEXIST);
        must(dir_plugin.rollback(fx.self, vol(DISK), "s1", &fx.err));
        assert_true(guest_has(FILE_AT, "qcow2", 1, "0 64k"));
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s2", &fx.err));
        assert_string_equal(snapshots(), "s1< s3<s1 ");
        assert_int_equal(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s2", &fx.err), -ENOENT);
        assert_int_equal(dir_plugin.rollback(fx.self, vol(DISK), "s2", &fx.err), -ENOENT);
        must(dir_plugin.rollback(fx.self, vol(DISK), "s3", &fx.err));
        assert_true(guest_has(FILE_AT, "qcow2", 3, "0 64k"));
}

static void other_formats_have_no_snapshots(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol("100/vm-100-disk-0.raw"), "a", &fx.err), -EOPNOTSUPP);
        assert_non_null(strstr(fx.err.text, "qcow2"));
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol("100/vm-100-disk-1.qcow2"), "../x", &fx.err), -EINVAL);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol("100/vm-100-disk-1.qcow2"), "-l", &fx.err), -EINVAL);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol("100/vm-100-disk-1.qcow2"), "", &fx.err), -EINVAL);
}

static void chain_keeps_states_apart(void **state)
{
        char path[512];
        Row row;

        (void) state;
        make_history();
        assert_string_equal(snapshots(), "s1< s2<s1 s3<s2 ");
        assert_true(is_there("images/100/snap-s2-vm-100-disk-0.qcow2"));
        assert_true(guest_has("images/100/snap-s2-vm-100-disk-0.qcow2", "qcow2", 2, "0 64k"));
        assert_true(guest_has(FILE_AT, "qcow2", 4, "0 64k"));
        assert_true(guest_has(FILE_AT, "qcow2", 9, "1M 64k"));
        must(dir_plugin.path(fx.self, vol(DISK), "s2", path, sizeof(path), &fx.err));
        assert_string_equal(path + strlen(fx.path), "/images/100/snap-s2-vm-100-disk-0.qcow2");
        row = list_all().rows[0];
        assert_int_equal(list_all().n, 1);
        assert_string_equal(row.volname, DISK);
        assert_int_equal(row.bytes, 4 * MIB);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol(DISK), "s1", &fx.err), -EEXIST);

        assert_int_equal(dir_plugin.rollback(fx.self, vol(DISK), "s1", &fx.err), -EBUSY);
        assert_non_null(strstr(fx.err.text, "s3, s2"));
        must(dir_plugin.rollback(fx.self, vol(DISK), "s3", &fx.err));
        assert_true(guest_has(FILE_AT, "qcow2", 3, "0 64k"));
        assert_true(is_clean());
}

static void chain_deletes_anywhere(void **state)
{
        (void) state;
        make_history();
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s2", &fx.err)); /* the middle */
        assert_string_equal(snapshots(), "s1< s3<s1 ");
        assert_true(guest_has("images/100/snap-s3-vm-100-disk-0.qcow2", "qcow2", 3, "0 64k"));
        assert_true(guest_has("images/100/snap-s1-vm-100-disk-0.qcow2", "qcow2", 1, "0 64k"));
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s1", &fx.err)); /* the oldest */
        assert_string_equal(snapshots(), "s3< ");
        assert_true(guest_has("images/100/snap-s3-vm-100-disk-0.qcow2", "qcow2", 3, "0 64k"));
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s3", &fx.err)); /* the only one */
        assert_string_equal(snapshots(), "");
        assert_true(guest_has(FILE_AT, "qcow2", 4, "0 64k"));
        assert_true(guest_has(FILE_AT, "qcow2", 9, "1M 64k"));
        assert_int_equal(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s3", &fx.err), -ENOENT);
        take("again");
        must(dir_plugin.free(fx.self, vol(DISK), &fx.err));
        assert_false(is_there("images/100"));
}

static void grow_then_delete_the_oldest(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        take("s1");
        must(dir_plugin.resize(fx.self, vol(DISK), 8 * MIB, &fx.err));
        guest_write(FILE_AT, "qcow2", 5, "7M 64k");
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s1", &fx.err));
        assert_int_equal(stat_row(DISK).bytes, 8 * MIB);
        assert_true(guest_has(FILE_AT, "qcow2", 5, "7M 64k"));
}

static void snapshot_s2(void)
{
        (void) dir_plugin.snapshot(fx.self, vol(DISK), "s2", &fx.err);
}

static void delete_s1(void)
{
        (void) dir_plugin.delete_snapshot(fx.self, vol(DISK), "s1", &fx.err);
}

static void delete_s2(void)
{
        (void) dir_plugin.delete_snapshot(fx.self, vol(DISK), "s2", &fx.err);
}

static void rollback_s1(void)
{
        (void) dir_plugin.rollback(fx.self, vol(DISK), "s1", &fx.err);
}

static void chain_survives_kills(void **state)
{
        static const char *const before[] = { "dir.snapshot.created", "dir.snapshot.linked" };

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        guest_write(FILE_AT, "qcow2", 1, "0 64k");
        take("s1");
        guest_write(FILE_AT, "qcow2", 2, "0 64k");
        for (size_t i = 0; i < 2; i++) {
                die_at(before[i], snapshot_s2);
                must(fixture_activate());
                assert_true(is_clean());
                assert_string_equal(snapshots(), "s1< ");
                assert_false(is_there("images/100/snap-s2-vm-100-disk-0.qcow2"));
                assert_true(guest_has(FILE_AT, "qcow2", 2, "0 64k"));
        }
        die_at("dir.snapshot.done", snapshot_s2);
        must(fixture_activate());
        assert_string_equal(snapshots(), "s1< s2<s1 ");
        guest_write(FILE_AT, "qcow2", 3, "0 64k");

        die_at("dir.delete-snapshot.merged", delete_s2); /* upwards: nothing hangs on the file any more */
        must(fixture_activate());                        /* which finishes the deletion */
        assert_true(guest_has(FILE_AT, "qcow2", 3, "0 64k"));
        assert_int_equal(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s2", &fx.err), -ENOENT);
        assert_string_equal(snapshots(), "s1< ");
        assert_false(is_there("images/100/snap-s2-vm-100-disk-0.qcow2"));

        die_at("dir.rollback.created", rollback_s1);
        must(fixture_activate());
        assert_true(is_clean());
        assert_true(guest_has(FILE_AT, "qcow2", 3, "0 64k"));

        die_at("dir.delete-snapshot.merged", delete_s1); /* downwards: done again */
        must(fixture_activate());
        assert_true(guest_has(FILE_AT, "qcow2", 3, "0 64k"));
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s1", &fx.err));
        assert_string_equal(snapshots(), "");
        assert_true(guest_has(FILE_AT, "qcow2", 3, "0 64k"));
}

static void failed_snapshot_undoes_its_link(void **state)
{
        static const char *const points[] = { "dir.snapshot.created", "dir.snapshot.linked" };

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        guest_write(FILE_AT, "qcow2", 1, "0 64k");
        fx.host.fault_error = -EIO;
        for (size_t i = 0; i < 2; i++) {
                fx.host.fault = points[i];
                assert_int_equal(dir_plugin.snapshot(fx.self, vol(DISK), "s1", &fx.err), -EIO);
                assert_string_equal(snapshots(), "");
                assert_false(is_there("images/100/snap-s1-vm-100-disk-0.qcow2"));
                assert_true(is_clean());
                assert_true(guest_has(FILE_AT, "qcow2", 1, "0 64k"));
        }
}

/* On shared storage another node may be between the two steps of a snapshot: its files are not ours to judge. */
static void snapshot_of_another_node_is_left_alone(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        assert_int_equal(link(file_at(FILE_AT), file_at("images/100/snap-s1-vm-100-disk-0.qcow2")), 0);
        assert_int_equal(sh("qemu-img create -q -u -f qcow2 -b snap-s1-vm-100-disk-0.qcow2 -F qcow2 "
                            "%s 4M",
                            file_at("images/100/.storaged-node-b~1-1-0-vm-100-disk-0.qcow2")),
                         0);
        must(fixture_activate());
        assert_true(is_there("images/100/snap-s1-vm-100-disk-0.qcow2"));
        assert_true(is_there("images/100/.storaged-node-b~1-1-0-vm-100-disk-0.qcow2"));
}

static void broken_chain_says_which_file(void **state)
{
        (void) state;
        make_history();
        assert_int_equal(unlink(file_at("images/100/snap-s2-vm-100-disk-0.qcow2")), 0);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol(DISK), "s4", &fx.err), -EIO);
        assert_non_null(strstr(fx.err.text, "snap-s2-"));
        must(dir_plugin.free(fx.self, vol(DISK), &fx.err));
        assert_false(is_there("images/100/vm-100-disk-0.qcow2"));
}

static void linked_clones_of_every_format(void **state)
{
        static const struct {
                uint32_t format;
                const char *name;
        } cases[] = { { STORAGED_FORMAT_RAW, "raw" },
                      { STORAGED_FORMAT_QCOW2, "qcow2" },
                      { STORAGED_FORMAT_VMDK, "vmdk" } };
        char base[STORAGED_VOLNAME_MAX], clone[STORAGED_VOLNAME_MAX], rel[1200], wanted[1200];
        struct stat st;

        (void) state;
        for (uint32_t i = 0; i < 3; i++) {
                uint32_t id = 100 + i;
                Row row;

                must_alloc(id, cases[i].format, 4 * MIB, NULL);
                (void) snprintf(rel, sizeof(rel), "images/%u/vm-%u-disk-0.%s", id, id, cases[i].name);
                guest_write(rel, cases[i].name, 6, "0 64k");
                (void) snprintf(wanted, sizeof(wanted), "%u/vm-%u-disk-0.%s", id, id, cases[i].name);
                assert_int_equal(dir_plugin.clone(fx.self, vol(wanted), NULL, 200 + i, clone, &fx.err), -EOPNOTSUPP);
                must(dir_plugin.template(fx.self, vol(wanted), base, &fx.err));
                (void) snprintf(rel, sizeof(rel), "%u/base-%u-disk-0.%s", id, id, cases[i].name);
                assert_string_equal(base, rel);
                (void) snprintf(rel, sizeof(rel), "images/%s", base);
                assert_int_equal(stat(file_at(rel), &st), 0);
                assert_int_equal(st.st_mode & 07777, 0444);
                must(dir_plugin.clone(fx.self, vol(base), NULL, 200 + i, clone, &fx.err));
                (void) snprintf(wanted, sizeof(wanted), "%s/%u/vm-%u-disk-0.qcow2", base, 200 + i, 200 + i);
                assert_string_equal(clone, wanted);
                row = stat_row(clone);
                assert_string_equal(row.volname, clone);
                assert_string_equal(row.parent, base);
                assert_int_equal(row.bytes, 4 * MIB);
                (void) snprintf(rel, sizeof(rel), "images/%u/vm-%u-disk-0.qcow2", 200 + i, 200 + i);
                assert_true(guest_has(rel, "qcow2", 6, "0 64k"));
                guest_write(rel, "qcow2", 7, "0 64k");
                assert_int_equal(dir_plugin.free(fx.self, vol(base), &fx.err), -EBUSY);
                assert_non_null(strstr(fx.err.text, clone));
                assert_int_equal(dir_plugin.rename(fx.self, vol(base), 300, NULL, clone, &fx.err), -EBUSY);
                must(dir_plugin.free(fx.self, vol(wanted), &fx.err));
                must(dir_plugin.rename(fx.self, vol(base), 300, NULL, clone, &fx.err));
                must(dir_plugin.free(fx.self, vol(clone), &fx.err));
                assert_int_equal(list_all().n, 0);
        }
}

static void clone_with_chain_keeps_its_name(void **state)
{
        char base[STORAGED_VOLNAME_MAX], clone[STORAGED_VOLNAME_MAX];

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        must(dir_plugin.template(fx.self, vol(DISK), base, &fx.err));
        must(dir_plugin.clone(fx.self, vol(base), NULL, 200, clone, &fx.err));
        must(dir_plugin.snapshot(fx.self, vol(clone), "s1", &fx.err));
        assert_int_equal(list_all().n, 2);
        assert_string_equal(list_all().rows[0].volname, base);
        assert_string_equal(list_all().rows[1].volname, clone);
        assert_int_equal(dir_plugin.free(fx.self, vol(base), &fx.err), -EBUSY);
        must(dir_plugin.delete_snapshot(fx.self, vol(clone), "s1", &fx.err));
        assert_string_equal(stat_row(clone).parent, base);
        must(dir_plugin.rename(fx.self, vol(clone), 201, NULL, clone, &fx.err));
        assert_string_equal(clone, "100/base-100-disk-0.qcow2/201/vm-201-disk-0.qcow2");
}

static void template_refuses_snapshots_and_odd_names(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        take("s1");
        assert_int_equal(dir_plugin.template(fx.self, vol(DISK), ret, &fx.err), -EBUSY);
        must(dir_plugin.delete_snapshot(fx.self, vol(DISK), "s1", &fx.err));
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, "data.raw");
        assert_int_equal(dir_plugin.template(fx.self, vol("100/data.raw"), ret, &fx.err), -EINVAL);
        must(dir_plugin.template(fx.self, vol(DISK), ret, &fx.err));
        assert_int_equal(dir_plugin.template(fx.self, vol(ret), ret, &fx.err), -EEXIST);
        assert_int_equal(dir_plugin.resize(fx.self, vol("100/base-100-disk-0.qcow2"), 2 * MIB, &fx.err), -EOPNOTSUPP);
        must_alloc(101, STORAGED_FORMAT_SUBVOL, 0, NULL);
        must(dir_plugin.template(fx.self, vol("101/subvol-101-disk-0.subvol"), ret, &fx.err));
        assert_string_equal(ret, "101/base-101-disk-0.subvol");
        must(dir_plugin.free(fx.self, vol(ret), &fx.err));
}

static void make_template(void)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) dir_plugin.template(fx.self, vol(DISK), ret, &fx.err);
}

static void template_goes_on_after_a_kill(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];
        struct stat st;

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        die_at("dir.template.renamed", make_template);
        must(fixture_activate());
        must(dir_plugin.template(fx.self, vol(DISK), ret, &fx.err));
        assert_string_equal(ret, "100/base-100-disk-0.qcow2");
        assert_int_equal(stat(file_at("images/100/base-100-disk-0.qcow2"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0444);
}

/* --- kills in the plain operations */

static void do_alloc(void)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) try_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL, ret);
}

static void do_alloc_qcow2(void)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) try_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL, ret);
}

static void do_free(void)
{
        (void) dir_plugin.free(fx.self, vol("100/vm-100-disk-0.raw"), &fx.err);
}

static void do_clone(void)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) dir_plugin.clone(fx.self, vol("100/base-100-disk-0.raw"), NULL, 200, ret, &fx.err);
}

static void kills_leave_whole_volumes_or_none(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) state;
        die_at("dir.alloc.created", do_alloc);
        assert_false(is_clean()); /* the leftover is there, and not listed */
        assert_int_equal(list_all().n, 0);
        must(fixture_activate());
        assert_true(is_clean());
        die_at("dir.alloc.created", do_alloc_qcow2);
        must(fixture_activate());
        assert_true(is_clean());
        assert_int_equal(list_all().n, 0);
        die_at("dir.alloc.linked", do_alloc);
        must(fixture_activate());
        assert_int_equal(list_all().rows[0].bytes, MIB);
        die_at("dir.free.before", do_free);
        must(fixture_activate());
        assert_int_equal(list_all().n, 1);
        die_at("dir.free.unlinked", do_free);
        must(fixture_activate());
        assert_int_equal(list_all().n, 0);
        assert_string_equal(must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL), "100/vm-100-disk-0.raw");
        must(dir_plugin.template(fx.self, vol("100/vm-100-disk-0.raw"), ret, &fx.err));
        die_at("dir.clone.created", do_clone);
        must(fixture_activate());
        assert_true(is_clean());
        assert_int_equal(list_all().n, 1);
        die_at("dir.clone.linked", do_clone);
        must(fixture_activate());
        assert_int_equal(list_all().n, 2);
}

static void failing_points_leave_nothing(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) state;
        fx.host.fault = "dir.alloc.created";
        fx.host.fault_error = -EIO;
        assert_int_equal(try_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL, ret), -EIO);
        fx.host.fault = "dir.alloc.linked";
        assert_int_equal(try_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL, ret), -EIO);
        assert_true(is_clean());
        assert_int_equal(list_all().n, 0);
}

static void leftovers_of_others_stay(void **state)
{
        char name[128], start[64];
        FILE *f;

        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        put_file("images/100/.storaged-node-b~1-1-0-x.raw", "x", 1);   /* another node's */
        put_file("images/100/.storaged-node-a-2~1-1-0-x.raw", "x", 1); /* a node whose name begins like ours */
        put_file("images/100/.storaged-node-a~1-1-0-x.raw", "x", 1);   /* pid 1 started at another time */
        put_file("dump/.storaged-node-a~999999999-1-0-x", "x", 1);     /* no such process */
        put_file("images/100/.storaged-node-a~garbage", "x", 1);       /* unreadable: left alone */
        f = popen("cut -d' ' -f22 /proc/1/stat", "r");
        assert_non_null(fgets(start, sizeof(start), f));
        (void) pclose(f);
        start[strcspn(start, "\n")] = '\0';
        (void) snprintf(name, sizeof(name), "images/100/.storaged-node-a~1-%s-0-x.raw", start);
        put_file(name, "x", 1); /* pid 1 lives */
        must(fixture_activate());
        assert_true(is_there("images/100/.storaged-node-b~1-1-0-x.raw"));
        assert_true(is_there("images/100/.storaged-node-a-2~1-1-0-x.raw"));
        assert_true(is_there("images/100/.storaged-node-a~garbage"));
        assert_true(is_there(name));
        assert_false(is_there("images/100/.storaged-node-a~1-1-0-x.raw"));
        assert_false(is_there("dump/.storaged-node-a~999999999-1-0-x"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define C(name) cmocka_unit_test_setup_teardown(name, setup_chain, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(internal_snapshots_come_and_go),
                T(other_formats_have_no_snapshots),
                C(chain_keeps_states_apart),
                C(chain_deletes_anywhere),
                C(grow_then_delete_the_oldest),
                C(chain_survives_kills),
                C(snapshot_of_another_node_is_left_alone),
                C(failed_snapshot_undoes_its_link),
                C(broken_chain_says_which_file),
                T(linked_clones_of_every_format),
                C(clone_with_chain_keeps_its_name),
                T(template_refuses_snapshots_and_odd_names),
                T(template_goes_on_after_a_kill),
                T(kills_leave_whole_volumes_or_none),
                T(failing_points_leave_nothing),
                T(leftovers_of_others_stay),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
