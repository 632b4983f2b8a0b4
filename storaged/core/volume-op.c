/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations on volumes, a row each: the worker's word, the type of its task, what the plugin must have, how long
 * the worker may be silent, and which steps of a job (volume.c) it has.
 */
#include "core/volume-op.h"

#include "core/schema.h"

const VolumeOp volume_ops[VOLUME_OP_MAX] = {
        [VOLUME_LIST] = { "list", NULL, SCHEMA_OP_LIST, 60, OP_CONTROL },
        [VOLUME_STAT] = { "stat", NULL, SCHEMA_OP_STAT, 20, OP_VOLUME | OP_CONTROL },
        [VOLUME_ALLOC] = { "alloc", NULL, SCHEMA_OP_ALLOC, 60, OP_DATA | OP_LOCKED | OP_GIVES_VOLUME | OP_USAGE },
        [VOLUME_FREE] = { "free", "imgdel", SCHEMA_OP_FREE, 120,
                          OP_VOLUME | OP_DATA | OP_LOCKED | OP_WRITES | OP_ENDS_VOLUME | OP_USAGE },
        [VOLUME_RESIZE] = { "resize", "resize", SCHEMA_OP_RESIZE, 120,
                            OP_VOLUME | OP_DATA | OP_LOCKED | OP_WRITES | OP_USAGE },
        [VOLUME_PATH] = { "path", NULL, SCHEMA_OP_PATH, 10, OP_VOLUME | OP_PURE },
        [VOLUME_ACTIVATE] = { "activate_volume", NULL, -1, 60, OP_VOLUME | OP_DATA | OP_LOCKED | OP_LEASED },
        [VOLUME_DEACTIVATE] = { "deactivate_volume", NULL, -1, 60, OP_VOLUME | OP_LOST | OP_LOCKED | OP_LEASED },
        [VOLUME_HOLDERS] = { "holders", NULL, -1, 20, OP_VOLUME | OP_LOST | OP_LEASED },
        [VOLUME_SNAPSHOT] = { "snapshot", "snapshot", SCHEMA_OP_SNAPSHOT, 0,
                              OP_VOLUME | OP_DATA | OP_LOCKED | OP_LONG | OP_WRITES | OP_USAGE },
        [VOLUME_ROLLBACK] = { "rollback", "rollback", SCHEMA_OP_ROLLBACK, 0,
                              OP_VOLUME | OP_DATA | OP_LOCKED | OP_LONG | OP_WRITES | OP_USAGE },
        [VOLUME_DELETE_SNAPSHOT] = { "delete_snapshot", "delsnapshot", SCHEMA_OP_DELETE_SNAPSHOT, 0,
                                     OP_VOLUME | OP_DATA | OP_LOCKED | OP_LONG | OP_WRITES | OP_USAGE },
        [VOLUME_LIST_SNAPSHOTS] = { "list_snapshots", NULL, SCHEMA_OP_LIST_SNAPSHOTS, 20, OP_VOLUME | OP_CONTROL },
        [VOLUME_CLONE] = { "clone", "clone", SCHEMA_OP_CLONE, 120,
                           OP_VOLUME | OP_DATA | OP_LOCKED | OP_GIVES_VOLUME | OP_USAGE },
        [VOLUME_TEMPLATE] = { "template", "template", SCHEMA_OP_TEMPLATE, 120,
                              OP_VOLUME | OP_DATA | OP_LOCKED | OP_WRITES | OP_ENDS_VOLUME | OP_GIVES_VOLUME },
        [VOLUME_RENAME] = { "rename", "rename", SCHEMA_OP_RENAME, 120,
                            OP_VOLUME | OP_DATA | OP_LOCKED | OP_WRITES | OP_ENDS_VOLUME | OP_GIVES_VOLUME },
        [VOLUME_EXPORT] = { "export", "export", SCHEMA_OP_EXPORT_STREAM, 0, OP_VOLUME | OP_DATA | OP_LONG | OP_READS },
        [VOLUME_IMPORT] = { "import", "import", SCHEMA_OP_IMPORT_STREAM, 0,
                            OP_VOLUME | OP_DATA | OP_LONG | OP_GIVES_VOLUME | OP_USAGE },
        /* What others hold is not changed, and is left there first: as before a rollback. */
        [VOLUME_IMPORT_DIFFERENCE] = { "import", "import", SCHEMA_OP_EXPORT_DIFFERENCE, 0,
                                       OP_VOLUME | OP_DATA | OP_LONG | OP_WRITES | OP_GIVES_VOLUME | OP_USAGE },
        [VOLUME_UPLOAD] = { "upload", "imgupload", SCHEMA_OP_UPLOAD, 0,
                            OP_DATA | OP_LONG | OP_GIVES_VOLUME | OP_USAGE },
        [VOLUME_SET_ATTRIBUTES] = { "set_notes", NULL, -1, 20, OP_VOLUME | OP_DATA | OP_LOCKED },
        [VOLUME_COPY] = { "copy", "imgcopy", SCHEMA_OP_EXPORT_STREAM, 0, OP_VOLUME | OP_DATA | OP_LONG | OP_READS },
        [VOLUME_HEALTH] = { "health", NULL, SCHEMA_OP_HEALTH, 60, OP_CONTROL },
        [VOLUME_REPAIR] = { "repair", NULL, SCHEMA_OP_REPAIR, 120, OP_DATA | OP_LOCKED | OP_USAGE },
        [VOLUME_HANDOVER] = { "migrate", NULL, -1, 60, OP_VOLUME | OP_DATA | OP_LOCKED | OP_LEASED },
};
