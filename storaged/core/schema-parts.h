/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the schema share: schema.c (the table of types), schema-plugin.c, schema-json.c. Not for others. */
#include <storaged/cleanup.h>

#include "core/schema.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define PROPERTIES_MAX 256u
#define STANDARD_MAX 96u /* a test counts that all fit */

/* The words of a description, by the numbers of the contract. */
#define SCHEMA_N_SHARINGS 3
extern const char *const schema_sharing_names[SCHEMA_N_SHARINGS];
#define SCHEMA_N_PROPERTY_TYPES 5
extern const char *const schema_property_type_names[SCHEMA_N_PROPERTY_TYPES];

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

Type *type_free(Type *t);
DEFINE_CLEANUP(Type *, type_free)
/* -EINVAL with the sentence about what is missing or not valid; -ENOMEM. */
int type_new_plugin(Type **ret, const Schema *s, const char *path, json_object *d, struct storaged_error *err);

/* By name, for qsort(3) and bsearch(3). */
int property_compare(const void *a, const void *b);
