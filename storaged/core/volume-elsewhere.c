/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What other nodes still have of a volume that is about to be changed: devices of an activation by hand or at boot. The
 * lease says that nobody else holds it, so there is nothing to take away from anybody; but a device that stays would
 * show old blocks, and be in the way of the next volume of that name. Who has it open all the same says so, and nothing
 * is changed. Only types that leave such things have the action `forget`.
 */
#include "core/volume-elsewhere.h"

#include <errno.h>
#include <stdlib.h>

#include "cluster/membership.h"
#include "core/everywhere.h"
#include "wire/json.h"

typedef struct Asking {
        VolumeJob *job;
        void (*then)(VolumeJob *j);
} Asking;

static void on_answers(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Asking asking = *(Asking *) userdata;
        VolumeJob *j = asking.job;

        free(userdata);
        for (size_t i = 0; i < n && err.code == 0; i++)
                if (answers[i].err.code < 0)
                        (void) error_set(&err, -EBUSY,
                                         "volume '%s:%s' was not changed: node '%s' may still have something of it: %s",
                                         j->storage, j->volname, answers[i].node, answers[i].err.text);
        if (err.code < 0)
                volume_job_end(j, NULL, &err);
        else
                asking.then(j);
}

static bool leaves_something(const VolumeJob *j)
{
        const StorageConfig *s = config_find(j->core->config, j->storage);

        return s && s->is_shared && s->type && type_find_action(s->type, "forget");
}

/* The other nodes that are there and have the storage; ends with NULL. */
static size_t take_nodes(const VolumeJob *j, const char **ret, size_t size)
{
        const StorageConfig *s = config_find(j->core->config, j->storage);
        size_t n = 0, n_members = 0;
        const Member *members = membership_get_members(j->core->members, &n_members);

        for (size_t i = 0; i < n_members && n + 1 < size; i++)
                if (!members[i].is_local && members[i].is_online && storage_config_is_enabled_on(s, members[i].name))
                        ret[n++] = members[i].name;
        ret[n] = NULL;
        return n;
}

void volume_leave_elsewhere(VolumeJob *j, void (*then)(VolumeJob *j))
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf form = STRBUF_INIT;
        const char *nodes[VOLUME_NODES_MAX];
        AUTO(freep) char *path = NULL;
        Asking *asking;
        int r;

        if (!leaves_something(j) || take_nodes(j, nodes, VOLUME_NODES_MAX) == 0) {
                then(j);
                return;
        }
        asking = calloc(1, sizeof(*asking));
        strbuf_adds(&form, "storage=");
        everywhere_encode(&form, j->storage);
        strbuf_adds(&form, "&volume=");
        everywhere_encode(&form, j->volname);
        r = str_printf(&path, "/actions/%s/forget", config_find(j->core->config, j->storage)->type_name);
        if (asking && r >= 0 && strbuf_error(&form) >= 0) {
                *asking = (Asking){ j, then };
                r = everywhere_ask(j->core, &(EverywhereCall){ .nodes = nodes,
                                                               .method = "POST",
                                                               .path = path,
                                                               .form = form.data,
                                                               .fn = on_answers,
                                                               .userdata = asking });
                if (r >= 0)
                        return;
        }
        free(asking);
        (void) error_set(&err, -ENOMEM, "out of memory");
        volume_job_end(j, NULL, &err);
}
