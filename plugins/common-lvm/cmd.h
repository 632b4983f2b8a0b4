/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The door to LVM: one command at a time, in this process, with its answer as text or JSON. */
#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include <storaged/error.h>

typedef struct LvmCmd {
        void *handle;     /* of liblvm2cmd; made by the first command */
        char *filter;     /* of `devices/filter`, quoted and comma separated; NULL: as the host is configured */
        bool is_mapped;   /* all of `filter` are devices of device-mapper, so that LVM need not walk all of /dev */
        unsigned host_id; /* at sanlock; 0: as the host is configured */
        bool is_hosts;    /* as the host is configured, in all: to learn or change what it does by itself */
        bool is_unlocked; /* without lvmlockd: the last volume group of sanlock has gone, and the global lock with it */
        const char *vg;   /* borrowed: whose locks are started when a command finds that they are not; NULL: it fails */
        const char *what; /* borrowed: the storage's id, or what stands in for it in sentences */
} LvmCmd;

void lvm_cmd_deinit(LvmCmd *c);
/* From now on only these devices are looked at; n == 0: as the host is configured. */
int lvm_cmd_limit(LvmCmd *c, const char *const *devices, size_t n);

/*
 * Runs one LVM command. 0; else the error made of what LVM said, by `action` ("make volume x"): -EBUSY (locked by
 * another host, in use), -ENOENT, -EEXIST, -ENOSPC, -EAGAIN (the VG's locks are not started), -EIO for all else.
 */
int lvm_cmd(LvmCmd *c, const char *action, struct storaged_error *err, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/* The same for a report; *ret is the caller's (json_object_put). */
int lvm_cmd_report(LvmCmd *c, const char *action, json_object **ret, struct storaged_error *err, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));
/* Starts the locks of a volume group and waits until they are; done at once where they are. */
int lvm_cmd_start_locks(LvmCmd *c, const char *vg, struct storaged_error *err);
