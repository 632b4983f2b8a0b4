/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of Proxmox VE, in its words and order of arguments. */
#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"

static const Param storage_params[] = { P_STORAGE, P_END };

static const Param status_params[] = {
        { .name = "content",
          .type = PARAM_LIST,
          .complete = "images rootdir iso vztmpl backup snippets import",
          .text = "Only storages that may hold this content." },
        { .name = "enabled", .type = PARAM_BOOLEAN, .text = "Only storages that are not disabled." },
        { .name = "format", .type = PARAM_BOOLEAN, .text = "Also the image formats (in json and yaml)." },
        { .name = "storage", .complete = "storage", .text = "Only this storage." },
        { .name = "target", .complete = "node", .text = "Only shared storages that this node has, too." },
        P_NODE_END,
};

static const Param list_params[] = {
        P_STORAGE,
        { .name = "content",
          .complete = "images rootdir iso vztmpl backup snippets import",
          .text = "Only this content." },
        { .name = "vmid", .type = PARAM_INTEGER, .text = "Only volumes of this guest." },
        P_NODE_END,
};

static const Param alloc_params[] = {
        P_STORAGE,
        { .name = "vmid", .type = PARAM_INTEGER, .flags = POS, .text = "The guest that owns the volume." },
        { .name = "filename", .flags = POS, .text = "The volume's name; '' picks the next free one." },
        { .name = "size", .hint = "\\d+[MG]?", .flags = POS, .text = "KiB, or with M or G behind the number." },
        { .name = "format",
          .hint = "qcow2 | raw | subvol | vmdk",
          .complete = "qcow2 raw subvol vmdk",
          .text = "Image format; the name's extension decides if it has one." },
        P_NODE_END,
};

static const Param free_params[] = {
        P_VOLUME,
        { .name = "delay",
          .type = PARAM_INTEGER,
          .hint = "1 .. 30",
          .text = "Seconds that the daemon waits for the end itself." },
        { .name = "storage",
          .flags = PARAM_LOCAL,
          .complete = "storage",
          .text = "The storage, if the volume is given without." },
        P_NODE_END,
};

/* Of the properties only those that need a hand here; any other travels as it is. */
#define P_PROPERTIES                                                                                            \
        { .name = "password", .type = PARAM_SECRET, .text = "Password; asked on the terminal if left empty." }, \
                { .name = "encryption-key",                                                                     \
                  .type = PARAM_FILE,                                                                           \
                  .flags = PARAM_AUTOGEN,                                                                       \
                  .hint = "file | autogen",                                                                     \
                  .complete = "file",                                                                           \
                  .text = "File with the encryption key, or autogen." },                                        \
                { .name = "keyring",                                                                            \
                  .type = PARAM_FILE,                                                                           \
                  .hint = "file",                                                                               \
                  .complete = "file",                                                                           \
                  .text = "File with the Ceph keyring." },                                                      \
                { .name = "master-pubkey",                                                                      \
                  .type = PARAM_FILE,                                                                           \
                  .hint = "file",                                                                               \
                  .complete = "file",                                                                           \
                  .text = "File with the RSA master public key." },                                             \
                { .name = "content",                                                                            \
                  .type = PARAM_LIST,                                                                           \
                  .complete = "images rootdir iso vztmpl backup snippets import none",                          \
                  .text = "What the storage may hold." },                                                       \
                { .name = "nodes", .type = PARAM_LIST, .complete = "node", .text = "The nodes it is for." },    \
                { .name = "disable", .type = PARAM_BOOLEAN, .text = "Defined, but not used." },                 \
                { .name = "shared", .type = PARAM_BOOLEAN, .text = "The same volumes on all nodes." },          \
                { .name = "create-base-path", .type = PARAM_BOOLEAN },                                          \
                { .name = "create-subdirs", .type = PARAM_BOOLEAN }, { .name = "fuse", .type = PARAM_BOOLEAN }, \
                { .name = "krbd", .type = PARAM_BOOLEAN }, { .name = "mkdir", .type = PARAM_BOOLEAN },          \
                { .name = "nocow", .type = PARAM_BOOLEAN }, { .name = "nowritecache", .type = PARAM_BOOLEAN },  \
                { .name = "saferemove", .type = PARAM_BOOLEAN },                                                \
                { .name = "skip-cert-verification", .type = PARAM_BOOLEAN },                                    \
                { .name = "snapshot-as-volume-chain", .type = PARAM_BOOLEAN },                                  \
                { .name = "sparse", .type = PARAM_BOOLEAN },                                                    \
        {                                                                                                       \
                .name = "tagged_only", .type = PARAM_BOOLEAN                                                    \
        }

#define P_FORCE                                                                                          \
        {                                                                                                \
                .name = "force", .type = PARAM_BOOLEAN,                                                  \
                .text = "Accept a shared storage without proof that all its nodes reach the same thing." \
        }

static const Param add_params[] = {
        { .name = "type",
          .flags = POS,
          .complete = "type",
          .text = "The type: dir, nfs, …; `pvesm schema` lists them." },
        P_STORAGE,
        P_FORCE,
        P_PROPERTIES,
        P_END,
};

static const Param set_params[] = {
        P_STORAGE,
        { .name = "delete", .type = PARAM_LIST, .text = "Properties to take back to their default." },
        { .name = "digest", .text = "Refuse if the configuration has changed since it had this digest." },
        P_FORCE,
        P_PROPERTIES,
        P_END,
};

static const Param server_params[] = {
        { .name = "server", .flags = POS, .text = "Name or address of the server." },
        P_NODE_END,
};

static const Param cifs_params[] = {
        { .name = "server", .flags = POS, .text = "Name or address of the server." },
        { .name = "domain", .text = "Domain or workgroup." },
        { .name = "password", .type = PARAM_SECRET, .text = "Password; asked on the terminal if left empty." },
        { .name = "username", .text = "User name." },
        P_NODE_END,
};

static const Param portal_params[] = {
        { .name = "portal", .flags = POS, .text = "HOST or HOST:PORT." },
        P_NODE_END,
};

static const Param vg_params[] = {
        { .name = "vg", .flags = POS, .text = "The volume group." },
        P_NODE_END,
};

static const Param pbs_params[] = {
        { .name = "server", .flags = POS, .text = "Name or address of the server." },
        { .name = "username", .flags = POS, .text = "User or token." },
        { .name = "password",
          .type = PARAM_SECRET,
          .flags = PARAM_REQUIRED,
          .text = "Password; asked on the terminal if left empty." },
        { .name = "fingerprint", .text = "SHA-256 fingerprint of the certificate." },
        { .name = "port", .type = PARAM_INTEGER, .text = "Port, 8007 if not given." },
        P_NODE_END,
};

#define FORMATS "raw+size tar+size qcow2+size vmdk+size zfs btrfs rbd+size"

#define FORMATS_HINT "btrfs | qcow2+size | raw+size | rbd+size | tar+size | vmdk+size | zfs"

static const Param export_params[] = {
        P_VOLUME,
        { .name = "format", .flags = POS, .hint = FORMATS_HINT, .complete = FORMATS, .text = "Format of the stream." },
        { .name = "filename",
          .flags = POS | PARAM_LOCAL,
          .complete = "file",
          .text = "Where to: a file, or - for standard output." },
        { .name = "base", .text = "Snapshot that an incremental stream starts from." },
        { .name = "snapshot", .text = "Snapshot to export instead of the volume as it is." },
        { .name = "snapshot-list", .type = PARAM_LIST, .text = "Snapshots to take along." },
        { .name = "with-snapshots", .type = PARAM_BOOLEAN, .text = "All snapshots with it." },
        P_NODE_END,
};

static const Param import_params[] = {
        P_VOLUME,
        { .name = "format", .flags = POS, .hint = FORMATS_HINT, .complete = FORMATS, .text = "Format of the stream." },
        { .name = "filename",
          .flags = POS | PARAM_LOCAL,
          .complete = "file",
          .text = "Where from: a file, - for standard input, tcp://IP-or-NETWORK (prints address and port, then waits "
                  "30 s), "
                  "or unix://PATH (prints ready)." },
        { .name = "allow-rename", .type = PARAM_BOOLEAN, .text = "Take another name if the volume exists." },
        { .name = "base", .text = "Snapshot that the incremental stream starts from." },
        { .name = "delete-snapshot", .text = "Snapshot to remove when done." },
        { .name = "snapshot", .text = "Snapshot that the stream holds." },
        { .name = "with-snapshots", .type = PARAM_BOOLEAN, .text = "The stream holds snapshots." },
        P_NODE_END,
};

#define KEEP(what, about)                                                         \
        {                                                                         \
                .name = "keep-" what, .type = PARAM_INTEGER, .flags = PARAM_KEEP, \
                .text = "Keep the last backup of each of the last " about         \
        }

static const Param prune_params[] = {
        P_STORAGE,
        { .name = "dry-run", .type = PARAM_BOOLEAN, .flags = PARAM_LOCAL, .text = "Only show what would be removed." },
        { .name = "keep-all", .type = PARAM_BOOLEAN, .flags = PARAM_KEEP, .text = "Keep all; alone." },
        { .name = "keep-last", .type = PARAM_INTEGER, .flags = PARAM_KEEP, .text = "Keep the last N backups." },
        KEEP("hourly", "N hours."),
        KEEP("daily", "N days."),
        KEEP("weekly", "N weeks."),
        KEEP("monthly", "N months."),
        KEEP("yearly", "N years."),
        { .name = "type", .hint = "lxc | qemu", .complete = "qemu lxc", .text = "Only backups of this type of guest." },
        { .name = "vmid", .type = PARAM_INTEGER, .text = "Only backups of this guest." },
        P_NODE_END,
};

static const Param help_params[] = {
        { .name = "command", .flags = POS | PARAM_OPTIONAL, .complete = "command", .text = "The command to explain." },
        { .name = "subcommand", .flags = POS | PARAM_OPTIONAL, .text = "The rest of its name, or the type for `add`." },
        { .name = "third", .flags = POS | PARAM_OPTIONAL, .text = "The third word of its name, where it has one." },
        { .name = "verbose", .type = PARAM_BOOLEAN, .text = "All that is known about it." },
        P_END,
};

static const Param path_params[] = {
        P_VOLUME,
        { .name = "snapshot", .text = "Of this snapshot." },
        P_NODE_END,
};

#define SCAN(kind_, params_, text_)                                                                          \
        {                                                                                                    \
                .name = "scan " kind_, .text = text_, .params = params_, .flags = VERB_PVE, .method = "GET", \
                .path = NODE "/scan/" kind_, .show = show_scan                                               \
        }

#define OLD_SCAN(kind_, params_)                                                                                \
        {                                                                                                       \
                .name = kind_ "scan", .text = "Old name of `scan " kind_ "`.", .params = params_,               \
                .flags = VERB_PVE | VERB_ALIAS, .method = "GET", .path = NODE "/scan/" kind_, .show = show_scan \
        }

const Verb pve_verbs[] = {
        { .name = "add",
          .text = "Defines a storage. Takes every property of its type as --NAME VALUE.",
          .params = add_params,
          .flags = VERB_PVE | VERB_OPEN,
          .method = "POST",
          .path = "/storage",
          .run = run_add },
        { .name = "remove",
          .text = "Removes the definition of a storage; its data stays.",
          .params = storage_params,
          .flags = VERB_PVE,
          .method = "DELETE",
          .path = "/storage/{storage}" },
        { .name = "set",
          .text = "Changes properties of a storage; without any, writes the configuration anew.",
          .params = set_params,
          .flags = VERB_PVE | VERB_OPEN,
          .method = "PUT",
          .path = "/storage/{storage}",
          .run = run_add },
        SCAN("cifs", cifs_params, "Shares of an SMB server."),
        SCAN("iscsi", portal_params, "Targets of an iSCSI portal."),
        SCAN("lvm", node_params, "Volume groups of this node."),
        SCAN("lvmthin", vg_params, "Thin pools of a volume group."),
        SCAN("nfs", server_params, "Exports of an NFS server."),
        { .name = "scan pbs",
          .text = "Datastores of a Proxmox Backup Server.",
          .params = pbs_params,
          .flags = VERB_PVE,
          .method = "GET",
          .path = NODE "/scan/pbs",
          .show = show_object,
          .run = run_add },
        SCAN("zfs", node_params, "ZFS pools and datasets of this node."),
        OLD_SCAN("cifs", cifs_params),
        OLD_SCAN("iscsi", portal_params),
        OLD_SCAN("lvm", node_params),
        OLD_SCAN("lvmthin", vg_params),
        OLD_SCAN("nfs", server_params),
        OLD_SCAN("zfs", node_params),
        { .name = "status",
          .text = "State and space of the storages of this node.",
          .params = status_params,
          .flags = VERB_PVE,
          .method = "GET",
          .path = NODE "/storage",
          .show = show_status },
        { .name = "list",
          .text = "Volumes of a storage.",
          .params = list_params,
          .flags = VERB_PVE | VERB_DATA,
          .method = "GET",
          .path = STORAGE "/content",
          .run = run_list },
        { .name = "alloc",
          .text = "Makes a volume.",
          .params = alloc_params,
          .flags = VERB_PVE,
          .method = "POST",
          .path = STORAGE "/content",
          .show = show_created,
          .run = run_task },
        { .name = "free",
          .text = "Removes a volume. Fails if there is none, or it is protected or in use.",
          .params = free_params,
          .flags = VERB_PVE,
          .method = "DELETE",
          .path = STORAGE "/content/{volume}",
          .run = run_free },
        { .name = "path",
          .text = "Path of a volume. Only computed: nobody looks whether it exists.",
          .params = path_params,
          .flags = VERB_PVE,
          .method = "GET",
          .path = STORAGE "/path",
          .show = show_path },
        { .name = "extractconfig",
          .text = "Guest configuration inside a backup: Proxmox VE's own, storaged opens no backups.",
          .params = volume_params,
          .flags = VERB_PVE,
          .run = run_extractconfig },
        { .name = "export",
          .text = "Writes a volume as a stream.",
          .params = export_params,
          .flags = VERB_PVE,
          .method = "POST",
          .path = STORAGE "/export",
          .run = run_export },
        { .name = "import",
          .text = "Makes a volume from a stream.",
          .params = import_params,
          .flags = VERB_PVE,
          .method = "POST",
          .path = STORAGE "/import",
          .run = run_import },
        { .name = "prune-backups",
          .text = "Removes backups by a keep rule; without one, by the storage's own.",
          .params = prune_params,
          .flags = VERB_PVE,
          .method = "GET",
          .path = STORAGE "/prunebackups",
          .show = show_backups,
          .run = run_prune },
        { .name = "apiinfo",
          .text = "Versions of the storage API.",
          .params = no_params,
          .flags = VERB_PVE,
          .method = "GET",
          .path = "/version",
          .show = show_apiinfo },
        { .name = "help",
          .text = "Explains the commands.",
          .params = help_params,
          .flags = VERB_PVE | VERB_OFFLINE,
          .run = run_help },

        { 0 },
};
