/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots: whole copies of a volume, in files `.NAME@SNAPSHOT`. Slow and simple, and a volume never depends on them.
 */
#include "example/example.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

int snapshot_file(const struct storaged_volname *vol, const char *snap, char *ret, size_t size,
                  struct storaged_error *err)
{
        int n = snprintf(ret, size, ".%s@%s", vol->name, snap);

        if (n < 0 || (size_t) n >= size || n > NAME_MAX)
                return error_set_param(err, -ENAMETOOLONG, "snapshot",
                                       "the names of volume %s and snapshot %s are too long together", vol->name, snap);
        return 0;
}

int each_snapshot(void *userdata, int dir, const char *name)
{
        struct snapshots *s = userdata;
        size_t n = strlen(s->volume);
        struct stat st;

        if (name[0] != '.' || strncmp(name + 1, s->volume, n) != 0 || name[n + 1] != '@')
                return 0;
        s->n++;
        if (s->remove && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
                return -errno;
        if (s->fn && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                struct storaged_snapshot row = { .size = sizeof(row), .name = name + n + 2, .ctime = st.st_mtime };

                return s->fn(s->userdata, &row);
        }
        return 0;
}

/* A copy of one file under a second name: all that snapshot and rollback are here. */
static int copy_as(const struct example *e, const char *from, const char *to, struct storaged_error *err)
{
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int source = -EBADF;
        AUTO(closep) int copy = -EBADF;
        struct stat st;
        int r;

        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = open_volume(dir, from, O_RDONLY, &source, &st, err);
        if (r >= 0)
                r = new_file(e, dir, (uint64_t) st.st_size, &copy, err);
        if (r >= 0)
                r = copy_file(e, source, copy, (uint64_t) st.st_size, from, err);
        if (r < 0)
                return r;
        r = name_file(e, copy, dir, to);
        return r < 0 ? error_errno(err, r, "make", to) : 0;
}

int example_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        char file[NAME_MAX + 1];
        int r;

        r = snapshot_file(vol, snap, file, sizeof(file), err);
        if (r < 0)
                return r;
        r = copy_as(self, vol->name, file, err);
        if (r == -EEXIST)
                return error_set_param(err, r, "snapshot", "volume %s has a snapshot %s already", vol->name, snap);
        return r;
}

static int snapshot_missing(const struct storaged_volname *vol, const char *snap, struct storaged_error *err)
{
        return error_set_param(err, -ENOENT, "snapshot", "volume %s has no snapshot %s", vol->name, snap);
}

int example_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        char file[NAME_MAX + 1];
        int r;

        r = snapshot_file(vol, snap, file, sizeof(file), err);
        if (r >= 0)
                r = open_dir(e, &dir, err);
        if (r < 0)
                return r;
        if (faccessat(dir, vol->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return error_set_param(err, -ENOENT, "volume", "volume %s does not exist", vol->name);
        if (faccessat(dir, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return snapshot_missing(vol, snap, err);
        (void) unlinkat(dir, EXAMPLE_REPLACEMENT, 0); /* left by an interrupted one */
        r = copy_as(e, file, EXAMPLE_REPLACEMENT, err);
        if (r >= 0)
                r = e->host->fault(e->host->handle, "example.rollback.before-rename");
        if (r >= 0 && renameat(dir, EXAMPLE_REPLACEMENT, dir, vol->name) < 0)
                r = error_errno(err, -errno, "roll back volume", vol->name);
        return r;
}

int example_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        AUTO(closep) int dir = -EBADF;
        char file[NAME_MAX + 1];
        int r;

        r = snapshot_file(vol, snap, file, sizeof(file), err);
        if (r >= 0)
                r = open_dir(self, &dir, err);
        if (r < 0)
                return r;
        if (unlinkat(dir, file, 0) < 0)
                return errno == ENOENT ? snapshot_missing(vol, snap, err) : error_errno(err, -errno, "delete", file);
        return 0;
}

int example_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR)
{
        struct snapshots snapshots = { .volume = vol->name, .fn = fn, .userdata = userdata };

        return each_name(self, each_snapshot, &snapshots, err);
}
