/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Storage ids, volume ids and the names volumes have on each kind of storage. Pure; fuzzed. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/error.h>
#include <storaged/types.h>

#define STORAGE_ID_MAX 256 /* with the NUL; longer ids are refused */
#define DISK_NUMBER_MAX 1023u

/* Letter first, then letters, digits, - _ . and a letter or digit last; at least two. */
bool storage_id_is_valid(const char *id, size_t len);

/*
 * Splits STOREID:VOLNAME at the first colon behind a valid id. `ret_id` has room for STORAGE_ID_MAX;
 * *ret_volname points into `volid`. -EINVAL with `err` (param "volume") else.
 */
int volid_split(const char *volid, char *ret_id, const char **ret_volname, struct storaged_error *err);

/* What a volume name means on a storage of that naming scheme; -EINVAL with the reason in `err`. */
int volname_parse(enum storaged_naming naming, const char *volname, struct storaged_volname *ret,
                  struct storaged_error *err);

/*
 * The lowest free disk name of a guest: PREFIX-<vmid>-disk-<n>, n from 0 to 1023, where names beginning
 * with vm-, base-, subvol-, basevol- of that guest in `used` (with or without a path and extension) take
 * their number. `suffix` ("" or ".raw") is appended. -ENOSPC when all are taken.
 */
int volname_next_disk(uint32_t vmid, const char *prefix, const char *suffix, const char *const *used, size_t n_used,
                      char *ret, size_t ret_size, struct storaged_error *err);

/* Letter first, then letters, digits, - or _; 2 to 40; not `current`, which means the live volume. */
bool snapshot_name_is_valid(const char *name);

/* images, rootdir, iso, …; NULL / 0 if unknown. */
const char *content_to_string(uint32_t content);
uint32_t content_from_string(const char *s);
const char *format_to_string(uint32_t format);
uint32_t format_from_string(const char *s);
const char *naming_to_string(uint32_t naming);
uint32_t naming_from_string(const char *s);
