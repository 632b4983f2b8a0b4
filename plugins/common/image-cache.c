/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cache of image headers: a hash table by inode with linear probing. An entry is right while inode, length, mtime
 * and ctime of the file are the same; QEMU changes at least one of them with every header it writes. Entries of
 * removed files are not looked for: the table starts anew when it has grown to its limit.
 */
#include "common/image-cache.h"

#include <errno.h>
#include <string.h>

#define CACHE_SLOTS_MIN 1024u
#define CACHE_SLOTS_MAX (1u << 18)

ImageCache *image_cache_new(void)
{
        return calloc(1, sizeof(ImageCache));
}

static void clear(ImageCache *c)
{
        for (size_t i = 0; i < c->n_slots; i++)
                free(c->slots[i].backing);
        free(c->slots);
        c->slots = NULL;
        c->n_slots = c->n_used = 0;
}

ImageCache *image_cache_free(ImageCache *c)
{
        if (c)
                clear(c);
        free(c);
        return NULL;
}

static ImageRecord *find(ImageRecord *slots, size_t n_slots, uint64_t inode)
{
        size_t i = (size_t) ((inode * 0x9e3779b97f4a7c15ull) >> 20) & (n_slots - 1);

        while (slots[i].is_used && slots[i].inode != inode)
                i = (i + 1) & (n_slots - 1);
        return &slots[i];
}

/* Room for one more: at most three quarters are used. */
static int grow(ImageCache *c)
{
        size_t n = c->n_slots ? c->n_slots * 2 : CACHE_SLOTS_MIN;
        ImageRecord *slots;

        if ((c->n_used + 1) * 4 <= c->n_slots * 3)
                return 0;
        if (n > CACHE_SLOTS_MAX) {
                clear(c);
                n = CACHE_SLOTS_MIN;
        }
        slots = calloc(n, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_slots; i++)
                if (c->slots[i].is_used)
                        *find(slots, n, c->slots[i].inode) = c->slots[i];
        free(c->slots);
        c->slots = slots;
        c->n_slots = n;
        return 0;
}

typedef struct Reader {
        Tree *tree;
        TreeFile *file;
} Reader;

static ssize_t read_file(void *userdata, void *buf, size_t n, uint64_t offset)
{
        Reader *rd = userdata;

        return rd->tree->ops->pread(rd->tree, rd->file, buf, n, offset);
}

int image_read(Tree *tree, const char *rel, uint32_t format, ImageInfo *ret)
{
        Reader rd = { .tree = tree };
        int r = tree->ops->open(tree, rel, &rd.file);

        if (r < 0)
                return r;
        r = format == STORAGED_FORMAT_VMDK ? image_vmdk_read(read_file, &rd, ret)
                                           : image_qcow2_read(read_file, &rd, ret);
        tree->ops->close(tree, rd.file);
        return r;
}

int image_cache_get(ImageCache *c, Tree *tree, const char *rel, uint32_t format, const TreeAttr *attr,
                    const ImageRecord **ret)
{
        ImageRecord *slot;
        ImageInfo info = { .bytes = STORAGED_SIZE_UNKNOWN };
        int r = grow(c);

        if (r < 0)
                return r;
        slot = find(c->slots, c->n_slots, attr->inode);
        if (slot->is_used && slot->file_bytes == attr->bytes && slot->mtime_ns == attr->mtime_ns &&
            slot->ctime_ns == attr->ctime_ns) {
                *ret = slot;
                return 0;
        }
        c->n_reads++;
        r = image_read(tree, rel, format, &info);
        if (r < 0 && r != -EBADMSG)
                return r;
        c->n_used += !slot->is_used;
        free(slot->backing);
        *slot = (ImageRecord){
                .inode = attr->inode,
                .file_bytes = attr->bytes,
                .mtime_ns = attr->mtime_ns,
                .ctime_ns = attr->ctime_ns,
                .bytes = info.bytes,
                .backing = info.backing[0] ? strdup(info.backing) : NULL,
                .n_snapshots = info.n_snapshots,
                .is_valid = r == 0,
                .is_used = true,
        };
        if (info.backing[0] && !slot->backing) {
                slot->file_bytes = UINT64_MAX; /* never a hit */
                return -ENOMEM;
        }
        *ret = slot;
        return 0;
}
