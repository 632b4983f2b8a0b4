/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Proxmox VE's storage.cfg may hold: tables, no code. They make every type of that file readable
 * and rewritable whether or not this node has a plugin for it, and give plugins the standard properties.
 * tests/data/config/types.tsv holds the same facts in the reference's form; a test compares the two.
 */
#include "core/schema-pve.h"

const PveType pve_types[] = {
        {
                .name = "btrfs",
                .summary = "A directory on BTRFS, with subvolumes and their snapshots",
                .naming = STORAGED_NAMING_FILE,
                .sharing = STORAGED_SHARED_FLAG,
                .required_fixed = "path",
                .optional = "content create-base-path create-subdirs disable format is_mountpoint "
                            "max-protected-backups mkdir "
                            "nocow nodes preallocation prune-backups shared",
                .contents = "backup images import iso none rootdir snippets vztmpl",
                .default_contents = "images rootdir",
                .formats = "raw subvol",
        },
        {
                .name = "cephfs",
                .summary = "A directory on a Ceph file system",
                .naming = STORAGED_NAMING_FILE,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "path",
                .optional = "bwlimit content content-dirs create-base-path create-subdirs disable format fs-name fuse "
                            "keyring "
                            "max-protected-backups mkdir monhost nodes options prune-backups subdir username",
                .secrets = "keyring",
                .contents = "backup import iso snippets vztmpl",
                .default_contents = "backup",
                .formats = "raw",
        },
        {
                .name = "cifs",
                .summary = "A share of an SMB/CIFS server",
                .naming = STORAGED_NAMING_FILE,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "path server share",
                .fixed = "snapshot-as-volume-chain",
                .optional = "bwlimit content content-dirs create-base-path create-subdirs disable domain format "
                            "max-protected-backups mkdir nodes options password preallocation prune-backups smbversion "
                            "subdir "
                            "username",
                .secrets = "password",
                .contents = "backup images import iso rootdir snippets vztmpl",
                .default_contents = "images",
                .formats = "raw qcow2 vmdk",
        },
        {
                .name = "dir",
                .summary = "A directory of this node, or of a file system mounted there",
                .naming = STORAGED_NAMING_FILE,
                .sharing = STORAGED_SHARED_FLAG,
                .required_fixed = "path",
                .fixed = "snapshot-as-volume-chain",
                .optional = "bwlimit content content-dirs create-base-path create-subdirs disable format is_mountpoint "
                            "max-protected-backups mkdir nodes preallocation prune-backups shared",
                .contents = "backup images import iso none rootdir snippets vztmpl",
                .default_contents = "images rootdir",
                .formats = "raw qcow2 subvol vmdk",
        },
        {
                .name = "esxi",
                .summary = "The guests of a VMware ESXi host, to import from",
                .sharing = STORAGED_SHARED_FLAG,
                .required = "server username",
                .optional = "content disable nodes password port shared skip-cert-verification",
                .secrets = "password",
                .contents = "import",
                .default_contents = "import",
                .formats = "raw qcow2 vmdk",
        },
        {
                .name = "iscsi",
                .summary = "LUNs of an iSCSI target, attached by the kernel's initiator",
                .naming = STORAGED_NAMING_ISCSI,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "portal target",
                .optional = "bwlimit content disable nodes",
                .contents = "images none",
                .default_contents = "images",
                .formats = "raw",
        },
        {
                .name = "iscsidirect",
                .summary = "LUNs of an iSCSI target, attached by QEMU itself",
                .naming = STORAGED_NAMING_ISCSIDIRECT,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "portal target",
                .optional = "bwlimit content disable nodes",
                .contents = "images none",
                .default_contents = "images",
                .formats = "raw",
        },
        {
                .name = "lvm",
                .summary = "Logical volumes of a volume group, also on a shared LUN",
                .naming = STORAGED_NAMING_LVM,
                .sharing = STORAGED_SHARED_FLAG,
                .required_fixed = "vgname",
                .fixed = "base",
                .optional = "bwlimit content disable nodes saferemove saferemove-stepsize saferemove_throughput shared "
                            "snapshot-as-volume-chain tagged_only",
                .contents = "images rootdir",
                .default_contents = "images",
                .formats = "raw qcow2",
        },
        {
                .name = "lvmthin",
                .summary = "Thin volumes of an LVM thin pool",
                .naming = STORAGED_NAMING_LVMTHIN,
                .sharing = STORAGED_SHARED_NO,
                .required_fixed = "thinpool vgname",
                .optional = "bwlimit content disable nodes",
                .contents = "images rootdir",
                .default_contents = "images rootdir",
                .formats = "raw",
        },
        {
                .name = "nfs",
                .summary = "An export of an NFS server",
                .naming = STORAGED_NAMING_FILE,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "export path server",
                .fixed = "snapshot-as-volume-chain",
                .optional = "bwlimit content content-dirs create-base-path create-subdirs disable format "
                            "max-protected-backups "
                            "mkdir nodes options preallocation prune-backups",
                .contents = "backup images import iso rootdir snippets vztmpl",
                .default_contents = "images",
                .formats = "raw qcow2 vmdk",
        },
        {
                .name = "pbs",
                .summary = "A datastore of a Proxmox Backup Server",
                .naming = STORAGED_NAMING_PBS,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "datastore server",
                .optional = "content disable encryption-key fingerprint master-pubkey max-protected-backups namespace "
                            "nodes "
                            "password port prune-backups username",
                .secrets = "encryption-key master-pubkey password",
                .contents = "backup none",
                .default_contents = "backup",
                .formats = "raw",
        },
        {
                .name = "rbd",
                .summary = "Images of a Ceph pool",
                .naming = STORAGED_NAMING_RBD,
                .sharing = STORAGED_SHARED_ALWAYS,
                .optional = "bwlimit content data-pool disable keyring krbd monhost namespace nodes pool username",
                .secrets = "keyring",
                .contents = "images rootdir",
                .default_contents = "images",
                .formats = "raw",
        },
        {
                .name = "zfs",
                .summary = "Volumes of a ZFS server, reached over iSCSI",
                .naming = STORAGED_NAMING_ZFS,
                .sharing = STORAGED_SHARED_ALWAYS,
                .required_fixed = "blocksize iscsiprovider pool portal target",
                .optional =
                        "bwlimit comstar_hg comstar_tg content disable lio_tpg nodes nowritecache sparse zfs-base-path",
                .contents = "images",
                .default_contents = "images",
                .formats = "raw",
        },
        {
                .name = "zfspool",
                .summary = "Volumes and datasets of a ZFS pool of this node",
                .naming = STORAGED_NAMING_ZFS,
                .sharing = STORAGED_SHARED_NO,
                .required_fixed = "pool",
                .optional = "blocksize bwlimit content disable mountpoint nodes sparse",
                .contents = "images rootdir",
                .default_contents = "images rootdir",
                .formats = "raw subvol",
        },
        { .name = NULL },
};

static const char *const format_values[] = { "raw", "qcow2", "subvol", "vmdk", NULL };
static const char *const preallocation_values[] = { "off", "metadata", "falloc", "full", NULL };
static const char *const smbversion_values[] = { "default", "2.0", "2.1", "3", "3.0", "3.11", NULL };
static const char *const stepsize_values[] = { "1", "2", "4", "8", "16", "32", NULL };

#define P(n, t, ...)                                                    \
        {                                                               \
                .name = (n), .type = STORAGED_PROPERTY_##t, __VA_ARGS__ \
        }

const struct storaged_property pve_properties[] = {
        P("authsupported", STRING, .description = "Authentication methods the Ceph cluster takes. Kept for old files."),
        P("base", STRING, .format = "volume-id",
          .description =
                  "A volume of an iSCSI storage that the volume group lies on. It is attached before the volume group "
                  "is used; a volume group is made on it if there is none."),
        P("blocksize", STRING, .format = "storage-zfs-blocksize", .description = "Block size of new ZFS volumes."),
        P("bwlimit", STRING, .format = "bwlimit",
          .description = "Bandwidth limits in KiB/s: clone, default, migration, move, restore."),
        P("comstar_hg", STRING, .description = "Host group of the COMSTAR views."),
        P("comstar_tg", STRING, .description = "Target group of the COMSTAR views."),
        P("content", STRING, .format = "storage-content-list",
          .description = "What may be stored here. `none` keeps a storage that only others build upon."),
        P("content-dirs", STRING, .format = "dir-override-list",
          .description = "Other directories for contents, relative to the path: iso=my/isos,backup=dumps."),
        P("create-base-path", BOOLEAN, .dflt = "yes", .description = "Make the base directory if it is missing."),
        P("create-subdirs", BOOLEAN, .dflt = "yes",
          .description = "Make the directories of the contents below the base directory."),
        P("data-pool", STRING,
          .description = "Pool for the data of the images (erasure coded pools); `pool` keeps their metadata."),
        P("datastore", STRING, .description = "Name of the datastore on the backup server."),
        P("disable", BOOLEAN, .description = "Do not use the storage. Its definition stays."),
        P("domain", STRING, .max_length = 256, .description = "Domain of the SMB user."),
        P("encryption-key", STRING,
          .description = "Key that backups are encrypted with before they leave the node; `autogen` makes one without "
                         "passphrase."),
        P("export", STRING, .format = "storage-path", .description = "Path that the NFS server exports."),
        P("fingerprint", STRING, .format = "fingerprint-sha256",
          .description =
                  "SHA-256 fingerprint of the server's certificate, as 32 pairs of hex digits with colons between."),
        P("format", ENUM, .values = format_values, .description = "Format of new images if the caller names none."),
        P("fs-name", STRING, .format = "configid", .description = "Name of the Ceph file system."),
        P("fuse", BOOLEAN, .description = "Mount by FUSE instead of the kernel's client."),
        P("is_mountpoint", STRING, .dflt = "no", .format = "is-mountpoint",
          .description =
                  "Use the directory only while something is mounted there. `yes` means the path itself; another path "
                  "names the mount point."),
        P("iscsiprovider", STRING,
          .description = "Kind of iSCSI target on the ZFS server: comstar, istgt, iet or LIO."),
        P("keyring", STRING, .description = "Key of the Ceph client for an external cluster."),
        P("krbd", BOOLEAN, .dflt = "0", .description = "Always map images as kernel block devices."),
        P("lio_tpg", STRING, .description = "Target portal group on a Linux LIO target."),
        P("master-pubkey", STRING,
          .description =
                  "Public RSA key (PEM); the encryption key is stored with each backup, encrypted for this key."),
        P("max-protected-backups", INTEGER, .min = -1, .max = INT64_MAX,
          .dflt = "Unlimited for users with Datastore.Allocate privilege, 5 for other users",
          .description = "How many protected backups one guest may have here; -1 for no limit."),
        P("mkdir", BOOLEAN, .dflt = "yes",
          .description = "Make missing directories. Deprecated: say create-base-path and create-subdirs."),
        P("monhost", STRING, .format = "storage-portal-dns-list",
          .description = "Addresses of the Ceph monitors; only for a cluster that this one does not run itself."),
        P("mountpoint", STRING, .format = "storage-path", .description = "Where the ZFS dataset is mounted."),
        P("namespace", STRING, .description = "Namespace in the pool or datastore."),
        P("nocow", BOOLEAN, .dflt = "0",
          .description =
                  "Switch off copy-on-write for image files; also switches off checksums and compression for them."),
        P("nodes", STRING, .format = "node-list", .description = "Nodes that use the storage; all if not set."),
        P("nowritecache", BOOLEAN, .description = "Switch off the write cache of the target."),
        P("options", STRING, .format = "storage-options",
          .description = "Options of the mount, comma separated, as for mount(8)."),
        P("password", STRING, .max_length = 256, .description = "Password of the user on the server."),
        P("path", STRING, .format = "storage-path", .description = "Directory on the node."),
        P("pool", STRING, .description = "Name of the pool."),
        P("port", INTEGER, .min = 1, .max = 65535, .description = "Port of the server, if not the usual one."),
        P("portal", STRING, .format = "storage-portal-dns",
          .description = "Address of the iSCSI portal, with a port if not 3260."),
        P("preallocation", ENUM, .dflt = "metadata", .values = preallocation_values,
          .description = "How much space new raw and qcow2 images take at once. Raw images know no `metadata`: it "
                         "means off there."),
        P("prune-backups", STRING, .format = "prune-backups",
          .description = "Which backups to keep: keep-last, keep-hourly, keep-daily, keep-weekly, keep-monthly, "
                         "keep-yearly with "
                         "a number each, or keep-all=1."),
        P("saferemove", BOOLEAN, .description = "Overwrite volumes with zeroes when they are removed."),
        P("saferemove-stepsize", INTEGER, .dflt = "32", .values = stepsize_values,
          .description = "How many MiB are zeroed at once."),
        P("saferemove_throughput", STRING, .description = "Limit for overwriting, as for cstream -t."),
        P("server", STRING, .format = "storage-server", .description = "Address or DNS name of the server."),
        P("share", STRING, .description = "Name of the share on the server."),
        P("shared", BOOLEAN,
          .description = "All nodes see the same data here. It only tells so: nothing is made shared by it."),
        P("skip-cert-verification", BOOLEAN, .dflt = "false",
          .description = "Do not check the server's certificate. Only for networks that are trusted."),
        P("smbversion", ENUM, .dflt = "default", .values = smbversion_values,
          .description = "Version of the SMB protocol; `default` takes the highest both sides know."),
        P("snapshot-as-volume-chain", BOOLEAN, .dflt = "0",
          .description = "Make snapshots as a chain of volumes, each with the one before it as its backing image."),
        P("sparse", BOOLEAN, .description = "Make ZFS volumes without a reservation."),
        P("storage", STRING, .format = "storage-id", .description = "Name of the storage."),
        P("subdir", STRING, .format = "storage-path",
          .description = "Directory below the root of the share or file system to mount."),
        P("tagged_only", BOOLEAN, .description = "List only logical volumes with a tag pve-vm-VMID."),
        P("target", STRING, .description = "Name of the iSCSI target."),
        P("thinpool", STRING, .format = "storage-vgname", .description = "Name of the LVM thin pool."),
        P("type", STRING, .description = "Type of the storage."),
        P("username", STRING, .description = "Name of the user on the server."),
        P("vgname", STRING, .format = "storage-vgname", .description = "Name of the LVM volume group."),
        P("zfs-base-path", STRING, .format = "storage-path",
          .description = "Directory of the server's device nodes of ZFS volumes, if not the usual one."),
        { .name = NULL },
};
