/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What can be done with the LUNs of this node: the actions of the type `multipath`. */
#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#include "multipath/inventory.h"
#include "multipath/scsi.h"

#define ACT_AT_ONCE 32u /* children at one time */

extern const struct storaged_action multipath_actions[];
int multipath_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                  storaged_json_fn fn, void *userdata, STORAGED_ERR);

/* What one action gets and gives. */
typedef struct Act {
        const struct storaged_host *host;
        const struct storaged_config *args;
        json_object *reply; /* an object, to be filled; of `doctor` an array */
        struct storaged_error *err;
} Act;

/* --- act-inventory.c */
/* The inventory of this worker, kept between its calls. */
int act_collect(Act *a, const char *changed, bool with_content, json_object **ret);
/* The LUN of the argument `wwid` in a fresh inventory, without content; borrowed from *inventory. -ENOENT with `err`.
 */
int act_find_lun(Act *a, json_object **ret_inventory, json_object **ret_lun);
/* The descriptor of /sys, or of the recorded tree of a test (DIR/sys below --root); the caller closes. */
int act_open_sys(const struct storaged_host *host);
/* The argument `wwid`, checked; -EINVAL. */
int act_wwid(Act *a, const char **ret);
int act_inventory(Act *a);

/* --- act-check.c */
const char *act_text(json_object *o, const char *key); /* "" if absent */
int64_t act_number(json_object *o, const char *key);
size_t act_paths(json_object *lun, json_object **ret);
/* Every path of the LUN is asked who it is now; *ret is the caller's to free. */
int act_ask_paths(json_object *lun, LiveDisk **ret, size_t *ret_n);
int act_check(Act *a);
int act_rescan(Act *a);
int act_resize_map(Act *a);

/* --- act-scan.c */
typedef struct ScanWrite {
        char path[96], text[48];
} ScanWrite;
/* The writes, each in a child with a deadline; those that failed are named in the reply. */
int act_scan_write(Act *a, ScanWrite *writes, size_t n);
/* Waits until udev and multipathd have nothing left to do, bounded; that they were not done is said in the reply. */
int act_settle(Act *a);
int act_scan(Act *a);

/* --- act-remove.c */
int act_block(Act *a);
int act_unblock(Act *a);
int act_flush(Act *a);
int act_delete(Act *a);
int act_prove(Act *a);

/* --- act-apply.c */
int act_apply(Act *a);

/* --- act-doctor.c */
int act_doctor(Act *a);
