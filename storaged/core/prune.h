/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which backups to keep (pvesm.md section 7, "Prune rule"), and removing the others. */
#include "core/core.h"

typedef struct PruneRule {
        bool keep_all;
        uint64_t last, hourly, daily, weekly, monthly, yearly;
} PruneRule;

/* Property string "keep-last=3,keep-daily=7"; -EINVAL with `err`. All zero means keep all. */
int prune_rule_parse(const char *text, PruneRule *ret, struct storaged_error *err);

typedef struct PruneBackup {
        const char *volid; /* borrowed */
        const char *group; /* "qemu/100"; NULL: name is not standard */
        int64_t ctime;     /* of the name, local time */
        bool is_protected;
        const char *mark; /* out: "keep", "remove", "protected", "renamed" */
} PruneBackup;

/* Marks all; times are taken in the local time zone. Pure but for the time zone. */
void prune_mark(const PruneRule *rule, PruneBackup *backups, size_t n);

typedef struct PruneCall {
        const char *storage;
        const char *rule; /* NULL: the storage's prune-backups */
        const char *type; /* "qemu", "lxc" or NULL */
        uint32_t vmid;    /* 0: all */
        bool is_dry_run;  /* reply: array of {volid, type, vmid, ctime, mark}; else a task: UPID */
        const char *user;
} PruneCall;

void prune_call(Core *c, const PruneCall *call, reply_fn fn, void *userdata);
