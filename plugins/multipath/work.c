/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children with deadlines. A write to sysfs, an open of a device may take for ever in the kernel; then nobody can end
 * it, but whoever waits need not. A child past its deadline gets SIGKILL and is left behind: it dies when the kernel
 * lets go of it, and the worker's end reaps it. Results come over a pipe; a child that says nothing has failed.
 */
#include "multipath/work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#define OUT_MAX (1u << 20)

uint64_t work_now_ms(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static void child(const Work *w, int fd)
{
        int r;

        (void) signal(SIGPIPE, SIG_DFL);
        r = w->fn(w->arg, fd);
        /* The result is the last line, so that what was told before a deadline is worth something. */
        (void) dprintf(fd, "\n%d", r);
        _exit(0);
}

static int begin(Work *w, unsigned deadline_ms)
{
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        w->pid = fork();
        if (w->pid == 0)
                child(w, pipe_fds[1]);
        (void) close(pipe_fds[1]);
        if (w->pid < 0) {
                (void) close(pipe_fds[0]);
                return -EAGAIN;
        }
        w->fd = pipe_fds[0];
        w->end_ms = work_now_ms() + deadline_ms;
        return 0;
}

static void end(Work *w, bool is_late)
{
        char *last = w->out ? memrchr(w->out, '\n', w->out_len) : NULL; /* what is before it may be bytes */

        w->result = is_late ? -ETIMEDOUT : -ECHILD;
        if (!is_late && last && last[1]) {
                w->result = atoi(last + 1);
                *last = '\0';
                w->out_len = (size_t) (last - w->out);
        }
        if (is_late)
                (void) kill(w->pid, SIGKILL);
        (void) waitpid(w->pid, NULL, is_late ? WNOHANG : 0);
        (void) close(w->fd);
        w->pid = 0;
        w->fd = -EBADF;
}

/* True when the child has said all. */
static bool take(Work *w)
{
        char buf[4096];
        ssize_t n = read(w->fd, buf, sizeof(buf));
        char *more;

        if (n < 0 && errno == EINTR)
                return false;
        if (n <= 0 || w->out_len + (size_t) n > OUT_MAX)
                return true;
        more = realloc(w->out, w->out_len + (size_t) n + 1);
        if (!more)
                return true;
        w->out = more;
        memcpy(w->out + w->out_len, buf, (size_t) n);
        w->out_len += (size_t) n;
        w->out[w->out_len] = '\0';
        return false;
}

/* Waits for the next thing to happen among those that run; gives how many ended. */
static size_t wait_some(Work *works, size_t n, struct pollfd *fds)
{
        uint64_t now = work_now_ms(), next = UINT64_MAX;
        size_t ended = 0;

        for (size_t i = 0; i < n; i++) {
                fds[i] = (struct pollfd){ works[i].pid > 0 ? works[i].fd : -1, POLLIN, 0 };
                if (works[i].pid > 0 && works[i].end_ms < next)
                        next = works[i].end_ms;
        }
        (void) poll(fds, n, next <= now ? 0 : (int) (next - now));
        now = work_now_ms();
        for (size_t i = 0; i < n; i++) {
                Work *w = &works[i];
                bool is_late = w->pid > 0 && now >= w->end_ms;

                if (w->pid <= 0 || (!is_late && fds[i].revents == 0))
                        continue;
                if ((fds[i].revents != 0 && take(w)) || (fds[i].revents == 0 && is_late)) {
                        end(w, fds[i].revents == 0);
                        ended++;
                }
        }
        return ended;
}

int work_run(Work *works, size_t n, unsigned max, unsigned deadline_ms)
{
        AUTO(freep) struct pollfd *fds = calloc(n ? n : 1, sizeof(*fds));
        size_t next = 0, running = 0;

        if (!fds)
                return -ENOMEM;
        while (next < n || running > 0) {
                while (next < n && running < max) {
                        int r = begin(&works[next], deadline_ms);

                        if (r < 0)
                                works[next].result = r;
                        running += r >= 0;
                        next++;
                }
                if (running > 0)
                        running -= wait_some(works, next, fds);
        }
        return 0;
}

typedef struct Write {
        const char *path, *text;
} Write;

static int write_child(void *arg, int fd)
{
        const Write *w = arg;
        int file = open(w->path, O_WRONLY | O_CLOEXEC);

        (void) fd;
        if (file < 0)
                return -errno;
        return write(file, w->text, strlen(w->text)) < 0 ? -errno : 0;
}

int work_write(const char *path, const char *text, unsigned deadline_ms, struct storaged_error *err)
{
        Write w = { path, text };
        Work work = { .fn = write_child, .arg = &w };
        int r = work_run(&work, 1, 1, deadline_ms);

        if (r >= 0)
                r = work.result;
        free(work.out);
        if (r == -ETIMEDOUT)
                return error_set(err, r, "'%s' to %s has not come back for %u s; it was left behind", text, path,
                                 deadline_ms / 1000);
        if (r < 0)
                return error_set(err, r, "can't write '%s' to %s: %s", text, path, strerror(-r));
        return 0;
}
