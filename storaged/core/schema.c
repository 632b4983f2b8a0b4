/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storage types this node knows. At first they are those of the built-in table; each plugin's
 * self-description then replaces, or adds, one type. A Type is never changed once it is in the schema:
 * a plugin makes a new one that takes the old one's place, before any configuration is read against it.
 */
#include "core/schema-parts.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "core/schema-pve.h"
#include "wire/json.h"
#include "wire/volname.h"

const char *const schema_operation_names[SCHEMA_OP_MAX] = {
        "probe",
        "health",
        "repair",
        "list",
        "stat",
        "alloc",
        "free",
        "resize",
        "path",
        "activate_volume",
        "deactivate_volume",
        "holders",
        "snapshot",
        "rollback",
        "delete_snapshot",
        "list_snapshots",
        "clone",
        "template",
        "rename",
        "export_stream",
        "import_stream",
        "upload",
        "set_notes",
        "set_protected",
        "scan",
        "act",
        "get_client",
        "fence",
        "export_difference",
};

const char *const schema_sharing_names[SCHEMA_N_SHARINGS] = { "no", "flag", "always" };
const char *const schema_property_type_names[SCHEMA_N_PROPERTY_TYPES] = { "standard", "string", "integer", "boolean",
                                                                          "enum" };

Type *type_free(Type *t)
{
        TypeEntry *e = (TypeEntry *) t;

        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_features; i++) {
                free(t->features[i].format);
                free(t->features[i].exports);
                free(t->features[i].exports_with_snapshots);
                free(t->features[i].snapshot_method);
        }
        free(t->features);
        free(t->properties);
        free(t->plugin_path);
        json_object_put(t->description);
        for (size_t i = 0; i < e->n_values; i++)
                free(e->values[i]);
        free(e->values);
        free(e);
        return NULL;
}
int property_compare(const void *a, const void *b)
{
        return strcmp(((const Property *) a)->name, ((const Property *) b)->name);
}

static int compare_types(const void *a, const void *b)
{
        return strcmp((*(Type *const *) a)->name, (*(Type *const *) b)->name);
}

const Property *type_find_property(const Type *t, const char *name)
{
        Property key = { .name = name };

        if (t->n_properties == 0)
                return NULL;
        return bsearch(&key, t->properties, t->n_properties, sizeof(key), property_compare);
}

const Property *schema_find_standard(const Schema *s, const char *name)
{
        Property key = { .name = name };

        return bsearch(&key, s->standard, s->n_standard, sizeof(key), property_compare);
}

/* --- the built-in table */

static bool has_word(const char *words, const char *word, size_t len)
{
        for (const char *s = words; s && *s;) {
                size_t n = strcspn(s, " ");

                if (n == len && memcmp(s, word, len) == 0)
                        return true;
                s += n + (s[n] == ' ');
        }
        return false;
}

/* Appends the standard properties named in `words`; there is room. A word without one is a bug in the table. */
static int add_standard(Type *t, const Schema *s, const char *words, uint32_t flags, const char *secrets)
{
        while (words && *words) {
                size_t n = strcspn(words, " ");
                const Property *p;
                char name[64];

                if (n >= sizeof(name) || t->n_properties == PROPERTIES_MAX)
                        return -ENOTRECOVERABLE;
                memcpy(name, words, n);
                name[n] = '\0';
                p = schema_find_standard(s, name);
                if (!p)
                        return -ENOTRECOVERABLE;
                t->properties[t->n_properties] = *p;
                t->properties[t->n_properties++].flags =
                        flags | (has_word(secrets, name, n) ? (uint32_t) STORAGED_PROPERTY_SECRET : 0);
                words += n + (words[n] == ' ');
        }
        return 0;
}

static uint32_t mask_of_words(const char *words, uint32_t (*from_string)(const char *))
{
        uint32_t mask = 0;

        while (words && *words) {
                size_t n = strcspn(words, " ");
                char word[16] = "";

                if (n < sizeof(word)) {
                        memcpy(word, words, n);
                        mask |= from_string(word);
                }
                words += n + (words[n] == ' ');
        }
        return mask;
}

static int type_new_builtin(Type **ret, const Schema *s, const PveType *pve)
{
        AUTO(type_freep) Type *t = calloc(1, sizeof(TypeEntry));
        char first[16] = "";
        int r;

        if (!t)
                return -ENOMEM;
        t->name = pve->name;
        t->summary = pve->summary;
        t->version = "";
        t->naming = pve->naming;
        t->sharing = pve->sharing;
        t->contents = mask_of_words(pve->contents, content_from_string);
        t->default_contents = mask_of_words(pve->default_contents, content_from_string);
        t->formats = mask_of_words(pve->formats, format_from_string);
        memcpy(first, pve->formats, strcspn(pve->formats, " "));
        t->default_format = format_from_string(first);
        t->properties = calloc(PROPERTIES_MAX, sizeof(*t->properties));
        if (!t->properties)
                return -ENOMEM;
        r = add_standard(t, s, pve->required_fixed, STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED, pve->secrets);
        if (r == 0)
                r = add_standard(t, s, pve->required, STORAGED_PROPERTY_REQUIRED, pve->secrets);
        if (r == 0)
                r = add_standard(t, s, pve->fixed, STORAGED_PROPERTY_FIXED, pve->secrets);
        if (r == 0)
                r = add_standard(t, s, pve->optional, 0, pve->secrets);
        if (r < 0)
                return r;
        qsort(t->properties, t->n_properties, sizeof(*t->properties), property_compare);

        *ret = TAKE(t);
        return 0;
}

static void fill_standard(Schema *s)
{
        for (const struct storaged_property *p = pve_properties; p->name && s->n_standard < LENGTH(s->standard); p++)
                s->standard[s->n_standard++] = (Property){
                        .name = p->name,
                        .type = p->type,
                        .format = p->format,
                        .min = p->min,
                        .max = p->max,
                        .max_length = p->max_length,
                        .values = p->values,
                        .dflt = p->dflt,
                        .description = p->description,
                };
        qsort(s->standard, s->n_standard, sizeof(*s->standard), property_compare);
}

int schema_new(Schema **ret)
{
        AUTO(schema_freep) Schema *s = calloc(1, sizeof(*s));
        size_t n = 0;

        if (!s)
                return -ENOMEM;
        fill_standard(s);
        while (pve_types[n].name)
                n++;
        s->types = calloc(n, sizeof(*s->types));
        if (!s->types)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = type_new_builtin(&s->types[s->n_types], s, &pve_types[i]);

                if (r < 0)
                        return r;
                s->n_types++;
        }
        qsort(s->types, s->n_types, sizeof(*s->types), compare_types);

        *ret = TAKE(s);
        return 0;
}

Schema *schema_free(Schema *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_types; i++)
                type_free(s->types[i]);
        free(s->types);
        free(s->plugin_dir);
        free(s);
        return NULL;
}

int schema_set_plugin_dir(Schema *s, const char *dir)
{
        char *copy = strdup(dir);

        if (!copy)
                return -ENOMEM;
        free(s->plugin_dir);
        s->plugin_dir = copy;
        return 0;
}

const char *schema_get_plugin_dir(const Schema *s)
{
        return s->plugin_dir ? s->plugin_dir : "";
}

int schema_add_plugin(Schema *s, const char *plugin_path, json_object *description, struct storaged_error *err)
{
        AUTO(type_freep) Type *t = NULL;
        Type **types;
        int r;

        if (!json_object_is_type(description, json_type_object))
                return error_set(err, -EINVAL, "plugin %s can't be used: its description is not a JSON object",
                                 plugin_path);
        r = type_new_plugin(&t, s, plugin_path, description, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_types; i++) {
                if (!str_eq(s->types[i]->name, t->name))
                        continue;
                if (s->types[i]->has_plugin)
                        return error_set(err, -EEXIST, "plugin %s is not used: type '%s' is already provided by %s",
                                         plugin_path, t->name, s->types[i]->plugin_path);
                type_free(s->types[i]);
                s->types[i] = TAKE(t);
                return 0;
        }
        types = reallocarray(s->types, s->n_types + 1, sizeof(*types));
        if (!types)
                return -ENOMEM;
        s->types = types;
        s->types[s->n_types++] = TAKE(t);
        qsort(s->types, s->n_types, sizeof(*s->types), compare_types);
        return 0;
}

/* --- questions */

const Type *schema_find(const Schema *s, const char *type)
{
        for (size_t i = 0; i < s->n_types; i++)
                if (str_eq(s->types[i]->name, type))
                        return s->types[i];
        return NULL;
}

const Type *const *schema_get_types(const Schema *s, size_t *ret_n)
{
        *ret_n = s->n_types;
        return (const Type *const *) s->types;
}

bool type_has_op(const Type *t, unsigned op)
{
        return op < SCHEMA_OP_MAX && (t->operations & (UINT32_C(1) << op));
}

json_object *type_find_action(const Type *t, const char *name)
{
        for (size_t i = 0; t->actions && i < json_object_array_length(t->actions); i++) {
                json_object *a = json_object_array_get_idx(t->actions, i);

                if (str_eq(json_get_string(a, "name"), name))
                        return a;
        }
        return NULL;
}

const Feature *type_find_feature(const Type *t, const char *format, bool is_base)
{
        for (size_t i = 0; i < t->n_features; i++)
                if (t->features[i].is_base == is_base && str_eq(t->features[i].format, format))
                        return &t->features[i];
        return NULL;
}
