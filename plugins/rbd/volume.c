/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes made, changed, given other names. Each change has one step of librbd that makes it visible, and that step
 * comes last; what comes before it is done again without harm if a worker dies in between.
 */
#include <errno.h>
#include <stdlib.h>

#include "rbd/store.h"

#define MIB (UINT64_C(1) << 20)
#define DIRECTORY_NAME "name_" /* of a key of the pool's directory: then the image's name (cls_rbd, since 2012) */
#define NAMES_MAX 1024u        /* in one read */

/* --- names */

typedef struct Names {
        char (*items)[STORAGED_VOLNAME_MAX];
        size_t n, size;
} Names;

static void names_deinit(Names *l)
{
        free(l->items);
        *l = (Names){ 0 };
}

static int names_add(Names *l, const char *name)
{
        if (l->n == l->size) {
                size_t size = l->size ? 2 * l->size : 32;
                void *grown = reallocarray(l->items, size, sizeof(*l->items));

                if (!grown)
                        return -ENOMEM;
                l->items = grown;
                l->size = size;
        }
        (void) snprintf(l->items[l->n++], sizeof(*l->items), "%s", name);
        return 0;
}

/* Keys of the pool's directory of images with one beginning. */
typedef struct Scan {
        char beginning[64], after[STORAGED_VOLNAME_MAX]; /* the last one that was seen */
        rados_omap_iter_t keys;
        unsigned char more;
        int result;
} Scan;

/* `r`: of the request. If it failed there are no keys to ask for, only their place to be given back. */
static int scan_hear(Scan *scan, int r, Names *l)
{
        char *key = NULL, *value = NULL;
        size_t n = 0;

        if (r >= 0)
                r = scan->result;

        while (r >= 0 && scan->keys && rados_omap_get_next(scan->keys, &key, &value, &n) == 0 && key) {
                if (strlen(key) < sizeof(scan->after))
                        r = names_add(l, key + strlen(DIRECTORY_NAME));
                (void) snprintf(scan->after, sizeof(scan->after), "%s", key);
        }
        if (scan->keys)
                rados_omap_get_end(TAKE(scan->keys));
        return r;
}

/* One request for the next keys of all scans; 1: there are more. */
static int scans_read(RbdStore *s, Scan *scans, size_t n, Names *l)
{
        rados_read_op_t op = rados_create_read_op();
        int r, more = 0;

        if (!op)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                rados_read_op_omap_get_vals2(op, scans[i].after, scans[i].beginning, NAMES_MAX, &scans[i].keys,
                                             &scans[i].more, &scans[i].result);
        r = rados_read_op_operate(op, s->io, "rbd_directory", 0);
        rados_release_read_op(op);
        for (size_t i = 0; i < n; i++) {
                r = scan_hear(&scans[i], r, l);
                more |= scans[i].more;
        }
        return r < 0 ? r : more != 0;
}

/* The names of a guest's images and templates: one read of one object, however many images there are. */
static int names_of_guest(RbdStore *s, uint32_t vmid, Names *l)
{
        Scan scans[2] = { 0 };
        int r;

        (void) snprintf(scans[0].beginning, sizeof(scans[0].beginning), DIRECTORY_NAME "vm-%u-", vmid);
        (void) snprintf(scans[1].beginning, sizeof(scans[1].beginning), DIRECTORY_NAME "base-%u-", vmid);
        do {
                ceph_watch_again(&s->cluster.watch);
                r = scans_read(s, scans, 2, l);
        } while (r > 0);
        return r == -ENOENT ? 0 : r; /* the pool has no image yet */
}

/*
 * What the directory does not name may exist: an image that is half made, or came this instant. Then making it fails,
 * and the caller asks again, with that name in `ret`: from then on each name is looked at.
 */
int volume_pick_name(RbdStore *s, uint32_t vmid, char *ret, size_t size, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        AUTO(names_deinit) Names used = { 0 };
        bool is_repeated = ret[0] != '\0';
        int r = names_of_guest(s, vmid, &used);

        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "can't look for the images of guest %u", vmid);
        for (;;) {
                AUTO(freep) const char **names = calloc(used.n + 1, sizeof(*names));

                for (size_t i = 0; names && i < used.n; i++)
                        names[i] = used.items[i];
                r = names ? host->next_disk_name(host->handle, vmid, "vm", names, used.n, ret, size, err) : -ENOMEM;
                if (r >= 0 && is_repeated)
                        r = image_exists(s, ret, err);
                if (r > 0)
                        r = names_add(&used, ret) < 0 ? -ENOMEM : 1;
                if (r <= 0)
                        return r == -ENOMEM ? error_set(err, r, "no memory") : r;
                ceph_watch_again(&s->cluster.watch);
        }
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
        char name[STORAGED_VOLNAME_MAX] = "";
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
