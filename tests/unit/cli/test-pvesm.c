/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvesm as a whole against a daemon that is played: a thread answers on the socket from a script, and keeps what
 * it was asked. What is checked is the conversation, the output to the letter and the exit code.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "cli/follow.h"
#include "tests/unit/scratch.h"

#define NODE "/api2/json/nodes/localhost"
#define UPID "UPID:n1:00000001:00000002:00000003:imgcopy:st:root@pam:"

/* One line of the script: the request it is for begins so; used once, in order, unless it is the last that fits. */
typedef struct Scripted {
        const char *request; /* "GET /api2/json/version" */
        int status;
        const char *body;
        void (*then)(const char *request); /* called before the answer goes out; or NULL */
        bool used;
} Scripted;

static struct {
        char dir[SCRATCH_MAX], socket[108];
        int listen_fd;
        pthread_t thread;
        Scripted *script;
        StrBuf asked; /* "METHOD TARGET BODY\n"… */
        unsigned n_connections;
        pthread_mutex_t mutex; /* of `asked`, `script` and `n_connections` */
        pthread_cond_t changed;
} fake;

static struct {
        char *out, *err;
        int rc;
} result;

static Scripted *script_find(const char *request)
{
        Scripted *last = NULL;

        for (Scripted *s = fake.script; s && s->request; s++) {
                if (!str_skip(request, s->request))
                        continue;
                last = s;
                if (!s->used)
                        break;
        }
        if (last)
                last->used = true;
        return last;
}

static void answer(int fd, const char *request)
{
        static const Scripted unknown = { .status = 404, .body = "{\"data\":null,\"message\":\"not in the script\"}" };
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        const Scripted *found;
        Scripted s;

        (void) pthread_mutex_lock(&fake.mutex);
        strbuf_addf(&fake.asked, "%s\n", request);
        found = script_find(request);
        s = found ? *found : unknown; /* a test may end while `then` waits */
        (void) pthread_cond_broadcast(&fake.changed);
        (void) pthread_mutex_unlock(&fake.mutex);
        if (s.then)
                s.then(request);
        strbuf_addf(&b, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nContent-Type: application/json\r\n\r\n%s", s.status,
                    strlen(s.body), s.body);
        (void) fs_write_all(fd, b.data, b.len);
}

/* Reads one request into "METHOD TARGET BODY"; false at the end. */
static bool read_request(int fd, StrBuf *in, StrBuf *ret)
{
        for (;;) {
                char *head = in->data ? strstr(in->data, "\r\n\r\n") : NULL,
                     *length = head ? strcasestr(in->data, "content-length: ") : NULL;
                size_t body = length && length < head ? strtoul(length + 16, NULL, 10) : 0;
                size_t whole = head ? (size_t) (head + 4 - in->data) + body : SIZE_MAX;
                char buf[65536];
                ssize_t n;

                if (in->len >= whole) {
                        strbuf_add(ret, in->data, (size_t) (strstr(in->data, " HTTP/1.1") - in->data));
                        if (body > 0)
                                strbuf_addf(ret, " %.*s", (int) body, head + 4);
                        strbuf_deinit(in);
                        return true;
                }
                n = read(fd, buf, sizeof(buf));
                if (n <= 0)
                        return false;
                strbuf_add(in, buf, (size_t) n);
        }
}

static void *serve_one(void *userdata)
{
        AUTO(closep) int fd = (int) (intptr_t) userdata;
        AUTO(strbuf_deinit) StrBuf in = STRBUF_INIT;

        for (;;) {
                AUTO(strbuf_deinit) StrBuf request = STRBUF_INIT;

                if (!read_request(fd, &in, &request))
                        break;
                answer(fd, request.data);
        }
        (void) pthread_mutex_lock(&fake.mutex);
        fake.n_connections--;
        (void) pthread_cond_broadcast(&fake.changed);
        (void) pthread_mutex_unlock(&fake.mutex);
        return NULL;
}

static void *serve(void *userdata)
{
        (void) userdata;
        for (;;) {
                int fd = accept(fake.listen_fd, NULL, NULL);
                pthread_t t;

                if (fd < 0)
                        return NULL;
                (void) pthread_mutex_lock(&fake.mutex);
                fake.n_connections++;
                (void) pthread_mutex_unlock(&fake.mutex);
                if (pthread_create(&t, NULL, serve_one, (void *) (intptr_t) fd) == 0)
                        (void) pthread_detach(t);
        }
}

static int setup(void **state)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        sigset_t mask, old;
        char run[96];

        (void) state;
        memset(&fake, 0, sizeof(fake));
        (void) pthread_mutex_init(&fake.mutex, NULL);
        (void) pthread_cond_init(&fake.changed, NULL);
        assert_non_null(scratch_make(fake.dir));
        (void) snprintf(fake.socket, sizeof(fake.socket), "%s/run/storaged/api.sock", fake.dir);
        (void) snprintf(run, sizeof(run), "%s/run/storaged", fake.dir);
        assert_int_equal(fs_mkdir_p(run, 0700), 0);
        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", fake.socket);
        fake.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fake.listen_fd, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(fake.listen_fd, 8), 0);
        (void) sigfillset(&mask); /* signals are for the thread that runs pvesm */
        (void) pthread_sigmask(SIG_BLOCK, &mask, &old);
        assert_int_equal(pthread_create(&fake.thread, NULL, serve, NULL), 0);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        return 0;
}

/* pvesm has left, so each ends. Until then it answers from the test's script, which is on the stack of the test. */
static void connections_end(void)
{
        (void) pthread_mutex_lock(&fake.mutex);
        while (fake.n_connections > 0)
                (void) pthread_cond_wait(&fake.changed, &fake.mutex);
        (void) pthread_mutex_unlock(&fake.mutex);
}

static int teardown(void **state)
{
        char path[128];

        (void) state;
        (void) shutdown(fake.listen_fd, SHUT_RDWR);
        (void) pthread_join(fake.thread, NULL);
        (void) close(fake.listen_fd);
        connections_end();
        strbuf_deinit(&fake.asked);
        free(result.out);
        free(result.err);
        memset(&result, 0, sizeof(result));
        (void) unlink(fake.socket);
        for (size_t i = 0; i < 3; i++) {
                static const char *const names[] = { "run/storaged", "run", "" };

                (void) snprintf(path, sizeof(path), "%s/%s", fake.dir, names[i]);
                if (rmdir(path) < 0)
                        fail_msg("%s was not left empty: %s", path, strerror(errno));
        }
        return 0;
}

static char *read_back(FILE *f)
{
        char path[64], *text = NULL;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(f));
        assert_int_equal(fs_read_file(path, 1 << 20, &text, NULL), 0);
        (void) fclose(f);
        return text;
}

/* Runs pvesm --root DIR and these words. */
static void pvesm(const char *word, ...)
{
        char *argv[24] = { "pvesm", "--root", fake.dir };
        FILE *out = tmpfile(), *err = tmpfile();
        int argc = 3, old_out = dup(1), old_err = dup(2);
        va_list ap;

        va_start(ap, word);
        for (; word; word = va_arg(ap, char *))
                argv[argc++] = (char *) (uintptr_t) word;
        va_end(ap);
        (void) fflush(stdout);
        (void) dup2(fileno(out), 1);
        (void) dup2(fileno(err), 2);
        result.rc = cli_main(argc, argv);
        connections_end();
        (void) fflush(stdout);
        (void) dup2(old_out, 1);
        (void) dup2(old_err, 2);
        (void) close(old_out);
        (void) close(old_err);
        free(result.out);
        free(result.err);
        result.out = read_back(out);
        result.err = read_back(err);
}

#define PVESM(...) pvesm(__VA_ARGS__, NULL)
#define SCRIPT(...)                                 \
        Scripted script[] = { __VA_ARGS__, { 0 } }; \
        fake.script = script

static void gave(int rc, const char *out, const char *err)
{
        if (result.rc != rc || strcmp(result.out, out) != 0 || strcmp(result.err, err) != 0)
                fail_msg("rc %d\n--- stdout\n%s--- stderr\n%s--- asked\n%s", result.rc, result.out, result.err,
                         fake.asked.data ? fake.asked.data : "");
}

static void was_asked(const char *expected)
{
        assert_string_equal(fake.asked.data ? fake.asked.data : "", expected);
}

/* --- tables */

static void a_volume_group_is_a_page_and_a_line_for_each_node(void **state)
{
        SCRIPT({ "GET /api2/json/cluster/vgs/ibm", 200,
                 "{\"data\":{\"vg\":\"ibm\",\"uuid\":\"7Ug\",\"locking\":\"dlm\",\"size\":1073741824,\"free\":"
                 "805306368,"
                 "\"lvs\":2,\"missing\":1,\"pvs\":[\"/dev/mapper/3600a\",\"/dev/mapper/3600b\"],\"nodes\":{\"n1\":{"
                 "\"active\":[\"vm-100-disk-0\",\"vm-101-disk-0\"]},\"n2\":{\"active\":[]},\"n3\":{\"error\":\"no "
                 "answer\"}}}}" });

        (void) state;
        PVESM("vg", "show", "ibm");
        gave(0,
             "VG         ibm\n"
             "UUID       7Ug\n"
             "Locking    dlm\n"
             "Size       1G, 768M of it free, 2 logical volumes\n"
             "On         /dev/mapper/3600a, /dev/mapper/3600b\n"
             "Missing    1 physical volume can't be found\n"
             "\n"
             "Node Active there\n"
             "n1   vm-100-disk-0, vm-101-disk-0\n"
             "n2   -\n"
             "n3   no answer\n",
             "");
}

static void status_is_printed_to_the_letter(void **state)
{
        SCRIPT({ "GET " NODE "/storage", 200,
                 "{\"data\":[{\"storage\":\"zfs\",\"type\":\"dir\",\"active\":1,\"enabled\":1,\"total\":2049,\"used\":"
                 "1025,\"avail\":1024,\"state\":\"active\"},"
                 "{\"storage\":\"nas\",\"type\":\"nfs\",\"active\":0,\"enabled\":1,\"total\":0,\"used\":0,\"avail\":0,"
                 "\"state\":\"unresponsive\",\"reason\":\"no\\nanswer\"},"
                 "{\"storage\":\"far\",\"type\":\"dir\",\"active\":0,\"enabled\":0,\"total\":0,\"used\":0,\"avail\":0,"
                 "\"state\":\"disabled\",\"reason\":\"x\"},"
                 "{\"storage\":\"cold\",\"type\":\"dir\",\"active\":0,\"enabled\":1,\"total\":0,\"used\":0,\"avail\":0}"
                 "]}" });

        (void) state;
        PVESM("sta", "--content", "iso", "--content", "images", "--enabled");
        gave(0,
             "Name        Type     Status     Total (KiB)      Used (KiB) Available (KiB)        %\n"
             "cold         dir   inactive               0               0               0    0.00%\n"
             "far          dir   disabled               0               0               0      N/A\n"
             "nas          nfs unresponsive               0               0               0    0.00%\n"
             "zfs          dir     active               2               1               1   50.02%\n",
             "storage 'nas': no\\x0aanswer\n");
        was_asked("GET " NODE "/storage?content=iso,images&enabled=1\n");
}

static void scan_pads_the_first_column(void **state)
{
        SCRIPT({ "GET " NODE "/scan/nfs?server=nas", 200,
                 "{\"data\":[{\"path\":\"/srv/long/path\",\"options\":\"*\"},{\"path\":\"/a\",\"options\":\"10.0.0.0/"
                 "8\"}]}" },
               { "GET " NODE "/scan/lvm", 501, "{\"data\":null,\"message\":\"no plugin for lvm\\n\"}" });

        (void) state;
        PVESM("nfsscan", "nas");
        gave(0, "/srv/long/path *\n/a             10.0.0.0/8\n", "");
        PVESM("scan", "lvm");
        gave(255, "", "no plugin for lvm\n");
}

static void prune_dry_run(void **state)
{
        SCRIPT({ "GET " NODE "/storage/st/prunebackups", 200,
                 "{\"data\":[{\"volid\":\"st:backup/b\",\"type\":\"qemu\",\"vmid\":200,\"ctime\":1,\"mark\":\"keep\"},"
                 "{\"volid\":\"st:backup/late\",\"type\":\"qemu\",\"vmid\":100,\"ctime\":9,\"mark\":\"remove\"},"
                 "{\"volid\":\"st:backup/a\",\"type\":\"lxc\",\"vmid\":100,\"ctime\":2,\"mark\":\"protected\"}]}" });
        const char *table;

        (void) state;
        PVESM("prune-backups", "st", "--dry-run", "--keep-last", "3", "--keep-daily=7", "--type", "qemu");
        was_asked("GET " NODE "/storage/st/prunebackups?type=qemu&prune-backups=keep-last%3D3,keep-daily%3D7\n");
        table = strstr(result.out, "\n\n");
        assert_non_null(table);
        assert_string_equal(table + 2, "Backup                Backup-ID Prune-Mark\n"
                                       "st:backup/a             lxc/100  protected\n"
                                       "st:backup/late         qemu/100     remove\n"
                                       "st:backup/b            qemu/200       keep\n");
}

static void list_in_all_formats(void **state)
{
        SCRIPT({ "GET " NODE "/storage/st/content", 200,
                 "{\"data\":[{\"volid\":\"st:iso/"
                 "a.iso\",\"format\":\"iso\",\"content\":\"iso\",\"size\":5}],\"total\":1}" });

        (void) state;
        PVESM("list", "st", "--vmid", "100");
        gave(0, "Volid        Format  Type      Size VMID\nst:iso/a.iso iso     iso       5\n", "");
        PVESM("list", "st", "--output-format", "json");
        gave(0, "[{\"volid\":\"st:iso/a.iso\",\"format\":\"iso\",\"content\":\"iso\",\"size\":5}]\n", "");
        PVESM("list", "st", "--output-format", "yaml");
        gave(0, "---\n- volid: st:iso/a.iso\n  format: iso\n  content: iso\n  size: 5\n", "");
}

/* --- one call */

static void alloc_sends_a_form(void **state)
{
        SCRIPT({ "POST " NODE "/storage/st/content", 200, "{\"data\":\"st:100/vm-100-disk-0.raw\"}" });

        (void) state;
        PVESM("alloc", "st", "100", "", "1G", "-format", "raw");
        gave(0, "successfully created 'st:100/vm-100-disk-0.raw'\n", "");
        was_asked("POST " NODE "/storage/st/content vmid=100&filename=&size=1G&format=raw\n");
        PVESM("alloc", "st", "100", "a b&=%\xff", "1");
        assert_non_null(strstr(fake.asked.data, "filename=a%20b%26%3D%25%FF"));
}

static void a_wrong_parameter_is_named(void **state)
{
        SCRIPT({ "POST " NODE "/storage/st/content", 400,
                 "{\"data\":null,\"message\":\"Parameter verification failed.\\n\",\"errors\":{\"size\":\"too "
                 "\\u001b[31mlarge\"}}" });

        (void) state;
        PVESM("alloc", "st", "100", "", "9T");
        gave(2, "",
             "400 Parameter verification failed.\nsize: too \x1b[31mlarge\npvesm alloc <storage> <vmid> <filename> "
             "<size> [OPTIONS]\n");
}

static void wrong_lines_ask_nobody(void **state)
{
        (void) state;
        PVESM("alloc", "st");
        gave(2, "", "400 not enough arguments\npvesm alloc <storage> <vmid> <filename> <size> [OPTIONS]\n");
        PVESM("list", "st", "--nosuch", "1");
        gave(2, "", "Unknown option: nosuch\n400 unable to parse option\npvesm list <storage> [OPTIONS]\n");
        PVESM("status", "--enabled=maybe");
        gave(2, "",
             "400 Parameter verification failed.\nenabled: type check ('boolean') failed - got 'maybe'\npvesm status "
             "[OPTIONS]\n");
        PVESM("path", "novolume");
        assert_int_equal(result.rc, 2);
        assert_non_null(strstr(result.err, "\nvolume: "));
        PVESM("status", "--output-format", "xml");
        assert_int_equal(result.rc, 2);
        PVESM("nosuch");
        assert_int_equal(result.rc, 255);
        PVESM("status", "--help");
        gave(255, "", "pvesm status [OPTIONS]\n");
        was_asked("");
}

static void refusals_keep_their_words(void **state)
{
        SCRIPT({ "GET " NODE "/storage/nosuch/content", 404,
                 "{\"data\":null,\"message\":\"storage 'nosuch' does not exist\"}" },
               { "GET " NODE "/storage/big/content", 413, "{\"data\":null,\"message\":\"too large\"}" },
               { "GET " NODE "/storage/odd/content", 200, "not JSON" },
               { "GET " NODE "/storage/odd2/content", 500, "<html>" });

        (void) state;
        PVESM("list", "nosuch");
        gave(255, "", "storage 'nosuch' does not exist\n");
        PVESM("list", "big");
        gave(2, "", "413 too large\npvesm list <storage> [OPTIONS]\n");
        PVESM("list", "odd");
        gave(255, "", "storaged gave an answer that is no list of volumes\n");
        PVESM("list", "odd2");
        assert_int_equal(result.rc, 255);
        assert_non_null(strstr(result.err, "is not storaged"));
}

static void without_a_daemon(void **state)
{
        AUTO(freep) char *expected = NULL;

        (void) state;
        assert_int_equal(unlink(fake.socket), 0);
        PVESM("status");
        assert_int_equal(
                str_printf(&expected,
                           "storaged is not running: no answer on %s: No such file or directory; start it with "
                           "`systemctl start storaged` or `storaged --root DIR`\n",
                           fake.socket),
                0);
        gave(255, "", expected);
}

static void apiinfo_path_info(void **state)
{
        SCRIPT({ "GET /api2/json/version", 200, "{\"data\":{\"version\":\"1\",\"apiver\":15,\"apiage\":6}}" },
               { "GET " NODE "/storage/st/path?volume=st:iso/a%20b.iso", 200, "{\"data\":{\"path\":\"/x/a b.iso\"}}" },
               { "GET " NODE "/info?volume=st:iso/a.iso", 200,
                 "{\"data\":{\"volid\":\"st:iso/a.iso\",\"vmid\":null,\"isBase\":0}}" },
               { "GET " NODE "/storage/st/path", 501, "{\"data\":null}" });

        (void) state;
        PVESM("apiinfo");
        gave(0, "APIVER 15\nAPIAGE 6\n", "");
        PVESM("path", "st:iso/a b.iso");
        gave(0, "/x/a b.iso\n", "");
        PVESM("info", "st:iso/a.iso");
        gave(0, "volid:  st:iso/a.iso\nvmid:   -\nisBase: 0\n", "");
        PVESM("info", "st:iso/a.iso", "--output-format", "json");
        gave(0, "{\"volid\":\"st:iso/a.iso\",\"vmid\":null,\"isBase\":0}\n", "");
}

static void add_sends_files_and_flags(void **state)
{
        char file[96];

        SCRIPT({ "POST /api2/json/storage", 200, "{\"data\":{\"storage\":\"c\",\"type\":\"rbd\"}}" },
               { "PUT /api2/json/storage/c", 200, "{\"data\":{}}" },
               { "DELETE /api2/json/storage/c", 200, "{\"data\":null}" });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/keyring", fake.dir);
        assert_int_equal(fs_write_atomic(file, "[x]\nkey=1\n", 10, 0600), 0);
        PVESM("add", "rbd", "c", "--keyring", file, "--encryption-key", "autogen", "--krbd", "--pool", "p", "--nodes",
              "a,b");
        gave(0, "", "");
        PVESM("set", "c");
        PVESM("set", "c", "--delete", "nodes", "--delete", "pool", "--disable", "off");
        PVESM("remove", "c");
        gave(0, "", "");
        was_asked("POST /api2/json/storage "
                  "type=rbd&storage=c&keyring=%5Bx%5D%0Akey%3D1%0A&encryption-key=autogen&krbd=1&pool=p&nodes=a,b\n"
                  "PUT /api2/json/storage/c\n"
                  "PUT /api2/json/storage/c delete=nodes,pool&disable=0\n"
                  "DELETE /api2/json/storage/c\n");
        (void) unlink(file);
        PVESM("add", "rbd", "c", "--keyring", file);
        assert_int_equal(result.rc, 2);
        assert_non_null(strstr(result.err, "keyring: can't read file"));
}

static void config_check_counts_its_findings(void **state)
{
        char file[96];
        AUTO(freep) char *expected = NULL;

        SCRIPT({ "POST " NODE "/config/check", 200,
                 "{\"data\":{\"warnings\":[{\"line\":3,\"text\":\"bad\"},{\"line\":9,\"text\":\"worse\"}]}}" },
               { "POST " NODE "/config/check", 200, "{\"data\":{\"warnings\":[]}}" });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/cfg", fake.dir);
        assert_int_equal(fs_write_atomic(file, "dir: a\n", 7, 0600), 0);
        PVESM("config", "check", file);
        assert_int_equal(str_printf(&expected, "%s:3: bad\n%s:9: worse\n2 warnings\n", file, file), 0);
        gave(1, expected, "");
        was_asked("POST " NODE "/config/check text=dir:%20a%0A\n");
        PVESM("config", "check", file);
        gave(0, "0 warnings\n", "");
        (void) unlink(file);
        PVESM("config", "check", file);
        assert_int_equal(result.rc, 2);
}

/* --- tasks */

#define STATUS(rest) "{\"data\":{\"upid\":\"" UPID "\"," rest "}}"

static void free_follows_its_task(void **state)
{
        SCRIPT({ "DELETE " NODE "/storage/st/content/st:100/a", 200, "{\"data\":\"" UPID "\"}" },
               { "DELETE " NODE "/storage/st/content/st:100/b", 409,
                 "{\"data\":null,\"message\":\"volume 'st:100/b' is protected\"}" },
               { "DELETE " NODE "/storage/st/content/st:100/c", 200, "{\"data\":null}" },
               { "GET " NODE "/tasks/" UPID "/status?wait=25&seen=0", 200, STATUS("\"status\":\"running\",\"seq\":4") },
               { "GET " NODE "/tasks/" UPID "/status?wait=25&seen=4", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"OK\",\"seq\":5") });

        (void) state;
        PVESM("free", "st:100/a");
        gave(0, "Removed volume 'st:100/a'\n", "");
        PVESM("free", "st:100/b");
        gave(255, "", "volume 'st:100/b' is protected\n");
        PVESM("free", "100/c", "--storage", "st", "--delay", "5");
        gave(0, "Removed volume 'st:100/c'\n", "");
        assert_non_null(strstr(fake.asked.data, "/content/st:100/c?delay=5\n"));
}

static void a_task_shows_its_log_and_why_it_failed(void **state)
{
        SCRIPT({ "POST " NODE "/storage/st/content/st:100/a", 200, "{\"data\":\"" UPID "\"}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"running\",\"seq\":1,\"progress\":{\"done\":1,\"total\":2}") },
               { "GET " NODE "/tasks/" UPID "/log?start=0&", 200, "{\"data\":[{\"n\":1,\"t\":\"begins\"}]}" },
               { "GET " NODE "/tasks/" UPID "/status?wait=25&seen=1", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"disk full\",\"seq\":2") },
               { "GET " NODE "/tasks/" UPID "/log?start=1&", 200,
                 "{\"data\":[{\"n\":2,\"t\":\"more\"},{\"n\":3,\"t\":\"TASK ERROR: disk full\"}]}" });

        (void) state;
        PVESM("copy", "st:100/a", "other");
        gave(255, "begins\nmore\n", "disk full\n");
}

static void press_interrupt(const char *request)
{
        (void) request;
        (void) kill(getpid(), SIGINT);
        (void) pthread_mutex_lock(&fake.mutex);
        while (!strstr(fake.asked.data,
                       "\nDELETE ")) /* this answer is later than the next question: nobody waits for it */
                (void) pthread_cond_wait(&fake.changed, &fake.mutex);
        (void) pthread_mutex_unlock(&fake.mutex);
}

static void interrupt_stops_the_task(void **state)
{
        SCRIPT({ "POST " NODE "/storage/st/content/st:100/a", 200, "{\"data\":\"" UPID "\"}" },
               { "GET " NODE "/tasks/" UPID "/status", 200, STATUS("\"status\":\"running\",\"seq\":1"),
                 press_interrupt },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"stopped\",\"seq\":2") },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "DELETE " NODE "/tasks/" UPID, 200, "{\"data\":null}" });

        (void) state;
        PVESM("copy", "st:100/a", "other");
        gave(255, "", "stopping the task; once more ^C leaves it alone\nstopped\n");
        assert_non_null(strstr(fake.asked.data, "DELETE " NODE "/tasks/" UPID "\n"));
}

/* --- streams: the played worker */

static pthread_t worker;

static int connect_to(const char *request)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        const char *path = strstr(request, "unix:///") + 7;
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%.*s", (int) strcspn(path, "& "), path);
        assert_int_equal(connect(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        return fd;
}

static void *send_stream(void *userdata)
{
        AUTO(closep) int fd = (int) (intptr_t) userdata;
        static char block[1 << 16];

        for (int i = 0; i < 64; i++) {
                memset(block, 'a' + i % 26, sizeof(block));
                if (fs_write_all(fd, block, sizeof(block)) < 0)
                        break;
        }
        return NULL;
}

static size_t received;

static void *receive_stream(void *userdata)
{
        AUTO(closep) int fd = (int) (intptr_t) userdata;
        char buf[65536];
        ssize_t n;

        while ((n = read(fd, buf, sizeof(buf))) > 0)
                received += (size_t) n;
        return NULL;
}

static void start_export(const char *request)
{
        (void) pthread_create(&worker, NULL, send_stream, (void *) (intptr_t) connect_to(request));
}

static void start_import(const char *request)
{
        received = 0;
        (void) pthread_create(&worker, NULL, receive_stream, (void *) (intptr_t) connect_to(request));
}

static void end_worker(const char *request)
{
        (void) request;
        (void) pthread_join(worker, NULL);
}

static void export_makes_the_file(void **state)
{
        char file[96];
        struct stat st;

        SCRIPT({ "POST " NODE "/storage/st/export", 200, "{\"data\":\"" UPID "\"}", start_export },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"OK\",\"seq\":1"), end_worker });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/stream", fake.dir);
        PVESM("export", "st:100/a", "raw+size", file, "--with-snapshots", "0");
        gave(0, "", "");
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_size, 64 << 16);
        assert_non_null(strstr(fake.asked.data, "volume=st:100/a&format=raw%2Bsize&with-snapshots=0&to=unix:///"));
        (void) unlink(file);
}

static void a_failed_export_leaves_no_file(void **state)
{
        char file[96];

        SCRIPT({ "POST " NODE "/storage/st/export", 200, "{\"data\":\"" UPID "\"}", start_export },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"gone\",\"seq\":1"), end_worker });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/stream", fake.dir);
        PVESM("export", "st:100/a", "raw+size", file);
        gave(255, "", "gone\n");
        assert_int_equal(access(file, F_OK), -1);
        PVESM("export", "st:100/a", "raw+size", "/nonexistent/file");
        assert_int_equal(result.rc, 2);
}

static void an_export_nobody_connects_to_ends_with_its_task(void **state)
{
        char file[96];

        SCRIPT({ "POST " NODE "/storage/st/export", 200, "{\"data\":\"" UPID "\"}" },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"no such volume\",\"seq\":1") });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/stream", fake.dir);
        PVESM("export", "st:100/a", "raw+size", file);
        gave(255, "", "no such volume\n");
        assert_int_equal(access(file, F_OK), -1);
}

static int idle_fd = -EBADF;

static void start_idle(const char *request)
{
        idle_fd = connect_to(request);
}

static void end_idle(const char *request)
{
        (void) request;
        closep(&idle_fd);
        idle_fd = -EBADF;
}

/* The copying thread must not be the one that gets the signal. */
static void interrupt_of_an_export_cleans_up(void **state)
{
        char file[96];

        SCRIPT({ "POST " NODE "/storage/st/export", 200, "{\"data\":\"" UPID "\"}", start_idle },
               { "DELETE " NODE "/tasks/" UPID, 200, "{\"data\":null}", end_idle },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200, STATUS("\"status\":\"running\",\"seq\":1"),
                 press_interrupt },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"stopped\",\"seq\":2") });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/stream", fake.dir);
        PVESM("export", "st:100/a", "raw+size", file);
        gave(255, "", "stopping the task; once more ^C leaves it alone\nstopped\n");
        assert_int_equal(access(file, F_OK), -1);
}

static void a_full_target_stops_the_task(void **state)
{
        SCRIPT({ "POST " NODE "/storage/st/export", 200, "{\"data\":\"" UPID "\"}", start_export },
               { "DELETE " NODE "/tasks/" UPID, 200, "{\"data\":null}" },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"broken pipe\",\"seq\":1"), end_worker });

        (void) state;
        PVESM("export", "st:100/a", "raw+size", "/dev/full");
        gave(255, "", "broken pipe\ncan't write the stream: No space left on device\n");
        assert_non_null(strstr(fake.asked.data, "DELETE "));
        assert_int_equal(access("/dev/full", F_OK), 0);
}

static void import_sends_the_file(void **state)
{
        char file[96], *text = calloc(1, 3 << 20);

        SCRIPT({ "POST " NODE "/storage/st/import", 200, "{\"data\":\"" UPID "\"}", start_import },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[{\"n\":1,\"t\":\"hello\"}]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"OK\",\"seq\":1,\"result\":\"st:100/"
                        "vm-100-disk-7.raw\""),
                 end_worker });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/stream", fake.dir);
        assert_int_equal(fs_write_atomic(file, text, 3 << 20, 0600), 0);
        free(text);
        PVESM("import", "st:100/vm-100-disk-0.raw", "raw+size", file, "--allow-rename", "yes");
        gave(0, "hello\nsuccessfully imported 'st:100/vm-100-disk-7.raw'\n", "");
        assert_int_equal(received, 3 << 20);
        (void) unlink(file);
        PVESM("import", "st:100/vm-100-disk-0.raw", "raw+size", file);
        assert_int_equal(result.rc, 2);
        PVESM("import", "st:100/vm-100-disk-0.raw", "raw+size", "tcp://300.0.0.1");
        assert_int_equal(result.rc, 2);
        PVESM("import", "st:100/vm-100-disk-0.raw", "raw+size", "unix://relative");
        assert_int_equal(result.rc, 2);
}

/* A folder can be opened but not read: the task must be stopped before the worker sees an end. */
static void an_unreadable_source_stops_the_task(void **state)
{
        SCRIPT({ "POST " NODE "/storage/st/import", 200, "{\"data\":\"" UPID "\"}", start_import },
               { "DELETE " NODE "/tasks/" UPID, 200, "{\"data\":null}" },
               { "GET " NODE "/tasks/" UPID "/log", 200, "{\"data\":[]}" },
               { "GET " NODE "/tasks/" UPID "/status", 200,
                 STATUS("\"status\":\"stopped\",\"exitstatus\":\"stopped\",\"seq\":1"), end_worker });

        (void) state;
        PVESM("import", "st:100/a", "raw+size", fake.dir);
        gave(255, "", "stopped\ncan't read the stream: Is a directory\n");
        assert_non_null(strstr(fake.asked.data, "DELETE "));
}

static void upload_sends_a_form_with_the_file(void **state)
{
        char file[96];

        SCRIPT({ "POST " NODE "/storage/st/upload", 200, "{\"data\":null}" });
        (void) state;
        (void) snprintf(file, sizeof(file), "%s/my.iso", fake.dir);
        assert_int_equal(fs_write_atomic(file, "CONTENT-OF-IT", 13, 0600), 0);
        PVESM("upload", "st", file, "--content", "iso");
        gave(0, "", "");
        assert_non_null(strstr(fake.asked.data, "CONTENT-OF-IT"));
        assert_non_null(strstr(fake.asked.data, "filename=\"my.iso\""));
        assert_non_null(strstr(fake.asked.data, "name=\"content\""));
        (void) unlink(file);
        PVESM("upload", "st", file, "--content", "iso");
        assert_int_equal(result.rc, 2);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(a_volume_group_is_a_page_and_a_line_for_each_node),
                CASE(status_is_printed_to_the_letter),
                CASE(scan_pads_the_first_column),
                CASE(prune_dry_run),
                CASE(list_in_all_formats),
                CASE(alloc_sends_a_form),
                CASE(a_wrong_parameter_is_named),
                CASE(wrong_lines_ask_nobody),
                CASE(refusals_keep_their_words),
                CASE(without_a_daemon),
                CASE(apiinfo_path_info),
                CASE(add_sends_files_and_flags),
                CASE(config_check_counts_its_findings),
                CASE(free_follows_its_task),
                CASE(a_task_shows_its_log_and_why_it_failed),
                CASE(interrupt_stops_the_task),
                CASE(export_makes_the_file),
                CASE(a_failed_export_leaves_no_file),
                CASE(an_export_nobody_connects_to_ends_with_its_task),
                CASE(interrupt_of_an_export_cleans_up),
                CASE(a_full_target_stops_the_task),
                CASE(import_sends_the_file),
                CASE(an_unreadable_source_stops_the_task),
                CASE(upload_sends_a_form_with_the_file),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        (void) unsetenv("STORAGED_ROOT");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
