/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A storage that works may be about to stop, or have fewer copies than it should: that is degraded. One question to a
 * monitor, a second one only if a check about pools is raised.
 */
#include "common-ceph/ceph-degraded.h"

/* The checks that concern whoever has data there. */
static const struct {
        const char *code;
        const char *flag; /* of a pool in the OSD map, where the check is about pools: only if it is one of ours */
        bool is_mds;
} degrading[] = {
        { "MON_DOWN", NULL, false },
        { "MON_CLOCK_SKEW", NULL, false },
        { "OSD_DOWN", NULL, false },
        { "OSD_FULL", NULL, false },
        { "OSD_NEARFULL", NULL, false },
        { "OSD_BACKFILLFULL", NULL, false },
        { "OSDMAP_FLAGS", NULL, false },
        { "PG_AVAILABILITY", NULL, false },
        { "PG_DEGRADED", NULL, false },
        { "PG_DAMAGED", NULL, false },
        { "SLOW_OPS", NULL, false },
        { "POOL_FULL", "full", false },
        { "POOL_NEARFULL", "nearfull", false },
        { "POOL_NEAR_FULL", "nearfull", false }, /* of a quota */
        { "FS_DEGRADED", NULL, true },
        { "FS_WITH_FAILED_MDS", NULL, true },
        { "MDS_ALL_DOWN", NULL, true },
        { "MDS_DAMAGE", NULL, true },
        { "MDS_SLOW_METADATA_IO", NULL, true },
        { "MDS_SLOW_REQUEST", NULL, true },
        { "MDS_TRIM", NULL, true },
};

static bool has_word(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *s = words; s && *s; s += strcspn(s, ",") + (s[strcspn(s, ",")] == ','))
                if (strcspn(s, ",") == n && memcmp(s, word, n) == 0)
                        return true;
        return false;
}

json_object *ceph_check_raised(json_object *health, const char *code)
{
        json_object *check = ceph_json_get(ceph_json_get(health, "checks"), code);

        return check && ceph_json_uint(check, "muted") == 0 ? check : NULL;
}

void ceph_add_reason(struct storaged_status *status, const char *code, const char *summary)
{
        size_t used = strlen(status->reason);

        (void) snprintf(status->reason + used, sizeof(status->reason) - used, "%s%s: %s", used ? "; " : "", code,
                        summary ? summary : "raised");
}

static bool has_flag(json_object *map, const char *const *pools, const char *flag)
{
        for (; *pools; pools++)
                if (has_word(ceph_json_text(ceph_json_find(ceph_json_get(map, "pools"), "pool_name", *pools),
                                            "flags_names"),
                             flag))
                        return true;
        return false;
}

void ceph_add_degraded(CephCluster *c, const char *const *pools, bool has_mds, struct storaged_status *status,
                       json_object **ret_health)
{
        AUTO(ceph_jsonp) json_object *health = NULL;
        AUTO(ceph_jsonp) json_object *map = NULL;
        json_object *check;

        if (ceph_mon(c, &health, NULL, "health", NULL) < 0)
                return;
        if (ceph_check_raised(health, "POOL_FULL") || ceph_check_raised(health, "POOL_NEARFULL") ||
            ceph_check_raised(health, "POOL_NEAR_FULL"))
                (void) ceph_mon(c, &map, NULL, "osd dump", NULL);
        for (size_t i = 0; i < sizeof(degrading) / sizeof(degrading[0]); i++) {
                check = ceph_check_raised(health, degrading[i].code);
                if (check && (!degrading[i].is_mds || has_mds) &&
                    (!degrading[i].flag || has_flag(map, pools, degrading[i].flag)))
                        ceph_add_reason(status, degrading[i].code, ceph_json_text(check, "summary.message"));
        }
        if (ret_health)
                *ret_health = TAKE(health);
}
