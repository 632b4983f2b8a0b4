/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device-mapper through libdevmapper. LVM's own reports say what is active by what they believe; the kernel knows. A
 * device belongs to a volume by its UUID, which LVM makes of those of VG and LV; the name alone proves nothing: after
 * a removal elsewhere the old device is still there, under a name that another volume may have got meanwhile.
 */
#include "common-lvm/dm.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdevmapper.h>

#include <storaged/cleanup.h>

#define UUID_PREFIX "LVM-"
#define UUID_BYTES 32u

DEFINE_CLEANUP(struct dm_task *, dm_task_destroy)
DEFINE_CLEANUP(struct dm_pool *, dm_pool_destroy)

static void closedirp(DIR **d)
{
        if (*d)
                (void) closedir(*d);
}

static void say_nothing(int level, const char *file, int line, int code, const char *fmt, ...)
{
        (void) level;
        (void) file;
        (void) line;
        (void) code;
        (void) fmt;
}

void dm_be_silent(void)
{
        dm_log_with_errno_init(say_nothing);
}

static int cannot(struct storaged_error *err, int code, const char *action, const char *vg, const char *lv)
{
        return error_set(err, code ? -code : -EIO, "cannot %s the device of volume %s/%s: device-mapper: %s", action,
                         vg, lv, code ? strerror(code) : "failed");
}

/* A task on the device of VG/LV. */
static int task_new(int type, const char *vg, const char *lv, struct dm_task **ret)
{
        AUTO(dm_pool_destroyp) struct dm_pool *pool = NULL;
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        char *name;

        dm_be_silent();
        pool = dm_pool_create("storaged", 512);
        name = pool ? dm_build_dm_name(pool, vg, lv, NULL) : NULL;
        t = name ? dm_task_create(type) : NULL;
        if (!t || !dm_task_set_name(t, name))
                return -ENOMEM;
        *ret = TAKE(t);
        return 0;
}

/* Size and kind of the table's targets. */
static int read_table(const char *vg, const char *lv, DmDevice *d)
{
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        uint64_t start = 0, length = 0;
        char *type = NULL, *params = NULL;
        void *next = NULL;
        int r = task_new(DM_DEVICE_TABLE, vg, lv, &t);

        if (r < 0)
                return r;
        if (!dm_task_run(t))
                return dm_task_get_errno(t) == ENXIO ? 0 : -EIO;
        do {
                next = dm_get_next_target(t, next, &start, &length, &type, &params);
                if (!type)
                        continue;
                if (strcmp(type, "error") == 0)
                        d->is_error = true;
                if ((start + length) * 512 > d->bytes)
                        d->bytes = (start + length) * 512;
        } while (next);
        return 0;
}

int dm_lookup(const char *vg, const char *lv, DmDevice *ret, struct storaged_error *err)
{
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        struct dm_info info = { 0 };
        DmDevice d = { 0 };
        int r = task_new(DM_DEVICE_INFO, vg, lv, &t);

        if (r < 0)
                return error_set(err, r, "out of memory");
        if (!dm_task_run(t) || !dm_task_get_info(t, &info))
                return cannot(err, dm_task_get_errno(t), "look at", vg, lv);
        if (info.exists) {
                const char *uuid = dm_task_get_uuid(t);

                d.exists = true;
                d.is_suspended = info.suspended;
                d.major = info.major;
                d.minor = info.minor;
                d.n_open = info.open_count > 0 ? (unsigned) info.open_count : 0;
                (void) snprintf(d.uuid, sizeof(d.uuid), "%s", uuid ? uuid : "");
                if (read_table(vg, lv, &d) < 0)
                        return cannot(err, EIO, "read the table of", vg, lv);
        }
        *ret = d;
        return 0;
}

bool dm_is_of_vg(const DmDevice *d, const char *vg_uuid, const char **ret_lv)
{
        const char *p = d->uuid;

        if (strncmp(p, UUID_PREFIX, strlen(UUID_PREFIX)) != 0)
                return false;
        p += strlen(UUID_PREFIX);
        for (const char *v = vg_uuid; *v; v++)
                if (*v != '-' && *v != *p++)
                        return false;
        if (!*vg_uuid && strlen(p) >= 2 * UUID_BYTES)
                p += UUID_BYTES;
        if (strlen(p) < UUID_BYTES)
                return false;
        *ret_lv = p;
        return true;
}

int dm_remove(const char *vg, const char *lv, struct storaged_error *err)
{
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        uint32_t cookie = 0;
        bool is_done;
        int r = task_new(DM_DEVICE_REMOVE, vg, lv, &t);

        if (r < 0)
                return error_set(err, r, "out of memory");
        if (!dm_task_retry_remove(t) || !dm_task_set_cookie(t, &cookie, 0))
                return cannot(err, EIO, "remove", vg, lv);
        is_done = dm_task_run(t);
        (void) dm_udev_wait(cookie); /* also after a failure: it gives the cookie back */
        if (!is_done && dm_task_get_errno(t) != ENXIO)
                return cannot(err, dm_task_get_errno(t), "remove", vg, lv);
        (void) dm_task_update_nodes();
        return 0;
}

/* Reload, suspend without flush (what waits in the device would wait for ever), resume. udev is not waited for: it may
 * hang with the storage. */
int dm_make_error(const char *vg, const char *lv, struct storaged_error *err)
{
        static const int steps[] = { DM_DEVICE_RELOAD, DM_DEVICE_SUSPEND, DM_DEVICE_RESUME };
        DmDevice d;
        int r = dm_lookup(vg, lv, &d, err);

        if (r < 0 || !d.exists || d.is_error)
                return r;
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                AUTO(dm_task_destroyp) struct dm_task *t = NULL;
                bool is_done = true;

                r = task_new(steps[i], vg, lv, &t);
                if (r < 0)
                        return error_set(err, r, "out of memory");
                if (steps[i] == DM_DEVICE_RELOAD)
                        is_done = dm_task_add_target(t, 0, d.bytes / 512, "error", "");
                if (steps[i] == DM_DEVICE_SUSPEND)
                        is_done = dm_task_no_flush(t) && dm_task_skip_lockfs(t);
                if (!is_done || !dm_task_run(t))
                        return cannot(err, dm_task_get_errno(t), "cut off", vg, lv);
        }
        return 0;
}

/* The LV of a device's name, "vg-vm--100--disk--0" -> "vm-100-disk-0"; false for what LVM makes for itself. */
static bool split_name(const char *vg, const char *device, char *lv, size_t size)
{
        size_t n = 0;

        for (; *vg; vg++)
                for (int k = *vg == '-' ? 2 : 1; k > 0; k--)
                        if (*device++ != *vg)
                                return false;
        if (*device++ != '-' || *device == '-')
                return false;
        for (; *device; device++) {
                if (*device == '-' && *++device != '-')
                        return false; /* -tdata, -tmeta, -tpool, -real */
                if (n + 1 >= size)
                        return false;
                lv[n++] = *device;
        }
        lv[n] = '\0';
        return n > 0;
}

int dm_each(const char *vg, const char *vg_uuid, DmFn fn, void *userdata, struct storaged_error *err)
{
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        const struct dm_names *names;
        int r = 0;

        dm_be_silent();
        t = dm_task_create(DM_DEVICE_LIST);
        if (!t || !dm_task_run(t) || !(names = dm_task_get_names(t)))
                return error_set(err, -EIO, "cannot list the devices of device-mapper (volume group %s): %s", vg,
                                 t && dm_task_get_errno(t) ? strerror(dm_task_get_errno(t)) : "it does not answer");
        if (!names->dev)
                return 0;
        for (;;) {
                char lv[128];
                const char *lv_uuid;
                DmDevice d;

                if (split_name(vg, names->name, lv, sizeof(lv))) {
                        r = dm_lookup(vg, lv, &d, err);
                        if (r == 0 && d.exists && dm_is_of_vg(&d, vg_uuid, &lv_uuid))
                                r = fn(userdata, lv, &d);
                        if (r != 0)
                                return r;
                }
                if (!names->next)
                        return 0;
                names = (const struct dm_names *) ((const char *) names + names->next);
        }
}

/* --- who has it open */

static int tell_process(const char *pid, DmOpenerFn fn, void *userdata)
{
        char path[64], name[64] = "", what[128];
        AUTO(fclosep) FILE *f = NULL;

        (void) snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
        f = fopen(path, "re");
        if (f && fgets(name, sizeof(name), f))
                name[strcspn(name, "\n")] = '\0';
        (void) snprintf(what, sizeof(what), "process %.20s (%s)", pid, name[0] ? name : "gone");
        return fn(userdata, what);
}

/* Links are read, not followed: a descriptor on a dead NFS server must not stop us. */
static bool has_open(const char *pid, const char *device)
{
        char path[64], target[PATH_MAX];
        AUTO(closedirp) DIR *d = NULL;
        const struct dirent *e;

        (void) snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
        d = opendir(path);
        while (d && (e = readdir(d))) {
                ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (strcmp(target, device) == 0)
                        return true;
        }
        return false;
}

static int each_holder_device(unsigned minor, DmOpenerFn fn, void *userdata)
{
        char path[64], what[128];
        AUTO(closedirp) DIR *d = NULL;
        const struct dirent *e;
        int r = 0;

        (void) snprintf(path, sizeof(path), "/sys/block/dm-%u/holders", minor);
        d = opendir(path);
        while (r == 0 && d && (e = readdir(d))) {
                if (e->d_name[0] == '.')
                        continue;
                (void) snprintf(what, sizeof(what), "device %.60s", e->d_name);
                r = fn(userdata, what);
        }
        return r;
}

int dm_each_opener(unsigned minor, DmOpenerFn fn, void *userdata)
{
        AUTO(closedirp) DIR *d = opendir("/proc");
        const struct dirent *e;
        char device[32];
        int r = each_holder_device(minor, fn, userdata);

        (void) snprintf(device, sizeof(device), "/dev/dm-%u", minor);
        while (r == 0 && d && (e = readdir(d)))
                if (isdigit((unsigned char) e->d_name[0]) && has_open(e->d_name, device))
                        r = tell_process(e->d_name, fn, userdata);
        return r;
}
