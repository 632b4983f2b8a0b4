/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes behind the workers, and the pool that counts them. A process is the pool's from its start until the
 * kernel has let it go, whatever its owner does: asked to end (its socket is closed), then killed with its group, then
 * counted as abandoned, as it hangs in the kernel.
 */
#include "host/worker-process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define KILL_GRACE_USEC (2 * USEC_PER_SEC)
#define WORKER_SOCKET_FD 3

static void process_free(Process *p)
{
        for (Process **i = &p->pool->processes; *i; i = &(*i)->next)
                if (*i == p) {
                        *i = p->next;
                        break;
                }
        p->pool->n_processes--;
        p->pool->n_abandoned -= p->is_abandoned;
        (void) sd_event_source_disable_unref(p->child);
        (void) sd_event_source_disable_unref(p->kill_timer);
        free(p->label);
        free(p);
}

static int on_kill_timer(sd_event_source *source, uint64_t usec, void *userdata);

void process_arm(Process *p, uint64_t after_usec)
{
        int r;

        if (p->kill_timer) {
                (void) sd_event_source_set_time_relative(p->kill_timer, after_usec);
                (void) sd_event_source_set_enabled(p->kill_timer, SD_EVENT_ONESHOT);
                return;
        }
        r = sd_event_add_time_relative(p->pool->event, &p->kill_timer, CLOCK_MONOTONIC, after_usec, 0, on_kill_timer,
                                       p);
        if (r < 0 && r != -ESTALE)             /* the loop is over: worker_pool_free() sees to it */
                (void) kill(-p->pid, SIGKILL); /* no timer, no grace */
}

void process_kill(Process *p)
{
        if (p->is_killed)
                return;
        p->is_killed = true;
        if (kill(-p->pid, SIGKILL) < 0)
                (void) kill(p->pid, SIGKILL);
        process_arm(p, KILL_GRACE_USEC);
}

/* The grace is over: first to be asked, then killed, then given up (it sits in the kernel). */
static int on_kill_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Process *p = userdata;

        (void) source;
        (void) usec;
        if (!p->is_killed) {
                process_kill(p);
        } else if (!p->is_abandoned) {
                p->is_abandoned = true;
                p->pool->n_abandoned++;
        }
        return 0;
}

static int on_child(sd_event_source *source, const siginfo_t *si, void *userdata)
{
        siginfo_t how = *si; /* it is the source's, which goes with the process */
        Process *p = userdata;
        AUTO(freep) char *label = TAKE(p->label);
        worker_ended_fn ended = p->is_killed || how.si_code != CLD_EXITED || how.si_status != 0 ? p->ended : NULL;
        void *ended_userdata = p->ended_userdata;
        Worker *w;

        (void) source;
        if (p->worker)
                worker_drain(p->worker); /* it may have answered before it ended */
        w = p->worker;                   /* what it answered may have made its owner let go of it */
        process_free(p);
        if (w)
                worker_on_exit(w, &how);
        if (ended)
                ended(ended_userdata, label);
        return 0;
}

static int process_spawn(WorkerPool *pool, const char *plugin_path, int socket, pid_t *ret)
{
        char fd_arg[16], level_arg[] = "6";
        char *argv[] = { pool->worker_path,
                         (char *) "--plugin",
                         (char *) plugin_path,
                         (char *) "--fd",
                         fd_arg,
                         (char *) "--log-level",
                         level_arg,
                         NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none, all;
        int r;

        (void) snprintf(fd_arg, sizeof(fd_arg), "%d", WORKER_SOCKET_FD);
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attr);
        if (r != 0) {
                (void) posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        (void) posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        (void) posix_spawn_file_actions_adddup2(&actions, socket, WORKER_SOCKET_FD);
        (void) posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        (void) posix_spawnattr_setpgroup(&attr, 0);
        (void) posix_spawnattr_setsigmask(&attr, &none);
        (void) posix_spawnattr_setsigdefault(&attr, &all);
        r = posix_spawn(ret, pool->worker_path, &actions, &attr, argv, environ);
        (void) posix_spawnattr_destroy(&attr);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

int process_start(WorkerPool *pool, const WorkerSpec *spec, int socket, Worker *owner, Process **ret)
{
        Process *p = calloc(1, sizeof(*p));
        int r = -ENOMEM;

        if (!p)
                return r;
        p->label = strdup(spec->label);
        if (p->label)
                r = process_spawn(pool, spec->plugin_path, socket, &p->pid);
        if (r < 0) {
                free(p->label);
                free(p);
                return r;
        }
        p->ended = spec->ended;
        p->ended_userdata = spec->ended_userdata;
        p->pool = pool;
        p->next = pool->processes;
        pool->processes = p;
        pool->n_processes++;
        p->worker = owner;
        r = sd_event_add_child(pool->event, &p->child, p->pid, WEXITED, on_child, p);
        if (r < 0) {
                (void) process_abort(p);
                return r;
        }
        *ret = p;
        return 0;
}

Process *process_abort(Process *p)
{
        (void) kill(-p->pid, SIGKILL);
        (void) waitpid(p->pid, NULL, 0);
        process_free(p);
        return NULL;
}

/* --- the pool */

int worker_pool_new(WorkerPool **ret, sd_event *event, const char *worker_path, const WorkerLimits *limits)
{
        AUTO(worker_pool_freep) WorkerPool *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->event = sd_event_ref(event);
        p->limits = *limits;
        p->worker_path = strdup(worker_path);
        if (!p->worker_path)
                return -ENOMEM;

        *ret = TAKE(p);
        return 0;
}

/*
 * Idle workers have seen end-of-file and take leave of their servers: a client of Ceph that dies without a word keeps
 * watches and promises that hold others up for half a minute.
 */
static void pool_wait_for_ends(const WorkerPool *p)
{
        uint64_t until = now_usec() + END_GRACE_USEC;

        for (const Process *i = p->processes; i; i = i->next) {
                AUTO(closep) int fd = i->is_killed ? -EBADF : (int) syscall(SYS_pidfd_open, i->pid, 0);
                struct pollfd end = { .fd = fd, .events = POLLIN };
                uint64_t now = now_usec();

                if (fd >= 0 && now < until)
                        (void) poll(&end, 1, (int) ((until - now) / USEC_PER_MSEC));
        }
}

WorkerPool *worker_pool_free(WorkerPool *p)
{
        if (!p)
                return NULL;
        pool_wait_for_ends(p);
        /* Owners have freed their workers; what is left gets no further grace. */
        while (p->processes) {
                Process *process = p->processes;

                process->worker = NULL;
                (void) kill(-process->pid, SIGKILL);
                if (!process->is_abandoned)
                        (void) waitpid(process->pid, NULL, 0);
                process_free(process);
        }
        (void) sd_event_unref(p->event);
        free(p->worker_path);
        free(p);
        return NULL;
}

unsigned worker_pool_count(const WorkerPool *p)
{
        return p->n_processes - p->n_abandoned;
}

unsigned worker_pool_count_abandoned(const WorkerPool *p)
{
        return p->n_abandoned;
}

WorkerLimits worker_pool_get_limits(const WorkerPool *p)
{
        return p->limits;
}

/* --- limits */

/* Of the limit a quarter is kept from the storages' own workers, so that definitions can be changed and tasks run. */
static unsigned limit_for(const WorkerPool *p, const WorkerSpec *spec)
{
        unsigned max = p->limits.max_workers, kept = max >= 4 ? max / 4 : max > 1;

        return spec->is_lasting ? max - kept : max;
}

int worker_pool_check_limits(const WorkerPool *p, const WorkerSpec *spec, struct storaged_error *err)
{
        const char *label = spec->label;

        if (p->n_abandoned >= p->limits.max_abandoned)
                return error_set(err, -EAGAIN,
                                 "%s: no worker can be started: %u workers hang in the kernel (limit %u); see which "
                                 "storage is dead with 'pvesm status', or raise --max-abandoned",
                                 label, p->n_abandoned, p->limits.max_abandoned);
        if (worker_pool_count(p) >= limit_for(p, spec))
                return error_set(err, -EAGAIN,
                                 "%s: no worker can be started: %u are running (limit %u%s); wait for tasks to end, or "
                                 "raise --max-workers",
                                 label, worker_pool_count(p), p->limits.max_workers,
                                 spec->is_lasting ? ", some of it kept for tasks" : "");
        return 0;
}
