/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local tree: nothing leads out of its root, nothing is replaced unasked. With openat2 and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/tree.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_MAX];
static Tree *tree;
static bool no_openat2;

/* A kernel without openat2, when the test says so. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
        if (number == SYS_openat2 && no_openat2) {
                errno = ENOSYS;
                return -1;
        }
        return __real_syscall(number, a, b, c, d, e, f);
}

/* As many processors as the test says, whatever this machine has. */
static int n_cpus = 1;
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
        (void) pid;
        memset(set, 0, size);
        for (int i = 0; i < n_cpus; i++)
                CPU_SET(i, set);
        return 0;
}

/* Directories that go wrong: one called "broken" cannot be read, one called "vanishing" is removed once it is open. */
ssize_t __real_getdents64(int fd, void *buf, size_t n);
ssize_t __wrap_getdents64(int fd, void *buf, size_t n);

ssize_t __wrap_getdents64(int fd, void *buf, size_t n)
{
        char link[64], path[512];
        ssize_t k;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        k = readlink(link, path, sizeof(path) - 1);
        path[k < 0 ? 0 : k] = '\0';
        if (strstr(path, "/broken")) {
                errno = EIO;
                return -1;
        }
        if (strstr(path, "/vanishing"))
                (void) rmdir(path);
        return __real_getdents64(fd, buf, n);
}

/* A file called "vanishing" is removed before anyone can look at it. */
int __real_statx(int fd, const char *name, int flags, unsigned mask, struct statx *ret);
int __wrap_statx(int fd, const char *name, int flags, unsigned mask, struct statx *ret);

int __wrap_statx(int fd, const char *name, int flags, unsigned mask, struct statx *ret)
{
        if (strcmp(name, "vanishing") == 0)
                (void) unlinkat(fd, name, 0);
        return __real_statx(fd, name, flags, mask, ret);
}

static int setup(void **state)
{
        (void) state;
        if (!scratch_make(dir))
                return -1;
        no_openat2 = false;
        n_cpus = 1;
        return tree_local_new(dir, &tree);
}

static int setup_old_kernel(void **state)
{
        int r = setup(state);

        tree = tree_free(tree);
        no_openat2 = true;
        return r < 0 ? r : tree_local_new(dir, &tree);
}

static int teardown(void **state)
{
        int r = tree_remove_all(tree, ".", 32);

        (void) state;
        no_openat2 = false;
        tree = tree_free(tree);
        /* "." itself cannot be removed through the tree */
        return r == 0 || r == -EINVAL ? rmdir(dir) : r;
}

static const char *at(const char *rel)
{
        static char path[512];

        (void) snprintf(path, sizeof(path), "%s/%s", dir, rel);
        return path;
}

static void links_and_dots_lead_nowhere(void **state)
{
        TreeAttr attr;
        TreeFile *f = NULL;

        (void) state;
        assert_int_equal(symlink("/etc", at("out")), 0);
        assert_int_equal(symlink("/etc/passwd", at("file")), 0);
        assert_true(tree->ops->open(tree, "out/passwd", &f) < 0);
        assert_true(tree->ops->open(tree, "file", &f) < 0);
        assert_true(tree->ops->open(tree, "../../etc/passwd", &f) < 0);
        assert_true(tree->ops->open(tree, "/etc/passwd", &f) < 0 || no_openat2);
        assert_true(tree->ops->create(tree, "out/x-test", 0, 0600) < 0);
        assert_true(tree->ops->create(tree, "file", 0, 0600) < 0);
        assert_true(tree->ops->mkdir(tree, "out/x-test", 0700) < 0);
        assert_true(tree->ops->rename(tree, "file", "out/x-test", 0) < 0);
        assert_true(tree->ops->unlink(tree, "../x-test") < 0);
        assert_true(tree->ops->truncate(tree, "file", 0) < 0);
        assert_true(tree_mkdir_p(tree, "out/a/b", 0700) < 0);
        assert_int_equal(tree->ops->stat(tree, "file", &attr), 0);
        assert_int_equal(attr.type, TREE_LINK);
        assert_int_equal(tree->ops->unlink(tree, "file"), 0);
        assert_int_equal(tree->ops->unlink(tree, "out"), 0);
        assert_int_equal(access("/etc/passwd", R_OK), 0);
}

static void nothing_is_replaced_unasked(void **state)
{
        char *text = NULL;
        size_t n;

        (void) state;
        assert_int_equal(tree->ops->write(tree, "a", "one", 3, 0600), 0);
        assert_int_equal(tree->ops->write(tree, "b", "two", 3, 0600), 0);
        assert_int_equal(tree->ops->write(tree, "a", "new", 3, 0600), -EEXIST);
        assert_int_equal(tree->ops->rename(tree, "a", "b", TREE_NO_REPLACE), -EEXIST);
        assert_int_equal(tree->ops->create(tree, "b", 5, 0600), -EEXIST);
        assert_int_equal(tree->ops->link(tree, "a", "b"), -EEXIST);
        assert_int_equal(tree_write_file(tree, "b", "b.tmp", "three", 5, 0600), 0);
        assert_int_equal(tree_read_file(tree, "b", 100, &text, &n), 0);
        assert_string_equal(text, "three");
        free(text);
        assert_int_equal(tree_read_file(tree, "b", 2, &text, &n), 0);
        assert_string_equal(text, "th");
        free(text);
        assert_int_equal(tree->ops->rename(tree, "a", "b", 0), 0);
}

static int count(void *userdata, const char *name, const TreeAttr *attr)
{
        int *n = userdata;

        assert_string_not_equal(name, ".");
        assert_string_not_equal(name, "..");
        assert_true(!attr || attr->type != 0);
        ++*n;
        return *n == 100 ? 77 : 0;
}

static void listing(void **state)
{
        int n = 0;
        char name[16];

        (void) state;
        assert_int_equal(tree_mkdir_p(tree, "x/y/z", 0755), 0);
        assert_int_equal(tree_mkdir_p(tree, "x/y/z", 0755), 0);
        for (int i = 0; i < 120; i++) {
                (void) snprintf(name, sizeof(name), "x/%d", i);
                assert_int_equal(tree->ops->create(tree, name, 4096, 0600), 0);
        }
        assert_int_equal(tree->ops->list(tree, "x", 0, count, &n), 77);
        n = 200;
        assert_int_equal(tree->ops->list(tree, "x", TREE_NAMES_ONLY, count, &n), 0);
        assert_int_equal(n, 321);
        assert_int_equal(tree->ops->list(tree, "none", 0, count, &n), -ENOENT);
        assert_int_equal(tree->ops->list(tree, "x/1", 0, count, &n), -ENOTDIR);
        assert_int_equal(tree_mkdir_p(tree, "x/1/a", 0755), -ENOTDIR);
        assert_int_equal(tree_remove_all(tree, "x", 2), -ELOOP);
        assert_int_equal(tree_remove_all(tree, "x", 8), 0);
}

static void special_files_are_not_opened(void **state)
{
        TreeFile *f = NULL;

        (void) state;
        assert_int_equal(mkfifo(at("fifo"), 0600), 0);
        assert_int_equal(tree->ops->open(tree, "fifo", &f), -EINVAL);
        assert_int_equal(tree->ops->open(tree, "", &f), -EISDIR);
        assert_int_equal(tree_local_new(at("fifo"), &tree), -ENOTDIR);
}

/* --- many directories at once */

#define N_DIRS 80 /* more than twice what is read ahead */
#define N_FILES 3

static const char *names[N_DIRS];
static char name_texts[N_DIRS][16];

/* many/d0, d1, …, each with files f0, f1, … */
static TreeMany make_many(TreeManyFn fn, void *userdata)
{
        char path[64];

        for (int i = 0; i < N_DIRS; i++) {
                (void) snprintf(name_texts[i], sizeof(name_texts[i]), "d%d", i);
                names[i] = name_texts[i];
                (void) snprintf(path, sizeof(path), "many/d%d", i);
                assert_int_equal(tree_mkdir_p(tree, path, 0755), 0);
                for (int k = 0; k < N_FILES; k++) {
                        (void) snprintf(path, sizeof(path), "many/d%d/f%d", i, k);
                        assert_int_equal(tree->ops->create(tree, path, (uint64_t) i * 10 + (uint64_t) k, 0600), 0);
                }
        }
        return (TreeMany){ .dir = "many", .names = names, .n = N_DIRS, .fn = fn, .userdata = userdata };
}

static size_t count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

typedef struct Seen {
        size_t index, n; /* the directory, entries in all */
        size_t in_dir[N_DIRS];
        size_t stop_at; /* entry that ends it */
        int answer;
        pid_t thread;
} Seen;

static int see(void *userdata, size_t index, const char *name, const TreeAttr *attr)
{
        Seen *s = userdata;
        int k;

        assert_true(index >= s->index && index < N_DIRS);
        assert_int_equal(gettid(), s->thread);
        s->index = index;
        s->in_dir[index]++;
        if (sscanf(name, "f%d", &k) == 1) {
                assert_int_equal(attr->type, TREE_FILE);
                assert_int_equal(attr->bytes, index * 10 + (size_t) k);
        }
        return ++s->n == s->stop_at ? s->answer : 0;
}

/* The local tree's own way with one and with four processors, and the way of trees that have none. */
static int list_many_with(int cpus, TreeMany *many, Seen *s)
{
        TreeOps ops = *tree->ops;
        const TreeOps *kept = tree->ops;
        size_t n_fds = count_fds();
        int r;

        *s = (Seen){ .thread = gettid(), .stop_at = s->stop_at, .answer = s->answer };
        many->userdata = s;
        n_cpus = cpus;
        if (!cpus) {
                ops.list_many = NULL;
                tree->ops = &ops;
        }
        r = tree_list_many(tree, many);
        tree->ops = kept;
        assert_int_equal(count_fds(), n_fds);
        return r;
}

static const int ways[] = { 0, 1, 2, 4 };
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static void many_come_in_order(void **state)
{
        TreeMany many = make_many(see, NULL);
        Seen s = { 0 };

        (void) state;
        for (size_t w = 0; w < N_WAYS; w++) {
                assert_int_equal(list_many_with(ways[w], &many, &s), 0);
                assert_int_equal(s.n, N_DIRS * N_FILES);
                assert_int_equal(many.n_listed, N_DIRS);
                for (size_t i = 0; i < N_DIRS; i++)
                        assert_int_equal(s.in_dir[i], N_FILES);
        }
        many.n = 0;
        assert_int_equal(tree_list_many(tree, &many), 0);
}

static void many_pass_over_what_is_no_directory(void **state)
{
        TreeMany many = make_many(see, NULL);
        Seen s = { 0 };

        (void) state;
        assert_int_equal(symlink("/etc", at("many/link")), 0);
        assert_int_equal(symlink("d1", at("many/near")), 0);
        assert_int_equal(tree->ops->create(tree, "many/file", 1, 0600), 0);
        names[0] = "link";
        names[10] = "near";
        names[20] = "file";
        names[30] = "gone";
        for (size_t w = 0; w < N_WAYS; w++) {
                assert_int_equal(list_many_with(ways[w], &many, &s), 0);
                assert_int_equal(s.n, (N_DIRS - 4) * N_FILES);
                assert_int_equal(s.in_dir[0] + s.in_dir[10] + s.in_dir[20] + s.in_dir[30], 0);
        }
        many.dir = "none";
        for (size_t w = 0; w < N_WAYS; w++) {
                assert_int_equal(list_many_with(ways[w], &many, &s), 0);
                assert_int_equal(s.n, 0);
        }
}

static void many_lose_entries_while_read(void **state)
{
        TreeMany many = make_many(see, NULL);
        Seen s = { 0 };

        (void) state;
        names[7] = "vanishing";
        for (size_t w = 0; w < N_WAYS; w++) {
                assert_int_equal(tree->ops->mkdir(tree, "many/vanishing", 0700), 0);
                assert_int_equal(tree->ops->create(tree, "many/d70/vanishing", 1, 0600), 0);
                assert_int_equal(list_many_with(ways[w], &many, &s), 0);
                assert_int_equal(s.n, (N_DIRS - 1) * N_FILES);
                assert_int_equal(access(at("many/vanishing"), F_OK), -1);
        }
}

static void many_end_with_the_first_failure(void **state)
{
        TreeMany many = make_many(see, NULL);
        Seen s = { 0 };

        (void) state;
        assert_int_equal(tree->ops->mkdir(tree, "many/broken", 0700), 0);
        names[50] = "broken";
        for (size_t w = 0; w < N_WAYS; w++) {
                assert_int_equal(list_many_with(ways[w], &many, &s), -EIO);
                assert_int_equal(many.n_listed, 50);
                assert_int_equal(s.n, 50 * N_FILES);
        }
        assert_int_equal(tree->ops->rmdir(tree, "many/broken"), 0);
}

static void many_stop_when_told(void **state)
{
        TreeMany many = make_many(see, NULL);
        /* also with an answer that would pass for a missing directory */
        static const int answers[] = { 77, -EIO, -ENOENT };

        (void) state;
        for (size_t i = 0; i < 3; i++)
                for (size_t w = 0; w < N_WAYS; w++) {
                        Seen s = { .stop_at = i == 0 ? 1 : 50 * N_FILES + 2, .answer = answers[i] };

                        assert_int_equal(list_many_with(ways[w], &many, &s), answers[i]);
                        assert_int_equal(s.n, s.stop_at);
                        assert_int_equal(many.n_listed, (s.stop_at - 1) / N_FILES);
                }
}

static void many_hold_large_directories(void **state)
{
        TreeMany many = make_many(see, NULL);
        Seen s = { 0 };
        char path[300];

        (void) state;
        for (int i = N_FILES; i < 600; i++) {
                (void) snprintf(path, sizeof(path), "many/d3/f%d", i);
                assert_int_equal(tree->ops->create(tree, path, 30 + (uint64_t) i, 0600), 0);
        }
        /* names as long as names can be, so that nothing ends where it is convenient */
        for (int i = 0; i < 100; i++) {
                (void) snprintf(path, sizeof(path), "many/d5/%0250d-%03d", 0, i);
                assert_int_equal(tree->ops->create(tree, path, 1, 0600), 0);
        }
        for (size_t w = 0; w < N_WAYS; w++) {
                assert_int_equal(list_many_with(ways[w], &many, &s), 0);
                assert_int_equal(s.n, N_DIRS * N_FILES + 600 - N_FILES + 100);
                assert_int_equal(s.in_dir[3], 600);
                assert_int_equal(s.in_dir[5], N_FILES + 100);
        }
        s.stop_at = 3 * N_FILES + 500;
        s.answer = 1;
        assert_int_equal(list_many_with(4, &many, &s), 1);
        assert_int_equal(many.n_listed, 3);
}

static volatile sig_atomic_t n_signals;

static void on_signal(int sig)
{
        (void) sig;
        n_signals++;
}

/* Blocked here only now that the helpers run: whoever of them does not block it gets it. */
static int see_and_signal(void *userdata, size_t index, const char *name, const TreeAttr *attr)
{
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGUSR1);
        assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        return see(userdata, index, name, attr);
}

static void many_leave_signals_to_the_caller(void **state)
{
        TreeMany many = make_many(see_and_signal, NULL);
        struct sigaction action = { .sa_handler = on_signal }, old;
        sigset_t set, mask;
        Seen s = { 0 };

        (void) state;
        n_signals = 0;
        assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
        assert_int_equal(list_many_with(4, &many, &s), 0);
        assert_int_equal(n_signals, 0);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGUSR1);
        assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, &mask), 0);
        assert_int_equal(sigismember(&mask, SIGUSR1), 1);
        assert_int_equal(sigismember(&mask, SIGTERM), 0); /* the mask is as it was */
        assert_int_equal(n_signals, 1);
        assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
}

#define BOTH(name)                                                               \
        cmocka_unit_test_setup_teardown(name, setup, teardown),                  \
        {                                                                        \
#name "_without_openat2", name, setup_old_kernel, teardown, NULL \
        }

int main(void)
{
        const struct CMUnitTest tests[] = {
                BOTH(links_and_dots_lead_nowhere),
                BOTH(nothing_is_replaced_unasked),
                BOTH(listing),
                BOTH(special_files_are_not_opened),
                BOTH(many_come_in_order),
                BOTH(many_pass_over_what_is_no_directory),
                BOTH(many_lose_entries_while_read),
                BOTH(many_end_with_the_first_failure),
                BOTH(many_stop_when_told),
                BOTH(many_hold_large_directories),
                BOTH(many_leave_signals_to_the_caller),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
