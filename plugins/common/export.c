/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes as streams, outwards. raw+size carries what a guest sees, whatever the format of the file; qcow2+size and
 * vmdk+size carry the file with all that is in it; tar+size a directory. Which of them a volume has is said by the
 * feature table alone. Backing files other than those storaged makes are not followed: a header must not name what is
 * read.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/chain.h"
#include "common/export.h"
#include "common/image-cache.h"
#include "common/layout.h"
#include "common/nbd.h"
#include "common/store.h"
#include "common/stream-io.h"

static bool has_word(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = words; p && (p = strstr(p, word)); p += n)
                if ((p == words || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' '))
                        return true;
        return false;
}

/* Whether the feature table allows it. Files that are no guest images go out as they are. */
static bool is_exportable(STORAGED_VOL, const char *stream, bool with_snapshots)
{
        if (!layout_is_image(vol))
                return !with_snapshots && strcmp(stream, "raw+size") == 0;
        for (const struct storaged_feature_row *row = filestore_features; row->format; row++)
                if (strcmp(row->format, vol->format) == 0 && row->is_base == vol->is_base)
                        return has_word(with_snapshots ? row->exports_with_snapshots : row->exports, stream);
        return false;
}

/* A file as it is, holes not read but sent as zeroes. */
static int export_file(FileStore *fs, const char *rel, uint64_t size, Stream *s, struct storaged_error *err)
{
        AUTO(closep) int fd = tree_local_openat(fs->data, rel, O_RDONLY | O_NONBLOCK, 0);
        struct stat st;
        uint64_t at = 0, end;
        int r;

        if (fd < 0)
                return store_fail(fs, err, fd, "export", rel);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return store_fail(fs, err, -EINVAL, "export", rel);
        end = (uint64_t) st.st_size;
        s->total = end;
        r = stream_write_size(s, size, err);
        while (r == 0 && at < end) {
                off_t data = lseek(fd, (off_t) at, SEEK_DATA), hole;
                uint64_t next;

                if (data < 0 && errno != ENXIO)
                        data = (off_t) at; /* a file system that knows no holes */
                next = data < 0 || (uint64_t) data > end ? end : (uint64_t) data;
                r = stream_write_zeroes(s, next - at, err);
                at = next;
                if (r < 0 || at == end)
                        break;
                hole = lseek(fd, (off_t) at, SEEK_HOLE);
                next = hole < 0 || (uint64_t) hole > end || (uint64_t) hole <= at ? end : (uint64_t) hole;
                while (r == 0 && at < next) {
                        size_t n = next - at < STREAM_CHUNK ? (size_t) (next - at) : STREAM_CHUNK;
                        ssize_t k = pread(fd, s->buf, n, (off_t) at);

                        if (k < 0 && errno == EINTR)
                                continue;
                        if (k <= 0) /* it was cut while we read */
                                return store_fail(fs, err, k < 0 ? -errno : -EIO, "read", rel);
                        r = stream_write(s, s->buf, (size_t) k, err);
                        at += (uint64_t) k;
                }
        }
        return r;
}

int export_guest_view(FileStore *fs, const char *rel, const char *format, const char *snap, Stream *s,
                      struct storaged_error *err)
{
        AUTO(nbd_image_close) NbdImage image = { 0 };
        uint64_t size, at = 0;
        int r = nbd_image_open(fs, rel, format, snap, false, &image, err);

        if (r == 0)
                r = nbd_image_size(&image, &size, err);
        if (r < 0)
                return r;
        s->total = size;
        r = stream_write_size(s, size, err);
        while (r == 0 && at < size) {
                uint64_t n;
                bool is_zero;

                r = nbd_image_extent(&image, at, size - at, &n, &is_zero, err);
                if (r == 0 && is_zero) {
                        r = stream_write_zeroes(s, n, err);
                        at += n;
                        continue;
                }
                for (uint64_t end = at + n; r == 0 && at < end;) {
                        size_t k = end - at < STREAM_CHUNK ? (size_t) (end - at) : STREAM_CHUNK;

                        r = nbd_image_read(&image, s->buf, k, at, err);
                        if (r == 0)
                                r = stream_write(s, s->buf, k, err);
                        at += k;
                }
        }
        return r;
}

static int export_tar(FileStore *fs, const char *rel, Stream *s, struct storaged_error *err)
{
        char path[TREE_PATH_MAX];
        const char *const argv[] = { "tar",
                                     "cf",
                                     "-",
                                     "--totals",
                                     "--one-file-system",
                                     "-p",
                                     "--sparse",
                                     "--numeric-owner",
                                     "--acls",
                                     "--xattrs",
                                     "--xattrs-include=user.*",
                                     "--xattrs-include=security.capability",
                                     "--warning=no-file-ignored",
                                     "--warning=no-xattr-write",
                                     "-C",
                                     path,
                                     ".",
                                     NULL };
        struct storaged_proc proc = { .size = sizeof(proc), .argv = argv, .stdin_fd = -1, .stdout_fd = s->fd };
        struct storaged_proc_result result = { .size = sizeof(result) };
        int r = store_absolute(fs, rel, path, err);

        if (r == 0)
                r = stream_write_size(s, 0, err); /* a directory has no virtual size */
        if (r == 0)
                r = fs->host->proc_run(fs->host->handle, &proc, &result, err);
        free(result.out);
        if (r == 0 && result.status != 0)
                return error_set(err, -EIO, "cannot export %s: tar: %s", path, result.last_error);
        return r;
}

/* Every backing file below must be one that storaged makes: a base of the storage or a snapshot file beside it. */
static int refuse_foreign_backing(FileStore *fs, STORAGED_VOL, const char *rel_image, uint32_t format,
                                  struct storaged_error *err)
{
        char rel[TREE_PATH_MAX];
        uint32_t vmid = vol->vmid;

        (void) snprintf(rel, sizeof(rel), "%s", rel_image);
        for (unsigned i = 0; i < CHAIN_MAX && (format & (STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK)); i++) {
                ImageInfo info;
                const char *file = info.backing;
                int r = image_read(fs->data, rel, format, &info);

                if (r < 0)
                        return store_fail(fs, err, r, "read the header of", rel);
                if (info.has_data_file || info.has_extents)
                        return error_set(err, -EINVAL,
                                         "volume \"%s\": %s keeps its data in other files, which is not supported",
                                         vol->volname, rel);
                if (!info.backing[0])
                        return 0;
                if (layout_is_snapshot_file(info.backing) && !strchr(info.backing, '/'))
                        format = STORAGED_FORMAT_QCOW2;
                else if (layout_parse_base(info.backing, &vmid, &file))
                        format = layout_image_format(file);
                else
                        return error_set(err, -EINVAL,
                                         "volume \"%s\": %s has the backing file \"%.128s\", which is no template of "
                                         "this storage",
                                         vol->volname, rel, info.backing);
                r = layout_image_path(fs, vmid, file, rel, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The file with all in it: only whole if it needs no other. */
static int export_image_file(FileStore *fs, STORAGED_VOL, const char *rel, Stream *s, struct storaged_error *err)
{
        ImageInfo info;
        int r = image_read(fs->data, rel, layout_format(vol->format), &info);

        if (r < 0)
                return store_fail(fs, err, r, "read the header of", rel);
        if (info.backing[0] || info.has_data_file || info.has_extents)
                return error_set(err, -EINVAL, "volume \"%s\" depends on another file (%.128s): export it as raw+size",
                                 vol->volname, info.backing[0] ? info.backing : "its data file");
        return export_file(fs, rel, info.bytes, s, err);
}

static int export_raw(FileStore *fs, STORAGED_VOL, const char *rel, const char *snap, Stream *s,
                      struct storaged_error *err)
{
        AUTO(chain_deinit) Chain c = { 0 };
        uint32_t format = layout_is_image(vol) ? layout_format(vol->format) : STORAGED_FORMAT_RAW;
        char snap_rel[TREE_PATH_MAX];
        TreeAttr attr;
        int r;

        if (format == STORAGED_FORMAT_RAW) {
                if (snap)
                        return error_set_param(err, -EOPNOTSUPP, "snapshot", "volume \"%s\" has no snapshots",
                                               vol->volname);
                r = fs->data->ops->stat(fs->data, rel, &attr);
                return r < 0 ? store_fail_volume(fs, err, r, "export", vol, rel)
                             : export_file(fs, rel, attr.bytes, s, err);
        }
        if (snap && format != STORAGED_FORMAT_QCOW2)
                return error_set_param(err, -EOPNOTSUPP, "snapshot", "volume \"%s\" has no snapshots", vol->volname);
        if (snap) {
                r = chain_read(fs, vol, &c, err);
                if (r < 0)
                        return r;
        }
        if (snap && c.n > 0) { /* a file of its own */
                r = chain_path(fs, vol, snap, snap_rel, err);
                rel = snap_rel;
                snap = NULL;
                if (r < 0)
                        return r;
        }
        r = refuse_foreign_backing(fs, vol, rel, format, err);
        return r < 0 ? r : export_guest_view(fs, rel, vol->format, snap, s, err);
}

int filestore_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                            int fd, struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(stream_deinit) Stream s = { 0 };
        char rel[TREE_PATH_MAX];
        TreeAttr attr;
        int r;

        if (!is_exportable(vol, stream_format, with_snapshots))
                return error_set_param(err, -EOPNOTSUPP, "format", "volume \"%s\" cannot be exported as %.32s%s",
                                       vol->volname, stream_format,
                                       with_snapshots ? " with snapshots" : " without snapshots");
        r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);
        if (r == 0)
                r = layout_path(fs, vol, rel, err);
        if (r == 0)
                r = stream_init(&s, fs, fd, err);
        if (r < 0)
                return r;
        r = fs->data->ops->stat(fs->data, rel, &attr);
        if (r == 0 && attr.type != (strcmp(stream_format, "tar+size") == 0 ? TREE_DIR : TREE_FILE))
                r = -EINVAL;
        if (r < 0)
                return store_fail_volume(fs, err, r, "export", vol, rel);
        if (strcmp(stream_format, "tar+size") == 0)
                return export_tar(fs, rel, &s, err);
        if (strcmp(stream_format, "raw+size") == 0)
                return export_raw(fs, vol, rel, snap, &s, err);
        if (snap)
                return error_set_param(err, -EOPNOTSUPP, "snapshot",
                                       "%s carries the image with all its snapshots, not one", stream_format);
        return export_image_file(fs, vol, rel, &s, err);
}
