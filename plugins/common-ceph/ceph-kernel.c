/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel's clients of Ceph (rbd, ceph) have to be told: monitors by their addresses, and the name of a key
 * that lies in the kernel's keyring. So a key is never in an argument, an option or a file of ours.
 */
#include "common-ceph/ceph-kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common-ceph/ceph-keyring.h"
#include "common-ceph/ceph-monitors.h"

#define TEXT_MAX 8192

/* The key of the cluster's user, from a keyring or from a file that is the key. */
static int find_key(const CephCluster *c, const char *path, char text[static TEXT_MAX], char key[static CEPH_KEY_MAX])
{
        AUTO(fclosep) FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, TEXT_MAX - 1, f) : 0;

        text[n] = '\0';
        if (!f)
                return -errno;
        if (!c->is_key_alone)
                return ceph_keyring_find(text, c->user, key, CEPH_KEY_MAX);
        n = strcspn(text, " \t\r\n");
        if (n == 0 || n >= CEPH_KEY_MAX)
                return -ENOKEY;
        memcpy(key, text, n);
        key[n] = '\0';
        return 0;
}

/* The kernel keeps it under the user's name; the same again replaces it. */
int ceph_kernel_give_key(CephCluster *c, STORAGED_ERR)
{
        char text[TEXT_MAX] = "", key[CEPH_KEY_MAX] = "", name[256], paths[1024] = "";
        unsigned char payload[CEPH_KEY_MAX];
        char *rest = NULL;
        int r = -ENOKEY;

        if (c->keyring)
                (void) snprintf(paths, sizeof(paths), "%s", c->keyring);
        else if (c->rados) /* ceph.conf may name several files */
                (void) rados_conf_get(c->rados, "keyring", paths, sizeof(paths));
        for (char *path = strtok_r(paths, ",", &rest); path && r < 0; path = strtok_r(NULL, ",", &rest))
                r = find_key(c, path, text, key);
        if (r < 0)
                return error_set(err, -ENOKEY,
                                 "storage '%s': the kernel's client needs a key of client.%s in a file of this "
                                 "storage's own: set --keyring",
                                 c->storage, c->user);
        r = ceph_keyring_decode(key, payload, sizeof(payload));
        (void) snprintf(name, sizeof(name), "client.%s", c->user);
        if (r >= 0 && syscall(SYS_add_key, "ceph", name, payload, (size_t) r, KEY_SPEC_PROCESS_KEYRING) < 0)
                r = -errno;
        explicit_bzero(text, sizeof(text));
        explicit_bzero(key, sizeof(key));
        explicit_bzero(payload, sizeof(payload));
        return r < 0 ? error_set(err, r, "storage '%s': the kernel does not take the key of %s: %s%s", c->storage, name,
                                 strerror(-r), r == -ENODEV ? " (it has no client of Ceph: modprobe libceph)" : "")
                     : 0;
}

/* The monitors as the kernel takes them: addresses only. With their v2 port it has to be told to speak that. */
int ceph_kernel_monitors(CephCluster *c, char *ret, size_t size, bool *ret_is_v2, STORAGED_ERR)
{
        char hosts[1024] = "";
        CephMonitors m;
        size_t n = 0;

        (void) rados_conf_get(c->rados, "mon_host", hosts, sizeof(hosts));
        ceph_monitors_parse(hosts, &m);
        *ret_is_v2 = false;
        for (size_t i = 0; i < m.n && n < size; i++) {
                const struct sockaddr_in *v4 = (const struct sockaddr_in *) &m.items[i].address[0];
                const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) v4;
                char ip[INET6_ADDRSTRLEN] = "";
                bool is_v6 = v4->sin_family == AF_INET6;

                (void) inet_ntop(v4->sin_family, is_v6 ? (const void *) &v6->sin6_addr : &v4->sin_addr, ip, sizeof(ip));
                *ret_is_v2 |= ntohs(v4->sin_port) != 6789;
                n += (size_t) snprintf(ret + n, size - n, is_v6 ? "%s[%s]:%u" : "%s%s:%u", n ? "," : "", ip,
                                       (unsigned) ntohs(v4->sin_port));
        }
        return m.n == 0 || n >= size
                       ? error_set(err, -EINVAL,
                                   "storage '%s': the kernel's client needs addresses of monitors, not '%s'",
                                   c->storage, hosts)
                       : 0;
}
