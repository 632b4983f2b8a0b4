/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files put into the storage whole: ISO images, templates, snippets, things to import, backups. Copied within the
 * kernel where that is possible, into a temporary, then renamed over what was there, as Proxmox VE does. What refers to
 * other files (a qcow2 with a backing file) is refused: somebody would convert it later, as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/import.h"
#include "common/layout.h"
#include "common/notes.h"
#include "common/store.h"

#define COPY_CHUNK (8u << 20)
#define COPY_BUFFER (256u * 1024)

static int copy_by_buffer(int from, int to, uint64_t at, uint64_t n, uint64_t *ret_n)
{
        AUTO(freep) char *buf = malloc(COPY_BUFFER);
        uint64_t done = 0;

        if (!buf)
                return -ENOMEM;
        while (done < n) {
                size_t want = n - done < COPY_BUFFER ? (size_t) (n - done) : COPY_BUFFER;
                ssize_t k = pread(from, buf, want, (off_t) (at + done));
                int r;

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                r = import_write_sparse(to, buf, (size_t) k, at + done);
                if (r < 0)
                        return r;
                done += (uint64_t) k;
        }
        *ret_n = done;
        return 0;
}

static int copy(FileStore *fs, int from, int to, uint64_t bytes)
{
        bool in_kernel = true;

        if (ftruncate(to, (off_t) bytes) < 0)
                return -errno;
        for (uint64_t at = 0; at < bytes;) {
                uint64_t n = bytes - at < COPY_CHUNK ? bytes - at : COPY_CHUNK, done = 0;
                off_t in = (off_t) at, out = (off_t) at;

                if (in_kernel) {
                        ssize_t k = copy_file_range(from, &in, to, &out, (size_t) n, 0);

                        if (k < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
                                return -errno;
                        in_kernel = k > 0; /* 0 may also be a file system that cannot */
                        done = k > 0 ? (uint64_t) k : 0;
                }
                if (!in_kernel) {
                        int r = copy_by_buffer(from, to, at, n, &done);

                        if (r < 0)
                                return r;
                        if (done == 0)
                                return -EIO; /* shorter than was said */
                }
                at += done;
                if (fs->host->progress(fs->host->handle, at, bytes) != 0)
                        return -ECANCELED;
        }
        return fsync(to) < 0 ? -errno : 0;
}

static int check_content(FileStore *fs, const struct storaged_upload_spec *spec, STORAGED_VOL, const char *rel,
                         const char *tmp, struct storaged_error *err)
{
        uint32_t format = spec->content == STORAGED_CONTENT_IMPORT ? layout_format(vol->format) : 0;
        TreeAttr side;

        if (spec->content == STORAGED_CONTENT_BACKUP && notes_stat(fs, rel, PROTECTED_SUFFIX, &side) == 0)
                return error_set(err, -EPERM, "backup \"%s\" is protected and cannot be replaced", vol->volname);
        if (!(format & (STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK)))
                return 0;
        return import_check_image(fs, fs->data, tmp, format, STORAGED_SIZE_UNKNOWN, err);
}

static int name_volume(FileStore *fs, const struct storaged_upload_spec *spec, struct storaged_volname *ret,
                       struct storaged_error *err)
{
        char volname[STORAGED_VOLNAME_MAX];
        const char *word = NULL;
        struct storaged_error why = STORAGED_ERROR_INIT;
        int n;

        for (int i = 0; i < LAYOUT_N_CONTENTS; i++)
                if (layout_contents[i].content == spec->content && spec->content != STORAGED_CONTENT_IMAGES &&
                    spec->content != STORAGED_CONTENT_ROOTDIR)
                        word = layout_contents[i].name;
        if (!word)
                return error_set_param(err, -EINVAL, "content",
                                       "only iso, vztmpl, backup, snippets and import can be uploaded");
        n = snprintf(volname, sizeof(volname), "%s/%s", word, spec->filename);
        if (n < 0 || (size_t) n >= sizeof(volname) || strchr(spec->filename, '/') || spec->filename[0] == '.')
                return error_set_param(err, -EINVAL, "filename",
                                       "\"%.64s\" is no file name: no slash, no dot in front, not too long",
                                       spec->filename);
        ret->size = (uint32_t) sizeof(*ret);
        if (fs->host->parse_volname(fs->host->handle, volname, ret, &why) < 0)
                return error_set_param(err, -EINVAL, "filename", "%s", why.text);
        return 0;
}

int filestore_upload(void *self, const struct storaged_upload_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                     struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(store_tmp_dropp) StoreTmp tmp = { 0 };
        AUTO(closep) int fd = -EBADF;
        struct storaged_volname vol = { .size = sizeof(vol) };
        char rel[TREE_PATH_MAX];
        int r = name_volume(fs, spec, &vol, err);

        if (r == 0)
                r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);
        if (r == 0)
                r = layout_path(fs, &vol, rel, err);
        if (r == 0)
                r = store_tmp_name(fs, rel, tmp.rel, err);
        if (r < 0)
                return r;
        r = tree_mkdir_p(fs->data, layout_dir(fs, spec->content), STORE_DIR_MODE);
        if (r < 0)
                return store_fail(fs, err, r, "make the directory", layout_dir(fs, spec->content));
        fd = tree_local_openat(fs->data, tmp.rel, O_RDWR | O_CREAT | O_EXCL, 0644);
        if (fd < 0)
                return store_fail(fs, err, fd, "write", rel);
        tmp.tree = fs->data;
        r = copy(fs, spec->fd, fd, spec->bytes);
        if (r < 0)
                return store_fail(fs, err, r, "write", rel);
        r = check_content(fs, spec, &vol, rel, tmp.rel, err);
        if (r == 0)
                r = store_fault(fs, "upload.written", err);
        if (r < 0)
                return r;
        r = fs->data->ops->rename(fs->data, tmp.rel, rel, 0);
        if (r < 0)
                return store_fail(fs, err, r, "put in place", rel);
        tmp.tree = NULL;
        memcpy(ret_volname, vol.volname, strlen(vol.volname) + 1);
        return 0;
}
