/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storage types this node knows. At first they are those of the built-in table; each plugin's
 * self-description then replaces, or adds, one type. A Type is never changed once it is in the schema:
 * a plugin makes a new one that takes the old one's place, before any configuration is read against it.
 * Strings of a plugin's type live in its description, which the type keeps.
 */
#include "core/schema.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "core/schema-pve.h"
#include "wire/json.h"
#include "wire/volname.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define PROPERTIES_MAX 256u
#define STANDARD_MAX 96u /* a test counts that all fit */

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

static const char *const feature_names[] = {
        "snapshot", "clone", "template", "copy", "sparseinit", "rename", "resize"
};
static const char *const sharing_names[] = { "no", "flag", "always" };
static const char *const property_type_names[] = { "standard", "string", "integer", "boolean", "enum" };

/* A type with what must be freed along with it. The Type comes first: pointers to both are the same. */
typedef struct TypeEntry {
        Type type;
        const char ***values; /* arrays of enumerations that a plugin brought */
        size_t n_values;
} TypeEntry;

struct Schema {
        Type **types; /* sorted by name; each the head of a TypeEntry */
        size_t n_types;
        Property standard[STANDARD_MAX]; /* sorted by name */
        size_t n_standard;
        char *plugin_dir;
};

static size_t find_word(const char *const *words, size_t n, const char *word)
{
        size_t i;

        for (i = 0; i < n; i++)
                if (str_eq(words[i], word))
                        break;
        return i;
}

static Type *type_free(Type *t)
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
DEFINE_CLEANUP(Type *, type_free)

static int compare_properties(const void *a, const void *b)
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
        return bsearch(&key, t->properties, t->n_properties, sizeof(key), compare_properties);
}

const Property *schema_find_standard(const Schema *s, const char *name)
{
        Property key = { .name = name };

        return bsearch(&key, s->standard, s->n_standard, sizeof(key), compare_properties);
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
        qsort(t->properties, t->n_properties, sizeof(*t->properties), compare_properties);

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
        qsort(s->standard, s->n_standard, sizeof(*s->standard), compare_properties);
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

/* --- a plugin's self-description */

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
        p.type = (uint32_t) find_word(property_type_names, LENGTH(property_type_names), type);
        if (p.type == LENGTH(property_type_names))
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
        qsort(t->properties, t->n_properties, sizeof(*t->properties), compare_properties);
        for (size_t i = 1; i < t->n_properties; i++)
                if (str_eq(t->properties[i - 1].name, t->properties[i].name))
                        return unusable(err, path, "the repeated property", t->properties[i].name);
        for (size_t i = 0, declared = t->n_properties; i < LENGTH(implied); i++) {
                Property key = { .name = implied[i] };

                if (str_eq(implied[i], "shared") && t->sharing != STORAGED_SHARED_FLAG)
                        continue;
                if (!bsearch(&key, t->properties, declared, sizeof(key), compare_properties))
                        t->properties[t->n_properties++] = *schema_find_standard(s, implied[i]);
        }
        qsort(t->properties, t->n_properties, sizeof(*t->properties), compare_properties);
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
        t->sharing = (uint32_t) find_word(sharing_names, LENGTH(sharing_names), sharing);
        if (t->sharing == LENGTH(sharing_names))
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

static int type_new_plugin(Type **ret, const Schema *s, const char *path, json_object *d, struct storaged_error *err)
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

/* --- as JSON */

static json_object *mask_to_json(uint32_t mask, const char *(*to_string)(uint32_t))
{
        json_object *a = json_object_new_array();

        for (unsigned i = 0; a && i < 32; i++) {
                const char *word = mask & (UINT32_C(1) << i) ? to_string(UINT32_C(1) << i) : NULL;

                if (word)
                        json_object_array_add(a, json_object_new_string(word));
        }
        return a;
}

static json_object *property_to_json(const Property *p)
{
        json_object *o = json_object_new_object(), *values;

        if (!o)
                return NULL;
        (void) json_add_string(o, "name", p->name);
        (void) json_add_string(o, "type", property_type_names[p->type]);
        (void) json_add_bool01(o, "required", p->flags & STORAGED_PROPERTY_REQUIRED);
        (void) json_add_bool01(o, "fixed", p->flags & STORAGED_PROPERTY_FIXED);
        (void) json_add_bool01(o, "secret", p->flags & STORAGED_PROPERTY_SECRET);
        (void) json_add_string(o, "format", p->format);
        if (p->min != 0 || p->max != 0) {
                (void) json_add_int(o, "min", p->min);
                if (p->max != INT64_MAX)
                        (void) json_add_int(o, "max", p->max);
        }
        if (p->max_length)
                (void) json_add_int(o, "max-length", p->max_length);
        if (p->values) {
                values = json_object_new_array();
                for (const char *const *v = p->values; values && *v; v++)
                        json_object_array_add(values, json_object_new_string(*v));
                (void) json_add(o, "values", values);
        }
        (void) json_add_string(o, "default", p->dflt);
        (void) json_add_string(o, "description", p->description);
        return o;
}

static json_object *type_to_json(const Type *t)
{
        json_object *o = json_object_new_object(), *properties = json_object_new_array();

        if (!o || !properties) {
                json_object_put(properties);
                return o;
        }
        (void) json_add_string(o, "type", t->name);
        (void) json_add_string(o, "summary", t->summary);
        (void) json_add_bool01(o, "plugin", t->has_plugin);
        if (t->has_plugin) {
                (void) json_add_string(o, "version", t->version);
                (void) json_add_string(o, "plugin-path", t->plugin_path);
        }
        (void) json_add_string(o, "naming", naming_to_string(t->naming));
        (void) json_add_string(o, "sharing", sharing_names[t->sharing]);
        (void) json_add(o, "contents", mask_to_json(t->contents, content_to_string));
        (void) json_add(o, "default-contents", mask_to_json(t->default_contents, content_to_string));
        (void) json_add(o, "formats", mask_to_json(t->formats, format_to_string));
        (void) json_add_string(o, "default-format", format_to_string(t->default_format));
        for (size_t i = 0; i < t->n_properties; i++)
                json_object_array_add(properties, property_to_json(&t->properties[i]));
        (void) json_add(o, "properties", properties);
        for (size_t i = 0; t->description && i < 4; i++) {
                static const char *const verbatim[] = { "actions", "features", "scan", "operations" };
                json_object *v = json_get(t->description, verbatim[i]);

                if (v)
                        (void) json_add(o, verbatim[i], json_object_get(v));
        }
        return o;
}

json_object *schema_to_json(const Schema *s)
{
        json_object *o = json_object_new_object(), *types = json_object_new_array();

        for (size_t i = 0; types && i < s->n_types; i++)
                json_object_array_add(types, type_to_json(s->types[i]));
        if (!o || !types || json_add(o, "types", types) < 0) {
                if (!o)
                        json_object_put(types);
                json_object_put(o);
                return NULL;
        }
        return o;
}
