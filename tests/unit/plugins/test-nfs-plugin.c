/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nfs plugin as a host sees it: its table of operations, called in the order a worker calls them, on a real server.
 */
#include "tests/unit/plugins/nfs-lab.h"

#include "base/proc.h"
#include "nfs/nfs-exports.c"
#include "nfs/nfs-link.c"
#include "nfs/nfs-mount.c"
#include "nfs/nfs-portmap.c"
#include "nfs/nfs-server.c"
#include "nfs/nfs-tree.c"
#include "nfs/nfs-wait.c"
#include "nfs/nfs.c"
#include "wire/volname.h"

/* --- a host */

static void host_log(void *handle, int level, const char *fmt, ...)
{
        (void) handle;
        (void) level;
        (void) fmt;
}

static int host_progress(void *handle, uint64_t done, uint64_t total)
{
        (void) handle;
        (void) done;
        (void) total;
        return 0;
}

static int host_proc_run(void *handle, const struct storaged_proc *proc, struct storaged_proc_result *ret,
                         struct storaged_error *err)
{
        ProcSpec spec = PROC_SPEC_INIT;
        ProcResult result = PROC_RESULT_INIT;
        int r;

        (void) handle;
        spec.argv = proc->argv;
        spec.deadline_ms = proc->deadline_ms;
        r = proc_run(&spec, &result, err);
        ret->status = result.status;
        ret->timed_out = result.timed_out;
        ret->out = TAKE(result.out);
        ret->out_len = result.out_len;
        proc_result_deinit(&result);
        return r;
}

static int host_fault(void *handle, const char *name)
{
        (void) handle;
        (void) name;
        return 0;
}

static int host_parse_volname(void *handle, const char *volname, struct storaged_volname *ret,
                              struct storaged_error *err)
{
        (void) handle;
        return volname_parse(STORAGED_NAMING_FILE, volname, ret, err);
}

static int host_next_disk_name(void *handle, uint32_t vmid, const char *prefix, const char *const *used, size_t n_used,
                               char *ret, size_t ret_size, struct storaged_error *err)
{
        (void) handle;
        return volname_next_disk(vmid, prefix, "", used, n_used, ret, ret_size, err);
}

static const struct storaged_host host = {
        .size = sizeof(host),
        .node = "n1",
        .root = "",
        .run_dir = "/run",
        .log = host_log,
        .progress = host_progress,
        .proc_run = host_proc_run,
        .fault = host_fault,
        .parse_volname = host_parse_volname,
        .next_disk_name = host_next_disk_name,
};

/* --- a storage */

typedef struct Storage {
        struct storaged_pair pairs[8];
        struct storaged_config config;
        char options[128], path[PATH_MAX + 64];
        void *self;
} Storage;

static void configure(Storage *s, const char *server, const char *export_path, const char *more)
{
        *s = (Storage){ 0 };
        (void) snprintf(s->options, sizeof(s->options), "port=%d,mountport=%d%s%s", lab_port, lab_mount_port,
                        more[0] ? "," : "", more);
        (void) snprintf(s->path, sizeof(s->path), "%s", in_dir("mnt/nas"));
        s->pairs[0] = (struct storaged_pair){ "server", server };
        s->pairs[1] = (struct storaged_pair){ "export", export_path };
        s->pairs[2] = (struct storaged_pair){ "path", s->path };
        s->pairs[3] = (struct storaged_pair){ "options", s->options };
        s->pairs[4] = (struct storaged_pair){ "content", "images,iso,backup" };
        s->config = (struct storaged_config){
                .size = sizeof(s->config), .storage = "nas", .n_pairs = 5, .pairs = s->pairs
        };
}

static void open_storage(Storage *s, const char *server, const char *export_path, const char *more)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        configure(s, server, export_path, more);
        if (nfs_plugin.start(&host, &s->config, &s->self, &err) != 0)
                fail_msg("start: %s", err.text);
}

static void close_storage(Storage *s)
{
        nfs_plugin.stop(s->self);
}

static void parse(const char *volname, struct storaged_volname *ret)
{
        assert_int_equal(volname_parse(STORAGED_NAMING_FILE, volname, ret, NULL), 0);
}

/* --- configuration */

static void table_is_complete(void **state)
{
        (void) state;
        assert_ptr_equal(storaged_plugin_entry(), &nfs_plugin);
        assert_int_equal(nfs_plugin.abi, STORAGED_PLUGIN_ABI);
        assert_string_equal(nfs_plugin.name, "nfs");
        assert_true(nfs_plugin.flags & STORAGED_PLUGIN_PROBED);
        assert_int_equal(nfs_plugin.sharing, STORAGED_SHARED_ALWAYS);
        assert_int_equal(nfs_plugin.formats & STORAGED_FORMAT_SUBVOL, 0);
}

static void configuration_is_judged(void **state)
{
        static const struct {
                const char *server, *export_path, *more, *param;
        } bad[] = {
                { "a b", "/x", "", "server" },
                { "nas", "x", "", "export" },
                { "nas", "", "", "export" },
                { "nas", "/x", "vers=2", "options" },
        };
        Storage s;

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;

                configure(&s, bad[i].server, bad[i].export_path, bad[i].more);
                assert_int_equal(nfs_plugin.check_config(&host, &s.config, &err), -EINVAL);
                assert_string_equal(err.param, bad[i].param);
        }
        configure(&s, "2001:db8::1", "/x", "vers=4.2,soft");
        assert_int_equal(nfs_plugin.check_config(&host, &s.config, NULL), 0);
}

/* --- scan */

static int collect_row(void *userdata, const struct storaged_pair *pairs, size_t n)
{
        assert_int_equal(n, 2);
        assert_string_equal(pairs[0].key, "path");
        assert_string_equal(pairs[1].key, "options");
        strcat(strcat(strcat(strcat(userdata, pairs[0].value), "="), pairs[1].value), ";");
        return 0;
}

static int scan(const char *server, int nfs_port, int mountport, char *got, struct storaged_error *err)
{
        char a[16], b[16];
        const struct storaged_pair pairs[] = { { "server", server }, { "port", a }, { "mountport", b } };
        const struct storaged_config args = { .size = sizeof(args), .n_pairs = nfs_port ? 3 : 1, .pairs = pairs };

        (void) snprintf(a, sizeof(a), "%d", nfs_port);
        (void) snprintf(b, sizeof(b), "%d", mountport);
        got[0] = '\0';
        return nfs_plugin.scan(&host, &args, collect_row, got, err);
}

static void scan_lists_exports(void **state)
{
        char got[256];

        (void) state;
        need_server();
        assert_int_equal(scan("localhost", 0, 0, got, NULL), 0); /* by name and portmapper */
        assert_string_equal(got, "/x=*;/y=*;");
        assert_int_equal(scan("127.0.0.1", lab_port, lab_mount_port, got, NULL), 0);
        assert_string_equal(got, "/x=*;/y=*;");
}

static void scan_falls_back_to_the_v4_root(void **state)
{
        char got[256];

        (void) state;
        need_server();
        assert_int_equal(scan("127.0.0.1", lab_port, 1, got, NULL), 0);
        assert_non_null(strstr(got, "/x=;"));
        assert_non_null(strstr(got, "/y=;"));
}

static void scan_tells_what_is_wrong(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char got[256];
        uint64_t t0;

        (void) state;
        need_server();
        assert_int_equal(scan("127.0.0.1", 1, 1, got, &err), -ECONNREFUSED);
        assert_int_equal(scan("no-such-host.invalid", 0, 0, got, &err), -ENXIO);
        assert_string_equal(err.param, "server");
        assert_int_equal(scan("127.0.0.1", -5, 0, got, &err), -EINVAL);
        server_does("pause");
        t0 = wait_now_ms();
        assert_int_equal(scan("127.0.0.1", lab_port, lab_mount_port, got, &err), -ETIMEDOUT);
        assert_in_range(wait_now_ms() - t0, 1000, 3000);
        server_does("resume");
}

/* --- without a mount */

static void status_without_a_mount_says_so(void **state)
{
        (void) state;
        need_server();
        for (int v = 3; v <= 4; v++) {
                struct storaged_status st = { .size = sizeof(st) };
                Storage s;

                open_storage(&s, "127.0.0.1", "/x", v == 3 ? "vers=3" : "vers=4.2");
                assert_int_equal(nfs_plugin.probe(s.self, NULL), 0);
                assert_int_equal(nfs_plugin.status(s.self, &st, NULL), 0);
                assert_false(st.is_active);
                assert_true(st.total_bytes > 0);
                assert_non_null(strstr(st.reason, "not mounted"));
                close_storage(&s);
        }
}

typedef struct Rows {
        unsigned n;
        char names[1024];
        uint64_t bytes;
} Rows;

static int collect_volume(void *userdata, const struct storaged_volume *v)
{
        Rows *rows = userdata;

        rows->n++;
        rows->bytes += v->bytes;
        strcat(strcat(rows->names, v->volname), ";");
        return 0;
}

static void fill_export(void)
{
        make_directory("images");
        make_directory("images/100");
        make_directory("template");
        make_directory("template/iso");
        make_directory("dump");
        make_file("images/100/vm-100-disk-0.raw", 1u << 20, 1);
        make_file("template/iso/debian.iso", 4096, 1);
        make_file("dump/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst", 100, 1);
}

static void volumes_are_listed_without_a_mount(void **state)
{
        const struct storaged_list_filter all = { .size = sizeof(all), .contents = STORAGED_CONTENT_ANY };
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        need_server();
        fill_export();
        for (int v = 3; v <= 4; v++) {
                Rows rows = { 0 };
                struct storaged_volname vol;
                Storage s;

                open_storage(&s, "localhost", "/x", v == 3 ? "vers=3" : "vers=4");
                if (nfs_plugin.list(s.self, &all, collect_volume, &rows, &err) != 0)
                        fail_msg("%s", err.text);
                assert_int_equal(rows.n, 3);
                assert_non_null(strstr(rows.names, "100/vm-100-disk-0.raw;"));
                assert_non_null(strstr(rows.names, "iso/debian.iso;"));
                rows = (Rows){ 0 };
                parse("100/vm-100-disk-0.raw", &vol);
                assert_int_equal(nfs_plugin.stat(s.self, &vol, collect_volume, &rows, &err), 0);
                assert_int_equal(rows.bytes, 1u << 20);
                parse("100/vm-100-disk-7.raw", &vol);
                assert_int_equal(nfs_plugin.stat(s.self, &vol, collect_volume, &rows, &err), -ENOENT);
                close_storage(&s);
        }
}

static void changes_without_a_mount_are_refused(void **state)
{
        const struct storaged_alloc_spec spec = {
                .size = sizeof(spec), .vmid = 100, .format = STORAGED_FORMAT_RAW, .bytes = 1u << 20
        };
        struct storaged_error err = STORAGED_ERROR_INIT;
        char volname[STORAGED_VOLNAME_MAX] = "";
        struct storaged_volname vol;
        struct stat st;
        Storage s;

        (void) state;
        need_server();
        fill_export();
        open_storage(&s, "127.0.0.1", "/x", "");
        assert_int_equal(nfs_plugin.alloc(s.self, &spec, volname, &err), -ENOTCONN);
        assert_non_null(strstr(err.text, "not mounted"));
        assert_string_equal(volname, "");
        parse("100/vm-100-disk-0.raw", &vol);
        assert_int_equal(nfs_plugin.free(s.self, &vol, &err), -ENOTCONN);
        assert_int_equal(nfs_plugin.resize(s.self, &vol, 2u << 20, &err), -ENOTCONN);
        assert_int_equal(nfs_plugin.rename(s.self, &vol, 101, NULL, volname, &err), -ENOTCONN);
        assert_int_equal(nfs_plugin.template(s.self, &vol, volname, &err), -ENOTCONN);
        assert_int_equal(stat(exported("images/100/vm-100-disk-0.raw"), &st), 0);
        assert_int_equal(st.st_size, 1u << 20);
        assert_int_equal(stat(s.path, &st), -1); /* nothing was made for it */
        close_storage(&s);
}

static bool kernel_can_mount(void)
{
        char modules[128];

        mount_modules_dir(modules, sizeof(modules));
        return mount_check_client("/proc/filesystems", modules, 0, NULL) == 0;
}

static void activation_without_a_client_leaves_nothing(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct stat st;
        Storage s;

        (void) state;
        need_server();
        if (kernel_can_mount()) {
                print_message("skipped: this kernel has an NFS client\n");
                skip();
        }
        open_storage(&s, "127.0.0.1", "/x", "");
        assert_int_equal(nfs_plugin.activate_storage(s.self, &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.text, "no NFS client"));
        assert_non_null(strstr(err.text, "'nas' was not mounted"));
        assert_int_equal(stat(in_dir("mnt"), &st), -1);
        assert_int_equal(nfs_plugin.deactivate_storage(s.self, &err), 0);
        close_storage(&s);
}

static void activation_names_an_absent_export(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Storage s;

        (void) state;
        need_server();
        open_storage(&s, "127.0.0.1", "/absent", "");
        assert_int_equal(nfs_plugin.activate_storage(s.self, &err), -ENOENT);
        assert_string_equal(err.param, "export");
        assert_non_null(strstr(err.text, "'nas'"));
        close_storage(&s);
}

/* --- something else at the path */

static void another_mount_at_the_path_is_refused(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct storaged_status st = { .size = sizeof(st) };
        AUTO(freep) char *line = NULL;
        Storage s;

        (void) state;
        need_server();
        open_storage(&s, "127.0.0.1", "/x", "");
        assert_true(asprintf(&line, "mkdir -p %s && mount -t tmpfs somethingelse %s", s.path, s.path) > 0);
        assert_int_equal(system(line), 0);
        assert_int_equal(nfs_plugin.activate_storage(s.self, &err), -EBUSY);
        assert_non_null(strstr(err.text, "somethingelse"));
        assert_int_equal(nfs_plugin.deactivate_storage(s.self, &err), -EBUSY); /* not ours to unmount */
        assert_int_equal(nfs_plugin.status(s.self, &st, &err), 0);
        assert_false(st.is_active);
        assert_non_null(strstr(st.reason, "somethingelse"));
        assert_int_equal(mount_end(s.path, &err), 0); /* libmount's unmounting, on what there is */
        assert_int_equal(nfs_plugin.deactivate_storage(s.self, &err), 0);
        close_storage(&s);
        free(TAKE(line));
        assert_true(asprintf(&line, "rmdir -p %s 2>/dev/null || true", s.path) > 0);
        assert_int_equal(system(line), 0);
}

/* --- a server that fails */

static void dead_server_is_told_and_comes_back(void **state)
{
        const struct storaged_list_filter all = { .size = sizeof(all), .contents = STORAGED_CONTENT_ANY };

        (void) state;
        need_server();
        fill_export();
        for (int v = 3; v <= 4; v++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                struct storaged_status st = { .size = sizeof(st) };
                Rows rows = { 0 };
                Storage s;
                uint64_t t0;

                open_storage(&s, "127.0.0.1", "/x", v == 3 ? "vers=3" : "vers=4");
                assert_int_equal(nfs_plugin.probe(s.self, NULL), 0);
                server_does("pause");
                t0 = wait_now_ms();
                assert_int_equal(nfs_plugin.probe(s.self, &err), -ETIMEDOUT);
                assert_in_range(wait_now_ms() - t0, 1000, 3000);
                assert_non_null(strstr(err.text, "127.0.0.1"));
                assert_non_null(strstr(err.text, "/x"));
                t0 = wait_now_ms();
                assert_int_equal(nfs_plugin.list(s.self, &all, collect_volume, &rows, &err), -ETIMEDOUT);
                assert_in_range(wait_now_ms() - t0, 1000, 3000);
                assert_int_equal(nfs_plugin.status(s.self, &st, &err), -ETIMEDOUT);
                server_does("resume");
                assert_int_equal(nfs_plugin.probe(s.self, NULL), 0);
                server_does("kill");
                t0 = wait_now_ms();
                assert_int_equal(nfs_plugin.probe(s.self, &err), -ECONNREFUSED);
                assert_true(wait_now_ms() - t0 < 2000);
                assert_int_equal(nfs_plugin.activate_storage(s.self, &err), -ECONNREFUSED);
                server_does("start");
                rows = (Rows){ 0 };
                assert_int_equal(nfs_plugin.list(s.self, &all, collect_volume, &rows, &err), 0);
                assert_int_equal(rows.n, 3);
                close_storage(&s);
        }
}

static const struct CMUnitTest pure_tests[] = {
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(configuration_is_judged),
};

static const struct CMUnitTest server_tests[] = {
        cmocka_unit_test(scan_lists_exports),
        cmocka_unit_test(scan_falls_back_to_the_v4_root),
        cmocka_unit_test(scan_tells_what_is_wrong),
        cmocka_unit_test(status_without_a_mount_says_so),
        cmocka_unit_test(volumes_are_listed_without_a_mount),
        cmocka_unit_test(changes_without_a_mount_are_refused),
        cmocka_unit_test(activation_without_a_client_leaves_nothing),
        cmocka_unit_test(activation_names_an_absent_export),
        cmocka_unit_test(another_mount_at_the_path_is_refused),
        cmocka_unit_test(dead_server_is_told_and_comes_back),
};

int main(void)
{
        int n_failed;

        lab_enter();
        n_failed = cmocka_run_group_tests(pure_tests, NULL, NULL);
        n_failed += cmocka_run_group_tests(server_tests, start_server, stop_server);
        lab_leave();
        return n_failed != 0;
}
