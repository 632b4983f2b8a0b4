/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The storage types this node knows: those of Proxmox VE's storage.cfg by table (known, kept, shown),
 * and those a plugin is there for, as the plugin declares them. One source for checks, help, API, GUI, manual.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <storaged/plugin.h>

/* One property, complete: standard properties are already filled in. Strings belong to the schema. */
typedef struct Property {
        const char *name;
        uint32_t type;  /* enum storaged_property_type, never STANDARD */
        uint32_t flags; /* enum storaged_property_flags */
        const char *format;
        int64_t min, max;
        uint32_t max_length;
        const char *const *values;
        const char *dflt;
        const char *description;
} Property;

typedef struct Feature {
        char *format;
        bool is_base;
        uint32_t current, snap;                 /* enum storaged_feature */
        char *exports, *exports_with_snapshots; /* space separated */
        char *snapshot_method;
} Feature;

typedef struct Type {
        const char *name, *summary, *version;
        uint32_t naming;  /* enum storaged_naming */
        uint32_t sharing; /* enum storaged_sharing */
        uint32_t contents, default_contents;
        uint32_t formats, default_format;
        Property *properties; /* by name */
        size_t n_properties;
        Feature *features;
        size_t n_features;
        bool has_plugin;
        bool is_probed;
        bool has_check_config;
        bool has_identify;
        char *plugin_path;        /* of the shared object, or NULL */
        uint32_t operations;      /* bit per SCHEMA_OP_* the plugin has */
        json_object *scan;        /* as declared, or NULL */
        json_object *actions;     /* as declared, an array, or NULL */
        json_object *description; /* the plugin's whole self-description, or NULL */
} Type;

/* The optional operations of a plugin, in the order of schema_operation_names. */
enum {
        SCHEMA_OP_PROBE,
        SCHEMA_OP_HEALTH,
        SCHEMA_OP_REPAIR,
        SCHEMA_OP_LIST,
        SCHEMA_OP_STAT,
        SCHEMA_OP_ALLOC,
        SCHEMA_OP_FREE,
        SCHEMA_OP_RESIZE,
        SCHEMA_OP_PATH,
        SCHEMA_OP_ACTIVATE_VOLUME,
        SCHEMA_OP_DEACTIVATE_VOLUME,
        SCHEMA_OP_HOLDERS,
        SCHEMA_OP_SNAPSHOT,
        SCHEMA_OP_ROLLBACK,
        SCHEMA_OP_DELETE_SNAPSHOT,
        SCHEMA_OP_LIST_SNAPSHOTS,
        SCHEMA_OP_CLONE,
        SCHEMA_OP_TEMPLATE,
        SCHEMA_OP_RENAME,
        SCHEMA_OP_EXPORT_STREAM,
        SCHEMA_OP_IMPORT_STREAM,
        SCHEMA_OP_UPLOAD,
        SCHEMA_OP_SET_NOTES,
        SCHEMA_OP_SET_PROTECTED,
        SCHEMA_OP_SCAN,
        SCHEMA_OP_ACT,
        SCHEMA_OP_GET_CLIENT,
        SCHEMA_OP_FENCE,
        SCHEMA_OP_EXPORT_DIFFERENCE,
        SCHEMA_OP_MAX,
};
extern const char *const schema_operation_names[SCHEMA_OP_MAX]; /* "probe", "health", … as in `operations` */

typedef struct Schema Schema;

/* With the built-in table of Proxmox VE's types, no plugins. */
int schema_new(Schema **ret);
Schema *schema_free(Schema *s);
DEFINE_CLEANUP(Schema *, schema_free)
/*
 * Takes a plugin's self-description (host/describe.c writes it, docs/protocol.md shows it) into the schema.
 * A type of the built-in table keeps the built-in standard properties that the plugin does not declare as unknown
 * to it: they are read with a warning and kept. -EINVAL with `err` if the description is unusable.
 */
int schema_add_plugin(Schema *s, const char *plugin_path, json_object *description, struct storaged_error *err);

/* Where plugins are looked for, only to be named in sentences; "" until set. */
int schema_set_plugin_dir(Schema *s, const char *dir);
const char *schema_get_plugin_dir(const Schema *s);

const Type *schema_find(const Schema *s, const char *type);
/* Sorted by name. */
const Type *const *schema_get_types(const Schema *s, size_t *ret_n);
const Property *type_find_property(const Type *t, const char *name);
bool type_has_op(const Type *t, unsigned op);
/* The row for a volume's format and whether it is a template; NULL if unknown. */
const Feature *type_find_feature(const Type *t, const char *format, bool is_base);

/* A declared action by name: borrowed, or NULL. */
json_object *type_find_action(const Type *t, const char *name);

/* Checks one value against the property (type, format, limits, control characters); -EINVAL with param = name. */
int property_check(const Property *p, const char *value, struct storaged_error *err);
/* The same and brings it into the form storage.cfg has: booleans 1/0, paths without trailing slash. Caller frees. */
int property_normalize(const Property *p, const char *value, char **ret, struct storaged_error *err);
/* A standard property by name (`storage` and `type` included), or NULL. */
const Property *schema_find_standard(const Schema *s, const char *name);
/* Everything for GET /schema: types with their properties. New reference. */
json_object *schema_to_json(const Schema *s);
