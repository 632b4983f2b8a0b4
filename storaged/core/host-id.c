/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's number decides which sector of a lock space is its own: two nodes with one number would renew each other's
 * lease. So a number once given is never another node's, also when its node is gone. The file is an object, {"n1": 1,
 * …}.
 */
#include "core/host-id.h"

#include <errno.h>
#include <stdbool.h>

#include "base/fs.h"
#include "base/str.h"
#include "core/lease.h"
#include "wire/json.h"

static int host_ids_path(const Paths *p, char **ret)
{
        return str_printf(ret, "%s/priv/storaged/host-ids", p->cluster);
}

/* Whose number it is; NULL: nobody's. */
static const char *find_owner(json_object *ids, unsigned id)
{
        json_object_object_foreach (ids, node, value)
                if (json_object_get_int64(value) == (int64_t) id)
                        return node;
        return NULL;
}

static int give(json_object *ids, const char *node, unsigned id, bool *ret_is_new)
{
        *ret_is_new = true;
        return json_add_uint(ids, node, id) < 0 ? -ENOMEM : (int) id;
}

/* What a node's lvmlocal.conf says holds: its locks may run with it. */
static int take_own(json_object *ids, const char *node, unsigned own, bool *ret_is_new, struct storaged_error *err)
{
        unsigned given = (unsigned) json_get_uint(ids, node, 0);
        const char *owner = find_owner(ids, own);

        if (given == own)
                return (int) own;
        if (owner)
                return error_set(
                        err, -EEXIST,
                        "node %s has host_id %u in its /etc/lvm/lvmlocal.conf, which is node %s's: two nodes with "
                        "one number would take each other's leases. Take it out there, with no locks of sanlock "
                        "running (vgchange --lock-stop)",
                        node, own, owner);
        if (given)
                return error_set(
                        err, -EEXIST,
                        "node %s has host_id %u in its /etc/lvm/lvmlocal.conf, and was given %u before. Take it "
                        "out there, with no locks of sanlock running (vgchange --lock-stop)",
                        node, own, given);
        return give(ids, node, own, ret_is_new);
}

static int id_of(json_object *ids, const char *node, bool *ret_is_new)
{
        unsigned id = (unsigned) json_get_uint(ids, node, 0);

        if (id >= 1 && id <= HOST_ID_MAX)
                return (int) id;
        for (id = 1; id <= HOST_ID_MAX && find_owner(ids, id);)
                id++;
        return id > HOST_ID_MAX ? -ENOSPC : give(ids, node, id, ret_is_new);
}

int host_ids_assign(const Paths *p, const char *const *nodes, size_t n, unsigned *ids, const Fence *fence,
                    struct storaged_error *err)
{
        AUTO(freep) char *path = NULL;
        AUTO_JSON *given = NULL;
        bool is_new = false;
        int r = host_ids_path(p, &path);

        if (r >= 0)
                r = record_read(path, &given);
        if (r == -ENOENT)
                r = (given = json_object_new_object()) ? 0 : -ENOMEM;
        if (r < 0)
                return error_set(err, r, "the nodes' numbers at sanlock can't be read from %s: %s", path ? path : "",
                                 strerror(-r));
        for (size_t i = 0; i < n && r >= 0; i++) /* first, so that nobody is given what another one has */
                if (ids[i])
                        r = take_own(given, nodes[i], ids[i], &is_new, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = id_of(given, nodes[i], &is_new);
                if (r < 0)
                        return error_set(err, r, "node %s can't get a number at sanlock: %s", nodes[i], strerror(-r));
                ids[i] = (unsigned) r;
        }
        r = is_new ? record_write(path, given, fence) : 0;
        return r < 0 ? error_set(err, r, "the nodes' numbers at sanlock can't be written to %s: %s", path,
                                 fs_strerror(r))
                     : 0;
}
