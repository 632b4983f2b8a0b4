/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The note is a file below priv/ that all nodes see: which cluster, which pools, which user. It holds no secret. Its
 * life is that of the create, and of the storage's definition if there is to be one (core/ceph-pool.c); one that is
 * there when a create begins is of one that was killed. What may be taken back
 * is only what was not there when the note was written, and a pool only as long as it holds nothing but what makes it
 * ready for images.
 */
#include "rbd/admin-pool-intent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define READY_OBJECTS 2u /* rbd_directory, rbd_info */
#define NOTE_MAX 4096u

static void note_path(const Admin *a, const char *pool, char *ret, size_t size)
{
        (void) snprintf(ret, size, "%s/etc/pve/priv/ceph/%s.creating", a->cluster.host->root, pool);
}

static bool has_client(Admin *a, const char *client)
{
        char entity[192];

        (void) snprintf(entity, sizeof(entity), "client.%s", client);
        return ceph_mon(&a->cluster, NULL, NULL, "auth get", "entity", entity, NULL) >= 0;
}

static int write_note(const char *path, const char *text)
{
        AUTO(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = 0;

        if (fd < 0)
                return -errno;
        if (dprintf(fd, "%s\n", text) < 0 || fsync(fd) < 0) {
                r = -errno;
                (void) unlink(path);
        }
        return r;
}

int pool_intent_begin(Admin *a, const PoolIntent *i, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = json_object_new_object();
        char path[600], priv[600], fsid[40] = "";
        int r;

        (void) rados_cluster_fsid(a->cluster.rados, fsid, sizeof(fsid));
        json_member(o, "fsid", json_object_new_string(fsid));
        json_member(o, "pool", json_object_new_string(i->pool));
        json_member(o, "data", *i->data ? json_object_new_string(i->data) : NULL);
        json_member(o, "profile", *i->profile ? json_object_new_string(i->profile) : NULL);
        if (i->client && !has_client(a, i->client))
                json_member(o, "client", json_object_new_string(i->client));
        json_member(o, "keyring", i->keyring ? json_object_new_string(i->keyring) : NULL);
        (void) snprintf(priv, sizeof(priv), "%s/etc/pve/priv", a->cluster.host->root);
        (void) mkdir(priv, 0700);
        (void) snprintf(priv, sizeof(priv), "%s/etc/pve/priv/ceph", a->cluster.host->root);
        (void) mkdir(priv, 0700); /* what can't be made shows in the next step */
        note_path(a, i->pool, path, sizeof(path));
        r = write_note(path, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        if (r < 0)
                return error_set(err, r, "can't note the new pool '%s' in %s: %s", i->pool, path, strerror(-r));
        return a->cluster.host->fault(a->cluster.host->handle, "rbd.pool-create.noted");
}

void pool_intent_end(const Admin *a, const char *pool)
{
        char path[600];

        note_path(a, pool, path, sizeof(path));
        (void) unlink(path);
}

static json_object *read_note(const char *path)
{
        AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        char text[NOTE_MAX];
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

        return n <= 0 ? NULL : ceph_mon_parse(text, (size_t) n);
}

static int undo_pool(Admin *a, const PoolMap *m, const char *pool, STORAGED_ERR)
{
        int r;

        if (!pool || !pool_find(a, m, pool, NULL))
                return 0;
        if (pool_count_objects(m, pool) > READY_OBJECTS)
                return error_set_param(err, -EBUSY, "pool-name",
                                       "pool '%s' is of a create that was interrupted, but holds data meanwhile: it is "
                                       "left alone; give it its application with `pvesm ceph repair`, or remove it",
                                       pool);
        r = pool_delete(a, pool, err);
        if (r >= 0)
                admin_log(a, "took back: pool %s of a create that was interrupted", pool);
        return r;
}

static void undo_client(Admin *a, json_object *note)
{
        const char *client = ceph_json_text(note, "client"), *keyring = ceph_json_text(note, "keyring");
        char entity[192], priv[512];

        (void) snprintf(priv, sizeof(priv), "%s/etc/pve/priv/", a->cluster.host->root);
        if (keyring && strncmp(keyring, priv, strlen(priv)) == 0 && !strstr(keyring, "/../"))
                (void) unlink(keyring);
        (void) snprintf(entity, sizeof(entity), "client.%s", client ? client : "");
        if (client && has_client(a, client) &&
            ceph_mon(&a->cluster, NULL, NULL, "auth del", "entity", entity, NULL) >= 0)
                admin_log(a, "took back: user %s of a create that was interrupted", entity);
}

int pool_intent_undo(Admin *a, const char *pool, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        AUTO(ceph_jsonp) json_object *note = NULL;
        const char *fsid, *profile;
        char path[600], ours[40] = "";
        int r;

        note_path(a, pool, path, sizeof(path));
        note = read_note(path);
        if (!note) {
                (void) unlink(path); /* not written whole: nothing was begun */
                return 0;
        }
        fsid = ceph_json_text(note, "fsid");
        (void) rados_cluster_fsid(a->cluster.rados, ours, sizeof(ours));
        if (!fsid || strcmp(fsid, ours) != 0)
                return error_set_param(
                        err, -EBUSY, "pool-name",
                        "a create of pool '%s' was interrupted on another cluster (%s): take it up there, or "
                        "remove %s",
                        pool, fsid ? fsid : "?", path);
        r = pool_map_read(a, &m, err);
        if (r >= 0)
                r = undo_pool(a, &m, ceph_json_text(note, "pool"), err);
        if (r >= 0)
                r = undo_pool(a, &m, ceph_json_text(note, "data"), err);
        if (r < 0)
                return r;
        {
                /* A pool of the same name comes next: this client must not take it for the old one. */
                CEPH_WATCH(&a->cluster.watch, CEPH_SHORT_MS, "wait for the map without pool '%s'", pool);
                r = rados_wait_for_latest_osdmap(a->cluster.rados);
                if (r < 0)
                        return ceph_fail(&a->cluster, r, err, "wait for the map without pool '%s'", pool);
        }
        profile = ceph_json_text(note, "profile");
        if (profile)
                (void) ceph_mon(&a->cluster, NULL, NULL, "osd erasure-code-profile rm", "name", profile, NULL);
        undo_client(a, note);
        (void) unlink(path);
        return 0;
}
