/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is on a storage: list, allocate, look at, change, free, copy, upload, prune: the calls Proxmox VE's API has. */
#include <errno.h>
#include <strings.h>
#include <unistd.h>

#include "api/upload.h"
#include "api/volume-api.h"
#include "core/prune.h"
#include "wire/json.h"
#include "wire/volname.h"

static void prune(Request *r)
{
        const char *vmid = request_get(r, "vmid");
        PruneCall call = {
                .storage = request_get(r, "storage"),
                .rule = request_get(r, "prune-backups"),
                .type = request_get(r, "type"),
                .vmid = vmid ? (uint32_t) params_get_int(&r->params, "vmid", 0) : 0,
                .is_dry_run = str_eq(r->route->method, "GET"),
                .user = r->user,
        };

        prune_call(r->core, &call, request_on_reply, r);
}

/* --- upload */

/* The endings a file may have (pvesm.md section 8): those that a listing of that content shows. */
static bool ending_fits(const char *content, const char *name)
{
        static const struct {
                const char *content, *ending;
        } rows[] = {
                { "iso", ".iso" },       { "iso", ".img" },        { "vztmpl", ".tar" },     { "vztmpl", ".tar.gz" },
                { "vztmpl", ".tar.xz" }, { "vztmpl", ".tar.zst" }, { "vztmpl", ".tar.bz2" }, { "import", ".ova" },
                { "import", ".qcow2" },  { "import", ".raw" },     { "import", ".vmdk" },
        };
        bool is_iso = str_eq(content, "iso"); /* whose endings count in any case */
        size_t len = strlen(name);

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                size_t n = strlen(rows[i].ending);

                if (str_eq(rows[i].content, content) && len > n &&
                    (is_iso ? strcasecmp : strcmp)(name + len - n, rows[i].ending) == 0)
                        return true;
        }
        return false;
}

static int check_upload(const Request *r, struct storaged_error *err)
{
        const char *content = request_get(r, "content"), *name = request_get(r, "filename"),
                   *id = request_get(r, "storage");
        const char *algorithm = request_get(r, "checksum-algorithm"), *checksum = request_get(r, "checksum");
        const StorageConfig *s = config_find(r->core->config, id);

        if (!s)
                return error_set_param(err, -ENOENT, "storage", "storage '%s' does not exist", id);
        if (!(s->contents & content_from_string(content)))
                return error_set_param(err, -EINVAL, "content", "storage '%s' is not for content '%s'", id, content);
        if (!ending_fits(content, name))
                return error_set_param(err, -EINVAL, "filename", "'%s' has no ending of content '%s'", name, content);
        if (!checksum != !algorithm)
                return error_set_param(err, -EINVAL, checksum ? "checksum-algorithm" : "checksum",
                                       "checksum and checksum-algorithm belong together");
        return checksum ? upload_verify(r->upload, algorithm, checksum, err) : 0;
}

static void upload(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *args = NULL;
        int n = r->upload ? check_upload(r, &err)
                          : error_set(&err, -EINVAL, "an upload's body must be multipart/form-data");

        if (n >= 0) {
                args = params_to_args(&r->params, r->route->params);
                n = args ? json_add_string(args, "path", upload_get_path(r->upload)) : -ENOMEM;
        }
        if (n < 0) {
                request_fail(r, n, &err);
                return;
        }
        upload_hand_over(r->upload); /* the call removes the file, whatever becomes of it */
        volume_handle_args(r, VOLUME_UPLOAD, NULL, TAKE(args));
}

/* --- tables */

static const char *const contents[] = { "images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import", NULL };
static const char *const upload_contents[] = { "iso", "vztmpl", "import", NULL };
static const char *const formats[] = { "raw", "qcow2", "vmdk", "subvol", NULL };
static const char *const guest_types[] = { "qemu", "lxc", NULL };
static const char *const algorithms[] = { "md5", "sha1", "sha224", "sha256", "sha384", "sha512", NULL };

static const ParamSpec list_params[] = {
        { .name = "content",
          .type = PARAM_ENUM,
          .flags = PARAM_LIST,
          .values = contents,
          .arg = "contents",
          .description = "Only volumes of this kind." },
        { .name = "vmid", .type = PARAM_VMID, .arg = "vmid", .description = "Only volumes of this guest." },
        { 0 },
};
static const ParamSpec alloc_params[] = {
        { .name = "filename",
          .flags = PARAM_REQUIRED | PARAM_EMPTY,
          .max_length = 255,
          .arg = "filename",
          .alias = "name",
          .description = "Name of the volume; empty: the next free." },
        { .name = "vmid",
          .type = PARAM_VMID,
          .flags = PARAM_REQUIRED,
          .arg = "vmid",
          .description = "Guest that owns it." },
        { .name = "size",
          .type = PARAM_SIZE,
          .flags = PARAM_REQUIRED,
          .arg = "size",
          .description = "Size in KiB, or with M or G." },
        { .name = "format",
          .type = PARAM_ENUM,
          .values = formats,
          .arg = "format",
          .description = "Format of the image." },
        { 0 },
};
static const ParamSpec attribute_params[] = {
        { .name = "notes",
          .flags = PARAM_MULTILINE | PARAM_EMPTY,
          .max_length = 65536,
          .arg = "notes",
          .description = "The volume's notes; empty: none." },
        { .name = "protected",
          .type = PARAM_BOOLEAN,
          .arg = "protected",
          .description = "Protects it from being removed." },
        { 0 },
};
static const ParamSpec free_params[] = {
        { .name = "delay",
          .type = PARAM_INTEGER,
          .min = 1,
          .max = 30,
          .arg = "delay",
          .description = "Answer without a task if it is done within so many seconds." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec copy_params[] = {
        { .name = "target",
          .flags = PARAM_REQUIRED,
          .arg = "target",
          .description = "Storage or volume id that gets the copy." },
        { .name = "target_node",
          .max_length = 63,
          .arg = "target_node",
          .description = "Node that gets the copy; without: the one that is asked." },
        SYNC_PARAM,
        { 0 },
};
static const ParamSpec prune_params[] = {
        { .name = "prune-backups",
          .description = "What to keep: keep-last=N,keep-daily=N,…; without: as the storage says." },
        { .name = "type",
          .type = PARAM_ENUM,
          .values = guest_types,
          .description = "Only backups of this kind of guest." },
        { .name = "vmid", .type = PARAM_VMID, .description = "Only backups of this guest." },
        { 0 },
};
static const ParamSpec upload_params[] = {
        { .name = "content",
          .type = PARAM_ENUM,
          .flags = PARAM_REQUIRED,
          .values = upload_contents,
          .arg = "content",
          .description = "What the file is." },
        { .name = "filename",
          .flags = PARAM_REQUIRED,
          .max_length = 255,
          .arg = "filename",
          .description = "The part with the file; its name is brought to [A-Za-z0-9_.-]." },
        { .name = "checksum",
          .max_length = 128,
          .description = "The file's checksum in hex; must come before the file." },
        { .name = "checksum-algorithm",
          .type = PARAM_ENUM,
          .values = algorithms,
          .description = "Must come before the file." },
        SYNC_PARAM,
        { 0 },
};

#define BASE "/nodes/{node}/storage/{storage}"
#define AUDIT "/storage/{storage}: Datastore.Audit or Datastore.AllocateSpace"
#define SPACE "/storage/{storage}: Datastore.AllocateSpace"
#define TEMPLATE "/storage/{storage}: Datastore.AllocateTemplate"
#define INSIDE "any user, checked inside"

const Route content_routes[] = {
        { "GET", BASE "/content", list_params, .op = VOLUME_LIST, .permission = AUDIT,
          .description = "The volumes on the storage.", .handler = volume_handle_storage },
        { "POST", BASE "/content", alloc_params, .op = VOLUME_ALLOC, .permission = SPACE,
          .description = "Makes a volume; gives its id.", .handler = volume_handle_storage },
        { "GET", BASE "/content/{volume}", .op = VOLUME_STAT, .permission = INSIDE, .description = "One volume.",
          .handler = volume_handle },
        { "PUT", BASE "/content/{volume}", attribute_params, .op = VOLUME_SET_ATTRIBUTES, .permission = INSIDE,
          .description = "Changes notes and protection.", .handler = volume_handle },
        { "POST", BASE "/content/{volume}", copy_params, .op = VOLUME_COPY, .permission = "root only",
          .description = "Copies the volume.", .handler = volume_handle },
        { "DELETE", BASE "/content/{volume}", free_params, .op = VOLUME_FREE, .permission = INSIDE,
          .description = "Removes the volume.", .handler = volume_handle },
        { "GET", BASE "/prunebackups", prune_params, .permission = AUDIT,
          .description = "Which backups would be removed.", .handler = prune },
        { "DELETE", BASE "/prunebackups", prune_params, .permission = SPACE,
          .description = "Removes backups that need not be kept.", .handler = prune },
        { "POST", BASE "/upload", upload_params, ROUTE_UPLOAD, .permission = TEMPLATE,
          .description = "Uploads a file (multipart/form-data).", .handler = upload },
        { 0 },
};
