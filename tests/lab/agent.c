/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's agent: runs shell scripts in a node for the host. One connection, one script, one process;
 * statically linked, so that it works whatever the node's file systems are doing.
 *
 * Protocol, big endian. Host: u32 length, script; then its standard input as pieces of u32 length, data; a piece of
 * length 0 ends it. Agent: frames of u8 kind (1 stdout, 2 stderr, 3 exit), u32 length, data; exit carries an i32
 * status. The host keeps its side open to the end: when it hangs up earlier, the script's process group gets SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#define SCRIPT_MAX (16u << 20)
#define LEFTOVER_MS 50 /* output still in the pipes when the script is over; daemons may keep them open */

enum { KIND_STDOUT = 1, KIND_STDERR, KIND_EXIT };

static int write_all(int fd, const void *data, size_t len)
{
        for (const char *p = data; len > 0;) {
                ssize_t n = write(fd, p, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                len -= (size_t) n;
        }
        return 0;
}

static int read_all(int fd, void *data, size_t len)
{
        for (char *p = data; len > 0;) {
                ssize_t n = read(fd, p, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return -EIO;
                p += n;
                len -= (size_t) n;
        }
        return 0;
}

static int send_frame(int fd, uint8_t kind, const void *data, uint32_t len)
{
        char head[5] = { (char) kind };
        uint32_t n = htonl(len);

        memcpy(head + 1, &n, sizeof(n));
        return write_all(fd, head, sizeof(head)) < 0 || write_all(fd, data, len) < 0 ? -EIO : 0;
}

static char *receive_script(int fd)
{
        uint32_t len;
        char *script;

        if (read_all(fd, &len, sizeof(len)) < 0 || (len = ntohl(len)) > SCRIPT_MAX)
                return NULL;
        script = calloc(1, (size_t) len + 1);
        if (script && read_all(fd, script, len) < 0) {
                free(script);
                return NULL;
        }
        return script;
}

/*
 * One script. Input that the script does not take yet is kept in `piece`, and nothing more is read from the host
 * meanwhile: a script that writes before it reads must not stall for its own output.
 */
typedef struct Job {
        int socket, in, out, err, signals;
        pid_t pid;
        int status;
        int is_over;
        uint32_t left; /* of the host's current piece, not read yet */
        size_t begin, end;
        char piece[65536];
} Job;

static int job_start(Job *j, const char *script)
{
        int in[2], out[2], err[2];
        sigset_t mask;

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
                return -errno;
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGCHLD, SIG_DFL);
        j->signals = signalfd(-1, &mask, SFD_CLOEXEC);
        j->pid = fork();
        if (j->pid < 0)
                return -errno;
        if (j->pid == 0) {
                (void) setsid();
                (void) sigprocmask(SIG_UNBLOCK, &mask, NULL);
                (void) signal(SIGPIPE, SIG_DFL);
                (void) dup2(in[0], 0);
                (void) dup2(out[1], 1);
                (void) dup2(err[1], 2);
                execl("/bin/sh", "sh", "-c", script, NULL);
                _exit(127);
        }
        (void) close(in[0]);
        (void) close(out[1]);
        (void) close(err[1]);
        (void) fcntl(in[1], F_SETFL, O_NONBLOCK); /* ours only: the script has the other end */
        j->in = in[1];
        j->out = out[0];
        j->err = err[0];
        return 0;
}

static void close_fd(int *fd)
{
        if (*fd >= 0)
                (void) close(*fd);
        *fd = -1;
}

static int forward(Job *j, int *fd, uint8_t kind)
{
        char buf[65536];
        ssize_t n = read(*fd, buf, sizeof(buf));

        if (n <= 0) {
                close_fd(fd);
                return 0;
        }
        return send_frame(j->socket, kind, buf, (uint32_t) n);
}

static void hang_up(Job *j)
{
        (void) kill(-j->pid, SIGTERM);
        (void) shutdown(j->socket, SHUT_RDWR);
        _exit(1);
}

/* The next of the host's input; a hang-up ends the script. */
static void receive(Job *j)
{
        ssize_t n;

        if (j->left == 0) {
                uint32_t len;

                if (read_all(j->socket, &len, sizeof(len)) < 0)
                        hang_up(j);
                j->left = ntohl(len);
                if (j->left == 0)
                        close_fd(&j->in);
                return;
        }
        n = read(j->socket, j->piece, j->left < sizeof(j->piece) ? j->left : sizeof(j->piece));
        if (n <= 0)
                hang_up(j);
        j->left -= (uint32_t) n;
        j->begin = 0;
        j->end = j->in >= 0 ? (size_t) n : 0;
}

static void feed(Job *j)
{
        ssize_t n = write(j->in, j->piece + j->begin, j->end - j->begin);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0) { /* a script that does not read to the end is its own affair */
                close_fd(&j->in);
                j->begin = j->end = 0;
                return;
        }
        j->begin += (size_t) n;
}

static void reap(Job *j)
{
        struct signalfd_siginfo info;

        (void) !read(j->signals, &info, sizeof(info));
        j->is_over = waitpid(j->pid, &j->status, WNOHANG) == j->pid;
}

static void job_run(Job *j)
{
        while (!j->is_over || j->out >= 0 || j->err >= 0) {
                int has_input = j->in >= 0 && j->begin < j->end;
                struct pollfd p[] = { { j->out, POLLIN, 0 },
                                      { j->err, POLLIN, 0 },
                                      { j->socket, has_input ? POLLRDHUP : POLLIN, 0 },
                                      { has_input ? j->in : -1, POLLOUT, 0 },
                                      { j->is_over ? -1 : j->signals, POLLIN, 0 } };
                int r = poll(p, sizeof(p) / sizeof(p[0]), j->is_over ? LEFTOVER_MS : -1);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return;
                if ((p[0].revents && forward(j, &j->out, KIND_STDOUT) < 0) ||
                    (p[1].revents && forward(j, &j->err, KIND_STDERR) < 0))
                        hang_up(j);
                if (p[2].revents && has_input)
                        hang_up(j);
                if (p[2].revents)
                        receive(j);
                if (p[3].revents)
                        feed(j);
                if (p[4].revents)
                        reap(j);
        }
}

static void serve(int socket)
{
        static Job j;
        char *script = receive_script(socket);
        uint32_t code;

        j = (Job){ .socket = socket, .in = -1, .out = -1, .err = -1 };
        if (!script || job_start(&j, script) < 0)
                _exit(1);
        job_run(&j);
        code = htonl((uint32_t) (WIFEXITED(j.status) ? WEXITSTATUS(j.status) : 128 + WTERMSIG(j.status)));
        (void) send_frame(socket, KIND_EXIT, &code, sizeof(code));
        (void) shutdown(socket, SHUT_WR);
        _exit(0);
}

int main(int argc, char **argv)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons((uint16_t) (argc > 1 ? atoi(argv[1]) : 7000)) };
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        (void) signal(SIGCHLD, SIG_IGN);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(listener, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(listener, 64) < 0) {
                perror("lab agent");
                return 1;
        }
        for (;;) {
                int s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

                if (s < 0)
                        continue;
                (void) setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                if (fork() == 0) {
                        (void) close(listener);
                        serve(s);
                }
                (void) close(s);
        }
}
