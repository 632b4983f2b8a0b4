/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control plane's connection. libnfs keeps a TCP connection with the export's root handle; here it becomes
 * something that ends: connecting, every request and giving up are bounded (nfs-wait.c), a failed context is
 * destroyed and never used again, and libnfs's own endless reconnecting is off.
 *
 * Which NFS version: what the mount options demand; else version 3, then 4, and what worked last is tried first.
 * Version 4 of libnfs 4.0.0 is sound for reading only, which is all that is done here: changes go through the mount.
 * Ports are always found out beforehand (options, portmapper, 2049), so libnfs asks no portmapper by itself.
 *
 * Invariant: libnfs calls back only while wait_reply or nfs_destroy_context runs, and both run before the
 * record of the call leaves the stack.
 */
#include "nfs/nfs-link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nfsc/libnfs-raw.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <storaged/cleanup.h>

#include "nfs/nfs-exports.h"
#include "nfs/nfs-portmap.h"
#include "nfs/nfs-wait.h"

struct LinkFile {
        Link *link;
        LinkFile *next;
        struct nfsfh *fh; /* NULL: to be opened anew */
        char path[];
};

typedef struct Call {
        bool is_done;
        int status;
        LinkTake take;
        void *out;
} Call;

static void on_reply(int status, struct nfs_context *nfs, void *data, void *userdata)
{
        Call *c = userdata;

        if (c->is_done)
                return;
        c->status = status;
        if (status >= 0 && c->take)
                c->status = c->take(nfs, status, data, c->out);
        c->is_done = true;
}

static void ignore_reply(int status, struct nfs_context *nfs, void *data, void *userdata)
{
        (void) status;
        (void) nfs;
        (void) data;
        (void) userdata;
}

void link_drop(Link *l)
{
        if (!l->nfs)
                return;
        /* Gives the handles back to libnfs; what it would still send is thrown away with the context. */
        for (LinkFile *f = l->files; f; f = f->next) {
                if (f->fh)
                        (void) nfs_close_async(l->nfs, f->fh, ignore_reply, NULL);
                f->fh = NULL;
        }
        nfs_destroy_context(l->nfs);
        l->nfs = NULL;
}

void link_deinit(Link *l)
{
        link_drop(l);
        *l = (Link){ 0 };
}

/* Ports by the options, else the portmapper's; NFS itself is at 2049 where the portmapper does not know better. */
static int find_ports(Link *l, uint32_t version, uint64_t deadline_ms, uint16_t *ret_nfs, uint16_t *ret_mount,
                      STORAGED_ERR)
{
        uint16_t port = l->server->port, mount_port = l->server->mount_port;
        int r;

        if (version == 3 && !mount_port) {
                r = portmap_lookup(l->server, MOUNT_PROGRAM, MOUNT_V3, deadline_ms, &mount_port, err);
                if (r < 0)
                        return r;
                if (r == PORTMAP_E_ABSENT)
                        return error_set_param(
                                err, -EPROTONOSUPPORT, "server",
                                "NFS server '%s' has no MOUNT service, which NFSv3 needs: start rpc.mountd "
                                "there, or put vers=4 into the options",
                                l->server->name);
        }
        if (version == 3 && !port) {
                r = portmap_lookup(l->server, NFS_PROGRAM, NFS_V3, deadline_ms, &port, err);
                if (r < 0)
                        return r;
        }
        *ret_nfs = port ? port : SERVER_PORT_NFS;
        *ret_mount = mount_port;
        return 0;
}

static struct nfs_context *new_context(uint32_t version, uint16_t port, uint16_t mount_port)
{
        struct nfs_context *nfs = nfs_init_context();
        struct nfs_url *url;
        char text[128];

        if (!nfs)
                return NULL;
        /* The ports of a context can only be set by way of an URL; server and path are given to the mount call. */
        (void) snprintf(text, sizeof(text), "nfs://?version=%u&nfsport=%u&mountport=%u&auto-traverse-mounts=0", version,
                        port, mount_port);
        url = nfs_parse_url_incomplete(nfs, text);
        if (!url) {
                nfs_destroy_context(nfs);
                return NULL;
        }
        nfs_destroy_url(url);
        nfs_set_autoreconnect(nfs, 0);
        nfs_set_dircache(nfs, 0);
        return nfs;
}

static int mount_error(const Link *l, int r, uint32_t version, uint16_t port, const char *said, STORAGED_ERR)
{
        const char *name = l->server->name, *e = l->export_path;

        if (r == -ENOENT)
                return error_set_param(err, r, "export",
                                       "NFS server '%s' has no export '%s' (NFSv%u): `pvesm scan nfs %s` "
                                       "lists what it has",
                                       name, e, version, name);
        if (r == -EACCES || r == -EPERM)
                return error_set_param(err, r, "export",
                                       "NFS server '%s' denies this node the export '%s' (NFSv%u): check the "
                                       "client list of that export",
                                       name, e, version);
        if (r == -ETIMEDOUT)
                return error_set_param(
                        err, r, "server",
                        "NFS server '%s' (%s, port %u) accepts connections but does not "
                        "answer for export '%s' within %.1f s: it hangs or is overloaded; check the server",
                        name, l->addr, port, e, WAIT_SILENCE_MS / 1000.0);
        return error_set_param(err, r, "server",
                               "NFS server '%s' (%s, port %u) does not serve export '%s' over NFSv%u: %s", name,
                               l->addr, port, e, version, said && said[0] ? said : strerror(-r));
}

/* Stops with 1 at an export that is the wanted one or above it. */
static int is_wanted_export(void *userdata, const char *path, const char *clients)
{
        const char *wanted = userdata;
        size_t n = strlen(path);

        (void) clients;
        while (n > 0 && path[n - 1] == '/')
                n--;
        return strncmp(wanted, path, n) == 0 && (wanted[n] == '\0' || wanted[n] == '/');
}

/* Servers answer "denied" for what they do not export at all; the list of exports tells which it is. */
static bool is_unknown_export(Link *l, uint16_t mount_port, uint64_t deadline_ms)
{
        Server *s = l->server;
        uint16_t saved = s->mount_port;
        int r;

        s->mount_port = mount_port;
        r = exports_list(s, deadline_ms, is_wanted_export, (void *) (uintptr_t) l->export_path, NULL);
        s->mount_port = saved;
        return r == 0;
}

static int try_version(Link *l, uint32_t version, uint64_t deadline_ms, STORAGED_ERR)
{
        const ServerAddr *addr = NULL;
        uint16_t port = 0, mount_port = 0;
        Call c = { 0 };
        int r;

        r = find_ports(l, version, deadline_ms, &port, &mount_port, err);
        if (r < 0)
                return r;
        if (version == 3) {
                r = server_connect(l->server, mount_port, "MOUNT", deadline_ms, &addr, err);
                if (r < 0)
                        return r;
        }
        r = server_connect(l->server, port, "NFS", deadline_ms, &addr, err);
        if (r < 0)
                return r;
        (void) snprintf(l->addr, sizeof(l->addr), "%s", addr->text);
        l->nfs = new_context(version, port, mount_port);
        if (!l->nfs)
                return error_set(err, -ENOMEM, "no memory");
        r = nfs_mount_async(l->nfs, addr->text, l->export_path, on_reply, &c) == 0 ? 0 : -EIO;
        if (r == 0)
                r = wait_reply(nfs_get_rpc_context(l->nfs), &c.is_done, WAIT_SILENCE_MS, deadline_ms);
        if (r == 0 && c.status < 0)
                r = c.status == -EFAULT || c.status == -EINTR ? -EPROTO : c.status;
        if (r == -EACCES && version == 3 && is_unknown_export(l, mount_port, deadline_ms))
                r = -ENOENT;
        if (r < 0) {
                r = mount_error(l, r, version, port, nfs_get_error(l->nfs), err);
                link_drop(l);
                return r;
        }
        l->version = version;
        return 0;
}

int link_open(Link *l, STORAGED_ERR)
{
        struct storaged_error second = STORAGED_ERROR_INIT;
        uint64_t deadline_ms = wait_now_ms() + WAIT_SILENCE_MS;
        uint32_t first = l->server->version ? l->server->version : l->version ? l->version : 3;
        int r, k;

        if (l->nfs)
                return 0;
        r = try_version(l, first, deadline_ms, err);
        if (r == 0 || l->server->version || r == -ETIMEDOUT || r == -ENXIO || r == -ENOMEM)
                return r;
        k = try_version(l, first == 3 ? 4 : 3, deadline_ms, &second);
        if (k == 0)
                return 0;
        /* A server that speaks only one of them has said with it what is wrong. */
        if (k == -ENOENT || k == -EACCES || k == -ETIMEDOUT)
                return error_set_param(err, k, second.param, "%s", second.text);
        return r;
}

/* Whether the server has answered, so that a new connection would change nothing. */
static bool is_answer(int r)
{
        static const int answers[] = { 0,       -ENOENT,    -EACCES, -EPERM,  -ENOTDIR, -EISDIR, -EEXIST, -ENAMETOOLONG,
                                       -ELOOP,  -ENOTEMPTY, -EROFS,  -ENOSPC, -EDQUOT,  -EFBIG,  -EXDEV,  -ENODEV,
                                       -EMLINK, -EINVAL,    -ENOMEM, -ENOTSUP };

        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
                if (r == answers[i])
                        return true;
        return r > 0;
}

static int call_once(Link *l, LinkBegin begin, const LinkArgs *args, LinkTake take, void *out)
{
        Call c = { .take = take, .out = out };
        int r;

        r = link_open(l, NULL);
        if (r < 0)
                return r;
        r = begin(l->nfs, args, on_reply, &c) == 0 ? 0 : -ECONNRESET;
        if (r == 0)
                r = wait_reply(nfs_get_rpc_context(l->nfs), &c.is_done, WAIT_SILENCE_MS, wait_now_ms() + WAIT_TOTAL_MS);
        if (r == 0)
                r = c.status;
        if (!is_answer(r)) {
                c.is_done = true; /* what is called back from here on has no taker */
                link_drop(l);
        }
        return r;
}

int link_call(Link *l, LinkBegin begin, const LinkArgs *args, LinkTake take, void *out)
{
        bool was_connected = l->nfs != NULL;
        int r = call_once(l, begin, args, take, out);

        /* A connection that stood idle may have been closed or forgotten by the server: that is no failure yet. */
        if (!is_answer(r) && r != -ETIMEDOUT && was_connected)
                r = call_once(l, begin, args, take, out);
        if (!is_answer(r) && r != -ETIMEDOUT && r != -ECONNREFUSED && r != -EHOSTUNREACH)
                return -EIO;
        return r;
}

/* --- many at once */

#define BATCH_MAX 128u /* requests under way at one time */

typedef struct Batch {
        bool is_done;
        size_t n_left;
        bool is_over; /* what still comes is ignored */
} Batch;

typedef struct BatchCall {
        Batch *batch;
        LinkStat *stat;
} BatchCall;

static void on_batch_stat(int status, struct nfs_context *nfs, void *data, void *userdata)
{
        const BatchCall *c = userdata;

        (void) nfs;
        if (c->batch->is_over)
                return;
        c->stat->status = status < 0 ? status : 0;
        if (status >= 0)
                memcpy(&c->stat->st, data, sizeof(c->stat->st));
        c->batch->is_done = --c->batch->n_left == 0;
}

static int batch_once(Link *l, LinkStat *stats, size_t n)
{
        BatchCall calls[BATCH_MAX];
        Batch b = { .n_left = n, .is_done = n == 0 };
        int r = link_open(l, NULL);

        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < n; i++) {
                calls[i] = (BatchCall){ .batch = &b, .stat = &stats[i] };
                if (nfs_lstat64_async(l->nfs, stats[i].path, on_batch_stat, &calls[i]) != 0)
                        r = -ECONNRESET;
        }
        if (r == 0)
                r = wait_reply(nfs_get_rpc_context(l->nfs), &b.is_done, WAIT_SILENCE_MS, wait_now_ms() + WAIT_TOTAL_MS);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (!is_answer(stats[i].status))
                        r = stats[i].status;
        if (!is_answer(r)) {
                b.is_over = true;
                link_drop(l);
        }
        return r;
}

int link_stat_many(Link *l, LinkStat *stats, size_t n)
{
        for (size_t i = 0; i < n; i += BATCH_MAX) {
                size_t k = n - i < BATCH_MAX ? n - i : BATCH_MAX;
                int r = batch_once(l, stats + i, k);

                if (!is_answer(r) && r != -ETIMEDOUT)
                        r = batch_once(l, stats + i, k);
                if (r < 0)
                        return is_answer(r) || r == -ETIMEDOUT || r == -ECONNREFUSED ? r : -EIO;
        }
        return 0;
}

/* --- one at a time */

static int begin_stat(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_lstat64_async(nfs, args->path, cb, userdata);
}

int link_check(Link *l, STORAGED_ERR)
{
        const LinkArgs root = { .path = "/" };
        int r;

        r = link_open(l, err);
        if (r < 0)
                return r;
        r = link_call(l, begin_stat, &root, NULL, NULL);
        if (r == -ETIMEDOUT)
                return error_set_param(err, r, "server",
                                       "NFS server '%s' (%s) does not answer for export '%s' within %.1f s: it "
                                       "is down, hangs, or the network to it is broken; check the server",
                                       l->server->name, l->addr, l->export_path, WAIT_SILENCE_MS / 1000.0);
        if (r < 0 && !l->nfs)
                return link_open(l, err) < 0 ? (err ? err->code : r) : 0;
        if (r < 0)
                return error_set_param(err, r, "export", "NFS server '%s' (%s) denies the root of export '%s': %s",
                                       l->server->name, l->addr, l->export_path, strerror(-r));
        return 0;
}

static int begin_open(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_open_async(nfs, args->path, args->flags, cb, userdata);
}

static int take_handle(struct nfs_context *nfs, int status, void *data, void *out)
{
        (void) nfs;
        *(struct nfsfh **) out = data;
        return status;
}

static int begin_pread(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_pread_async(nfs, args->fh, args->offset, args->n, cb, userdata);
}

typedef struct ReadBuffer {
        void *data;
        size_t size;
} ReadBuffer;

static int take_bytes(struct nfs_context *nfs, int status, void *data, void *out)
{
        ReadBuffer *b = out;

        (void) nfs;
        if ((size_t) status > b->size)
                return -EIO;
        memcpy(b->data, data, (size_t) status);
        return status;
}

static int begin_close(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_close_async(nfs, args->fh, cb, userdata);
}

static int file_reopen(LinkFile *f)
{
        const LinkArgs args = { .path = f->path, .flags = O_RDONLY | O_NOFOLLOW };

        return f->fh ? 0 : link_call(f->link, begin_open, &args, take_handle, &f->fh);
}

int link_file_open(Link *l, const char *path, LinkFile **ret)
{
        AUTO(freep) LinkFile *f = calloc(1, sizeof(*f) + strlen(path) + 1);
        int r;

        if (!f)
                return -ENOMEM;
        f->link = l;
        memcpy(f->path, path, strlen(path) + 1);
        r = file_reopen(f);
        if (r < 0)
                return r;
        f->next = l->files;
        l->files = f;
        *ret = TAKE(f);
        return 0;
}

/* A request on an open file. Twice, because a lost connection takes the handle with it. */
static int with_handle(LinkFile *f, LinkBegin begin, LinkArgs args, LinkTake take, void *out)
{
        int r = -EIO;

        for (unsigned i = 0; i < 2; i++) {
                r = file_reopen(f);
                if (r < 0)
                        return r;
                args.fh = f->fh;
                r = call_once(f->link, begin, &args, take, out);
                if (r >= 0 || f->fh || r == -ETIMEDOUT)
                        break;
        }
        return is_answer(r) || r == -ETIMEDOUT ? r : -EIO;
}

int link_file_pread(LinkFile *f, void *buf, size_t n, uint64_t offset)
{
        ReadBuffer b = { .data = buf, .size = n };

        return with_handle(f, begin_pread, (LinkArgs){ .offset = offset, .n = n }, take_bytes, &b);
}

static int begin_fstat(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_fstat64_async(nfs, args->fh, cb, userdata);
}

static int take_stat(struct nfs_context *nfs, int status, void *data, void *out)
{
        (void) nfs;
        memcpy(out, data, sizeof(struct nfs_stat_64));
        return status;
}

int link_file_stat(LinkFile *f, struct nfs_stat_64 *ret)
{
        int r = with_handle(f, begin_fstat, (LinkArgs){ 0 }, take_stat, ret);

        return r < 0 ? r : 0;
}

void link_file_close(LinkFile *f)
{
        Link *l;

        if (!f)
                return;
        l = f->link;
        for (LinkFile **p = &l->files; *p; p = &(*p)->next)
                if (*p == f) {
                        *p = f->next;
                        break;
                }
        if (f->fh && l->nfs) {
                const LinkArgs args = { .fh = f->fh };

                (void) call_once(l, begin_close, &args, NULL, NULL);
        }
        free(f);
}
