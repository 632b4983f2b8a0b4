/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin's self-description (host/describe.c writes it, docs/protocol.md shows it) becomes a Type. Nothing in it is
 * believed: what is missing or not known makes the whole plugin unusable, with a sentence that names what it was.
 * Strings of the type live in the description, which the type keeps.
 */
#include "core/schema-parts.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"
#include "wire/volname.h"

static const char *const feature_names[] = {
        "snapshot", "clone", "template", "copy", "sparseinit", "rename", "resize"
};

static size_t find_word(const char *const *words, size_t n, const char *word)
{
        size_t i;

        for (i = 0; i < n; i++)
                if (str_eq(words[i], word))
                        break;
        return i;
}

static int unusable(struct storaged_error *err, const char *path, const char *what, const char *name)
{
        return error_set(err, -EINVAL, "plugin %s can't be used: %s '%.64s' in its description is missing or not valid",
                         path, what, name ? name : "");
}

/* An array of words as a mask; -EINVAL if one of them is not known. */
static int mask_of_array(json_object *array, uint32_t (*from_string)(const char *), uint32_t *ret)
{
        uint32_t mask = 0;

        if (!json_object_is_type(array, json_type_array))
                return -EINVAL;
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                json_object *word = json_object_array_get_idx(array, i);
                uint32_t bit =
                        json_object_is_type(word, json_type_string) ? from_string(json_object_get_string(word)) : 0;

                if (bit == 0)
                        return -EINVAL;
                mask |= bit;
        }
        *ret = mask;
        return 0;
}

static uint32_t feature_from_string(const char *s)
{
        size_t i = find_word(feature_names, LENGTH(feature_names), s);

        return i < LENGTH(feature_names) ? UINT32_C(1) << i : 0;
}

/* The words of an array as a NULL-terminated array that the type owns; they borrow from the description. */
static int take_values(TypeEntry *e, json_object *array, const char *const **ret)
{
        size_t n = json_object_array_length(array);
        const char **values, ***all;

        all = reallocarray(e->values, e->n_values + 1, sizeof(*all));
        if (!all)
                return -ENOMEM;
        e->values = all;
        values = calloc(n + 1, sizeof(*values));
        if (!values)
                return -ENOMEM;
        e->values[e->n_values++] = values;
        for (size_t i = 0; i < n; i++) {
                json_object *word = json_object_array_get_idx(array, i);

                if (!json_object_is_type(word, json_type_string))
                        return -EINVAL;
                values[i] = json_object_get_string(word);
        }
        *ret = values;
        return 0;
}

static bool is_property_name(const char *s)
{
        size_t n = s ? strlen(s) : 0;

        return n > 0 && n < STORAGED_ERROR_PARAM && s[0] >= 'a' && s[0] <= 'z' &&
               strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n &&
               !str_eq(s, "storage") && !str_eq(s, "type") && !str_eq(s, "digest") && !str_eq(s, "delete");
}

/* One declared property; -EINVAL if it makes no sense. */
static int read_property(TypeEntry *e, const Schema *s, json_object *o, Property *ret)
{
        const char *name = json_get_string(o, "name"), *type = json_get_string(o, "type"), *text;
        json_object *values = json_get(o, "values");
        Property p = { 0 };
        int r;

        if (!is_property_name(name) || !type)
                return -EINVAL;
        p.type = (uint32_t) find_word(schema_property_type_names, SCHEMA_N_PROPERTY_TYPES, type);
        if (p.type == SCHEMA_N_PROPERTY_TYPES)
                return -EINVAL;
        if (p.type == STORAGED_PROPERTY_STANDARD) {
                const Property *standard = schema_find_standard(s, name);

                if (!standard)
                        return -EINVAL;
                p = *standard;
        } else {
                p.name = name;
                p.format = json_get_string(o, "format");
                p.min = json_get_int(o, "min", 0);
                p.max = json_get_int(o, "max", 0);
                p.max_length = (uint32_t) json_get_int(o, "max-length", 0);
                p.description = "";
                if (values && json_object_is_type(values, json_type_array)) {
                        r = take_values(e, values, &p.values);
                        if (r < 0)
                                return r;
                }
                if ((p.type == STORAGED_PROPERTY_ENUM && !p.values) || p.min > p.max)
                        return -EINVAL;
        }
        text = json_get_string(o, "default");
        p.dflt = text ? text : p.dflt;
        text = json_get_string(o, "description");
        p.description = text ? text : p.description;
        p.flags = (json_get_bool(o, "required", false) ? (uint32_t) STORAGED_PROPERTY_REQUIRED : 0) |
                  (json_get_bool(o, "fixed", false) ? (uint32_t) STORAGED_PROPERTY_FIXED : 0) |
                  (json_get_bool(o, "secret", false) ? (uint32_t) STORAGED_PROPERTY_SECRET : 0);
        *ret = p;
        return 0;
}

static int read_properties(TypeEntry *e, const Schema *s, const char *path, json_object *d, struct storaged_error *err)
{
        /* What every definition may have, whether or not the plugin says so: the daemon's own business. */
        static const char *const implied[] = { "content", "disable", "nodes", "shared" };
        json_object *array = json_get(d, "properties");
        Type *t = &e->type;
        size_t n;
        int r;

        if (array && !json_object_is_type(array, json_type_array))
                return unusable(err, path, "the list", "properties");
        n = array ? json_object_array_length(array) : 0;
        if (n > PROPERTIES_MAX)
                return unusable(err, path, "the size of the list", "properties");
        t->properties = calloc(n + LENGTH(implied), sizeof(*t->properties));
        if (!t->properties)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *o = json_object_array_get_idx(array, i);

                r = read_property(e, s, o, &t->properties[t->n_properties]);
                if (r < 0)
                        return r == -ENOMEM ? r : unusable(err, path, "property", json_get_string(o, "name"));
                t->n_properties++;
        }
        qsort(t->properties, t->n_properties, sizeof(*t->properties), property_compare);
        for (size_t i = 1; i < t->n_properties; i++)
                if (str_eq(t->properties[i - 1].name, t->properties[i].name))
                        return unusable(err, path, "the repeated property", t->properties[i].name);
        for (size_t i = 0, declared = t->n_properties; i < LENGTH(implied); i++) {
                Property key = { .name = implied[i] };

                if (str_eq(implied[i], "shared") && t->sharing != STORAGED_SHARED_FLAG)
                        continue;
                if (!bsearch(&key, t->properties, declared, sizeof(key), property_compare))
                        t->properties[t->n_properties++] = *schema_find_standard(s, implied[i]);
        }
        qsort(t->properties, t->n_properties, sizeof(*t->properties), property_compare);
        return 0;
}

/* The words of an array, joined by blanks; "" if there is none. NULL if out of memory. */
static char *join_array(json_object *array)
{
        StrBuf b = STRBUF_INIT;

        for (size_t i = 0; json_object_is_type(array, json_type_array) && i < json_object_array_length(array); i++) {
                if (i > 0)
                        strbuf_addc(&b, ' ');
                strbuf_adds(&b, json_object_get_string(json_object_array_get_idx(array, i)));
        }
        return strbuf_take(&b);
}

static int read_feature(json_object *o, Feature *f)
{
        const char *format = json_get_string(o, "format"), *method = json_get_string(o, "snapshot-method");

        if (!format || mask_of_array(json_get(o, "current"), feature_from_string, &f->current) < 0 ||
            mask_of_array(json_get(o, "snap"), feature_from_string, &f->snap) < 0)
                return -EINVAL;
        f->is_base = json_get_bool(o, "base", false);
        f->format = strdup(format);
        f->exports = join_array(json_get(o, "exports"));
        f->exports_with_snapshots = join_array(json_get(o, "exports-with-snapshots"));
        f->snapshot_method = strdup(method ? method : "storage");
        return f->format && f->exports && f->exports_with_snapshots && f->snapshot_method ? 0 : -ENOMEM;
}

static int read_features(Type *t, const char *path, json_object *d, struct storaged_error *err)
{
        json_object *array = json_get(d, "features");
        size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;

        if (n == 0)
                return 0;
        t->features = calloc(n, sizeof(*t->features));
        if (!t->features)
                return -ENOMEM;
        t->n_features = n; /* those not filled yet are zeroes: safe to free */
        for (size_t i = 0; i < n; i++) {
                json_object *o = json_object_array_get_idx(array, i);
                int r = read_feature(o, &t->features[i]);

                if (r < 0)
                        return r == -ENOMEM ? r : unusable(err, path, "feature row", json_get_string(o, "format"));
        }
        return 0;
}

static void read_operations(Type *t, json_object *d)
{
        json_object *array = json_get(d, "operations");

        for (size_t i = 0; json_object_is_type(array, json_type_array) && i < json_object_array_length(array); i++) {
                const char *word = json_object_get_string(json_object_array_get_idx(array, i));
                size_t op = word ? find_word(schema_operation_names, SCHEMA_OP_MAX, word) : SCHEMA_OP_MAX;

                /* Words of a newer contract are not ours to use. */
                if (op < SCHEMA_OP_MAX)
                        t->operations |= UINT32_C(1) << op;
                else if (str_eq(word, "check_config"))
                        t->has_check_config = true;
                else if (str_eq(word, "identify"))
                        t->has_identify = true;
        }
}

static int read_masks(Type *t, const char *path, json_object *d, struct storaged_error *err)
{
        const char *naming = json_get_string(d, "naming"), *sharing = json_get_string(d, "sharing"),
                   *format = json_get_string(d, "default-format");

        t->naming = naming ? naming_from_string(naming) : 0;
        if (t->naming == 0)
                return unusable(err, path, "naming", naming);
        t->sharing = (uint32_t) find_word(schema_sharing_names, SCHEMA_N_SHARINGS, sharing);
        if (t->sharing == SCHEMA_N_SHARINGS)
                return unusable(err, path, "sharing", sharing);
        if (mask_of_array(json_get(d, "contents"), content_from_string, &t->contents) < 0 || t->contents == 0)
                return unusable(err, path, "the list", "contents");
        if (mask_of_array(json_get(d, "default-contents"), content_from_string, &t->default_contents) < 0 ||
            (t->default_contents & ~t->contents))
                return unusable(err, path, "the list", "default-contents");
        if (mask_of_array(json_get(d, "formats"), format_from_string, &t->formats) < 0)
                return unusable(err, path, "the list", "formats");
        t->default_format = format ? format_from_string(format) : 0;
        if (t->formats && !(t->default_format & t->formats))
                return unusable(err, path, "default-format", format);
        return 0;
}

static bool is_type_name(const char *s)
{
        size_t n = s ? strlen(s) : 0;

        return n > 0 && n < 64 && s[0] >= 'a' && s[0] <= 'z' &&
               strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

int type_new_plugin(Type **ret, const Schema *s, const char *path, json_object *d, struct storaged_error *err)
{
        AUTO(type_freep) Type *t = calloc(1, sizeof(TypeEntry));
        const char *text;
        int r;

        if (!t)
                return -ENOMEM;
        t->description = json_object_get(d);
        t->plugin_path = strdup(path);
        if (!t->plugin_path)
                return -ENOMEM;
        if (json_get_int(d, "abi", 0) != STORAGED_PLUGIN_ABI)
                return unusable(err, path, "abi", "");
        t->name = json_get_string(d, "name");
        if (!is_type_name(t->name))
                return unusable(err, path, "name", t->name);
        text = json_get_string(d, "summary");
        t->summary = text ? text : "";
        text = json_get_string(d, "version");
        t->version = text ? text : "";
        t->has_plugin = true;
        t->is_probed = json_get_bool(d, "probed", false);
        r = read_masks(t, path, d, err);
        if (r == 0)
                r = read_properties((TypeEntry *) t, s, path, d, err);
        if (r == 0)
                r = read_features(t, path, d, err);
        if (r < 0)
                return r;
        read_operations(t, d);
        t->scan = json_object_is_type(json_get(d, "scan"), json_type_object) ? json_get(d, "scan") : NULL;
        t->actions = json_object_is_type(json_get(d, "actions"), json_type_array) ? json_get(d, "actions") : NULL;

        *ret = TAKE(t);
        return 0;
}
