/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mapping by the kernel's own interface, /sys/bus/rbd: what `rbd map` of Ceph writes there. Which device is which image
 * is always read from sysfs; nothing is remembered. The path below /dev/rbd-pve is a link of ours, the one that Proxmox
 * VE's udev rule makes, so it is there also where that rule is not.
 */
#include "rbd/krbd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common-ceph/ceph-kernel.h"

#define BUS "/sys/bus/rbd"

/* --- which device */

static bool attribute_is(const char *device, const char *name, const char *expected)
{
        char path[512], text[512] = "";
        AUTO(closep) int fd = -EBADF;
        ssize_t n;

        (void) snprintf(path, sizeof(path), BUS "/devices/%s/%s", device, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return false;
        text[n > 0 && text[n - 1] == '\n' ? n - 1 : n] = '\0';
        return strcmp(text, expected) == 0;
}

static int find_fsid(RbdStore *s, char ret[static 40], STORAGED_ERR)
{
        int r = rados_cluster_fsid(s->cluster.rados, ret, 40);

        return r < 0 ? ceph_fail(&s->cluster, r, err, "ask the cluster for its id") : 0;
}

/* The number of the device as text; "": it is not mapped. */
static int find_device(RbdStore *s, const char *name, const char *snap, char ret[static 16], STORAGED_ERR)
{
        DIR *d = opendir(BUS "/devices");
        struct dirent *e;
        char fsid[40];
        int r = find_fsid(s, fsid, err);

        ret[0] = '\0';
        while (r >= 0 && d && (e = readdir(d)))
                if (e->d_name[0] != '.' && strlen(e->d_name) < 16 && attribute_is(e->d_name, "cluster_fsid", fsid) &&
                    attribute_is(e->d_name, "pool", s->pool) &&
                    attribute_is(e->d_name, "pool_ns", s->namespace ? s->namespace : "") &&
                    attribute_is(e->d_name, "name", name) &&
                    attribute_is(e->d_name, "current_snap", snap ? snap : "-")) {
                        (void) snprintf(ret, 16, "%.15s", e->d_name);
                        break;
                }
        if (d)
                (void) closedir(d);
        return r;
}

int krbd_path(RbdStore *s, const char *name, const char *snap, char *ret, size_t size, STORAGED_ERR)
{
        char fsid[40];
        int r, n;

        r = find_fsid(s, fsid, err);
        if (r < 0)
                return r;
        n = snprintf(ret, size, "/dev/rbd-pve/%s/%s%s%s/%s%s%s", fsid, s->pool, s->namespace ? "/" : "",
                     s->namespace ? s->namespace : "", name, snap ? "@" : "", snap ? snap : "");
        return n < 0 || (size_t) n >= size ? error_set(err, -ENAMETOOLONG, "the path of volume %s is too long", name)
                                           : 0;
}

/* --- mapping */

static int bus_write(RbdStore *s, const char *file, const char *text)
{
        char path[64];
        AUTO(closep) int fd = -EBADF;

        (void) s;
        (void) snprintf(path, sizeof(path), BUS "/%s_single_major", file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
                (void) snprintf(path, sizeof(path), BUS "/%s", file);
                fd = open(path, O_WRONLY | O_CLOEXEC);
        }
        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int make_link(const char *path, const char *device, STORAGED_ERR)
{
        char dir[512], target[64];

        (void) snprintf(dir, sizeof(dir), "%s", path);
        for (char *p = dir + strlen("/dev/"); (p = strchr(p, '/')); p++) {
                *p = '\0';
                (void) mkdir(dir, 0755); /* what can't be made shows below */
                *p = '/';
        }
        (void) snprintf(target, sizeof(target), "/dev/rbd%s", device);
        (void) unlink(path);
        return symlink(target, path) < 0 && errno != EEXIST
                       ? error_set(err, -errno, "can't make %s, which leads to %s: %s", path, target, strerror(errno))
                       : 0;
}

int krbd_map(RbdStore *s, const char *name, const char *snap, bool is_read_only, STORAGED_ERR)
{
        char device[16], monitors[512], command[2048], path[512];
        bool is_v2;
        int r = find_device(s, name, snap, device, err);

        if (r >= 0 && !device[0]) {
                r = ceph_kernel_give_key(&s->cluster, err);
                if (r >= 0)
                        r = ceph_kernel_monitors(&s->cluster, monitors, sizeof(monitors), &is_v2, err);
                if (r < 0)
                        return r;
                (void) snprintf(command, sizeof(command), "%s name=%s,key=client.%s,mount_timeout=3%s%s%s%s %s %s %s",
                                monitors, s->cluster.user, s->cluster.user, is_v2 ? ",ms_mode=prefer-crc" : "",
                                is_read_only ? ",ro" : "", s->namespace ? ",_pool_ns=" : "",
                                s->namespace ? s->namespace : "", s->pool, name, snap ? snap : "-");
                r = bus_write(s, "add", command);
                if (r == -ENOENT && access(BUS, F_OK) != 0)
                        return error_set(err, r, "storage '%s': this kernel has no module rbd (modprobe rbd)",
                                         s->cluster.storage);
                if (r < 0)
                        return image_fail(s, r, "map", name, err);
                r = find_device(s, name, snap, device, err);
        }
        if (r >= 0 && !device[0])
                return error_set(err, -EIO, "storage '%s': the kernel mapped '%s', but shows no device of it",
                                 s->cluster.storage, name);
        if (r >= 0)
                r = krbd_path(s, name, snap, path, sizeof(path), err);
        return r < 0 ? r : make_link(path, device, err);
}

int krbd_unmap(RbdStore *s, const char *name, const char *snap, STORAGED_ERR)
{
        char device[16], path[512];
        int r = find_device(s, name, snap, device, err);

        if (r < 0 || !device[0])
                return r;
        r = bus_write(s, "remove", device);
        if (r == -EBUSY)
                return error_set(err, r, "storage '%s': something on this node has /dev/rbd%s, which is '%s', open",
                                 s->cluster.storage, device, name);
        if (r < 0 && r != -ENOENT)
                return image_fail(s, r, "unmap", name, err);
        r = krbd_path(s, name, snap, path, sizeof(path), err);
        if (r >= 0)
                (void) unlink(path);
        return r;
}
