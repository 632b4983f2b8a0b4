/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of a listing. A linked clone's volume name begins with its base, which its header names by id: so the ids of all
 * images are sorted once, and each clone looks its parent up.
 */
#include <errno.h>
#include <stdlib.h>

#include "rbd/header.h"

static int compare_ids(const void *a, const void *b)
{
        const ImageHeader *const *x = a, *const *y = b;

        return strcmp((*x)->id, (*y)->id);
}

static const ImageHeader *find_parent(const ImageHeader **by_id, size_t n, const ImageHeader *clone)
{
        ImageHeader key = { 0 };
        const ImageHeader *wanted = &key, **found;

        (void) snprintf(key.id, sizeof(key.id), "%s", clone->parent_id);
        found = bsearch(&wanted, by_id, n, sizeof(*by_id), compare_ids);
        return found ? *found : NULL;
}

typedef struct Listing {
        RbdStore *store;
        const struct storaged_list_filter *filter; /* NULL: the one that was asked for */
        const ImageHeader **by_id;
        size_t n;
        storaged_volume_fn fn;
        void *userdata;
} Listing;

static int compare_vmids(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

static uint32_t content_of(const struct storaged_list_filter *f, uint32_t vmid)
{
        return f && f->n_container_vmids > 0 &&
                               bsearch(&vmid, f->container_vmids, f->n_container_vmids, sizeof(vmid), compare_vmids)
                       ? STORAGED_CONTENT_ROOTDIR
                       : STORAGED_CONTENT_IMAGES;
}

/* Whatever else is in the pool is no volume of a guest and no failure. */
static int give_row(const Listing *l, const ImageHeader *h)
{
        const struct storaged_host *host = l->store->cluster.host;
        const ImageHeader *parent = h->parent_pool >= 0 ? find_parent(l->by_id, l->n, h) : NULL;
        struct storaged_volname vol = { .size = sizeof(vol) };
        struct storaged_volume row = { .size = sizeof(row), .format = "raw", .used_bytes = STORAGED_SIZE_UNKNOWN };
        char volname[STORAGED_VOLNAME_MAX], parent_name[STORAGED_VOLNAME_MAX];

        if (parent && strncmp(parent->name, "base-", 5) == 0 && strcmp(h->parent_snap_name, TEMPLATE_SNAPSHOT) == 0)
                (void) snprintf(volname, sizeof(volname), "%.500s/%.500s", parent->name, h->name);
        else
                (void) snprintf(volname, sizeof(volname), "%s", h->name);
        if (host->parse_volname(host->handle, volname, &vol, NULL) < 0)
                return 0;
        row.content = content_of(l->filter, vol.vmid);
        if (l->filter && ((l->filter->vmid && l->filter->vmid != vol.vmid) || !(l->filter->contents & row.content)))
                return 0;
        if (parent) {
                (void) snprintf(parent_name, sizeof(parent_name), "%.500s@%.255s", parent->name, h->parent_snap_name);
                row.parent = parent_name;
        }
        row.volname = volname;
        row.bytes = h->bytes;
        row.vmid = vol.vmid;
        return l->fn(l->userdata, &row);
}

static int give_rows(Listing *l, const ImageHeaders *h, STORAGED_ERR)
{
        AUTO(freep) const ImageHeader **by_id = calloc(h->n + 1, sizeof(*by_id));
        int r = 0;

        if (!by_id)
                return error_set(err, -ENOMEM, "no memory");
        for (size_t i = 0; i < h->n; i++)
                by_id[i] = &h->items[i];
        qsort(by_id, h->n, sizeof(*by_id), compare_ids);
        l->by_id = by_id;
        l->n = h->n;
        for (size_t i = 0; r == 0 && i < h->n; i++)
                if (h->items[i].result >= 0)
                        r = give_row(l, &h->items[i]);
        return r;
}

int rbdstore_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                  STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(headers_deinit) ImageHeaders h = { 0 };
        Listing l = { .store = s, .filter = filter, .fn = fn, .userdata = userdata };
        int r;

        STORE_WATCH(s, "list the images of pool '%s'", s->pool);
        if (!(filter->contents & (STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR)))
                return 0;
        r = store_open(s, err);
        if (r >= 0)
                r = headers_list(s, &h, err);
        if (r >= 0)
                r = headers_read_snapshots(s, &h, err);
        return r < 0 ? r : give_rows(&l, &h, err);
}

/* --- one volume */

typedef struct Used {
        uint64_t bytes;
} Used;

static int add_extent(uint64_t offset, size_t n, int exists, void *userdata)
{
        Used *u = userdata;

        (void) offset;
        if (exists)
                u->bytes += n;
        return 0;
}

/* By the object map where there is one: whole objects, no reads of them. */
static uint64_t used_bytes(rbd_image_t image, uint64_t size)
{
        uint64_t features = 0, flags = 0;
        Used u = { 0 };

        if (rbd_get_features(image, &features) < 0 || !(features & RBD_FEATURE_FAST_DIFF) ||
            rbd_get_flags(image, &flags) < 0 || (flags & RBD_FLAG_FAST_DIFF_INVALID) ||
            rbd_diff_iterate2(image, NULL, 0, size, 0, 1, add_extent, &u) < 0)
                return STORAGED_SIZE_UNKNOWN;
        return u.bytes;
}

static int give_stat(void *userdata, const struct storaged_volume *row)
{
        Listing *l = userdata;
        AUTO(image_closep) rbd_image_t image = NULL;
        struct storaged_volume v = *row;
        const char *slash = strrchr(row->volname, '/');

        if (image_open(l->store, slash ? slash + 1 : row->volname, NULL, IMAGE_READ, &image, NULL) >= 0)
                v.used_bytes = used_bytes(image, v.bytes);
        return l->fn(l->userdata, &v);
}

/* The parent's name is asked of librbd: one image, so it costs one open. */
static int find_parent_name(RbdStore *s, ImageHeaders *h, STORAGED_ERR)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        rbd_linked_image_spec_t parent = { 0 };
        rbd_snap_spec_t snap = { 0 };
        ImageHeader *more;
        int r;

        if (h->items->parent_pool < 0)
                return 0;
        r = image_open(s, h->items->name, NULL, IMAGE_READ, &image, err);
        if (r < 0)
                return r;
        r = rbd_get_parent(image, &parent, &snap);
        if (r < 0)
                return r == -ENOENT ? 0 : image_fail(s, r, "find the parent of", h->items->name, err);
        more = reallocarray(h->items, 2, sizeof(*more));
        if (more) {
                h->items = more;
                (void) snprintf(more->parent_snap_name, sizeof(more->parent_snap_name), "%s", snap.name);
                more[1] = (ImageHeader){ .name = strdup(parent.image_name), .result = -ENOENT, .parent_pool = -1 };
                (void) snprintf(more[1].id, sizeof(more[1].id), "%s", more->parent_id);
                h->n = more[1].name ? 2 : 1;
        }
        rbd_linked_image_spec_cleanup(&parent);
        rbd_snap_spec_cleanup(&snap);
        return h->n == 2 ? 0 : error_set(err, -ENOMEM, "no memory");
}

int rbdstore_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(headers_deinit) ImageHeaders h = { 0 };
        Listing outer = { .store = s, .fn = fn, .userdata = userdata };
        Listing l = { .store = s, .fn = give_stat, .userdata = &outer };
        int r;

        STORE_WATCH(s, "look at volume '%s'", vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = headers_find(s, vol->name, &h, err);
        if (r >= 0)
                r = find_parent_name(s, &h, err);
        return r < 0 ? r : give_rows(&l, &h, err);
}
