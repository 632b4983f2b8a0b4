/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes an rbd storage degraded: what makes any storage of this cluster so (common-ceph/ceph-degraded.h), and that
 * its pool has no application.
 */
#include "rbd/status-health.h"

#include "common-ceph/ceph-degraded.h"
#include "rbd/admin.h"

void status_add_health(RbdStore *s, struct storaged_status *status)
{
        const char *const pools[] = { s->pool, s->data_pool, NULL };
        AUTO(ceph_jsonp) json_object *health = NULL;
        AUTO(ceph_jsonp) json_object *map = NULL;
        json_object *pool;

        ceph_add_degraded(&s->cluster, pools, false, status, &health);
        if (!ceph_json_get(ceph_json_get(health, "checks"), "POOL_APP_NOT_ENABLED") ||
            ceph_mon(&s->cluster, &map, NULL, "osd dump", NULL) < 0)
                return;
        pool = ceph_json_find(ceph_json_get(map, "pools"), "pool_name", s->pool);
        if (!pool || pool_applications(pool, NULL) != 0)
                return;
        (void) snprintf(status->repairs, sizeof(status->repairs), "POOL_APP_NOT_ENABLED");
        if (ceph_check_raised(health, "POOL_APP_NOT_ENABLED"))
                ceph_add_reason(status, "POOL_APP_NOT_ENABLED",
                                "nobody said what the pool is for; `pvesm ceph repair` finds out");
}
