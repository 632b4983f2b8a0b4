/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Long work is a task of the daemon's; here it is only watched. The daemon holds the status request back until
 * there is news behind the number we have seen, so nothing is polled. Signals come as a descriptor that ends
 * that request: the first ^C becomes a request to stop, and the end of the task is still waited for.
 */
#include "cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/progress.h"
#include "wire/json.h"

#define WAIT_SECONDS "25"
#define LOG_LIMIT 5000u
#define SPIN_USEC (100 * USEC_PER_MSEC)
#define SPIN_PAUSE_MS 250

typedef struct Follow {
        Cli *cli;
        const char *upid;
        StrBuf path; /* of the task, without a tail */
        FILE *log;
        Progress progress;
        uint64_t seen;    /* number of the last news */
        uint64_t n_lines; /* of the log, printed */
        int signal_fd;
        sigset_t old_mask;
        unsigned n_signals;
} Follow;

static void follow_deinit(Follow *f)
{
        progress_clear(&f->progress);
        if (f->cli->client)
                client_set_interrupt(f->cli->client, -1);
        if (f->signal_fd >= 0) {
                closep(&f->signal_fd);
                (void) sigprocmask(SIG_SETMASK, &f->old_mask, NULL);
        }
        strbuf_deinit(&f->path);
}

static int follow_init(Follow *f, const char *upid)
{
        sigset_t mask;

        cli_add_node(f->cli, &f->path);
        strbuf_adds(&f->path, "/tasks/");
        client_add_encoded(&f->path, upid, ":@");
        if (strbuf_error(&f->path) < 0)
                return -ENOMEM;
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &mask, &f->old_mask);
        f->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (f->signal_fd < 0) {
                (void) sigprocmask(SIG_SETMASK, &f->old_mask, NULL);
                return -errno;
        }
        if (f->cli->client)
                client_set_interrupt(f->cli->client, f->signal_fd);
        return 0;
}

static int get(Follow *f, const char *method, const char *tail, const StrBuf *params, Answer *ret,
               struct storaged_error *err)
{
        AUTO(freep) char *path = NULL;
        Request rq = { .method = method, .params = params };

        if (str_printf(&path, "%s%s", f->path.data, tail) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        rq.path = path;
        return cli_try_call(f->cli, &rq, ret, err);
}

static bool is_end_line(const char *s)
{
        return str_eq(s, "TASK OK") || str_skip(s, "TASK ERROR: ") || str_skip(s, "TASK WARNINGS: ");
}

static void print_lines(Follow *f, json_object *lines)
{
        for (size_t i = 0; i < json_object_array_length(lines); i++) {
                const char *text = json_get_string(json_object_array_get_idx(lines, i), "t");

                f->n_lines++;
                if (!text || is_end_line(text))
                        continue;
                progress_clear(&f->progress);
                output_text(f->log, text);
                (void) fputc('\n', f->log);
        }
        (void) fflush(f->log);
}

/* What the log has more than we have printed. A failure here is no failure of the task. */
static int show_log(Follow *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        for (;;) {
                AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
                AUTO(answer_deinit) Answer a = ANSWER_INIT;
                uint64_t before = f->n_lines;
                int r;

                strbuf_addf(&params, "start=%llu&limit=%u", (unsigned long long) f->n_lines, LOG_LIMIT);
                r = get(f, "GET", "/log", &params, &a, &err);
                if (r == -EINTR)
                        return r;
                if (r < 0 || a.status != 200 || !json_object_is_type(a.data, json_type_array))
                        return 0;
                print_lines(f, a.data);
                if (f->n_lines - before < LOG_LIMIT)
                        return 0;
        }
}

/* A signal came. 0: go on waiting; 1: leave. */
static int on_signal(Follow *f)
{
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct signalfd_siginfo info;
        bool leaves = false;

        while (read(f->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
                f->n_signals++;
                leaves |= info.ssi_signo != SIGINT;
        }
        progress_clear(&f->progress);
        if (f->n_signals > 1 || (leaves && f->n_signals > 0)) {
                (void) cli_error("left; how the task ends: pvesm task status '%s'", f->upid);
                return 1;
        }
        (void) fputs("stopping the task; once more ^C leaves it alone\n", stderr);
        if (get(f, "DELETE", "", NULL, &a, &err) < 0)
                (void) cli_error("%s", err.text);
        return 0;
}

/* The next status behind what we have seen: 0 with *ret, an exit code, or -EINTR. */
static int next_status(Follow *f, Answer *ret)
{
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        uint64_t before = now_usec(), seen = f->seen;
        int r;

        strbuf_addf(&params, "wait=" WAIT_SECONDS "&seen=%llu", (unsigned long long) seen);
        r = get(f, "GET", "/status", &params, ret, &err);
        if (r == -EINTR)
                return r;
        if (r < 0) {
                progress_clear(&f->progress);
                return cli_error("%s; how the task ended: pvesm task status '%s'", err.text, f->upid);
        }
        if (ret->status != 200) {
                progress_clear(&f->progress);
                return cli_refused(f->cli, ret);
        }
        f->seen = json_get_uint(ret->data, "seq", seen);
        if (f->seen == seen && now_usec() - before < SPIN_USEC &&
            !str_eq(json_get_string(ret->data, "status"), "stopped")) {
                struct pollfd p = { .fd = f->signal_fd, .events = POLLIN };

                (void) poll(&p, 1, SPIN_PAUSE_MS); /* answered at once with nothing new: don't ask in circles */
        }
        return 0;
}

static int finish(Follow *f, json_object *status, json_object **ret_result)
{
        const char *end = json_get_string(status, "exitstatus");
        json_object *result = json_get(status, "result");

        progress_clear(&f->progress);
        if (!end || (!str_eq(end, "OK") && !str_skip(end, "WARNINGS"))) {
                (void) fflush(stdout);
                return cli_error("%s", end ? end : "the task ended without saying how");
        }
        if (ret_result)
                *ret_result = json_object_get(result);
        return CLI_OK;
}

static int follow_run(Follow *f, json_object **ret_result)
{
        for (;;) {
                AUTO(answer_deinit) Answer a = ANSWER_INIT;
                uint64_t before = f->seen;
                json_object *progress;
                bool is_over;
                int r;

                r = next_status(f, &a);
                if (r > 0)
                        return r;
                is_over = r == 0 && str_eq(json_get_string(a.data, "status"), "stopped");
                if (r == 0 && f->log && (is_over || f->seen != before))
                        r = show_log(f);
                if (r == -EINTR && on_signal(f))
                        return CLI_FAILED;
                if (is_over)
                        return finish(f, a.data, ret_result);
                progress = json_get(a.data, "progress");
                if (progress)
                        progress_update(&f->progress, json_get_uint(progress, "done", 0),
                                        json_get_uint(progress, "total", 0));
        }
}

int follow_task(Cli *c, const char *upid, FILE *log, json_object **ret_result)
{
        AUTO(follow_deinit) Follow f = { .cli = c, .upid = upid, .path = STRBUF_INIT, .log = log, .signal_fd = -EBADF };

        progress_init(&f.progress, stderr);
        if (follow_init(&f, upid) < 0)
                return cli_oom();
        return follow_run(&f, ret_result);
}

int follow_answer(Cli *c, json_object *data, FILE *log, json_object **ret_result)
{
        const char *upid = json_object_is_type(data, json_type_string) ? json_object_get_string(data) : NULL;

        if (upid && str_skip(upid, "UPID:"))
                return follow_task(c, upid, log, ret_result);
        if (ret_result)
                *ret_result = json_object_get(data);
        return CLI_OK;
}

FILE *follow_log_file(const Cli *c)
{
        return c->format == OUTPUT_TEXT ? stdout : stderr;
}
