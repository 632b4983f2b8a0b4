/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Removals under way, one file a LUN in the cluster file system: <cluster>/priv/storaged/luns/<wwid>. All nodes see
 * that a LUN is leaving; whoever goes on after a crash reads there how far it got.
 */
#include "cluster/lock.h"
#include "core/core.h"

/* {"wwid", "step", "node", "user", "force", "gone", "flushed", "places": {NODE: "H:C:T:L,…"}} */
int lun_journal_read(const Core *c, const char *wwid, json_object **ret, struct storaged_error *err); /* -ENOENT */
/* Both under the lock of LUNs. -ESTALE: that is not ours any more. */
int lun_journal_write(const Core *c, json_object *journal, const ClusterLock *lock, struct storaged_error *err);
int lun_journal_remove(const Core *c, const char *wwid, const ClusterLock *lock, struct storaged_error *err);
/* Calls fn with each LUN's name. */
void lun_journal_each(const Core *c, void (*fn)(void *userdata, const char *wwid), void *userdata);
/* A name that may be that of a file. */
bool lun_wwid_is_valid(const char *wwid);
