/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker processes as the daemon sees them, with the real storaged-worker and the example plugin: calls,
 * death, deadlines, limits, garbage. No sleeping: the event loop runs until what is expected has come.
 */
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "host/worker.h"
#include "wire/json.h"
#include "tests/unit/scratch.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        WorkerPool *pool;
        Worker *worker;
        char build[PATH_MAX], worker_path[PATH_MAX + 64], plugin[PATH_MAX + 64], dir[64];
        json_object *start;
        unsigned n_done, n_gone, n_ended;
        struct storaged_error done_error, gone_error;
        char *body;
        bool had_error;
} Fixture;

static void on_gone(void *userdata, Worker *w, const struct storaged_error *why)
{
        Fixture *f = userdata;

        assert_ptr_equal(w, f->worker);
        f->n_gone++;
        f->gone_error = *why;
        f->worker = worker_free(w);
}

static void on_ended(void *userdata, const char *label)
{
        Fixture *f = userdata;

        assert_string_equal(label, "ex");
        f->n_ended++;
}

static void on_done(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Fixture *f = userdata;

        f->n_done++;
        f->had_error = err != NULL;
        if (err)
                f->done_error = *err;
        free(f->body);
        f->body = body ? strndup(body, len) : NULL;
}

static void run_until(Fixture *f, const unsigned *counter, unsigned wanted)
{
        uint64_t end = now_usec() + PATIENCE_USEC;

        while (*counter < wanted) {
                assert_true(now_usec() < end);
                assert_true(sd_event_run(f->event, 100 * USEC_PER_MSEC) >= 0);
        }
}

static void find_build(Fixture *f)
{
        ssize_t n = readlink("/proc/self/exe", f->build, sizeof(f->build) - 1);

        assert_true(n > 0);
        f->build[n] = '\0';
        for (int i = 0; i < 4; i++) /* build/tests/unit/host/test-worker */
                *strrchr(f->build, '/') = '\0';
        (void) snprintf(f->worker_path, sizeof(f->worker_path), "%s/storaged-worker", f->build);
        (void) snprintf(f->plugin, sizeof(f->plugin), "%s/plugins/example.so", f->build);
}

static int setup_with(void **state, unsigned max_workers)
{
        Fixture *f = calloc(1, sizeof(*f));
        WorkerLimits limits = { max_workers, 2 };
        json_object *config = json_object_new_object();
        sigset_t mask;

        assert_non_null(f);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        find_build(f);
        assert_non_null(scratch_make(f->dir));
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(worker_pool_new(&f->pool, f->event, f->worker_path, &limits), 0);
        f->start = json_object_new_object();
        (void) json_add_string(f->start, "node", "n1");
        (void) json_add_string(f->start, "root", "");
        (void) json_add_string(f->start, "run_dir", f->dir);
        (void) json_add_string(f->start, "storage", "ex");
        (void) json_add_string(config, "path", f->dir);
        (void) json_add_string(config, "content", "images");
        (void) json_add(f->start, "config", config);
        *state = f;
        return 0;
}

static int setup(void **state)
{
        return setup_with(state, 4);
}

static int setup_one(void **state)
{
        return setup_with(state, 1);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        (void) worker_free(f->worker);
        (void) worker_pool_free(f->pool);
        (void) sd_event_unref(f->event);
        json_object_put(f->start);
        free(f->body);
        (void) rmdir(f->dir); /* empty unless a test failed */
        free(f);
        return 0;
}

static int start_worker(Fixture *f, struct storaged_error *err)
{
        WorkerSpec spec = { .plugin_path = f->plugin,
                            .label = "ex",
                            .start = f->start,
                            .gone = on_gone,
                            .userdata = f,
                            .ended = on_ended,
                            .ended_userdata = f };

        return worker_new(f->pool, &spec, &f->worker, err);
}

static void must_call(Fixture *f, const char *op, uint64_t timeout_usec)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        WorkerCall call = { .op = op, .fd = -1, .timeout_usec = timeout_usec, .done = on_done, .userdata = f };

        assert_int_equal(worker_call(f->worker, &call, &err), 0);
}

static void a_call_is_answered(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "activate", PATIENCE_USEC);
        assert_false(worker_is_idle(f->worker));
        run_until(f, &f->n_done, 1);
        assert_false(f->had_error);
        assert_true(worker_is_idle(f->worker));
        must_call(f, "list", PATIENCE_USEC);
        run_until(f, &f->n_done, 2);
        assert_string_equal(f->body, "[]");
        assert_int_equal(f->n_gone, 0);
}

static void a_second_call_meanwhile_is_refused(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        WorkerCall call = { .op = "list", .fd = -1, .done = on_done, .userdata = f };

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "list", 0);
        assert_int_equal(worker_call(f->worker, &call, &err), -EBUSY);
        assert_non_null(strstr(err.text, "busy with 'list'"));
}

static void an_unknown_operation_is_an_error_of_the_call_only(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "levitate", PATIENCE_USEC);
        run_until(f, &f->n_done, 1);
        assert_true(f->had_error);
        assert_int_equal(f->done_error.code, -EOPNOTSUPP);
        must_call(f, "status", PATIENCE_USEC);
        run_until(f, &f->n_done, 2);
        assert_int_equal(f->n_gone, 0);
}

static void a_killed_worker_fails_its_call_and_says_how_it_died(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "status", PATIENCE_USEC);
        run_until(f, &f->n_done, 1);
        assert_int_equal(kill(worker_get_pid(f->worker), SIGSTOP), 0); /* so that it can't answer first */
        must_call(f, "list", 0);
        assert_int_equal(kill(worker_get_pid(f->worker), SIGKILL), 0);
        run_until(f, &f->n_done, 2);
        assert_int_equal(f->n_gone, 1);
        assert_int_equal(f->done_error.code, -ECONNRESET);
        assert_non_null(strstr(f->done_error.text, "signal 9"));
        assert_non_null(strstr(f->done_error.text, "'list'"));
        assert_int_equal(worker_pool_count(f->pool), 0);
        assert_int_equal(f->n_ended, 1);
        assert_int_equal(start_worker(f, &err), 0); /* another takes its place */
        must_call(f, "list", PATIENCE_USEC);
        run_until(f, &f->n_done, 3);
        assert_false(f->had_error);
}

static void a_silent_worker_is_written_off_at_its_deadline(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        unsigned gone = 0;
        uint64_t end;

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "status", PATIENCE_USEC);
        run_until(f, &f->n_done, 1);
        assert_int_equal(kill(worker_get_pid(f->worker), SIGSTOP), 0);
        must_call(f, "status", 100 * USEC_PER_MSEC);
        run_until(f, &f->n_done, 2);
        assert_int_equal(f->done_error.code, -ETIMEDOUT);
        assert_int_equal(f->n_gone, 1);
        /* SIGKILL reaches a stopped process: it is reaped and leaves the count */
        for (end = now_usec() + PATIENCE_USEC; worker_pool_count(f->pool) > 0 && gone < 1000; gone++) {
                assert_true(now_usec() < end);
                (void) sd_event_run(f->event, 100 * USEC_PER_MSEC);
        }
        assert_int_equal(worker_pool_count(f->pool), 0);
        assert_int_equal(f->n_ended, 1);
        assert_int_equal(worker_pool_count_abandoned(f->pool), 0);
}

static void the_limit_of_workers_is_named(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        Worker *second = NULL;
        WorkerSpec spec = {
                .plugin_path = f->plugin, .label = "other", .start = f->start, .gone = on_gone, .userdata = f
        };

        assert_int_equal(start_worker(f, &err), 0);
        assert_int_equal(worker_new(f->pool, &spec, &second, &err), -EAGAIN);
        assert_null(second);
        assert_non_null(strstr(err.text, "limit 1"));
        assert_non_null(strstr(err.text, "--max-workers"));
}

static void a_plugin_that_is_not_there_is_an_error_at_start(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;

        (void) snprintf(f->plugin, sizeof(f->plugin), "%s/no-such-plugin.so", f->dir);
        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "status", PATIENCE_USEC);
        run_until(f, &f->n_done, 1);
        assert_true(f->had_error);
        assert_int_equal(f->n_gone, 1);
        assert_non_null(strstr(f->gone_error.text, "no-such-plugin"));
}

static void a_worker_that_talks_garbage_is_written_off(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        WorkerLimits limits = { 4, 2 };
        char script[128];
        FILE *file;

        (void) snprintf(script, sizeof(script), "%s/liar", f->dir);
        file = fopen(script, "w");
        assert_non_null(file);
        fputs("#!/bin/sh\nprintf 'I am no frame' >&3\nread x <&3\n", file);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(script, 0700), 0);
        (void) worker_pool_free(f->pool);
        assert_int_equal(worker_pool_new(&f->pool, f->event, script, &limits), 0);
        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "status", PATIENCE_USEC);
        run_until(f, &f->n_done, 1);
        assert_int_equal(f->done_error.code, -EPROTO);
        (void) unlink(script);
}

static void freeing_a_busy_worker_kills_it_and_calls_nobody(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        int pid;

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "status", PATIENCE_USEC);
        pid = worker_get_pid(f->worker);
        f->worker = worker_free(f->worker);
        while (worker_pool_count(f->pool) > 0)
                assert_true(sd_event_run(f->event, PATIENCE_USEC) > 0);
        assert_int_equal(f->n_done, 0);
        assert_int_equal(f->n_gone, 0);
        assert_int_equal(f->n_ended, 1); /* whoever cleans up after it is told, once it can do no more */
        assert_int_equal(kill(pid, 0), -1);
}

static void an_idle_worker_that_is_let_go_leaves_nothing_to_clean_up(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;

        assert_int_equal(start_worker(f, &err), 0);
        must_call(f, "status", PATIENCE_USEC);
        run_until(f, &f->n_done, 1);
        f->worker = worker_free(f->worker);
        while (worker_pool_count(f->pool) > 0)
                assert_true(sd_event_run(f->event, PATIENCE_USEC) > 0);
        assert_int_equal(f->n_ended, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_call_is_answered, setup, teardown),
                cmocka_unit_test_setup_teardown(a_second_call_meanwhile_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(an_unknown_operation_is_an_error_of_the_call_only, setup, teardown),
                cmocka_unit_test_setup_teardown(a_killed_worker_fails_its_call_and_says_how_it_died, setup, teardown),
                cmocka_unit_test_setup_teardown(a_silent_worker_is_written_off_at_its_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(the_limit_of_workers_is_named, setup_one, teardown),
                cmocka_unit_test_setup_teardown(a_plugin_that_is_not_there_is_an_error_at_start, setup, teardown),
                cmocka_unit_test_setup_teardown(a_worker_that_talks_garbage_is_written_off, setup, teardown),
                cmocka_unit_test_setup_teardown(freeing_a_busy_worker_kills_it_and_calls_nobody, setup, teardown),
                cmocka_unit_test_setup_teardown(an_idle_worker_that_is_let_go_leaves_nothing_to_clean_up, setup,
                                                teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
