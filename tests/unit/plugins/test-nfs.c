/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the nfs plugin: names, portmapper, exports, mounts, connection and tree, each against a real server. */
#include "tests/unit/plugins/nfs-lab.h"

#include <signal.h>

#include "nfs/nfs-exports.c"
#include "nfs/nfs-link.c"
#include "nfs/nfs-mount.c"
#include "nfs/nfs-portmap.c"
#include "nfs/nfs-server.c"
#include "nfs/nfs-tree.c"
#include "nfs/nfs-wait.c"

/* --- a host whose resolver says what the test wants */

static const char *resolver_says = "";
static int resolver_result;

static int fake_proc_run(void *handle, const struct storaged_proc *proc, struct storaged_proc_result *ret,
                         struct storaged_error *err)
{
        (void) handle;
        assert_string_equal(proc->argv[0], "getent");
        assert_true(proc->deadline_ms > 0);
        if (resolver_result < 0)
                return error_set(err, resolver_result, "as the test says");
        ret->out = strdup(resolver_says);
        ret->out_len = strlen(resolver_says);
        ret->status = resolver_says[0] ? 0 : 2;
        return 0;
}

static const struct storaged_host host = { .size = sizeof(host), .proc_run = fake_proc_run };

/* --- names and options */

static void server_reads_version_and_ports(void **state)
{
        AUTO(server_deinit) Server s = { 0 };

        (void) state;
        assert_int_equal(
                server_init(&s, &host, "nas.example", "hard,nfsvers=4.1,port=12049,proto=tcp6,mountport=20", NULL), 0);
        assert_int_equal(s.version, 4);
        assert_int_equal(s.port, 12049);
        assert_int_equal(s.mount_port, 20);
        assert_int_equal(s.family, AF_INET6);
}

static void server_without_options_leaves_all_open(void **state)
{
        AUTO(server_deinit) Server s = { 0 };

        (void) state;
        assert_int_equal(server_init(&s, &host, "10.0.0.1", NULL, NULL), 0);
        assert_int_equal(s.version, 0);
        assert_int_equal(s.port, 0);
        assert_int_equal(s.mount_port, 0);
}

static void server_refuses_bad_options(void **state)
{
        static const char *const bad[] = { "vers=2", "vers=",      "vers=4.3",     "v2",
                                           "port=x", "port=65536", "mountport=-1", "port=" };

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                AUTO(server_deinit) Server s = { 0 };
                struct storaged_error err = STORAGED_ERROR_INIT;

                assert_int_equal(server_init(&s, &host, "nas", bad[i], &err), -EINVAL);
                assert_string_equal(err.param, "options");
        }
}

static void server_refuses_bad_names(void **state)
{
        static const char *const bad[] = { "",        "a b",     "-x",  "a/b",    "[nas]",
                                           "fe80::1", "1::2::3", "a:b", "nas;rm", "a\nb" };

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                AUTO(server_deinit) Server s = { 0 };
                struct storaged_error err = STORAGED_ERROR_INIT;

                assert_int_equal(server_init(&s, &host, bad[i], "", &err), -EINVAL);
                assert_string_equal(err.param, "server");
        }
}

static void source_has_brackets_around_ipv6_only(void **state)
{
        static const char *const cases[][2] = {
                { "2001:db8::1", "[2001:db8::1]:/x" },
                { "[2001:db8::1]", "[2001:db8::1]:/x" },
                { "nas", "nas:/x" },
                { "10.1.2.3", "10.1.2.3:/x" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                AUTO(server_deinit) Server s = { 0 };
                AUTO(freep) char *source = NULL;

                assert_int_equal(server_init(&s, &host, cases[i][0], "", NULL), 0);
                source = server_source(&s, "/x");
                assert_string_equal(source, cases[i][1]);
        }
}

static void names_are_resolved_by_the_host(void **state)
{
        AUTO(server_deinit) Server s = { 0 };

        (void) state;
        resolver_result = 0;
        resolver_says = "192.0.2.7      STREAM nas.example\n192.0.2.7      DGRAM  \n2001:db8::7     STREAM \n";
        assert_int_equal(server_init(&s, &host, "nas", "", NULL), 0);
        assert_int_equal(server_resolve(&s, wait_now_ms() + 1000, NULL), 0);
        assert_int_equal(s.n_addrs, 2);
        assert_string_equal(s.addrs[0].text, "192.0.2.7");
        assert_string_equal(s.addrs[1].text, "2001:db8::7");
        resolver_says = "";
        assert_int_equal(server_resolve(&s, wait_now_ms() + 1000, NULL), 0); /* still believed */
        server_forget(&s);
        assert_int_equal(server_resolve(&s, wait_now_ms() + 1000, NULL), -ENXIO);
}

static void proto_chooses_the_family(void **state)
{
        AUTO(server_deinit) Server s = { 0 };

        (void) state;
        resolver_result = 0;
        resolver_says = "192.0.2.7 STREAM nas\n2001:db8::7 STREAM \n";
        assert_int_equal(server_init(&s, &host, "nas", "proto=tcp6", NULL), 0);
        assert_int_equal(server_resolve(&s, wait_now_ms() + 1000, NULL), 0);
        assert_int_equal(s.n_addrs, 1);
        assert_string_equal(s.addrs[0].text, "2001:db8::7");
}

static void dead_name_service_is_told(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        resolver_result = -ETIMEDOUT;
        assert_int_equal(server_init(&s, &host, "nas", "", NULL), 0);
        assert_int_equal(server_resolve(&s, wait_now_ms() + 1000, &err), -ETIMEDOUT);
        assert_non_null(strstr(err.text, "name service"));
        resolver_result = 0;
}

static void universal_addresses_become_ports(void **state)
{
        (void) state;
        assert_int_equal(port_of_universal_address("::1.8.1"), 2049);
        assert_int_equal(port_of_universal_address("127.0.0.1.0.111"), 111);
        assert_int_equal(port_of_universal_address(""), 0);
        assert_int_equal(port_of_universal_address(NULL), 0);
        assert_int_equal(port_of_universal_address("::1"), 0);
        assert_int_equal(port_of_universal_address("::1.999.1"), 0);
        assert_int_equal(port_of_universal_address("..."), 0);
}

static int all_directories(void *userdata, const char *abs, TreeAttr *ret)
{
        (void) userdata;
        (void) abs;
        *ret = (TreeAttr){ .type = TREE_DIR };
        return 0;
}

static int absolute(const char *path, char *ret)
{
        RemoteWay way = { .lstat = all_directories };

        return remote_way(&way, path, false, ret);
}

static void tree_paths_stay_below_the_root(void **state)
{
        char abs[TREE_PATH_MAX], longest[TREE_PATH_MAX + 8], name[TREE_NAME_MAX + 1];

        (void) state;
        assert_int_equal(absolute("", abs), 0);
        assert_string_equal(abs, "/");
        assert_int_equal(absolute("a/b", abs), 0);
        assert_string_equal(abs, "/a/b");
        assert_int_equal(absolute("..", abs), -EXDEV);
        assert_int_equal(absolute("a/../b", abs), -EXDEV);
        assert_int_equal(absolute("/a", abs), -EINVAL);
        assert_int_equal(absolute("a//b", abs), -EINVAL);
        assert_int_equal(absolute("a/", abs), -EINVAL);
        assert_int_equal(absolute("./a", abs), -EINVAL);
        memset(longest, 'a', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(absolute(longest, abs), -ENAMETOOLONG);
        memset(name, 'a', TREE_NAME_MAX);
        name[TREE_NAME_MAX] = '\0';
        assert_int_equal(absolute(name, abs), -ENAMETOOLONG);
}

/* --- mounts, from text */

static const char mounts[] =
        "22 1 0:5 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
        "40 22 0:41 / /mnt/pve/nas rw,relatime shared:9 - nfs nas.example:/srv/x "
        "rw,vers=3,addr=192.0.2.7,mountport=20048\n"
        "41 22 0:42 / /mnt/pve/six rw,relatime shared:9 - nfs4 [2001:db8::1]:/x/ rw,vers=4.2,addr=2001:db8::1\n"
        "42 22 0:43 / /mnt/pve/other rw,relatime - ext4 /dev/vdb rw\n"
        "43 22 0:44 / /mnt/pve/a\\040b rw,relatime - nfs nas.example:/a\\040b rw,addr=192.0.2.7\n"
        "44 42 0:45 / /mnt/pve/other rw,relatime - nfs nas.example:/over rw,addr=192.0.2.7\n";

static void mounts_are_found_in_the_table(void **state)
{
        const char *table = file_with("mountinfo", mounts);
        AUTO(mount_info_deinit) MountInfo nas = { 0 };
        AUTO(mount_info_deinit) MountInfo top = { 0 };
        AUTO(mount_info_deinit) MountInfo blank = { 0 };
        MountInfo none = { 0 };

        (void) state;
        assert_int_equal(mount_find(table, "/mnt/pve/nas", &nas, NULL), 1);
        assert_int_equal(nas.id, 40);
        assert_string_equal(nas.type, "nfs");
        assert_string_equal(nas.source, "nas.example:/srv/x");
        assert_string_equal(nas.addr, "192.0.2.7");
        assert_int_equal(mount_find(table, "/mnt/pve/other", &top, NULL), 1);
        assert_int_equal(top.id, 44); /* the one on top is seen */
        assert_int_equal(mount_find(table, "/mnt/pve/a b", &blank, NULL), 1);
        assert_string_equal(blank.source, "nas.example:/a b");
        assert_int_equal(mount_find(table, "/mnt/pve/na", &none, NULL), 0);
        assert_int_equal(mount_find(table, "/mnt/pve/nas/images", &none, NULL), 0);
        assert_true(mount_find(in_dir("absent"), "/mnt/pve/nas", &none, NULL) < 0);
}

static void mount_of_same_export_is_recognised(void **state)
{
        AUTO(server_deinit) Server named = { 0 };
        AUTO(server_deinit) Server address = { 0 };
        AUTO(server_deinit) Server six = { 0 };
        MountInfo m = { .type = (char *) "nfs", .source = (char *) "nas.example:/srv/x", .addr = "192.0.2.7" };
        MountInfo m6 = { .type = (char *) "nfs4", .source = (char *) "[2001:db8::1]:/x/", .addr = "2001:db8::1" };
        MountInfo other = { .type = (char *) "ext4", .source = (char *) "nas.example:/srv/x" };

        (void) state;
        assert_int_equal(server_init(&named, &host, "nas.example", "", NULL), 0);
        assert_int_equal(server_init(&address, &host, "192.0.2.7", "", NULL), 0);
        assert_int_equal(server_init(&six, &host, "2001:db8::1", "", NULL), 0);
        assert_true(mount_is_of(&m, &named, "/srv/x"));
        assert_true(mount_is_of(&m, &named, "/srv/x/"));
        assert_false(mount_is_of(&m, &named, "/srv/y"));
        assert_false(mount_is_of(&m, &named, "/srv"));
        assert_false(mount_is_of(&m, &address, "/srv/x")); /* its addresses are not known yet */
        assert_int_equal(server_resolve(&address, wait_now_ms() + 1000, NULL), 0);
        assert_true(mount_is_of(&m, &address, "/srv/x"));
        assert_false(mount_is_of(&m, &address, "/srv/y"));
        assert_true(mount_is_of(&m6, &six, "/x"));
        assert_false(mount_is_of(&other, &named, "/srv/x"));
}

static void kernel_client_is_judged_by_version(void **state)
{
        const char *both, *three, *none, *modules;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        assert_int_equal(mkdir(in_dir("modules"), 0755), 0);
        both = file_with("both", "nodev\tproc\nnodev\tnfs\nnodev\tnfs4\n\text4\n");
        three = file_with("three", "nodev\tnfsd\nnodev\tnfs\n");
        none = file_with("none", "nodev\tnfsd\n\text4\n");
        modules = in_dir("modules");
        assert_int_equal(mount_check_client(both, modules, 0, NULL), 0);
        assert_int_equal(mount_check_client(both, modules, 3, NULL), 0);
        assert_int_equal(mount_check_client(both, modules, 4, NULL), 0);
        assert_int_equal(mount_check_client(three, modules, 0, NULL), 0);
        assert_int_equal(mount_check_client(three, modules, 4, NULL), -EOPNOTSUPP);
        assert_int_equal(mount_check_client(none, modules, 0, &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.text, "no NFS client"));
        assert_non_null(strstr(err.text, "CONFIG_NFS_FS"));
        (void) file_with("modules/modules.dep",
                         "kernel/fs/nfs/nfs.ko.xz: kernel/net/sunrpc.ko\nkernel/fs/nfs/nfsv4.ko:\n");
        assert_int_equal(mount_check_client(none, modules, 0, NULL), 0);
        assert_int_equal(mount_check_client(none, modules, 4, NULL), 0);
        assert_int_equal(mount_check_client(none, modules, 3, NULL), -EOPNOTSUPP);
}

static void failed_mount_leaves_no_directory(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char modules[128];
        struct stat st;

        (void) state;
        if (geteuid() != 0) {
                print_message("skipped: mounting needs root\n");
                skip();
        }
        mount_modules_dir(modules, sizeof(modules));
        assert_int_equal(mkdir(in_dir("there"), 0755), 0);
        assert_true(nfs_mount_make(in_dir("there/a/b"), "127.0.0.1:/nowhere", "port=1,vers=4", true, &err) < 0);
        assert_int_not_equal(err.code, 0);
        assert_non_null(strstr(err.text, "127.0.0.1:/nowhere"));
        assert_int_equal(stat(in_dir("there/a"), &st), -1);
        assert_int_equal(stat(in_dir("there"), &st), 0);
        assert_int_equal(nfs_mount_make(in_dir("there/a"), "127.0.0.1:/nowhere", "", false, &err), -ENOENT);
        assert_string_equal(err.param, "path");
        (void) file_with("plain", "x");
        assert_int_equal(nfs_mount_make(in_dir("plain"), "127.0.0.1:/nowhere", "", true, &err), -ENOTDIR);
        assert_int_equal(nfs_mount_make("/proc", "127.0.0.1:/nowhere", "", true, &err), -EEXIST);
}

/* --- with a real server */

/* A server object for the running server; `extra` options, ports are added unless `has_no_ports`. */
static void init_server(Server *s, const char *name, const char *extra, bool has_no_ports)
{
        char options[256];

        (void) snprintf(options, sizeof(options), "%s,port=%d,mountport=%d", extra, lab_port, lab_mount_port);
        assert_int_equal(server_init(s, &host, name, has_no_ports ? extra : options, NULL), 0);
}

static int collect_export(void *userdata, const char *path, const char *clients)
{
        strcat(userdata, path);
        strcat(userdata, "=");
        strcat(userdata, clients);
        strcat(userdata, ";");
        return 0;
}

static void exports_are_listed_by_name_and_address(void **state)
{
        static const char *const names[] = { "127.0.0.1", "::1", "[::1]", "nas" };

        (void) state;
        need_server();
        resolver_says = "127.0.0.1 STREAM nas\n";
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                for (int has_no_ports = 0; has_no_ports < 2; has_no_ports++) {
                        AUTO(server_deinit) Server s = { 0 };
                        struct storaged_error err = STORAGED_ERROR_INIT;
                        char got[256] = "";

                        init_server(&s, names[i], "", has_no_ports);
                        if (exports_list(&s, wait_now_ms() + WAIT_SILENCE_MS, collect_export, got, &err) != 0)
                                fail_msg("%s: %s", names[i], err.text);
                        assert_string_equal(got, "/x=*;/y=*;");
                }
}

static int stop_at_first(void *userdata, const char *path, const char *clients)
{
        (void) clients;
        assert_string_equal(path, "/x");
        ++*(int *) userdata;
        return 7;
}

static void export_listing_stops_when_asked(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        int n = 0;

        (void) state;
        need_server();
        init_server(&s, "127.0.0.1", "", false);
        assert_int_equal(exports_list(&s, wait_now_ms() + WAIT_SILENCE_MS, stop_at_first, &n, NULL), 7);
        assert_int_equal(n, 1);
}

static void unknown_program_is_an_answer(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        uint16_t found = 0;

        (void) state;
        need_server();
        init_server(&s, "127.0.0.1", "", true);
        assert_int_equal(portmap_lookup(&s, 400000, 1, wait_now_ms() + WAIT_SILENCE_MS, &found, NULL),
                         PORTMAP_E_ABSENT);
        assert_int_equal(portmap_lookup(&s, NFS_PROGRAM, NFS_V3, wait_now_ms() + WAIT_SILENCE_MS, &found, NULL), 0);
        assert_int_equal(found, lab_port);
}

static void silent_address_ends_at_the_deadline(void **state)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(a);
        AUTO(server_deinit) Server s = { 0 };
        struct storaged_error err = STORAGED_ERROR_INIT;
        const ServerAddr *got = NULL;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fillers[4];
        uint64_t t0;

        (void) state;
        /* A full accept queue drops what comes: like an address nobody has. */
        assert_int_equal(bind(listener, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *) &a, &len), 0);
        assert_int_equal(listen(listener, 0), 0);
        for (size_t i = 0; i < 4; i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) connect(fillers[i], (struct sockaddr *) &a, sizeof(a));
        }
        assert_int_equal(server_init(&s, &host, "127.0.0.1", "", NULL), 0);
        t0 = wait_now_ms();
        assert_int_equal(server_connect(&s, ntohs(a.sin_port), "NFS", t0 + 300, &got, &err), -ETIMEDOUT);
        assert_in_range(wait_now_ms() - t0, 250, 2000);
        assert_non_null(strstr(err.text, "127.0.0.1"));
        for (size_t i = 0; i < 4; i++)
                (void) close(fillers[i]);
        (void) close(listener);
}

static void closed_port_is_refused_at_once(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        struct storaged_error err = STORAGED_ERROR_INIT;
        const ServerAddr *got = NULL;

        (void) state;
        assert_int_equal(server_init(&s, &host, "127.0.0.1", "", NULL), 0);
        assert_int_equal(server_connect(&s, 1, "NFS", wait_now_ms() + 2000, &got, &err), -ECONNREFUSED);
        assert_non_null(strstr(err.text, "port 1"));
}

static void first_address_that_answers_wins(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        const ServerAddr *got = NULL;

        (void) state;
        need_server();
        resolver_says = "127.0.0.9 STREAM nas\n::1 STREAM\n";
        assert_int_equal(server_init(&s, &host, "nas", "", NULL), 0);
        assert_int_equal(server_connect(&s, (uint16_t) lab_port, "NFS", wait_now_ms() + 2000, &got, NULL), 0);
        assert_true(got == &s.addrs[0] || got == &s.addrs[1]);
}

/* --- the connection */

static const char *const versions[] = { "vers=3", "vers=4", "" };
#define N_VERSIONS (sizeof(versions) / sizeof(versions[0]))

static void link_connects_with_each_version(void **state)
{
        static const uint32_t expected[] = { 3, 4, 3 };

        (void) state;
        need_server();
        for (size_t i = 0; i < N_VERSIONS; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/x");
                struct storaged_error err = STORAGED_ERROR_INIT;

                init_server(&s, "127.0.0.1", versions[i], false);
                if (link_check(&l, &err) != 0)
                        fail_msg("%s: %s", versions[i], err.text);
                assert_int_equal(l.version, expected[i]);
                link_deinit(&l);
        }
}

static void link_finds_ports_and_ipv6_by_itself(void **state)
{
        (void) state;
        need_server();
        for (size_t i = 0; i < 2; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/x");
                struct storaged_error err = STORAGED_ERROR_INIT;

                init_server(&s, i ? "::1" : "127.0.0.1", "vers=3", true);
                if (link_check(&l, &err) != 0)
                        fail_msg("%s", err.text);
                link_deinit(&l);
        }
}

static void link_falls_back_to_v4_without_mount_service(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        Link l = LINK_INIT(&s, "/x");

        (void) state;
        need_server();
        init_server(&s, "127.0.0.1", "", false);
        s.mount_port = 1; /* nobody there */
        assert_int_equal(link_check(&l, NULL), 0);
        assert_int_equal(l.version, 4);
        link_deinit(&l);
}

static void link_names_an_absent_export(void **state)
{
        (void) state;
        need_server();
        for (size_t i = 0; i < N_VERSIONS; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/absent");
                struct storaged_error err = STORAGED_ERROR_INIT;

                init_server(&s, "127.0.0.1", versions[i], false);
                assert_int_equal(link_check(&l, &err), -ENOENT);
                assert_string_equal(err.param, "export");
                assert_non_null(strstr(err.text, "/absent"));
                assert_null(l.nfs);
        }
}

static void stopped_server_times_out_and_comes_back(void **state)
{
        (void) state;
        need_server();
        for (size_t i = 0; i < N_VERSIONS; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/x");
                struct storaged_error err = STORAGED_ERROR_INIT;
                uint64_t t0;

                init_server(&s, "127.0.0.1", versions[i], false);
                assert_int_equal(link_check(&l, NULL), 0);
                server_does("pause");
                for (int k = 0; k < 2; k++) { /* on a standing connection, then on a new one */
                        t0 = wait_now_ms();
                        assert_int_equal(link_check(&l, &err), -ETIMEDOUT);
                        assert_in_range(wait_now_ms() - t0, 1000, 3000);
                        assert_non_null(strstr(err.text, "127.0.0.1"));
                        assert_null(l.nfs);
                }
                server_does("resume");
                assert_int_equal(link_check(&l, NULL), 0);
                link_deinit(&l);
        }
}

static void killed_server_is_refused_and_comes_back(void **state)
{
        (void) state;
        need_server();
        for (size_t i = 0; i < N_VERSIONS; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/x");
                struct storaged_error err = STORAGED_ERROR_INIT;
                uint64_t t0;

                init_server(&s, "127.0.0.1", versions[i], false);
                assert_int_equal(link_check(&l, NULL), 0);
                server_does("kill");
                t0 = wait_now_ms();
                assert_int_equal(link_check(&l, &err), -ECONNREFUSED);
                assert_true(wait_now_ms() - t0 < 2000);
                server_does("start");
                if (link_check(&l, &err) != 0)
                        fail_msg("%s: %s", versions[i], err.text);
                link_deinit(&l);
        }
}

static void restart_between_calls_goes_unnoticed(void **state)
{
        (void) state;
        need_server();
        for (size_t i = 0; i < N_VERSIONS; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/x");
                struct storaged_error err = STORAGED_ERROR_INIT;

                init_server(&s, "127.0.0.1", versions[i], false);
                assert_int_equal(link_check(&l, NULL), 0);
                server_does("kill");
                server_does("start");
                if (link_check(&l, &err) != 0)
                        fail_msg("%s: %s", versions[i], err.text);
                link_deinit(&l);
        }
}

static void exports_of_a_stopped_server_time_out(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        struct storaged_error err = STORAGED_ERROR_INIT;
        char got[256] = "";
        uint64_t t0;

        (void) state;
        need_server();
        init_server(&s, "127.0.0.1", "", false);
        server_does("pause");
        t0 = wait_now_ms();
        assert_int_equal(exports_list(&s, t0 + WAIT_SILENCE_MS, collect_export, got, &err), -ETIMEDOUT);
        assert_in_range(wait_now_ms() - t0, 1000, 3000);
        server_does("resume");
        assert_int_equal(exports_list(&s, wait_now_ms() + WAIT_SILENCE_MS, collect_export, got, &err), 0);
        assert_string_equal(got, "/x=*;/y=*;");
}

/* --- the tree */

typedef struct Seen {
        unsigned n, n_attrs;
        bool has_file, has_dir, has_link, is_bad;
        TreeAttr file;
} Seen;

static int see(void *userdata, const char *name, const TreeAttr *attr)
{
        Seen *s = userdata;

        s->n++;
        s->n_attrs += attr != NULL;
        s->is_bad = s->is_bad || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        if (!attr)
                return 0;
        if (strcmp(name, "file") == 0) {
                s->has_file = attr->type == TREE_FILE;
                s->file = *attr;
        }
        s->has_dir = s->has_dir || (strcmp(name, "sub") == 0 && attr->type == TREE_DIR);
        s->has_link = s->has_link || (strcmp(name, "link") == 0 && attr->type == TREE_LINK);
        return 0;
}

/* Runs `check` on the tree of /x once per NFS version. */
static void with_tree(void (*check)(Tree *t, Link *l))
{
        need_server();
        for (size_t i = 0; i < 2; i++) {
                AUTO(server_deinit) Server s = { 0 };
                Link l = LINK_INIT(&s, "/x");
                Tree *t = NULL;

                init_server(&s, "127.0.0.1", versions[i], false);
                assert_int_equal(nfs_tree_new(&l, NULL, NULL, &t), 0);
                check(t, &l);
                tree_free(t);
                link_deinit(&l);
        }
}

static void check_list(Tree *t, Link *l)
{
        struct stat st;
        TreeAttr attr;
        Seen seen = { 0 };

        (void) l;
        make_directory("list");
        make_directory("list/sub");
        make_file("list/file", 10000, 1);
        make_symlink("/etc/passwd", "list/link");
        assert_int_equal(t->ops->list(t, "list", 0, see, &seen), 0);
        assert_int_equal(seen.n, 3);
        assert_true(seen.has_file && seen.has_dir && seen.has_link && !seen.is_bad);
        assert_int_equal(stat(exported("list/file"), &st), 0);
        assert_int_equal(seen.file.bytes, 10000);
        assert_int_equal(seen.file.inode, st.st_ino);
        assert_int_equal(seen.file.mtime_ns, st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec);
        assert_int_equal(seen.file.ctime_ns, st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec);
        assert_int_equal(seen.file.used_bytes, st.st_blocks * 512);
        assert_int_equal(seen.file.n_links, 1);
        assert_int_equal(seen.file.mode, 0640);
        assert_int_equal(t->ops->stat(t, "list/file", &attr), 0);
        assert_int_equal(attr.type, seen.file.type);
        assert_int_equal(attr.mode, seen.file.mode);
        assert_int_equal(attr.n_links, seen.file.n_links);
        assert_int_equal(attr.inode, seen.file.inode);
        assert_int_equal(attr.bytes, seen.file.bytes);
        assert_int_equal(attr.used_bytes, seen.file.used_bytes);
        assert_int_equal(attr.mtime_ns, seen.file.mtime_ns);
        assert_int_equal(attr.ctime_ns, seen.file.ctime_ns);
        seen = (Seen){ 0 };
        assert_int_equal(t->ops->list(t, "list", TREE_NAMES_ONLY, see, &seen), 0);
        assert_int_equal(seen.n, 3);
        assert_int_equal(seen.n_attrs, 0);
        assert_int_equal(t->ops->list(t, "absent", 0, see, &seen), -ENOENT);
        assert_int_equal(t->ops->list(t, "list/file", 0, see, &seen), -ENOTDIR);
        assert_int_equal(t->ops->stat(t, "list/absent", &attr), -ENOENT);
        assert_int_equal(t->ops->stat(t, "", &attr), 0);
        assert_int_equal(attr.type, TREE_DIR);
}

static void tree_lists_and_stats(void **state)
{
        (void) state;
        with_tree(check_list);
}

static void check_distinct_inodes(Tree *t, Link *l)
{
        TreeAttr a, b;

        (void) l;
        make_directory("one");
        make_directory("two");
        assert_int_equal(t->ops->stat(t, "one", &a), 0);
        assert_int_equal(t->ops->stat(t, "two", &b), 0);
        assert_int_not_equal(a.inode, b.inode);
        assert_int_not_equal(a.inode, 0);
}

static void tree_tells_directories_apart(void **state)
{
        (void) state;
        with_tree(check_distinct_inodes);
}

static void check_links(Tree *t, Link *l)
{
        TreeAttr attr;
        TreeFile *f = NULL;
        Seen seen = { 0 };

        (void) l;
        make_directory("real");
        make_file("real/file", 10, 1);
        make_symlink("real", "dirlink");
        make_symlink("file", "real/filelink");
        assert_int_equal(t->ops->stat(t, "dirlink", &attr), 0);
        assert_int_equal(attr.type, TREE_LINK);
        assert_int_equal(t->ops->stat(t, "dirlink/file", &attr), -ELOOP);
        assert_int_equal(t->ops->list(t, "dirlink", 0, see, &seen), -ELOOP);
        assert_int_equal(t->ops->open(t, "dirlink/file", &f), -ELOOP);
        assert_int_equal(t->ops->open(t, "real/filelink", &f), -ELOOP);
        assert_int_equal(t->ops->open(t, "real", &f), -EISDIR);
        assert_int_equal(t->ops->open(t, "real/../real/file", &f), -EXDEV);
        assert_int_equal(t->ops->open(t, "real/absent", &f), -ENOENT);
        assert_null(f);
}

static void tree_follows_no_links(void **state)
{
        (void) state;
        with_tree(check_links);
}

static void check_read(Tree *t, Link *l)
{
        const size_t size = 300001;
        AUTO(freep) char *got = malloc(size + 100);
        TreeFile *f = NULL;

        (void) l;
        make_file("data", size, 3);
        assert_int_equal(t->ops->open(t, "data", &f), 0);
        assert_int_equal(t->ops->pread(t, f, got, size + 100, 0), size);
        for (size_t i = 0; i < size; i++)
                assert_int_equal(got[i], (char) (((i / 4096 * 4096) + i % 4096) * 7 + 3));
        assert_int_equal(t->ops->pread(t, f, got, 16, 1000), 16);
        assert_int_equal(got[0], (char) (1000 * 7 + 3));
        assert_int_equal(t->ops->pread(t, f, got, 16, size), 0);
        assert_int_equal(t->ops->pread(t, f, got, 16, size + 5000), 0);
        t->ops->close(t, f);
}

static void tree_reads_files(void **state)
{
        (void) state;
        with_tree(check_read);
}

static void check_read_over_restart(Tree *t, Link *l)
{
        char got[16];
        TreeFile *f = NULL, *g = NULL;

        (void) l;
        make_file("over", 5000, 5);
        assert_int_equal(t->ops->open(t, "over", &f), 0);
        assert_int_equal(t->ops->open(t, "over", &g), 0);
        assert_int_equal(t->ops->pread(t, f, got, 16, 0), 16);
        server_does("kill");
        assert_int_equal(t->ops->pread(t, f, got, 16, 0), -ECONNREFUSED);
        server_does("start");
        assert_int_equal(t->ops->pread(t, f, got, 16, 100), 16);
        assert_int_equal(got[0], (char) (100 * 7 + 5));
        t->ops->close(t, f);
        t->ops->close(t, g);
}

static void open_files_survive_a_restart(void **state)
{
        (void) state;
        with_tree(check_read_over_restart);
}

static void check_space(Tree *t, Link *l)
{
        TreeSpace s = { 0 };

        (void) l;
        assert_int_equal(t->ops->space(t, &s), 0);
        assert_true(s.total_bytes > 0);
        assert_true(s.avail_bytes <= s.total_bytes);
        assert_true(s.used_bytes <= s.total_bytes);
}

static void tree_tells_its_space(void **state)
{
        (void) state;
        with_tree(check_space);
}

static void check_many(Tree *t, Link *l)
{
        Seen seen = { 0 };
        char name[64];

        (void) l;
        make_directory("many");
        for (int i = 0; i < 2000; i++) {
                (void) snprintf(name, sizeof(name), "many/%d-with-a-name-of-some-length", i);
                make_file(name, 0, 0);
        }
        assert_int_equal(t->ops->list(t, "many", 0, see, &seen), 0);
        assert_int_equal(seen.n, 2000);
        assert_int_equal(seen.n_attrs, 2000);
}

static void tree_lists_thousands(void **state)
{
        (void) state;
        with_tree(check_many);
}

static void check_read_only(Tree *t, Link *l)
{
        (void) l;
        assert_int_equal(t->ops->create(t, "new", 0, 0640), -EROFS);
        assert_int_equal(t->ops->mkdir(t, "new", 0755), -EROFS);
        assert_int_equal(t->ops->unlink(t, "data"), -EROFS);
}

static void tree_without_a_mount_changes_nothing(void **state)
{
        (void) state;
        with_tree(check_read_only);
}

static int give_local(void *userdata, Tree **ret)
{
        *ret = userdata;
        return 0;
}

static void changes_go_to_the_tree_of_the_mount(void **state)
{
        AUTO(server_deinit) Server s = { 0 };
        AUTO(tree_freep) Tree *local = NULL;
        Link l = LINK_INIT(&s, "/x");
        TreeAttr attr;
        Tree *t = NULL;

        (void) state;
        need_server();
        init_server(&s, "127.0.0.1", "vers=3", false);
        assert_int_equal(tree_local_new(exported("."), &local), 0);
        assert_int_equal(nfs_tree_new(&l, give_local, local, &t), 0);
        assert_int_equal(t->ops->mkdir(t, "changed", 0755), 0);
        assert_int_equal(t->ops->create(t, "changed/a", 12345, 0640), 0);
        assert_int_equal(t->ops->stat(t, "changed/a", &attr), 0);
        assert_int_equal(attr.bytes, 12345);
        assert_int_equal(t->ops->truncate(t, "changed/a", 20000), 0);
        assert_int_equal(t->ops->link(t, "changed/a", "changed/b"), 0);
        assert_int_equal(t->ops->rename(t, "changed/b", "changed/c", TREE_NO_REPLACE), 0);
        assert_int_equal(t->ops->unlink(t, "changed/a"), 0);
        assert_int_equal(t->ops->stat(t, "changed/a", &attr), -ENOENT);
        assert_int_equal(t->ops->stat(t, "changed/c", &attr), 0);
        assert_int_equal(attr.bytes, 20000);
        assert_int_equal(t->ops->write(t, "changed/d", "text", 4, 0640), 0);
        assert_int_equal(t->ops->chmod(t, "changed/d", 0400), 0);
        assert_int_equal(tree_remove_all(t, "changed", 8), 0);
        assert_int_equal(t->ops->stat(t, "changed", &attr), -ENOENT);
        tree_free(t);
        link_deinit(&l);
}

/* --- the program */

static const struct CMUnitTest pure_tests[] = {
        cmocka_unit_test(server_reads_version_and_ports),
        cmocka_unit_test(server_without_options_leaves_all_open),
        cmocka_unit_test(server_refuses_bad_options),
        cmocka_unit_test(server_refuses_bad_names),
        cmocka_unit_test(source_has_brackets_around_ipv6_only),
        cmocka_unit_test(names_are_resolved_by_the_host),
        cmocka_unit_test(proto_chooses_the_family),
        cmocka_unit_test(dead_name_service_is_told),
        cmocka_unit_test(universal_addresses_become_ports),
        cmocka_unit_test(tree_paths_stay_below_the_root),
        cmocka_unit_test(mounts_are_found_in_the_table),
        cmocka_unit_test(mount_of_same_export_is_recognised),
        cmocka_unit_test(kernel_client_is_judged_by_version),
        cmocka_unit_test(failed_mount_leaves_no_directory),
        cmocka_unit_test(silent_address_ends_at_the_deadline),
        cmocka_unit_test(closed_port_is_refused_at_once),
};

static const struct CMUnitTest server_tests[] = {
        cmocka_unit_test(exports_are_listed_by_name_and_address),
        cmocka_unit_test(export_listing_stops_when_asked),
        cmocka_unit_test(unknown_program_is_an_answer),
        cmocka_unit_test(first_address_that_answers_wins),
        cmocka_unit_test(link_connects_with_each_version),
        cmocka_unit_test(link_finds_ports_and_ipv6_by_itself),
        cmocka_unit_test(link_falls_back_to_v4_without_mount_service),
        cmocka_unit_test(link_names_an_absent_export),
        cmocka_unit_test(stopped_server_times_out_and_comes_back),
        cmocka_unit_test(killed_server_is_refused_and_comes_back),
        cmocka_unit_test(restart_between_calls_goes_unnoticed),
        cmocka_unit_test(exports_of_a_stopped_server_time_out),
        cmocka_unit_test(tree_lists_and_stats),
        cmocka_unit_test(tree_tells_directories_apart),
        cmocka_unit_test(tree_follows_no_links),
        cmocka_unit_test(tree_reads_files),
        cmocka_unit_test(open_files_survive_a_restart),
        cmocka_unit_test(tree_tells_its_space),
        cmocka_unit_test(tree_lists_thousands),
        cmocka_unit_test(tree_without_a_mount_changes_nothing),
        cmocka_unit_test(changes_go_to_the_tree_of_the_mount),
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
