/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New volumes and larger ones. A raw image without preallocation needs nothing but the control plane: it is one
 * ftruncate; everything else is qemu-img's or the kernel's work on the data plane.
 */
#include <errno.h>
#include <string.h>

#include "common/image-cache.h"
#include "common/layout.h"
#include "common/newfile.h"
#include "common/qemu-img.h"
#include "common/holders.h"

#define SIZE_UNIT 1024u

static int check_size(const char *param, uint64_t bytes, struct storaged_error *err)
{
        if (bytes == 0 || bytes % SIZE_UNIT || bytes > INT64_MAX)
                return error_set_param(err, -EINVAL, param,
                                       "size must be a multiple of %u bytes, from %u to 2^63 - 1024; got %llu",
                                       SIZE_UNIT, SIZE_UNIT, (unsigned long long) bytes);
        return 0;
}

static bool is_control_only(const FileStore *fs, uint32_t format)
{
        return format == STORAGED_FORMAT_SUBVOL ||
               (format == STORAGED_FORMAT_RAW && fs->preallocation <= PREALLOCATION_METADATA);
}

int filestore_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                    struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(newfile_dropp) NewFile f = NEWFILE_INIT;
        const char *format = layout_format_name(spec->format);
        const char *prefix = spec->format == STORAGED_FORMAT_SUBVOL ? "subvol" : "vm";
        int r;

        if (!*format || (spec->format == STORAGED_FORMAT_SUBVOL && fs->kind->has_no_subvol))
                return error_set_param(err, -EINVAL, "format", "%s storage \"%s\" has no volumes of this format",
                                       fs->kind->type, fs->storage);
        if (spec->format == STORAGED_FORMAT_SUBVOL && spec->bytes != 0)
                return error_set_param(err, -EINVAL, "size", "a subvol on a %s storage has no size of its own: give 0",
                                       fs->kind->type);
        r = spec->format == STORAGED_FORMAT_SUBVOL ? 0 : check_size("size", spec->bytes, err);
        if (r < 0)
                return r;
        r = store_reach(fs,
                        FILESTORE_CONTROL | FILESTORE_CHANGE | (is_control_only(fs, spec->format) ? 0 : FILESTORE_DATA),
                        err);
        if (r < 0)
                return r;
        r = newfile_name(fs, spec->vmid, spec->format, prefix, spec->name, &f, err);
        if (r < 0)
                return r;
        r = newfile_prepare(fs, is_control_only(fs, spec->format) ? fs->control : fs->data, &f, err);
        if (r < 0)
                return r;
        r = newfile_make_image(fs, &f, spec->bytes, err);
        if (r < 0)
                return r;
        r = store_fault(fs, "alloc.created", err);
        if (r < 0)
                return r;
        r = newfile_publish(fs, &f, prefix, err);
        if (r < 0)
                return r;
        r = store_fault(fs, "alloc.linked", err);
        if (r < 0) { /* only a test comes here: what failed must not stay */
                (void) fs->control->ops->unlink(fs->control, f.rel);
                return r;
        }
        return layout_volname(0, NULL, spec->vmid, f.file, ret_volname, err);
}

static int resize_raw(FileStore *fs, const char *rel, uint64_t old, uint64_t bytes, struct storaged_error *err)
{
        Tree *t = fs->preallocation <= PREALLOCATION_METADATA ? fs->control : fs->data;
        int r = t->ops->truncate(t, rel, bytes);

        if (r < 0)
                return store_fail(fs, err, r, "resize", rel);
        if (fs->preallocation <= PREALLOCATION_METADATA || !t->ops->allocate)
                return 0;
        r = t->ops->allocate(t, rel, old, bytes - old);
        if (r < 0) {
                (void) t->ops->truncate(t, rel, old); /* as it was; nothing was written behind the old end */
                return store_fail(fs, err, r, "reserve the space of", rel);
        }
        return 0;
}

static int resize_with_qemu(FileStore *fs, const char *rel, uint64_t bytes, struct storaged_error *err)
{
        static const char *const options[] = { NULL, "--preallocation=metadata", "--preallocation=falloc",
                                               "--preallocation=full" };
        char path[TREE_PATH_MAX], size[24];
        const char *argv[9] = { "qemu-img", "resize", "-q", "-f", "qcow2" };
        ImageInfo info;
        size_t n = 5;
        int r = store_absolute(fs, rel, path, err);

        if (r < 0)
                return r;
        r = image_read(fs->data, rel, STORAGED_FORMAT_QCOW2, &info);
        if (r < 0)
                return store_fail(fs, err, r, "read", rel);
        /* an overlay cannot be preallocated: its clusters are the base's until written */
        if (options[fs->preallocation] && !info.backing[0])
                argv[n++] = options[fs->preallocation];
        (void) snprintf(size, sizeof(size), "%llu", (unsigned long long) bytes);
        argv[n++] = path;
        argv[n++] = size;
        return qemu_img_run(fs, argv, "resize", rel, err);
}

static int virtual_size(FileStore *fs, STORAGED_VOL, const char *rel, uint32_t format, uint64_t *ret,
                        struct storaged_error *err)
{
        TreeAttr attr;
        ImageInfo info;
        int r = fs->control->ops->stat(fs->control, rel, &attr);

        if (r == 0 && attr.type != TREE_FILE)
                r = -ENOENT;
        if (r == 0 && format == STORAGED_FORMAT_RAW) {
                *ret = attr.bytes;
                return 0;
        }
        if (r == 0)
                r = image_read(fs->control, rel, format, &info);
        if (r < 0)
                return store_fail_volume(fs, err, r, "read", vol, rel);
        *ret = info.bytes;
        return 0;
}

int filestore_resize(void *self, STORAGED_VOL, uint64_t bytes, struct storaged_error *err)
{
        FileStore *fs = self;
        uint32_t format = layout_is_image(vol) ? layout_format(vol->format) : 0;
        bool is_control = format == STORAGED_FORMAT_RAW && fs->preallocation <= PREALLOCATION_METADATA;
        char rel[TREE_PATH_MAX];
        uint64_t old = 0;
        int r;

        if (!(format & (STORAGED_FORMAT_RAW | STORAGED_FORMAT_QCOW2)))
                return error_set(err, -EOPNOTSUPP, "volume \"%s\": only raw and qcow2 images can be resized",
                                 vol->volname);
        if (vol->is_base)
                return error_set(err, -EOPNOTSUPP, "volume \"%s\" is a template, it cannot be resized", vol->volname);
        r = check_size("size", bytes, err);
        if (r < 0)
                return r;
        r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_CHANGE | (is_control ? 0 : FILESTORE_DATA), err);
        if (r < 0)
                return r;
        r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = virtual_size(fs, vol, rel, format, &old, err);
        if (r < 0)
                return r;
        if (bytes < old)
                return error_set_param(err, -EINVAL, "size", "volume \"%s\" has %llu bytes: shrink is not supported",
                                       vol->volname, (unsigned long long) old);
        r = store_fault(fs, "resize.before", err);
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r < 0 || bytes == old)
                return r;
        r = format == STORAGED_FORMAT_RAW ? resize_raw(fs, rel, old, bytes, err)
                                          : resize_with_qemu(fs, rel, bytes, err);
        if (r < 0)
                return r;
        return store_fault(fs, "resize.done", err);
}
