/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of lvmlockd, for the three things that lvmlockctl does and liblvm2cmd does not. A request is lines of
 * `key = value` in LVM's configuration syntax, ended by a line ##, on a stream socket; so is the answer (lvm2's
 * libdaemon/client/daemon-io.c and lvmlockctl.c). `op_result` is 0 or a negative number of lvmlockd's own.
 */
#include "common-lvm/lockd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#define END "\n##\n"
#define ANSWER_MAX 4096
#define NO_LOCKSPACE (-210) /* its ENOLS */
#define PATIENCE_S 60       /* lvmlockd itself waits for the lock manager, which may wait for the storage */

static int lockd_connect(void)
{
        struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = LOCKD_SOCKET };
        struct timeval patience = { .tv_sec = PATIENCE_S };
        AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* *ret: op_result. */
static int ask(const char *request, const char *vg, const char *mode, long *ret)
{
        AUTO(closep) int fd = lockd_connect();
        char text[512], answer[ANSWER_MAX] = "";
        const char *result;
        size_t n = 0;
        int len;

        if (fd < 0)
                return fd;
        len = snprintf(text, sizeof(text), "request = \"%s\"\ncmd = \"storaged\"\npid = %d\n%s%s%s%s%s%s" END, request,
                       (int) getpid(), vg ? "vg_name = \"" : "", vg ? vg : "", vg ? "\"\n" : "",
                       mode ? "mode = \"" : "", mode ? mode : "", mode ? "\"\n" : "");
        if (len < 0 || (size_t) len >= sizeof(text))
                return -ENAMETOOLONG;
        if (send(fd, text, (size_t) len, MSG_NOSIGNAL) != len)
                return -EIO;
        while (n < sizeof(answer) - 1 && !strstr(answer, END)) {
                ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);

                if (got <= 0)
                        return got < 0 ? -errno : -EPIPE;
                n += (size_t) got;
                answer[n] = '\0';
        }
        result = strstr(answer, "op_result = ");
        if (!result)
                return -EPROTO;
        *ret = strtol(result + strlen("op_result = "), NULL, 10);
        return 0;
}

static int ask_for(const char *request, const char *vg, const char *what, long fine, struct storaged_error *err)
{
        long result = 0;
        int r = ask(request, vg, NULL, &result);

        if (r < 0)
                return error_set(err, r, "volume group \"%s\": lvmlockd can't be asked to %s: %s", vg, what,
                                 strerror(-r));
        if (result >= 0 || result == fine)
                return 0;
        return error_set(err, -EIO, "volume group \"%s\": lvmlockd did not %s: its error %ld", vg, what, result);
}

bool lockd_is_running(void)
{
        AUTO(closep) int fd = lockd_connect();

        return fd >= 0;
}

/* The lock is taken shared and given back: that is how LVM itself finds out. It goes with the connection in any case.
 */
bool lockd_has_global(void)
{
        long result = -1;
        bool has = ask("lock_gl", NULL, "sh", &result) == 0 && result >= 0;

        if (has)
                (void) ask("lock_gl", NULL, "un", &result);
        return has;
}

int lockd_enable_global(const char *vg, struct storaged_error *err)
{
        return ask_for("enable_gl", vg, "give it the global lock", 0, err);
}

int lockd_drop(const char *vg, struct storaged_error *err)
{
        return ask_for("drop_vg", vg, "give up its locks", NO_LOCKSPACE, err);
}
