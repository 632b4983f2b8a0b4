/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Operations on volumes: decides whether, under which lock, in which worker, as a task or not; the plugin does them. */
#include "core/core.h"

enum volume_op {
        VOLUME_LIST, /* args: contents?, vmid? */
        VOLUME_STAT,
        VOLUME_ALLOC,      /* args: vmid, filename ("" picks), format?, size (bytes) → volid string */
        VOLUME_FREE,       /* args: delay? → UPID or null */
        VOLUME_RESIZE,     /* args: size (bytes) */
        VOLUME_PATH,       /* args: snapshot? → {"path"} */
        VOLUME_ACTIVATE,   /* args: snapshot?, mode?, force?, dead_nodes? */
        VOLUME_DEACTIVATE, /* args: snapshot? */
        VOLUME_HOLDERS,    /* → the lease's holders, then the plugin's */
        VOLUME_SNAPSHOT,
        VOLUME_ROLLBACK,
        VOLUME_DELETE_SNAPSHOT, /* args: snapshot; task */
        VOLUME_LIST_SNAPSHOTS,
        VOLUME_CLONE,    /* args: vmid, snapshot? → volid */
        VOLUME_TEMPLATE, /* → volid */
        VOLUME_RENAME,   /* args: vmid, name? → volid */
        VOLUME_EXPORT,   /* args: format, to (unix:///path), base?, snapshot?, with_snapshots?; task → UPID */
        VOLUME_IMPORT,   /* args: format, from, allow_rename?, with_snapshots?, delete_snapshot?; task → UPID */
        VOLUME_IMPORT_DIFFERENCE, /* args: those of import, base, snapshot?; on top of a volume that has `base` */
        VOLUME_UPLOAD,            /* args: content, filename, path (spooled, removed afterwards); task → UPID */
        VOLUME_SET_ATTRIBUTES,    /* args: notes?, protected? */
        VOLUME_COPY,              /* args: target (volid or storage); task → UPID */
        VOLUME_HEALTH,            /* of the storage, no volname → array of findings */
        VOLUME_REPAIR,            /* likewise; args: code?, dry_run? → array of findings */
        VOLUME_HANDOVER, /* args: step (prepare, commit, abort, recover), target?, life? → {"volume", "state", …} */
        VOLUME_OP_MAX,
};

typedef struct VolumeCall {
        enum volume_op op;
        const char *storage; /* id */
        const char *volname; /* or NULL where the operation has none */
        json_object *args;   /* borrowed; may be NULL */
        const char *user;    /* who asks: root@pam */
        bool is_part;        /* of a larger task: no task of its own */
        bool is_sync;        /* for operations that are tasks: answer when done, with the result, not the UPID */
} VolumeCall;

void volume_call(Core *c, const VolumeCall *call, reply_fn fn, void *userdata);

/*
 * What a volume id means, without touching the storage; works for any type the schema knows. New reference:
 * {"volid","storage","volname","vtype","name","vmid","basename","basevmid","isBase","format"} with null where there is
 * none.
 */
int volume_info(Core *c, const char *volid, json_object **ret, struct storaged_error *err);
