/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Volumes that were cut off from their storage, and a volume group or its locks that are not there. */
#include "common-lvm/dm.h"
#include "lvm/lvm.h"

/* Why the volume group can't be read, and what that means for what is active. */
void lost_explain(Lvm *l, const char *why, char *ret, size_t size);
/* *ret: "", or what is wrong with a storage that can be read: volumes that were cut off, no lvmlockd. */
void lost_tell(Lvm *l, char *ret, size_t size);
/* The same as findings. */
int lost_find(Lvm *l, storaged_finding_fn fn, void *userdata);
/* A volume of a group that can't be read (`r`, `err`): its devices go if they were cut off; else as before. */
int lost_deactivate(Lvm *l, STORAGED_VOL, const char *snap, int r, STORAGED_ERR);
