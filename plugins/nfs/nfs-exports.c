/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export lists by raw RPC: libnfs's own mount_getexports() never gives up on a server that says nothing. The rows
 * belong to libnfs only while its callback runs, so they are copied there and given away afterwards.
 */
#include "nfs/nfs-exports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nfsc/libnfs-raw-mount.h>

#include "nfs/nfs-portmap.h"
#include "nfs/nfs-wait.h"

typedef struct ExportRow {
        char *path, *clients;
} ExportRow;

typedef struct ExportQuestion {
        bool is_done;
        int status;
        ExportRow *rows;
        size_t n_rows;
} ExportQuestion;

static void export_question_deinit(ExportQuestion *q)
{
        for (size_t i = 0; i < q->n_rows; i++) {
                free(q->rows[i].path);
                free(q->rows[i].clients);
        }
        free(q->rows);
}

/* libnfs puts its rows where they fit, not where the compiler expects them: they are copied before use. */
static struct exportnode export_at(const void *p)
{
        struct exportnode e;

        memcpy(&e, p, sizeof(e));
        return e;
}

static struct groupnode group_at(const void *p)
{
        struct groupnode g;

        memcpy(&g, p, sizeof(g));
        return g;
}

static char *join_clients(const void *first)
{
        size_t size = 1;
        char *text, *end;

        if (!first)
                return strdup("*");
        for (const void *p = first; p; p = group_at(p).gr_next)
                size += strlen(group_at(p).gr_name) + 1;
        text = malloc(size);
        if (!text)
                return NULL;
        end = text;
        for (const void *p = first; p; p = group_at(p).gr_next) {
                if (end != text)
                        *end++ = ',';
                end = stpcpy(end, group_at(p).gr_name);
        }
        *end = '\0';
        return text;
}

static int take_rows(ExportQuestion *q, const void *first)
{
        size_t n = 0;

        for (const void *p = first; p; p = export_at(p).ex_next)
                n++;
        q->rows = calloc(n ? n : 1, sizeof(*q->rows));
        if (!q->rows)
                return -ENOMEM;
        for (const void *p = first; p; p = export_at(p).ex_next) {
                const struct exportnode e = export_at(p);
                ExportRow *row = &q->rows[q->n_rows++];

                row->path = strdup(e.ex_dir ? e.ex_dir : "");
                row->clients = join_clients(e.ex_groups);
                if (!row->path || !row->clients)
                        return -ENOMEM;
        }
        return 0;
}

static void on_exports(struct rpc_context *rpc, int status, void *data, void *userdata)
{
        ExportQuestion *q = userdata;
        const void *first = NULL;

        (void) rpc;
        q->is_done = true;
        if (status == RPC_STATUS_SUCCESS)
                memcpy(&first, data, sizeof(first));
        q->status = status == RPC_STATUS_SUCCESS ? take_rows(q, first) : -EIO;
}

static void on_mountd_connected(struct rpc_context *rpc, int status, void *data, void *userdata)
{
        ExportQuestion *q = userdata;

        (void) data;
        if (status == RPC_STATUS_SUCCESS && rpc_mount_export_async(rpc, on_exports, q) == 0)
                return;
        q->is_done = true;
        q->status = status == RPC_STATUS_SUCCESS ? -EIO : -EPROTONOSUPPORT;
}

static int compare_rows(const void *a, const void *b)
{
        return strcmp(((const ExportRow *) a)->path, ((const ExportRow *) b)->path);
}

static int find_mount_port(Server *s, uint64_t deadline_ms, uint16_t *ret, STORAGED_ERR)
{
        int r;

        if (s->mount_port) {
                *ret = s->mount_port;
                return 0;
        }
        r = portmap_lookup(s, MOUNT_PROGRAM, MOUNT_V3, deadline_ms, ret, err);
        if (r == PORTMAP_E_ABSENT)
                return error_set_param(err, -EPROTONOSUPPORT, "server",
                                       "NFS server '%s' has no MOUNT service, so it lists no exports (NFSv4 only?)",
                                       s->name);
        return r;
}

int exports_list(Server *s, uint64_t deadline_ms, ExportFn fn, void *userdata, STORAGED_ERR)
{
        AUTO(export_question_deinit) ExportQuestion q = { 0 };
        const ServerAddr *addr = NULL;
        struct rpc_context *rpc;
        uint16_t port = 0;
        int r;

        r = find_mount_port(s, deadline_ms, &port, err);
        if (r < 0)
                return r;
        r = server_connect(s, port, "MOUNT", deadline_ms, &addr, err);
        if (r < 0)
                return r;
        rpc = rpc_init_context();
        if (!rpc)
                return error_set(err, -ENOMEM, "no memory");
        r = rpc_connect_port_async(rpc, addr->text, port, MOUNT_PROGRAM, MOUNT_V3, on_mountd_connected, &q) == 0 ? 0
                                                                                                                 : -EIO;
        if (r == 0)
                r = wait_reply(rpc, &q.is_done, WAIT_SILENCE_MS, deadline_ms);
        rpc_destroy_context(rpc);
        if (r == 0)
                r = q.status;
        if (r < 0)
                return error_set_param(
                        err, r, "server",
                        "the MOUNT service of NFS server '%s' (%s, port %u) gives no list of exports: %s; check "
                        "rpc.mountd there, and the firewall",
                        s->name, addr->text, port, strerror(-r));
        if (q.n_rows > 1)
                qsort(q.rows, q.n_rows, sizeof(*q.rows), compare_rows);
        for (size_t i = 0; i < q.n_rows && r == 0; i++)
                r = fn(userdata, q.rows[i].path, q.rows[i].clients);
        return r;
}
