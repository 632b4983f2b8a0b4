/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a watch asks for help: once for what lasts, and again when the time has begun anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common-ceph/ceph-watch.h"

#define LONG_MS 60000
#define PATIENCE_MS 30000

static atomic_uint n_slow;

static void count(void *userdata)
{
        atomic_fetch_add((atomic_uint *) userdata, 1);
}

/* The watch's own thread calls: until it has. */
static void wait_for_count(unsigned n)
{
        uint64_t end = ceph_now_ms() + PATIENCE_MS;

        while (atomic_load(&n_slow) < n && ceph_now_ms() < end)
                (void) usleep(1000);
        assert_int_equal(atomic_load(&n_slow), n);
}

static void what_lasts_is_helped_once(void **state)
{
        uint64_t begun = ceph_now_ms();
        CephWatch w;

        (void) state;
        atomic_store(&n_slow, 0);
        assert_int_equal(ceph_watch_init(&w, NULL, "st", NULL, NULL), 0);
        w.slow = count;
        w.slow_userdata = &n_slow;
        {
                CEPH_WATCH(&w, LONG_MS, "wait");
                wait_for_count(1);
                assert_true(ceph_now_ms() - begun >= CEPH_SLOW_MS);
                (void) usleep(2 * CEPH_SLOW_MS * 1000);
                assert_int_equal(atomic_load(&n_slow), 1);
                ceph_watch_again(&w);
                wait_for_count(2);
        }
        (void) usleep(2 * CEPH_SLOW_MS * 1000); /* no watch is set */
        assert_int_equal(atomic_load(&n_slow), 2);
        ceph_watch_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_lasts_is_helped_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
