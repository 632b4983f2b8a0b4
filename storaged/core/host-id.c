/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's number decides which sector of a lock space is its own: two nodes with one number would renew each other's
 * lease. So a number once given is never another node's, also when its node is gone. The file is an object, {"n1": 1,
 * …}.
 */
#include "core/host-id.h"

#include <errno.h>
#include <stdbool.h>

#include "base/str.h"
#include "core/lease.h"
#include "wire/json.h"

static int host_ids_path(const Paths *p, char **ret)
{
        return str_printf(ret, "%s/priv/storaged/host-ids", p->cluster);
}

static bool is_taken(json_object *ids, unsigned id)
{
        json_object_object_foreach (ids, node, value) {
                (void) node;
                if (json_object_get_int64(value) == (int64_t) id)
                        return true;
        }
        return false;
}

static int id_of(json_object *ids, const char *node, bool *ret_is_new)
{
        unsigned id = (unsigned) json_get_uint(ids, node, 0);

        if (id >= 1 && id <= HOST_ID_MAX)
                return (int) id;
        for (id = 1; id <= HOST_ID_MAX && is_taken(ids, id);)
                id++;
        if (id > HOST_ID_MAX)
                return -ENOSPC;
        *ret_is_new = true;
        return json_add_uint(ids, node, id) < 0 ? -ENOMEM : (int) id;
}

int host_ids_assign(const Paths *p, const char *const *nodes, size_t n, unsigned *ret, struct storaged_error *err)
{
        AUTO(freep) char *path = NULL;
        AUTO_JSON *ids = NULL;
        bool is_new = false;
        int r = host_ids_path(p, &path);

        if (r >= 0)
                r = record_read(path, &ids);
        if (r == -ENOENT)
                r = (ids = json_object_new_object()) ? 0 : -ENOMEM;
        if (r < 0)
                return error_set(err, r, "the nodes' numbers at sanlock can't be read from %s: %s", path ? path : "",
                                 strerror(-r));
        for (size_t i = 0; i < n; i++) {
                r = id_of(ids, nodes[i], &is_new);
                if (r < 0)
                        return error_set(err, r, "node %s can't get a number at sanlock: %s", nodes[i], strerror(-r));
                ret[i] = (unsigned) r;
        }
        r = is_new ? record_write(path, ids) : 0;
        return r < 0 ? error_set(err, r, "the nodes' numbers at sanlock can't be written to %s: %s", path, strerror(-r))
                     : 0;
}
