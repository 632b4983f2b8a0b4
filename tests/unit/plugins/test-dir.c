/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dir plugin: its storage as a whole, listing, alloc, free, resize, rename, notes, uploads. */
#include "dir-fixture.h"

#include "common/image-cache.h"
#include "common/store.h"

static void alloc_raw_is_sparse_and_has_its_size(void **state)
{
        const char *v = must_alloc(100, STORAGED_FORMAT_RAW, 10 * MIB, NULL);
        struct stat st;

        (void) state;
        assert_string_equal(v, "100/vm-100-disk-0.raw");
        assert_int_equal(stat(file_at("images/100/vm-100-disk-0.raw"), &st), 0);
        assert_int_equal(st.st_size, 10 * MIB);
        assert_true((uint64_t) st.st_blocks * 512 < 100 * KIB);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_true(is_clean());
}

static void alloc_counts_over_all_extensions(void **state)
{
        (void) state;
        assert_string_equal(must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL), "100/vm-100-disk-0.raw");
        assert_string_equal(must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL), "100/vm-100-disk-1.raw");
        assert_string_equal(must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL), "100/vm-100-disk-2.qcow2");
        assert_string_equal(must_alloc(100, STORAGED_FORMAT_VMDK, MIB, NULL), "100/vm-100-disk-3.vmdk");
        assert_string_equal(must_alloc(100, STORAGED_FORMAT_SUBVOL, 0, NULL), "100/subvol-100-disk-4.subvol");
        assert_string_equal(must_alloc(101, STORAGED_FORMAT_QCOW2, MIB, NULL), "101/vm-101-disk-0.qcow2");
}

static void alloc_refuses_bad_names_and_sizes(void **state)
{
        static const struct {
                uint32_t format;
                uint64_t bytes;
                const char *name, *param;
                int code;
        } cases[] = {
                { STORAGED_FORMAT_RAW, MIB, "../x.raw", "filename", -EINVAL },
                { STORAGED_FORMAT_RAW, MIB, "a/b.raw", "filename", -EINVAL },
                { STORAGED_FORMAT_RAW, MIB, ".hidden.raw", "filename", -EINVAL },
                { STORAGED_FORMAT_RAW, MIB, "x", "filename", -EINVAL },
                { STORAGED_FORMAT_RAW, MIB, "x.qcow2", "filename", -EINVAL },
                { STORAGED_FORMAT_QCOW2, MIB, "snap-a-vm-100-disk-0.qcow2", "filename", -EINVAL },
                { STORAGED_FORMAT_RAW, MIB, "has space.raw", "filename", -EINVAL },
                { STORAGED_FORMAT_RAW, 0, NULL, "size", -EINVAL },
                { STORAGED_FORMAT_RAW, 1000, NULL, "size", -EINVAL },
                { STORAGED_FORMAT_RAW, 1ull << 63, NULL, "size", -EINVAL },
                { STORAGED_FORMAT_SUBVOL, MIB, NULL, "size", -EINVAL },
        };
        char ret[STORAGED_VOLNAME_MAX], name[400];

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(try_alloc(100, cases[i].format, cases[i].bytes, cases[i].name, ret), cases[i].code);
                assert_string_equal(fx.err.param, cases[i].param);
        }
        memset(name, 'a', sizeof(name));
        memcpy(name + 300, ".raw", 5);
        assert_int_equal(try_alloc(100, STORAGED_FORMAT_RAW, MIB, name, ret), -EINVAL);
        assert_int_equal(list_all().n, 0);
        assert_true(is_clean());
}

static void alloc_of_a_taken_name_fails_and_keeps_the_old(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, "mine.raw");
        guest_write("images/100/mine.raw", "raw", 7, "0 64k");
        assert_int_equal(try_alloc(100, STORAGED_FORMAT_RAW, 2 * MIB, "mine.raw", ret), -EEXIST);
        assert_true(guest_has("images/100/mine.raw", "raw", 7, "0 64k"));
}

static void alloc_with_falloc_takes_its_blocks(void **state)
{
        struct stat st;

        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        assert_int_equal(stat(file_at("images/100/vm-100-disk-0.raw"), &st), 0);
        assert_true((uint64_t) st.st_blocks * 512 >= MIB);
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        assert_true(stat_row("100/vm-100-disk-1.qcow2").used >= MIB);
}

static int setup_falloc(void **state)
{
        static const struct storaged_pair extra[] = { { "preallocation", "falloc" } };

        (void) state;
        return fixture_setup_with(extra, 1);
}

static int setup_full(void **state)
{
        static const struct storaged_pair extra[] = { { "preallocation", "full" } };

        (void) state;
        return fixture_setup_with(extra, 1);
}

static void list_shows_formats_sizes_and_owners(void **state)
{
        static const uint32_t containers[] = { 50, 101, 900 };
        Listing l;

        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, 3 * MIB, NULL);
        must_alloc(100, STORAGED_FORMAT_QCOW2, 5 * MIB, NULL);
        must_alloc(100, STORAGED_FORMAT_VMDK, 7 * MIB, NULL);
        must_alloc(101, STORAGED_FORMAT_SUBVOL, 0, NULL);
        fx.host.n_run = 0;
        l = list_filtered((struct storaged_list_filter){
                .contents = STORAGED_CONTENT_ANY, .container_vmids = containers, .n_container_vmids = 3 });
        assert_int_equal(l.n, 4);
        assert_int_equal(fx.host.n_run, 0); /* no process */
        assert_string_equal(l.rows[0].volname, "100/vm-100-disk-0.raw");
        assert_int_equal(l.rows[0].bytes, 3 * MIB);
        assert_string_equal(l.rows[1].format, "qcow2");
        assert_int_equal(l.rows[1].bytes, 5 * MIB);
        assert_string_equal(l.rows[2].format, "vmdk");
        assert_int_equal(l.rows[2].bytes, 7 * MIB);
        assert_string_equal(l.rows[3].format, "subvol");
        assert_int_equal(l.rows[3].content, STORAGED_CONTENT_ROOTDIR);
        assert_int_equal(l.rows[0].content, STORAGED_CONTENT_IMAGES);
        l = list_filtered((struct storaged_list_filter){ .contents = STORAGED_CONTENT_IMAGES, .vmid = 101 });
        assert_int_equal(l.n, 1);
        l = list_filtered((struct storaged_list_filter){ .contents = STORAGED_CONTENT_ROOTDIR });
        assert_int_equal(l.n, 0);
}

static void list_again_reads_no_header(void **state)
{
        Dir *d = fx.self;
        uint64_t before;

        (void) state;
        for (int i = 0; i < 5; i++)
                must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        assert_int_equal(list_all().n, 5);
        before = d->store.cache->n_reads;
        assert_int_equal(list_all().n, 5);
        assert_int_equal(d->store.cache->n_reads, before);
        must(dir_plugin.resize(fx.self, vol("100/vm-100-disk-2.qcow2"), 2 * MIB, &fx.err));
        assert_int_equal(list_all().rows[2].bytes, 2 * MIB);
        assert_int_equal(d->store.cache->n_reads, before + 1);
}

static void list_passes_over_what_is_no_volume(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        assert_int_equal(mkdir(file_at("images/099"), 0755), 0);
        assert_int_equal(mkdir(file_at("images/abc"), 0755), 0);
        put_file("images/099/x.raw", "x", 1);
        put_file("images/abc/x.raw", "x", 1);
        put_file("images/stray.raw", "x", 1);
        put_file("images/100/.hidden.raw", "x", 1);
        put_file("images/100/.storaged-other~1-1-0-x.raw", "x", 1);
        put_file("images/100/readme.txt", "x", 1);
        put_file("images/100/snap-a-vm-100-disk-0.qcow2", "x", 1);
        assert_int_equal(mkdir(file_at("images/100/dir.raw"), 0755), 0);
        assert_int_equal(symlink("/etc/passwd", file_at("images/100/evil.raw")), 0);
        assert_int_equal(symlink("/etc", file_at("images/102")), 0);
        put_file("template/iso/good.iso", "x", 1);
        put_file("template/iso/bad.txt", "x", 1);
        assert_int_equal(symlink("/etc/passwd", file_at("template/iso/evil.iso")), 0);
        assert_int_equal(list_all().n, 2);
}

/* A guest's directory that cannot be read, while a test says so. */
static const char *broken_dir;
ssize_t __real_getdents64(int fd, void *buf, size_t n);
ssize_t __wrap_getdents64(int fd, void *buf, size_t n);

ssize_t __wrap_getdents64(int fd, void *buf, size_t n)
{
        char link[64], path[512];
        ssize_t k = -1;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (broken_dir)
                k = readlink(link, path, sizeof(path) - 1);
        path[k < 0 ? 0 : k] = '\0';
        if (broken_dir && strcmp(path, broken_dir) == 0) {
                errno = EIO;
                return -1;
        }
        return __real_getdents64(fd, buf, n);
}

static int sum_vmids(void *userdata, const struct storaged_volume *v)
{
        uint64_t *sum = userdata;

        assert_string_equal(strrchr(v->volname, '/'), v->vmid % 2 ? "/x.raw" : "/y.raw");
        *sum += v->vmid;
        return 0;
}

/* More guests than are listed at once, one of them a link to another. */
static void list_of_thousands_of_guests(void **state)
{
        struct storaged_list_filter filter = { .size = sizeof(filter), .contents = STORAGED_CONTENT_IMAGES };
        AUTO(freep) char *broken = NULL;
        uint64_t sum = 0, expected = 0;
        char rel[64];

        (void) state;
        for (uint64_t vmid = 100; vmid < 2200; vmid++) {
                (void) snprintf(rel, sizeof(rel), "images/%llu", (unsigned long long) vmid);
                assert_int_equal(mkdir(file_at(rel), 0755), 0);
                (void) snprintf(rel, sizeof(rel), "images/%llu/%c.raw", (unsigned long long) vmid,
                                vmid % 2 ? 'x' : 'y');
                put_file(rel, "x", 1);
                expected += vmid;
        }
        assert_int_equal(symlink("101", file_at("images/5001")), 0);
        must(dir_plugin.list(fx.self, &filter, sum_vmids, &sum, &fx.err));
        assert_int_equal(sum, expected);
        broken = realpath(file_at("images/1500"), NULL);
        assert_non_null(broken);
        broken_dir = broken;
        sum = 0;
        assert_int_equal(dir_plugin.list(fx.self, &filter, sum_vmids, &sum, &fx.err), -EIO);
        broken_dir = NULL;
        assert_non_null(strstr(fx.err.text, "/images/1500: Input/output error"));
        assert_true(sum < expected);
}

static void hostile_headers_are_invalid_rows(void **state)
{
        uint8_t head[512];
        Listing l;

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, "a.qcow2");
        put_file("images/100/b.qcow2", "short", 5);
        memset(head, 0xff, sizeof(head));
        memcpy(head, "QFI\xfb\0\0\0\3", 8);
        put_file("images/100/c.qcow2", head, sizeof(head));
        put_file("images/100/d.vmdk", "KDMV", 4);
        put_file("images/100/e.qcow2", "", 0);
        assert_int_equal(mkfifo(file_at("images/100/f.qcow2"), 0600), 0);
        l = list_all();
        assert_int_equal(l.n, 5);
        assert_string_equal(l.rows[0].format, "qcow2");
        for (size_t i = 1; i < 5; i++) {
                assert_string_equal(l.rows[i].format, "invalid");
                assert_true(l.rows[i].bytes == STORAGED_SIZE_UNKNOWN);
        }
}

static void backups_have_time_notes_and_protection(void **state)
{
        const char *v = "backup/vzdump-qemu-100-2026_03_04-05_06_07.vma.zst";
        char rel[128];
        Row row;

        (void) state;
        (void) setenv("TZ", "UTC", 1);
        tzset();
        put_file("dump/vzdump-qemu-100-2026_03_04-05_06_07.vma.zst", "data", 4);
        put_file("dump/vzdump-qemu-100-2026_03_04-05_06_07.log", "log", 3);
        put_file("dump/own-name.tar.gz", "data", 4);
        must(dir_plugin.set_notes(fx.self, vol(v), "first line\nsecond", &fx.err));
        must(dir_plugin.set_protected(fx.self, vol(v), true, &fx.err));
        must(dir_plugin.set_protected(fx.self, vol(v), true, &fx.err));
        assert_int_equal(list_all().n, 2);
        row = list_all().rows[1];
        assert_string_equal(row.volname, v);
        assert_string_equal(row.notes, "first line");
        assert_true(row.is_protected);
        assert_int_equal(row.ctime, 1772600767);
        assert_int_equal(row.vmid, 100);
        assert_string_equal(stat_row(v).notes, "first line\nsecond");
        assert_int_equal(
                list_filtered((struct storaged_list_filter){ .contents = STORAGED_CONTENT_ANY, .vmid = 100 }).n, 1);

        assert_int_equal(dir_plugin.free(fx.self, vol(v), &fx.err), -EPERM);
        must(dir_plugin.set_protected(fx.self, vol(v), false, &fx.err));
        must(dir_plugin.set_protected(fx.self, vol(v), false, &fx.err));
        must(dir_plugin.free(fx.self, vol(v), &fx.err));
        (void) snprintf(rel, sizeof(rel), "dump/%s.notes", v + 7);
        assert_false(is_there(rel));
        assert_false(is_there("dump/vzdump-qemu-100-2026_03_04-05_06_07.log"));
        assert_int_equal(list_all().n, 1);
        must(dir_plugin.set_notes(fx.self, vol("backup/own-name.tar.gz"), "x", &fx.err));
        must(dir_plugin.set_notes(fx.self, vol("backup/own-name.tar.gz"), "", &fx.err));
        assert_false(is_there("dump/own-name.tar.gz.notes"));
        put_file("template/iso/a.iso", "x", 1);
        assert_int_equal(dir_plugin.set_notes(fx.self, vol("iso/a.iso"), "x", &fx.err), -EOPNOTSUPP);
        assert_int_equal(dir_plugin.set_protected(fx.self, vol("iso/a.iso"), true, &fx.err), -EOPNOTSUPP);
}

static void free_is_honest(void **state)
{
        (void) state;
        assert_int_equal(dir_plugin.free(fx.self, vol("100/vm-100-disk-0.raw"), &fx.err), -ENOENT);
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        must(dir_plugin.free(fx.self, vol("100/vm-100-disk-0.raw"), &fx.err));
        assert_false(is_there("images/100"));
        assert_int_equal(dir_plugin.free(fx.self, vol("100/vm-100-disk-0.raw"), &fx.err), -ENOENT);
        must_alloc(100, STORAGED_FORMAT_SUBVOL, 0, NULL);
        assert_int_equal(mkdir(file_at("images/100/subvol-100-disk-0.subvol/etc"), 0755), 0);
        put_file("images/100/subvol-100-disk-0.subvol/etc/x", "x", 1);
        assert_int_equal(symlink("/etc", file_at("images/100/subvol-100-disk-0.subvol/out")), 0);
        must(dir_plugin.free(fx.self, vol("100/subvol-100-disk-0.subvol"), &fx.err));
        assert_false(is_there("images/100"));
        assert_int_equal(access("/etc/passwd", R_OK), 0);
}

static int take_holder(void *userdata, const struct storaged_holder *h)
{
        bool *is_exclusive = userdata;

        assert_string_equal(h->what, "QEMU (image lock)");
        *is_exclusive = h->is_exclusive;
        return 0;
}

static void free_refuses_an_image_qemu_has_open(void **state)
{
        int status, ready[2];
        pid_t pid;
        bool is_exclusive = false;
        char byte;

        (void) state;
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        must(dir_plugin.holders(fx.self, vol("100/vm-100-disk-0.qcow2"), take_holder, &is_exclusive, &fx.err));
        assert_false(is_exclusive);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) { /* prints the size when it has the image open, then waits for more commands on stdin */
                (void) dup2(ready[1], 1);
                (void) execlp("sh", "sh", "-c", "(echo length; exec sleep 60) | qemu-io -f qcow2 \"$0\"",
                              file_at("images/100/vm-100-disk-0.qcow2"), NULL);
                _exit(1);
        }
        (void) setpgid(pid, pid);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        must(dir_plugin.holders(fx.self, vol("100/vm-100-disk-0.qcow2"), take_holder, &is_exclusive, &fx.err));
        assert_true(is_exclusive);
        assert_int_equal(dir_plugin.free(fx.self, vol("100/vm-100-disk-0.qcow2"), &fx.err), -EBUSY);
        assert_int_equal(dir_plugin.snapshot(fx.self, vol("100/vm-100-disk-0.qcow2"), "s1", &fx.err), -EBUSY);
        (void) kill(-pid, SIGTERM);
        (void) waitpid(pid, &status, 0);
        (void) close(ready[0]);
        (void) close(ready[1]);
}

static void resize_grows_only(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, 4 * MIB, NULL);
        must_alloc(100, STORAGED_FORMAT_QCOW2, 4 * MIB, NULL);
        must_alloc(100, STORAGED_FORMAT_VMDK, 4 * MIB, NULL);
        must(dir_plugin.resize(fx.self, vol("100/vm-100-disk-0.raw"), 8 * MIB, &fx.err));
        must(dir_plugin.resize(fx.self, vol("100/vm-100-disk-1.qcow2"), 8 * MIB, &fx.err));
        must(dir_plugin.resize(fx.self, vol("100/vm-100-disk-1.qcow2"), 8 * MIB, &fx.err));
        assert_int_equal(stat_row("100/vm-100-disk-0.raw").bytes, 8 * MIB);
        assert_int_equal(stat_row("100/vm-100-disk-1.qcow2").bytes, 8 * MIB);
        assert_int_equal(dir_plugin.resize(fx.self, vol("100/vm-100-disk-0.raw"), 4 * MIB, &fx.err), -EINVAL);
        assert_non_null(strstr(fx.err.text, "shrink is not supported"));
        assert_int_equal(dir_plugin.resize(fx.self, vol("100/vm-100-disk-0.raw"), 8 * MIB + 1, &fx.err), -EINVAL);
        assert_int_equal(dir_plugin.resize(fx.self, vol("100/vm-100-disk-2.vmdk"), 8 * MIB, &fx.err), -EOPNOTSUPP);
        assert_int_equal(dir_plugin.resize(fx.self, vol("100/none.raw"), 8 * MIB, &fx.err), -ENOENT);
}

static void rename_moves_and_never_replaces(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        must_alloc(101, STORAGED_FORMAT_RAW, 2 * MIB, NULL);
        must(dir_plugin.rename(fx.self, vol("100/vm-100-disk-0.raw"), 101, NULL, ret, &fx.err));
        assert_string_equal(ret, "101/vm-101-disk-1.raw");
        assert_false(is_there("images/100"));
        assert_int_equal(dir_plugin.rename(fx.self, vol(ret), 101, "vm-101-disk-0.raw", ret, &fx.err), -EEXIST);
        assert_int_equal(stat_row("101/vm-101-disk-1.raw").bytes, MIB);
        assert_int_equal(dir_plugin.rename(fx.self, vol("101/vm-101-disk-1.raw"), 102, "x.qcow2", ret, &fx.err),
                         -EINVAL);
        must(dir_plugin.rename(fx.self, vol("101/vm-101-disk-1.raw"), 102, "data.raw", ret, &fx.err));
        assert_string_equal(ret, "102/data.raw");
}

static void symlinks_lead_nowhere(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];
        Listing l = { .n = 0 };

        (void) state;
        assert_int_equal(symlink("/etc", file_at("images/100")), 0);
        assert_int_not_equal(try_alloc(100, STORAGED_FORMAT_RAW, MIB, "zz.raw", ret), 0);
        assert_int_not_equal(access("/etc/zz.raw", F_OK), 0);
        assert_int_equal(mkdir(file_at("images/101"), 0755), 0);
        put_file("victim.raw", "victim", 6);
        assert_int_equal(symlink("../../victim.raw", file_at("images/101/l.raw")), 0);
        assert_int_not_equal(dir_plugin.stat(fx.self, vol("101/l.raw"), take_row, &l, &fx.err), 0);
        assert_int_not_equal(dir_plugin.resize(fx.self, vol("101/l.raw"), MIB, &fx.err), 0);
        assert_int_not_equal(dir_plugin.free(fx.self, vol("101/l.raw"), &fx.err), 0);
        assert_true(is_there("victim.raw"));
}

static void upload_replaces_and_checks(void **state)
{
        struct storaged_upload_spec spec = {
                .size = sizeof(spec), .content = STORAGED_CONTENT_ISO, .filename = "a.iso", .bytes = 100000
        };
        char ret[STORAGED_VOLNAME_MAX], data[100000];
        int fd;

        (void) state;
        memset(data, 'x', sizeof(data));
        put_file("source", data, sizeof(data));
        put_file("template/iso/a.iso", "old", 3);
        fd = open(file_at("source"), O_RDONLY);
        spec.fd = fd;
        must(dir_plugin.upload(fx.self, &spec, ret, &fx.err));
        assert_string_equal(ret, "iso/a.iso");
        assert_int_equal(sh("cmp -s %s %s", file_at("source"), file_at("template/iso/a.iso")), 0);
        spec.bytes = 100001; /* more than there is */
        assert_int_equal(dir_plugin.upload(fx.self, &spec, ret, &fx.err), -EIO);
        spec.bytes = 100000;
        spec.filename = "../a.iso";
        assert_int_equal(dir_plugin.upload(fx.self, &spec, ret, &fx.err), -EINVAL);
        spec.filename = "a.txt";
        assert_int_equal(dir_plugin.upload(fx.self, &spec, ret, &fx.err), -EINVAL);
        spec.content = STORAGED_CONTENT_IMPORT;
        spec.filename = "disk.qcow2"; /* it is none */
        assert_int_equal(dir_plugin.upload(fx.self, &spec, ret, &fx.err), -EINVAL);
        spec.content = STORAGED_CONTENT_IMAGES;
        assert_int_equal(dir_plugin.upload(fx.self, &spec, ret, &fx.err), -EINVAL);
        (void) close(fd);
        assert_int_equal(sh("qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw %s 1M", file_at("linked")), 0);
        fd = open(file_at("linked"), O_RDONLY);
        spec.content = STORAGED_CONTENT_IMPORT;
        spec.fd = fd;
        spec.bytes = (uint64_t) lseek(fd, 0, SEEK_END);
        assert_int_equal(dir_plugin.upload(fx.self, &spec, ret, &fx.err), -EINVAL);
        (void) close(fd);
        assert_true(is_clean());
        assert_false(is_there("import/disk.qcow2"));
}

static void full_storage_leaves_nothing(void **state)
{
        char ret[STORAGED_VOLNAME_MAX];

        (void) state;
        fixture_stop();
        if (mount("tmpfs", fx.path, "tmpfs", 0, "size=4m") < 0) {
                fixture_start();
                skip();
        }
        fx.is_mounted = true;
        fixture_start();
        must(fixture_activate());
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        ((Dir *) fx.self)->store.preallocation = PREALLOCATION_FALLOC;
        assert_int_equal(try_alloc(100, STORAGED_FORMAT_RAW, 64 * MIB, NULL, ret), -ENOSPC);
        assert_non_null(strstr(fx.err.text, "bytes are free"));
        assert_int_equal(try_alloc(100, STORAGED_FORMAT_QCOW2, 64 * MIB, NULL, ret), -ENOSPC);
        ((Dir *) fx.self)->store.preallocation = PREALLOCATION_FULL;
        assert_int_equal(try_alloc(101, STORAGED_FORMAT_RAW, 64 * MIB, NULL, ret), -ENOSPC);
        assert_int_equal(list_all().n, 1);
        assert_true(is_clean());
}

static void status_is_that_of_the_file_system(void **state)
{
        struct storaged_status s = { .size = sizeof(s) };

        (void) state;
        must(dir_plugin.status(fx.self, &s, &fx.err));
        assert_true(s.is_active && s.total_bytes > 0 && s.used_bytes <= s.total_bytes &&
                    s.avail_bytes <= s.total_bytes);
}

static int activate_with(const char *key, const char *value, const char *key2, const char *value2)
{
        struct storaged_pair extra[] = { { key, value }, { key2, value2 } };
        int r;

        fixture_stop();
        fx.extra = extra;
        fx.n_extra = key2 ? 2 : 1;
        fixture_start();
        r = fixture_activate();
        fx.n_extra = 0;
        return r;
}

static void activation_checks_the_directory(void **state)
{
        char other[128];

        (void) state;
        assert_true(is_there("images") && is_there("template/cache") && is_there("dump") && is_there("private"));
        assert_int_equal(activate_with("is_mountpoint", "yes", NULL, NULL), -ENODEV);
        assert_int_equal(activate_with("is_mountpoint", "/proc", NULL, NULL), 0);
        assert_int_equal(activate_with("is_mountpoint", fx.dir, NULL, NULL), -ENODEV);
        assert_int_equal(activate_with("content-dirs", "iso=one,vztmpl=one", NULL, NULL), -EINVAL);
        assert_int_equal(activate_with("content-dirs", "iso=my/isos", NULL, NULL), 0);
        assert_true(is_there("my/isos"));
        assert_int_equal(symlink("dump", file_at("linked")), 0);
        assert_int_not_equal(activate_with("content-dirs", "iso=linked", NULL, NULL), 0);
        (void) snprintf(other, sizeof(other), "%s/nothere", fx.dir);
        (void) snprintf(fx.path, sizeof(fx.path), "%s", other);
        assert_int_equal(activate_with("create-base-path", "0", NULL, NULL), -ENOENT);
        assert_int_equal(activate_with("create-subdirs", "0", "content", "images"), 0);
        assert_false(is_there("images"));
        put_file("file", "x", 1);
        (void) snprintf(fx.path, sizeof(fx.path), "%s/file", other);
        assert_int_equal(activate_with("shared", "0", NULL, NULL), -ENOTDIR);
        assert_true(strlen(fx.err.text) > 0);
}

static int check(const char *key, const char *value)
{
        struct storaged_pair pairs[] = { { "path", "/srv/x" }, { key, value } };
        struct storaged_config config = { .size = sizeof(config), .storage = "local", .n_pairs = 2, .pairs = pairs };

        fx.err = (struct storaged_error) STORAGED_ERROR_INIT;
        return dir_plugin.check_config(&fx.host.host, &config, &fx.err);
}

static void check_config_names_the_parameter(void **state)
{
        static const struct {
                const char *key, *value;
        } bad[] = {
                { "content-dirs", "iso=../x" }, { "content-dirs", "iso=/abs" },   { "content-dirs", "nonsense=x" },
                { "content-dirs", "iso" },      { "content-dirs", "iso=a/../b" }, { "content-dirs", "iso=a//b" },
                { "content-dirs", "iso=" },     { "preallocation", "much" },      { "is_mountpoint", "maybe" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(check(bad[i].key, bad[i].value), -EINVAL);
                assert_string_equal(fx.err.param, bad[i].key);
        }
        must(check("content-dirs", "iso=a/b,images=c"));
        must(check("is_mountpoint", "yes"));
        must(check("preallocation", "off"));
}

static int take_finding(void *userdata, const struct storaged_finding *f)
{
        char *codes = userdata;
        size_t n = strlen(codes);

        assert_non_null(f->summary);
        (void) snprintf(codes + n, 256 - n, "%s ", f->code);
        return 0;
}

static const char *findings(void)
{
        static char codes[256];

        codes[0] = '\0';
        must(dir_plugin.health(fx.self, take_finding, codes, &fx.err));
        return codes;
}

static void health_finds_and_repair_repairs(void **state)
{
        char base[STORAGED_VOLNAME_MAX], clone[STORAGED_VOLNAME_MAX], codes[256] = "";

        (void) state;
        assert_string_equal(findings(), "");
        must_alloc(100, STORAGED_FORMAT_QCOW2, MIB, NULL);
        put_file("images/100/.storaged-node-a~1-1-0-x.raw", "x", 1);
        assert_string_equal(findings(), "STALE_TEMPORARY ");
        must(dir_plugin.repair(fx.self, "STALE_TEMPORARY", true, take_finding, codes, &fx.err));
        assert_string_equal(codes, "STALE_TEMPORARY ");
        assert_string_equal(findings(), "STALE_TEMPORARY ");
        must(dir_plugin.repair(fx.self, "STALE_TEMPORARY", false, take_finding, codes, &fx.err));
        assert_string_equal(findings(), "");
        assert_int_equal(dir_plugin.repair(fx.self, "BASE_MISSING", false, take_finding, codes, &fx.err), -EOPNOTSUPP);
        put_file("images/100/bad.qcow2", "x", 1);
        assert_string_equal(findings(), "IMAGE_HEADER_INVALID ");
        assert_int_equal(unlink(file_at("images/100/bad.qcow2")), 0);
        must(dir_plugin.template(fx.self, vol("100/vm-100-disk-0.qcow2"), base, &fx.err));
        must(dir_plugin.clone(fx.self, vol(base), NULL, 101, clone, &fx.err));
        assert_string_equal(findings(), "");
        assert_int_equal(sh("chattr -i %s 2>/dev/null; rm -f %s", file_at("images/100/base-100-disk-0.qcow2"),
                            file_at("images/100/base-100-disk-0.qcow2")),
                         0);
        assert_string_equal(findings(), "BASE_MISSING ");
}

static void activate_volume_looks_for_it(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        must(dir_plugin.activate_volume(fx.self, vol("100/vm-100-disk-0.raw"), NULL, STORAGED_ACTIVATION_EXCLUSIVE,
                                        &fx.err));
        must(dir_plugin.deactivate_volume(fx.self, vol("100/vm-100-disk-0.raw"), NULL, &fx.err));
        assert_int_equal(
                dir_plugin.activate_volume(fx.self, vol("100/none.raw"), NULL, STORAGED_ACTIVATION_EXCLUSIVE, &fx.err),
                -ENOENT);
}

static void path_is_computed(void **state)
{
        char ret[512], wanted[512];

        (void) state;
        must(dir_plugin.path(fx.self, vol("100/none.raw"), NULL, ret, sizeof(ret), &fx.err));
        (void) snprintf(wanted, sizeof(wanted), "%s/images/100/none.raw", fx.path);
        assert_string_equal(ret, wanted);
        must(dir_plugin.path(fx.self, vol("iso/x.iso"), NULL, ret, sizeof(ret), &fx.err));
        assert_string_equal(ret + strlen(fx.path), "/template/iso/x.iso");
        assert_int_equal(dir_plugin.path(fx.self, vol("import/x.ova/d.vmdk"), NULL, ret, sizeof(ret), &fx.err),
                         -EINVAL);
        assert_int_equal(dir_plugin.path(fx.self, vol("iso/x.iso"), NULL, ret, 8, &fx.err), -ENAMETOOLONG);
}

static void deactivated_storage_comes_back(void **state)
{
        (void) state;
        must_alloc(100, STORAGED_FORMAT_RAW, MIB, NULL);
        must(dir_plugin.deactivate_storage(fx.self, &fx.err));
        assert_int_equal(list_all().n, 1);
        must(dir_plugin.probe(fx.self, &fx.err));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(alloc_raw_is_sparse_and_has_its_size),
                T(alloc_counts_over_all_extensions),
                T(alloc_refuses_bad_names_and_sizes),
                T(alloc_of_a_taken_name_fails_and_keeps_the_old),
                cmocka_unit_test_setup_teardown(alloc_with_falloc_takes_its_blocks, setup_falloc, fixture_teardown),
                cmocka_unit_test_setup_teardown(alloc_with_falloc_takes_its_blocks, setup_full, fixture_teardown),
                T(list_shows_formats_sizes_and_owners),
                T(list_again_reads_no_header),
                T(list_passes_over_what_is_no_volume),
                T(list_of_thousands_of_guests),
                T(hostile_headers_are_invalid_rows),
                T(backups_have_time_notes_and_protection),
                T(free_is_honest),
                T(free_refuses_an_image_qemu_has_open),
                T(resize_grows_only),
                T(rename_moves_and_never_replaces),
                T(symlinks_lead_nowhere),
                T(upload_replaces_and_checks),
                T(full_storage_leaves_nothing),
                T(status_is_that_of_the_file_system),
                T(activation_checks_the_directory),
                T(check_config_names_the_parameter),
                T(health_finds_and_repair_repairs),
                T(activate_volume_looks_for_it),
                T(path_is_computed),
                T(deactivated_storage_comes_back),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
