/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What multipathd says decides, not that it answered; and it is at rest only after it has said so twice running. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "multipath/daemon.c"

#include <time.h>

/* --- a multipathd that answers what the test wrote down, in turn */

static const char *const *answers;
static size_t n_asked, n_pauses;

static int fake_connect(void)
{
        return 100;
}

static int fake_disconnect(int fd)
{
        return fd == 100 ? 0 : -1;
}

static int fake_process(int fd, const char *command, char **reply, unsigned timeout_ms)
{
        const char *answer = answers[n_asked];

        (void) fd;
        (void) command;
        (void) timeout_ms;
        assert_non_null(answer); /* it is asked more often than it should be */
        n_asked++;
        if (!*answer) {
                errno = ETIMEDOUT;
                return -1;
        }
        *reply = strdup(answer);
        return *reply ? 0 : -1;
}

void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
        (void) flags;
        assert_string_equal(name, LIBRARY);
        return &n_asked;
}

void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
        (void) handle;
        return strcmp(name, "mpath_connect") == 0      ? (void *) fake_connect
               : strcmp(name, "mpath_disconnect") == 0 ? (void *) fake_disconnect
                                                       : (void *) fake_process;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
        (void) fds;
        assert_int_equal(n, 0);
        assert_int_equal(timeout_ms, 1000);
        n_pauses++;
        return 0;
}

uint64_t work_now_ms(void)
{
        return (uint64_t) n_pauses * 1000;
}

static void begin(const char *const *list)
{
        answers = list;
        n_asked = n_pauses = 0;
}

/* --- tests */

static void a_command_has_succeeded_if_the_answer_is_ok(void **state)
{
        static const struct {
                const char *answer;
                int result;
        } table[] = {
                { "ok\n", 0 },
                { "ok", 0 },
                { "fail\n", -EBUSY },
                { "ok, but\n", -EBUSY },
                { "timeout\n", -EAGAIN },
                { "blocked", -EBUSY },
                { "", -ETIMEDOUT },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                const char *const list[] = { table[i].answer, NULL };

                begin(list);
                assert_int_equal(daemon_tell("resize map ibm", 1000, &err), table[i].result);
                if (table[i].result < 0)
                        assert_non_null(strstr(err.text, "resize map ibm"));
        }
}

static void at_rest_is_what_says_so_twice_running(void **state)
{
        static const char *const list[] = { "busy: True\n",
                                            "busy: False\n",
                                            "busy: True\n",
                                            "busy: False\n",
                                            "",
                                            "busy: False\n",
                                            "busy: False\n",
                                            NULL };
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        begin(list);
        assert_int_equal(daemon_settle(60000, &err), 0);
        assert_int_equal(n_asked, 7);
        assert_int_equal(n_pauses, 6);
}

static void one_that_stays_busy_is_told_of(void **state)
{
        static const char *const list[] = { "busy: True\n", "busy: False\n", "busy: True\n", "busy: False\n", NULL };
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        begin(list);
        assert_int_equal(daemon_settle(3000, &err), -ETIMEDOUT);
        assert_non_null(strstr(err.text, "still busy after 3 s"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_command_has_succeeded_if_the_answer_is_ok),
                cmocka_unit_test(at_rest_is_what_says_so_twice_running),
                cmocka_unit_test(one_that_stays_busy_is_told_of),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
