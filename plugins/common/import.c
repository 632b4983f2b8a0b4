/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams, inwards. All goes into a temporary; only what came in whole and is what it claims to be gets a name.
 * An image file from outside must not point at anything: no backing file, no data file, no extents elsewhere. Blocks of
 * zeroes are not written, so what was sparse stays sparse.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/image-cache.h"
#include "common/import.h"
#include "common/layout.h"
#include "common/nbd.h"
#include "common/newfile.h"
#include "common/qemu-img.h"
#include "common/stream-io.h"

/* Which stream makes which kind of file. */
static const struct {
        const char *stream;
        uint32_t formats;
} accepted[] = {
        { "raw+size", STORAGED_FORMAT_RAW | STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK },
        { "qcow2+size", STORAGED_FORMAT_QCOW2 },
        { "vmdk+size", STORAGED_FORMAT_VMDK },
        { "tar+size", STORAGED_FORMAT_SUBVOL },
};

static bool is_accepted(const char *stream, uint32_t format)
{
        for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
                if (strcmp(accepted[i].stream, stream) == 0)
                        return accepted[i].formats & format;
        return false;
}

int import_write_sparse(int fd, const char *buf, size_t n, uint64_t offset)
{
        for (size_t at = 0; at < n;) {
                size_t k = n - at < STREAM_BLOCK ? n - at : STREAM_BLOCK;
                ssize_t w;

                if (stream_is_zero(buf + at, k)) {
                        at += k;
                        continue;
                }
                w = pwrite(fd, buf + at, k, (off_t) (offset + at));
                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return -errno;
                at += (size_t) w;
        }
        return 0;
}

/* Exactly `size` bytes, or all there are (size UINT64_MAX), into the temporary. */
static int receive_file(FileStore *fs, NewFile *f, Stream *s, uint64_t size, struct storaged_error *err)
{
        AUTO(closep) int fd = tree_local_openat(f->tmp.tree, f->tmp.rel, O_RDWR | O_CREAT | O_EXCL, STORE_FILE_MODE);
        uint64_t at = 0;
        int r = fd < 0 ? fd : 0;

        if (r == 0 && size != UINT64_MAX && ftruncate(fd, (off_t) size) < 0)
                r = -errno;
        while (r == 0 && at < size) {
                size_t want = size - at < STREAM_CHUNK ? (size_t) (size - at) : STREAM_CHUNK, n;

                r = stream_read(s, s->buf, want, &n, err);
                if (r < 0)
                        return r;
                r = import_write_sparse(fd, s->buf, n, at);
                at += n;
                if (r < 0 || n == want)
                        continue;
                if (size != UINT64_MAX)
                        return stream_refuse_short(s, at, size, err);
                break;
        }
        if (r == 0 && size == UINT64_MAX && ftruncate(fd, (off_t) at) < 0)
                r = -errno;
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? store_fail(fs, err, r, "write", f->rel) : 0;
}

int import_guest_view(Stream *s, NbdImage *image, uint64_t size, struct storaged_error *err)
{
        uint64_t at = 0;
        int r = 0;

        while (r == 0 && at < size) {
                size_t want = size - at < STREAM_CHUNK ? (size_t) (size - at) : STREAM_CHUNK, n, padded;

                r = stream_read(s, s->buf, want, &n, err);
                if (r < 0)
                        return r;
                if (n < want)
                        return stream_refuse_short(s, at + n, size, err);
                padded = (n + 511) / 512 * 512;
                memset(s->buf + n, 0, padded - n);
                for (size_t k = 0; r == 0 && k < padded; k += STREAM_BLOCK) {
                        size_t len = padded - k < STREAM_BLOCK ? padded - k : STREAM_BLOCK;

                        if (!stream_is_zero(s->buf + k, len))
                                r = nbd_image_write(image, s->buf + k, len, at + k, err);
                }
                at += n;
        }
        return r < 0 ? r : nbd_image_flush(image, err);
}

/* What a guest saw, into an image of another format. */
static int receive_guest_view(FileStore *fs, NewFile *f, Stream *s, uint64_t size, struct storaged_error *err)
{
        AUTO(nbd_image_close) NbdImage image = { 0 };
        int r = newfile_make_image(fs, f, (size + 511) / 512 * 512, err);

        if (r == 0)
                r = nbd_image_open(fs, f->tmp.rel, layout_format_name(f->format), NULL, true, &image, err);
        return r < 0 ? r : import_guest_view(s, &image, size, err);
}

static int receive_tar(FileStore *fs, NewFile *f, Stream *s, struct storaged_error *err)
{
        char path[TREE_PATH_MAX];
        const char *const argv[] = { "tar",
                                     "xpf",
                                     "-",
                                     "--numeric-owner",
                                     "--acls",
                                     "--xattrs",
                                     "--xattrs-include=user.*",
                                     "--xattrs-include=security.capability",
                                     "--warning=no-timestamp",
                                     "-C",
                                     path,
                                     NULL };
        struct storaged_proc proc = { .size = sizeof(proc), .argv = argv, .stdin_fd = s->fd, .stdout_fd = -1 };
        struct storaged_proc_result result = { .size = sizeof(result) };
        int r = newfile_make_image(fs, f, 0, err);

        if (r == 0)
                r = store_absolute(fs, f->tmp.rel, path, err);
        if (r == 0)
                r = fs->host->proc_run(fs->host->handle, &proc, &result, err);
        free(result.out);
        if (r == 0 && result.status != 0)
                return error_set(err, -EIO, "%s storage \"%s\": the stream cannot be unpacked: tar: %s", fs->kind->type,
                                 fs->storage, result.last_error);
        return r;
}

int import_check_image(FileStore *fs, Tree *tree, const char *rel, uint32_t format, uint64_t size,
                       struct storaged_error *err)
{
        ImageInfo info;
        TreeAttr attr;
        int r = image_read(tree, rel, format, &info);

        if (r == -EBADMSG)
                return error_set(err, -EINVAL, "%s storage \"%s\": what came in is no %s image; nothing was kept",
                                 fs->kind->type, fs->storage, layout_format_name(format));
        if (r == 0)
                r = tree->ops->stat(tree, rel, &attr);
        if (r < 0)
                return store_fail(fs, err, r, "read", rel);
        if (info.backing[0] || info.has_data_file || info.has_extents)
                return error_set(err, -EINVAL,
                                 "%s storage \"%s\": the image refers to another file (%.128s), which an image from "
                                 "outside must not; nothing was kept",
                                 fs->kind->type, fs->storage, info.backing[0] ? info.backing : "external data");
        if (size != STORAGED_SIZE_UNKNOWN && info.bytes != size)
                return error_set(
                        err, -EINVAL,
                        "%s storage \"%s\": the stream says %llu bytes, the image in it %llu; nothing was kept",
                        fs->kind->type, fs->storage, (unsigned long long) size, (unsigned long long) info.bytes);
        if (info.metadata_end > attr.bytes)
                return error_set(
                        err, -EIO,
                        "%s storage \"%s\": the image ends after %llu bytes, before its own tables; nothing was kept",
                        fs->kind->type, fs->storage, (unsigned long long) attr.bytes);
        return 0;
}

static int receive_image(FileStore *fs, NewFile *f, Stream *s, uint64_t size, struct storaged_error *err)
{
        int r = receive_file(fs, f, s, UINT64_MAX, err);

        if (r == 0)
                r = import_check_image(fs, f->tmp.tree, f->tmp.rel, f->format, size, err);
        /* a stream that was cut shows as tables that point behind the end */
        return r < 0 ? r : qemu_img_check(fs, f->tmp.rel, layout_format_name(f->format), err);
}

static int receive(FileStore *fs, NewFile *f, const char *stream_format, Stream *s, struct storaged_error *err)
{
        uint64_t size;
        int r = stream_read_size(s, &size, err);

        if (r < 0)
                return r;
        s->total = size;
        if (f->format == STORAGED_FORMAT_SUBVOL)
                return receive_tar(fs, f, s, err);
        if (size == 0 && f->vmid)
                return error_set(err, -EINVAL, "storage \"%s\": the stream says that the volume has 0 bytes",
                                 fs->storage);
        if (strcmp(stream_format, "raw+size") != 0)
                return receive_image(fs, f, s, size, err);
        if (f->format == STORAGED_FORMAT_RAW)
                return receive_file(fs, f, s, size, err);
        return receive_guest_view(fs, f, s, size, err);
}

/* The name it gets and the temporary it grows in. */
static int begin_guest(FileStore *fs, const struct storaged_import_spec *spec, STORAGED_VOL, NewFile *f,
                       const char *prefix, struct storaged_error *err)
{
        uint32_t format = layout_format(vol->format);
        int r = newfile_name(fs, vol->vmid, format, prefix, vol->name, f, err);

        if (r == -EEXIST && spec->allow_rename) {
                if (err)
                        err->code = 0;
                r = newfile_name(fs, vol->vmid, format, prefix, NULL, f, err);
        }
        return r < 0 ? r : newfile_prepare(fs, fs->data, f, err);
}

static int begin_other(FileStore *fs, STORAGED_VOL, NewFile *f, struct storaged_error *err)
{
        TreeAttr attr;
        int r = layout_path(fs, vol, f->rel, err);

        if (r < 0)
                return r;
        if (fs->data->ops->stat(fs->data, f->rel, &attr) == 0)
                return error_set(err, -EEXIST, "%s storage \"%s\": volume %s exists already", fs->kind->type,
                                 fs->storage, vol->volname);
        r = tree_mkdir_p(fs->data, layout_dir(fs, vol->content), STORE_DIR_MODE);
        if (r < 0)
                return store_fail(fs, err, r, "make the directory", layout_dir(fs, vol->content));
        f->format = STORAGED_FORMAT_RAW;
        f->tmp.tree = fs->data;
        return store_tmp_name(fs, f->rel, f->tmp.rel, err);
}

int filestore_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                            char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(newfile_dropp) NewFile f = NEWFILE_INIT;
        AUTO(stream_deinit) Stream s = { 0 };
        bool is_image = layout_is_image(vol);
        uint32_t format = is_image ? layout_format(vol->format) : STORAGED_FORMAT_RAW;
        const char *prefix = vol->is_base ? "base" : format == STORAGED_FORMAT_SUBVOL ? "subvol" : "vm";
        int r;

        if (!is_accepted(spec->stream_format, format) || (format == STORAGED_FORMAT_SUBVOL && fs->kind->has_no_subvol))
                return error_set_param(err, -EOPNOTSUPP, "format",
                                       "%s storage \"%s\": a stream %.32s cannot become volume \"%s\"", fs->kind->type,
                                       fs->storage, spec->stream_format, vol->volname);
        r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);
        if (r == 0)
                r = stream_init(&s, fs, fd, err);
        if (r == 0)
                r = is_image ? begin_guest(fs, spec, vol, &f, prefix, err) : begin_other(fs, vol, &f, err);
        if (r == 0)
                r = receive(fs, &f, spec->stream_format, &s, err);
        if (r == 0)
                r = store_fault(fs, "import.written", err);
        if (r == 0)
                r = newfile_publish(fs, &f, prefix, err);
        if (r == 0)
                r = store_fault(fs, "import.linked", err);
        if (r < 0)
                return r;
        if (is_image)
                return layout_volname(0, NULL, vol->vmid, f.file, ret_volname, err);
        memcpy(ret_volname, vol->volname, strlen(vol->volname) + 1);
        return 0;
}
