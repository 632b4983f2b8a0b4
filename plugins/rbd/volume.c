/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes made, changed, given other names. Each change has one step of librbd that makes it visible, and that step
 * comes last; what comes before it is done again without harm if a worker dies in between.
 */
#include <errno.h>
#include <stdlib.h>

#include "rbd/store.h"

#define MIB (UINT64_C(1) << 20)

/* --- names */

/* On failure what there was stays as it is, the caller's. */
static int grow(void **array, size_t n, size_t size)
{
        void *grown = reallocarray(*array, n, size);

        if (!grown)
                return -ENOMEM;
        *array = grown;
        return 0;
}

/* By asking for each name in turn, one object each: a listing of a big pool would cost more than the image. */
int volume_pick_name(RbdStore *s, uint32_t vmid, char *ret, size_t size, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        char(*used)[64] = NULL;
        const char **names = NULL;
        size_t n = 0;
        int r;

        for (;;) {
                char base[STORAGED_VOLNAME_MAX];

                r = host->next_disk_name(host->handle, vmid, "vm", names, n, ret, size, err);
                if (r < 0)
                        break;
                (void) snprintf(base, sizeof(base), "base-%s", ret + strlen("vm-"));
                r = image_exists(s, ret, err);
                if (r == 0)
                        r = image_exists(s, base, err);
                if (r <= 0)
                        break;
                r = grow((void **) &used, n + 1, sizeof(*used));
                if (r >= 0)
                        r = grow((void **) &names, n + 1, sizeof(*names));
                if (r < 0) {
                        (void) error_set(err, r, "no memory");
                        break;
                }
                (void) snprintf(used[n++], sizeof(*used), "%s", ret);
                for (size_t i = 0; i < n; i++)
                        names[i] = used[i];
                ceph_watch_again(&s->cluster.watch);
        }
        free(used);
        free(names);
        return r;
}

/* A name that a caller wishes: it must be one of the guest's, and the template of that name must not exist either. */
static int check_name(RbdStore *s, const char *name, uint32_t vmid, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        struct storaged_volname v = { .size = sizeof(v) };
        struct storaged_error why = STORAGED_ERROR_INIT;

        if (host->parse_volname(host->handle, name, &v, &why) < 0 || v.basename[0])
                return error_set_param(err, -EINVAL, "name", "'%s' can't name an image: vm-%u-NAME is expected", name,
                                       vmid);
        if (v.vmid != vmid || v.is_base)
                return error_set_param(err, -EINVAL, "name",
                                       "'%s' is not a name of guest %u's images: vm-%u-NAME is expected", name, vmid,
                                       vmid);
        return 0;
}

static int name_taken(RbdStore *s, const char *name, STORAGED_ERR)
{
        return error_set_param(err, -EEXIST, "name", "storage '%s': there is an image '%s' already", s->cluster.storage,
                               name);
}

/* --- made */

static void optionsp(rbd_image_options_t *o)
{
        if (*o)
                rbd_image_options_destroy(*o);
}

static int make_options(const RbdStore *s, rbd_image_options_t *ret)
{
        AUTO(optionsp) rbd_image_options_t o = NULL;
        int r = 0;

        rbd_image_options_create(&o);
        if (s->data_pool)
                r = rbd_image_options_set_string(o, RBD_IMAGE_OPTION_DATA_POOL, s->data_pool);
        if (r < 0)
                return r;
        *ret = TAKE(o);
        return 0;
}

/* -EEXIST comes back without a sentence: it is an answer. */
int volume_create(RbdStore *s, const char *name, uint64_t bytes, STORAGED_ERR)
{
        AUTO(optionsp) rbd_image_options_t o = NULL;
        int r = make_options(s, &o);

        if (r >= 0)
                r = rbd_create4(s->io, name, bytes, o);
        if (r == -EEXIST)
                return r;
        if (r == -ENOENT && s->data_pool)
                return error_set_param(err, r, "data-pool",
                                       "storage '%s': can't make '%s': is there no data pool '%s'?", s->cluster.storage,
                                       name, s->data_pool);
        return r < 0 ? image_fail(s, r, "make", name, err) : 0;
}

int rbdstore_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                   STORAGED_ERR)
{
        RbdStore *s = self;
        uint64_t bytes = (spec->bytes + MIB - 1) / MIB * MIB; /* as Proxmox VE's own tools round */
        char name[STORAGED_VOLNAME_MAX] = "";
        int r;

        STORE_WATCH(s, "make a volume for guest %u", spec->vmid);
        r = spec->name ? check_name(s, spec->name, spec->vmid, err) : 0;
        if (r >= 0)
                r = store_open(s, err);
        if (r >= 0)
                r = store_fault(s, "rbd.alloc.before", err);
        if (r < 0)
                return r;
        do {
                if (spec->name)
                        (void) snprintf(name, sizeof(name), "%s", spec->name);
                else
                        r = volume_pick_name(s, spec->vmid, name, sizeof(name), err);
                if (r >= 0)
                        r = volume_create(s, name, bytes, err);
        } while (r == -EEXIST && !spec->name); /* somebody outside the lock was faster */
        if (r == -EEXIST)
                return name_taken(s, name, err);
        if (r >= 0)
                r = store_fault(s, "rbd.alloc.created", err);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}

/* --- changed */

static int refuse_template(RbdStore *s, const struct storaged_volname *vol, const char *action, STORAGED_ERR)
{
        return vol->is_base ? error_set(err, -EPERM, "storage '%s': '%s' is a template: can't %s it",
                                        s->cluster.storage, vol->name, action)
                            : 0;
}

int rbdstore_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t look = NULL;
        AUTO(image_closep) rbd_image_t image = NULL;
        uint64_t now = 0;
        int r;

        STORE_WATCH(s, "resize '%s'", vol->name);
        r = refuse_template(s, vol, "resize", err);
        if (r >= 0)
                r = store_open(s, err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_READ, &look, err);
        if (r < 0)
                return r;
        r = rbd_get_size(look, &now);
        if (r < 0)
                return image_fail(s, r, "look at", vol->name, err);
        if (bytes < now)
                return error_set_param(
                        err, -EINVAL, "size",
                        "storage '%s': volume '%s' has %llu bytes: shrinking it to %llu would cut off data",
                        s->cluster.storage, vol->name, (unsigned long long) now, (unsigned long long) bytes);
        r = store_fault(s, "rbd.resize.before", err);
        if (r >= 0 && bytes > now)
                r = image_open(s, vol->name, NULL, IMAGE_WRITE, &image, err);
        if (r < 0 || bytes == now)
                return r;
        r = rbd_resize(image, bytes);
        return r < 0 ? image_fail(s, r, "resize", vol->name, err) : 0;
}

static int rename_image(RbdStore *s, const char *from, const char *to, STORAGED_ERR)
{
        int r = store_fault(s, "rbd.rename.before", err);

        if (r < 0)
                return r;
        r = rbd_rename(s->io, from, to);
        if (r == -EEXIST)
                return name_taken(s, to, err);
        return r < 0 ? image_fail(s, r, "rename", from, err) : 0;
}

/* The name with the base in front, if it has one: what a linked clone's volume name is. */
static void tell_volname(const struct storaged_volname *vol, const char *name, char *ret)
{
        (void) snprintf(ret, STORAGED_VOLNAME_MAX, "%.500s%s%.500s", vol->basename, vol->basename[0] ? "/" : "", name);
}

int rbdstore_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                    char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        char picked[STORAGED_VOLNAME_MAX] = "";
        int r;

        STORE_WATCH(s, "rename '%s'", vol->name);
        r = refuse_template(s, vol, "rename", err);
        if (r >= 0 && name)
                r = check_name(s, name, vmid, err);
        if (r >= 0)
                r = store_open(s, err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r >= 0)
                r = image_check_unused(s, image, vol->name, "rename", err);
        if (r >= 0 && name)
                (void) snprintf(picked, sizeof(picked), "%s", name);
        else if (r >= 0)
                r = volume_pick_name(s, vmid, picked, sizeof(picked), err);
        if (r >= 0)
                r = rename_image(s, vol->name, picked, err);
        if (r < 0)
                return r;
        tell_volname(vol, picked, ret_volname);
        return 0;
}

/* --- templates and their clones */

/* The protected snapshot that clones hang on. */
static int make_base_snapshot(RbdStore *s, const char *name, const char *snap, bool make, STORAGED_ERR)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        int r = image_open_whole(s, name, NULL, IMAGE_WRITE, &image, err), is_protected = 0;

        if (r < 0)
                return r;
        if (make) {
                r = rbd_snap_create(image, snap);
                if (r < 0 && r != -EEXIST)
                        return image_fail(s, r, "make the base snapshot of", name, err);
                r = store_fault(s, "rbd.template.snapshot-made", err);
                if (r < 0)
                        return r;
        }
        r = rbd_snap_is_protected(image, snap, &is_protected);
        if (r == -ENOENT)
                return error_set_param(err, r, "snapshot", "storage '%s': volume '%s' has no snapshot '%s'",
                                       s->cluster.storage, name, snap);
        if (r >= 0 && !is_protected)
                r = rbd_snap_protect(image, snap);
        return r < 0 && r != -EBUSY ? image_fail(s, r, "protect a snapshot of", name, err) : 0;
}

/* The snapshot first, the new name last: what is called base-… can be cloned. */
int rbdstore_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        char base[STORAGED_VOLNAME_MAX];
        int r;

        STORE_WATCH(s, "make a template of '%s'", vol->name);
        if (vol->is_base)
                return error_set(err, -EINVAL, "storage '%s': '%s' is a template already", s->cluster.storage,
                                 vol->name);
        if (vol->basename[0])
                return error_set(err, -EINVAL,
                                 "storage '%s': '%s' is a linked clone, which can't be a template: copy it",
                                 s->cluster.storage, vol->name);
        (void) snprintf(base, sizeof(base), "base-%s", vol->name + strlen("vm-"));
        r = store_open(s, err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r >= 0)
                r = image_check_unused(s, image, vol->name, "make a template of", err);
        if (r >= 0)
                r = make_base_snapshot(s, vol->name, TEMPLATE_SNAPSHOT, true, err);
        if (r >= 0)
                r = rename_image(s, vol->name, base, err);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", base);
        return 0;
}

int rbdstore_clone(void *self, STORAGED_VOL, const char *snap, uint32_t vmid,
                   char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(optionsp) rbd_image_options_t o = NULL;
        char name[STORAGED_VOLNAME_MAX];
        int r;

        STORE_WATCH(s, "clone '%s'", vol->name);
        if (!snap && !vol->is_base)
                return error_set(err, -EINVAL,
                                 "storage '%s': '%s' is no template; make it one, or name a snapshot to clone",
                                 s->cluster.storage, vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = make_base_snapshot(s, vol->name, snap ? snap : TEMPLATE_SNAPSHOT, !snap, err);
        if (r >= 0)
                r = make_options(s, &o);
        if (r >= 0)
                r = store_fault(s, "rbd.clone.before", err);
        if (r < 0)
                return r;
        do {
                r = volume_pick_name(s, vmid, name, sizeof(name), err);
                if (r < 0)
                        return r;
                r = rbd_clone3(s->io, vol->name, snap ? snap : TEMPLATE_SNAPSHOT, s->io, name, o);
        } while (r == -EEXIST);
        if (r < 0)
                return image_fail(s, r, "clone", vol->name, err);
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%.500s%s%.500s", snap ? "" : vol->name, snap ? "" : "/",
                        name);
        return 0;
}
