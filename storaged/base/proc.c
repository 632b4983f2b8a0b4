/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running a program. All that allocates is done before fork(): the child only moves descriptors and
 * executes, and tells over a close-on-exec pipe if that failed. The parent waits in one poll() loop for the
 * process (pidfd), its output and the clock. The child leads a group of its own, so that what it starts goes
 * with it, and dies with us: a killed worker must not leave a qemu-img that writes on.
 *
 * What has no end here: a child that hangs in the kernel after SIGKILL is waited for, since it may still
 * write. Whoever must not wait runs this in a worker.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define CANCEL_EVERY_USEC (200 * USEC_PER_MSEC)
#define KILL_AFTER_USEC (2 * USEC_PER_SEC)
#define LINE_MAX_BYTES 4096

typedef struct Line {
        char text[LINE_MAX_BYTES];
        size_t len;
} Line;

typedef struct Run {
        const ProcSpec *spec;
        pid_t pid;
        int pidfd, out_fd, err_fd; /* -EBADF once ended */
        StrBuf out;
        Line out_line, err_line;
        char last_error[sizeof(((ProcResult *) NULL)->last_error)];
        uint64_t deadline, next_cancel, kill_at; /* usec; UINT64_MAX: never */
        int verdict;                             /* why it was ended, or 0 */
} Run;

void proc_result_deinit(ProcResult *r)
{
        free(r->out);
        *r = PROC_RESULT_INIT;
}

/* Our environment with LC_ALL=C.UTF-8: outputs are parsed, messages are shown. Strings stay the environment's. */
static char **environment_make(void)
{
        static char lc_all[] = "LC_ALL=C.UTF-8";
        size_t n = 0, k = 0;
        char **env;

        while (environ && environ[n])
                n++;
        env = calloc(n + 2, sizeof(*env));
        if (!env)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (!str_skip(environ[i], "LC_ALL=") && !str_skip(environ[i], "LANGUAGE="))
                        env[k++] = environ[i];
        env[k] = lc_all;
        return env;
}

/* Above the standard descriptors, so that moving one onto 0, 1 or 2 never overwrites another. */
static int pipe_above_stdio(int ret[2])
{
        int raw[2];
        int r = 0;

        if (pipe2(raw, O_CLOEXEC) < 0)
                return -errno;
        for (int i = 0; i < 2; i++) {
                ret[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
                if (ret[i] < 0 && r == 0)
                        r = -errno;
        }
        for (int i = 0; i < 2; i++) {
                (void) close(raw[i]);
                if (r < 0)
                        closep(&ret[i]);
        }
        return r;
}

/* --- in the child, between fork and exec: async-signal-safe calls only */

static int child_set_stdio(const int from[3])
{
        int high[3];

        for (int i = 0; i < 3; i++) {
                high[i] = from[i] >= 0 ? fcntl(from[i], F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_RDWR | O_CLOEXEC);
                if (high[i] < 0)
                        return -errno;
        }
        for (int i = 0; i < 3; i++)
                if (high[i] != i && dup2(high[i], i) < 0)
                        return -errno;
        for (int i = 0; i < 3; i++)
                if (fcntl(i, F_SETFD, 0) < 0)
                        return -errno;
        return 0;
}

static int child_prepare(const ProcSpec *spec, const int stdio[3], pid_t parent)
{
        sigset_t none;
        int r;

        (void) setpgid(0, 0);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                return -ESRCH; /* it died before we asked to be told */
        for (int s = 1; s < NSIG; s++)
                (void) signal(s, SIG_DFL); /* refused for some, which have no handlers either */
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        r = child_set_stdio(stdio);
        if (r < 0)
                return r;
        if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
                return -errno;
        for (const int *fd = spec->keep_fds; fd && *fd >= 0; fd++)
                if (fcntl(*fd, F_SETFD, 0) < 0)
                        return -errno;
        return 0;
}

static _Noreturn void child_run(const ProcSpec *spec, const int stdio[3], char **env, pid_t parent, int status_fd)
{
        int r = child_prepare(spec, stdio, parent);
        ssize_t n;

        if (r >= 0) {
                (void) execvpe(spec->argv[0], (char *const *) spec->argv, env);
                r = -errno;
        }
        n = write(status_fd, &r, sizeof(r));
        _exit(n == sizeof(r) ? 127 : 126);
}

/* --- in the parent */

/* 0 once the program runs, or why it could not be started. */
static int start_status(int fd)
{
        int status = 0;
        ssize_t n;

        do
                n = read(fd, &status, sizeof(status));
        while (n < 0 && errno == EINTR);
        return n == sizeof(status) ? status : 0;
}

static int run_start(Run *run)
{
        const ProcSpec *spec = run->spec;
        AUTO(closep) int out_end = -EBADF, err_end = -EBADF, status_read = -EBADF, status_write = -EBADF;
        AUTO(freep) char **env = environment_make();
        pid_t parent = getpid();
        int ends[2], stdio[3];
        int r;

        if (!env)
                return -ENOMEM;
        if (spec->stdout_fd < 0) {
                r = pipe_above_stdio(ends);
                if (r < 0)
                        return r;
                run->out_fd = ends[0];
                out_end = ends[1];
        }
        r = pipe_above_stdio(ends);
        if (r < 0)
                return r;
        run->err_fd = ends[0];
        err_end = ends[1];
        r = pipe_above_stdio(ends);
        if (r < 0)
                return r;
        status_read = ends[0];
        status_write = ends[1];

        stdio[0] = spec->stdin_fd;
        stdio[1] = spec->stdout_fd >= 0 ? spec->stdout_fd : out_end;
        stdio[2] = err_end;
        run->pid = fork();
        if (run->pid < 0)
                return -errno;
        if (run->pid == 0)
                child_run(spec, stdio, env, parent, status_write);
        (void) setpgid(run->pid, run->pid); /* the child does the same: whoever is first */
        closep(&status_write);
        status_write = -EBADF;
        r = start_status(status_read);
        if (r < 0) {
                (void) waitpid(run->pid, NULL, 0);
                return r;
        }
        run->pidfd = pidfd_open(run->pid, 0);
        if (run->pidfd < 0) {
                r = -errno;
                (void) kill(-run->pid, SIGKILL);
                (void) waitpid(run->pid, NULL, 0);
                return r;
        }
        return 0;
}

/* Asks it to end, for the first reason given. */
static void run_end(Run *run, int verdict)
{
        if (run->verdict)
                return;
        run->verdict = verdict;
        run->kill_at = now_usec() + KILL_AFTER_USEC;
        (void) kill(-run->pid, SIGTERM);
        (void) kill(-run->pid, SIGCONT); /* a stopped process does not see SIGTERM */
}

static void take_stdout_line(Run *run)
{
        Line *l = &run->out_line;

        if (l->len == 0)
                return;
        l->text[l->len] = '\0';
        l->len = 0;
        run->spec->progress(run->spec->userdata, l->text);
}

static void take_stderr_line(Run *run)
{
        Line *l = &run->err_line;
        size_t n = l->len < sizeof(run->last_error) ? l->len : sizeof(run->last_error) - 1;

        if (l->len == 0)
                return;
        for (size_t i = 0; i < n; i++)
                run->last_error[i] = (unsigned char) l->text[i] < 0x20 || l->text[i] == 0x7f ? ' ' : l->text[i];
        run->last_error[n] = '\0';
        l->len = 0;
}

/* Splits at \r and \n; what is longer than a line can hold is cut. */
static void line_feed(Run *run, Line *l, const char *p, size_t n, void (*take)(Run *))
{
        for (size_t i = 0; i < n; i++) {
                if (p[i] == '\n' || p[i] == '\r' || p[i] == '\0')
                        take(run);
                else if (l->len < sizeof(l->text) - 1)
                        l->text[l->len++] = p[i];
        }
}

static void take_output(Run *run, bool is_stderr, const char *p, size_t n)
{
        if (is_stderr)
                line_feed(run, &run->err_line, p, n, take_stderr_line);
        else if (run->spec->progress)
                line_feed(run, &run->out_line, p, n, take_stdout_line);
        else if (n > PROC_OUTPUT_MAX - run->out.len)
                run_end(run, -EFBIG);
        else
                strbuf_add(&run->out, p, n);
        if (strbuf_error(&run->out) < 0)
                run_end(run, strbuf_error(&run->out));
}

/* Reads once. False: nothing more for now, or for good. */
static bool drain_once(Run *run, int *fd)
{
        char buf[16384];
        ssize_t n = read(*fd, buf, sizeof(buf));

        if (n > 0) {
                take_output(run, fd == &run->err_fd, buf, (size_t) n);
                return true;
        }
        if (n < 0 && errno == EINTR)
                return true;
        if (n == 0 || errno != EAGAIN) {
                closep(fd);
                *fd = -EBADF;
        }
        return false;
}

/* What had been written when it ended; a grandchild that keeps the pipe open is not waited for. */
static void drain_rest(Run *run)
{
        int *fds[] = { &run->out_fd, &run->err_fd };

        for (size_t i = 0; i < 2; i++) {
                if (*fds[i] < 0 || fcntl(*fds[i], F_SETFL, O_NONBLOCK) < 0)
                        continue;
                for (unsigned k = 0; k < PROC_OUTPUT_MAX / 4096 && drain_once(run, fds[i]); k++)
                        ;
        }
        if (run->spec->progress)
                take_stdout_line(run);
        take_stderr_line(run);
}

/* Acts on the clock; gives the milliseconds until it is to be asked again. */
static int run_tick(Run *run)
{
        uint64_t now = now_usec(), next;

        if (now >= run->deadline)
                run_end(run, -ETIMEDOUT);
        if (run->spec->cancelled && now >= run->next_cancel && !run->verdict) {
                run->next_cancel = now + CANCEL_EVERY_USEC;
                if (run->spec->cancelled(run->spec->userdata) != 0)
                        run_end(run, -ECANCELED);
        }
        if (now >= run->kill_at) {
                (void) kill(-run->pid, SIGKILL);
                run->kill_at = UINT64_MAX;
        }
        next = run->verdict ? run->kill_at : run->deadline;
        if (run->spec->cancelled && !run->verdict && run->next_cancel < next)
                next = run->next_cancel;
        if (next == UINT64_MAX)
                return -1;
        now = now_usec();
        if (next <= now)
                return 0;
        return next - now > INT_MAX ? INT_MAX : (int) ((next - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

static int run_wait(Run *run)
{
        for (;;) {
                struct pollfd p[] = {
                        { .fd = run->pidfd, .events = POLLIN },
                        { .fd = run->out_fd, .events = POLLIN },
                        { .fd = run->err_fd, .events = POLLIN },
                };

                if (poll(p, 3, run_tick(run)) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (p[0].revents) {
                        drain_rest(run);
                        return 0;
                }
                if (p[1].revents)
                        (void) drain_once(run, &run->out_fd);
                if (p[2].revents)
                        (void) drain_once(run, &run->err_fd);
        }
}

static int run_reap(Run *run, int *ret_status)
{
        int status;
        pid_t pid;

        do
                pid = waitpid(run->pid, &status, 0);
        while (pid < 0 && errno == EINTR);
        if (pid < 0)
                return -errno;
        *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return 0;
}

static int error_of_start(const ProcSpec *spec, int r, struct storaged_error *err)
{
        if (r == -ENOENT)
                return error_set(err, r, "can't run %s: there is no such program; install the package that has it",
                                 spec->argv[0]);
        return error_set(err, r, "can't run %s: %s", spec->argv[0], strerror(-r));
}

static int error_of_verdict(const Run *run, struct storaged_error *err)
{
        const char *name = run->spec->argv[0];

        switch (run->verdict) {
        case -ETIMEDOUT:
                return error_set(err, -ETIMEDOUT, "%s was not done after %llu ms and has been ended%s%s", name,
                                 (unsigned long long) run->spec->deadline_ms, *run->last_error ? "; it said: " : "",
                                 run->last_error);
        case -ECANCELED:
                return error_set(err, -ECANCELED, "%s has been ended because the call was cancelled", name);
        case -EFBIG:
                return error_set(err, -EFBIG, "%s printed more than %u bytes and has been ended", name,
                                 PROC_OUTPUT_MAX);
        default:
                return error_set(err, run->verdict, "%s has been ended: %s", name, strerror(-run->verdict));
        }
}

static void run_deinit(Run *run)
{
        closep(&run->pidfd);
        closep(&run->out_fd);
        closep(&run->err_fd);
        strbuf_deinit(&run->out);
}

static int spec_check(const ProcSpec *spec, struct storaged_error *err)
{
        if (!spec->argv || !spec->argv[0])
                return error_set(err, -EINVAL, "no program to run was named");
        for (const int *fd = spec->keep_fds; fd && *fd >= 0; fd++)
                if (*fd < 3)
                        return error_set(err, -EINVAL, "%s can't inherit descriptor %d beside its standard ones",
                                         spec->argv[0], *fd);
        return 0;
}

static uint64_t deadline_of(const ProcSpec *spec)
{
        uint64_t usec;

        if (spec->deadline_ms == 0 || __builtin_mul_overflow(spec->deadline_ms, USEC_PER_MSEC, &usec) ||
            __builtin_add_overflow(usec, now_usec(), &usec))
                return UINT64_MAX;
        return usec;
}

int proc_run(const ProcSpec *spec, ProcResult *ret, struct storaged_error *err)
{
        AUTO(run_deinit)
        Run run = {
                .spec = spec,
                .pidfd = -EBADF,
                .out_fd = -EBADF,
                .err_fd = -EBADF,
                .kill_at = UINT64_MAX,
                .deadline = deadline_of(spec),
        };
        int status = 0, r;

        r = spec_check(spec, err);
        if (r < 0)
                return r;
        r = run_start(&run);
        if (r < 0)
                return error_of_start(spec, r, err);
        r = run_wait(&run);
        if (r < 0)
                (void) kill(-run.pid, SIGKILL); /* poll() failed: there is no other way to end */
        if (r >= 0)
                r = run_reap(&run, &status);
        else
                (void) run_reap(&run, &status);
        if (r < 0)
                return error_set(err, r, "lost track of %s: %s", spec->argv[0], strerror(-r));
        if (run.verdict) {
                ret->timed_out = run.verdict == -ETIMEDOUT;
                return error_of_verdict(&run, err);
        }

        *ret = (ProcResult){ .status = status, .out_len = run.out.len };
        memcpy(ret->last_error, run.last_error, sizeof(ret->last_error));
        ret->out = strbuf_take(&run.out);
        return ret->out ? 0 : -ENOMEM;
}
