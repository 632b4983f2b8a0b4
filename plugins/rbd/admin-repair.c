/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Repair: for each check asked for, or raised, that has a safe repair: look, say what was seen and why that is enough,
 * act, and wait for the proof, which is the cluster's own health without the check. What is not sure is left alone and
 * said.
 */
#include "rbd/admin.h"

#include <errno.h>

#define CLEARED_MS 60000

/* --- the application of pools */

/* Of the ID=POOL words the ids of this pool. */
static void storages_of_pool(const Admin *a, const char *pool, char *ret, size_t size)
{
        const char *s = admin_get(a, "storages");
        size_t used = 0;

        ret[0] = '\0';
        while (s && *s) {
                size_t n = strcspn(s, " "), id = strcspn(s, "= ");

                if (id > 0 && id < n && strlen(pool) == n - id - 1 && memcmp(s + id + 1, pool, n - id - 1) == 0 &&
                    used + id + 3 < size)
                        used += (size_t) snprintf(ret + used, size - used, "%s%.*s", used ? ", " : "", (int) id, s);
                s += n + (s[n] == ' ');
        }
}

/* What the administrator says counts where nothing contradicts it; never against what the pool shows. */
static int take_word(const PoolEvidence *e, const char *pool, const char *word, STORAGED_ERR)
{
        uint64_t against = (strcmp(word, "rbd") == 0 ? 0 : e->n_rbd) + (strcmp(word, "cephfs") == 0 ? 0 : e->n_cephfs) +
                           (strcmp(word, "rgw") == 0 ? 0 : e->n_rgw);

        if (e->application && strcmp(e->application, word) != 0)
                return error_set_param(err, -EINVAL, "application", "pool '%s' is for %s, not for %s: %s", pool,
                                       e->application, word, e->because);
        if (against > 0 && e->n_rbd + e->n_cephfs + e->n_rgw == against)
                return error_set_param(err, -EINVAL, "application",
                                       "pool '%s' holds %llu objects of other applications than %s", pool,
                                       (unsigned long long) against, word);
        return 0;
}

/* Pool by pool: {pool, evidence…, application, done, because}. *ret_done: the application was enabled (or would be). */
static int repair_pool(Admin *a, const PoolMap *m, json_object *pool, bool dry_run, json_object *steps, bool *ret_done,
                       STORAGED_ERR)
{
        const char *name = ceph_json_text(pool, "pool_name"), *word = admin_get(a, "application"), *application;
        json_object *step;
        char storages[256];
        PoolEvidence e;
        int r;

        storages_of_pool(a, name, storages, sizeof(storages));
        r = pool_evidence(a, name, pool_count_objects(m, name), storages, &e, err);
        if (r < 0)
                return r;
        admin_log(a,
                  "pool %s: %llu objects, looked at %llu: %llu of RBD, %llu of CephFS, %llu of an object gateway, %llu "
                  "others",
                  name, (unsigned long long) e.n_objects, (unsigned long long) e.n_seen, (unsigned long long) e.n_rbd,
                  (unsigned long long) e.n_cephfs, (unsigned long long) e.n_rgw, (unsigned long long) e.n_other);
        if (word) {
                r = take_word(&e, name, word, err);
                if (r < 0)
                        return r;
        }
        application = word ? word : e.application;
        step = pool_evidence_to_json(&e);
        json_member(step, "pool", json_object_new_string(name));
        (void) json_object_array_add(steps, step);
        if (!application) {
                admin_log(a, "pool %s is left alone: %s; say what it is for with --application", name, e.because);
                return 0;
        }
        admin_log(a, "pool %s is for %s: %s", name, application,
                  word && !e.application ? "the administrator says so" : e.because);
        if (!dry_run)
                r = pool_enable_application(a, name, pool_is_erasure(pool), application, err);
        if (r < 0)
                return r;
        admin_log(a, "%s application '%s' on pool %s", dry_run ? "would enable" : "enabled", application, name);
        json_member(step, "application", json_object_new_string(application));
        json_member(step, dry_run ? "would-do" : "done", json_object_new_boolean(true));
        *ret_done = true;
        return 0;
}

/* Pools of tiers never raise the check: their base has the application. */
static bool pool_is_tier(json_object *pool)
{
        json_object *of = ceph_json_get(pool, "tier_of");

        return of && json_object_get_int64(of) >= 0;
}

static int repair_named(Admin *a, const PoolMap *m, const char *name, bool dry_run, json_object *steps, bool *ret_done,
                        STORAGED_ERR)
{
        json_object *pool = pool_find(a, m, name, err);
        const char *application = NULL;

        if (!pool)
                return -ENOENT;
        if (pool_applications(pool, &application) > 0) {
                const char *word = admin_get(a, "application");

                if (word && strcmp(word, application) != 0)
                        return error_set_param(
                                err, -EEXIST, "pool-name",
                                "pool '%s' has the application '%s'; a pool that has one is never tagged anew", name,
                                application);
                admin_log(a, "pool %s has the application '%s': nothing to repair", name, application);
                return 0;
        }
        return repair_pool(a, m, pool, dry_run, steps, ret_done, err);
}

/* Untagged pools that hold objects: raised with reason. */
static int is_raised_for_others(Admin *a, bool *ret, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        json_object *pools;
        int r = pool_map_read(a, &m, err);

        if (r < 0)
                return r;
        pools = ceph_json_get(m.osd_map, "pools");
        for (size_t i = 0; i < json_object_array_length(pools) && !*ret; i++) {
                json_object *pool = json_object_array_get_idx(pools, i);
                const char *name = ceph_json_text(pool, "pool_name");

                if (!name || pool_applications(pool, NULL) > 0 || pool_is_tier(pool) ||
                    pool_count_objects(&m, name) == 0)
                        continue;
                admin_log(a, "POOL_APP_NOT_ENABLED stays raised because of pool %s", name);
                *ret = true;
        }
        return 0;
}

int repair_applications(Admin *a, bool dry_run, json_object *steps, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        const char *only = admin_get(a, "pool-name");
        bool done = false;
        json_object *pools;
        int r = pool_map_read(a, &m, err);

        if (r < 0)
                return r;
        if (only) {
                r = repair_named(a, &m, only, dry_run, steps, &done, err);
                if (r < 0)
                        return r;
        }
        pools = only ? NULL : ceph_json_get(m.osd_map, "pools");
        for (size_t i = 0; pools && i < json_object_array_length(pools); i++) {
                json_object *pool = json_object_array_get_idx(pools, i);
                const char *name = ceph_json_text(pool, "pool_name");

                if (!name || pool_applications(pool, NULL) > 0 || pool_is_tier(pool) ||
                    pool_count_objects(&m, name) == 0)
                        continue;
                r = repair_pool(a, &m, pool, dry_run, steps, &done, err);
                if (r < 0)
                        return r;
        }
        if (dry_run || !done)
                return 0;
        admin_log(a, "waiting until the cluster no longer raises POOL_APP_NOT_ENABLED");
        return health_wait_cleared(a, "POOL_APP_NOT_ENABLED", CLEARED_MS, is_raised_for_others, err);
}

/* --- all that was asked for */

static int repair_check(Admin *a, const Check *c, bool dry_run, json_object *rows, STORAGED_ERR)
{
        json_object *row = json_object_new_object(), *steps = json_object_new_array();

        json_member(row, "code", json_object_new_string(c->code));
        json_member(row, "steps", steps);
        (void) json_object_array_add(rows, row);
        admin_log(a, "%s: %s", c->code, c->meaning);
        return c->repair(a, dry_run, steps, err);
}

/* The checks that are raised; those we have no repair for are only named. */
static int repair_raised(Admin *a, bool dry_run, json_object *rows, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *health = NULL;
        json_object *all;
        int r = health_read(a, &health, err);

        all = ceph_json_get(health, "checks");
        if (r < 0 || !json_object_is_type(all, json_type_object))
                return r;
        json_object_object_foreach (all, code, check) {
                const Check *known = check_find(code);

                (void) check;
                if (known && known->repair)
                        r = repair_check(a, known, dry_run, rows, err);
                else
                        admin_log(a, "%s: no repair that would be safe without you: %s", code,
                                  known ? known->advice : "see Ceph's manual");
                if (r < 0)
                        return r;
        }
        for (const Check *c = checks; c->code; c++) { /* those that are ours */
                bool is_there = false;

                if (!c->is_there || !c->repair || c->is_there(a, &is_there, NULL) < 0 || !is_there)
                        continue;
                r = repair_check(a, c, dry_run, rows, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int act_repair(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *rows = json_object_new_array();
        AUTO(ceph_jsonp) json_object *health = NULL;
        const char *code = admin_get(a, "check"), *status;
        bool dry_run = storaged_config_get_bool(a->args, "dry-run");
        const Check *check = check_find(code ? code : "POOL_APP_NOT_ENABLED");
        json_object *answer;
        int r;

        if (!check || !check->repair)
                return error_set_param(err, -EINVAL, "check", "there is no repair for '%s'%s%s", code,
                                       check ? ": " : "", check ? check->advice : "");
        if (code || admin_get(a, "pool-name"))
                r = repair_check(a, check, dry_run, rows, err);
        else
                r = repair_raised(a, dry_run, rows, err);
        if (r >= 0)
                r = health_read(a, &health, err);
        if (r < 0)
                return r;
        status = ceph_json_text(health, "status");
        admin_log(a, "the cluster is %s", status);
        answer = json_object_new_object();
        json_member(answer, "status", json_object_new_string(status));
        json_member(answer, "repairs", TAKE(rows));
        *ret = answer;
        return 0;
}
