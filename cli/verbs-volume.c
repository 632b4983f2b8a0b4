/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done with one volume or one storage, beyond the commands of Proxmox VE. */
#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"

#define P_SNAPNAME                                                               \
        {                                                                        \
                .name = "snapname", .flags = POS, .text = "The snapshot's name." \
        }

static const Param health_params[] = { P_STORAGE, P_NODE_END };

static const Param snapshot_params[] = { P_VOLUME, P_SNAPNAME, P_NODE_END };

static const Param resize_params[] = {
        P_VOLUME,
        { .name = "size",
          .flags = POS,
          .hint = "\\+?\\d+[MG]?",
          .text = "New size in KiB, or with M or G; with + in front: that much more." },
        P_NODE_END,
};

static const Param rename_params[] = {
        P_VOLUME,
        { .name = "vmid", .type = PARAM_INTEGER, .text = "The new owner." },
        { .name = "name", .text = "The new name; without it the next free one." },
        P_NODE_END,
};

static const Param clone_params[] = {
        P_VOLUME,
        { .name = "vmid", .type = PARAM_INTEGER, .flags = POS, .text = "Owner of the clone." },
        { .name = "snapname", .text = "Clone this snapshot." },
        P_NODE_END,
};

static const Param copy_params[] = {
        P_VOLUME,
        { .name = "target", .flags = POS, .complete = "storage", .text = "Volume or storage to copy to." },
        { .name = "target_node", .complete = "node", .text = "Node to copy to." },
        P_NODE_END,
};

static const Param activate_params[] = {
        P_VOLUME,
        { .name = "mode",
          .hint = "exclusive | shared | read-only",
          .complete = "exclusive shared read-only",
          .text = "For whom: this node alone, the target of a migration with its source, or only to be read." },
        { .name = "snapname", .text = "This snapshot of it." },
        { .name = "force", .type = PARAM_BOOLEAN, .text = "Take it over from a holder that is proven gone." },
        { .name = "dead-node",
          .type = PARAM_LIST,
          .complete = "node",
          .text = "With --force: the node that is gone and can't write any more. It is logged." },
        P_NODE_END,
};

#define P_WHAT                                                                                             \
        {                                                                                                  \
                .name = "what", .flags = POS | PARAM_LOCAL, .complete = "volume", .hint = "volume | vmid", \
                .text = "The volume, or a guest's number: all its disks on shared storages."               \
        }

static const Param prepare_params[] = {
        P_WHAT,
        { .name = "target", .flags = PARAM_REQUIRED, .complete = "node", .text = "The node that gets it." },
        { .name = "timeout",
          .type = PARAM_INTEGER,
          .hint = "10 .. 604800",
          .text = "Seconds after which it is undone unless decided; 3600 if not given." },
        P_END,
};

static const Param decide_params[] = {
        P_WHAT,
        { .name = "target", .complete = "node", .text = "The node it was prepared for, as a check." },
        P_END,
};

static const Param deactivate_params[] = {
        P_VOLUME,
        { .name = "snapname", .text = "This snapshot of it." },
        P_NODE_END,
};

static const Param notes_params[] = {
        P_VOLUME,
        { .name = "notes", .flags = POS | PARAM_OPTIONAL, .text = "The new notes; '' removes them." },
        P_NODE_END,
};

static const Param protect_params[] = {
        P_VOLUME,
        { .name = "protected", .type = PARAM_BOOLEAN, .flags = POS, .text = "1: can't be removed. 0: can be." },
        P_NODE_END,
};

static const Param upload_params[] = {
        P_STORAGE,
        { .name = "file", .flags = POS | PARAM_LOCAL, .complete = "file", .text = "The file to send." },
        { .name = "content",
          .flags = PARAM_REQUIRED,
          .hint = "import | iso | vztmpl",
          .complete = "iso vztmpl import",
          .text = "What it is." },
        { .name = "filename", .text = "Name on the storage, if not the file's." },
        { .name = "checksum", .text = "Checksum that must be met." },
        { .name = "checksum-algorithm",
          .hint = "md5 | sha1 | sha224 | sha256 | sha384 | sha512",
          .complete = "md5 sha1 sha224 sha256 sha384 sha512",
          .text = "How the checksum was made." },
        P_NODE_END,
};

static const Param repair_params[] = {
        P_STORAGE,
        { .name = "code", .text = "Only this finding." },
        { .name = "dry-run", .type = PARAM_BOOLEAN, .text = "Only say what would be done." },
        P_NODE_END,
};

static const Param info_params[] = {
        { .name = "volume", .flags = POS, .complete = "volume", .text = "The volume id: STORAGE:NAME." },
        P_NODE_END,
};

const Verb volume_verbs[] = {
        { .name = "info",
          .text = "What a volume id means. Touches no storage and needs no running daemon.",
          .params = info_params,
          .flags = VERB_OFFLINE,
          .method = "GET",
          .path = NODE "/info",
          .show = show_object,
          .run = run_info },
        { .name = "resize",
          .text = "Changes the size of a volume.",
          .params = resize_params,
          .flags = VERB_SYNC,
          .method = "PUT",
          .path = STORAGE "/resize" },
        { .name = "rename",
          .text = "Gives a volume another owner or name.",
          .params = rename_params,
          .flags = VERB_SYNC,
          .method = "POST",
          .path = STORAGE "/rename",
          .show = show_text },
        { .name = "clone",
          .text = "Makes a linked clone of a template.",
          .params = clone_params,
          .flags = VERB_SYNC,
          .method = "POST",
          .path = STORAGE "/clone",
          .show = show_created },
        { .name = "template",
          .text = "Turns a volume into a template.",
          .params = volume_params,
          .flags = VERB_SYNC,
          .method = "POST",
          .path = STORAGE "/template",
          .show = show_text },
        { .name = "copy",
          .text = "Copies a volume to another name or storage.",
          .params = copy_params,
          .flags = VERB_DATA,
          .method = "POST",
          .path = STORAGE "/content/{volume}",
          .run = run_task },
        { .name = "snapshot",
          .text = "Takes a snapshot of a volume.",
          .params = snapshot_params,
          .method = "POST",
          .path = STORAGE "/snapshot",
          .run = run_task },
        { .name = "snapshots",
          .text = "Snapshots of a volume.",
          .params = volume_params,
          .method = "GET",
          .path = STORAGE "/snapshot",
          .show = show_snapshots },
        { .name = "rollback",
          .text = "Takes a volume back to a snapshot.",
          .params = snapshot_params,
          .method = "POST",
          .path = STORAGE "/rollback",
          .run = run_task },
        { .name = "delsnapshot",
          .text = "Removes a snapshot.",
          .params = snapshot_params,
          .method = "DELETE",
          .path = STORAGE "/snapshot",
          .run = run_task },
        { .name = "activate",
          .text = "Makes a volume usable on this node, which holds it from then on: no other node can activate it.",
          .params = activate_params,
          .method = "POST",
          .path = STORAGE "/activate",
          .run = run_task },
        { .name = "deactivate",
          .text = "Takes a volume out of use on this node; another one can activate it then.",
          .params = deactivate_params,
          .method = "POST",
          .path = STORAGE "/deactivate",
          .run = run_task },
        { .name = "holders",
          .text = "Who has a volume open or active.",
          .params = volume_params,
          .method = "GET",
          .path = STORAGE "/holders",
          .show = show_holders },
        { .name = "migrate prepare",
          .text = "Lets a second node activate a volume that is active here, to move a running guest there.",
          .params = prepare_params,
          .method = "POST",
          .path = "/cluster/migrate",
          .show = show_migration,
          .run = run_migrate },
        { .name = "migrate commit",
          .text = "The guest runs on the target: the source lets go, the target owns the volume.",
          .params = decide_params,
          .method = "POST",
          .path = "/cluster/migrate",
          .show = show_migration,
          .run = run_migrate },
        { .name = "migrate abort",
          .text = "The guest stays on the source: the target lets go, the source owns the volume.",
          .params = decide_params,
          .method = "POST",
          .path = "/cluster/migrate",
          .show = show_migration,
          .run = run_migrate },
        { .name = "notes",
          .text = "Shows or sets the notes of a backup.",
          .params = notes_params,
          .flags = VERB_DATA,
          .method = "PUT",
          .path = STORAGE "/content/{volume}",
          .run = run_notes },
        { .name = "protect",
          .text = "Protects a backup from removal, or takes the protection back.",
          .params = protect_params,
          .method = "PUT",
          .path = STORAGE "/content/{volume}" },
        { .name = "upload",
          .text = "Sends an ISO image, a template or a disk to import.",
          .params = upload_params,
          .method = "POST",
          .path = STORAGE "/upload",
          .run = run_upload },
        { .name = "health",
          .text = "What is wrong with a storage and what to do.",
          .params = health_params,
          .method = "GET",
          .path = STORAGE "/health",
          .show = show_findings },
        { .name = "repair",
          .text = "Repairs what a storage can repair by itself.",
          .params = repair_params,
          .method = "POST",
          .path = STORAGE "/repair",
          .show = show_findings,
          .run = run_task },
        { 0 },
};
