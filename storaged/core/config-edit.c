/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Edits of storage.cfg: each checks all there is to check, then gives the whole new text. The snapshot
 * it starts from stays as it is, so an edit that fails, or whose text is never written, has not happened.
 */
#include "core/config-parts.h"

#include <errno.h>
#include <string.h>

#include "wire/volname.h"

typedef struct Edit {
        const Type *type;
        const char *id;
        const StorageConfig *old; /* NULL: a new storage */
        const struct storaged_pair *pairs;
        size_t n_pairs;
        const StrList *remove; /* or NULL */
} Edit;

/* What a caller typed, in a sentence. */
typedef struct Shown {
        char text[84];
} Shown;

static Shown show(const char *s)
{
        Shown r;

        (void) str_show(s, strnlen(s, sizeof(r.text)), r.text, sizeof(r.text));
        return r;
}

static const struct storaged_pair *find_given(const Edit *e, const char *key)
{
        for (size_t i = 0; i < e->n_pairs; i++)
                if (str_eq(e->pairs[i].key, key))
                        return &e->pairs[i];
        return NULL;
}

/* Content words the type has, and `none` alone. `value` is sorted, with commas between. */
static int check_contents(const Edit *e, const char *value, struct storaged_error *err)
{
        StrList words = STRLIST_INIT;
        int r;

        r = strlist_split(&words, value, ",");
        for (size_t i = 0; r == 0 && i < words.n; i++) {
                uint32_t bit = content_from_string(words.items[i]);

                if (!(bit & e->type->contents))
                        r = error_set_param(err, -EINVAL, "content",
                                            "content type '%s' is not supported by storage type '%s'", words.items[i],
                                            e->type->name);
                else if (bit == STORAGED_CONTENT_NONE && words.n > 1)
                        r = error_set_param(err, -EINVAL, "content", "content 'none' can't stand with other contents");
        }
        strlist_deinit(&words);
        return r;
}

/* Rules of a value that the property alone does not know. `value` is normalised. */
static int check_meaning(const Edit *e, const char *key, const char *value, struct storaged_error *err)
{
        static const char path_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@/";

        if (str_eq(key, "content"))
                return check_contents(e, value, err);
        if (str_eq(key, "format") && !(format_from_string(value) & e->type->formats))
                return error_set_param(err, -EINVAL, "format", "format '%s' is not supported by storage type '%s'",
                                       value, e->type->name);
        if (str_eq(key, "nodes") && str_eq(e->id, CONFIG_LOCAL_ID))
                return error_set_param(err, -EINVAL, "nodes",
                                       "storage 'local' exists on every node: it can't be restricted to some");
        if (str_eq(key, "path") && (str_eq(e->type->name, "dir") || str_eq(e->type->name, "btrfs")) &&
            (value[1] == '\0' || strspn(value, path_characters) != strlen(value)))
                return error_set_param(
                        err, -EINVAL, "path",
                        "path '%s' is not valid: expected '/', then letters, digits and '-', '_', '.', '@', '/'",
                        show(value).text);
        return 0;
}

/* The given pairs, judged and in the form the file has, into `s`. */
static int take_pairs(const Edit *e, StorageConfig *s, struct storaged_error *err)
{
        for (size_t i = 0; i < e->n_pairs; i++) {
                const char *key = e->pairs[i].key;
                const Property *p = type_find_property(e->type, key);
                AUTO(freep) char *value = NULL;
                int r;

                if (!p)
                        return error_set_param(err, -EINVAL, show(key).text, "storage type '%s' has no property '%s'",
                                               e->type->name, show(key).text);
                if (find_given(e, key) != &e->pairs[i])
                        return error_set_param(err, -EINVAL, key, "property '%s' is given twice", key);
                if (p->flags & STORAGED_PROPERTY_SECRET)
                        return error_set_param(err, -EINVAL, key,
                                               "property '%s' is a secret: it does not belong in storage.cfg", key);
                if (e->old && (p->flags & STORAGED_PROPERTY_FIXED) &&
                    (storage_config_get(e->old, key) || !(p->flags & STORAGED_PROPERTY_REQUIRED)))
                        return error_set_param(err, -EINVAL, key,
                                               "property '%s' of storage '%s' is set when it is created and can't "
                                               "be changed: remove the storage and add it anew",
                                               key, e->id);
                if (e->remove && strlist_has(e->remove, key))
                        return error_set_param(err, -EINVAL, "delete", "property '%s' can't be set and deleted at once",
                                               key);
                r = property_normalize(p, e->pairs[i].value, &value, err);
                if (r == 0)
                        r = check_meaning(e, key, value, err);
                if (r == 0)
                        r = storage_config_add(s, key, value, 0, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Shares and file systems from elsewhere have a place of their own. */
static int add_default_path(const Edit *e, StorageConfig *s)
{
        static const char *const types[] = { "nfs", "cifs", "cephfs" };

        if (find_given(e, "path") || !type_find_property(e->type, "path"))
                return 0;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                AUTO(freep) char *path = NULL;

                if (!str_eq(e->type->name, types[i]))
                        continue;
                if (str_printf(&path, "/mnt/pve/%s", e->id) < 0)
                        return -ENOMEM;
                return storage_config_add(s, "path", path, 0, 0);
        }
        return 0;
}

static int check_required(const StorageConfig *s, struct storaged_error *err)
{
        for (size_t i = 0; i < s->type->n_properties; i++) {
                const Property *p = &s->type->properties[i];

                if ((p->flags & STORAGED_PROPERTY_REQUIRED) && !(p->flags & STORAGED_PROPERTY_SECRET) &&
                    !storage_config_get(s, p->name))
                        return error_set_param(err, -EINVAL, p->name,
                                               "property '%s' is missing: a storage of type '%s' needs it", p->name,
                                               s->type->name);
        }
        if (s->broken)
                return error_set_param(err, -EINVAL, "content", "storage '%s' can't be used: %s", s->id, s->broken);
        return 0;
}

/* The snapshot's text with `replaced` (or nothing) in the place of `old`; without `old`, `replaced` comes last. */
static int write_all(const Config *c, const StorageConfig *old, const StorageConfig *replaced, bool is_new, char **ret)
{
        StrBuf b = STRBUF_INIT;
        bool is_written = false;
        char *text;

        for (size_t i = 0; i < c->n_storages; i++) {
                const StorageConfig *s = c->storages[i];

                if (s->line == 0) /* the implied one */
                        continue;
                if (s != old) {
                        storage_config_write(s->in_file ? s->in_file : s, false, &b);
                } else if (replaced) {
                        storage_config_write(replaced, is_new, &b);
                        is_written = true;
                }
        }
        if (replaced && !is_written)
                storage_config_write(replaced, is_new, &b);
        text = strbuf_take(&b);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

static int refuse_type(const Schema *schema, const char *type, struct storaged_error *err)
{
        AUTO(strbuf_deinit) StrBuf known = STRBUF_INIT;
        size_t n = 0;
        const Type *const *types = schema_get_types(schema, &n);

        for (size_t i = 0; i < n; i++)
                if (types[i]->has_plugin)
                        strbuf_addf(&known, "%s%s", known.len ? ", " : "", types[i]->name);
        return error_set_param(err, -EINVAL, "type", "storage type '%s' is not known; here are plugins for %s",
                               show(type).text, known.len ? known.data : "none");
}

int config_add(const Config *c, const Schema *schema, const char *type, const char *id,
               const struct storaged_pair *pairs, size_t n_pairs, char **ret_text, struct storaged_error *err)
{
        Edit e = { .type = schema_find(schema, type), .id = id, .pairs = pairs, .n_pairs = n_pairs };
        AUTO(storage_config_freep) StorageConfig *s = NULL;
        const char *dir = schema_get_plugin_dir(schema);
        int r;

        if (!e.type)
                return refuse_type(schema, type, err);
        if (!e.type->has_plugin)
                return error_set_param(err, -EOPNOTSUPP, "type",
                                       "storage type '%s' is known but no plugin for it is installed%s%s%s",
                                       e.type->name, *dir ? " (looked in " : "", dir, *dir ? ")" : "");
        if (!storage_id_is_valid(id, strlen(id)))
                return error_set_param(err, -EINVAL, "storage",
                                       "'%s' is not a storage id: expected a letter, then letters, digits, "
                                       "'-', '_' and '.', with a letter or digit last",
                                       show(id).text);
        if (config_find(c, id))
                return error_set_param(err, -EEXIST, "storage",
                                       "storage '%s' is already defined: choose another id, or change it "
                                       "with `pvesm set %s`",
                                       id, id);
        r = storage_config_new(&s, id, e.type->name, e.type, 0);
        if (r == 0)
                r = take_pairs(&e, s, err);
        if (r == 0)
                r = add_default_path(&e, s);
        if (r == 0)
                r = storage_config_finish(s, false);
        if (r == 0)
                r = check_required(s, err);
        if (r < 0)
                return r;
        return write_all(c, NULL, s, true, ret_text);
}

static int check_remove(const Edit *e, struct storaged_error *err)
{
        for (size_t i = 0; e->remove && i < e->remove->n; i++) {
                const char *key = e->remove->items[i];
                const Property *p = type_find_property(e->type, key);

                if (!p && !storage_config_find_pair(e->old, key))
                        return error_set_param(err, -EINVAL, "delete", "storage type '%s' has no property '%s'",
                                               e->type->name, show(key).text);
                if (p && (p->flags & (STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED)))
                        return error_set_param(
                                err, -EINVAL, "delete", "property '%s' of storage '%s' can't be deleted: it is %s", key,
                                e->id, p->flags & STORAGED_PROPERTY_REQUIRED ? "required" : "set at creation only");
        }
        return 0;
}

/* What stays of the old definition. What was filled in becomes explicit, as at any rewrite. */
static int copy_pairs(const Edit *e, StorageConfig *s)
{
        for (size_t i = 0; i < e->old->n_pairs; i++) {
                const ConfigPair *p = &e->old->pairs[i];
                bool is_inert_too = false;
                int r;

                if (find_given(e, p->key) || (e->remove && strlist_has(e->remove, p->key)))
                        continue;
                if (p->is_default) {
                        for (size_t j = 0; j < e->old->n_pairs; j++)
                                is_inert_too |= j != i && str_eq(e->old->pairs[j].key, p->key);
                        if (is_inert_too || str_eq(p->key, "shared"))
                                continue; /* filled in anew */
                }
                r = storage_config_add(s, p->key, p->value, p->line, p->is_unknown ? PAIR_UNKNOWN : 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int config_update(const Config *c, const Schema *schema, const char *id, const struct storaged_pair *pairs,
                  size_t n_pairs, const StrList *remove, char **ret_text, struct storaged_error *err)
{
        AUTO(storage_config_freep) StorageConfig *s = NULL;
        Edit e = { .old = config_find(c, id), .id = id, .pairs = pairs, .n_pairs = n_pairs, .remove = remove };
        bool content_deleted = remove && strlist_has(remove, "content"), had_content;
        int r;

        if (!e.old)
                return error_set_param(err, -ENOENT, "storage", "storage '%s' does not exist", show(id).text);
        e.type = e.old->type ? schema_find(schema, e.old->type_name) : NULL;
        if (!e.type)
                return error_set_param(err, -EOPNOTSUPP, "storage",
                                       "storage '%s' can't be changed: its type '%s' is not known", id,
                                       show(e.old->type_name).text);
        r = check_remove(&e, err);
        if (r == 0)
                r = storage_config_new(&s, id, e.type->name, e.type, e.old->line);
        if (r == 0)
                r = take_pairs(&e, s, err);
        if (r == 0)
                r = copy_pairs(&e, s);
        /* No usable word was there and none is given: it stays so. */
        had_content = e.old->contents != 0 || find_given(&e, "content") || content_deleted;
        if (r == 0)
                r = storage_config_finish(s, !had_content);
        if (r == 0)
                r = check_required(s, err);
        if (r < 0)
                return r;
        return write_all(c, e.old, s, content_deleted, ret_text);
}

int config_remove(const Config *c, const char *id, char **ret_text, struct storaged_error *err)
{
        const StorageConfig *old = config_find(c, id);

        if (!old)
                return error_set_param(err, -ENOENT, "storage", "storage '%s' does not exist", show(id).text);
        for (size_t i = 0; i < c->n_storages; i++) {
                const ConfigPair *base = storage_config_find_pair(c->storages[i], "base");
                const char *volname;
                char base_id[STORAGE_ID_MAX];

                if (base && c->storages[i] != old && volid_split(base->value, base_id, &volname, NULL) == 0 &&
                    str_eq(base_id, id))
                        return error_set_param(err, -EBUSY, "storage",
                                               "storage '%s' is the base of storage '%s': remove that first", id,
                                               c->storages[i]->id);
        }
        return write_all(c, old, NULL, false, ret_text);
}
