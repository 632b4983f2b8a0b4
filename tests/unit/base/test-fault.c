/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/fault: the rules of STORAGED_FAULTS. The environment is read once, so all rules are set before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"

static void unknown_points_pass(void **state)
{
        (void) state;
        assert_int_equal(fault_point("nothing"), 0);
        assert_int_equal(fault_point(""), 0);
        assert_int_equal(fault_point("disk.full.not"), 0);
}

static void error_each_time(void **state)
{
        (void) state;
        assert_int_equal(fault_point("disk.full"), -ENOSPC);
        assert_int_equal(fault_point("disk.full"), -ENOSPC);
}

static void error_at_the_third_passing(void **state)
{
        (void) state;
        assert_int_equal(fault_point("third"), 0);
        assert_int_equal(fault_point("third"), 0);
        assert_int_equal(fault_point("third"), -EIO);
        assert_int_equal(fault_point("third"), 0);
}

static void star_matches_any_rest(void **state)
{
        (void) state;
        assert_int_equal(fault_point("any.one"), -EPERM);
        assert_int_equal(fault_point("any."), -EPERM);
        assert_int_equal(fault_point("any"), 0);
}

static void rule_without_action_is_none(void **state)
{
        (void) state;
        assert_int_equal(fault_point("noaction"), 0);
        assert_int_equal(fault_point("strange"), 0);
}

static void child_ends_by(const char *point, int options, int want_stop, int want_kill)
{
        int status = 0;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void) fault_point(point);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, options), pid);
        assert_int_equal(WIFSTOPPED(status), want_stop);
        assert_int_equal(WIFSIGNALED(status), want_kill);
        if (want_stop) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, &status, 0);
        }
}

static void kill_and_stop(void **state)
{
        (void) state;
        child_ends_by("die", 0, 0, 1);
        child_ends_by("halt", WUNTRACED, 1, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(unknown_points_pass),         cmocka_unit_test(error_each_time),
                cmocka_unit_test(error_at_the_third_passing),  cmocka_unit_test(star_matches_any_rest),
                cmocka_unit_test(rule_without_action_is_none), cmocka_unit_test(kill_and_stop),
        };

        (void) setenv("STORAGED_FAULTS",
                      "disk.full=error:28 third=error:5@3,any.*=error:1 noaction strange=dance die=kill halt=stop", 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
