/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * storage.cfg in memory: one immutable snapshot of the file as parsed against the schema, and the
 * edits that make the next text. Reading never fails on content: bad lines become warnings with file
 * and line, a bad section never touches another.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/str.h"
#include "base/digest.h"
#include "core/schema.h"
#include "wire/section.h"

typedef struct ConfigPair {
        char *key, *value; /* normalised */
        bool is_default;   /* filled in, not in the file */
        bool is_unknown;   /* not in the schema, or a value that can't be used: kept and rewritten untouched */
        unsigned line;     /* in the file; 0: not from there */
} ConfigPair;

/* One storage. */
typedef struct StorageConfig {
        char *id;
        char *type_name;
        const Type *type;  /* NULL: a type nobody knows; the section is kept and rewritten untouched */
        char *broken;      /* why it can't be used (a required property is missing), or NULL */
        ConfigPair *pairs; /* sorted by key, defaults included */
        size_t n_pairs;
        unsigned line;     /* 0: the implied `local` */
        uint32_t contents; /* mask */
        StrList nodes;     /* sorted; empty: all */
        bool is_disabled, is_shared;
        struct StorageConfig *in_file; /* a `local` that is replaced: what the file has and keeps; else NULL */
} StorageConfig;

typedef struct Config {
        StorageConfig **storages; /* in the order of the file, implied `local` first if not in it */
        size_t n_storages;
        SectionWarning *warnings;
        size_t n_warnings;
        char digest[DIGEST_SHA1_HEX];
} Config;

/* Text → snapshot; 0 or -ENOMEM. */
int config_parse(const Schema *schema, const char *text, size_t len, Config **ret);
Config *config_free(Config *c);
DEFINE_CLEANUP(Config *, config_free)

const StorageConfig *config_find(const Config *c, const char *id);
/* The value that counts: never one of an unusable line (of a type nobody knows: any). NULL if there is none. */
const char *storage_config_get(const StorageConfig *s, const char *key);
bool storage_config_is_enabled_on(const StorageConfig *s, const char *node);

/* The text that storage.cfg becomes on a rewrite (writing rules of pvesm.md section 2). Caller frees. */
char *config_write(const Config *c);

/*
 * Edits: each gives the new text (caller frees) after all checks, or -EINVAL/-EEXIST/-ENOENT with `err` naming
 * the parameter; nothing else happens. `pairs` are as the caller typed them; secrets must have been taken
 * out (config_split_secrets). `remove` lists keys of `delete`.
 */
int config_add(const Config *c, const Schema *schema, const char *type, const char *id,
               const struct storaged_pair *pairs, size_t n_pairs, char **ret_text, struct storaged_error *err);
int config_update(const Config *c, const Schema *schema, const char *id, const struct storaged_pair *pairs,
                  size_t n_pairs, const StrList *remove, char **ret_text, struct storaged_error *err);
int config_remove(const Config *c, const char *id, char **ret_text, struct storaged_error *err);

/* {"type":…, properties, content and nodes as sorted arrays, booleans as 0/1} of one storage; new reference. */
json_object *storage_config_to_json(const StorageConfig *s);
/* As GET /storage/{id}: content and nodes as comma separated text, the digest with it. */
json_object *storage_config_to_api(const StorageConfig *s, const char *digest);
/* As `pvesm config check --output-format json`. */
json_object *config_check_to_json(const Config *c);
