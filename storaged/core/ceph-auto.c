/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * auto-repair: the administrator said beforehand that what can be repaired safely is to be. The task is the same that
 * `pvesm ceph repair` makes, with the same evidence and proof in its log; it is never made by two nodes.
 */
#include "core/ceph.h"

#include <errno.h>

#include "base/log.h"
#include "base/str.h"
#include "cluster/membership.h"

static bool is_first_node(Core *c, const StorageConfig *s)
{
        size_t n = 0;
        const Member *members = membership_get_members(c->members, &n);

        for (size_t i = 0; i < n; i++)
                if (members[i].is_online && storage_config_is_enabled_on(s, members[i].name))
                        return members[i].is_local;
        return true;
}

static void on_started(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        (void) userdata;
        if (err)
                log_full(LOG_WARNING, 0, NULL, "auto-repair: %s", err->text);
        else if (reply && json_object_is_type(reply->data, json_type_string))
                log_full(LOG_INFO, 0, NULL, "auto-repair: %s", json_object_get_string(reply->data));
}

/* Where the cluster is this node's own, its administrator's key is here; an external one has only the storage's. */
void ceph_auto_repair(Core *c, const StorageConfig *s, const char *codes)
{
        const char *wanted = storage_config_get(s, "auto-repair"), *pool = storage_config_get(s, "pool");
        struct storaged_pair pairs[] = { { "pool-name", pool ? pool : "rbd" } };
        CephCall call = {
                .action = "ceph-repair",
                .storage = storage_config_get(s, "monhost") ? s->id : NULL,
                .pairs = pairs,
                .n_pairs = 1,
        };

        if (!wanted || !str_eq(wanted, "1") || !strstr(codes, "POOL_APP_NOT_ENABLED") || !is_first_node(c, s))
                return;
        log_full(LOG_INFO, 0, &(LogContext){ .storage = s->id }, "auto-repair of %s", codes);
        ceph_run(c, &call, on_started, NULL);
}
