/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The plugin contract. A plugin is one shared object that exports one symbol, `storaged_plugin_entry`,
 * and links against nothing of storaged: the host hands it a table of services.
 *
 * Where it runs: in a storaged-worker, a process for one storage, one call at a time, on one thread.
 * A call may block, hang or crash: the daemon then writes the worker off and nothing else is harmed.
 * So: no threads of your own across calls, no signal handlers, no state that can't be made anew.
 *
 * Lifecycle:  load → (check_config | scan)* → start → any operations → stop → process ends
 *   check_config and scan get no `self`: they judge a configuration, or look around, for a storage
 *   that does not exist yet. Nothing may be touched in `start` but memory: reaching out is activate_storage's.
 *
 * Every operation returns 0, or a negative errno with `err` filled (error_set in error.h): what failed,
 * on which object, what was found, what to do. Outputs are untouched on failure.
 * Operations are idempotent, "make it so": the host may call them again after a crash.
 * An absent operation is "not supported", and the API says so before it is tried.
 *
 * How versions meet: `abi` is the meaning, `size` how many members the plugin was built with. The host
 * copies min(theirs, ours) bytes into a zeroed struct, so members are only ever appended.
 */
#include <storaged/error.h>
#include <storaged/types.h>

#define STORAGED_PLUGIN_ABI 1u
#define STORAGED_PLUGIN_SYMBOL "storaged_plugin_entry"
#define STORAGED_CLIENT_MAX 1024 /* bytes of what `get_client` tells, with its NUL */

enum storaged_log_level {
        STORAGED_LOG_ERROR = 3,
        STORAGED_LOG_WARNING = 4,
        STORAGED_LOG_INFO = 6,
        STORAGED_LOG_DEBUG = 7,
};

/* A program to run: argv vector, never a shell. */
struct storaged_proc {
        uint32_t size;
        const char *const *argv; /* ends with NULL; argv[0] is looked up in PATH */
        int stdin_fd;            /* borrowed; -1: /dev/null */
        int stdout_fd;           /* borrowed; -1: collected into the result */
        uint64_t deadline_ms;    /* 0: none but the call's own */
        const int *keep_fds;     /* further descriptors the child inherits, ends with -1; NULL: none */
        void (*progress)(void *userdata, const char *line); /* each piece of stdout up to \r or \n; or NULL */
        void *userdata;
};

struct storaged_proc_result {
        uint32_t size;
        int status; /* exit status; 128 + signal when killed */
        bool timed_out;
        char *out; /* stdout, NUL-terminated; free() it */
        size_t out_len;
        char last_error[512]; /* last line of stderr */
};

/* What the host does for a plugin. Valid from `start` to `stop`. */
struct storaged_host {
        uint32_t size;
        const char *node;    /* this node's name */
        const char *root;    /* "" or the --root prefix, for run and state files of storaged itself */
        const char *run_dir; /* root-only directory for sockets and temporaries; exists */
        void *handle;        /* the host's own; pass it back in every call below */

        void (*log)(void *handle, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
        /* Tells how far the current call is; also a place where a cancelled task notices: non-zero = stop now. */
        int (*progress)(void *handle, uint64_t done_bytes, uint64_t total_bytes);
        /* Runs a program; 0 if it ran (look at status), negative errno if not. proc->size and ret->size have to be set.
         */
        int (*proc_run)(void *handle, const struct storaged_proc *proc, struct storaged_proc_result *ret,
                        struct storaged_error *err);
        /* A named place where tests make the process die, fail or wait. Returns 0, or a negative errno to fail with. */
        int (*fault)(void *handle, const char *name);
        /* Parses a volume name by the plugin's naming scheme. ret->size has to be set: it tells how much the plugin
         * knows. */
        int (*parse_volname)(void *handle, const char *volname, struct storaged_volname *ret,
                             struct storaged_error *err);
        /* The lowest free vm-<vmid>-disk-<n> given the names in use (all of that storage, any order); n from 0 to 1023.
         */
        int (*next_disk_name)(void *handle, uint32_t vmid, const char *prefix, const char *const *used, size_t n_used,
                              char *ret, size_t ret_size, struct storaged_error *err);
        /*
         * Answers the current call with this failure and ends the process at once, from any thread: for libraries
         * whose calls may never return. The thread of the call must be inside the library. Does not return.
         */
        void (*give_up)(void *handle, const struct storaged_error *why);
        /*
         * To be asked just before the step that changes something others see (a rename, an unlink, a write of
         * metadata): 0, or -ESTALE with `err`: the cluster lock under which this call began is not this node's any more
         * (it was stopped for longer than the lock lives), and another node may be at work. Then clean up and return
         * that.
         */
        int (*may_commit)(void *handle, struct storaged_error *err);
        /* append only */
};

enum storaged_activation {
        STORAGED_ACTIVATION_EXCLUSIVE = 1, /* this node only, may write */
        STORAGED_ACTIVATION_SHARED,        /* under a migration ticket */
        STORAGED_ACTIVATION_READ_ONLY,
};

struct storaged_list_filter {
        uint32_t size;
        uint32_t contents;               /* mask */
        uint32_t vmid;                   /* 0: all */
        const uint32_t *container_vmids; /* sorted; images of these are rootdir */
        size_t n_container_vmids;
};

struct storaged_alloc_spec {
        uint32_t size;
        uint32_t vmid;
        uint32_t format;  /* enum storaged_format, one bit */
        uint64_t bytes;   /* multiple of 1024; 0 only for subvol */
        const char *name; /* file or LV name the caller wants, or NULL: pick one */
};

struct storaged_import_spec {
        uint32_t size;
        const char *volname;       /* wanted name */
        const char *stream_format; /* raw+size, qcow2+size, … */
        bool allow_rename;         /* pick another name if it is taken */
        bool with_snapshots;
        /* of an import on top of a volume that is there; only to a plugin with `export_difference` */
        const char *base;     /* NULL: a new volume */
        const char *snapshot; /* that the stream ends with; NULL: as it says */
};

/* What has changed from snapshot `base` to `snapshot`, which is NULL for the live volume. */
struct storaged_difference_spec {
        uint32_t size;
        const char *stream_format, *base, *snapshot;
        bool with_snapshots; /* and those between the two, as snapshots */
};

struct storaged_upload_spec {
        uint32_t size;
        uint32_t content;     /* ISO, VZTMPL, SNIPPETS, IMPORT, BACKUP: one bit */
        const char *filename; /* normalised, no slash */
        int fd;               /* borrowed; regular file to read from offset 0 */
        uint64_t bytes;
};

/* What can be done with a kind of volume; the table is data so that the API can tell before it is tried. */
enum storaged_feature {
        STORAGED_FEATURE_SNAPSHOT = 1 << 0,
        STORAGED_FEATURE_CLONE = 1 << 1,
        STORAGED_FEATURE_TEMPLATE = 1 << 2,
        STORAGED_FEATURE_COPY = 1 << 3,
        STORAGED_FEATURE_SPARSEINIT = 1 << 4,
        STORAGED_FEATURE_RENAME = 1 << 5,
        STORAGED_FEATURE_RESIZE = 1 << 6,
};

struct storaged_feature_row {
        const char *format;  /* raw, qcow2, …; NULL ends the table */
        bool is_base;        /* the row is for templates */
        uint32_t current;    /* features of the live volume */
        uint32_t snap;       /* features of a named snapshot */
        const char *exports; /* stream formats without snapshots, space separated, preferred first */
        const char *exports_with_snapshots;
        const char *snapshot_method; /* running guest: "qemu", "storage", "mixed" */
};

enum storaged_plugin_flags {
        /*
         * Its server can die without anything telling: it is asked for its status every second or so. Such a plugin
         * has a control plane of its own: status, list, stat, path and list_snapshots work without activate_storage
         * and never touch the data plane (a mount that may hang).
         */
        STORAGED_PLUGIN_PROBED = 1 << 0,
};

/* Receives rows; a non-zero return stops the listing and is returned by the operation. */
typedef int (*storaged_volume_fn)(void *userdata, const struct storaged_volume *volume);
typedef int (*storaged_snapshot_fn)(void *userdata, const struct storaged_snapshot *snapshot);
typedef int (*storaged_holder_fn)(void *userdata, const struct storaged_holder *holder);
typedef int (*storaged_finding_fn)(void *userdata, const struct storaged_finding *finding);
typedef int (*storaged_scan_fn)(void *userdata, const struct storaged_pair *pairs, size_t n_pairs);

/* The parameters of `scan`, and its columns, declared so that CLI and API are generated. */
struct storaged_scan {
        const struct storaged_property *params; /* positional order; name NULL ends */
        const char *const *columns;             /* keys of a row in the order of the CLI; NULL ends */
        uint32_t key_padding;                   /* CLI: pad the first column to the longest */
};

/*
 * Work on this node that is no operation on a volume: making a volume group, growing a map, a Ceph pool. Declared, so
 * that the API offers and checks it, and run by `act`. What takes several nodes is core's to put together of such
 * steps.
 */
enum storaged_action_flags {
        STORAGED_ACTION_STORAGE = 1 << 0, /* about a defined storage: `self` is given */
        STORAGED_ACTION_READ = 1 << 1,    /* changes nothing */
        STORAGED_ACTION_TASK = 1 << 2, /* long: a task, in a worker of its own; log lines and progress are the task's */
        STORAGED_ACTION_SLOW =
                1 << 3, /* not long enough for a task, but it may take minutes (locks of a volume group) */
        STORAGED_ACTION_SERIES = 1 << 4, /* one of several in a row: the worker waits some seconds for the next */
};

struct storaged_action {
        const char *name; /* small letters, digits, dashes; NULL ends the table */
        const char *summary;
        uint32_t flags;                         /* enum storaged_action_flags */
        const struct storaged_property *params; /* name NULL ends */
};

/* Receives the answer of an action: one JSON value as text, copied. 0, or -EINVAL for what is no JSON. */
typedef int (*storaged_json_fn)(void *userdata, const char *json, size_t len);

#define STORAGED_ERR struct storaged_error *err
#define STORAGED_VOL const struct storaged_volname *vol

struct storaged_plugin {
        uint32_t abi;  /* filled by STORAGED_REGISTER */
        uint32_t size; /* likewise */

        /* --- what it is, as data */
        const char *name, *version, *summary;       /* name = the type word in storage.cfg */
        uint32_t flags;                             /* enum storaged_plugin_flags */
        uint32_t naming;                            /* enum storaged_naming */
        uint32_t sharing;                           /* enum storaged_sharing */
        uint32_t contents;                          /* mask of supported contents */
        uint32_t default_contents;                  /* mask when storage.cfg says nothing */
        uint32_t formats;                           /* mask of supported formats */
        uint32_t default_format;                    /* one bit */
        const struct storaged_property *properties; /* name NULL ends; `storage`, `type` are implied */
        const struct storaged_feature_row *features;
        const struct storaged_scan *scan_schema; /* required with `scan` */

        /* --- without a storage */
        int (*check_config)(const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR);
        int (*scan)(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn,
                    void *userdata, STORAGED_ERR);

        /* --- lifecycle */
        int (*start)(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                     STORAGED_ERR);
        void (*stop)(void *self);

        /* --- the storage */
        int (*activate_storage)(void *self,
                                STORAGED_ERR); /* also removes what interrupted operations of this node left */
        int (*deactivate_storage)(void *self, STORAGED_ERR);
        int (*probe)(void *self, STORAGED_ERR); /* alive? cheap, never touches the data plane */
        int (*status)(void *self, struct storaged_status *ret, STORAGED_ERR);
        int (*health)(void *self, storaged_finding_fn fn, void *userdata, STORAGED_ERR);
        int (*repair)(void *self, const char *code, bool dry_run, storaged_finding_fn fn, void *userdata, STORAGED_ERR);

        /* --- volumes */
        int (*list)(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                    STORAGED_ERR);
        int (*stat)(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata,
                    STORAGED_ERR); /* one row, notes whole */
        int (*alloc)(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                     STORAGED_ERR);
        int (*free)(void *self, STORAGED_VOL, STORAGED_ERR); /* -ENOENT, -EBUSY (base in use), -EPERM (protected) */
        int (*resize)(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
        /* Computed only: never looks whether it exists. `snap` may be NULL. */
        int (*path)(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR);
        int (*activate_volume)(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
        int (*deactivate_volume)(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
        int (*holders)(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR);

        int (*snapshot)(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
        int (*rollback)(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
        int (*delete_snapshot)(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
        int (*list_snapshots)(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR);

        int (*clone)(void *self, STORAGED_VOL, const char *snap, uint32_t vmid,
                     char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR); /* linked clone */
        int (*template)(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
        int (*rename)(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                      char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR); /* name NULL: pick one */

        /* Streams: `fd` is borrowed and not closed; bytes as in pvesm.md section 6, virtual size first. */
        int (*export_stream)(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                             int fd, STORAGED_ERR);
        int (*import_stream)(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                             char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
        int (*upload)(void *self, const struct storaged_upload_spec *spec,
                      char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
        int (*set_notes)(void *self, STORAGED_VOL, const char *notes, STORAGED_ERR); /* "" removes */
        int (*set_protected)(void *self, STORAGED_VOL, bool is_protected, STORAGED_ERR);

        /* --- actions: `self` is NULL for those without STORAGED_ACTION_STORAGE. No answer given: null. */
        const struct storaged_action *actions; /* required with `act` */
        int (*act)(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                   storaged_json_fn fn, void *userdata, STORAGED_ERR);
        /*
         * Which thing does this node reach? Asked of all nodes before a shared storage is accepted, when a node joins,
         * and by the doctor. After `start`, and without activate_storage: a look (MARK_NONE, MARK_LOOK) changes nothing
         * and mounts nothing. MARK_WRITE and MARK_REMOVE come on a node where the storage is activated; a type that
         * tells itself apart by `id` ignores them. Not reached at all: an error, as from probe.
         */
        int (*identify)(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret,
                        STORAGED_ERR);

        /* --- enforcement below the leases (docs/plugin-guide.md, "Who holds a volume") */
        /*
         * Who this node is to the storage while it has the volume active: a JSON object as text, such as
         * {"client":"10.0.0.1:0/123"}; "" if there is nothing to tell. Called after every activate_volume that went
         * well (not read-only); the core keeps it in the lease and gives it to `fence` of another node.
         */
        int (*get_client)(void *self, STORAGED_VOL, char *ret, size_t ret_size, STORAGED_ERR);
        /*
         * On the node that takes over, under the storage's lock, before the lease changes: 0 means that what `node` had
         * as a client can't write to the volume any more and never will again. `client`: what `get_client` said there,
         * or NULL (killed before it was recorded). Any failure keeps the lease where it is. Absent: the lease alone
         * decides.
         */
        int (*fence)(void *self, STORAGED_VOL, const char *node, const char *client, STORAGED_ERR);

        /*
         * A stream of differences. What takes it is import_stream with spec->base: it refuses if the volume lacks that
         * snapshot, has newer ones, or is not what it was then; interrupted anywhere, the volume is as it was at `base`
         * (at the latest when it is next activated or changed), or has all of it.
         */
        int (*export_difference)(void *self, STORAGED_VOL, const struct storaged_difference_spec *spec, int fd,
                                 STORAGED_ERR);
        /*
         * A number for what `list` would tell now, asked before each listing: while it is the same, so are the rows of
         * the same filter, and the host gives the answer again that it has. 0: not known, so list. For types that can
         * tell for less than a listing costs.
         */
        int (*list_stamp)(void *self, uint64_t *ret, STORAGED_ERR);
        /* append only */
};

/* The one exported symbol: a function, so that the host can check abi and size before any pointer is used. */
#define STORAGED_REGISTER(plugin)                                                                        \
        __attribute__((visibility("default"))) const struct storaged_plugin *storaged_plugin_entry(void) \
        {                                                                                                \
                plugin.abi = STORAGED_PLUGIN_ABI;                                                        \
                plugin.size = (uint32_t) sizeof(plugin);                                                 \
                return &plugin;                                                                          \
        }
const struct storaged_plugin *storaged_plugin_entry(void);
