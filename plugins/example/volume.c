/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes: made, named, resized, protected, freed. That a file under a volume's name is always a whole volume rests
 * on two things: a new file gets its name last (publish), and names change by one rename().
 */
#include "example/example.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* The names in use, as host->next_disk_name() wants them. */
struct names {
        char **items;
        size_t n;
};

static void names_free(struct names *names)
{
        for (size_t i = 0; i < names->n; i++)
                free(names->items[i]);
        free(names->items);
}

static int add_name(void *userdata, int dir, const char *name)
{
        struct names *names = userdata;
        char **p;

        (void) dir;
        if (name[0] == '.')
                return 0;
        p = reallocarray(names->items, names->n + 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        names->items = p;
        p[names->n] = strdup(name);
        if (!p[names->n])
                return -ENOMEM;
        names->n++;
        return 0;
}

static int free_name(const struct example *e, uint32_t vmid, char *ret, struct storaged_error *err)
{
        AUTO(names_free) struct names names = { 0 };
        int r;

        r = each_name(e, add_name, &names, err);
        if (r < 0)
                return r;
        if (e->max_volumes > 0 && names.n >= e->max_volumes)
                return error_set(err, -ENOSPC, "%s holds %zu volumes, and max-volumes is %zu: free some, or raise it",
                                 e->path, names.n, e->max_volumes);
        return e->host->next_disk_name(e->host->handle, vmid, "vm", (const char *const *) names.items, names.n, ret,
                                       STORAGED_VOLNAME_MAX, err);
}

/* A wanted name must be one of that guest's, and not look like a template. */
static int check_name(const struct example *e, const char *name, uint32_t vmid, struct storaged_error *err)
{
        struct storaged_volname vol = { .size = sizeof(vol) };
        int r;

        r = e->host->parse_volname(e->host->handle, name, &vol, err);
        if (r < 0)
                return r;
        if (vol.vmid != vmid || vol.is_base)
                return error_set_param(err, -EINVAL, "name",
                                       "'%s' is no name for a volume of guest %u: it must begin with vm-%u-", name,
                                       vmid, vmid);
        return 0;
}

int publish(const struct example *e, int fd, int dir, uint32_t vmid, const char *name, char *ret_volname,
            struct storaged_error *err)
{
        char picked[STORAGED_VOLNAME_MAX];
        int r;

        do {
                r = name ? 0 : free_name(e, vmid, picked, err);
                if (r < 0)
                        return r;
                r = name_file(e, fd, dir, name ? name : picked);
        } while (r == -EEXIST && !name);
        if (r == -EEXIST)
                return error_set_param(err, r, "name", "volume %s exists already", name);
        if (r < 0)
                return error_errno(err, r, "make volume", name ? name : picked);
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name ? name : picked);
        return 0;
}

int example_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                  STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int fd = -EBADF;
        int r;

        r = spec->name ? check_name(e, spec->name, spec->vmid, err) : 0;
        if (r >= 0)
                r = open_dir(e, &dir, err);
        if (r >= 0)
                r = new_file(e, dir, spec->bytes, &fd, err);
        return r < 0 ? r : publish(e, fd, dir, spec->vmid, spec->name, ret_volname, err);
}

/* Snapshots first: killed in between, the volume is still there, and freeing it again finishes the work. */
int example_free(void *self, STORAGED_VOL, STORAGED_ERR)
{
        const struct example *e = self;
        struct snapshots snapshots = { .volume = vol->name, .remove = true };
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int fd = -EBADF;
        struct stat st;
        int r;

        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = open_volume(dir, vol->name, O_RDONLY, &fd, &st, err);
        if (r < 0)
                return r;
        if (is_protected(&st))
                return error_set(err, -EPERM, "volume %s is protected; take the protection off first", vol->name);
        r = each_name(e, each_snapshot, &snapshots, err);
        if (r >= 0)
                r = e->host->fault(e->host->handle, "example.free.snapshots-gone");
        if (r >= 0 && unlinkat(dir, vol->name, 0) < 0)
                r = -errno;
        if (r >= 0)
                return access_forget(e, vol->name, err);
        return error_errno(err, r, "free volume", vol->name);
}

int example_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR)
{
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int fd = -EBADF;
        struct stat st;
        int r;

        if (vol->is_base)
                return error_set(err, -EPERM, "%s is a template: its size can't change", vol->name);
        r = open_dir(self, &dir, err);
        if (r >= 0)
                r = open_volume(dir, vol->name, O_RDWR, &fd, &st, err);
        if (r < 0)
                return r;
        if (bytes < (uint64_t) st.st_size)
                return error_set_param(err, -EINVAL, "size",
                                       "volume %s has %llu bytes: shrinking it would cut off data", vol->name,
                                       (unsigned long long) st.st_size);
        return ftruncate(fd, (off_t) bytes) < 0 ? error_errno(err, -errno, "resize volume", vol->name) : 0;
}

int example_set_protected(void *self, STORAGED_VOL, bool protect, STORAGED_ERR)
{
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int fd = -EBADF;
        struct stat st;
        int r;

        r = open_dir(self, &dir, err);
        if (r >= 0)
                r = open_volume(dir, vol->name, O_RDONLY, &fd, &st, err);
        if (r >= 0 && fchmod(fd, protect ? 0440 : 0640) < 0)
                r = error_errno(err, -errno, "change the protection of volume", vol->name);
        return r;
}

/* --- other names */

/* One rename() that replaces nothing. Snapshots bear the volume's name, so they have to be gone. */
static int rename_volume(const struct example *e, const struct storaged_volname *vol, const char *to, char *ret_volname,
                         struct storaged_error *err)
{
        struct snapshots snapshots = { .volume = vol->name };
        AUTO(closep) int dir = -EBADF;
        int r;

        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = each_name(e, each_snapshot, &snapshots, err);
        if (r < 0)
                return r;
        if (snapshots.n > 0)
                return error_set(err, -EBUSY, "volume %s has %zu snapshots; delete them first", vol->name, snapshots.n);
        if (renameat2(dir, vol->name, dir, to, RENAME_NOREPLACE) < 0) {
                r = -errno;
                if (r == -ENOENT)
                        return error_set_param(err, r, "volume", "volume %s does not exist", vol->name);
                return error_set_param(err, r, "name", "can't rename volume %s to %s: %s", vol->name, to, strerror(-r));
        }
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", to);
        return access_forget(e, vol->name, err);
}

int example_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                   char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        const struct example *e = self;
        char picked[STORAGED_VOLNAME_MAX];
        int r;

        if (vol->is_base)
                return error_set(err, -EPERM, "%s is a template: it can't be renamed", vol->name);
        r = name ? check_name(e, name, vmid, err) : free_name(e, vmid, picked, err);
        return r < 0 ? r : rename_volume(e, vol, name ? name : picked, ret_volname, err);
}

/* vm-100-x becomes base-100-x; of a template, it is one already. */
int example_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        char base[STORAGED_VOLNAME_MAX];

        if (vol->is_base) {
                (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", vol->volname);
                return 0;
        }
        if (snprintf(base, sizeof(base), "base-%s", vol->name + strlen("vm-")) > NAME_MAX)
                return error_set_param(err, -ENAMETOOLONG, "volume", "the name of volume %s is too long for a template",
                                       vol->name);
        return rename_volume(self, vol, base, ret_volname, err);
}
