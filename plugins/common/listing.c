/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk over guest images: images/<vmid>/<file>. Only headers are read, through the cache, never a process is
 * started. Whatever is not a volume by its name and type is passed over: hidden files and our temporaries, snapshot
 * files of chains, symbolic links, a directory called x.raw. A file that vanishes while we look was never there.
 */
#include "common/listing.h"

#include <errno.h>
#include <string.h>

#include "common/layout.h"
#include "common/store.h"

#define CHAIN_DEPTH_MAX 256
#define BATCH_MAX 1024
#define VMID_TEXT_MAX 10

typedef struct Walk {
        FileStore *fs;
        ListedImageFn fn;
        void *userdata;
        uint32_t vmid; /* of the directory */
        struct storaged_error *err;
} Walk;

/* The base below a chain of snapshot files, copied to `buf`; false if there is none. */
static bool find_chain_base(FileStore *fs, uint32_t vmid, const char *backing, char buf[static IMAGE_BACKING_MAX])
{
        const ImageRecord *rec;
        char rel[TREE_PATH_MAX];
        TreeAttr attr;

        (void) snprintf(buf, IMAGE_BACKING_MAX, "%s", backing);
        for (unsigned i = 0; i < CHAIN_DEPTH_MAX && layout_is_snapshot_file(buf); i++) {
                if (layout_image_path(fs, vmid, buf, rel, NULL) < 0 ||
                    fs->control->ops->stat(fs->control, rel, &attr) < 0 || attr.type != TREE_FILE ||
                    image_cache_get(fs->cache, fs->control, rel, STORAGED_FORMAT_QCOW2, &attr, &rec) < 0 ||
                    !rec->backing)
                        return false;
                (void) snprintf(buf, IMAGE_BACKING_MAX, "%s", rec->backing);
        }
        return true;
}

static int walk_header(Walk *w, const char *file, const TreeAttr *attr, ListedImage *image)
{
        char base_buf[IMAGE_BACKING_MAX], backing[IMAGE_BACKING_MAX], rel[TREE_PATH_MAX];
        const ImageRecord *rec;
        int r = layout_image_path(w->fs, w->vmid, file, rel, NULL);

        if (r < 0)
                return 0;
        r = image_cache_get(w->fs->cache, w->fs->control, rel, image->format, attr, &rec);
        if (r == -ENOENT || r == -ELOOP)
                return 0;
        if (r == -ENOMEM || r == -ETIMEDOUT)
                return store_fail(w->fs, w->err, r, "read", rel);
        /* any other failure to read concerns this file alone: its row says "invalid" */
        image->is_valid = r == 0 && rec->is_valid;
        image->bytes = image->is_valid ? rec->bytes : STORAGED_SIZE_UNKNOWN;
        image->n_snapshots = image->is_valid ? rec->n_snapshots : 0;
        if (image->is_valid && rec->backing) {
                (void) snprintf(backing, sizeof(backing), "%s", rec->backing); /* the record may move */
                image->backing = backing;
                if (find_chain_base(w->fs, w->vmid, backing, base_buf))
                        (void) layout_parse_base(base_buf, &image->basevmid, &image->base);
        }
        return w->fn(w->userdata, image);
}

static int walk_file(void *userdata, const char *file, const TreeAttr *attr)
{
        Walk *w = userdata;
        uint32_t format = layout_image_format(file);
        ListedImage image = {
                .vmid = w->vmid,
                .file = file,
                .format = format,
                .attr = attr,
                .bytes = format == STORAGED_FORMAT_SUBVOL ? 0 : attr->bytes,
                .is_valid = true,
        };

        if (!format || attr->type != (format == STORAGED_FORMAT_SUBVOL ? TREE_DIR : TREE_FILE) ||
            (format == STORAGED_FORMAT_SUBVOL && w->fs->kind->has_no_subvol))
                return 0;
        if (format & (STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK))
                return walk_header(w, file, attr, &image);
        return w->fn(w->userdata, &image);
}

static int fail_guest(Walk *w, int r, uint32_t vmid)
{
        char rel[TREE_PATH_MAX];

        if (r < 0 && w->err && w->err->code == 0 && layout_image_path(w->fs, vmid, NULL, rel, w->err) == 0)
                return store_fail(w->fs, w->err, r, "list", rel);
        return r;
}

static int walk_guest(Walk *w, uint32_t vmid)
{
        char rel[TREE_PATH_MAX];
        int r = layout_image_path(w->fs, vmid, NULL, rel, w->err);

        if (r < 0)
                return r;
        w->vmid = vmid;
        r = w->fs->control->ops->list(w->fs->control, rel, 0, walk_file, w);
        return tree_is_no_directory(r) ? 0 : fail_guest(w, r, vmid); /* no guest directory, or a link: not ours */
}

/* Guests that are listed at once: enough to read ahead, few enough to hold however many there are. */
typedef struct Batch {
        Walk *walk;
        size_t n, index; /* the directory that `walk` is in */
        const char *names[BATCH_MAX];
        char text[BATCH_MAX][VMID_TEXT_MAX];
} Batch;

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int walk_batch_file(void *userdata, size_t i, const char *file, const TreeAttr *attr)
{
        Batch *b = userdata;

        if (i != b->index) {
                b->index = i;
                b->walk->vmid = layout_vmid(b->names[i]);
        }
        return walk_file(b->walk, file, attr);
}

/* Sorted: the rows then come nearly in the order they are wanted in. */
static int walk_batch(Batch *b)
{
        Walk *w = b->walk;
        TreeMany many = {
                .dir = layout_dir(w->fs, STORAGED_CONTENT_IMAGES),
                .names = b->names,
                .n = b->n,
                .fn = walk_batch_file,
                .userdata = b,
        };
        int r;

        qsort(b->names, b->n, sizeof(*b->names), compare_names);
        b->index = SIZE_MAX;
        b->n = 0;
        r = tree_list_many(w->fs->control, &many);
        return r < 0 && many.n_listed < many.n ? fail_guest(w, r, layout_vmid(b->names[many.n_listed])) : r;
}

static int walk_vmid(void *userdata, const char *name, const TreeAttr *attr)
{
        Batch *b = userdata;

        (void) attr;
        if (!layout_vmid(name))
                return 0;
        memcpy(b->text[b->n], name, strlen(name) + 1); /* a VMID has at most nine digits */
        b->names[b->n] = b->text[b->n];
        return ++b->n < BATCH_MAX ? 0 : walk_batch(b);
}

int listing_images(FileStore *fs, uint32_t vmid, ListedImageFn fn, void *userdata, struct storaged_error *err)
{
        Walk w = { .fs = fs, .fn = fn, .userdata = userdata, .err = err };
        const char *dir = layout_dir(fs, STORAGED_CONTENT_IMAGES);
        AUTO(freep) Batch *b = NULL;
        int r;

        if (vmid)
                return walk_guest(&w, vmid);
        b = malloc(sizeof(*b));
        if (!b)
                return error_set(err, -ENOMEM, "out of memory");
        b->walk = &w;
        b->n = 0;
        r = fs->control->ops->list(fs->control, dir, TREE_NAMES_ONLY, walk_vmid, b);
        if (r == 0 && b->n > 0)
                r = walk_batch(b);
        if (r == -ENOENT)
                return 0;
        if (r < 0 && err && err->code == 0)
                return store_fail(fs, err, r, "list", dir);
        return r;
}

int listing_image(FileStore *fs, STORAGED_VOL, ListedImageFn fn, void *userdata, struct storaged_error *err)
{
        Walk w = { .fs = fs, .fn = fn, .userdata = userdata, .vmid = vol->vmid, .err = err };
        char rel[TREE_PATH_MAX];
        TreeAttr attr;
        int r = layout_image_path(fs, vol->vmid, vol->name, rel, err);

        if (r < 0)
                return r;
        r = fs->control->ops->stat(fs->control, rel, &attr);
        if (r < 0)
                return store_fail_volume(fs, err, r, "find", vol, rel);
        if (attr.type == TREE_LINK)
                return error_set(err, -ELOOP,
                                 "%s storage \"%s\": %s/%s is a symbolic link; volumes must be files of the storage",
                                 fs->kind->type, fs->storage, fs->path, rel);
        return walk_file(&w, vol->name, &attr);
}

typedef struct CloneSearch {
        uint32_t basevmid;
        const char *base;
        char *ret;
} CloneSearch;

static int match_clone(void *userdata, const ListedImage *image)
{
        CloneSearch *s = userdata;

        if (image->basevmid != s->basevmid || strcmp(image->base, s->base) != 0)
                return 0;
        (void) layout_volname(image->basevmid, image->base, image->vmid, image->file, s->ret, NULL);
        return 1;
}

int listing_find_clone(FileStore *fs, uint32_t basevmid, const char *base, char ret[static STORAGED_VOLNAME_MAX],
                       struct storaged_error *err)
{
        CloneSearch s = { .basevmid = basevmid, .base = base, .ret = ret };
        int r;

        ret[0] = '\0';
        r = listing_images(fs, 0, match_clone, &s, err);
        return r < 0 ? r : 0;
}
