/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work beside the loop: order, the loop goes on meanwhile, and the end with work done, waiting, or hanging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/offload.h"

static atomic_bool is_held;
static atomic_uint n_run;
static unsigned n_done;

typedef struct Work {
        OffloadJob job;
        unsigned nth_run, nth_done;
} Work;

static void run(OffloadJob *job)
{
        Work *w = job->userdata;

        while (is_held)
                (void) usleep(500);
        w->nth_run = ++n_run;
}

static void done(OffloadJob *job)
{
        Work *w = job->userdata;

        w->nth_done = ++n_done;
}

static Offload *begin(sd_event **event, Work *w, unsigned n)
{
        Offload *o = NULL;

        n_run = n_done = 0;
        assert_true(sd_event_new(event) >= 0);
        assert_int_equal(offload_new(&o, *event), 0);
        for (unsigned i = 0; i < n; i++) {
                w[i] = (Work){ .job = { .run = run, .done = done, .userdata = &w[i] } };
                assert_int_equal(offload_submit(o, &w[i].job), 0);
        }
        return o;
}

static void in_order_and_told_in_the_loop(void **state)
{
        uint64_t end = now_usec() + 20 * USEC_PER_SEC;
        sd_event *event = NULL;
        Work w[50];
        Offload *o;

        (void) state;
        is_held = true;
        o = begin(&event, w, 50);
        assert_true(sd_event_run(event, 1000) >= 0); /* the loop does not wait for it */
        assert_int_equal(n_done, 0);
        is_held = false;
        while (n_done < 50 && now_usec() < end)
                assert_true(sd_event_run(event, 10000) >= 0);
        for (unsigned i = 0; i < 50; i++) {
                assert_int_equal(w[i].nth_run, i + 1);
                assert_int_equal(w[i].nth_done, i + 1);
        }
        assert_false(offload_end(o, USEC_PER_SEC));
        (void) sd_event_unref(event);
}

static void the_end_waits_for_what_was_submitted(void **state)
{
        sd_event *event = NULL;
        Work w[20];
        Offload *o = begin(&event, w, 20);

        (void) state;
        assert_false(offload_end(o, 20 * USEC_PER_SEC));
        assert_int_equal(n_run, 20);
        assert_int_equal(n_done, 0);
        (void) sd_event_unref(event);
        assert_false(offload_end(begin(&event, w, 0), 0)); /* nothing was ever submitted: no thread */
        assert_false(offload_end(NULL, 0));
        (void) sd_event_unref(event);
}

static void what_hangs_is_left_behind(void **state)
{
        static Work w[2]; /* they outlive the test */
        sd_event *event = NULL;
        uint64_t begun = now_usec();
        Offload *o;

        (void) state;
        is_held = true;
        o = begin(&event, w, 2);
        assert_true(offload_end(o, 50 * USEC_PER_MSEC));
        assert_true(now_usec() - begun < 10 * USEC_PER_SEC);
        is_held = false;
        (void) sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(in_order_and_told_in_the_loop),
                cmocka_unit_test(the_end_waits_for_what_was_submitted),
                cmocka_unit_test(what_hangs_is_left_behind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
