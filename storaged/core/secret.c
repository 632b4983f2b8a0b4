/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Secrets of storages, in the files where Proxmox VE's own tools and the kernel's helpers look for them. A property
 * that a plugin of ours declares secret and that is not in the table gets a file of its own by its name.
 * No value leaves this file but into the secret's; copies are wiped.
 */
#include "core/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <storaged/cleanup.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

typedef struct SecretKind {
        const char *type; /* NULL: any */
        const char *key, *dir, *suffix;
        const char *prefix; /* of the file's text */
        bool is_line;       /* one line; else a whole file */
} SecretKind;

static const SecretKind kinds[] = {
        { "cifs", "password", "storage", ".pw", "password=", true }, /* a credentials file of mount.cifs */
        { NULL, "password", "storage", ".pw", "", true },
        { NULL, "encryption-key", "storage", ".enc", "", false },
        { NULL, "master-pubkey", "storage", ".master.pem", "", false },
        { "cephfs", "keyring", "ceph", ".secret", "", false }, /* the key alone, as mount.ceph wants it */
        { NULL, "keyring", "ceph", ".keyring", "", false },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))
static const SecretKind other_kind = { NULL, NULL, "storage", ".secret", "", false };

static const SecretKind *kind_find(const char *type, const char *key)
{
        for (size_t i = 0; i < N_KINDS; i++)
                if (strcmp(kinds[i].key, key) == 0 && (!kinds[i].type || str_eq(kinds[i].type, type)))
                        return &kinds[i];
        return &other_kind;
}

static bool is_word(const char *s, const char *extra)
{
        if (!isalpha((unsigned char) *s))
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char) *s) && !strchr(extra, *s))
                        return false;
        return true;
}

int secret_path(const Paths *p, const char *type, const char *id, const char *key, char **ret)
{
        const SecretKind *k = kind_find(type, key);

        /* A key has no dot, so that no two secrets meet in one file. */
        if (!is_word(id, "-_.") || !is_word(key, "-_"))
                return -EINVAL;
        if (k == &other_kind)
                return str_printf(ret, "%s/%s/%s.%s%s", p->priv, k->dir, id, key, k->suffix);
        return str_printf(ret, "%s/%s/%s%s", p->priv, k->dir, id, k->suffix);
}

static int value_check(const SecretKind *k, const char *key, const char *value, struct storaged_error *err)
{
        size_t n = strlen(value);

        if (n == 0)
                return error_set_param(err, -EINVAL, key, "%s is empty", key);
        if (n > SECRET_MAX)
                return error_set_param(err, -EINVAL, key, "%s is longer than %u bytes", key, SECRET_MAX);
        if (k->is_line && str_has_control(value))
                return error_set_param(err, -EINVAL, key, "%s holds a line break or another control character", key);
        return 0;
}

static int secret_prepare(const Paths *p, const char *path)
{
        AUTO(freep) char *dir = strdup(path);
        int r;

        if (!dir)
                return -ENOMEM;
        *strrchr(dir, '/') = '\0';
        r = fs_mkdir_p(p->cluster, 0755);
        return r < 0 ? r : fs_mkdir_p(dir, 0700);
}

int secret_prepare_file(const Paths *p, const char *type, const char *id, const char *key, char **ret)
{
        AUTO(freep) char *path = NULL;
        int r = secret_path(p, type, id, key, &path);

        if (r >= 0)
                r = secret_prepare(p, path);
        if (r < 0)
                return r;
        *ret = TAKE(path);
        return 0;
}

int secret_store(const Paths *p, const char *type, const char *id, const char *key, const char *value,
                 const Fence *fence, struct storaged_error *err)
{
        const SecretKind *k = kind_find(type, key);
        AUTO(freep) char *path = NULL, *text = NULL;
        int r;

        r = value_check(k, key, value, err);
        if (r < 0)
                return r;
        r = secret_path(p, type, id, key, &path);
        if (r >= 0)
                r = secret_prepare(p, path);
        if (r >= 0)
                r = str_printf(&text, "%s%s%s", k->prefix, value, str_ends_with(value, "\n") ? "" : "\n");
        if (r >= 0)
                r = fs_write_fenced(path, text, strlen(text), 0600, fence);
        if (text)
                explicit_bzero(text, strlen(text));
        if (r < 0)
                return error_set(err, r, "storage '%s': can't keep its %s in %s: %s", id, key, path ? path : p->priv,
                                 fs_strerror(r));
        return 0;
}

int secret_remove(const Paths *p, const char *type, const char *id, const char *key, struct storaged_error *err)
{
        AUTO(freep) char *path = NULL;
        int r = secret_path(p, type, id, key, &path);

        if (r >= 0)
                r = fs_unlink(path);
        if (r < 0)
                return error_set(err, r, "storage '%s': can't remove its %s: %s", id, key, strerror(-r));
        return 0;
}

/* Whether `name` is a secret of that storage, or the rest of a write of one that was killed. */
static bool is_file_of(const char *name, const char *id, const char *dir_name)
{
        const char *rest = str_skip(name, id), *tmp, *dot;
        size_t n;

        if (!rest || *rest != '.')
                return false;
        tmp = strstr(rest, ".tmp.");
        n = tmp ? (size_t) (tmp - rest) : strlen(rest);
        for (size_t i = 0; i < N_KINDS; i++)
                if (strcmp(kinds[i].dir, dir_name) == 0 && strlen(kinds[i].suffix) == n &&
                    strncmp(rest, kinds[i].suffix, n) == 0)
                        return true;
        /* .KEY.secret */
        dot = memchr(rest + 1, '.', n - 1);
        return strcmp(dir_name, other_kind.dir) == 0 && dot && n - (size_t) (dot - rest) == strlen(other_kind.suffix) &&
               strncmp(dot, other_kind.suffix, strlen(other_kind.suffix)) == 0;
}

static void remove_in(const Paths *p, const char *id, const char *dir_name, const Fence *fence)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *dir = NULL;

        if (str_printf(&dir, "%s/%s", p->priv, dir_name) < 0 || fs_list_dir(dir, &names) < 0)
                return;
        for (size_t i = 0; i < names.n; i++) {
                AUTO(freep) char *path = NULL;
                int r;

                if (!is_file_of(names.items[i], id, dir_name))
                        continue;
                r = str_printf(&path, "%s/%s", dir, names.items[i]);
                if (r >= 0)
                        r = fs_unlink_fenced(path, fence);
                if (r < 0)
                        log_warning("storage '%s': can't remove %s/%s: %s", id, dir, names.items[i], fs_strerror(r));
        }
}

void secret_remove_all(const Paths *p, const char *type, const char *id, const Fence *fence)
{
        (void) type; /* a storage id has one type, whatever it was before */
        if (!is_word(id, "-_."))
                return;
        remove_in(p, id, "storage", fence);
        remove_in(p, id, "ceph", fence);
}
