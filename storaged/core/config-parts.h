/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What config*.c share among themselves: a storage being put together, and written. Nobody else includes this. */
#include "core/config.h"

#define CONFIG_LOCAL_ID "local"
#define CONFIG_LOCAL_PATH "/var/lib/vz"
#define CONFIG_SEPARATORS ",; \t\n\v\f\r"

enum {
        PAIR_DEFAULT = 1 << 0,
        PAIR_UNKNOWN = 1 << 1,
};

int storage_config_new(StorageConfig **ret, const char *id, const char *type_name, const Type *type, unsigned line);
StorageConfig *storage_config_free(StorageConfig *s);
DEFINE_CLEANUP(StorageConfig *, storage_config_free)

int storage_config_add(StorageConfig *s, const char *key, const char *value, unsigned line, unsigned flags);
/* The pair whatever its flags, or NULL. */
const ConfigPair *storage_config_find_pair(const StorageConfig *s, const char *key);
/*
 * All pairs are there: sorts them, fills in the defaults, works out what they mean, and sets `broken`
 * if a required property is missing. `keep_empty`: no content is what was said, not a lack of words.
 */
int storage_config_finish(StorageConfig *s, bool keep_empty);
/* `is_new`: a section not in the file yet, written without the default content. */
void storage_config_write(const StorageConfig *s, bool is_new, StrBuf *b);
/* "a,b" of a mask, sorted; the caller's to free. */
char *content_mask_to_text(uint32_t contents);
