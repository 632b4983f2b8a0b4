/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A limit for calls of Ceph's libraries that have none. While a watch is set, a thread of its own looks at the clock;
 * when the time is over it finds out what is wrong with the cluster, answers the daemon in the stuck call's place and
 * ends the worker, so that nothing of the call goes on after its answer.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#define CEPH_SLOW_MS 300 /* what lasts longer may be helped along */

/* Something lasts: called by the watch's thread, once until the time begins anew; must return at once. */
typedef void (*ceph_watch_slow_fn)(void *userdata);
/* Finds the reason of a silence, in at most a second or two: "mon unreachable: …". */
typedef void (*ceph_watch_reason_fn)(void *userdata, char *ret, size_t size);

typedef struct CephWatch {
        const struct storaged_host *host;
        const char *storage; /* borrowed; names it in the sentence */
        ceph_watch_reason_fn reason;
        void *userdata;
        ceph_watch_slow_fn slow; /* or NULL; the owner's to set before the first watch */
        void *slow_userdata;
        pthread_t thread;
        pthread_mutex_t lock; /* held while it gives up: a call that returns meanwhile waits for the end */
        pthread_cond_t changed;
        bool has_thread, is_ending, is_slow; /* is_slow: `slow` was called */
        uint64_t due_ms;                     /* 0: no watch is set */
        unsigned limit_ms;
        char what[192];
} CephWatch;

int ceph_watch_init(CephWatch *w, const struct storaged_host *host, const char *storage, ceph_watch_reason_fn reason,
                    void *userdata);
void ceph_watch_deinit(CephWatch *w);

/*
 * Sets the watch for the calls that follow, until the scope ends: `CEPH_WATCH(w, 4500, "open image %s", name);`
 * The words say what is tried. In a scope that has one it begins anew with the new words, and ends with the inner
 * scope.
 */
CephWatch *ceph_watch_set(CephWatch *w, unsigned limit_ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* It goes on: the time begins anew. For progress callbacks. */
void ceph_watch_again(CephWatch *w);
/* We wait for somebody else than Ceph: the clock stands still, then begins anew. */
void ceph_watch_pause(CephWatch *w);
void ceph_watch_resume(CephWatch *w);
void ceph_watch_end(CephWatch *w);
DEFINE_CLEANUP(CephWatch *, ceph_watch_end)

#define CEPH_WATCH(w, ...) \
        AUTO(ceph_watch_endp) __attribute__((unused)) CephWatch *watch_of_scope = ceph_watch_set(w, __VA_ARGS__)

uint64_t ceph_now_ms(void);
