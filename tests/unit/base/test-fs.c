/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/fs: reading with a bound, replacing as a whole, also when writing fails half-way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_MAX], file[600];
static bool fail_fsync;

int __wrap_fsync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd)
{
        if (fail_fsync) {
                errno = EIO;
                return -1;
        }
        return __real_fsync(fd);
}

static int setup(void **state)
{
        (void) state;
        if (!scratch_make(dir))
                return -1;
        (void) snprintf(file, sizeof(file), "%s/file", dir);
        fail_fsync = false;
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        return scratch_remove(dir);
}

static size_t count_entries(void)
{
        DIR *d = opendir(dir);
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n - 2;
}

static void assert_content(const char *want)
{
        AUTO(freep) char *got = NULL;

        assert_int_equal(fs_read_file(file, 1 << 20, &got, NULL), 0);
        assert_string_equal(got, want);
}

static void write_then_read(void **state)
{
        AUTO(freep) char *got = NULL;
        struct stat st;
        size_t n = 0;

        (void) state;
        assert_int_equal(fs_write_atomic(file, "a\0b", 3, 0640), 0);
        assert_int_equal(fs_read_file(file, 100, &got, &n), 0);
        assert_int_equal(n, 3);
        assert_memory_equal(got, "a\0b\0", 4);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        assert_int_equal(fs_write_atomic(file, "", 0, 0640), 0);
        assert_content("");
        assert_int_equal(count_entries(), 1);
}

static void read_has_a_bound(void **state)
{
        char *got = NULL;
        char data[10000];

        (void) state;
        memset(data, 'x', sizeof(data));
        assert_int_equal(fs_write_atomic(file, data, sizeof(data), 0600), 0);
        assert_int_equal(fs_read_file(file, sizeof(data) - 1, &got, NULL), -EFBIG);
        assert_null(got);
        assert_int_equal(fs_read_file(file, sizeof(data), &got, NULL), 0);
        assert_int_equal(strlen(got), sizeof(data));
        free(got);
}

static void read_of_what_is_no_file(void **state)
{
        char *got = NULL;

        (void) state;
        assert_int_equal(fs_read_file(file, 10, &got, NULL), -ENOENT);
        assert_int_equal(fs_read_file(dir, 10, &got, NULL), -EISDIR);
        assert_null(got);
}

static void failed_write_keeps_the_old_content(void **state)
{
        (void) state;
        assert_int_equal(fs_write_atomic(file, "old", 3, 0600), 0);
        fail_fsync = true;
        assert_int_equal(fs_write_atomic(file, "new", 3, 0600), -EIO);
        assert_content("old");
        assert_int_equal(count_entries(), 1); /* no temporary file is left */
}

static void write_into_a_missing_directory(void **state)
{
        char path[700];

        (void) state;
        (void) snprintf(path, sizeof(path), "%s/none/file", dir);
        assert_int_equal(fs_write_atomic(path, "x", 1, 0600), -ENOENT);
}

static void killed_between_the_steps(void **state)
{
        static const struct {
                const char *faults, *want;
        } rows[] = {
                { "fs.write.before-fsync=kill", "old" },
                { "fs.write.before-rename=kill", "old" },
                { "fs.write.after-rename=kill", "new" },
                { "fs.write.before-rename=error:28", "old" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int status;
                pid_t pid;

                assert_int_equal(fs_write_atomic(file, "old", 3, 0600), 0);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        /* Read when first needed, which must not have been before. */
                        (void) setenv("STORAGED_FAULTS", rows[i].faults, 1);
                        (void) execl("/proc/self/exe", "test-fs", "write", file, (char *) NULL);
                        _exit(126);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (str_ends_with(rows[i].faults, "kill"))
                        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
                else
                        assert_int_equal(WEXITSTATUS(status), ENOSPC);
                assert_content(rows[i].want);
        }
}

static void directories_with_parents(void **state)
{
        char path[700];
        struct stat st;

        (void) state;
        (void) snprintf(path, sizeof(path), "%s/a/b/c", dir);
        assert_int_equal(fs_mkdir_p(path, 0700), 0);
        assert_int_equal(fs_mkdir_p(path, 0755), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700); /* left as it was */
        assert_int_equal(fs_write_atomic(file, "", 0, 0600), 0);
        (void) snprintf(path, sizeof(path), "%s/file/below", dir);
        assert_int_equal(fs_mkdir_p(path, 0700), -ENOTDIR);
}

static void all_is_written_to_a_pipe(void **state)
{
        static char data[300000], got[300000];
        size_t n = 0;
        int ends[2], status;
        pid_t pid;

        (void) state;
        memset(data, 0x5a, sizeof(data));
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0)
                _exit(fs_write_all(ends[1], data, sizeof(data)) == 0 ? 0 : 1);
        (void) close(ends[1]);
        for (ssize_t k; (k = read(ends[0], got + n, sizeof(got) - n)) > 0;)
                n += (size_t) k;
        (void) close(ends[0]);
        assert_int_equal(n, sizeof(data));
        assert_memory_equal(data, got, n);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                T(write_then_read),
                T(read_has_a_bound),
                T(read_of_what_is_no_file),
                T(failed_write_keeps_the_old_content),
                T(write_into_a_missing_directory),
                T(killed_between_the_steps),
                T(directories_with_parents),
                T(all_is_written_to_a_pipe),
        };

        if (argc == 3 && str_eq(argv[1], "write"))
                return -fs_write_atomic(argv[2], "new", 3, 0600);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
