/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a guest image comes into being: a name is chosen, the file is made under a temporary name in the same directory,
 * and a rename that never replaces gives it its name. So a volume that can be seen is complete, a crash leaves a
 * leftover at most, and two that want the same name cannot both get it.
 */
#include "common/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/layout.h"
#include "common/qemu-img.h"

#define PUBLISH_TRIES 64
#define ZERO_CHUNK (1u << 20)

typedef struct Names {
        char **items;
        size_t n, n_room;
        const char *extension; /* only those; NULL: all */
} Names;

static void names_deinit(Names *n)
{
        for (size_t i = 0; i < n->n; i++)
                free(n->items[i]);
        free(n->items);
}

static int collect_name(void *userdata, const char *name, const TreeAttr *attr)
{
        Names *names = userdata;
        const char *dot = strrchr(name, '.');

        (void) attr;
        if (name[0] == '.' || (names->extension && (!dot || strcmp(dot + 1, names->extension) != 0)))
                return 0;
        if (names->n == names->n_room) {
                size_t room = names->n_room ? names->n_room * 2 : 32;
                char **items = reallocarray(names->items, room, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                names->items = items;
                names->n_room = room;
        }
        names->items[names->n] = strdup(name);
        return names->items[names->n++] ? 0 : -ENOMEM;
}

static int pick_name(FileStore *fs, NewFile *f, const char *prefix, struct storaged_error *err)
{
        AUTO(names_deinit) Names names = { 0 };
        char dir[TREE_PATH_MAX], stem[TREE_NAME_MAX];
        int r = layout_image_path(fs, f->vmid, NULL, dir, err), n;

        if (r < 0)
                return r;
        if (fs->kind->is_count_per_extension)
                names.extension = layout_format_name(f->format);
        r = fs->control->ops->list(fs->control, dir, TREE_NAMES_ONLY, collect_name, &names);
        if (r < 0 && r != -ENOENT)
                return store_fail(fs, err, r, "list", dir);
        r = fs->host->next_disk_name(fs->host->handle, f->vmid, prefix, (const char *const *) names.items, names.n,
                                     stem, sizeof(stem), err);
        if (r < 0)
                return r;
        n = snprintf(f->file, sizeof(f->file), "%s.%s", stem, layout_format_name(f->format));
        if (n < 0 || (size_t) n >= sizeof(f->file))
                return error_set(err, -ENAMETOOLONG, "file name %s is too long", stem);
        f->is_picked = true;
        return layout_image_path(fs, f->vmid, f->file, f->rel, err);
}

static int take_name(FileStore *fs, NewFile *f, const char *wanted, struct storaged_error *err)
{
        struct storaged_volname vol = { .size = sizeof(vol) };
        struct storaged_error why = STORAGED_ERROR_INIT;
        char volname[STORAGED_VOLNAME_MAX];
        TreeAttr attr;
        int r;

        if (strchr(wanted, '/') || wanted[0] == '.' || strlen(wanted) >= sizeof(f->file))
                return error_set_param(
                        err, -EINVAL, "filename",
                        "\"%.64s\" is no file name for a volume: no slash, no dot in front, at most %d bytes", wanted,
                        TREE_NAME_MAX - 1);
        r = layout_volname(0, NULL, f->vmid, wanted, volname, err);
        if (r < 0)
                return r;
        if (fs->host->parse_volname(fs->host->handle, volname, &vol, &why) < 0)
                return error_set_param(err, -EINVAL, "filename", "%s", why.text);
        if (layout_image_format(wanted) != f->format)
                return error_set_param(err, -EINVAL, "filename",
                                       "the extension of \"%s\" does not agree with the format %s", wanted,
                                       layout_format_name(f->format));
        (void) snprintf(f->file, sizeof(f->file), "%s", wanted);
        r = layout_image_path(fs, f->vmid, f->file, f->rel, err);
        if (r < 0)
                return r;
        if (fs->control->ops->stat(fs->control, f->rel, &attr) == 0)
                return error_set_param(err, -EEXIST, "filename", "%s storage \"%s\": volume %s exists already",
                                       fs->kind->type, fs->storage, volname);
        return 0;
}

int newfile_name(FileStore *fs, uint32_t vmid, uint32_t format, const char *prefix, const char *wanted, NewFile *ret,
                 struct storaged_error *err)
{
        ret->vmid = vmid;
        ret->format = format;
        return wanted ? take_name(fs, ret, wanted, err) : pick_name(fs, ret, prefix, err);
}

int newfile_prepare(FileStore *fs, Tree *tree, NewFile *f, struct storaged_error *err)
{
        char dir[TREE_PATH_MAX];
        int r = layout_image_path(fs, f->vmid, NULL, dir, err);

        if (r < 0)
                return r;
        r = tree_mkdir_p(fs->control, dir, STORE_DIR_MODE);
        if (r < 0)
                return store_fail(fs, err, r, "make the directory", dir);
        r = store_tmp_name(fs, f->rel, f->tmp.rel, err);
        if (r < 0)
                return r;
        f->tmp.tree = tree;
        return 0;
}

static int write_zeroes(FileStore *fs, NewFile *f, uint64_t bytes, struct storaged_error *err)
{
        AUTO(closep) int fd = tree_local_openat(f->tmp.tree, f->tmp.rel, O_WRONLY, 0);
        AUTO(freep) char *zeroes = calloc(1, ZERO_CHUNK);

        if (fd < 0)
                return fd;
        if (!zeroes)
                return -ENOMEM;
        for (uint64_t at = 0; at < bytes;) {
                size_t n = bytes - at < ZERO_CHUNK ? (size_t) (bytes - at) : ZERO_CHUNK;
                ssize_t k = pwrite(fd, zeroes, n, (off_t) at);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                at += (uint64_t) k;
                if (fs->host->progress(fs->host->handle, at, bytes) != 0)
                        return error_set(err, -ECANCELED, "writing zeroes to %s was cancelled", f->rel);
        }
        return fsync(fd) < 0 ? -errno : 0;
}

static int make_raw(FileStore *fs, NewFile *f, uint64_t bytes, struct storaged_error *err)
{
        Tree *t = f->tmp.tree;
        int r = t->ops->create(t, f->tmp.rel, bytes, STORE_FILE_MODE);

        if (r == 0 && fs->preallocation == PREALLOCATION_FALLOC && t->ops->allocate)
                r = t->ops->allocate(t, f->tmp.rel, 0, bytes);
        if (r == 0 && fs->preallocation == PREALLOCATION_FULL)
                r = write_zeroes(fs, f, bytes, err);
        if (r < 0 && r != -ECANCELED)
                return store_fail(fs, err, r, "make", f->rel);
        return r;
}

static int make_with_qemu(FileStore *fs, NewFile *f, uint64_t bytes, struct storaged_error *err)
{
        static const char *const options[] = {
                [PREALLOCATION_OFF] = "preallocation=off",
                [PREALLOCATION_METADATA] = "preallocation=metadata",
                [PREALLOCATION_FALLOC] = "preallocation=falloc",
                [PREALLOCATION_FULL] = "preallocation=full",
        };
        char path[TREE_PATH_MAX], size[24];
        const char *argv[10] = { "qemu-img", "create", "-q", "-f", layout_format_name(f->format) };
        size_t n = 5;
        int r = store_absolute(fs, f->tmp.rel, path, err);

        if (r < 0)
                return r;
        (void) snprintf(size, sizeof(size), "%llu", (unsigned long long) bytes);
        if (f->format == STORAGED_FORMAT_QCOW2) {
                argv[n++] = "-o";
                argv[n++] = options[fs->preallocation];
        }
        argv[n++] = path;
        argv[n++] = size;
        r = qemu_img_run(fs, argv, "make", f->rel, err);
        if (r < 0)
                return r;
        r = f->tmp.tree->ops->chmod(f->tmp.tree, f->tmp.rel, STORE_FILE_MODE);
        return r < 0 ? store_fail(fs, err, r, "set the mode of", f->rel) : 0;
}

int newfile_make_image(FileStore *fs, NewFile *f, uint64_t bytes, struct storaged_error *err)
{
        int r;

        if (f->format == STORAGED_FORMAT_SUBVOL) {
                r = f->tmp.tree->ops->mkdir(f->tmp.tree, f->tmp.rel, STORE_DIR_MODE);
                return r < 0 ? store_fail(fs, err, r, "make", f->rel) : 0;
        }
        if (f->format == STORAGED_FORMAT_RAW)
                return make_raw(fs, f, bytes, err);
        return make_with_qemu(fs, f, bytes, err);
}

int newfile_publish(FileStore *fs, NewFile *f, const char *prefix, struct storaged_error *err)
{
        int guard = store_may_commit(fs, err);

        if (guard < 0)
                return guard;
        for (unsigned i = 0; i < PUBLISH_TRIES; i++) {
                int r = f->tmp.tree->ops->rename(f->tmp.tree, f->tmp.rel, f->rel, TREE_NO_REPLACE);

                if (r == 0) {
                        f->tmp.tree = NULL;
                        return 0;
                }
                if (r != -EEXIST || !f->is_picked)
                        return store_fail(fs, err, r, "make", f->rel);
                r = pick_name(fs, f, prefix, err);
                if (r < 0)
                        return r;
        }
        return error_set(err, -EEXIST,
                         "%s storage \"%s\": the free names of guest %u are taken as fast as they are found; try again",
                         fs->kind->type, fs->storage, f->vmid);
}
