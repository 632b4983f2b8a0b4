/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/proc: real programs, their output, their end, and what they get to see. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/str.h"

#define SH(text) ((const char *[]){ "sh", "-c", text, NULL })

typedef struct Lines {
        char text[4096];
        unsigned n, asked, cancel_at;
} Lines;

static struct storaged_error err;

static int run(const ProcSpec *spec, ProcResult *ret)
{
        err = (struct storaged_error) STORAGED_ERROR_INIT;
        return proc_run(spec, ret, &err);
}

static ProcSpec shell(const char *const *argv)
{
        ProcSpec spec = PROC_SPEC_INIT;

        spec.argv = argv;
        return spec;
}

static void output_and_status(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("echo out; echo first >&2; printf 'last\tline\n' >&2; exit 3"));

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_int_equal(r.status, 3);
        assert_string_equal(r.out, "out\n");
        assert_int_equal(r.out_len, 4);
        assert_string_equal(r.last_error, "last line");
        assert_false(r.timed_out);
}

static void silent_program(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell((const char *[]){ "true", NULL });

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.out, "");
        assert_string_equal(r.last_error, "");
}

static void arguments_are_no_shell_text(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell((const char *[]){ "printf", "%s|", "a b", "$(id)", "; rm x", "", NULL });

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_string_equal(r.out, "a b|$(id)|; rm x||");
}

static void much_output_on_both_ends(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("head -c 3000000 /dev/zero | tr '\\0' x >&2; head -c 3000000 /dev/zero | tr '\\0' y"));

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_int_equal(r.out_len, 3000000);
        assert_int_equal(r.out[2999999], 'y');
        assert_int_equal(strlen(r.last_error), sizeof(r.last_error) - 1); /* one endless line, cut */
}

static void too_much_output(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("exec cat /dev/zero"));

        (void) state;
        assert_int_equal(run(&spec, &r), -EFBIG);
        assert_null(r.out);
        assert_non_null(strstr(err.text, "printed more than"));
}

static void missing_program(void **state)
{
        ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell((const char *[]){ "no-such-program-here", NULL });

        (void) state;
        setenv("PATH", "/usr/bin:/bin", 1); /* a folder in it that may not be read would be the answer */
        assert_int_equal(run(&spec, &r), -ENOENT);
        assert_non_null(strstr(err.text, "no-such-program-here"));
        assert_null(r.out);
        spec = shell((const char *[]){ "/etc/passwd", NULL });
        assert_int_equal(run(&spec, &r), -EACCES);
        spec = shell((const char *[]){ NULL });
        assert_int_equal(run(&spec, &r), -EINVAL);
}

static void killed_program(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("kill -9 $$"));

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_int_equal(r.status, 128 + SIGKILL);
}

static void deadline_ends_it(void **state)
{
        ProcSpec spec = shell(SH("echo waiting >&2; exec sleep 60"));

        (void) state;
        /* On a busy machine the shell may need longer until it says anything. */
        for (spec.deadline_ms = 300; spec.deadline_ms <= 19200; spec.deadline_ms *= 4) {
                AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
                uint64_t begun = now_usec();

                assert_int_equal(run(&spec, &r), -ETIMEDOUT);
                assert_true(r.timed_out);
                assert_in_range(now_usec() - begun, spec.deadline_ms * USEC_PER_MSEC, 30 * USEC_PER_SEC);
                if (!strstr(err.text, "waiting") || now_usec() - begun > (spec.deadline_ms + 1600) * USEC_PER_MSEC)
                        continue;
                if (spec.deadline_ms == 300)
                        assert_non_null(strstr(err.text, "300 ms"));
                return;
        }
        fail_msg("it never ended within 1.6 s after its deadline: %s", err.text);
}

static void who_ignores_sigterm_is_killed(void **state)
{
        ProcSpec spec = shell(SH("trap '' TERM; echo ignored >&2; while :; do sleep 0.1; done"));

        (void) state;
        /* On a busy machine the shell may need longer until it ignores anything. */
        for (spec.deadline_ms = 100; spec.deadline_ms <= 25600; spec.deadline_ms *= 4) {
                AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
                uint64_t begun = now_usec(), seconds;

                assert_int_equal(run(&spec, &r), -ETIMEDOUT);
                seconds = (now_usec() - begun - spec.deadline_ms * USEC_PER_MSEC) / USEC_PER_SEC;
                if (!strstr(err.text, "ignored"))
                        continue;
                assert_in_range(seconds, 2, 10);
                return;
        }
        fail_msg("the shell never began: %s", err.text);
}

static int cancel(void *userdata)
{
        Lines *l = userdata;

        return ++l->asked >= l->cancel_at;
}

static void add_line(void *userdata, const char *line)
{
        Lines *l = userdata;

        l->n++;
        (void) strncat(l->text, line, sizeof(l->text) - strlen(l->text) - 2);
        (void) strcat(l->text, "|");
}

static void cancelled_in_between(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("exec sleep 60"));
        Lines l = { .cancel_at = 3 };

        (void) state;
        spec.cancelled = cancel;
        spec.userdata = &l;
        assert_int_equal(run(&spec, &r), -ECANCELED);
        assert_int_equal(l.asked, 3);
        assert_false(r.timed_out);
}

static void lines_of_progress(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("printf '  (1/100%%)\\r  (2/100%%)\\r\\n\\nlast'"));
        Lines l = { 0 };

        (void) state;
        spec.progress = add_line;
        spec.userdata = &l;
        assert_int_equal(run(&spec, &r), 0);
        assert_string_equal(l.text, "  (1/100%)|  (2/100%)|last|");
        assert_int_equal(l.n, 3);
        assert_string_equal(r.out, ""); /* given away line by line */
}

static void stdin_and_stdout_by_descriptor(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        AUTO(closep) int in = memfd_create("in", MFD_CLOEXEC);
        AUTO(closep) int out = memfd_create("out", MFD_CLOEXEC);
        ProcSpec spec = shell((const char *[]){ "tr", "a-z", "A-Z", NULL });
        char got[8] = "";

        (void) state;
        assert_int_equal(write(in, "hello", 5), 5);
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
        spec.stdin_fd = in;
        spec.stdout_fd = out;
        assert_int_equal(run(&spec, &r), 0);
        assert_int_equal(pread(out, got, 7, 0), 5);
        assert_string_equal(got, "HELLO");
        assert_true(fcntl(in, F_GETFD) & FD_CLOEXEC);
}

static void stdin_is_empty_by_default(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell((const char *[]){ "cat", NULL });

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_string_equal(r.out, "");
}

static void only_kept_descriptors_are_inherited(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        int other = open("/dev/null", O_RDONLY); /* without CLOEXEC, as a careless library would */
        int kept = fcntl(other, F_DUPFD_CLOEXEC, 40);
        ProcSpec spec = shell(SH("ls /proc/$$/fd"));
        char want[32];

        (void) state;
        assert_true(other >= 3 && kept >= 40);
        spec.keep_fds = (const int[]){ kept, -1 };
        assert_int_equal(run(&spec, &r), 0);
        (void) snprintf(want, sizeof(want), "0\n1\n2\n%d\n", kept);
        /* Sorted as text; what the shell opens for itself is above 9. */
        assert_non_null(strstr(r.out, "0\n1\n2\n"));
        (void) snprintf(want, sizeof(want), "\n%d\n", kept);
        assert_non_null(strstr(r.out, want));
        (void) snprintf(want, sizeof(want), "\n%d\n", other);
        assert_null(strstr(r.out, want));
        spec.keep_fds = (const int[]){ 1, -1 };
        assert_int_equal(run(&spec, &r), -EINVAL);
        (void) close(other);
        (void) close(kept);
}

static void environment_is_of_one_language(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("echo $LC_ALL $LANGUAGE $KEPT"));

        (void) state;
        (void) setenv("LC_ALL", "de_DE.UTF-8", 1);
        (void) setenv("LANGUAGE", "de", 1);
        (void) setenv("KEPT", "yes", 1);
        assert_int_equal(run(&spec, &r), 0);
        assert_string_equal(r.out, "C.UTF-8 yes\n");
        assert_string_equal(getenv("LC_ALL"), "de_DE.UTF-8"); /* ours is as it was */
        (void) unsetenv("LC_ALL");
}

static void signals_are_reset(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("grep -E 'SigBlk|SigIgn' /proc/self/status"));
        const uint64_t RESERVED_BY_LIBC = UINT64_C(3) << 31; /* 32 and 33: sigaction(2) can't reach them */
        uint64_t blocked = 1, ignored = 1;
        sigset_t all, before;

        (void) state;
        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, &before);
        (void) signal(SIGPIPE, SIG_IGN);
        assert_int_equal(run(&spec, &r), 0);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        assert_int_equal(sscanf(r.out, "SigBlk: %" SCNx64 " SigIgn: %" SCNx64, &blocked, &ignored), 2);
        assert_true(blocked == 0);
        assert_true((ignored & ~RESERVED_BY_LIBC) == 0);
}

static void own_process_group(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("set -- $(cat /proc/$$/stat); echo $1 $5"));
        char pid[32], want[80];

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_int_equal(sscanf(r.out, "%31s", pid), 1);
        (void) snprintf(want, sizeof(want), "%s %s\n", pid, pid);
        assert_string_equal(r.out, want);
}

static void grandchild_is_not_waited_for(void **state)
{
        AUTO(proc_result_deinit) ProcResult r = PROC_RESULT_INIT;
        ProcSpec spec = shell(SH("sleep 60 & echo $!"));
        uint64_t begun = now_usec(), pid = 0;

        (void) state;
        assert_int_equal(run(&spec, &r), 0);
        assert_in_range(now_usec() - begun, 0, 30 * USEC_PER_SEC);
        r.out[strcspn(r.out, "\n")] = '\0';
        assert_int_equal(parse_u64(r.out, &pid), 0);
        (void) kill((pid_t) pid, SIGKILL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(output_and_status),
                cmocka_unit_test(silent_program),
                cmocka_unit_test(arguments_are_no_shell_text),
                cmocka_unit_test(much_output_on_both_ends),
                cmocka_unit_test(too_much_output),
                cmocka_unit_test(missing_program),
                cmocka_unit_test(killed_program),
                cmocka_unit_test(deadline_ends_it),
                cmocka_unit_test(who_ignores_sigterm_is_killed),
                cmocka_unit_test(cancelled_in_between),
                cmocka_unit_test(lines_of_progress),
                cmocka_unit_test(stdin_and_stdout_by_descriptor),
                cmocka_unit_test(stdin_is_empty_by_default),
                cmocka_unit_test(only_kept_descriptors_are_inherited),
                cmocka_unit_test(environment_is_of_one_language),
                cmocka_unit_test(signals_are_reset),
                cmocka_unit_test(own_process_group),
                cmocka_unit_test(grandchild_is_not_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
