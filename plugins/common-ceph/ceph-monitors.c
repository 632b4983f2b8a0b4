/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When librados says no more than "timed out", this tells what kind of silence it is: a monitor greets whoever connects
 * with "ceph …" before it has to know anything, so one that hangs (the kernel takes the connection, nobody greets), one
 * that is gone and one that lives without a quorum look different.
 */
#include "common-ceph/ceph-monitors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common-ceph/ceph-watch.h"

#define PORT_V2 3300
#define PORT_V1 6789
#define ADDRESSES_MAX ((size_t) (2 * CEPH_MONITORS_MAX))

/* --- addresses */

static bool monitor_add(CephMonitor *m, const char *host, unsigned port)
{
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port) };
        struct sockaddr_storage *to;

        if (m->n_addresses == sizeof(m->address) / sizeof(m->address[0]))
                return true;
        to = &m->address[m->n_addresses];
        if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
                memcpy(to, &v4, sizeof(v4));
        else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
                memcpy(to, &v6, sizeof(v6));
        else
                return false;
        m->n_addresses++;
        return true;
}

/* `[vN:]A[:PORT][/NONCE]`; false: not an address. */
static bool monitor_add_text(CephMonitor *m, const char *s, size_t n)
{
        char host[INET6_ADDRSTRLEN] = "";
        unsigned long port = 0;
        size_t length;

        if (n > 3 && s[0] == 'v' && (s[1] == '1' || s[1] == '2') && s[2] == ':') {
                s += 3;
                n -= 3;
        }
        if (n > 0 && s[0] == '[') {
                const char *end = memchr(s, ']', n);

                if (!end)
                        return false;
                n -= (size_t) (end + 1 - s);
                length = (size_t) (end - s) - 1;
                s++;
                if (length >= sizeof(host))
                        return false;
                memcpy(host, s, length);
                s = end + 1;
        } else {
                for (length = 0; length < n && s[length] != ':' && s[length] != '/'; length++)
                        ;
                if (length >= sizeof(host))
                        return false;
                memcpy(host, s, length);
                s += length;
                n -= length;
        }
        if (n > 1 && s[0] == ':')
                for (size_t i = 1; i < n && s[i] >= '0' && s[i] <= '9' && port <= 65535; i++)
                        port = port * 10 + (unsigned long) (s[i] - '0');
        if (port > 65535)
                return false;
        return port ? monitor_add(m, host, (unsigned) port)
                    : monitor_add(m, host, PORT_V2) && monitor_add(m, host, PORT_V1);
}

/* The end of an entry: a separator outside of brackets. */
static size_t entry_length(const char *s)
{
        size_t n = 0, depth = 0;

        for (; s[n]; n++) {
                if (s[n] == '[')
                        depth++;
                else if (s[n] == ']' && depth > 0)
                        depth--;
                else if (depth == 0 && strchr(" \t\n,;", s[n]))
                        break;
        }
        return n;
}

static void entry_parse(const char *s, size_t n, CephMonitors *ret)
{
        CephMonitor m = { 0 };
        bool is_list = n > 3 && s[0] == '[' && s[1] == 'v';

        if (!is_list) {
                (void) monitor_add_text(&m, s, n);
        } else {
                const char *end = s + n - (s[n - 1] == ']');

                for (s++; s < end;) {
                        const char *comma = memchr(s, ',', (size_t) (end - s));
                        size_t length = (size_t) ((comma ? comma : end) - s);

                        (void) monitor_add_text(&m, s, length);
                        s += length + 1;
                }
        }
        if (m.n_addresses == 0)
                ret->n_names++;
        else if (ret->n < CEPH_MONITORS_MAX)
                ret->items[ret->n++] = m;
}

void ceph_monitors_parse(const char *text, CephMonitors *ret)
{
        *ret = (CephMonitors){ 0 };
        while (*text) {
                size_t n = entry_length(text);

                if (n > 0)
                        entry_parse(text, n, ret);
                text += n + (text[n] != '\0');
        }
}

/* --- who answers */

static int connect_begin(const struct sockaddr_storage *a)
{
        socklen_t length = a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        AUTO(closep) int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || (connect(fd, (const struct sockaddr *) a, length) < 0 && errno != EINPROGRESS))
                return -EBADF;
        return TAKE_FD(fd);
}

/* 1: it greeted; 0: not yet; -1: it never will. */
static int greeting(int fd)
{
        char word[4];
        ssize_t n = recv(fd, word, sizeof(word), MSG_DONTWAIT | MSG_PEEK);

        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
                return 0;
        if (n <= 0)
                return -1;
        if ((size_t) n < sizeof(word))
                return 0;
        return memcmp(word, "ceph", sizeof(word)) == 0 ? 1 : -1;
}

size_t ceph_monitors_count_answering(const CephMonitors *m, unsigned limit_ms)
{
        struct pollfd fds[ADDRESSES_MAX];
        size_t owner[ADDRESSES_MAX], n = 0, count = 0, n_waiting = 0;
        bool is_answering[CEPH_MONITORS_MAX] = { 0 };
        uint64_t end = ceph_now_ms() + limit_ms;

        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < m->items[i].n_addresses; k++) {
                        fds[n] = (struct pollfd){ .fd = connect_begin(&m->items[i].address[k]), .events = POLLIN };
                        n_waiting += fds[n].fd >= 0;
                        owner[n++] = i;
                }
        for (uint64_t now = ceph_now_ms(); n_waiting > 0 && now < end; now = ceph_now_ms()) {
                if (poll(fds, n, (int) (end - now)) < 0 && errno != EINTR)
                        break;
                for (size_t i = 0; i < n; i++) {
                        int r = fds[i].fd < 0 || fds[i].revents == 0 ? 0 : greeting(fds[i].fd);

                        if (r == 0)
                                continue;
                        is_answering[owner[i]] |= r > 0;
                        closep(&fds[i].fd);
                        fds[i].fd = -EBADF;
                        n_waiting--;
                }
        }
        for (size_t i = 0; i < n; i++)
                closep(&fds[i].fd);
        for (size_t i = 0; i < m->n; i++)
                count += is_answering[i];
        return count;
}
