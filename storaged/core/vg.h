/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Volume groups across the cluster: made on a LUN that every node sees, extended, reduced, removed, converted. Each is
 * a task that checks on all nodes before it changes anything on one.
 */
#include "core/core.h"

enum vg_work { VG_CREATE = 0, VG_EXTEND, VG_REDUCE, VG_DESTROY, VG_CONVERT, VG_START };

typedef struct VgCall {
        enum vg_work work;
        const char *vg;
        const char *wwid;    /* create, extend, reduce */
        const char *locking; /* "sanlock", "dlm", "none"; NULL: create finds out what the nodes have */
        const char *wipe;    /* the signature that may be wiped; NULL: none may */
        uint32_t n_paths;    /* each node must have; 0: as many as the one with the most */
        const char *user;
} VgCall;

/* Everything is copied. Reply: the task's UPID. `fn` is called once. */
void vg_call(Core *c, const VgCall *call, reply_fn fn, void *userdata);
/* reply->data: {"vg", "uuid", "locking", …, "nodes": {NODE: {"active", "error"?}}} */
void vg_query(Core *c, const char *vg, reply_fn fn, void *userdata);

typedef struct VgLunNeeds {
        const char *wipe;
        uint32_t n_paths;
        bool may_be_open; /* that somebody has it open is no reason */
} VgLunNeeds;

/*
 * Why a volume group can't be made on the LUN: a line for each reason, none if it can. `matrix` is
 * luns_cluster_query()'s answer about that LUN. Pure.
 */
int vg_check_lun(json_object *matrix, const char *wwid, const VgLunNeeds *needs, StrBuf *reasons);
