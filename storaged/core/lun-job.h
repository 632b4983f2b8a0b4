/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is done to LUNs on several nodes: as a task, under one lock of the cluster, step by step. */
#include "core/everywhere.h"

typedef struct LunJob LunJob;

typedef struct LunRequest {
        const char *wwid;         /* NULL: scan */
        const char *target, *lun; /* scan: the only place to look at; or NULL */
        const char *node;         /* scan: only this node; or NULL */
        bool force;
        const char *user;
} LunRequest;

/* Each answers with the UPID; fn is called once, maybe before the return. The request is copied. */
void lun_scan(Core *c, const LunRequest *rq, reply_fn fn, void *userdata);
void lun_resize(Core *c, const LunRequest *rq, reply_fn fn, void *userdata);
/* Begins a removal, or goes on with one: from where its journal says. */
void lun_remove(Core *c, const LunRequest *rq, reply_fn fn, void *userdata);
/* Removals of this node that a crash has interrupted go on, once the cluster is known. */
int lun_jobs_resume(Core *c);
