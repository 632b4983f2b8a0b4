/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The connection of the control plane: one export of one server over libnfs. It is made when it is first needed,
 * dropped after a failure and made anew by the next call, so that a server that comes back is found by itself.
 */
#include <stdint.h>

#include <nfsc/libnfs.h>

#include "nfs/nfs-server.h"

typedef struct LinkFile LinkFile;

typedef struct Link {
        Server *server;          /* borrowed */
        const char *export_path; /* borrowed */
        struct nfs_context *nfs; /* NULL: not connected */
        uint32_t version;        /* of the connection, or of the last one that worked; 0: none yet */
        char addr[INET6_ADDRSTRLEN];
        LinkFile *files; /* open ones; they outlive a connection by being opened anew */
} Link;

#define LINK_INIT(s, e)                           \
        (Link)                                    \
        {                                         \
                .server = (s), .export_path = (e) \
        }

void link_deinit(Link *l);
/* Closes the connection; the next call makes a new one. */
void link_drop(Link *l);
/* Connects if need be. The sentence tells server, port or export, and what to check. */
int link_open(Link *l, STORAGED_ERR);
/* The same, and asks for the attributes of the export's root: 0 means that the server answers now. */
int link_check(Link *l, STORAGED_ERR);

/*
 * One request. `begin` starts it on the context with what is in `args`; `take` (or NULL) gets what came while it
 * still belongs to libnfs. Answers of the server come back as they are (-ENOENT, -EACCES, …). A lost connection is
 * made anew once; silence is not asked twice: -ETIMEDOUT.
 */
typedef struct LinkArgs {
        const char *path;
        int flags;
        struct nfsfh *fh;
        uint64_t offset, n;
} LinkArgs;

typedef int (*LinkBegin)(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata);
typedef int (*LinkTake)(struct nfs_context *nfs, int status, void *data, void *out);

int link_call(Link *l, LinkBegin begin, const LinkArgs *args, LinkTake take, void *out);

/* The attributes of many names at once, many requests under way together. One status (0 or -errno) for each. */
typedef struct LinkStat {
        char *path; /* owned by the caller */
        int status;
        struct nfs_stat_64 st;
} LinkStat;

int link_stat_many(Link *l, LinkStat *stats, size_t n);

/* A file open for reading. `path` with a slash in front; its last part is not followed if it is a link: -ELOOP. */
int link_file_open(Link *l, const char *path, LinkFile **ret);
/* At most `n` bytes; 0 at the end of the file; -errno. */
int link_file_pread(LinkFile *f, void *buf, size_t n, uint64_t offset);
int link_file_stat(LinkFile *f, struct nfs_stat_64 *ret);
void link_file_close(LinkFile *f);
