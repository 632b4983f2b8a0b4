/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The services of the host, as seen from inside a worker. While a plugin works nobody reads the socket, so the places
 * where the plugin reports back are also where the worker looks, without blocking, whether the daemon has sent
 * FRAME_CANCEL. It looks with MSG_PEEK and takes only what concerns the current call: a call sent early stays
 * queued for the main loop. A daemon that is gone cancels everything.
 */
#include "host/services.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fileid.h"
#include "base/proc.h"
#include "base/str.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/volname.h"

#define PROGRESS_EVERY_USEC (100 * USEC_PER_MSEC)

/*
 * Structs a plugin hands in begin with their size. None was ever smaller than it is today; anything else is a variable
 * nobody has set, and must not be taken for a small struct.
 */
static bool size_is_set(uint32_t size, size_t smallest)
{
        return size >= smallest && size < 1u << 16;
}

/* Copies as much of a struct as both sides know, keeps the receiver's own size. */
static void copy_sized(void *to, const void *from, size_t ours)
{
        uint32_t size;

        memcpy(&size, to, sizeof(size));
        memcpy((char *) to + sizeof(size), (const char *) from + sizeof(size),
               (size < ours ? size : ours) - sizeof(size));
}

void services_log(void *handle, int level, const char *fmt, ...)
{
        Services *s = handle;
        StrBuf b = STRBUF_INIT;
        char text[2048];
        va_list ap;

        if (level > s->log_level)
                return;
        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        if (s->socket < 0) {
                (void) fprintf(stderr, "storaged-worker: %s\n", text);
                return;
        }
        jsonw_object_begin(&b);
        jsonw_key(&b, "level");
        jsonw_int(&b, level);
        jsonw_key(&b, "text");
        jsonw_string(&b, text);
        jsonw_object_end(&b);
        if (strbuf_error(&b) == 0) /* a message that can't be sent has nobody to read it */
                (void) frame_send(s->socket, FRAME_LOG, s->call, b.data, b.len, -1);
        strbuf_deinit(&b);
}

static bool is_cancelled(Services *s)
{
        while (!s->is_cancelled && s->socket >= 0) {
                FrameHeader h;
                ssize_t n = recv(s->socket, &h, sizeof(h), MSG_PEEK | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        break;
                if (n <= 0) {
                        s->is_cancelled = true;
                        break;
                }
                if ((size_t) n < sizeof(h) || h.magic != FRAME_MAGIC || h.version != FRAME_VERSION ||
                    h.type != FRAME_CANCEL)
                        break; /* not ours to judge: the main loop will read it */
                (void) recv(s->socket, &h, sizeof(h), MSG_DONTWAIT);
                if (h.call == s->call) /* one for an earlier call came too late and means nothing now */
                        s->is_cancelled = true;
        }
        return s->is_cancelled;
}

static int service_progress(void *handle, uint64_t done, uint64_t total)
{
        Services *s = handle;
        uint64_t now = now_usec();
        char body[80];
        int n;

        if (is_cancelled(s))
                return -ECANCELED;
        if (s->socket < 0 || now < s->next_progress)
                return 0;
        s->next_progress = now + PROGRESS_EVERY_USEC;
        n = snprintf(body, sizeof(body), "{\"done\":%llu,\"total\":%llu}", (unsigned long long) done,
                     (unsigned long long) total);
        if (frame_send(s->socket, FRAME_PROGRESS, s->call, body, (size_t) n, -1) < 0)
                return -ECANCELED;
        return 0;
}

/* One whole message of the daemon; it sends only cancels and answers while a call runs. */
static int receive_answer(Services *s, StrBuf *ret)
{
        char packet[sizeof(FrameHeader) + FRAME_PIECE_MAX];

        for (;;) {
                FrameHeader h;
                ssize_t n = recv(s->socket, packet, sizeof(packet), 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < (ssize_t) sizeof(h))
                        return -ECANCELED; /* the daemon is gone */
                (void) memcpy(&h, packet, sizeof(h));
                if (h.magic != FRAME_MAGIC || h.version != FRAME_VERSION || h.call != s->call)
                        continue;
                if (h.type == FRAME_CANCEL)
                        s->is_cancelled = true;
                if (h.type != FRAME_ANSWER)
                        continue;
                strbuf_add(ret, packet + sizeof(h), (size_t) n - sizeof(h));
                return strbuf_error(ret);
        }
}

/* The daemon says that it holds the lock, and which directory that is; that it is there still, this process sees. */
static int judge_answer(const char *text, size_t len, struct storaged_error *err)
{
        AUTO_JSON *answer = NULL;
        const char *path, *id;
        FileId held, now;
        int r = json_parse(text, len, &answer);

        if (r < 0)
                return error_set(err, r, "what storaged says of the lock can't be read");
        r = (int) json_get_int(answer, "code", 0);
        if (r < 0)
                return error_set(err, r, "%s", json_get_string(answer, "text"));
        path = json_get_string(answer, "lock");
        id = json_get_string(answer, "id");
        if (!path || !id)
                return 0;
        if (fileid_parse(id, &held) >= 0 && fileid_get(path, &now) >= 0 && fileid_equal(&held, &now))
                return 0;
        return error_set(err, -ESTALE,
                         "the cluster lock %s was lost while this was under way: nothing was changed by this step; see "
                         "what is there and try again",
                         path);
}

static int service_may_commit(void *handle, struct storaged_error *err)
{
        Services *s = handle;
        AUTO(strbuf_deinit) StrBuf answer = STRBUF_INIT;
        int r = fault_point("commit.before-ask");

        if (r < 0)
                return error_set(err, r, "can't ask whether the lock still holds: %s", strerror(-r));
        if (s->socket < 0)
                return 0;
        r = frame_send(s->socket, FRAME_ASK, s->call, "{}", 2, -1);
        if (r >= 0)
                r = receive_answer(s, &answer);
        if (r >= 0 && is_cancelled(s))
                r = -ECANCELED;
        if (r < 0)
                return error_set(err, r, "storaged did not say that the lock still holds: %s", strerror(-r));
        return judge_answer(answer.data, answer.len, err);
}

/* A plugin's run: its own userdata for its lines, ours for the question whether to go on. */
typedef struct ServiceRun {
        Services *services;
        const struct storaged_proc *proc;
} ServiceRun;

static int run_cancelled(void *userdata)
{
        ServiceRun *run = userdata;

        return is_cancelled(run->services);
}

static void run_progress(void *userdata, const char *line)
{
        ServiceRun *run = userdata;

        run->proc->progress(run->proc->userdata, line);
}

/* The nearer of the plugin's deadline and what is left of the call's. */
static uint64_t run_deadline_ms(const Services *s, uint64_t wanted_ms)
{
        uint64_t now = now_usec(), left;

        if (s->deadline == UINT64_MAX)
                return wanted_ms;
        left = s->deadline > now ? (s->deadline - now) / USEC_PER_MSEC : 0;
        if (left == 0)
                left = 1;
        return wanted_ms > 0 && wanted_ms < left ? wanted_ms : left;
}

static int service_proc_run(void *handle, const struct storaged_proc *given, struct storaged_proc_result *ret,
                            struct storaged_error *err)
{
        Services *s = handle;
        struct storaged_proc proc = { .size = sizeof(proc), .stdin_fd = -1, .stdout_fd = -1 };
        struct storaged_proc_result result = { .size = sizeof(result) };
        ServiceRun run = { s, &proc };
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec;
        int status;

        if (!size_is_set(given->size, sizeof(proc)) || !size_is_set(ret->size, sizeof(result)))
                return error_set(err, -EINVAL, "proc_run() was called with a struct whose size is not set");
        proc.size = given->size;
        copy_sized(&proc, given, sizeof(proc));
        spec = (ProcSpec){
                .argv = proc.argv,
                .stdin_fd = proc.stdin_fd,
                .stdout_fd = proc.stdout_fd,
                .keep_fds = proc.keep_fds,
                .deadline_ms = run_deadline_ms(s, proc.deadline_ms),
                .progress = proc.progress ? run_progress : NULL,
                .cancelled = run_cancelled,
                .userdata = &run,
        };
        status = proc_run(&spec, &r, err);
        result.timed_out = r.timed_out;
        if (status >= 0) {
                result.status = r.status;
                result.out_len = r.out_len;
                result.out = TAKE(r.out);
                memcpy(result.last_error, r.last_error, sizeof(result.last_error));
        }
        copy_sized(ret, &result, sizeof(result));
        return status;
}

static int service_fault(void *handle, const char *name)
{
        (void) handle;
        return fault_point(name);
}

static int service_parse_volname(void *handle, const char *volname, struct storaged_volname *ret,
                                 struct storaged_error *err)
{
        Services *s = handle;
        struct storaged_volname v = { .size = sizeof(v) };
        int r;

        if (!size_is_set(ret->size, sizeof(v)))
                return error_set(err, -EINVAL, "parse_volname() was called with a struct whose size is not set");
        r = volname_parse(s->naming, volname, &v, err);
        if (r < 0)
                return r;
        copy_sized(ret, &v, sizeof(v));
        return 0;
}

static int service_next_disk_name(void *handle, uint32_t vmid, const char *prefix, const char *const *used,
                                  size_t n_used, char *ret, size_t ret_size, struct storaged_error *err)
{
        (void) handle;
        return volname_next_disk(vmid, prefix, "", used, n_used, ret, ret_size, err);
}

/* No handlers of exit run: threads of the library are still at work. */
static void service_give_up(void *handle, const struct storaged_error *why)
{
        Services *s = handle;
        StrBuf b = STRBUF_INIT;

        jsonw_object_begin(&b);
        jsonw_key(&b, "code");
        jsonw_int(&b, why->code);
        jsonw_key(&b, "param");
        jsonw_string(&b, why->param);
        jsonw_key(&b, "text");
        jsonw_string(&b, why->text);
        jsonw_key(&b, "ends");
        jsonw_raw(&b, "true", 4); /* so that no call is sent to a process that is about to be gone */
        jsonw_object_end(&b);
        if (s->socket >= 0 && strbuf_error(&b) == 0)
                (void) frame_send(s->socket, FRAME_ERROR, s->call, b.data, b.len, -1); /* or the daemon is gone */
        _exit(EXIT_FAILURE);
}

void services_init(Services *s, int socket, int log_level, uint32_t naming)
{
        *s = (Services){
                .host = {
                        .size = sizeof(s->host),
                        .node = "",
                        .root = "",
                        .run_dir = "",
                        .handle = s,
                        .log = services_log,
                        .progress = service_progress,
                        .proc_run = service_proc_run,
                        .fault = service_fault,
                        .parse_volname = service_parse_volname,
                        .next_disk_name = service_next_disk_name,
                        .give_up = service_give_up,
                        .may_commit = service_may_commit,
                },
                .socket = socket,
                .log_level = log_level,
                .naming = naming,
                .deadline = UINT64_MAX,
        };
}

void services_deinit(Services *s)
{
        free(s->node);
        free(s->root);
        free(s->run_dir);
        s->node = s->root = s->run_dir = NULL;
        s->host.node = s->host.root = s->host.run_dir = "";
}

int services_set_place(Services *s, const char *node, const char *root, const char *run_dir)
{
        AUTO(freep) char *n = strdup(node ? node : "");
        AUTO(freep) char *r = strdup(root ? root : "");
        AUTO(freep) char *d = strdup(run_dir ? run_dir : "");

        if (!n || !r || !d)
                return -ENOMEM;
        services_deinit(s);
        s->host.node = s->node = TAKE(n);
        s->host.root = s->root = TAKE(r);
        s->host.run_dir = s->run_dir = TAKE(d);
        return 0;
}

void services_begin(Services *s, uint32_t call, uint64_t deadline_ms)
{
        uint64_t usec;

        s->call = call;
        s->next_progress = 0;
        s->is_cancelled = false;
        if (deadline_ms == 0 || __builtin_mul_overflow(deadline_ms, USEC_PER_MSEC, &usec) ||
            __builtin_add_overflow(usec, now_usec(), &s->deadline))
                s->deadline = UINT64_MAX;
}
