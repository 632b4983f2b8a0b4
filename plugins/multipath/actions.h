/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What can be done with the LUNs of this node: the actions of the type `multipath`. */
#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#include "multipath/inventory.h"

extern const struct storaged_action multipath_actions[];
int multipath_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                  storaged_json_fn fn, void *userdata, STORAGED_ERR);

/* What one action gets and gives. */
typedef struct Act {
        const struct storaged_host *host;
        const struct storaged_config *args;
        json_object *reply; /* an object, to be filled */
        struct storaged_error *err;
} Act;

/* The inventory of this worker, kept between its calls. */
int act_collect(Act *a, const char *changed, bool with_content, json_object **ret);
/* The LUN of the argument `wwid` in a fresh inventory, without content; borrowed from *inventory. -ENOENT with `err`. */
int act_find_lun(Act *a, json_object **ret_inventory, json_object **ret_lun);
/* The descriptor of /sys, or of the recorded tree of a test (DIR/sys below --root); the caller closes. */
int act_open_sys(const struct storaged_host *host);
/* The argument `wwid`, checked; -EINVAL. */
int act_wwid(Act *a, const char **ret);

int act_inventory(Act *a);
