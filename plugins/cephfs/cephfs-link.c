/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The session. A client of CephFS holds promises of the metadata servers (caps), and while it is dead without having
 * said so, others wait for what it held: a minute. A worker may be killed at any moment, so each session has a name
 * that its successor knows (node, storage, and the number of a locked file), and the successor has the servers throw
 * the old one out before it begins (CEPH_RECLAIM_RESET). The invariant: a name belongs to the one living process that
 * has the lock of its number.
 *
 * Calls on a session have no timeout at all, so all of them run under the watch (docs/decisions/0016, 0023).
 */
#include "cephfs/cephfs-link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common-ceph/ceph-mon.h"
#include "common/text.h"

#define N_SLOTS 32
/* An attribute that no client answers by itself: the sizes of all files below. */
#define ASKS_THE_SERVER "ceph.dir.rbytes"

/* --- why nothing comes */

/* Of the map of file systems: how many of this one's ranks have a server, and how many of those are late. */
static void count_servers(json_object *map, const char *name, size_t *ret_active, size_t *ret_late)
{
        json_object *all = ceph_json_get(map, "filesystems");
        size_t n = json_object_is_type(all, json_type_array) ? json_object_array_length(all) : 0;

        *ret_active = *ret_late = 0;
        for (size_t i = 0; i < n; i++) {
                json_object *mds = ceph_json_get(json_object_array_get_idx(all, i), "mdsmap");
                const char *found = ceph_json_text(mds, "fs_name");

                if (name && (!found || strcmp(found, name) != 0))
                        continue;
                if (!json_object_is_type(ceph_json_get(mds, "info"), json_type_object))
                        continue;
                json_object_object_foreach (ceph_json_get(mds, "info"), gid, info) {
                        const char *state = ceph_json_text(info, "state");

                        (void) gid;
                        *ret_active += state && strcmp(state, "up:active") == 0;
                        *ret_late += ceph_json_get(info, "laggy_since") != NULL;
                }
        }
}

static void look_at_servers(CephCluster *c, char *ret, size_t size)
{
        const CephFs *f = (const CephFs *) c;
        AUTO(ceph_jsonp) json_object *map = NULL;
        size_t active = 0, late = 0;

        if (ceph_mon(c, &map, NULL, "fs dump", NULL) >= 0)
                count_servers(map, f->name, &active, &late);
        if (active == 0)
                (void) snprintf(ret, size, "mds down: no metadata server of file system '%s' is active",
                                f->name ? f->name : "(the first)");
        else
                (void) snprintf(ret, size, "mds silent: no answer, though %zu metadata server%s said to be active%s",
                                active, active == 1 ? " is" : "s are", late ? " (the monitors miss its beacons)" : "");
}

/* The owner's member comes first, so that look_at_servers() finds it. */
_Static_assert(offsetof(CephFs, cluster) == 0, "cluster is the first member");

static void nudge_servers(void *userdata)
{
        CephFs *f = userdata;

        cephfs_nudge_ask(&f->nudge);
}

/* --- what is configured */

static char *absolute_of(const char *subdir)
{
        char *text = NULL;

        if (!subdir || !*subdir)
                return strdup("/");
        (void) text_printf(&text, "%s%s", subdir[0] == '/' ? "" : "/", subdir);
        return text;
}

int cephfs_init(CephFs *f, const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR)
{
        const char *name = storaged_config_get(config, "fs-name");
        int r;

        f->slot = -EBADF;
        r = ceph_cluster_init(&f->cluster, host, config, err);
        if (r < 0)
                return r;
        f->cluster.caps = "mon 'allow r', mds 'allow rw', osd 'allow rw tag cephfs data=…' (`ceph fs authorize`)";
        f->cluster.look = look_at_servers;
        f->nudge = (CephNudge) CEPH_NUDGE_INIT;
        f->cluster.watch.slow = nudge_servers;
        f->cluster.watch.slow_userdata = f;
        f->name = name && *name ? strdup(name) : NULL;
        f->cluster.file_system = f->name;
        f->subdir = absolute_of(storaged_config_get(config, "subdir"));
        return !f->subdir || (name && *name && !f->name) ? error_set(err, -ENOMEM, "no memory") : 0;
}

void cephfs_deinit(CephFs *f)
{
        cephfs_disconnect(f);
        if (f->cluster.host)
                ceph_cluster_deinit(&f->cluster);
        free(f->name);
        free(f->subdir);
        if (f->slot >= 0)
                (void) close(f->slot);
        *f = (CephFs){ .slot = -EBADF };
}

/* --- the session */

int cephfs_fail(CephFs *f, int code, STORAGED_ERR, const char *what)
{
        if (code == -ENOTCONN || code == -ESHUTDOWN || code == -ETIMEDOUT)
                f->cluster.is_stale = true;
        return ceph_fail(&f->cluster, code, err, "%s", what);
}

void cephfs_disconnect(CephFs *f)
{
        if (!f->session)
                return;
        /* Saying goodbye waits for the servers' answer. */
        CEPH_WATCH(&f->cluster.watch, CEPH_SHORT_MS, "end the session with the metadata servers");
        cephfs_nudge_end(&f->nudge);
        ceph_shutdown(TAKE(f->session));
}

/* The lowest number whose lock is free, as text; it stays ours while this process lives. */
static int take_slot(CephFs *f, char *ret, size_t size, STORAGED_ERR)
{
        const CephCluster *c = &f->cluster;
        AUTO(fclosep) FILE *id = fopen("/etc/machine-id", "re");
        char machine[40] = "", path[512];

        if (!id || !fgets(machine, sizeof(machine), id))
                machine[0] = '\0'; /* the node's name tells them apart, then */
        machine[strcspn(machine, "\n")] = '\0';
        for (unsigned i = 0; i < N_SLOTS; i++) {
                AUTO(closep) int fd = -EBADF;

                (void) snprintf(path, sizeof(path), "%s/cephfs-%s.%u", c->host->run_dir, c->storage, i);
                fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd < 0)
                        return error_set(err, -errno, "storage '%s': can't make %s: %s", c->storage, path,
                                         strerror(errno));
                if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                        continue;
                (void) snprintf(ret, size, "storaged:%s:%s:%s:%s:%u", machine, c->host->node, c->host->run_dir,
                                c->storage, i);
                f->slot = TAKE_FD(fd);
                return 0;
        }
        return error_set(err, -EAGAIN, "storage '%s': %u workers of this node use it at once: try again later",
                         c->storage, N_SLOTS);
}

/* libcephfs waits without an end for a file system that is not there. */
static int check_name(CephFs *f, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *all = NULL;
        char names[256] = "";
        size_t n, used = 0;
        int r = ceph_mon(&f->cluster, &all, err, "fs ls", NULL);

        if (r < 0)
                return r;
        n = json_object_is_type(all, json_type_array) ? json_object_array_length(all) : 0;
        if (n == 0)
                return error_set(err, -ENOENT,
                                 "storage '%s': the Ceph cluster has no file system (that client.%s sees)",
                                 f->cluster.storage, f->cluster.user);
        if (!f->name || ceph_json_find(all, "name", f->name))
                return 0;
        for (size_t i = 0; i < n && used < sizeof(names); i++)
                used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
                                          ceph_json_text(json_object_array_get_idx(all, i), "name"));
        return error_set_param(err, -ENOENT, "fs-name",
                               "storage '%s': the Ceph cluster has no file system '%s'; it has: %s", f->cluster.storage,
                               f->name, names);
}

static void shutdown_sessionp(struct ceph_mount_info **session)
{
        if (*session)
                ceph_shutdown(*session);
}

static int begin_session(CephFs *f, const char *name, STORAGED_ERR)
{
        AUTO(shutdown_sessionp) struct ceph_mount_info *s = NULL;
        int r = ceph_create_from_rados(&s, f->cluster.rados);

        if (r >= 0)
                r = ceph_init(s);
        if (r < 0)
                return cephfs_fail(f, r, err, "prepare a session with the metadata servers");
        (void) ceph_start_reclaim(s, name, CEPH_RECLAIM_RESET); /* fails where nobody has it: as it should be */
        ceph_finish_reclaim(s);
        ceph_set_uuid(s, name);
        r = ceph_mount(s, f->subdir);
        if (r == -ENOENT || r == -ENOTDIR)
                return error_set_param(err, r, "subdir", "storage '%s': the Ceph file system has no directory '%s'",
                                       f->cluster.storage, f->subdir);
        if (r < 0) /* -ENXIO: no server is up */
                return cephfs_fail(f, r == -ENXIO ? -ETIMEDOUT : r, err, "begin a session with the metadata servers");
        f->session = TAKE(s);
        cephfs_nudge_begin(&f->nudge, f->cluster.rados, f->subdir);
        return 0;
}

static int connect_session(CephFs *f, STORAGED_ERR)
{
        char name[1024];
        int r = 0;

        if (f->cluster.is_stale)
                cephfs_disconnect(f);
        if (f->session)
                return 0;
        r = ceph_cluster_connect(&f->cluster, err);
        if (r >= 0)
                r = check_name(f, err);
        if (r < 0)
                return r;
        if (f->slot >= 0)
                (void) close(f->slot);
        f->slot = -EBADF;
        r = take_slot(f, name, sizeof(name), err);
        return r < 0 ? r : begin_session(f, name, err);
}

static int ask_server(CephFs *f, STORAGED_ERR)
{
        char text[32];
        int r = ceph_getxattr(f->session, "/", ASKS_THE_SERVER, text, sizeof(text));

        return r < 0 ? cephfs_fail(f, r, err, "ask the metadata servers") : 0;
}

int cephfs_check(CephFs *f, unsigned limit_ms, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        bool was_there = f->session != NULL;
        int r;

        CEPH_WATCH(&f->cluster.watch, limit_ms, "reach the metadata servers");
        r = connect_session(f, &why);
        if (r >= 0)
                r = ask_server(f, &why);
        if (r < 0 && was_there && f->cluster.is_stale) { /* thrown out meanwhile: once more, as another client */
                r = connect_session(f, &why);
                if (r >= 0)
                        r = ask_server(f, &why);
        }
        return r < 0 ? error_set_param(err, r, why.param, "%s", why.text) : 0;
}
