/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that carry data: streams over a descriptor that came with the call or a socket the caller listens on, and
 * files to take in. What is opened here is closed when the call ends (calls.c).
 */
#include "host/call.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "wire/volname.h"

/* --- streams and files */

static int connect_unix(const char *key, const char *path, int *ret, struct storaged_error *err)
{
        AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int r;

        if (fd < 0)
                return -errno;
        if (path[0] != '/' || strlen(path) >= sizeof(a.sun_path))
                return error_set_param(err, -EINVAL, key,
                                       "%s must be unix:// with an absolute path of at most %zu bytes", key,
                                       sizeof(a.sun_path) - 1);
        memcpy(a.sun_path, path, strlen(path) + 1);
        if (connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0) {
                r = -errno;
                return error_set_param(err, r, key, "can't connect to %s: %s", path, strerror(-r));
        }
        *ret = TAKE_FD(fd);
        return 0;
}

/* Where the stream goes or comes from: the descriptor that came along, or the socket named by `key`. */
static int call_stream(Call *c, const char *key, int *ret)
{
        const char *url = json_get_string(c->args, key);
        const char *path = url ? str_skip(url, "unix://") : NULL;
        int r;

        if (c->fd >= 0) {
                *ret = c->fd;
                return 0;
        }
        if (!path)
                return error_set_param(c->err, -EINVAL, key,
                                       "no descriptor came with the call, and %s is no unix:// address", key);
        r = connect_unix(key, path, &c->opened, c->err);
        if (r < 0)
                return r;
        *ret = c->opened;
        return 0;
}

/* A snapshot that the call names by `key`, or NULL. */
static int call_named_snapshot(Call *c, const char *key, const char **ret)
{
        const char *name = NULL;
        int r = json_get(c->args, key) ? args_string(c->args, key, &name, c->err) : 0;

        if (r >= 0 && name && !args_is_snapshot(name))
                r = error_set_param(c->err, -EINVAL, key, "'%.140s' can't name a snapshot", name);
        if (r >= 0)
                *ret = name;
        return r;
}

static int no_differences(Call *c)
{
        return error_set_param(c->err, -EOPNOTSUPP, "base", "type %s has no streams of differences", c->ops->name);
}

int call_export(Call *c)
{
        struct storaged_difference_spec spec = { .size = sizeof(spec) };
        struct storaged_volname vol;
        int fd = -EBADF, r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_stream_format(c->args, &spec.stream_format, c->err);
        if (r >= 0)
                r = args_snapshot(c->args, false, &spec.snapshot, c->err);
        if (r >= 0)
                r = call_named_snapshot(c, "base", &spec.base);
        if (r >= 0 && spec.base && !c->ops->export_difference)
                return no_differences(c);
        if (r >= 0)
                r = call_stream(c, "to", &fd);
        if (r < 0)
                return r;
        spec.with_snapshots = json_get_bool(c->args, "with_snapshots", false);
        return spec.base ? c->ops->export_difference(c->self, &vol, &spec, fd, c->err)
                         : c->ops->export_stream(c->self, &vol, spec.stream_format, spec.snapshot, spec.with_snapshots,
                                                 fd, c->err);
}

/* What the stream brought along and the caller does not want to keep. The volume is whole in any case. */
static int delete_after(Call *c, const char *made, const char *snap)
{
        struct storaged_volname vol;
        int r = volname_parse(c->ops->naming, made, &vol, c->err);

        return r < 0 ? r : c->ops->delete_snapshot(c->self, &vol, snap, c->err);
}

int call_import(Call *c)
{
        struct storaged_import_spec spec = { .size = sizeof(spec) };
        struct storaged_volname vol;
        const char *unwanted = NULL;
        char made[STORAGED_VOLNAME_MAX] = "";
        int fd = -EBADF, r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_stream_format(c->args, &spec.stream_format, c->err);
        if (r >= 0)
                r = call_named_snapshot(c, "base", &spec.base);
        if (r >= 0)
                r = call_named_snapshot(c, "snapshot", &spec.snapshot);
        if (r >= 0)
                r = call_named_snapshot(c, "delete_snapshot", &unwanted);
        if (r >= 0 && spec.base && !c->ops->export_difference)
                return no_differences(c);
        if (r >= 0 && unwanted && !c->ops->delete_snapshot)
                return error_set_param(c->err, -EOPNOTSUPP, "delete-snapshot", "type %s has no snapshots to remove",
                                       c->ops->name);
        if (r >= 0)
                r = call_stream(c, "from", &fd);
        if (r < 0)
                return r;
        spec.volname = vol.volname;
        spec.allow_rename = json_get_bool(c->args, "allow_rename", false);
        spec.with_snapshots = json_get_bool(c->args, "with_snapshots", false);
        r = c->ops->import_stream(c->self, &spec, &vol, fd, made, c->err);
        if (r >= 0 && unwanted)
                r = delete_after(c, made, unwanted);
        return r < 0 ? r : call_reply_volume(c, made);
}

/* The file to take in, by descriptor or by path. */
static int call_upload_file(Call *c, int *ret, uint64_t *ret_bytes)
{
        const char *path = NULL;
        struct stat st;
        int fd = c->fd, r;

        if (fd < 0) {
                r = args_absolute_path(c->args, "path", &path, c->err);
                if (r < 0)
                        return r;
                fd = c->opened = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
                if (fd < 0) {
                        r = -errno;
                        return error_set_param(c->err, r, "path", "can't open %s: %s", path, strerror(-r));
                }
        }
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return error_set_param(c->err, -EINVAL, "path", "%s is not a regular file",
                                       path ? path : "the descriptor");
        *ret = fd;
        *ret_bytes = (uint64_t) st.st_size;
        return 0;
}

int call_upload(Call *c)
{
        struct storaged_upload_spec spec = { .size = sizeof(spec) };
        const char *content = NULL;
        char made[STORAGED_VOLNAME_MAX] = "";
        int r;

        r = args_string(c->args, "content", &content, c->err);
        if (r < 0)
                return r;
        spec.content = content_from_string(content);
        if (!(spec.content & c->ops->contents & ~(uint32_t) (STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR)))
                return error_set_param(c->err, -EINVAL, "content", "type %s takes no files of content '%.32s'",
                                       c->ops->name, content);
        r = args_name(c->args, "filename", &spec.filename, c->err);
        if (r < 0)
                return r;
        if (!spec.filename)
                return error_set_param(c->err, -EINVAL, "filename", "filename is missing");
        r = call_upload_file(c, &spec.fd, &spec.bytes);
        if (r >= 0)
                r = c->ops->upload(c->self, &spec, made, c->err);
        return r < 0 ? r : call_reply_volume(c, made);
}
