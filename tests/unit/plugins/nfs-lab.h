/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A real NFS server for a test program: nfs-ganesha with rpcbind, on loopback of a network namespace of its own,
 * into which the program starts itself anew (lab_enter). Without root, or where the kernel allows no namespace or the
 * server is not installed, need_server() skips the test and prints why.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <storaged/cleanup.h>

#define LAB static __attribute__((unused)) /* not every program needs everything */
#define IN_NAMESPACE "STORAGED_TEST_NFS_NAMESPACE"

static char lab_dir[PATH_MAX];

LAB const char *in_dir(const char *name)
{
        static char paths[4][PATH_MAX + 64];
        static unsigned turn;
        char *path = paths[turn++ % 4];

        (void) snprintf(path, sizeof(paths[0]), "%s/%s", lab_dir, name);
        return path;
}

LAB const char *file_with(const char *name, const char *text)
{
        const char *path = in_dir(name);
        AUTO(fclosep) FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        return path;
}

static char script[PATH_MAX];
static char server_dir[PATH_MAX];
static int lab_port, lab_mount_port;
static const char *why_no_server;

/* One line of JSON, or NULL. The reason it failed is on stderr. */
LAB json_object *run_script(const char *command, const char *rest)
{
        AUTO(freep) char *line = NULL;
        char answer[4096] = "";
        FILE *f;

        assert_true(asprintf(&line, "%s %s --dir %s %s", script, command, server_dir, rest) > 0);
        f = popen(line, "re");
        assert_non_null(f);
        if (!fgets(answer, sizeof(answer), f))
                answer[0] = '\0';
        return pclose(f) == 0 ? json_tokener_parse(answer) : NULL;
}

LAB void server_does(const char *command)
{
        json_object *answer = run_script(command, "");

        assert_non_null(answer);
        json_object_put(answer);
}

LAB int start_server(void **state)
{
        json_object *answer;

        (void) state;
        if (why_no_server)
                return 0;
        answer = run_script("start", "--v3 --exports 'x y'");
        if (!answer) {
                why_no_server = "nfs-ganesha could not be started here";
                return 0;
        }
        lab_port = json_object_get_int(json_object_object_get(answer, "port"));
        lab_mount_port = json_object_get_int(json_object_object_get(answer, "mountport"));
        json_object_put(answer);
        return 0;
}

LAB int stop_server(void **state)
{
        (void) state;
        json_object_put(run_script("stop", ""));
        return 0;
}

LAB void need_server(void)
{
        if (why_no_server) {
                print_message("skipped: %s\n", why_no_server);
                skip();
        }
}

/* What the server serves as /x, seen from its side. */
LAB const char *exported(const char *name)
{
        static char paths[4][PATH_MAX + 64];
        static unsigned turn;
        char *path = paths[turn++ % 4];

        (void) snprintf(path, sizeof(paths[0]), "%s/x/x/%s", server_dir, name);
        return path;
}

LAB void make_file(const char *name, size_t n, unsigned seed)
{
        AUTO(closep) int fd = open(exported(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        char block[4096];

        assert_true(fd >= 0);
        for (size_t done = 0; done < n; done += sizeof(block)) {
                size_t k = n - done < sizeof(block) ? n - done : sizeof(block);

                for (size_t i = 0; i < k; i++)
                        block[i] = (char) ((done + i) * 7 + seed);
                assert_int_equal(write(fd, block, k), k);
        }
}

LAB void make_directory(const char *name)
{
        assert_true(mkdir(exported(name), 0755) == 0 || errno == EEXIST);
}

LAB void make_symlink(const char *target, const char *name)
{
        assert_true(symlink(target, exported(name)) == 0 || errno == EEXIST);
}

LAB void remove_tree(const char *path)
{
        pid_t pid = fork();

        if (pid == 0) {
                execlp("rm", "rm", "-rf", "--", path, (char *) NULL);
                _exit(127);
        }
        (void) waitpid(pid, NULL, 0);
}

/* Starts this program again where there is nothing but loopback; the exit status, or -1 where that can't be had. */
LAB int run_in_namespace(const char *self)
{
        static const char setup[] = "ip link set lo up && mount -t tmpfs none /run && exec \"$0\"";
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                (void) setenv(IN_NAMESPACE, "1", 1);
                execlp("unshare", "unshare", "-n", "-m", "sh", "-c", setup, self, (char *) NULL);
                _exit(127);
        }
        (void) waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

LAB bool can_unshare(void)
{
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void) dup2(null, STDERR_FILENO);
                execlp("unshare", "unshare", "-n", "-m", "true", (char *) NULL);
                _exit(127);
        }
        (void) waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Into the namespace; returns in there, or outside with the reason in why_no_server. Makes the temporary directory. */
LAB void lab_enter(void)
{
        const char *tmp = getenv("TMPDIR");
        char self[PATH_MAX] = "";

        if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
                exit(1);
        if (!getenv(IN_NAMESPACE) && geteuid() == 0 && can_unshare())
                exit(run_in_namespace(self));
        if (!getenv(IN_NAMESPACE))
                why_no_server =
                        geteuid() == 0 ? "no network namespace can be made here" : "a server of NFSv3 needs root";
        (void) snprintf(lab_dir, sizeof(lab_dir), "%s/test-nfs.XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(lab_dir))
                exit(1);
        (void) snprintf(server_dir, sizeof(server_dir), "%.*s/server", PATH_MAX - 16, lab_dir);
        *strrchr(self, '/') = '\0';
        (void) snprintf(script, sizeof(script), "%.*s/../../../../tests/lib/nfs-server", PATH_MAX - 64, self);
}

LAB void lab_leave(void)
{
        remove_tree(lab_dir);
}
