/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pidfd_open() for valgrind, which does not know the system call (3.19): preloaded by test_valgrind.py. The descriptor
 * is a pipe whose other end a thread closes when the process has ended: poll() sees that as it would see a pidfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct watch {
        pid_t pid;
        int fd;
};

int pidfd_open(pid_t pid, unsigned flags);

static void *watch_run(void *arg)
{
        struct watch w = *(struct watch *) arg;
        siginfo_t info;

        free(arg);
        while (waitid(P_PID, (id_t) w.pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
                ;
        (void) close(w.fd);
        return NULL;
}

__attribute__((visibility("default"))) int pidfd_open(pid_t pid, unsigned flags)
{
        struct watch *w = malloc(sizeof(*w));
        pthread_t thread;
        int fds[2];

        (void) flags;
        if (!w || pipe2(fds, O_CLOEXEC) < 0) {
                free(w);
                return -1;
        }
        *w = (struct watch){ pid, fds[1] };
        if (pthread_create(&thread, NULL, watch_run, w) != 0) {
                (void) close(fds[0]);
                (void) close(fds[1]);
                free(w);
                errno = EAGAIN;
                return -1;
        }
        (void) pthread_detach(thread);
        return fds[0];
}
