/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a volume is and whether someone uses it. QEMU and its tools mark an open image by open-file-description
 * locks on single bytes: 100 + n for each permission it uses, 200 + n for each it does not share (n = 1: write). Asking
 * for a lock without taking it tells both, costs two system calls and disturbs no one.
 */
#include "common/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/chain.h"
#include "common/layout.h"
#include "common/store.h"

#define QEMU_LOCK_USED 100
#define QEMU_LOCK_UNSHARED 200
#define QEMU_LOCK_PERMISSIONS 8
#define QEMU_PERM_WRITE 1

static int is_locked(int fd, off_t start, off_t n)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = n };

        if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
                return errno == EINVAL || errno == ENOLCK ? 0 : -errno; /* a file system without locks */
        return lock.l_type != F_UNLCK;
}

int holders_query(FileStore *fs, const char *rel)
{
        AUTO(closep) int fd = tree_local_openat(fs->data, rel, O_RDONLY | O_NONBLOCK, 0);
        int r;

        if (fd < 0)
                return fd;
        r = is_locked(fd, QEMU_LOCK_UNSHARED + QEMU_PERM_WRITE, 1);
        if (r != 0)
                return r < 0 ? r : HOLDER_WRITER;
        r = is_locked(fd, QEMU_LOCK_USED, QEMU_LOCK_PERMISSIONS);
        return r <= 0 ? r : HOLDER_READER;
}

int holders_refuse_busy(FileStore *fs, STORAGED_VOL, const char *rel, struct storaged_error *err)
{
        int r = fs->data ? holders_query(fs, rel) : 0;

        if (r == HOLDER_WRITER || r == HOLDER_READER)
                return error_set(
                        err, -EBUSY,
                        "volume \"%s\" is in use by a QEMU process on this node or another; stop the guest first",
                        vol->volname);
        return 0; /* what cannot be asked is found out by the operation itself */
}

int filestore_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX];
        int r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);

        if (r < 0)
                return r;
        r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = holders_query(fs, rel);
        if (r < 0)
                return store_fail_volume(fs, err, r, "ask for the users of", vol, rel);
        if (r == HOLDER_NONE)
                return 0;
        return fn(userdata, &(struct storaged_holder){
                                    .size = sizeof(struct storaged_holder),
                                    .what = "QEMU (image lock)",
                                    .is_exclusive = r == HOLDER_WRITER,
                            });
}

int filestore_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX], path[TREE_PATH_MAX];
        int r;

        if (snap && strcmp(vol->format, "qcow2") != 0)
                return error_set_param(err, -EOPNOTSUPP, "snapshot", "volume \"%s\": only qcow2 images have snapshots",
                                       vol->volname);
        r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        /* an internal snapshot lies in the image; one of a chain is a file of its own */
        if (snap && fs->has_chain)
                r = chain_path(fs, vol, snap, rel, err);
        if (r == 0)
                r = store_absolute(fs, rel, path, err);
        if (r < 0)
                return r;
        if (strlen(path) >= ret_size)
                return error_set(err, -ENAMETOOLONG, "the path of volume \"%s\" is too long", vol->volname);
        memcpy(ret, path, strlen(path) + 1);
        return 0;
}

/* A file has no state of its own to switch on: it is only looked for. Exclusiveness is the core's lease. */
int filestore_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX];
        TreeAttr attr;
        int r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);

        (void) mode;
        if (r < 0)
                return r;
        r = snap && fs->has_chain ? chain_path(fs, vol, snap, rel, err) : layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = fs->data->ops->stat(fs->data, rel, &attr);
        if (r == 0 && attr.type == TREE_LINK)
                r = -ELOOP;
        if (r < 0)
                return snap ? store_fail(fs, err, r, "activate", rel)
                            : store_fail_volume(fs, err, r, "activate", vol, rel);
        return 0;
}

int filestore_deactivate_volume(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        (void) self;
        (void) vol;
        (void) snap;
        (void) err;
        return 0;
}
