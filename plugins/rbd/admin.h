/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The administrator's side of Ceph, as actions of the type rbd: health, repair, pools. They need no defined storage: a
 * cluster is reached as a storage of it would, with an administrator's key.
 */
#include "common-ceph/ceph-cluster.h"
#include "common-ceph/ceph-mon.h"

typedef struct Admin {
        CephCluster cluster;
        const struct storaged_config *args; /* borrowed */
} Admin;

extern const struct storaged_action rbd_actions[];
int rbd_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
            storaged_json_fn fn, void *userdata, STORAGED_ERR);

/* A line of the task's log, or of the journal. */
#define admin_log(a, ...) (a)->cluster.host->log((a)->cluster.host->handle, STORAGED_LOG_INFO, __VA_ARGS__)

/* A text, or NULL if it was not given or is empty. Borrowed. */
const char *admin_get(const Admin *a, const char *key);
/* Appends a printf-made text to a JSON array. */
void json_append(json_object *array, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a member; NULL values are left out. Takes `value`. */
void json_member(json_object *o, const char *key, json_object *value);

/* --- admin-pool.c: pools as they are. Documents are the caller's. */

typedef struct PoolMap {
        json_object *osd_map; /* osd dump */
        json_object *usage;   /* df */
} PoolMap;

int pool_map_read(Admin *a, PoolMap *ret, STORAGED_ERR);
void pool_map_deinit(PoolMap *m);
/* A pool of `osd dump`, borrowed; NULL with a sentence in `err` if there is none of that name. */
json_object *pool_find(const Admin *a, const PoolMap *m, const char *name, STORAGED_ERR);
/* Objects that are stored in it. */
uint64_t pool_count_objects(const PoolMap *m, const char *name);
/* How many applications it has; *ret_first (may be NULL): one of them, borrowed. */
size_t pool_applications(json_object *pool, const char **ret_first);
/* Written with erasure coding: no omap, so no rbd_directory in it. */
bool pool_is_erasure(json_object *pool);

int act_pools(Admin *a, json_object **ret, STORAGED_ERR);

/* --- admin-pool-change.c */

int act_pool_create(Admin *a, json_object **ret, STORAGED_ERR);
int act_pool_set(Admin *a, json_object **ret, STORAGED_ERR);
int act_pool_destroy(Admin *a, json_object **ret, STORAGED_ERR);
int pool_delete(Admin *a, const char *pool, STORAGED_ERR);
/* Marks the pool as used by `application`, and makes an rbd pool ready for images where it can hold their directory. */
int pool_enable_application(Admin *a, const char *pool, bool is_erasure, const char *application, STORAGED_ERR);

/* --- admin-evidence.c: what a pool is for */

typedef struct PoolEvidence {
        uint64_t n_rbd, n_cephfs, n_rgw, n_other, n_seen, n_objects;
        bool is_sampled;         /* there are more objects than were looked at */
        char file_system[128];   /* one that lists the pool, or "" */
        char storages[256];      /* definitions of storages that name it as theirs, or "" */
        char other_example[128]; /* a name that no application explains */
        const char *application; /* what it is for; NULL: not sure */
        char because[512];       /* why it is sure, or why not */
} PoolEvidence;

/* Looks; changes nothing. `storages`: names of rbd storages of this pool, separated by spaces. */
int pool_evidence(Admin *a, const char *pool, uint64_t n_objects, const char *storages, PoolEvidence *ret,
                  STORAGED_ERR);
json_object *pool_evidence_to_json(const PoolEvidence *e);
/* Which application's an object is, by its name alone: "rbd", "cephfs", "rgw", or NULL. Pure. */
const char *object_application(const char *name);
/* The verdict from what was counted; sets application and because. Pure. */
void pool_evidence_judge(PoolEvidence *e);

/* --- admin-health.c */

/* The health document with details; the caller's. */
int health_read(Admin *a, json_object **ret, STORAGED_ERR);
int act_health(Admin *a, json_object **ret, STORAGED_ERR);
int act_status(Admin *a, json_object **ret, STORAGED_ERR);
/* Whether the check is still raised for reasons that were not to be repaired. */
typedef int (*health_other_fn)(Admin *a, bool *ret, STORAGED_ERR);
/* Waits until the check is gone from the cluster's health, or `other` (may be NULL) says why it stays. -ETIMEDOUT. */
int health_wait_cleared(Admin *a, const char *code, unsigned limit_ms, health_other_fn other, STORAGED_ERR);

/* --- admin-look.c: what Proxmox VE's API only reads; `view` says which */

int act_look(Admin *a, json_object **ret, STORAGED_ERR);

/* --- admin-checks.c: what is known of each check: one row a check */

typedef struct Check {
        const char *code;    /* of Ceph's health, or ours: STORAGED_… */
        const char *meaning; /* for the storages */
        const char *advice;  /* what the administrator can do */
        /* Looks closer and adds lines to `lines`; adds names of pools it is about to `pools`. NULL: the detail says it.
         */
        int (*explain)(Admin *a, json_object *detail, json_object *lines, json_object *pools, STORAGED_ERR);
        /* Safe to be done by us: adds to `steps` what it found and did (or would do). NULL: not ours to do. */
        int (*repair)(Admin *a, bool dry_run, json_object *steps, STORAGED_ERR);
        /* Ours: whether it is there, seen without Ceph's health. */
        int (*is_there)(Admin *a, bool *ret, STORAGED_ERR);
} Check;

extern const Check checks[]; /* code NULL ends */
const Check *check_find(const char *code);

/* --- admin-repair.c */

int act_repair(Admin *a, json_object **ret, STORAGED_ERR);
int repair_applications(Admin *a, bool dry_run, json_object *steps, STORAGED_ERR);
