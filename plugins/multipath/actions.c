/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of actions. Each is one step on one node, short and idempotent; which steps follow on which nodes, and what
 * has to be true before the next, is core's (core/lun-*.c).
 */
#include "multipath/actions.h"

#include <errno.h>
#include <string.h>

#include "multipath/js.h"

static const struct storaged_property inventory_params[] = {
        { .name = "changed",
          .type = STORAGED_PROPERTY_STRING,
          .description = "Kernel names of disks to look at again, with blanks between, or 'all'." },
        { 0 },
};

const struct storaged_action multipath_actions[] = {
        { .name = "inventory",
          .summary = "LUNs, their paths and the ports of this node",
          .flags = STORAGED_ACTION_READ,
          .params = inventory_params },
        { 0 },
};

static const struct {
        const char *name;
        int (*run)(Act *a);
} runs[] = {
        { "inventory", act_inventory },
};

int multipath_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                  storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        AUTO_JS *reply = json_object_new_object();
        Act a = { host, args, reply, err };
        const char *text;
        int r = -EOPNOTSUPP;

        (void) self;
        if (!reply)
                return -ENOMEM;
        for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
                if (strcmp(runs[i].name, action) == 0)
                        r = runs[i].run(&a);
        if (r < 0)
                return r;
        text = json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        return text ? fn(userdata, text, strlen(text)) : -ENOMEM;
}
