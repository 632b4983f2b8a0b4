/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A storage that works may be about to stop, or have fewer copies than it should: that is degraded. One question to a
 * monitor, a second one only if a check about pools is raised.
 */
#include "rbd/status-health.h"

#include "rbd/admin.h"

/* The checks that concern whoever has volumes there; pools' only if it is this pool. */
static const struct {
        const char *code;
        const char *flag; /* of a pool in the OSD map, where the check is about pools */
} degrading[] = {
        { "MON_DOWN", NULL },
        { "MON_CLOCK_SKEW", NULL },
        { "OSD_DOWN", NULL },
        { "OSD_FULL", NULL },
        { "OSD_NEARFULL", NULL },
        { "OSD_BACKFILLFULL", NULL },
        { "OSDMAP_FLAGS", NULL },
        { "PG_AVAILABILITY", NULL },
        { "PG_DEGRADED", NULL },
        { "PG_DAMAGED", NULL },
        { "SLOW_OPS", NULL },
        { "POOL_FULL", "full" },
        { "POOL_NEAR_FULL", "nearfull" },
};

static bool has_word(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *s = words; s && *s; s += strcspn(s, ",") + (s[strcspn(s, ",")] == ','))
                if (strcspn(s, ",") == n && memcmp(s, word, n) == 0)
                        return true;
        return false;
}

static void add(struct storaged_status *status, const char *code, const char *summary)
{
        size_t used = strlen(status->reason);

        (void) snprintf(status->reason + used, sizeof(status->reason) - used, "%s%s: %s", used ? "; " : "", code,
                        summary ? summary : "raised");
}

/* The pool in the OSD map; NULL if that can't be read. *ret_map is the caller's. */
static json_object *own_pool(RbdStore *s, json_object **ret_map)
{
        if (ceph_mon(&s->cluster, ret_map, NULL, "osd dump", NULL) < 0)
                return NULL;
        return ceph_json_find(ceph_json_get(*ret_map, "pools"), "pool_name", s->pool);
}

static bool is_about_pools(json_object *raised)
{
        return ceph_json_get(raised, "POOL_APP_NOT_ENABLED") || ceph_json_get(raised, "POOL_FULL") ||
               ceph_json_get(raised, "POOL_NEAR_FULL");
}

static bool is_muted(json_object *check)
{
        return ceph_json_uint(check, "muted") != 0;
}

void status_add_health(RbdStore *s, struct storaged_status *status)
{
        AUTO(ceph_jsonp) json_object *health = NULL;
        AUTO(ceph_jsonp) json_object *map = NULL;
        json_object *raised, *pool, *check;

        if (ceph_mon(&s->cluster, &health, NULL, "health", NULL) < 0)
                return;
        raised = ceph_json_get(health, "checks");
        pool = is_about_pools(raised) ? own_pool(s, &map) : NULL;
        for (size_t i = 0; i < sizeof(degrading) / sizeof(degrading[0]); i++) {
                check = ceph_json_get(raised, degrading[i].code);
                if (!check || is_muted(check))
                        continue;
                if (!degrading[i].flag || (pool && has_word(ceph_json_text(pool, "flags_names"), degrading[i].flag)))
                        add(status, degrading[i].code, ceph_json_text(check, "summary.message"));
        }
        check = ceph_json_get(raised, "POOL_APP_NOT_ENABLED");
        if (check && pool && pool_applications(pool, NULL) == 0) {
                (void) snprintf(status->repairs, sizeof(status->repairs), "POOL_APP_NOT_ENABLED");
                if (!is_muted(check))
                        add(status, "POOL_APP_NOT_ENABLED",
                            "nobody said what the pool is for; `pvesm ceph repair` finds out");
        }
}
