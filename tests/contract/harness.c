/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's side of a worker, blocking and strict: what the daemon would only log is a failed test here. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/fs.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"

static _Noreturn void die(const char *what, const char *why)
{
        (void) fprintf(stderr, "FAIL  contract: %s: %s\n", what, why);
        exit(2);
}

int run_program(const char *const *argv, char **ret_out, char **ret_err)
{
        ProcSpec spec = PROC_SPEC_INIT;
        AUTO(proc_result_deinit) ProcResult result = PROC_RESULT_INIT;
        int r;

        spec.argv = argv;
        spec.deadline_ms = PATIENCE_MSEC;
        r = proc_run(&spec, &result, NULL);
        if (r < 0)
                return 128;
        if (ret_err)
                *ret_err = strdup(result.last_error);
        if (ret_out)
                *ret_out = TAKE(result.out);
        return result.status;
}

static void read_description(Harness *h)
{
        AUTO(freep) char *out = NULL;
        AUTO(freep) char *why = NULL;

        if (run_program((const char *[]){ h->worker, "--describe", h->plugin, NULL }, &out, &why) != 0)
                die(h->plugin, why ? why : "can't be described");
        if (json_parse(out, strlen(out), &h->description) < 0)
                die(h->plugin, "its description is not JSON");
}

void harness_init(Harness *h, const char *plugin, const char *contract)
{
        static char absolute[PATH_MAX];
        const char *worker = getenv("STORAGED_WORKER");
        AUTO(freep) char *text = NULL;

        *h = (Harness){ .socket = -EBADF, .assembler = FRAME_ASSEMBLER_INIT };
        if (!worker || !plugin || !realpath(plugin, absolute))
                die("PLUGIN, STORAGED_WORKER", "not set, or no such file");
        h->worker = worker;
        h->plugin = absolute;
        if (contract &&
            (fs_read_file(contract, 1 << 20, &text, NULL) < 0 || json_parse(text, strlen(text), &h->contract) < 0))
                die(contract, "can't be read as JSON");
        read_description(h);
}

void harness_deinit(Harness *h)
{
        (void) json_object_put(h->contract);
        (void) json_object_put(h->description);
        (void) json_object_put(h->reply);
        h->contract = h->description = h->reply = NULL;
}

void harness_dir_make(Harness *h)
{
        const char *tmp = getenv("TMPDIR");

        (void) snprintf(h->dir, sizeof(h->dir), "%s/storaged-contract-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(h->dir));
        /* A storage that is not a directory is emptied by a program of its own. */
        if (getenv("CONTRACT_SETUP"))
                assert_int_equal(run_program((const char *[]){ getenv("CONTRACT_SETUP"), h->dir, NULL }, NULL, NULL),
                                 0);
}

/* Templates are immutable files: unlink(2) answers EPERM. */
static void make_mutable(const char *path)
{
        AUTO(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        int flags;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return;
        flags &= ~FS_IMMUTABLE_FL;
        (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void) type;
        (void) ftw;
        if (remove(path) < 0 && errno == EPERM && S_ISREG(st->st_mode)) {
                make_mutable(path);
                (void) remove(path);
        }
        return 0; /* go on: a mount point is for unmount_below() */
}

/* A killed worker leaves its file system mounted, as it should. Whatever serves it (ceph-fuse) ends with the mount. */
static void unmount_below(const char *dir)
{
        FILE *table = setmntent("/proc/self/mounts", "re");

        if (!table)
                return;
        for (struct mntent *m; (m = getmntent(table));) {
                const char *rest = str_skip(m->mnt_dir, dir);

                if (rest && *rest == '/')
                        (void) umount2(m->mnt_dir, MNT_DETACH | UMOUNT_NOFOLLOW);
        }
        (void) endmntent(table);
}

/* Twice: what is on a mounted storage has to go as well, before it is out of sight. */
void harness_dir_remove(Harness *h)
{
        if (*h->dir) {
                (void) nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
                unmount_below(h->dir);
                (void) nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        }
        *h->dir = '\0';
}

void harness_spawn(Harness *h)
{
        char number[16];
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        (void) snprintf(number, sizeof(number), "%d", pair[1]);
        h->pid = fork();
        assert_true(h->pid >= 0);
        if (h->pid == 0) {
                (void) fcntl(pair[1], F_SETFD, 0);
                if (h->faults)
                        (void) setenv("STORAGED_FAULTS", h->faults, 1);
                (void) execl(h->worker, h->worker, "--plugin", h->plugin, "--fd", number, "--log-level", "7",
                             (char *) NULL);
                _exit(127);
        }
        (void) close(pair[1]);
        h->socket = pair[0];
        h->call = 0;
}

static int wait_for_end(Harness *h)
{
        int status = 0;

        for (int i = 0; i < PATIENCE_MSEC / 10; i++) {
                pid_t pid = waitpid(h->pid, &status, WNOHANG);

                assert_true(pid >= 0);
                if (pid == h->pid) {
                        h->pid = 0;
                        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
                }
                (void) poll(NULL, 0, 10);
        }
        (void) kill(h->pid, SIGKILL);
        (void) waitpid(h->pid, &status, 0);
        h->pid = 0;
        fail_msg("the worker did not end");
        return -1;
}

int harness_end(Harness *h)
{
        frame_assembler_deinit(&h->assembler);
        if (h->socket >= 0)
                (void) close(h->socket);
        h->socket = -EBADF;
        return h->pid > 0 ? wait_for_end(h) : 0;
}

void harness_kill(Harness *h)
{
        (void) kill(h->pid, SIGKILL);
        assert_int_equal(harness_end(h), 128 + SIGKILL);
}

void harness_send(Harness *h, int fd, const char *op, const char *args_text)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        jsonw_object_begin(&b);
        jsonw_key(&b, "op");
        jsonw_string(&b, op);
        if (args_text) {
                jsonw_key(&b, "args");
                jsonw_raw(&b, args_text, strlen(args_text));
        }
        jsonw_object_end(&b);
        assert_int_equal(strbuf_error(&b), 0);
        assert_int_equal(frame_send(h->socket, FRAME_CALL, ++h->call, b.data, b.len, fd), 0);
}

/* False: the worker died, which it may where faults are set. */
static bool receive_frame(Harness *h, Frame *ret)
{
        static char packet[sizeof(FrameHeader) + FRAME_PIECE_MAX];
        int r;

        do {
                struct pollfd p = { .fd = h->socket, .events = POLLIN };
                int fd = -EBADF;

                if (poll(&p, 1, PATIENCE_MSEC) != 1)
                        fail_msg("no answer from the worker");
                r = frame_recv_packet(h->socket, packet, sizeof(packet), &fd);
                if (r <= 0 && h->faults)
                        return false;
                if (r <= 0)
                        fail_msg("the worker is gone");
                r = frame_assembler_feed(&h->assembler, packet, (size_t) r, fd, ret);
                assert_true(r >= 0);
        } while (r == 0);
        return true;
}

static void take_error(Harness *h, json_object *body)
{
        const char *text = json_get_string(body, "text"), *param = json_get_string(body, "param");

        h->code = (int) json_get_int(body, "code", 0);
        assert_true(h->code < 0);
        assert_non_null(text); /* a failure without a sentence is a breach as well */
        assert_true(*text);
        (void) snprintf(h->text, sizeof(h->text), "%s", text);
        (void) snprintf(h->param, sizeof(h->param), "%s", param ? param : "");
}

int harness_receive(Harness *h)
{
        (void) json_object_put(h->reply);
        h->reply = NULL;
        h->code = 0;
        h->n_progress = h->n_log = 0;
        *h->text = *h->param = '\0';
        for (;;) {
                AUTO(frame_deinit) Frame f = FRAME_INIT;
                AUTO_JSON *body = NULL;

                if (!receive_frame(h, &f)) {
                        h->code = -EPIPE;
                        return h->code;
                }
                assert_int_equal(f.call, h->call);
                assert_int_equal(json_parse(f.body.data ? f.body.data : "", f.body.len, &body), 0);
                switch (f.type) {
                case FRAME_PROGRESS:
                        h->n_progress++;
                        break;
                case FRAME_LOG:
                        h->n_log++;
                        break;
                case FRAME_ASK: /* nothing guards these calls */
                        assert_int_equal(frame_send(h->socket, FRAME_ANSWER, f.call, "{}", 2, -1), 0);
                        break;
                case FRAME_ERROR:
                        take_error(h, body);
                        return h->code;
                case FRAME_READY:
                case FRAME_REPLY:
                        h->reply = TAKE(body);
                        return 0;
                default:
                        fail_msg("a worker does not send frames of type %u", f.type);
                }
        }
}

static int callv(Harness *h, int fd, const char *op, const char *args, va_list ap)
{
        AUTO(freep) char *text = NULL;

        if (args)
                assert_true(vasprintf(&text, args, ap) >= 0);
        harness_send(h, fd, op, text);
        return harness_receive(h);
}

int harness_call(Harness *h, const char *op, const char *args, ...)
{
        va_list ap;
        int r;

        va_start(ap, args);
        r = callv(h, -1, op, args, ap);
        va_end(ap);
        return r;
}

int harness_call_fd(Harness *h, int fd, const char *op, const char *args, ...)
{
        va_list ap;
        int r;

        va_start(ap, args);
        r = callv(h, fd, op, args, ap);
        va_end(ap);
        return r;
}

void harness_add_config(const Harness *h, StrBuf *b)
{
        json_object *config = h->contract ? json_get(h->contract, "config") : NULL;
        const char *text = config ? json_text(config) : "{\"path\":\"@DIR@\"}", *at;

        for (; (at = strchr(text, '@')); text = at) {
                const char *rest = str_skip(at, "@DIR@");

                strbuf_add(b, text, (size_t) (at - text));
                strbuf_adds(b, rest ? h->dir : "@");
                at = rest ? rest : at + 1;
        }
        strbuf_adds(b, text);
}

int harness_start(Harness *h, bool with_storage)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        strbuf_addf(&b, "{\"node\":\"n1\",\"root\":\"\",\"run_dir\":\"%s\"", h->dir);
        if (with_storage) {
                strbuf_adds(&b, ",\"storage\":\"Test-1\",\"config\":");
                harness_add_config(h, &b);
        }
        strbuf_adds(&b, "}");
        harness_send(h, -1, "start", b.data);
        if (harness_receive(h) == 0)
                assert_int_equal(json_get_int(h->reply, "pid", 0), h->pid);
        return h->code;
}

bool has_word(json_object *o, const char *key, const char *word)
{
        json_object *array = json_get(o, key);

        for (size_t i = 0; json_object_is_type(array, json_type_array) && i < json_object_array_length(array); i++)
                if (str_eq(json_object_get_string(json_object_array_get_idx(array, i)), word))
                        return true;
        return false;
}

bool harness_has(const Harness *h, const char *operation)
{
        return has_word(h->description, "operations", operation);
}
