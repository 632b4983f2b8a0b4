/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Secrets of storages: files below priv/, never in storage.cfg, never in a log (pvesm.md section 2). */
#include <storaged/error.h>

#include "base/fence.h"
#include "base/paths.h"

#define SECRET_MAX (64u << 10) /* bytes of a value */

/* Where the secret property `key` of a storage is kept; *ret is the caller's to free. -EINVAL: id or key is not a word.
 */
int secret_path(const Paths *p, const char *type, const char *id, const char *key, char **ret);
/* The same, and makes the directories it is in: for one that another process writes. */
int secret_prepare_file(const Paths *p, const char *type, const char *id, const char *key, char **ret);
/*
 * Replaces the file in one step, 0600 in 0700 directories, under a cluster lock. -EINVAL (param: the key) for a value
 * that can't be a secret; -ESTALE: the lock is not ours any more.
 */
int secret_store(const Paths *p, const char *type, const char *id, const char *key, const char *value,
                 const Fence *fence, struct storaged_error *err);
/* Removes one; one that is not there is fine. */
int secret_remove(const Paths *p, const char *type, const char *id, const char *key, struct storaged_error *err);
/* Removes all of a storage, with what a killed daemon may have left of a write, under a cluster lock. */
void secret_remove_all(const Paths *p, const char *type, const char *id, const Fence *fence);
