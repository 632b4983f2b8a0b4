/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* LVs on their way to becoming a volume, or to being gone. */
#include "common-lvm/store.h"

#define UNFINISHED_TAG_MAX 192

bool unfinished_is(const VgLv *lv);
/* Whether it is the work of a process of this node that is dead. */
bool unfinished_is_left(const Lvm *l, const VgLv *lv);
/* The tag of this process; the one that the LV has, "" if none. */
void unfinished_tag(const Lvm *l, char ret[static UNFINISHED_TAG_MAX]);
void unfinished_tag_of(const VgLv *lv, char ret[static UNFINISHED_TAG_MAX]);
/* A volume becomes none: it is on its way out. */
int unfinished_begin(Lvm *l, const char *name, STORAGED_ERR);
/* As lvm_make, with the tag of this process on it; for a qcow2 image of that many bytes it is larger. */
int unfinished_make(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, bool is_qcow2, STORAGED_ERR);
/* It is a volume now. */
int unfinished_end(Lvm *l, const char *name, STORAGED_ERR);
/* Removes what processes of this node left that are dead; *ret_n: how many. */
int unfinished_clean(Lvm *l, size_t *ret_n, STORAGED_ERR);
