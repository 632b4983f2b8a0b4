/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cluster locks: two daemons on one directory, dead holders, lost locks, order, fairness, no quorum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/lock-dir.h"
#include "cluster/lock.h"
#include "wire/json.h"
#include "tests/unit/scratch.h"

#define PATIENCE_USEC (30 * USEC_PER_SEC) /* for what takes a millisecond, on a machine that is busy */

typedef struct Fixture {
        char root[SCRATCH_MAX], cluster[80], state_a[80], state_b[80], dir[160];
        sd_event *event;
        ClusterLocks *a, *b;
} Fixture;

static int mkdir_error;
static atomic_bool is_hanging;
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
        while (is_hanging && strstr(path, "/priv/lock"))
                (void) usleep(1000);
        if (mkdir_error && strstr(path, "/priv/lock")) {
                errno = mkdir_error;
                return -1;
        }
        return __real_mkdir(path, mode);
}

static bool looks_like_fuse;
int __real_statfs(const char *path, struct statfs *st);
int __wrap_statfs(const char *path, struct statfs *st);
int __wrap_statfs(const char *path, struct statfs *st)
{
        int r = __real_statfs(path, st);

        if (looks_like_fuse)
                st->f_type = FUSE_SUPER_MAGIC;
        return r;
}

static unsigned n_zero_times;
int __real_utimensat(int fd, const char *path, const struct timespec ts[2], int flags);
int __wrap_utimensat(int fd, const char *path, const struct timespec ts[2], int flags);
int __wrap_utimensat(int fd, const char *path, const struct timespec ts[2], int flags)
{
        if (ts[0].tv_sec == 0 && ts[1].tv_sec == 0) {
                n_zero_times++;
                errno = EACCES;
                return -1;
        }
        return __real_utimensat(fd, path, ts, flags);
}

static bool is_without_quorum;
int __wrap_membership_check_quorum(const Membership *m, struct storaged_error *err);
int __wrap_membership_check_quorum(const Membership *m, struct storaged_error *err)
{
        (void) m;
        return is_without_quorum ? error_set(err, -EROFS, "no quorum: the test says so") : 0;
}

static ClusterLocks *locks_open(Fixture *f, const char *state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ClusterLocks *l = NULL;

        assert_int_equal(cluster_locks_new(&l, f->cluster, state, "node1", f->event, &err), 0);
        return l;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        log_set_max_level(LOG_CRIT);
        mkdir_error = 0;
        looks_like_fuse = false;
        n_zero_times = 0;
        assert_non_null(scratch_make(f->root));
        (void) snprintf(f->cluster, sizeof(f->cluster), "%s/pve", f->root);
        (void) snprintf(f->state_a, sizeof(f->state_a), "%s/a", f->root);
        (void) snprintf(f->state_b, sizeof(f->state_b), "%s/b", f->root);
        (void) snprintf(f->dir, sizeof(f->dir), "%s/priv/lock/storage-x", f->cluster);
        assert_true(sd_event_new(&f->event) >= 0);
        f->a = locks_open(f, f->state_a);
        f->b = locks_open(f, f->state_b);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        mkdir_error = 0;
        is_hanging = false;
        (void) cluster_locks_free(f->a);
        (void) cluster_locks_free(f->b);
        (void) sd_event_unref(f->event);
        (void) scratch_remove(f->root);
        free(f);
        return 0;
}

/* What became of a request. */
typedef struct Request {
        ClusterLock *handle, *lock;
        struct storaged_error err;
        int n_calls, code;
        bool release_at_once;
        unsigned turn;
} Request;

static unsigned turns;

static void on_lock(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        Request *r = userdata;

        r->n_calls++;
        r->turn = ++turns;
        r->lock = lock;
        if (err) {
                r->err = *err;
                r->code = err->code;
                r->handle = NULL;
        }
        if (lock && r->release_at_once)
                r->lock = cluster_lock_release(lock);
}

static void ask(ClusterLocks *l, bool is_local, uint64_t timeout_usec, Request *r)
{
        assert_int_equal(cluster_lock_acquire(l, "storage-x", is_local, "alloc 100", now_usec() + timeout_usec, on_lock,
                                              r, &r->handle),
                         0);
}

static void run(Fixture *f, uint64_t usec)
{
        uint64_t end = now_usec() + usec;

        do
                assert_true(sd_event_run(f->event, 1000) >= 0);
        while (now_usec() < end);
}

static void run_until(Fixture *f, const Request *r, uint64_t usec)
{
        uint64_t end = now_usec() + usec;

        while (r->n_calls == 0 && now_usec() < end)
                assert_true(sd_event_run(f->event, 1000) >= 0);
}

static bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

static void age_dir(const char *path, int seconds)
{
        struct timespec ts[2] = { { .tv_sec = time(NULL) - seconds }, { .tv_sec = time(NULL) - seconds } };

        assert_int_equal(__real_utimensat(AT_FDCWD, path, ts, 0), 0);
}

static void free_one_is_had_and_given_back(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };
        char note[128];

        (void) snprintf(note, sizeof(note), "%s/locks/storage-x", f->state_a);
        ask(f->a, false, PATIENCE_USEC, &r);
        assert_int_equal(r.n_calls, 0); /* never before it returns */
        run_until(f, &r, PATIENCE_USEC);
        assert_non_null(r.lock);
        assert_ptr_equal(r.lock, r.handle);
        assert_true(exists(f->dir));
        assert_true(exists(note));
        assert_true(cluster_lock_is_held(r.lock));
        assert_null(cluster_lock_release(r.lock));
        assert_false(exists(f->dir));
        assert_false(exists(note));
        assert_null(cluster_lock_release(NULL));
}

static void deadline_of_now_still_gets_a_free_one(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };

        ask(f->a, false, 0, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_non_null(r.lock);
}

static void local_makes_no_directory(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 }, c = { 0 };

        ask(f->a, true, PATIENCE_USEC, &a);
        ask(f->a, true, PATIENCE_USEC, &b);
        ask(f->a, false, 10 * USEC_PER_SEC, &c); /* another lock */
        run_until(f, &c, PATIENCE_USEC);
        run_until(f, &a, PATIENCE_USEC);
        assert_non_null(a.lock);
        assert_true(cluster_lock_is_held(a.lock));
        assert_int_equal(b.n_calls, 0);
        assert_non_null(c.lock);
        (void) cluster_lock_release(c.lock);
        assert_false(exists(f->dir));
        (void) cluster_lock_release(a.lock);
        assert_int_equal(b.n_calls, 0);
        run(f, 5000);
        assert_non_null(b.lock);
}

static void waiters_are_served_in_order(void **state)
{
        Fixture *f = *state;
        Request r[40] = { 0 };
        uint64_t begin = now_usec();

        for (size_t i = 0; i < 40; i++) {
                r[i].release_at_once = true;
                ask(f->a, false, 5 * USEC_PER_SEC, &r[i]);
        }
        run_until(f, &r[39], PATIENCE_USEC);
        for (size_t i = 0; i < 40; i++) {
                assert_int_equal(r[i].n_calls, 1);
                assert_int_equal(r[i].code, 0);
                assert_true(i == 0 || r[i].turn == r[i - 1].turn + 1);
        }
        assert_false(exists(f->dir));
        assert_true(now_usec() - begin < USEC_PER_SEC);
}

static void the_other_daemon_gets_its_turn(void **state)
{
        Fixture *f = *state;
        enum { N = 2000 };
        Request *r = calloc(N, sizeof(*r)), other = { .release_at_once = true };

        for (size_t i = 0; i < N; i++) {
                r[i].release_at_once = true;
                ask(f->a, false, 30 * USEC_PER_SEC, &r[i]);
        }
        ask(f->b, false, 30 * USEC_PER_SEC, &other);
        looks_like_fuse = true;
        run_until(f, &other, PATIENCE_USEC);
        assert_int_equal(other.n_calls, 1);
        assert_int_equal(other.code, 0);
        assert_int_equal(r[N - 1].n_calls, 0);
        f->a = cluster_locks_free(f->a);
        free(r);
}

static void hand_over_keeps_the_directory(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };
        struct stat before, after;

        ask(f->a, false, PATIENCE_USEC, &a);
        ask(f->a, false, PATIENCE_USEC, &b);
        run_until(f, &a, PATIENCE_USEC);
        assert_int_equal(lstat(f->dir, &before), 0);
        (void) cluster_lock_release(a.lock);
        assert_int_equal(b.n_calls, 0);
        assert_true(exists(f->dir));
        run_until(f, &b, PATIENCE_USEC);
        assert_int_equal(lstat(f->dir, &after), 0);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        assert_true(cluster_lock_is_held(b.lock));
}

static void timeout_names_the_holder_on_this_node(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };

        ask(f->a, false, PATIENCE_USEC, &a);
        ask(f->a, false, 10 * USEC_PER_MSEC, &b);
        run_until(f, &b, PATIENCE_USEC);
        assert_int_equal(b.code, -ETIMEDOUT);
        assert_non_null(strstr(b.err.text, "'storage-x'"));
        assert_non_null(strstr(b.err.text, "alloc 100"));
        assert_true(cluster_lock_is_held(a.lock));
}

static void timeout_tells_of_a_holder_elsewhere(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };

        ask(f->a, false, PATIENCE_USEC, &a);
        run_until(f, &a, PATIENCE_USEC);
        ask(f->b, false, 120 * USEC_PER_MSEC, &b);
        run_until(f, &b, PATIENCE_USEC);
        assert_int_equal(b.code, -ETIMEDOUT);
        assert_non_null(strstr(b.err.text, "another node or program"));
        assert_non_null(strstr(b.err.text, f->dir));
        assert_true(exists(f->dir));
}

static void released_elsewhere_is_had_soon(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };
        uint64_t begin;

        ask(f->a, false, PATIENCE_USEC, &a);
        run_until(f, &a, PATIENCE_USEC);
        ask(f->b, false, 5 * USEC_PER_SEC, &b);
        run(f, 20 * USEC_PER_MSEC);
        (void) cluster_lock_release(a.lock);
        begin = now_usec();
        run_until(f, &b, PATIENCE_USEC);
        assert_non_null(b.lock);
        assert_true(now_usec() - begin < 500 * USEC_PER_MSEC);
}

static void dead_holders_lock_is_taken_over(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };

        assert_int_equal(fs_mkdir_p(f->dir, 0700), 0);
        age_dir(f->dir, LOCK_LIFE_SEC + 5);
        ask(f->a, false, PATIENCE_USEC, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_non_null(r.lock);
        assert_true(cluster_lock_is_held(r.lock));
}

static void living_holders_lock_is_not_taken_over(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };

        assert_int_equal(fs_mkdir_p(f->dir, 0700), 0);
        age_dir(f->dir, LOCK_LIFE_SEC - 10);
        ask(f->a, false, 200 * USEC_PER_MSEC, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_int_equal(r.code, -ETIMEDOUT);
        assert_true(exists(f->dir));
}

static void expired_lock_with_something_in_it_stays(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };
        char inside[200];

        (void) snprintf(inside, sizeof(inside), "%s/x", f->dir);
        assert_int_equal(fs_mkdir_p(inside, 0700), 0);
        age_dir(f->dir, 1000);
        ask(f->a, false, 100 * USEC_PER_MSEC, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_int_equal(r.code, -ETIMEDOUT);
        assert_true(exists(inside));
}

static void on_a_cluster_file_system_expiry_is_asked_for(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };

        looks_like_fuse = true;
        assert_int_equal(fs_mkdir_p(f->dir, 0700), 0);
        age_dir(f->dir, 1000); /* only the cluster may decide, whatever the time says */
        ask(f->a, false, 200 * USEC_PER_MSEC, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_int_equal(r.code, -ETIMEDOUT);
        assert_true(exists(f->dir));
        assert_true(n_zero_times >= 2);
}

static void lost_lock_is_noticed_and_the_new_ones_left(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };

        ask(f->a, false, PATIENCE_USEC, &a);
        run_until(f, &a, PATIENCE_USEC);
        age_dir(f->dir, LOCK_LIFE_SEC + 5); /* as if we had slept so long */
        ask(f->b, false, PATIENCE_USEC, &b);
        run_until(f, &b, PATIENCE_USEC);
        assert_non_null(b.lock);
        assert_false(cluster_lock_is_held(a.lock));
        (void) cluster_lock_release(a.lock);
        assert_true(exists(f->dir));
        assert_true(cluster_lock_is_held(b.lock));
}

static void no_quorum_fails_all_at_once(void **state)
{
        static const int errors[] = { EROFS, EACCES, EPERM };
        Fixture *f = *state;

        for (size_t i = 0; i < 3; i++) {
                Request a = { 0 }, b = { 0 };

                mkdir_error = errors[i];
                ask(f->a, false, 60 * USEC_PER_SEC, &a);
                ask(f->a, false, 60 * USEC_PER_SEC, &b);
                run_until(f, &b, PATIENCE_USEC);
                assert_int_equal(a.code, -EROFS);
                assert_int_equal(b.code, -EROFS);
                assert_non_null(strstr(a.err.text, "no quorum"));
        }
}

static void lost_quorum_takes_waiting_and_held_ones(void **state)
{
        Request held = { 0 }, waiting = { 0 }, local = { 0 }, again = { 0 };
        const Membership *members = (const Membership *) "asked through the wrapped function only";
        Fixture *f = *state;

        cluster_locks_set_membership(f->a, members);
        ask(f->a, false, 60 * USEC_PER_SEC, &held);
        run_until(f, &held, PATIENCE_USEC);
        assert_true(cluster_lock_is_held(held.lock));
        ask(f->a, false, 60 * USEC_PER_SEC, &waiting);
        is_without_quorum = true;
        assert_false(cluster_lock_is_held(held.lock)); /* nothing is committed any more */
        (void) cluster_lock_release(held.lock);
        run_until(f, &waiting, PATIENCE_USEC);
        assert_int_equal(waiting.code, -EROFS);
        assert_string_equal(waiting.err.text, "no quorum: the test says so");
        assert_false(exists(f->dir));
        ask(f->a, true, PATIENCE_USEC, &local);
        run_until(f, &local, PATIENCE_USEC);
        assert_true(cluster_lock_is_held(local.lock));
        is_without_quorum = false;
        ask(f->a, false, PATIENCE_USEC, &again);
        run_until(f, &again, PATIENCE_USEC);
        assert_non_null(again.lock);
}

static void other_failures_are_told_with_their_reason(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };

        mkdir_error = ENOSPC;
        ask(f->a, false, 60 * USEC_PER_SEC, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_int_equal(r.code, -ENOSPC);
        assert_non_null(strstr(r.err.text, "No space left"));
}

static void a_waiter_may_leave(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 }, c = { 0 };

        ask(f->a, false, PATIENCE_USEC, &a);
        ask(f->a, false, PATIENCE_USEC, &b);
        ask(f->a, false, PATIENCE_USEC, &c);
        run_until(f, &a, PATIENCE_USEC);
        assert_null(cluster_lock_release(b.handle));
        (void) cluster_lock_release(a.lock);
        run_until(f, &c, PATIENCE_USEC);
        assert_non_null(c.lock);
        assert_int_equal(b.n_calls, 0);
}

static void one_that_failed_may_leave_before_it_is_told(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };

        mkdir_error = EACCES;
        ask(f->a, false, PATIENCE_USEC, &a);
        ask(f->a, false, PATIENCE_USEC, &b);
        run_until(f, &a, PATIENCE_USEC);
        assert_int_equal(b.n_calls, 0);
        (void) cluster_lock_release(b.handle);
        run(f, 5000);
        assert_int_equal(b.n_calls, 0);
}

static void bad_names_are_refused(void **state)
{
        static const char *const names[] = { "", ".", "..", "a/b", ".hidden", "a b", "a\n", "\xc3\xa4" };
        Fixture *f = *state;
        Request r = { 0 };
        char name[300];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                assert_int_equal(cluster_lock_acquire(f->a, names[i], false, NULL, 0, on_lock, &r, NULL), -EINVAL);
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        assert_int_equal(cluster_lock_acquire(f->a, name, false, NULL, 0, on_lock, &r, NULL), -EINVAL);
        run(f, 2000);
        assert_int_equal(r.n_calls, 0);
}

/* A process that takes the lock with state_a and is killed. */
static void killed_holder(Fixture *f)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                ClusterLocks *l = NULL;
                sd_event *event = NULL;
                Request r = { 0 };

                if (sd_event_new(&event) < 0 || cluster_locks_new(&l, f->cluster, f->state_a, "node1", event, &err) < 0)
                        _exit(1);
                (void) cluster_lock_acquire(l, "storage-x", false, NULL, UINT64_MAX, on_lock, &r, NULL);
                while (!r.lock)
                        (void) sd_event_run(event, 1000);
                (void) kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_true(exists(f->dir));
}

static void killed_daemons_lock_is_given_back_at_the_next_start(void **state)
{
        Fixture *f = *state;

        f->a = cluster_locks_free(f->a);
        killed_holder(f);
        f->b = cluster_locks_free(f->b); /* another daemon does not touch it */
        f->b = locks_open(f, f->state_b);
        assert_true(exists(f->dir));
        f->a = locks_open(f, f->state_a);
        assert_false(exists(f->dir));
}

static void killed_daemons_lock_that_somebody_took_is_left(void **state)
{
        Fixture *f = *state;
        Request r = { 0 };

        f->a = cluster_locks_free(f->a);
        killed_holder(f);
        age_dir(f->dir, LOCK_LIFE_SEC + 5);
        ask(f->b, false, PATIENCE_USEC, &r);
        run_until(f, &r, PATIENCE_USEC);
        assert_non_null(r.lock);
        f->a = locks_open(f, f->state_a);
        assert_true(cluster_lock_is_held(r.lock));
}

static void broken_notes_are_dropped(void **state)
{
        Fixture *f = *state;
        char note[128];

        f->a = cluster_locks_free(f->a);
        assert_int_equal(fs_mkdir_p(f->dir, 0700), 0);
        (void) snprintf(note, sizeof(note), "%s/locks", f->state_a);
        assert_int_equal(fs_mkdir_p(note, 0700), 0);
        (void) snprintf(note, sizeof(note), "%s/locks/storage-x", f->state_a);
        assert_int_equal(fs_write_atomic(note, "12 x", 4, 0600), 0);
        f->a = locks_open(f, f->state_a);
        assert_true(exists(f->dir));
        assert_false(exists(note));
}

static void renewal_keeps_it_ours(void **state)
{
        Fixture *f = *state;
        LockDir d = LOCK_DIR_INIT;
        struct stat before, after;

        assert_int_equal(lock_dir_init(&d, f->cluster, f->state_a, "storage-x"), 0);
        assert_int_equal(lock_dir_take(&d), 0);
        assert_int_equal(lstat(f->dir, &before), 0);
        assert_int_equal(lock_dir_renew(&d), 0);
        assert_int_equal(lstat(f->dir, &after), 0);
        assert_true(before.st_mtim.tv_sec != after.st_mtim.tv_sec || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
        assert_true(lock_dir_is_ours(&d));
        assert_int_equal(rmdir(f->dir), 0);
        assert_int_equal(lock_dir_renew(&d), -ESTALE);
        assert_int_equal(lock_dir_drop(&d), 0);
        lock_dir_deinit(&d);
}

static void stop_tells_all_who_wait(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

        ask(f->a, false, 60 * USEC_PER_SEC, &a);
        ask(f->a, false, 60 * USEC_PER_SEC, &b);
        run_until(f, &a, PATIENCE_USEC);
        ask(f->a, true, 60 * USEC_PER_SEC, &c); /* not even tried yet */
        cluster_locks_stop(f->a);
        assert_int_equal(b.code, -ECANCELED);
        assert_int_equal(c.code, -ECANCELED);
        assert_int_equal(a.code, 0);
        assert_true(cluster_lock_is_held(a.lock));
        assert_int_equal(cluster_lock_acquire(f->a, "x", false, NULL, UINT64_MAX, on_lock, &d, NULL), -ECANCELED);
        (void) cluster_lock_release(a.lock);
        assert_false(exists(f->dir));
}

/* --- where the file system may keep a caller waiting */

static void in_the_background_it_is_the_same(void **state)
{
        Fixture *f = *state;
        Request r[40] = { 0 }, other = { .release_at_once = true };

        looks_like_fuse = true;
        for (size_t i = 0; i < 40; i++) {
                r[i].release_at_once = true;
                ask(f->a, false, 20 * USEC_PER_SEC, &r[i]);
        }
        ask(f->b, false, 20 * USEC_PER_SEC, &other);
        run_until(f, &r[39], PATIENCE_USEC);
        for (size_t i = 0; i < 40; i++) {
                assert_int_equal(r[i].n_calls, 1);
                assert_int_equal(r[i].code, 0);
        }
        run_until(f, &other, PATIENCE_USEC);
        assert_int_equal(other.code, 0);
        for (unsigned i = 0; i < 1000 && exists(f->dir); i++)
                run(f, 5000);
        assert_false(exists(f->dir));
}

static void a_file_system_that_hangs_keeps_nobody_waiting(void **state)
{
        Fixture *f = *state;
        Request r = { 0 }, again = { 0 }, local = { 0 };
        uint64_t begin;

        looks_like_fuse = true;
        is_hanging = true;
        ask(f->a, false, 100 * USEC_PER_MSEC, &r);
        ask(f->a, true, 100 * USEC_PER_MSEC, &local);
        begin = now_usec();
        run_until(f, &local, PATIENCE_USEC);
        assert_non_null(local.lock);
        run_until(f, &r, PATIENCE_USEC);
        assert_true(is_hanging && now_usec() - begin < 4 * USEC_PER_SEC);
        assert_int_equal(r.code, -ETIMEDOUT);
        assert_non_null(strstr(r.err.text, "does not answer"));
        is_hanging = false; /* the directory is made after all, and nobody is there who wanted it */
        run(f, 20 * USEC_PER_MSEC);
        for (unsigned i = 0; i < 1000 && exists(f->dir); i++)
                run(f, 5000);
        assert_false(exists(f->dir));
        ask(f->a, false, 5 * USEC_PER_SEC, &again);
        run_until(f, &again, PATIENCE_USEC);
        assert_true(cluster_lock_is_held(again.lock));
        is_hanging = true; /* also at the end of the daemon */
        (void) cluster_lock_release(again.lock);
        is_hanging = false;
        f->a = cluster_locks_free(f->a);
        assert_false(exists(f->dir));
}

/* As after SIGSTOP or a suspended machine: the loop did not run, the lock's life is over, whatever is in its place. */
static void who_slept_too_long_commits_nothing(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 };

        cluster_locks_set_life(f->a, 1);
        cluster_locks_set_life(f->b, 1);
        ask(f->a, false, PATIENCE_USEC, &a);
        run_until(f, &a, PATIENCE_USEC);
        run(f, 1500 * USEC_PER_MSEC);
        assert_int_equal(cluster_lock_check(a.lock, &err), 0); /* awake: it is renewed */
        (void) usleep(1100000);
        assert_true(exists(f->dir));
        assert_int_equal(cluster_lock_check(a.lock, &err), -ESTALE);
        assert_non_null(strstr(err.text, "no sign of life"));
        run(f, 20 * USEC_PER_MSEC); /* it is not brought back to life */
        assert_int_equal(cluster_lock_check(a.lock, &err), -ESTALE);
        age_dir(f->dir, 5);
        ask(f->b, false, 5 * USEC_PER_SEC, &b);
        run_until(f, &b, PATIENCE_USEC);
        (void) cluster_lock_release(a.lock);
        assert_int_equal(cluster_lock_check(b.lock, &err), 0);
}

static void json_shows_holder_and_waiters(void **state)
{
        Fixture *f = *state;
        Request a = { 0 }, b = { 0 }, c = { 0 };
        json_object *row;

        ask(f->a, false, PATIENCE_USEC, &a);
        ask(f->a, false, PATIENCE_USEC, &b);
        ask(f->b, false, PATIENCE_USEC, &c);
        run_until(f, &a, PATIENCE_USEC);
        AUTO_JSON *rows = cluster_locks_to_json(f->a);
        AUTO_JSON *other = cluster_locks_to_json(f->b);
        assert_int_equal(json_object_array_length(rows), 1);
        row = json_object_array_get_idx(rows, 0);
        assert_string_equal(json_get_string(row, "name"), "storage-x");
        assert_string_equal(json_get_string(row, "node"), "node1");
        assert_string_equal(json_get_string(row, "reason"), "alloc 100");
        assert_int_equal(json_get_int(row, "waiting", -1), 1);
        assert_int_equal(json_get_int(row, "held_for", -1), 0);
        row = json_object_array_get_idx(other, 0);
        assert_null(json_get_string(row, "node"));
        assert_int_equal(json_get_int(row, "waiting", -1), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(free_one_is_had_and_given_back),
                TEST(deadline_of_now_still_gets_a_free_one),
                TEST(local_makes_no_directory),
                TEST(waiters_are_served_in_order),
                TEST(the_other_daemon_gets_its_turn),
                TEST(hand_over_keeps_the_directory),
                TEST(timeout_names_the_holder_on_this_node),
                TEST(timeout_tells_of_a_holder_elsewhere),
                TEST(released_elsewhere_is_had_soon),
                TEST(dead_holders_lock_is_taken_over),
                TEST(living_holders_lock_is_not_taken_over),
                TEST(expired_lock_with_something_in_it_stays),
                TEST(on_a_cluster_file_system_expiry_is_asked_for),
                TEST(lost_lock_is_noticed_and_the_new_ones_left),
                TEST(no_quorum_fails_all_at_once),
                TEST(lost_quorum_takes_waiting_and_held_ones),
                TEST(other_failures_are_told_with_their_reason),
                TEST(a_waiter_may_leave),
                TEST(one_that_failed_may_leave_before_it_is_told),
                TEST(bad_names_are_refused),
                TEST(killed_daemons_lock_is_given_back_at_the_next_start),
                TEST(killed_daemons_lock_that_somebody_took_is_left),
                TEST(broken_notes_are_dropped),
                TEST(renewal_keeps_it_ours),
                TEST(stop_tells_all_who_wait),
                TEST(in_the_background_it_is_the_same),
                TEST(a_file_system_that_hangs_keeps_nobody_waiting),
                TEST(who_slept_too_long_commits_nothing),
                TEST(json_shows_holder_and_waiters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
