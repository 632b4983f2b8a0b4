/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own operations on volumes, beside what Proxmox VE's API has. They are one call of core each, so most of this
 * file is tables: the row says which operation, its parameters say under which name core wants them.
 */
#include "api/volume-api.h"

#include <errno.h>

#include "base/parse.h"
#include "wire/json.h"

void volume_handle_args(Request *r, enum volume_op op, const char *volname, json_object *args)
{
        VolumeCall call = {
                .op = op,
                .storage = request_get(r, "storage"),
                .volname = volname,
                .args = args,
                .user = r->user,
                .is_sync = params_get_bool(&r->params, "sync", false),
        };

        if (args)
                volume_call(r->core, &call, request_on_reply, r);
        else
                request_fail(r, -ENOMEM, NULL);
        (void) json_object_put(args);
}

static void volume_handle_as(Request *r, enum volume_op op)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *volname = request_get_volname(r, &err);

        if (volname)
                volume_handle_args(r, op, volname, params_to_args(&r->params, r->route->params));
        else
                request_fail(r, -EINVAL, &err);
}

void volume_handle(Request *r)
{
        volume_handle_as(r, (enum volume_op) r->route->op);
}

void volume_handle_storage(Request *r)
{
        volume_handle_args(r, (enum volume_op) r->route->op, NULL, params_to_args(&r->params, r->route->params));
}

static void get_info(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *volname = request_get_volname(r, &err);
        AUTO(freep) char *volid = NULL;
        json_object *info = NULL;
        int n;

        n = !volname ? -EINVAL : str_printf(&volid, "%s:%s", request_get(r, "storage"), volname);
        if (n >= 0)
                n = volume_info(r->core, volid, &info, &err);
        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply_take(r, info);
}

/* --- resize: +SIZE counts from the size the volume has */

/* `size` is absolute; an image is never made empty, nor larger than an off_t. */
static void resize_to(Request *r, uint64_t base)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *text = request_get(r, "size"), *volname = request_get_volname(r, &err);
        AUTO_JSON *args = json_object_new_object();
        uint64_t bytes = 0;

        (void) parse_alloc_size(text + (text[0] == '+'), &bytes); /* has passed the check */
        if (!volname)
                request_fail(r, -EINVAL, &err);
        else if (bytes == 0)
                request_fail_status(r, 400, "size", "a volume can't get the size 0, nor grow by 0");
        else if (__builtin_add_overflow(base, bytes, &bytes) || bytes > INT64_MAX)
                request_fail_status(r, 400, "size", "size '%s' is too large", text);
        else if (!args || json_add_uint(args, "size", bytes) < 0)
                request_fail(r, -ENOMEM, NULL);
        else
                volume_handle_args(r, VOLUME_RESIZE, volname, TAKE(args));
}

static void on_stat(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Request *r = userdata;
        AUTO_JSON *row = NULL;
        uint64_t size;

        if (err || !reply) {
                request_fail(r, -EIO, err);
                return;
        }
        if (reply->raw)
                (void) json_parse(reply->raw, reply->raw_len, &row); /* NULL if it can't be read: no size then */
        else
                row = json_object_get(reply->data);
        size = json_get_uint(row, "size", 0);
        if (size > 0)
                resize_to(r, size);
        else
                request_fail_status(r, 409, "size",
                                    "the volume's present size is not known: give the new size without '+'");
}

static void resize(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *volname = request_get_volname(r, &err);
        VolumeCall call = {
                .op = VOLUME_STAT, .storage = request_get(r, "storage"), .volname = volname, .user = r->user
        };

        if (!volname)
                request_fail(r, -EINVAL, &err);
        else if (request_get(r, "size")[0] != '+')
                resize_to(r, 0);
        else
                volume_call(r->core, &call, on_stat, r);
}

/* --- streams */

/* A stream's other end must be a socket that is there; core passes its path on. */
static void stream(Request *r)
{
        const char *param = r->route->op == VOLUME_EXPORT ? "to" : "from",
                   *path = str_skip(request_get(r, param), "unix://"),
                   *node = r->from_node ? str_skip(request_get(r, param), "node://") : NULL;
        size_t n = r->from_node ? strlen(r->from_node) : 0;

        /* A node may only name itself: nobody is made to send anything to a third. */
        if ((path && path[0] == '/') || (node && strncmp(node, r->from_node, n) == 0 && node[n] == '/'))
                volume_handle_as(r, r->route->op == VOLUME_IMPORT && request_get(r, "base")
                                            ? VOLUME_IMPORT_DIFFERENCE
                                            : (enum volume_op) r->route->op);
        else
                request_fail_status(r, 400, param, "must be unix:// and the absolute path of a socket");
}

/* --- tables */

static const char *const modes[] = { "exclusive", "shared", "read-only", NULL };
static const char *const stream_formats[] = { "raw+size", "tar+size", "qcow2+size", "vmdk+size",
                                              "zfs",      "btrfs",    "rbd+size",   NULL };

#define BASE_SNAPSHOT(text)                                                                                 \
        {                                                                                                   \
                .name = "base", .type = PARAM_NAME, .max_length = 128, .arg = "base", .description = (text) \
        }
#define SNAPNAME(required)                                                                                        \
        {                                                                                                         \
                .name = "snapname", .type = PARAM_NAME, .flags = (required), .max_length = 40, .arg = "snapshot", \
                .description = "Name of the snapshot."                                                            \
        }
#define SNAPSHOT                                                                              \
        {                                                                                     \
                .name = "snapshot", .type = PARAM_NAME, .max_length = 128, .arg = "snapshot", \
                .description = "Of this snapshot."                                            \
        }

static const ParamSpec volume_params[] = { VOLUME_PARAM, { 0 } };
static const ParamSpec path_params[] = { VOLUME_PARAM, SNAPSHOT, { 0 } };
static const ParamSpec template_params[] = { VOLUME_PARAM, SYNC_PARAM, { 0 } };
static const ParamSpec snapshot_params[] = { VOLUME_PARAM, SNAPNAME(PARAM_REQUIRED), SYNC_PARAM, { 0 } };
static const ParamSpec resize_params[] = {
        VOLUME_PARAM,
        { .name = "size",
          .type = PARAM_SIZE,
          .flags = PARAM_REQUIRED | PARAM_SIGNED_SIZE,
          .description = "New size in KiB, or with M or G; with + in front: by how much it grows." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec clone_params[] = {
        VOLUME_PARAM,
        { .name = "vmid",
          .type = PARAM_VMID,
          .flags = PARAM_REQUIRED,
          .arg = "vmid",
          .description = "Guest that gets the clone." },
        SNAPNAME(0),
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec rename_params[] = {
        VOLUME_PARAM,
        { .name = "vmid", .type = PARAM_VMID, .arg = "vmid", .description = "Guest that gets the volume." },
        { .name = "name",
          .type = PARAM_NAME,
          .max_length = 255,
          .arg = "name",
          .description = "New name; without: the next free." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec export_params[] = {
        VOLUME_PARAM,
        { .name = "format",
          .type = PARAM_ENUM,
          .flags = PARAM_REQUIRED,
          .values = stream_formats,
          .arg = "format",
          .description = "Format of the stream." },
        { .name = "to",
          .flags = PARAM_REQUIRED,
          .max_length = 512,
          .arg = "to",
          .description = "unix://PATH of a listening socket." },
        BASE_SNAPSHOT("Only what has changed since this snapshot."),
        SNAPSHOT,
        { .name = "with-snapshots",
          .type = PARAM_BOOLEAN,
          .arg = "with_snapshots",
          .description = "All snapshots too." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec import_params[] = {
        VOLUME_PARAM,
        { .name = "format",
          .type = PARAM_ENUM,
          .flags = PARAM_REQUIRED,
          .values = stream_formats,
          .arg = "format",
          .description = "Format of the stream." },
        { .name = "from",
          .flags = PARAM_REQUIRED,
          .max_length = 512,
          .arg = "from",
          .description = "unix://PATH of a listening socket that sends." },
        { .name = "allow-rename",
          .type = PARAM_BOOLEAN,
          .arg = "allow_rename",
          .description = "Take another name if it is used." },
        { .name = "with-snapshots",
          .type = PARAM_BOOLEAN,
          .arg = "with_snapshots",
          .description = "The stream has snapshots." },
        BASE_SNAPSHOT("The stream holds differences from this snapshot, for a volume that has it and did not change."),
        SNAPSHOT,
        { .name = "delete-snapshot",
          .type = PARAM_NAME,
          .max_length = 128,
          .arg = "delete_snapshot",
          .description = "Snapshot to remove after the import." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec activate_params[] = {
        VOLUME_PARAM,
        SNAPNAME(0),
        { .name = "mode",
          .type = PARAM_ENUM,
          .values = modes,
          .arg = "mode",
          .description = "exclusive, the default; shared, under a migration ticket; read-only, without a lease." },
        { .name = "force",
          .type = PARAM_BOOLEAN,
          .arg = "force",
          .description = "Take it over from the nodes in dead-node." },
        { .name = "dead-node",
          .max_length = 255,
          .arg = "dead_nodes",
          .description = "Holders that are proven gone, separated by commas; logged." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec deactivate_params[] = { VOLUME_PARAM, SNAPNAME(0), SYNC_PARAM, { 0 } };
static const ParamSpec repair_params[] = {
        { .name = "code",
          .type = PARAM_NAME,
          .max_length = 64,
          .arg = "code",
          .description = "Only the finding of this code." },
        { .name = "dry-run", .type = PARAM_BOOLEAN, .arg = "dry_run", .description = "Only say what would be done." },
        SYNC_PARAM,
        { 0 },
};

#define BASE "/nodes/{node}/storage/{storage}"
#define AUDIT "/storage/{storage}: Datastore.Audit"
#define CHANGE "/storage/{storage}: Datastore.Allocate"
#define ROW(method, name, table, operation, who, what, fn)                                                       \
        {                                                                                                        \
                method, BASE name, table, .op = operation, .permission = who, .description = what, .handler = fn \
        }

const Route volume_routes[] = {
        ROW("GET", "/path", path_params, VOLUME_PATH, AUDIT, "Where the volume is on this node.", volume_handle),
        ROW("GET", "/info", volume_params, 0, AUDIT, "What the volume's name means, without touching the storage.",
            get_info),
        ROW("GET", "/holders", volume_params, VOLUME_HOLDERS, AUDIT, "Who has the volume open.", volume_handle),
        ROW("GET", "/snapshot", volume_params, VOLUME_LIST_SNAPSHOTS, AUDIT, "Snapshots of the volume.", volume_handle),
        ROW("POST", "/snapshot", snapshot_params, VOLUME_SNAPSHOT, CHANGE, "Takes a snapshot.", volume_handle),
        ROW("DELETE", "/snapshot", snapshot_params, VOLUME_DELETE_SNAPSHOT, CHANGE, "Removes a snapshot.",
            volume_handle),
        ROW("POST", "/rollback", snapshot_params, VOLUME_ROLLBACK, CHANGE, "Brings the volume back to a snapshot.",
            volume_handle),
        ROW("PUT", "/resize", resize_params, VOLUME_RESIZE, CHANGE, "Changes the size.", resize),
        ROW("POST", "/clone", clone_params, VOLUME_CLONE, CHANGE, "Makes a linked clone of a template or snapshot.",
            volume_handle),
        ROW("POST", "/template", template_params, VOLUME_TEMPLATE, CHANGE,
            "Makes it a template, for clones to hang on.", volume_handle),
        ROW("POST", "/rename", rename_params, VOLUME_RENAME, CHANGE, "Gives it another name or another owner.",
            volume_handle),
        { "POST", BASE "/export", export_params, ROUTE_HERE, VOLUME_EXPORT, CHANGE, "Sends the volume as a stream.",
          stream },
        { "POST", BASE "/import", import_params, ROUTE_HERE, VOLUME_IMPORT, CHANGE, "Makes a volume of a stream.",
          stream },
        ROW("POST", "/activate", activate_params, VOLUME_ACTIVATE, CHANGE, "Makes the volume usable on this node.",
            volume_handle),
        ROW("POST", "/deactivate", deactivate_params, VOLUME_DEACTIVATE, CHANGE, "Ends that.", volume_handle),
        ROW("GET", "/health", NULL, VOLUME_HEALTH, AUDIT, "What is wrong with the storage, and what to do.",
            volume_handle_storage),
        ROW("POST", "/repair", repair_params, VOLUME_REPAIR, CHANGE, "Repairs what can be repaired safely.",
            volume_handle_storage),
        { 0 },
};
