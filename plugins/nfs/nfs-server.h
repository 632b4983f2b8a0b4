/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* An NFS server as an administrator names it: what `server` and `options` say, its addresses, whether it answers. */
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#define SERVER_ADDRS_MAX 8
#define SERVER_PORT_NFS 2049
#define SERVER_PORT_PORTMAP 111
#define SERVER_RESOLVED_MS 60000u /* how long addresses of a name are believed */

typedef struct ServerAddr {
        struct sockaddr_storage sa;
        socklen_t len;
        char text[INET6_ADDRSTRLEN];
} ServerAddr;

typedef struct Server {
        const struct storaged_host *host; /* borrowed; runs the resolver */
        char *name;                       /* as configured, without the brackets of an IPv6 address */
        uint32_t version;                 /* 3 or 4 as `options` demand; 0: they do not say */
        int family;                       /* AF_INET or AF_INET6 as proto= demands, or AF_UNSPEC */
        uint16_t port;                    /* port=; 0: not said */
        uint16_t mount_port;              /* mountport=; 0: not said */
        ServerAddr addrs[SERVER_ADDRS_MAX];
        size_t n_addrs;
        uint64_t resolved_ms;
} Server;

/* Judges `name` and mount `options` (may be NULL); touches only memory. -EINVAL with the parameter named. */
int server_init(Server *s, const struct storaged_host *host, const char *name, const char *options, STORAGED_ERR);
void server_deinit(Server *s);
/* NAME:EXPORT, with brackets around an IPv6 address, as mount wants it; the caller frees. NULL: no memory. */
char *server_source(const Server *s, const char *export_path);
/* Fills addrs unless they are known. -ENXIO: no such name; -ETIMEDOUT: the name service does not answer. */
int server_resolve(Server *s, uint64_t deadline_ms, STORAGED_ERR);
/* Forgets the addresses of a name: after a failure it may have moved. */
void server_forget(Server *s);
/*
 * Tries to open a TCP connection to the port (`what` it is for, in words) on all addresses at once and closes it
 * again: the bounded question that comes before anything that can hang. *ret is the address that answered first.
 * -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH, …
 */
int server_connect(Server *s, uint16_t port, const char *what, uint64_t deadline_ms, const ServerAddr **ret,
                   STORAGED_ERR);
