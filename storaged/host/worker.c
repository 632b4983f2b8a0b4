/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker processes as the daemon sees them. A worker has two lives: the `Worker` that its owner talks to,
 * and the `Process` that the pool keeps until the kernel has let it go (worker-process.c). An owner may drop
 * its Worker at any moment.
 *
 * Invariants: at most one call runs per worker; a call ends exactly once, by answer, by death or by its
 * deadline; after a missed deadline nothing that the worker still says is believed.
 */
#include "host/worker-process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "wire/frame.h"
#include "wire/json.h"

#define CALL_SIZE_MAX (128u << 10) /* fits the socket's buffer, so that sending never blocks */
#define START_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define LOG_LEVEL_INFO 6

struct Worker {
        WorkerPool *pool;
        Process *process;
        char *label;
        int fd;
        sd_event_source *io, *deadline;
        FrameAssembler assembler;
        worker_gone_fn gone;
        worker_log_fn log;
        void *userdata;
        bool is_ready, is_gone, is_cancelled;

        /* the running call */
        bool has_call;
        uint32_t call_number;
        char *op, *held_body; /* held until the worker is ready */
        int held_fd;
        uint64_t timeout_usec, since_usec;
        worker_done_fn done;
        worker_progress_fn progress;
        worker_ask_fn ask;
        void *call_userdata;
};

/* --- one worker */

static void call_clear(Worker *w)
{
        w->has_call = false;
        w->is_cancelled = false;
        free(w->op);
        w->op = NULL;
        free(w->held_body);
        w->held_body = NULL;
        closep(&w->held_fd);
        w->held_fd = -EBADF;
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
}

static void call_end(Worker *w, const char *body, size_t len, const struct storaged_error *err)
{
        worker_done_fn done = w->done;
        void *userdata = w->call_userdata;

        call_clear(w);
        done(userdata, body, len, err);
}

/* It is over with this worker: the call fails, the owner is told (who may free `w` in either callback's wake). */
static void worker_end(Worker *w, const struct storaged_error *why, const struct storaged_error *call_why)
{
        worker_gone_fn gone = w->gone;
        void *userdata = w->userdata;
        worker_done_fn done = w->has_call ? w->done : NULL;
        void *call_userdata = w->call_userdata;

        if (w->is_gone)
                return;
        w->is_gone = true;
        w->io = sd_event_source_disable_unref(w->io);
        call_clear(w);
        if (w->process)
                process_kill(w->process);
        /* First the owner, so that a call made from `done` finds a new worker. */
        gone(userdata, w, why);
        if (done)
                done(call_userdata, NULL, 0, call_why);
}

static void worker_fail(Worker *w, const struct storaged_error *why)
{
        worker_end(w, why, why);
}

void worker_on_exit(Worker *w, const siginfo_t *si)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        w->process = NULL;
        if (si->si_code == CLD_EXITED)
                (void) error_set(&err, -ECONNRESET, "%s: the worker ended (exit status %d) while it did '%s'", w->label,
                                 si->si_status, w->has_call ? w->op : "nothing");
        else
                (void) error_set(&err, -ECONNRESET,
                                 "%s: the worker was killed by signal %d while it did '%s'; what it had begun "
                                 "is undone by the next worker",
                                 w->label, si->si_status, w->has_call ? w->op : "nothing");
        worker_fail(w, &err);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Worker *w = userdata;
        double waited = (double) (now_usec() - w->since_usec) / USEC_PER_SEC;

        (void) source;
        (void) usec;
        if (w->is_cancelled)
                (void) error_set(&err, -ECANCELED, "%s: '%s' was cancelled", w->label, w->op);
        else if (!w->is_ready)
                (void) error_set(&err, -ETIMEDOUT, "%s: its worker did not get ready within %.1f s", w->label, waited);
        else
                (void) error_set(&err, -ETIMEDOUT, "%s: no answer to '%s' for %.1f s; the worker was written off",
                                 w->label, w->has_call ? w->op : "", waited);
        worker_fail(w, &err);
        return 0;
}

static void deadline_arm(Worker *w, uint64_t timeout_usec)
{
        if (timeout_usec == 0) {
                (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time_relative(w->deadline, timeout_usec);
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_ONESHOT);
}

/* True: with that the process ends (`give_up` of the host's services). */
static bool error_from_frame(const Frame *f, const char *label, struct storaged_error *ret)
{
        AUTO_JSON *o = NULL;
        const char *text;

        if (json_parse(f->body.data ? f->body.data : "", f->body.len, &o) < 0) {
                (void) error_set(ret, -EPROTO, "%s: its worker sent an error that can't be read", label);
                return false;
        }
        text = json_get_string(o, "text");
        (void) error_set_param(ret, (int) json_get_int(o, "code", -EIO), json_get_string(o, "param"), "%s",
                               text ? text : "unknown error");
        if (ret->code >= 0)
                ret->code = -EIO;
        return json_get_bool(o, "ends", false);
}

static void call_send(Worker *w)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *body = TAKE(w->held_body);
        AUTO(closep) int fd = TAKE_FD(w->held_fd);
        int r;

        w->since_usec = now_usec();
        deadline_arm(w, w->timeout_usec);
        r = frame_send(w->fd, FRAME_CALL, w->call_number, body, strlen(body), fd < 0 ? -1 : fd);
        if (r == -EPIPE || r == -ECONNRESET)
                return; /* its end is on the way, with the reason */
        if (r < 0) {
                (void) error_set(&err, r, "%s: can't reach its worker: %s", w->label, strerror(-r));
                worker_fail(w, &err);
        }
}

static void on_ready(Worker *w)
{
        if (w->is_ready)
                return;
        w->is_ready = true;
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
        if (w->has_call)
                call_send(w);
}

static void on_progress_or_log(Worker *w, const Frame *f)
{
        AUTO_JSON *o = NULL;

        if (json_parse(f->body.data ? f->body.data : "", f->body.len, &o) < 0)
                return; /* lossy by design */
        if (f->type == FRAME_LOG) {
                const char *text = json_get_string(o, "text");

                if (w->log && text)
                        w->log(w->userdata, (int) json_get_int(o, "level", LOG_LEVEL_INFO), text);
                return;
        }
        if (!w->has_call || f->call != w->call_number)
                return;
        if (!w->is_cancelled)
                deadline_arm(w, w->timeout_usec); /* a sign of life */
        if (w->progress)
                w->progress(w->call_userdata, json_get_uint(o, "done", 0), json_get_uint(o, "total", 0));
}

/* The worker waits for it; an answer that does not reach it is a no. */
static void on_ask(Worker *w, const Frame *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *answer = json_object_new_object();
        const char *text;
        int r = 0;

        if (!answer)
                return;
        if (!w->has_call || f->call != w->call_number)
                r = error_set(&err, -ECANCELED, "this call was given up");
        else if (w->ask)
                r = w->ask(w->call_userdata, answer, &err);
        if (r < 0) {
                (void) json_add_int(answer, "code", r);
                (void) json_add_string(answer, "text", err.text);
        }
        text = json_text(answer);
        (void) frame_send(w->fd, FRAME_ANSWER, f->call, text, strlen(text), -1);
}

/* Returns false when `w` may be gone and no more may be read. */
static bool worker_handle(Worker *w, const Frame *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        switch (f->type) {
        case FRAME_READY:
                on_ready(w);
                return false; /* sending the held call may have ended `w` */
        case FRAME_PROGRESS:
        case FRAME_LOG:
                on_progress_or_log(w, f);
                return true;
        case FRAME_ASK:
                on_ask(w, f);
                return true;
        case FRAME_ERROR:
                if (error_from_frame(f, w->label, &err)) {
                        struct storaged_error end = STORAGED_ERROR_INIT;

                        (void) error_set(&end, -ECONNRESET, "%s: the worker gave up while it did '%s'", w->label,
                                         w->has_call ? w->op : "nothing");
                        worker_end(w, &end, &err);
                        return false;
                }
                if (!w->is_ready) {
                        worker_fail(w, &err); /* it could not start */
                        return false;
                }
                if (w->has_call && f->call == w->call_number) {
                        call_end(w, NULL, 0, &err);
                        return false;
                }
                return true;
        case FRAME_REPLY:
                if (w->has_call && f->call == w->call_number) {
                        call_end(w, f->body.data ? f->body.data : "null", f->body.data ? f->body.len : 4, NULL);
                        return false;
                }
                return true;
        default:
                return true;
        }
}

/* One packet. 1: go on; 0: nothing more now, or `w` may be gone. */
static int worker_read(Worker *w)
{
        static char buf[sizeof(FrameHeader) + FRAME_PIECE_MAX]; /* one thread, one packet at a time */
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(frame_deinit) Frame f = FRAME_INIT;
        int fd = -EBADF, n, r;

        n = frame_recv_packet(w->fd, buf, sizeof(buf), &fd);
        if (n == -EAGAIN || n == -EINTR)
                return 0;
        if (n <= 0) { /* end: the child's exit tells why; make sure it comes */
                w->io = sd_event_source_disable_unref(w->io);
                if (w->process && !w->process->is_killed)
                        process_arm(w->process, END_GRACE_USEC);
                return 0;
        }
        r = frame_assembler_feed(&w->assembler, buf, (size_t) n, fd, &f);
        if (r < 0) {
                (void) error_set(&err, -EPROTO, "%s: its worker sent something that is no frame", w->label);
                worker_fail(w, &err);
                return 0;
        }
        if (r == 0)
                return 1;
        return worker_handle(w, &f) ? 1 : 0;
}

void worker_drain(Worker *w)
{
        while (!w->is_gone && w->io && w->has_call && worker_read(w) > 0)
                ;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void) source;
        (void) fd;
        (void) revents;
        (void) worker_read(userdata); /* one packet a round: no worker holds up the others */
        return 0;
}

/* The process, its socket and their event sources; the pool has it from then on. */
static int worker_launch(Worker *w, const WorkerSpec *spec)
{
        AUTO(closep) int ours = -EBADF;
        AUTO(closep) int theirs = -EBADF;
        int fds[2], r, flags;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        ours = fds[0];
        theirs = fds[1];
        flags = fcntl(ours, F_GETFL);
        if (flags < 0 || fcntl(ours, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        r = process_start(w->pool, spec, theirs, w, &w->process);
        if (r < 0)
                return r;
        r = sd_event_add_io(w->pool->event, &w->io, ours, EPOLLIN, on_io, w);
        if (r < 0) {
                w->process = process_abort(w->process);
                return r;
        }
        w->fd = TAKE_FD(ours);
        return 0;
}

static int worker_begin(Worker *w, const WorkerSpec *spec)
{
        AUTO_JSON *call = json_object_new_object();
        const char *text;
        int r;

        if (!call)
                return -ENOMEM;
        r = json_add_string(call, "op", "start");
        if (r >= 0)
                r = json_add(call, "args", json_object_get(spec->start));
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(w->pool->event, &w->deadline, CLOCK_MONOTONIC, START_TIMEOUT_USEC, 0,
                                       on_deadline, w);
        if (r < 0)
                return r;
        w->since_usec = now_usec();
        r = worker_launch(w, spec);
        if (r < 0)
                return r;
        text = json_text(call);
        return text ? frame_send(w->fd, FRAME_CALL, 0, text, strlen(text), -1) : -ENOMEM;
}

int worker_new(WorkerPool *p, const WorkerSpec *spec, Worker **ret, struct storaged_error *err)
{
        AUTO(worker_freep) Worker *w = NULL;
        int r;

        r = worker_pool_check_limits(p, spec, err);
        if (r < 0)
                return r;
        w = calloc(1, sizeof(*w));
        if (!w)
                return error_set(err, -ENOMEM, "%s: out of memory", spec->label);
        w->pool = p;
        w->fd = -EBADF;
        w->held_fd = -EBADF;
        w->assembler = FRAME_ASSEMBLER_INIT;
        w->gone = spec->gone;
        w->log = spec->log;
        w->userdata = spec->userdata;
        w->label = strdup(spec->label);
        r = w->label ? worker_begin(w, spec) : -ENOMEM;
        if (r < 0)
                return error_set(err, r, "%s: can't start %s: %s", spec->label, p->worker_path, strerror(-r));

        *ret = TAKE(w);
        return 0;
}

Worker *worker_free(Worker *w)
{
        if (!w)
                return NULL;
        if (w->process) {
                w->process->worker = NULL;
                if (w->has_call)
                        process_kill(w->process);
                else if (!w->process->is_killed)
                        process_arm(w->process, END_GRACE_USEC);
        }
        (void) sd_event_source_disable_unref(w->io);
        (void) sd_event_source_disable_unref(w->deadline);
        closep(&w->fd);
        closep(&w->held_fd);
        frame_assembler_deinit(&w->assembler);
        free(w->op);
        free(w->held_body);
        free(w->label);
        free(w);
        return NULL;
}

static int call_text(const WorkerCall *call, char **ret)
{
        AUTO_JSON *o = json_object_new_object();
        const char *text;
        int r;

        if (!o)
                return -ENOMEM;
        r = json_add_string(o, "op", call->op);
        if (r >= 0 && call->args)
                r = json_add(o, "args", json_object_get(call->args));
        /* A little less than ours: what the worker itself gives up, it can undo and explain. */
        if (r >= 0 && call->timeout_usec)
                r = json_add_uint(o, "deadline_ms", call->timeout_usec / USEC_PER_MSEC * 9 / 10);
        if (r < 0)
                return r;
        text = json_text(o);
        if (!text)
                return -ENOMEM;
        if (strlen(text) > CALL_SIZE_MAX)
                return -EMSGSIZE;
        return str_printf(ret, "%s", text);
}

int worker_call(Worker *w, const WorkerCall *call, struct storaged_error *err)
{
        AUTO(freep) char *text = NULL;
        AUTO(closep) int fd = -EBADF;
        int r = 0;

        if (w->is_gone)
                return error_set(err, -EPIPE, "%s: its worker is gone", w->label);
        if (w->has_call)
                return error_set(err, -EBUSY, "%s: its worker is busy with '%s'", w->label, w->op);
        if (call->fd >= 0) {
                fd = fcntl(call->fd, F_DUPFD_CLOEXEC, 3);
                if (fd < 0)
                        r = -errno;
        }
        if (r >= 0)
                r = call_text(call, &text);
        if (r < 0)
                return error_set(err, r, "%s: can't call '%s': %s", w->label, call->op, strerror(-r));
        w->op = strdup(call->op);
        if (!w->op)
                return error_set(err, -ENOMEM, "%s: out of memory", w->label);
        w->has_call = true;
        w->call_number = w->call_number == UINT32_MAX ? 1 : w->call_number + 1;
        w->held_body = TAKE(text);
        w->held_fd = TAKE_FD(fd);
        w->timeout_usec = call->timeout_usec;
        w->done = call->done;
        w->progress = call->progress;
        w->ask = call->ask;
        w->call_userdata = call->userdata;
        if (w->is_ready)
                call_send(w);
        return 0;
}

void worker_cancel(Worker *w, uint64_t grace_usec)
{
        if (w->is_gone || !w->has_call || w->is_cancelled)
                return;
        w->is_cancelled = true;
        deadline_arm(w, grace_usec ? grace_usec : 1);
        if (w->is_ready)
                (void) frame_send(w->fd, FRAME_CANCEL, w->call_number, "", 0, -1); /* the deadline does it else */
}

bool worker_is_idle(const Worker *w)
{
        return !w->has_call && !w->is_gone;
}

uint64_t worker_get_busy_usec(const Worker *w)
{
        return w->has_call ? now_usec() - w->since_usec : 0;
}

int worker_get_pid(const Worker *w)
{
        return w->process ? w->process->pid : 0;
}
