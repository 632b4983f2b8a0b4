/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes as callers name them. Members come from cluster/membership.c; this node is known by two names, the one it was
 * started with and the one Corosync has for it, which are the same on a machine that is set up well.
 */
#include "core/nodes.h"

#include <errno.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/str.h"
#include "cluster/membership.h"
#include "wire/json.h"

#define SILENCE_MAX_USEC USEC_PER_SEC /* of the cluster file system; then it is told at once */
#define NODE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

int node_locate(const Core *c, const char *param, const char *name, struct storaged_error *err)
{
        AUTO(freep) char *path = NULL;
        const Member *m;

        if (str_eq(name, "localhost") || str_eq(name, c->node))
                return 0;
        if (!*name || strspn(name, NODE_CHARACTERS) != strlen(name))
                return error_set_param(err, -EINVAL, param, "'%s' is no name of a node", name);
        m = membership_find(c->members, name);
        if (!m && str_printf(&path, "%s/nodes/%s", c->paths.cluster, name) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (!m && fs_glance_exists(path) > 0) /* one that was here once, or that only the file system knows */
                return NODE_E_OTHER;
        if (!m)
                return error_set_param(err, -ENOENT, param, "no such node '%s': this is '%s'", name, c->node);
        return m->is_local ? 0 : NODE_E_OTHER;
}

int node_check_quorum(const Core *c, const StorageConfig *s, struct storaged_error *err)
{
        uint64_t silence_usec = guard_get_silence_usec();
        int r = s && !s->is_shared ? 0 : membership_check_quorum(c->members, err);

        if (r < 0 || (s && !s->is_shared) || silence_usec < SILENCE_MAX_USEC)
                return r;
        return error_set(err, -ETIMEDOUT,
                         "the cluster file system at %s has not answered on node '%s' for %llu s: nothing was changed; "
                         "see systemctl status clusterfs (or pve-cluster)",
                         c->paths.cluster, c->node, (unsigned long long) (silence_usec / USEC_PER_SEC));
}

int node_check_gone(const Core *c, const char *name, struct storaged_error *err)
{
        const Member *m = membership_find(c->members, name);
        uint64_t out_s;
        int r;

        if (str_eq(name, c->node))
                return error_set_param(err, -EBUSY, "dead-node", "node '%s' is this one: it is not gone", name);
        if (!membership_is_cluster(c->members))
                return 0;
        r = membership_check_quorum(c->members, err);
        if (r < 0)
                return r;
        if (!membership_is_settled(c->members))
                return error_set_param(err, -EBUSY, "dead-node", "Corosync has not told yet who is there: try again");
        if (!m)
                return 0;
        if (m->is_online || m->gone_usec == 0)
                return error_set_param(err, -EBUSY, "dead-node",
                                       "node '%s' is a member of the cluster and there: it is not gone", name);
        out_s = (now_usec() - m->gone_usec) / USEC_PER_SEC;
        if (out_s < c->gone_after_s)
                return error_set_param(err, -EBUSY, "dead-node",
                                       "node '%s' left the cluster %llu s ago; only after %u s is it certain that it "
                                       "has been fenced: try again in %llu s",
                                       name, (unsigned long long) out_s, c->gone_after_s,
                                       (unsigned long long) (c->gone_after_s - out_s));
        return NODE_E_GONE;
}

static int add_row(json_object *rows, json_object *row)
{
        if (json_object_array_add(rows, row) == 0)
                return 0;
        json_object_put(row);
        return -ENOMEM;
}

static int add_id(json_object *o, const Member *m)
{
        AUTO(freep) char *id = NULL;
        int r = str_printf(&id, "node/%s", m->name);

        return r < 0 ? r : json_add_string(o, "id", id);
}

static int node_to_json(const Member *m, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        int r = o ? json_add_string(o, "node", m->name) : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "status", m->is_online ? "online" : "offline");
        if (r >= 0)
                r = json_add_string(o, "type", "node");
        if (r >= 0)
                r = add_id(o, m);
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

static int node_to_status_json(const Member *m, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        int r = o ? json_add_string(o, "type", "node") : -ENOMEM;

        if (r >= 0)
                r = add_id(o, m);
        if (r >= 0)
                r = json_add_string(o, "name", m->name);
        if (r >= 0)
                r = json_add_uint(o, "nodeid", m->id);
        if (r >= 0 && m->ip[0])
                r = json_add_string(o, "ip", m->ip);
        if (r >= 0)
                r = json_add_bool01(o, "online", m->is_online);
        if (r >= 0)
                r = json_add_bool01(o, "local", m->is_local);
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

static int cluster_to_json(const Core *c, size_t n_nodes, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        int r = o ? json_add_string(o, "type", "cluster") : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "id", "cluster");
        if (r >= 0)
                r = json_add_string(o, "name", membership_get_name(c->members));
        if (r >= 0)
                r = json_add_uint(o, "nodes", n_nodes);
        if (r >= 0)
                r = json_add_bool01(o, "quorate", membership_is_quorate(c->members));
        if (r >= 0)
                r = json_add_uint(o, "version", membership_get_version(c->members));
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

static json_object *members_to_json(const Core *c, json_object *first, int (*fn)(const Member *m, json_object **ret))
{
        AUTO_JSON *rows = json_object_new_array();
        size_t n;
        const Member *members = membership_get_members(c->members, &n);
        int r = rows ? 0 : -ENOMEM;

        if (first && (r < 0 || add_row(rows, first) < 0))
                return NULL;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                json_object *row = NULL;

                r = fn(&members[i], &row);
                if (r >= 0)
                        r = add_row(rows, row);
        }
        return r < 0 ? NULL : TAKE(rows);
}

json_object *nodes_to_json(const Core *c)
{
        return members_to_json(c, NULL, node_to_json);
}

json_object *nodes_to_status_json(const Core *c)
{
        json_object *cluster = NULL;
        size_t n;

        (void) membership_get_members(c->members, &n);
        if (membership_is_cluster(c->members) && cluster_to_json(c, n, &cluster) < 0)
                return NULL;
        return members_to_json(c, cluster, node_to_status_json);
}
