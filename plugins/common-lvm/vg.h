/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A volume group as one report of LVM showed it, and whether that still holds. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <storaged/error.h>

#include "common-lvm/cmd.h"
#include "common-lvm/mda.h"

#define VG_UUID_BYTES 39 /* with dashes and NUL */

typedef struct VgPv {
        const char *device;
        MdaState mda;
        bool is_missing;
        bool has_mda; /* metadata is written there */
} VgPv;

/* Strings belong to the report that Vg keeps. */
typedef struct VgLv {
        const char *name, *uuid;
        const char *tags; /* comma separated */
        const char *layout;
        const char *pool, *origin; /* thin; "" */
        uint64_t bytes;
        int64_t ctime;
} VgLv;

typedef struct Vg {
        json_object *report; /* owned; NULL: nothing is known */
        const char *uuid;
        const char *lock_type; /* "dlm", "sanlock", "" */
        const char *lock_args; /* dlm: "1.0.0:CLUSTER" */
        const char *tags;
        uint64_t bytes, free, extent, seqno;
        uint64_t mda_size, mda_free;
        uint64_t n_missing;
        uint64_t number; /* of the report: none has that of another */
        VgPv *pvs;
        size_t n_pvs;
        VgLv *lvs; /* sorted by name */
        size_t n_lvs;
        bool is_sure; /* all metadata areas could be read */
        bool is_exported;
        bool is_autoactivated; /* at boot, by the host */
} Vg;

void vg_deinit(Vg *v);
/*
 * Makes *v what the VG is now: nothing is done while its metadata areas are what they were. -ENOENT: no such VG.
 * After it LVM looks only at the devices the VG is on.
 */
int vg_refresh(Vg *v, LvmCmd *c, const char *name, struct storaged_error *err);
/* The next vg_refresh asks LVM in any case. */
void vg_forget(Vg *v);
const VgLv *vg_find(const Vg *v, const char *lv);
const VgLv *vg_find_uuid(const Vg *v, const char *uuid_without_dashes);
static inline bool vg_is_shared(const Vg *v)
{
        return v->lock_type && v->lock_type[0] &&
               (v->lock_type[0] == 'd' || v->lock_type[0] == 's' || v->lock_type[0] == 'i');
}
bool vg_has_tag(const char *tags, const char *tag);
