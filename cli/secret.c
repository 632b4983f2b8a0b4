/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks for a secret. Echo is switched off only while it is typed, and on again also when the user gives up
 * with ^C: a signal ends the reading, not the process, so that the terminal is left as it was.
 */
#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#define SECRET_MAX 4096

static int read_line(int fd, char *buf, size_t size)
{
        size_t n = 0;

        while (n + 1 < size) {
                ssize_t k = read(fd, buf + n, 1);

                if (k < 0 && errno == EINTR)
                        return -EINTR;
                if (k < 0)
                        return -errno;
                if (k == 0 && n == 0)
                        return -ENODATA;
                if (k == 0 || buf[n] == '\n')
                        break;
                n++;
        }
        if (n + 1 == size)
                return -E2BIG;
        buf[n] = '\0';
        return n > 0 ? 0 : -ENODATA;
}

static void on_signal(int signo)
{
        (void) signo;
}

static int read_without_echo(int tty, const char *prompt, char *buf, size_t size)
{
        struct sigaction quiet = { .sa_handler = on_signal }, old_int, old_term;
        struct termios old, now;
        int r;

        if (tcgetattr(tty, &old) < 0)
                return -errno;
        now = old;
        now.c_lflag &= ~(tcflag_t) ECHO;
        (void) sigaction(SIGINT, &quiet, &old_int);
        (void) sigaction(SIGTERM, &quiet, &old_term);
        (void) tcsetattr(tty, TCSAFLUSH, &now);
        (void) dprintf(tty, "%s", prompt);
        r = read_line(tty, buf, size);
        (void) dprintf(tty, "\n");
        (void) tcsetattr(tty, TCSAFLUSH, &old);
        (void) sigaction(SIGINT, &old_int, NULL);
        (void) sigaction(SIGTERM, &old_term, NULL);
        return r;
}

int secret_ask(const char *prompt, char **ret)
{
        AUTO(closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        char buf[SECRET_MAX];
        char *copy;
        int r;

        r = tty >= 0 ? read_without_echo(tty, prompt, buf, sizeof(buf)) : read_line(STDIN_FILENO, buf, sizeof(buf));
        if (r < 0)
                return r;
        copy = strdup(buf);
        explicit_bzero(buf, sizeof(buf));
        if (!copy)
                return -ENOMEM;

        *ret = copy;
        return 0;
}
