/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Arguments of a call, out of JSON and checked, before a plugin sees them. All: 0, or -EINVAL with the argument
 * named in `err`. Strings given out are borrowed from `args`.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/error.h>
#include <storaged/types.h>

#include "wire/json.h"

/* Text that must be there. */
int args_string(json_object *args, const char *key, const char **ret, struct storaged_error *err);
int args_volume(json_object *args, uint32_t naming, struct storaged_volname *ret, struct storaged_error *err);
/* The name of a snapshot; absent and not required: NULL. */
bool args_is_snapshot(const char *name);
int args_snapshot(json_object *args, bool is_required, const char **ret, struct storaged_error *err);
int args_vmid(json_object *args, uint32_t *ret, struct storaged_error *err);
/* A volume's size: a multiple of 1024 that fits off_t; 0 only where `may_be_zero`. */
int args_size(json_object *args, bool may_be_zero, uint64_t *ret, struct storaged_error *err);
/* A name for a file or logical volume: one component of a path; absent: NULL. */
int args_name(json_object *args, const char *key, const char **ret, struct storaged_error *err);
int args_stream_format(json_object *args, const char **ret, struct storaged_error *err);
/* A path with which nothing relative can be meant. */
int args_absolute_path(json_object *args, const char *key, const char **ret, struct storaged_error *err);

/* A configuration as plugins get it; strings borrowed from the JSON, which has to live longer. */
typedef struct ArgsConfig {
        struct storaged_config config;
        struct storaged_pair *pairs;
} ArgsConfig;

void args_config_deinit(ArgsConfig *c);
/*
 * "storage", "config", and "secrets" where there are any: a secret is the pair of its property's name and the path
 * of the file it is in. All values are text, as in storage.cfg.
 */
int args_config(json_object *args, ArgsConfig *ret, struct storaged_error *err);
/* The members of `args` themselves: the parameters of a scan. */
int args_params(json_object *args, ArgsConfig *ret, struct storaged_error *err);
