/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An NFS server's name, addresses and ports. Names are resolved by getent(1) as a child with a deadline, because
 * the C library's resolver has none that could be set per call; numeric addresses need no resolver. Whether a port
 * answers is asked with a plain non-blocking connect before libnfs or mount(2) is let near it: neither bounds
 * connecting itself. Invariant: every function here that reaches out ends at its deadline.
 */
#include "nfs/nfs-server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "nfs/nfs-wait.h"

static int parse_port(const char *key, const char *value, uint16_t *ret, STORAGED_ERR)
{
        char *end = NULL;
        unsigned long n = strtoul(value, &end, 10);

        if (value[0] < '0' || value[0] > '9' || *end || n > 65535)
                return error_set_param(err, -EINVAL, "options",
                                       "mount option %s='%s': a port is a number from 0 to 65535", key, value);
        *ret = (uint16_t) n;
        return 0;
}

static int parse_version(const char *value, uint32_t *ret, STORAGED_ERR)
{
        static const struct {
                const char *text;
                uint32_t version;
        } known[] = { { "3", 3 }, { "4", 4 }, { "4.0", 4 }, { "4.1", 4 }, { "4.2", 4 } };

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (strcmp(value, known[i].text) == 0) {
                        *ret = known[i].version;
                        return 0;
                }
        return error_set_param(err, -EINVAL, "options",
                               "NFS version '%s' in the mount options: use 3, 4, 4.0, 4.1 or 4.2", value);
}

static int take_option(Server *s, char *option, STORAGED_ERR)
{
        char *value = strchr(option, '=');

        if (!value) {
                if (option[0] == 'v' && option[1] >= '0' && option[1] <= '9')
                        return parse_version(option + 1, &s->version, err);
                return 0;
        }
        *value++ = '\0';
        if (strcmp(option, "vers") == 0 || strcmp(option, "nfsvers") == 0)
                return parse_version(value, &s->version, err);
        if (strcmp(option, "port") == 0)
                return parse_port(option, value, &s->port, err);
        if (strcmp(option, "mountport") == 0)
                return parse_port(option, value, &s->mount_port, err);
        if (strcmp(option, "proto") == 0)
                s->family = strcmp(value, "tcp6") == 0 ? AF_INET6 : strcmp(value, "tcp") == 0 ? AF_INET : AF_UNSPEC;
        return 0;
}

static int parse_name(Server *s, const char *name, STORAGED_ERR)
{
        size_t n = strlen(name);
        bool has_brackets = n > 2 && name[0] == '[' && name[n - 1] == ']';
        struct in6_addr a6;

        s->name = has_brackets ? strndup(name + 1, n - 2) : strdup(name);
        if (!s->name)
                return error_set(err, -ENOMEM, "no memory");
        if (strchr(s->name, ':') || has_brackets) {
                if (inet_pton(AF_INET6, s->name, &a6) != 1)
                        return error_set_param(err, -EINVAL, "server",
                                               "server '%s' is neither a name nor an IP address", name);
                /* libnfs has no place for the interface that such an address needs. */
                if (IN6_IS_ADDR_LINKLOCAL(&a6))
                        return error_set_param(err, -EINVAL, "server",
                                               "server '%s' is a link-local IPv6 address: use a global one or a name",
                                               name);
                return 0;
        }
        if (n == 0 || n > 253 ||
            strspn(s->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != n ||
            s->name[0] == '-')
                return error_set_param(err, -EINVAL, "server", "server '%s' is neither a name nor an IP address", name);
        return 0;
}

int server_init(Server *s, const struct storaged_host *host, const char *name, const char *options, STORAGED_ERR)
{
        AUTO(freep) char *copy = strdup(options ? options : "");
        char *rest = NULL;
        int r;

        *s = (Server){ .host = host, .family = AF_UNSPEC };
        if (!copy)
                return error_set(err, -ENOMEM, "no memory");
        r = parse_name(s, name ? name : "", err);
        for (char *o = strtok_r(copy, ",", &rest); r == 0 && o; o = strtok_r(NULL, ",", &rest))
                r = take_option(s, o, err);
        return r;
}

void server_deinit(Server *s)
{
        free(s->name);
        *s = (Server){ 0 };
}

char *server_source(const Server *s, const char *export_path)
{
        bool is_v6 = strchr(s->name, ':') != NULL;
        char *text = NULL;

        (void) text_printf(&text, "%s%s%s:%s", is_v6 ? "[" : "", s->name, is_v6 ? "]" : "", export_path);
        return text;
}

static void add_addresses(Server *s, const char *text)
{
        struct addrinfo hints = { .ai_family = s->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
        struct addrinfo *list = NULL;

        if (getaddrinfo(text, NULL, &hints, &list) != 0)
                return;
        for (struct addrinfo *a = list; a && s->n_addrs < SERVER_ADDRS_MAX; a = a->ai_next) {
                ServerAddr *d = &s->addrs[s->n_addrs];

                if (a->ai_addrlen > sizeof(d->sa))
                        continue;
                *d = (ServerAddr){ .len = a->ai_addrlen };
                memcpy(&d->sa, a->ai_addr, a->ai_addrlen);
                if (getnameinfo(a->ai_addr, a->ai_addrlen, d->text, sizeof(d->text), NULL, 0, NI_NUMERICHOST) == 0)
                        s->n_addrs++;
        }
        freeaddrinfo(list);
}

/* Lines "ADDRESS STREAM NAME": getent prints one per address and socket type. */
static void take_getent(Server *s, char *out)
{
        char *rest = NULL;

        for (char *line = strtok_r(out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                char *end = line + strcspn(line, " \t");

                if (!strstr(end, "STREAM"))
                        continue;
                *end = '\0';
                add_addresses(s, line);
        }
}

static int ask_resolver(Server *s, uint64_t deadline_ms, STORAGED_ERR)
{
        const char *const argv[] = { "getent", "ahosts", s->name, NULL };
        struct storaged_proc proc = { .size = sizeof(proc),
                                      .argv = argv,
                                      .stdin_fd = -1,
                                      .stdout_fd = -1,
                                      .deadline_ms = (uint64_t) wait_left_ms(deadline_ms) };
        struct storaged_proc_result result = { .size = sizeof(result) };
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r;

        if (proc.deadline_ms == 0)
                proc.deadline_ms = 1; /* 0 would be: for ever */
        r = s->host->proc_run(s->host->handle, &proc, &result, &why);
        if (r == 0 && result.out && result.status == 0)
                take_getent(s, result.out);
        free(result.out);
        if (r == -ETIMEDOUT || result.timed_out)
                return error_set_param(
                        err, -ETIMEDOUT, "server",
                        "the name of NFS server '%s' was not resolved in time: check the name service (DNS)", s->name);
        if (r < 0)
                return error_set(err, r, "cannot resolve NFS server '%s': %s", s->name, why.text);
        return 0;
}

int server_resolve(Server *s, uint64_t deadline_ms, STORAGED_ERR)
{
        int r;

        if (s->n_addrs > 0 && wait_now_ms() - s->resolved_ms < SERVER_RESOLVED_MS)
                return 0;
        s->n_addrs = 0;
        add_addresses(s, s->name);
        if (s->n_addrs == 0) {
                r = ask_resolver(s, deadline_ms, err);
                if (r < 0)
                        return r;
        }
        if (s->n_addrs == 0)
                return error_set_param(err, -ENXIO, "server", "NFS server '%s' has no%s address: check the name",
                                       s->name,
                                       s->family == AF_INET    ? " IPv4"
                                       : s->family == AF_INET6 ? " IPv6"
                                                               : "");
        s->resolved_ms = wait_now_ms();
        return 0;
}

void server_forget(Server *s)
{
        s->n_addrs = 0;
}

/* Starts a connection; a descriptor in *ret and 1 if it stands already, 0 if it is under way, or -errno. */
static int begin_connect(const ServerAddr *a, uint16_t port, int *ret)
{
        AUTO(closep) int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
        struct sockaddr_storage sa = a->sa;
        int r;

        if (fd < 0)
                return -errno;
        if (sa.ss_family == AF_INET6)
                ((struct sockaddr_in6 *) &sa)->sin6_port = htons(port);
        else
                ((struct sockaddr_in *) &sa)->sin_port = htons(port);
        r = connect(fd, (struct sockaddr *) &sa, a->len);
        if (r < 0 && errno != EINPROGRESS)
                return -errno;
        *ret = TAKE_FD(fd);
        return r == 0;
}

/* The index of the first connection that stands, -ETIMEDOUT, or why the last one failed. */
static int wait_first(struct pollfd *fds, size_t n, uint64_t deadline_ms, int last)
{
        for (size_t n_open = n; n_open > 0;) {
                int k = poll(fds, (nfds_t) n, wait_left_ms(deadline_ms));

                if (k < 0 && errno != EINTR)
                        return -errno;
                if (k == 0 && wait_left_ms(deadline_ms) == 0)
                        return -ETIMEDOUT;
                n_open = 0;
                for (size_t i = 0; i < n; i++) {
                        int e = 0;
                        socklen_t len = sizeof(e);

                        if (fds[i].fd < 0)
                                continue;
                        n_open++;
                        if (k <= 0 || !fds[i].revents)
                                continue;
                        if (getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e == 0)
                                return (int) i;
                        last = e ? -e : -EIO;
                        (void) close(fds[i].fd);
                        fds[i].fd = -1;
                        n_open--;
                }
        }
        return last;
}

static int connect_error(const Server *s, int r, uint16_t port, const char *what, STORAGED_ERR)
{
        const char *addr = s->n_addrs > 0 ? s->addrs[0].text : "?";

        if (r == -ETIMEDOUT)
                return error_set_param(
                        err, r, "server",
                        "NFS server '%s' (%s) does not answer on port %u (%s) within %.1f s: check that it is "
                        "up, and the network and firewall on the way to it",
                        s->name, addr, port, what, WAIT_SILENCE_MS / 1000.0);
        if (r == -ECONNREFUSED)
                return error_set_param(
                        err, r, "server",
                        "NFS server '%s' (%s) refuses connections on port %u (%s): check that its NFS service "
                        "runs",
                        s->name, addr, port, what);
        return error_set_param(err, r, "server", "cannot connect to NFS server '%s' (%s), port %u (%s): %s", s->name,
                               addr, port, what, strerror(-r));
}

int server_connect(Server *s, uint16_t port, const char *what, uint64_t deadline_ms, const ServerAddr **ret,
                   STORAGED_ERR)
{
        struct pollfd fds[SERVER_ADDRS_MAX];
        int r, best = -EHOSTUNREACH;

        r = server_resolve(s, deadline_ms, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_addrs; i++)
                fds[i] = (struct pollfd){ .fd = -1, .events = POLLOUT };
        for (size_t i = 0; i < s->n_addrs; i++) {
                r = begin_connect(&s->addrs[i], port, &fds[i].fd);
                if (r == 1) {
                        best = (int) i;
                        break;
                }
                if (r < 0)
                        best = r;
        }
        if (best < 0)
                best = wait_first(fds, s->n_addrs, deadline_ms, best);
        for (size_t i = 0; i < s->n_addrs; i++)
                closep(&fds[i].fd);
        if (best < 0) {
                r = connect_error(s, best, port, what, err);
                server_forget(s);
                return r;
        }
        *ret = &s->addrs[best];
        return 0;
}
