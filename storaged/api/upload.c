/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An upload on its way in. The file may be larger than memory, so it goes to the spool piece by piece; the fields
 * beside it are small and become parameters like any others. A failure in the middle can't be answered before the
 * body is over (HTTP/1.1 with libmicrohttpd), so the first one is kept, the spool file removed at once, and what
 * still comes is dropped. Invariant: while an Upload owns a path, the file there is ours and of mode 0600.
 */
#include "api/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/nettle-meta.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/http.h"
#include "wire/json.h"

#define UPLOAD_DIGEST_MAX 64
#define UPLOAD_FIELD_MAX PARAM_LENGTH_MAX

struct Upload {
        char *path; /* owned with the file behind it; NULL: none, or handed over */
        int fd;
        uint64_t size;
        char *file_name; /* normalised; set once the file part has begun */
        Params fields;
        char *field_name; /* the field that is coming in */
        StrBuf field;
        const struct nettle_hash *hash; /* NULL: no algorithm was named before the file */
        void *hash_context;
        struct storaged_error err; /* the first failure */
};

static int spool_directory(const Paths *paths, char **ret)
{
        return str_printf(ret, "%s/upload", paths->lib);
}

void upload_clean_spool(const Paths *paths)
{
        AUTO(freep) char *directory = NULL;
        struct dirent *entry;
        DIR *d;

        if (spool_directory(paths, &directory) < 0)
                return;
        d = opendir(directory);
        if (!d)
                return;
        while ((entry = readdir(d)))
                if (str_skip(entry->d_name, "spool-"))
                        (void) unlinkat(dirfd(d), entry->d_name, 0); /* what can't be removed is in nobody's way */
        (void) closedir(d);
}

int upload_new(Upload **ret, const Paths *paths, uint64_t length, struct storaged_error *err)
{
        AUTO(upload_freep) Upload *u = calloc(1, sizeof(*u));
        AUTO(freep) char *directory = NULL;
        struct statvfs fs;
        int r;

        if (!u)
                return -ENOMEM;
        u->fd = -EBADF;
        r = spool_directory(paths, &directory);
        if (r >= 0)
                r = fs_mkdir_p(directory, 0700);
        if (r < 0)
                return error_set(err, r, "can't make the spool directory below %s: %s", paths->lib, strerror(-r));
        if (length > 0 && statvfs(directory, &fs) == 0 && (uint64_t) fs.f_bavail * fs.f_frsize < length)
                return error_set(err, -ENOSPC, "the upload has %llu bytes, but %s has only %llu free",
                                 (unsigned long long) length, directory,
                                 (unsigned long long) fs.f_bavail * fs.f_frsize);
        r = str_printf(&u->path, "%s/spool-XXXXXX", directory);
        if (r < 0)
                return r;
        u->fd = mkostemp(u->path, O_CLOEXEC); /* mode 0600 */
        if (u->fd < 0) {
                r = -errno;
                free(TAKE(u->path));
                return error_set(err, r, "can't make a spool file in %s: %s", directory, strerror(-r));
        }
        *ret = TAKE(u);
        return 0;
}

static void remove_spool(Upload *u)
{
        if (u->path)
                (void) unlink(u->path); /* nothing can be done about a failure; the next start cleans up */
        free(TAKE(u->path));
        closep(&u->fd);
        u->fd = -EBADF;
}

Upload *upload_free(Upload *u)
{
        if (!u)
                return NULL;
        remove_spool(u);
        free(u->file_name);
        free(u->field_name);
        strbuf_deinit(&u->field);
        params_deinit(&u->fields);
        free(u->hash_context);
        free(u);
        return NULL;
}

void upload_fail(Upload *u, int code, const char *param, const char *text)
{
        if (u->err.code < 0)
                return;
        (void) error_set_param(&u->err, code, param, "%s", text);
        remove_spool(u);
}

/* The field that has been coming in is whole. */
static void end_field(Upload *u)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *value = u->field.data ? u->field.data : "";
        int r;

        if (!u->field_name || u->err.code < 0)
                return;
        if (strbuf_error(&u->field) < 0)
                upload_fail(u, -ENOMEM, NULL, "out of memory");
        else if (!json_is_utf8(value, u->field.len))
                upload_fail(u, -EINVAL, u->field_name, "is not UTF-8 text, or holds a NUL byte");
        r = u->err.code < 0 ? 0 : params_add(&u->fields, u->field_name, value, &err);
        if (r < 0)
                upload_fail(u, r, err.param, err.text);
        free(TAKE(u->field_name));
        strbuf_deinit(&u->field);
}

static void take_field(Upload *u, const char *name, const char *data, uint64_t offset, size_t len)
{
        if (offset == 0 && (!u->field_name || !str_eq(u->field_name, name) || u->field.len > 0)) {
                end_field(u);
                u->field_name = strdup(name);
                if (!u->field_name)
                        upload_fail(u, -ENOMEM, NULL, "out of memory");
        }
        if (u->field.len + len > UPLOAD_FIELD_MAX)
                upload_fail(u, -EINVAL, name, "is too long");
        else
                strbuf_add(&u->field, data, len);
}

static void begin_hash(Upload *u)
{
        const char *algorithm = params_get(&u->fields, "checksum-algorithm");

        u->hash = algorithm ? nettle_lookup_hash(algorithm) : NULL;
        if (!u->hash)
                return;
        u->hash_context = malloc(u->hash->context_size);
        if (!u->hash_context) {
                upload_fail(u, -ENOMEM, NULL, "out of memory");
                return;
        }
        u->hash->init(u->hash_context);
}

static void begin_file(Upload *u, const char *name, const char *file_name)
{
        int r;

        end_field(u);
        if (u->file_name) {
                upload_fail(u, -EINVAL, name, "only one file can be sent in one request");
                return;
        }
        if (!str_eq(name, "filename")) {
                upload_fail(u, -EINVAL, name, "the file must come in the part 'filename'");
                return;
        }
        r = json_is_utf8(file_name, strlen(file_name)) ? http_normalize_filename(file_name, &u->file_name) : -EINVAL;
        if (r < 0)
                upload_fail(u, -EINVAL, "filename", "is not the name of a file, or too long");
        else
                begin_hash(u);
}

static void take_file(Upload *u, const char *data, size_t len)
{
        int r = fs_write_all(u->fd, data, len);

        if (r == -ENOSPC || r == -EDQUOT)
                upload_fail(u, -ENOSPC, NULL, "no space left for the upload in the spool directory");
        else if (r < 0)
                upload_fail(u, r, NULL, "can't write to the spool file of the upload");
        if (u->err.code < 0)
                return;
        u->size += len;
        if (u->hash_context)
                u->hash->update(u->hash_context, len, (const uint8_t *) data);
}

void upload_take(Upload *u, const char *name, const char *file_name, const char *data, uint64_t offset, size_t len)
{
        if (u->err.code < 0)
                return;
        if (!name || !*name) {
                upload_fail(u, -EINVAL, NULL, "a part of the body has no name");
                return;
        }
        if (!file_name) {
                take_field(u, name, data, offset, len);
                return;
        }
        if (offset == 0)
                begin_file(u, name, file_name);
        if (u->err.code >= 0 && len > 0)
                take_file(u, data, len);
}

int upload_finish(Upload *u, Params *params, struct storaged_error *err)
{
        int r = 0;

        end_field(u);
        if (u->err.code >= 0 && !u->file_name)
                upload_fail(u, -EINVAL, "filename", "the file is missing in the body");
        if (u->err.code < 0) {
                *err = u->err;
                return err->code;
        }
        for (size_t i = 0; r >= 0 && i < u->fields.n; i++)
                r = params_add(params, u->fields.items[i].name, u->fields.items[i].value, err);
        return r < 0 ? r : params_add(params, "filename", u->file_name, err);
}

int upload_verify(const Upload *u, const char *algorithm, const char *checksum, struct storaged_error *err)
{
        uint8_t digest[UPLOAD_DIGEST_MAX];
        char hex[UPLOAD_DIGEST_MAX * 2 + 1] = "";

        if (!u->hash || !u->hash_context || !str_eq(u->hash->name, algorithm))
                return error_set_param(err, -EINVAL, "checksum-algorithm", "must come before the file in the body");
        u->hash->digest(u->hash_context, u->hash->digest_size, digest);
        for (size_t i = 0; i < u->hash->digest_size; i++)
                (void) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        if (strcasecmp(hex, checksum) != 0)
                return error_set_param(err, -EINVAL, "checksum",
                                       "the file's %s is %s, not %s: it was damaged on the way", algorithm, hex,
                                       checksum);
        return 0;
}

const char *upload_get_path(const Upload *u)
{
        return u->path;
}

uint64_t upload_get_size(const Upload *u)
{
        return u->size;
}

void upload_hand_over(Upload *u)
{
        free(TAKE(u->path));
        closep(&u->fd);
        u->fd = -EBADF;
}
