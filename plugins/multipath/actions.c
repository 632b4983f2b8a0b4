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

#define P_WWID                                                                                         \
        {                                                                                              \
                .name = "wwid", .type = STORAGED_PROPERTY_STRING, .flags = STORAGED_PROPERTY_REQUIRED, \
                .max_length = 255, .description = "The LUN's WWID."                                    \
        }

static const struct storaged_property no_params[] = { { 0 } };

static const struct storaged_property wwid_params[] = { P_WWID, { 0 } };

static const struct storaged_property scan_params[] = {
        { .name = "target",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 255,
          .description = "WWPN or IQN of the only target to look at." },
        { .name = "lun",
          .type = STORAGED_PROPERTY_INTEGER,
          .min = 0,
          .max = 65535,
          .description = "The only number to look at, of that target." },
        { 0 },
};

static const struct storaged_property size_params[] = {
        P_WWID,
        { .name = "size",
          .type = STORAGED_PROPERTY_INTEGER,
          .flags = STORAGED_PROPERTY_REQUIRED,
          .min = 512,
          .max = INT64_MAX,
          .description = "What all paths have, in bytes." },
        { 0 },
};

static const struct storaged_property flush_params[] = {
        P_WWID,
        { .name = "force",
          .type = STORAGED_PROPERTY_BOOLEAN,
          .description = "Remove the map even if what was written to it is lost." },
        { 0 },
};

static const struct storaged_property unblock_params[] = {
        P_WWID,
        { .name = "gone", .type = STORAGED_PROPERTY_BOOLEAN, .description = "It is gone for good: no map is wanted." },
        { 0 },
};

static const struct storaged_property prove_params[] = {
        P_WWID,
        { .name = "places",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 16384,
          .description = "Where it was: H:C:T:L, commas between." },
        { 0 },
};

static const struct storaged_property apply_params[] = {
        { .name = "config",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 1048576,
          .description = "What multipath.cfg of the cluster says." },
        { .name = "overrides",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 1048576,
          .description = "What multipath-overrides.conf says." },
        { 0 },
};

const struct storaged_action multipath_actions[] = {
        { .name = "inventory",
          .summary = "LUNs, their paths and the ports of this node",
          .flags = STORAGED_ACTION_READ,
          .params = inventory_params },
        { .name = "lun-check",
          .summary = "What each path of a LUN says now: identity and size",
          .flags = STORAGED_ACTION_READ,
          .params = wwid_params },
        { .name = "lun-scan",
          .summary = "Look for new LUNs, and for numbers that lead to another LUN now",
          .params = scan_params },
        { .name = "lun-rescan",
          .summary = "Read the size of all paths of a LUN again and compare them",
          .params = wwid_params },
        { .name = "lun-resize-map",
          .summary = "Let the map of a LUN follow the size of its paths",
          .params = size_params },
        { .name = "lun-block", .summary = "Keep a LUN from getting a map again", .params = wwid_params },
        { .name = "lun-unblock", .summary = "Allow it again", .params = unblock_params },
        { .name = "lun-flush", .summary = "Write out and remove the map of a LUN", .params = flush_params },
        { .name = "lun-delete", .summary = "Delete all disks that are paths of a LUN", .params = wwid_params },
        { .name = "lun-prove",
          .summary = "Look again where a LUN was, and say whether it is there",
          .params = prove_params },
        { .name = "doctor",
          .summary = "What is wrong with this node's LUNs and its multipath",
          .flags = STORAGED_ACTION_READ,
          .params = no_params },
        { .name = "config-apply",
          .summary = "Make the cluster's multipath configuration this node's",
          .params = apply_params },
        { 0 },
};

static const struct {
        const char *name;
        int (*run)(Act *a);
} runs[] = {
        { "inventory", act_inventory }, { "lun-check", act_check },           { "lun-scan", act_scan },
        { "lun-rescan", act_rescan },   { "lun-resize-map", act_resize_map }, { "lun-block", act_block },
        { "lun-unblock", act_unblock }, { "lun-flush", act_flush },           { "lun-delete", act_delete },
        { "lun-prove", act_prove },     { "config-apply", act_apply },        { "doctor", act_doctor },
};

int multipath_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                  storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        AUTO_JS *reply = strcmp(action, "doctor") == 0 ? json_object_new_array() : json_object_new_object();
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
