/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The portmapper question. libnfs would ask it by itself, but without a deadline, and over IPv6 without saying
 * that TCP is meant; so it is asked here, and libnfs is always given ports. IPv4 speaks version 2 (a number comes
 * back), IPv6 version 3 (a "universal address" comes back, whose last two parts are the port).
 */
#include "nfs/nfs-portmap.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nfsc/libnfs-raw-portmap.h>

#include "nfs/nfs-wait.h"

typedef struct PortQuestion {
        uint32_t program, version;
        bool is_v6;
        bool is_done;
        int status; /* 0, or -errno */
        uint32_t port;
} PortQuestion;

/* ::1.8.1 is port 8 * 256 + 1; 0 if there is none. */
static uint32_t port_of_universal_address(const char *address)
{
        const char *low = address ? strrchr(address, '.') : NULL;
        const char *high = NULL;
        unsigned h, l;

        for (const char *p = address; low && p < low; p++)
                if (*p == '.')
                        high = p;
        if (!high || sscanf(high, ".%3u.%3u", &h, &l) != 2 || h > 255 || l > 255)
                return 0;
        return h * 256 + l;
}

static void on_port(struct rpc_context *rpc, int status, void *data, void *userdata)
{
        PortQuestion *q = userdata;
        struct pmap3_string_result address;

        (void) rpc;
        q->is_done = true;
        if (status != RPC_STATUS_SUCCESS) {
                q->status = -EIO;
        } else if (q->is_v6) {
                memcpy(&address, data, sizeof(address)); /* libnfs does not align it */
                q->port = port_of_universal_address(address.addr);
        } else {
                memcpy(&q->port, data, sizeof(q->port));
        }
}

static void on_portmap_connected(struct rpc_context *rpc, int status, void *data, void *userdata)
{
        PortQuestion *q = userdata;
        struct pmap3_mapping map = { .prog = q->program,
                                     .vers = q->version,
                                     .netid = (char *) "tcp6",
                                     .addr = (char *) "",
                                     .owner = (char *) "" };
        int r = -1;

        (void) data;
        if (status == RPC_STATUS_SUCCESS)
                r = q->is_v6
                            ? rpc_pmap3_getaddr_async(rpc, &map, on_port, q)
                            : rpc_pmap2_getport_async(rpc, (int) q->program, (int) q->version, IPPROTO_TCP, on_port, q);
        if (r != 0) {
                q->is_done = true;
                q->status = -ECONNRESET;
        }
}

int portmap_lookup(Server *s, uint32_t program, uint32_t version, uint64_t deadline_ms, uint16_t *ret, STORAGED_ERR)
{
        PortQuestion q = { .program = program, .version = version };
        const ServerAddr *addr = NULL;
        struct rpc_context *rpc;
        int r;

        r = server_connect(s, SERVER_PORT_PORTMAP, "portmapper", deadline_ms, &addr, err);
        if (r < 0)
                return r;
        rpc = rpc_init_context();
        if (!rpc)
                return error_set(err, -ENOMEM, "no memory");
        q.is_v6 = addr->sa.ss_family == AF_INET6;
        r = rpc_connect_async(rpc, addr->text, SERVER_PORT_PORTMAP, on_portmap_connected, &q) == 0 ? 0 : -ECONNRESET;
        if (r == 0)
                r = wait_reply(rpc, &q.is_done, WAIT_SILENCE_MS, deadline_ms);
        rpc_destroy_context(rpc);
        if (r == 0)
                r = q.status;
        if (r < 0)
                return error_set_param(
                        err, r, "server",
                        "the portmapper of NFS server '%s' (%s, port %d) gives no answer: %s; "
                        "check rpcbind there, or name the ports with port= and mountport= in the options",
                        s->name, addr->text, SERVER_PORT_PORTMAP, strerror(-r));
        if (q.port == 0 || q.port > 65535)
                return PORTMAP_E_ABSENT;
        *ret = (uint16_t) q.port;
        return 0;
}
