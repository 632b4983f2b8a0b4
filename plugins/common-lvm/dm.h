/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Devices of logical volumes as the kernel has them: the only witness of what is active on this node. */
#include <stdbool.h>
#include <stdint.h>

#include <storaged/plugin.h>

#define DM_UUID_MAX 129

typedef struct DmDevice {
        bool exists;
        bool is_suspended;
        bool is_error;         /* its table gives errors: the storage was lost */
        unsigned major, minor; /* /dev/dm-<minor> */
        unsigned n_open;
        uint64_t bytes;
        char uuid[DM_UUID_MAX]; /* LVM-<VG><LV> */
} DmDevice;

/* libdevmapper's own sentences go nowhere: what they would say is in the errors. */
void dm_be_silent(void);
/* What the kernel has under the name of VG/LV; not there is an answer (exists false). */
int dm_lookup(const char *vg, const char *lv, DmDevice *ret, STORAGED_ERR);
/* Whether the device is of that VG; *ret_lv: the LV's UUID, within d->uuid. The VG's UUID may have dashes;
 * "": of any VG. */
bool dm_is_of_vg(const DmDevice *d, const char *vg_uuid, const char **ret_lv);
/* Removes a device that nobody has open; waits for udev. */
int dm_remove(const char *vg, const char *lv, STORAGED_ERR);
/* Every device of the VG on this node. */
typedef int (*DmFn)(void *userdata, const char *lv, const DmDevice *d);
int dm_each(const char *vg, const char *vg_uuid, DmFn fn, void *userdata, STORAGED_ERR);
/* Puts a table that fails every I/O under the device, open or not: nothing of this node reaches the storage any more.
 */
int dm_make_error(const char *vg, const char *lv, STORAGED_ERR);

/* Processes and devices that have /dev/dm-<minor> open: "process 12 (qemu-system-x86)", "device dm-7". */
typedef int (*DmOpenerFn)(void *userdata, const char *what);
int dm_each_opener(unsigned minor, DmOpenerFn fn, void *userdata);
