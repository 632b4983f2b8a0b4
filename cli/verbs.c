/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands. First those of Proxmox VE in its words and order of arguments, then ours. What a value may
 * be is the daemon's to say; a row only knows how many there are and how they travel.
 */
#include "cli/run.h"
#include "cli/show-lun.h"
#include "cli/show-cluster.h"
#include "cli/show.h"
#include "cli/verb.h"

#define NODE CLI_NODE
#define STORAGE NODE "/storage/{storage}"
#define POS PARAM_POSITIONAL

#define P_STORAGE                                                                                   \
        {                                                                                           \
                .name = "storage", .flags = POS, .complete = "storage", .text = "The storage's id." \
        }
#define P_VOLUME                                                                                          \
        {                                                                                                 \
                .name = "volume", .flags = POS, .complete = "volume", .text = "The volume: STORAGE:NAME." \
        }
#define P_SNAPNAME                                                               \
        {                                                                        \
                .name = "snapname", .flags = POS, .text = "The snapshot's name." \
        }
#define P_END     \
        {         \
                0 \
        }

/* The end of the table of a command that one node carries out. */
#define P_NODE_END                                                                                                    \
        { .name = "node", .flags = PARAM_LOCAL, .complete = "node", .text = "On this node, not where it is typed." }, \
        {                                                                                                             \
                0                                                                                                     \
        }

static const Param no_params[] = { P_END };
static const Param node_params[] = { P_NODE_END };
static const Param storage_params[] = { P_STORAGE, P_END };
static const Param health_params[] = { P_STORAGE, P_NODE_END };
static const Param volume_params[] = { P_VOLUME, P_NODE_END };
static const Param snapshot_params[] = { P_VOLUME, P_SNAPNAME, P_NODE_END };

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

#define P_WWID                                                                             \
        {                                                                                  \
                .name = "wwid", .flags = POS, .complete = "lun", .text = "The LUN's WWID." \
        }
#define P_FRESH                                                                                                   \
        {                                                                                                         \
                .name = "fresh", .type = PARAM_BOOLEAN, .text = "Look at the disks now, at what is on them, too." \
        }

static const Param luns_params[] = {
        P_FRESH,
        { .name = "transport", .complete = "fc iscsi sas sata nvme", .text = "Only LUNs that come this way." },
        P_END,
};

static const Param lun_scan_params[] = {
        { .name = "target", .text = "WWPN or IQN of the only target to look at." },
        { .name = "lun", .type = PARAM_INTEGER, .text = "The only number to look at, of that target." },
        { .name = "on", .complete = "node", .text = "Only this node looks." },
        P_END,
};

static const Param lun_params_only[] = { P_WWID, P_END };

static const Param lun_allow_params[] = {
        P_WWID,
        { .name = "alias", .text = "What its map is called on all nodes." },
        P_END,
};

static const Param lun_remove_params[] = {
        P_WWID,
        { .name = "force",
          .type = PARAM_BOOLEAN,
          .text = "Also a physical volume of a group, and a map whose last writes are lost." },
        P_END,
};

#define P_VGNAME(how)                                                                       \
        {                                                                                   \
                .name = "vgname", .flags = how, .complete = "", .text = "The volume group." \
        }
#define P_WIPE                                                                                                        \
        { .name = "force", .type = PARAM_BOOLEAN, .text = "With --wipe-signature: what is on the LUN may be lost." }, \
        {                                                                                                             \
                .name = "wipe-signature", .hint = "type",                                                             \
                .text = "The type of what was found on the LUN and may be wiped."                                     \
        }
#define P_PATHS                                                                  \
        {                                                                        \
                .name = "paths", .type = PARAM_INTEGER,                          \
                .text = "Paths each node must have, if not as many as the best." \
        }
#define P_LOCKING                                                      \
        {                                                              \
                .name = "locking", .complete = "sanlock dlm none",     \
                .text = "The lock manager, if not what the nodes run." \
        }

static const Param create_vg_params[] = { P_WWID, P_VGNAME(PARAM_REQUIRED), P_LOCKING, P_WIPE, P_PATHS, P_END };
static const Param extend_vg_params[] = { P_WWID, P_VGNAME(PARAM_REQUIRED), P_WIPE, P_PATHS, P_END };
static const Param reduce_vg_params[] = { P_WWID, P_VGNAME(PARAM_REQUIRED), P_END };
static const Param vg_only_params[] = { P_VGNAME(POS), P_END };
static const Param vg_here_params[] = { P_VGNAME(POS), P_NODE_END };
static const Param convert_vg_params[] = { P_VGNAME(POS), P_LOCKING, P_END };

static const Param guard_vg_params[] = {
        { .name = "vgname", .text = "Further volume groups that are this node's own, with commas." },
        { .name = "off", .type = PARAM_BOOLEAN, .text = "Take away what was set up by this command." },
        P_NODE_END
};

static const Param lun_params[] = { P_WWID, P_FRESH, P_END };

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

static const Param doctor_params[] = {
        { .name = "all",
          .type = PARAM_BOOLEAN,
          .flags = PARAM_LOCAL,
          .text = "All nodes, and what comparing them shows: clocks, versions, what their storages reach." },
        P_NODE_END,
};

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

static const Param check_params[] = {
        { .name = "file",
          .flags = POS | PARAM_OPTIONAL | PARAM_LOCAL,
          .complete = "file",
          .text = "The file, - for standard input; without it the cluster's storage.cfg." },
        P_END,
};

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

static const Param path_params[] = {
        P_VOLUME,
        { .name = "snapshot", .text = "Of this snapshot." },
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

/* Which Ceph cluster, as whom. */
#define P_CEPH                                                                                                   \
        { .name = "storage", .complete = "storage", .text = "The cluster of this storage; else of ceph.conf." }, \
                { .name = "monhost", .text = "Monitors of the cluster that is meant." },                         \
                { .name = "username", .text = "Ceph user without client.; default admin." },                     \
        {                                                                                                        \
                .name = "keyring", .complete = "file", .text = "File with that user's key, on the node."         \
        }
#define P_POOL                                                    \
        {                                                         \
                .name = "pool", .flags = POS, .text = "The pool." \
        }
#define P_APPLICATION(text_)                                                                                       \
        {                                                                                                          \
                .name = "application", .hint = "cephfs | rbd | rgw", .complete = "cephfs rbd rgw", .text = (text_) \
        }
#define P_POOL_SIZES                                                                                    \
        { .name = "size", .type = PARAM_INTEGER, .text = "Copies of each object." },                    \
                { .name = "min_size", .type = PARAM_INTEGER, .text = "Copies that must be writable." }, \
        {                                                                                               \
                .name = "pg_num", .type = PARAM_INTEGER, .text = "Placement groups."                    \
        }

static const Param ceph_params[] = { P_CEPH, P_NODE_END };

static const Param ceph_repair_params[] = {
        { .name = "name", .flags = POS | PARAM_OPTIONAL, .hint = "<pool>", .text = "Only this pool." },
        P_CEPH,
        { .name = "check", .text = "Only this check, by its code." },
        { .name = "dry-run", .type = PARAM_BOOLEAN, .text = "Only say what would be done." },
        P_APPLICATION("What the pool is for, where that can't be told from it."),
        P_NODE_END,
};

static const Param pool_create_params[] = {
        { .name = "name", .flags = POS, .text = "The new pool's name." },
        P_CEPH,
        P_APPLICATION("What it is for; default rbd."),
        P_POOL_SIZES,
        { .name = "erasure-coding",
          .hint = "k=N,m=N[,failure-domain=TYPE]",
          .text = "Data in an erasure coded pool NAME-data beside it." },
        { .name = "add_storages", .type = PARAM_BOOLEAN, .text = "Define a storage of the pool's name on it." },
        { .name = "add-storage", .text = "Define a storage of this id on it, with a Ceph user of its own." },
        { .name = "content", .type = PARAM_LIST, .complete = "images rootdir", .text = "What that storage may hold." },
        { .name = "client", .text = "Make this Ceph user for the pool." },
        P_NODE_END,
};

static const Param pool_set_params[] = {
        P_POOL,
        P_CEPH,
        P_POOL_SIZES,
        { .name = "quota-bytes", .type = PARAM_INTEGER, .text = "Most bytes; 0: no limit." },
        { .name = "quota-objects", .type = PARAM_INTEGER, .text = "Most objects; 0: no limit." },
        P_APPLICATION("For a pool that has none yet."),
        P_NODE_END,
};

static const Param pool_destroy_params[] = {
        P_POOL,
        P_CEPH,
        { .name = "client", .text = "Remove this Ceph user, too." },
        { .name = "dry-run", .type = PARAM_BOOLEAN, .text = "Only say whether it could be removed." },
        P_NODE_END,
};

static const Param tasks_params[] = {
        { .name = "errors", .type = PARAM_BOOLEAN, .text = "Only those that failed." },
        { .name = "limit", .type = PARAM_INTEGER, .text = "At most so many." },
        { .name = "since", .type = PARAM_INTEGER, .text = "Started at or after (seconds since 1970)." },
        { .name = "source",
          .hint = "active | all | archive",
          .complete = "active all archive",
          .text = "Running, all, or ended ones." },
        { .name = "start", .type = PARAM_INTEGER, .text = "Skip so many." },
        { .name = "typefilter", .text = "Only this type." },
        { .name = "until", .type = PARAM_INTEGER, .text = "Started before (seconds since 1970)." },
        { .name = "userfilter", .text = "Only of users whose name has this in it." },
        { .name = "vmid", .type = PARAM_INTEGER, .text = "Only of this guest." },
        P_NODE_END,
};

#define P_UPID                                                                        \
        {                                                                             \
                .name = "upid", .flags = POS, .complete = "task", .text = "The task." \
        }

static const Param task_params[] = { P_UPID, P_NODE_END };

static const Param task_log_params[] = {
        P_UPID,
        { .name = "limit", .type = PARAM_INTEGER, .text = "At most so many lines." },
        { .name = "start", .type = PARAM_INTEGER, .text = "Skip so many lines." },
        P_NODE_END,
};

static const Param flatten_params[] = {
        P_STORAGE,
        { .name = "volume", .flags = POS, .text = "Name of the volume, without the storage's." },
        P_NODE_END,
};

static const Param cephfs_params[] = {
        { .name = "monhost", .text = "Monitors of the cluster that is meant; default: this node's ceph.conf." },
        { .name = "username", .text = "User of that cluster, without \"client.\"; default admin." },
        { .name = "keyring", .text = "File with that user's key, on the node." },
        P_NODE_END,
};

static const Param info_params[] = {
        { .name = "volume", .flags = POS, .complete = "volume", .text = "The volume id: STORAGE:NAME." },
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

const Verb verb_table[] = {
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

        { .name = "info",
          .text = "What a volume id means. Touches no storage and needs no running daemon.",
          .params = info_params,
          .flags = VERB_OFFLINE,
          .method = "GET",
          .path = NODE "/info",
          .show = show_object,
          .run = run_info },
        { .name = "config check",
          .text = "Reads a storage.cfg and says what is wrong in it. Findings are warnings: the exit code is 0 "
                  "if the file could be read.",
          .params = check_params,
          .flags = VERB_OFFLINE | VERB_DATA,
          .method = "POST",
          .path = NODE "/config/check",
          .run = run_config_check },
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
        { .name = "scan cephfs",
          .text = "File systems of a Ceph cluster.",
          .params = cephfs_params,
          .method = "GET",
          .path = NODE "/scan/cephfs",
          .show = show_scan },
        { .name = "scan fc",
          .text = "LUNs of the SAN by WWID: which node sees which, over how many paths.",
          .params = luns_params,
          .method = "GET",
          .path = "/cluster/luns",
          .show = show_luns },
        { .name = "lun list",
          .text = "LUNs by WWID: which node sees which, over how many paths, and where they disagree.",
          .params = luns_params,
          .method = "GET",
          .path = "/cluster/luns",
          .show = show_luns },
        { .name = "lun show",
          .text = "One LUN, with its paths on every node.",
          .params = lun_params,
          .method = "GET",
          .path = "/cluster/luns/{wwid}",
          .show = show_lun },
        { .name = "lun scan",
          .text = "Looks for new LUNs on all nodes, and for numbers that lead to another LUN now.",
          .params = lun_scan_params,
          .flags = VERB_DATA,
          .method = "POST",
          .path = "/cluster/luns",
          .run = run_task },
        { .name = "lun resize",
          .text = "Takes over the size that the array gave a LUN: on all nodes, then in LVM.",
          .params = lun_params_only,
          .flags = VERB_DATA,
          .method = "PUT",
          .path = "/cluster/luns/{wwid}",
          .show = show_lun_result,
          .run = run_task },
        { .name = "lun remove",
          .text = "Takes a LUN away from all nodes. After it was unmapped on the array, the same command proves that "
                  "it is gone.",
          .params = lun_remove_params,
          .flags = VERB_DATA,
          .method = "DELETE",
          .path = "/cluster/luns/{wwid}",
          .show = show_lun_result,
          .run = run_task },
        { .name = "lun allow",
          .text = "Has multipath assemble a LUN on all nodes (multipath.cfg of the cluster).",
          .params = lun_allow_params,
          .method = "PUT",
          .path = "/cluster/multipath/{wwid}" },
        { .name = "lun disallow",
          .text = "Takes a LUN out of multipath.cfg. A map that is there stays until `lun remove`.",
          .params = lun_params_only,
          .method = "DELETE",
          .path = "/cluster/multipath/{wwid}" },
        { .name = "lun multipath",
          .text = "How multipath.cfg of the cluster was applied on this node, and where the node's own configuration "
                  "differs.",
          .params = node_params,
          .method = "GET",
          .path = NODE "/multipath",
          .show = show_multipath },
        { .name = "lun ports",
          .text = "FC ports of this node with the remote ports they see, and its iSCSI sessions.",
          .params = node_params,
          .method = "GET",
          .path = NODE "/ports",
          .show = show_ports },
        { .name = "ceph health",
          .text = "Checks that the Ceph cluster raises: what they mean for the storages here, and what to do.",
          .params = ceph_params,
          .method = "GET",
          .path = NODE "/ceph/health",
          .show = show_ceph_health },
        { .name = "ceph status",
          .text = "State of the Ceph cluster, as it tells it.",
          .params = ceph_params,
          .method = "GET",
          .path = NODE "/ceph/status",
          .show = show_object },
        { .name = "ceph repair",
          .text = "Repairs what the checks are about, where that is safe; the proof is the cluster's health.",
          .params = ceph_repair_params,
          .method = "POST",
          .path = NODE "/ceph/repair",
          .run = run_task },
        { .name = "ceph pool list",
          .text = "Pools of the Ceph cluster.",
          .params = ceph_params,
          .method = "GET",
          .path = NODE "/ceph/pool",
          .show = show_ceph_pools },
        { .name = "ceph pool create",
          .text = "Makes a pool, ready for use, and if wished a Ceph user and a storage: all of it or nothing.",
          .params = pool_create_params,
          .method = "POST",
          .path = NODE "/ceph/pool",
          .run = run_task },
        { .name = "ceph pool set",
          .text = "Changes a pool.",
          .params = pool_set_params,
          .method = "PUT",
          .path = NODE "/ceph/pool/{pool}" },
        { .name = "ceph pool destroy",
          .text = "Removes a pool. Refused while a storage, image or other application uses it.",
          .params = pool_destroy_params,
          .method = "DELETE",
          .path = NODE "/ceph/pool/{pool}",
          .run = run_task },
        { .name = "lun create-vg",
          .text = "Makes a volume group on an empty LUN, after all nodes were asked whether they see the same.",
          .params = create_vg_params,
          .method = "POST",
          .path = "/cluster/vgs",
          .run = run_task },
        { .name = "lun extend-vg",
          .text = "Adds an empty LUN to a volume group.",
          .params = extend_vg_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/extend",
          .run = run_task },
        { .name = "lun reduce-vg",
          .text = "Takes a LUN without volumes out of a volume group.",
          .params = reduce_vg_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/reduce",
          .run = run_task },
        { .name = "lun destroy-vg",
          .text = "Removes a volume group without volumes.",
          .params = vg_only_params,
          .method = "DELETE",
          .path = "/cluster/vgs/{vgname}",
          .run = run_task },
        { .name = "vg show",
          .text = "A volume group, and what is active of it on which node.",
          .params = vg_only_params,
          .method = "GET",
          .path = "/cluster/vgs/{vgname}",
          .show = show_object },
        { .name = "vg convert",
          .text = "Changes the lock type of a volume group, with nothing of it active on any node.",
          .params = convert_vg_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/convert",
          .run = run_task },
        { .name = "rbd flatten",
          .text = "Gives a linked clone all its data, so that it needs its template no more.",
          .params = flatten_params,
          .method = "POST",
          .path = NODE "/actions/rbd/flatten",
          .run = run_task },
        { .name = "vg guard",
          .text = "Limits this node's LVM to the disks of its own volume groups, so that it neither sees nor switches "
                  "on "
                  "what guests have on theirs. What was configured by hand stays as it is.",
          .params = guard_vg_params,
          .method = "POST",
          .path = NODE "/actions/lvm/guard",
          .show = show_guard },
        { .name = "vg start",
          .text = "Starts the locks of a shared volume group on all nodes, also on one that is new.",
          .params = vg_only_params,
          .method = "POST",
          .path = "/cluster/vgs/{vgname}/start",
          .run = run_task },
        { .name = "vg cut-off",
          .text = "Storage lost: lets all I/O of this node to a volume group fail and gives up its locks.",
          .params = vg_here_params,
          .method = "POST",
          .path = NODE "/actions/lvm/cut-off" },
        { .name = "task list",
          .text = "Tasks of this node.",
          .params = tasks_params,
          .method = "GET",
          .path = NODE "/tasks",
          .show = show_tasks,
          .run = run_tasks },
        { .name = "task log",
          .text = "Log of a task.",
          .params = task_log_params,
          .method = "GET",
          .path = NODE "/tasks/{upid}/log",
          .show = show_task_log },
        { .name = "task status",
          .text = "State of a task.",
          .params = task_params,
          .method = "GET",
          .path = NODE "/tasks/{upid}/status",
          .show = show_object },
        { .name = "task stop",
          .text = "Asks a task to stop.",
          .params = task_params,
          .method = "DELETE",
          .path = NODE "/tasks/{upid}" },
        { .name = "cluster locks",
          .text = "Locks of the cluster that this node holds or waits for.",
          .params = no_params,
          .method = "GET",
          .path = "/cluster/locks",
          .show = show_locks },
        { .name = "cluster status",
          .text = "The cluster, its quorum, its nodes, and the storages as each node sees them.",
          .params = no_params,
          .method = "GET",
          .path = "/cluster/status",
          .show = show_cluster,
          .run = run_cluster_status },
        { .name = "doctor",
          .text = "What is wrong on this node, or with --all on any node, and what to do. Exit code 1 if anything is.",
          .params = doctor_params,
          .method = "GET",
          .path = NODE "/doctor",
          .show = show_doctor,
          .run = run_doctor },
        { .name = "schema",
          .text = "All calls of the API and all storage types.",
          .params = no_params,
          .flags = VERB_OFFLINE,
          .method = "GET",
          .path = "/schema",
          .show = show_schema },
        { 0 },
};
