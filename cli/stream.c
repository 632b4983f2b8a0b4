/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * export and import. Bytes pass through a pipe with splice(2) and never through our memory; where an end
 * can't be spliced (a file opened for appending, odd file systems) they are read and written. An export into
 * a file leaves holes where the stream has zeros: an image of 32 GiB with 2 GiB in it takes 2. An end of
 * file is only passed on when it is one: if our side fails, the task is stopped first, so that half
 * a volume is never taken for a whole one.
 */
#include "cli/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/parse.h"
#include "base/str.h"

#define PIECE (1u << 20)
#define BUFFER (256u << 10)
#define BLOCK 4096u /* the smallest hole worth leaving */
#define ACCEPT_MS 30000
#define PORT_FIRST 60000
#define PORT_LAST 60049

struct Stream {
        char *path, *url;
        int listen_fd, fd;
        bool is_export;
        pthread_t thread;
        bool has_thread;
        /* Events for the thread: nobody will connect any more; stop at once; on_failure is set. */
        int late_fd, stop_fd, ready_fd;
        int error; /* of our end; the thread's until it is joined */
        void (*on_failure)(void *userdata);
        void *userdata;
};

/* --- copying, in the thread */

/* 0 when `fd` is ready; -ECANCELED when the thread shall end. */
static int wait_for(const Stream *s, int fd, short events)
{
        struct pollfd p[] = { { .fd = fd, .events = events }, { .fd = s->stop_fd, .events = POLLIN } };

        while (poll(p, 2, -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return p[1].revents ? -ECANCELED : 0;
}

/* What a read, write or splice that failed asks for: 0 to try again. */
static int after_failure(const Stream *s, int fd, short events)
{
        if (errno == EINTR)
                return 0;
        return errno == EAGAIN ? wait_for(s, fd, events) : -errno;
}

static int write_all(const Stream *s, int out, const char *buf, size_t n)
{
        while (n > 0) {
                ssize_t k = write(out, buf, n);
                int r = k < 0 ? after_failure(s, out, POLLOUT) : 0;

                if (r < 0)
                        return r;
                buf += k > 0 ? k : 0;
                n -= k > 0 ? (size_t) k : 0;
        }
        return 0;
}

static int copy_buffered(const Stream *s, int in, int out, bool *ret_out_failed)
{
        AUTO(freep) char *buf = malloc(BUFFER);

        if (!buf)
                return -ENOMEM;
        for (;;) {
                int r = wait_for(s, in, POLLIN);
                ssize_t n = r < 0 ? r : read(in, buf, BUFFER);

                if (r >= 0 && n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n <= 0)
                        return r < 0 ? r : n < 0 ? -errno : 0;
                r = write_all(s, out, buf, (size_t) n);
                if (r < 0) {
                        *ret_out_failed = true;
                        return r;
                }
        }
}

/* Moves `n` bytes out of the pipe. */
static int drain(const Stream *s, int pipe_fd, int out, size_t n)
{
        char buf[4096];

        while (n > 0) {
                ssize_t k = splice(pipe_fd, NULL, out, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
                int r = 0;

                if (k < 0 && errno == EINVAL) { /* this one can't be spliced to */
                        k = read(pipe_fd, buf, n < sizeof(buf) ? n : sizeof(buf));
                        if (k > 0)
                                r = write_all(s, out, buf, (size_t) k);
                }
                if (k < 0)
                        r = after_failure(s, out, POLLOUT);
                if (r < 0)
                        return r;
                n -= k > 0 ? (size_t) k : 0;
        }
        return 0;
}

/* Whether zeros may be skipped: a regular file with nothing behind its position, not opened for appending. */
static bool can_have_holes(int fd)
{
        off_t at = lseek(fd, 0, SEEK_CUR);
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        return at >= 0 && flags >= 0 && !(flags & O_APPEND) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               st.st_size <= at;
}

/* Fills `buf` up to the end of the stream. Bytes, or what stopped us. */
static ssize_t read_full(const Stream *s, int in, char *buf, size_t size)
{
        size_t n = 0;

        while (n < size) {
                ssize_t k = read(in, buf + n, size - n);
                int r = k < 0 ? after_failure(s, in, POLLIN) : 0;

                if (r < 0)
                        return r;
                if (k == 0)
                        break;
                n += k > 0 ? (size_t) k : 0;
        }
        return (ssize_t) n;
}

static bool is_zero(const char *p, size_t n)
{
        return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Writes what is not zero, block by block, and steps over the rest. */
static int write_sparse(const Stream *s, int out, const char *buf, size_t n)
{
        size_t end;

        for (size_t at = 0; at < n; at = end) {
                bool hole = is_zero(buf + at, n - at < BLOCK ? n - at : BLOCK);
                int r;

                for (end = at; end < n && is_zero(buf + end, n - end < BLOCK ? n - end : BLOCK) == hole;)
                        end += n - end < BLOCK ? n - end : BLOCK;
                r = !hole                                          ? write_all(s, out, buf + at, end - at)
                    : lseek(out, (off_t) (end - at), SEEK_CUR) < 0 ? -errno
                                                                   : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int copy_sparse(const Stream *s, int in, int out, bool *ret_out_failed)
{
        AUTO(freep) char *buf = malloc(BUFFER);

        if (!buf)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read_full(s, in, buf, BUFFER);
                int r;

                if (n < 0)
                        return (int) n;
                r = write_sparse(s, out, buf, (size_t) n);
                if (r >= 0 && n < BUFFER) /* the end; a hole there is none yet */
                        r = ftruncate(out, lseek(out, 0, SEEK_CUR)) < 0 ? -errno : 0;
                if (r < 0 || n < BUFFER) {
                        *ret_out_failed = r < 0;
                        return r;
                }
        }
}

static int copy(const Stream *s, int in, int out, bool *ret_out_failed)
{
        AUTO(closep) int from = -EBADF;
        AUTO(closep) int to = -EBADF;
        int fds[2], r;

        if (can_have_holes(out))
                return copy_sparse(s, in, out, ret_out_failed);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return copy_buffered(s, in, out, ret_out_failed);
        from = fds[0];
        to = fds[1];
        (void) fcntl(to, F_SETPIPE_SZ, (int) PIECE); /* faster if we may */
        for (;;) {
                ssize_t n = splice(in, NULL, to, NULL, PIECE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

                if (n < 0 && errno == EINVAL)
                        return copy_buffered(s, in, out, ret_out_failed);
                if (n == 0)
                        return 0;
                r = n < 0 ? after_failure(s, in, POLLIN) : drain(s, from, out, (size_t) n);
                if (r < 0) {
                        *ret_out_failed = n > 0;
                        return r;
                }
        }
}

/* The worker's connection, or -ECANCELED. One that is there already is taken even if we are told that it is late. */
static int accept_worker(const Stream *s)
{
        struct pollfd p[] = {
                { .fd = s->listen_fd, .events = POLLIN },
                { .fd = s->late_fd, .events = POLLIN },
                { .fd = s->stop_fd, .events = POLLIN },
        };

        for (;;) {
                int fd;

                if (poll(p, 3, -1) < 0 && errno != EINTR)
                        return -errno;
                if (p[2].revents || (p[1].revents && !p[0].revents))
                        return -ECANCELED;
                if (!p[0].revents)
                        continue;
                fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd >= 0 || (errno != EINTR && errno != ECONNABORTED))
                        return fd >= 0 ? fd : -errno;
        }
}

static void *stream_thread(void *userdata)
{
        Stream *s = userdata;
        AUTO(closep) int peer = accept_worker(s);
        bool out_failed = false;
        int r;

        if (peer < 0)
                return NULL;
        r = s->is_export ? copy(s, peer, s->fd, &out_failed) : copy(s, s->fd, peer, &out_failed);
        if (r < 0 && r != -ECANCELED && out_failed == s->is_export) {
                s->error = r; /* ours; what the worker's end says is the task's to tell */
                if (wait_for(s, s->ready_fd, POLLIN) == 0)
                        s->on_failure(s->userdata);
        }
        return NULL;
}

/* --- life */

static int stream_listen(Stream *s, const char *dir)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        unsigned char random[12];
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        mode_t old;
        int r;

        if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random))
                return -EIO;
        strbuf_addf(&path, "%s/pvesm-", dir);
        for (size_t i = 0; i < sizeof(random); i++)
                strbuf_addf(&path, "%02x", random[i]);
        if (strbuf_error(&path) < 0)
                return -ENOMEM;
        if (path.len >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path.data, path.len + 1);
        old = umask(0177);
        r = bind(s->listen_fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
        (void) umask(old);
        if (r < 0)
                return r;
        s->path = strbuf_take(&path);
        if (listen(s->listen_fd, 1) < 0)
                return -errno;
        return str_printf(&s->url, "unix://%s", s->path);
}

/* Signals are for the thread that follows the task; here one would end the program before it can clean up. */
static int start_thread(Stream *s)
{
        sigset_t all, old;
        int r;

        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&s->thread, NULL, stream_thread, s);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        return -r;
}

int stream_new(Stream **ret, const Paths *paths, int fd, bool is_export, struct storaged_error *err)
{
        const char *tmp = getenv("TMPDIR");
        AUTO(stream_freep) Stream *s = calloc(1, sizeof(*s));
        int r;

        if (!s) {
                closep(&fd);
                return error_set(err, -ENOMEM, "out of memory");
        }
        s->fd = fd;
        s->is_export = is_export;
        s->late_fd = eventfd(0, EFD_CLOEXEC);
        s->stop_fd = eventfd(0, EFD_CLOEXEC);
        s->ready_fd = eventfd(0, EFD_CLOEXEC);
        s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s->listen_fd < 0 || s->late_fd < 0 || s->stop_fd < 0 || s->ready_fd < 0)
                return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
        r = stream_listen(s, paths->run);
        if (r < 0 && r != -ENOMEM)
                r = stream_listen(s, tmp && tmp[0] == '/' ? tmp : "/tmp");
        if (r < 0)
                return error_set(err, r, "can't make a socket for the stream in %s: %s", paths->run, strerror(-r));
        r = start_thread(s);
        if (r < 0)
                return error_set(err, r, "can't start a thread: %s", strerror(-r));
        s->has_thread = true;

        *ret = TAKE(s);
        return 0;
}

static void raise_event(int fd)
{
        (void) eventfd_write(fd, 1); /* can't fail: nobody counts it up to its limit */
}

static void stream_join(Stream *s)
{
        if (s->has_thread)
                (void) pthread_join(s->thread, NULL);
        s->has_thread = false;
}

Stream *stream_free(Stream *s)
{
        if (!s)
                return NULL;
        if (s->has_thread)
                raise_event(s->stop_fd);
        stream_join(s);
        if (s->path)
                (void) unlink(s->path);
        closep(&s->listen_fd);
        closep(&s->fd);
        closep(&s->late_fd);
        closep(&s->stop_fd);
        closep(&s->ready_fd);
        free(s->path);
        free(s->url);
        free(s);
        return NULL;
}

const char *stream_get_url(const Stream *s)
{
        return s->url;
}

void stream_on_failure(Stream *s, void (*fn)(void *userdata), void *userdata)
{
        s->on_failure = fn;
        s->userdata = userdata;
        raise_event(s->ready_fd);
}

int stream_finish(Stream *s, bool task_is_ok, struct storaged_error *err)
{
        int fd;

        /* Only the end of a good export is waited for: its last bytes may still be on their way. */
        raise_event(s->is_export && task_is_ok ? s->late_fd : s->stop_fd);
        stream_join(s);
        if (s->error < 0)
                return error_set(err, s->error, "can't %s the stream: %s", s->is_export ? "write" : "read",
                                 strerror(-s->error));
        fd = TAKE_FD(s->fd);
        if (close(fd) < 0 && s->is_export)
                return error_set(err, -errno, "can't write the stream: %s", strerror(errno));
        return 0;
}

/* --- where an import comes from */

static int accept_one(int fd, const char *where, int *ret, struct storaged_error *err)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int r;

        do
                r = poll(&p, 1, ACCEPT_MS);
        while (r < 0 && errno == EINTR);
        if (r == 0)
                return error_set(err, -ETIMEDOUT, "nobody connected to %s within %d seconds", where, ACCEPT_MS / 1000);
        r = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (r < 0)
                return error_set(err, -errno, "can't accept a connection on %s: %s", where, strerror(errno));
        *ret = r;
        return 0;
}

static int open_unix(const char *path, int *ret, struct storaged_error *err)
{
        AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        mode_t old;
        int r;

        if (fd < 0)
                return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
        if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
                return error_set_param(err, -EINVAL, "filename", "'%s' is not an absolute path of at most %zu bytes",
                                       path, sizeof(address.sun_path) - 1);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        old = umask(0177);
        r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
        (void) umask(old);
        if (r < 0 || listen(fd, 1) < 0)
                return error_set(err, r < 0 ? r : -errno, "can't listen on %s: %s", path, strerror(r < 0 ? -r : errno));
        (void) puts("ready");
        (void) fflush(stdout);
        r = accept_one(fd, path, ret, err);
        (void) unlink(path);
        return r;
}

typedef struct Network {
        int family;
        unsigned char bytes[16];
        unsigned bits;
} Network;

static int parse_network(const char *s, Network *ret)
{
        const char *slash = strchr(s, '/');
        AUTO(freep) char *ip = strndup(s, slash ? (size_t) (slash - s) : strlen(s));
        uint64_t bits;

        if (!ip)
                return -ENOMEM;
        ret->family = strchr(ip, ':') ? AF_INET6 : AF_INET;
        ret->bits = ret->family == AF_INET ? 32 : 128;
        if (inet_pton(ret->family, ip, ret->bytes) != 1)
                return -EINVAL;
        if (slash && (parse_u64(slash + 1, &bits) < 0 || bits > ret->bits))
                return -EINVAL;
        if (slash)
                ret->bits = (unsigned) bits;
        return 0;
}

static bool network_has(const Network *n, const unsigned char *address)
{
        unsigned whole = n->bits / 8, rest = n->bits % 8;

        if (memcmp(n->bytes, address, whole) != 0)
                return false;
        return rest == 0 || ((n->bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

/* The first address of this machine in the network. */
static int find_local(const Network *n, struct sockaddr_storage *ret, socklen_t *ret_len, char ip[INET6_ADDRSTRLEN])
{
        struct ifaddrs *list;
        int r = -EADDRNOTAVAIL;

        if (getifaddrs(&list) < 0)
                return -errno;
        for (struct ifaddrs *i = list; i && r < 0; i = i->ifa_next) {
                bool is_v4 = n->family == AF_INET;
                const void *bytes;

                if (!i->ifa_addr || i->ifa_addr->sa_family != n->family)
                        continue;
                bytes = is_v4 ? (const void *) &((struct sockaddr_in *) (void *) i->ifa_addr)->sin_addr
                              : (const void *) &((struct sockaddr_in6 *) (void *) i->ifa_addr)->sin6_addr;
                if (!network_has(n, bytes))
                        continue;
                *ret_len = is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
                memcpy(ret, i->ifa_addr, *ret_len);
                (void) inet_ntop(n->family, bytes, ip, INET6_ADDRSTRLEN);
                r = 0;
        }
        freeifaddrs(list);
        return r;
}

static int bind_in_range(int fd, struct sockaddr_storage *address, socklen_t len, unsigned *ret_port)
{
        for (unsigned port = PORT_FIRST; port <= PORT_LAST; port++) {
                if (address->ss_family == AF_INET)
                        ((struct sockaddr_in *) (void *) address)->sin_port = htons((uint16_t) port);
                else
                        ((struct sockaddr_in6 *) (void *) address)->sin6_port = htons((uint16_t) port);
                if (bind(fd, (struct sockaddr *) address, len) == 0 && listen(fd, 1) == 0) {
                        *ret_port = port;
                        return 0;
                }
                if (errno != EADDRINUSE)
                        return -errno;
        }
        return -EADDRINUSE;
}

static int open_tcp(const char *where, int *ret, struct storaged_error *err)
{
        struct sockaddr_storage address = { 0 };
        char ip[INET6_ADDRSTRLEN] = "";
        AUTO(closep) int fd = -EBADF;
        unsigned port = 0;
        socklen_t len = 0;
        Network n;
        int r;

        if (parse_network(where, &n) < 0)
                return error_set_param(err, -EINVAL, "filename",
                                       "'%s' is neither an IP address nor a network as IP/BITS", where);
        r = find_local(&n, &address, &len, ip);
        if (r < 0)
                return error_set(err, r, "no interface of this machine has an address in %s", where);
        fd = socket(n.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
        r = bind_in_range(fd, &address, len, &port);
        if (r < 0)
                return error_set(err, r, "can't listen on %s, ports %d to %d: %s", ip, PORT_FIRST, PORT_LAST,
                                 strerror(-r));
        (void) printf("%s\n%u\n", ip, port);
        (void) fflush(stdout);
        return accept_one(fd, ip, ret, err);
}

int stream_open_source(const char *name, int *ret, struct storaged_error *err)
{
        const char *rest;
        int fd;

        if ((rest = str_skip(name, "tcp://")))
                return open_tcp(rest, ret, err);
        if ((rest = str_skip(name, "unix://")))
                return open_unix(rest, ret, err);
        fd = str_eq(name, "-") ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_set(err, -errno, "can't open '%s': %s", name, strerror(errno));
        *ret = fd;
        return 0;
}
