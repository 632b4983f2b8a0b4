/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening socket. A socket file left by a killed daemon must not keep the next from starting, and a living
 * one's must not be taken away: core's lock file has already decided between daemons of one root, and a connect()
 * tells whether anybody else answers. Mode 0660 from its birth.
 */
#include "api/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/fs.h"
#include "base/str.h"

#define LISTEN_BACKLOG 128

/* A path too long for an address is reached through its directory; `ret_dir` must stay open until it was used. */
static int make_address(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
        AUTO(freep) char *dir = NULL;
        const char *name = strrchr(path, '/') + 1;
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(sa.sun_path)) {
                dir = strndup(path, (size_t) (name - path));
                *ret_dir = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
                if (*ret_dir < 0)
                        return dir ? -errno : -ENOMEM;
                (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", *ret_dir, name);
        } else {
                (void) memcpy(sa.sun_path, path, strlen(path));
        }
        *ret = sa;
        return 0;
}

/* 0: there is no socket file any more; -EADDRINUSE, or why it can't be told. */
static int remove_stale(const char *path, const struct sockaddr_un *sa, struct storaged_error *err)
{
        AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;

        if (fd < 0)
                return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : error_set(err, -errno, "can't look at %s: %s", path, strerror(errno));
        if (!S_ISSOCK(st.st_mode))
                return error_set(err, -EEXIST, "%s is there and is not a socket: remove it", path);
        if (connect(fd, (const struct sockaddr *) sa, sizeof(*sa)) == 0 || errno == EAGAIN)
                return error_set(err, -EADDRINUSE, "another program answers on %s: stop it, or use another --root",
                                 path);
        if (errno != ECONNREFUSED && errno != ENOENT)
                return error_set(err, -errno, "can't tell whether anybody answers on %s: %s", path, strerror(errno));
        if (unlink(path) < 0 && errno != ENOENT)
                return error_set(err, -errno, "can't remove the stale socket %s: %s", path, strerror(errno));
        return 0;
}

static int make_socket(Listener *l, const Paths *paths, struct storaged_error *err)
{
        AUTO(closep) int fd = -EBADF, dir = -EBADF;
        struct sockaddr_un sa;
        mode_t mask;
        int r;

        r = fs_mkdir_p(paths->run, 0755);
        if (r < 0)
                return error_set(err, r, "can't make %s: %s", paths->run, strerror(-r));
        r = make_address(paths->socket, &sa, &dir);
        if (r < 0)
                return error_set(err, r, "can't use the path %s for a socket: %s", paths->socket, strerror(-r));
        r = remove_stale(paths->socket, &sa, err);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
        mask = umask(0117); /* one thread: nothing else is made in between */
        r = bind(fd, (const struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : 0;
        (void) umask(mask);
        if (r < 0)
                return error_set(err, r, "can't bind to %s: %s", paths->socket, strerror(-r));
        l->path = strdup(paths->socket);
        if (!l->path || listen(fd, LISTEN_BACKLOG) < 0) {
                r = l->path ? -errno : -ENOMEM;
                (void) unlink(paths->socket);
                return error_set(err, r, "can't listen on %s: %s", paths->socket, strerror(-r));
        }
        l->fd = TAKE_FD(fd);
        return 0;
}

static int adopt(Listener *l, int fd, struct storaged_error *err)
{
        int flags;

        if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0)
                return error_set(err, -EINVAL, "descriptor %d is not a listening Unix stream socket", fd);
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return error_set(err, -errno, "can't use descriptor %d: %s", fd, strerror(errno));
        l->fd = fd;
        return 0;
}

int listener_open(Listener *l, const Paths *paths, int fd, struct storaged_error *err)
{
        int n = 0, r;

        *l = LISTENER_INIT;
        if (fd < 0) {
                n = sd_listen_fds(1);
                if (n > 1)
                        return error_set(err, -EINVAL, "systemd passed %d sockets: one is expected", n);
        }
        if (fd >= 0 || n == 1)
                r = adopt(l, fd >= 0 ? fd : SD_LISTEN_FDS_START, err);
        else
                r = make_socket(l, paths, err);
        if (r < 0)
                listener_close(l);
        return r;
}

int listener_open_tcp(Listener *l, const char *address, unsigned port, struct storaged_error *err)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
        AUTO(closep) int fd = -EBADF;
        struct addrinfo *found = NULL;
        const int on = 1;
        char service[8];
        int r = 0;

        *l = LISTENER_INIT;
        (void) snprintf(service, sizeof(service), "%u", port);
        if (getaddrinfo(address, service, &hints, &found) != 0)
                return error_set(err, -EINVAL, "'%s' is no numeric address to listen on", address);
        fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
            bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                r = -errno;
        freeaddrinfo(found);
        if (r < 0)
                return error_set(err, r, "can't listen on %s port %u: %s", address, port, strerror(-r));
        l->fd = TAKE_FD(fd);
        return 0;
}

void listener_close(Listener *l)
{
        if (l->path)
                (void) unlink(l->path); /* core still holds its lock: it is no successor's */
        free(TAKE(l->path));
        closep(&l->fd);
        *l = LISTENER_INIT;
}
