/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls about one volume: made, changed, snapshotted, copied, freed. */
#include "host/call.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "wire/volname.h"

/* --- volumes */

int call_alloc(Call *c)
{
        struct storaged_alloc_spec spec = { .size = sizeof(spec) };
        const char *format = json_get_string(c->args, "format");
        char made[STORAGED_VOLNAME_MAX] = "";
        int r;

        spec.format = format ? format_from_string(format) : c->ops->default_format;
        if (!(spec.format & c->ops->formats))
                return error_set_param(c->err, -EINVAL, "format", "type %s has no format '%.32s'", c->ops->name,
                                       format);
        r = args_vmid(c->args, &spec.vmid, c->err);
        if (r >= 0)
                r = args_name(c->args, "name", &spec.name, c->err);
        if (r >= 0)
                r = args_size(c->args, spec.format == STORAGED_FORMAT_SUBVOL, &spec.bytes, c->err);
        if (r >= 0)
                r = c->ops->alloc(c->self, &spec, made, c->err);
        return r < 0 ? r : call_reply_volume(c, made);
}

int call_free(Call *c)
{
        struct storaged_volname vol;
        int r = call_volume(c, &vol);

        return r < 0 ? r : c->ops->free(c->self, &vol, c->err);
}

int call_resize(Call *c)
{
        struct storaged_volname vol;
        uint64_t bytes = 0;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_size(c->args, false, &bytes, c->err);
        if (r >= 0)
                r = c->ops->resize(c->self, &vol, bytes, c->err);
        if (r < 0)
                return r;
        jsonw_object_begin(c->reply);
        call_add_uint(c->reply, "size", bytes);
        jsonw_object_end(c->reply);
        return 0;
}

int call_path(Call *c)
{
        struct storaged_volname vol;
        const char *snap = NULL;
        char path[PATH_MAX] = "";
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_snapshot(c->args, false, &snap, c->err);
        if (r >= 0)
                r = c->ops->path(c->self, &vol, snap, path, sizeof(path), c->err);
        if (r < 0)
                return r;
        jsonw_object_begin(c->reply);
        call_add_text(c->reply, "path", path);
        jsonw_object_end(c->reply);
        return 0;
}

static int call_mode(Call *c, uint32_t *ret)
{
        static const char *const words[] = { "exclusive", "shared", "read-only" };
        const char *mode = json_get_string(c->args, "mode");

        if (!json_get(c->args, "mode"))
                mode = words[0];
        for (uint32_t i = 0; mode && i < sizeof(words) / sizeof(words[0]); i++)
                if (str_eq(mode, words[i])) {
                        *ret = STORAGED_ACTIVATION_EXCLUSIVE + i;
                        return 0;
                }
        return error_set_param(c->err, -EINVAL, "mode", "mode must be exclusive, shared or read-only");
}

/* The answer of an activation: {"client": {…}}, or nothing. */
static int call_add_client(Call *c, STORAGED_VOL)
{
        char text[STORAGED_CLIENT_MAX] = "";
        AUTO_JSON *client = NULL;
        int r = c->ops->get_client(c->self, vol, text, sizeof(text), c->err);

        if (r < 0 || !text[0])
                return r;
        if (!memchr(text, '\0', sizeof(text)) || json_parse(text, strlen(text), &client) < 0 ||
            !json_object_is_type(client, json_type_object))
                return error_set(c->err, -EIO, "plugin %s: what identifies this node for volume '%s' is no JSON object",
                                 c->ops->name, vol->volname);
        strbuf_addf(c->reply, "{\"client\":%s}", json_text(client));
        return strbuf_error(c->reply);
}

int call_activate_volume(Call *c)
{
        struct storaged_volname vol;
        const char *snap = NULL;
        uint32_t mode = 0;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_snapshot(c->args, false, &snap, c->err);
        if (r >= 0)
                r = call_mode(c, &mode);
        if (r >= 0)
                r = c->ops->activate_volume(c->self, &vol, snap, mode, c->err);
        if (r < 0 || snap || mode == STORAGED_ACTIVATION_READ_ONLY || !c->ops->get_client)
                return r;
        return call_add_client(c, &vol);
}

int call_deactivate_volume(Call *c)
{
        struct storaged_volname vol;
        const char *snap = NULL;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_snapshot(c->args, false, &snap, c->err);
        return r < 0 ? r : c->ops->deactivate_volume(c->self, &vol, snap, c->err);
}

static int holder_row(void *userdata, const struct storaged_holder *h)
{
        StrBuf *b = userdata;

        jsonw_object_begin(b);
        call_add_text(b, "node", h->node);
        call_add_text(b, "what", h->what);
        call_add_int(b, "exclusive", h->is_exclusive);
        jsonw_object_end(b);
        return strbuf_error(b);
}

int call_holders(Call *c)
{
        struct storaged_volname vol;
        int r = call_volume(c, &vol);

        if (r < 0)
                return r;
        jsonw_array_begin(c->reply);
        r = c->ops->holders(c->self, &vol, holder_row, c->reply, c->err);
        jsonw_array_end(c->reply);
        return r;
}

int call_fence(Call *c)
{
        struct storaged_volname vol;
        json_object *client = json_get(c->args, "client");
        const char *node = json_get_string(c->args, "node");
        int r = call_volume(c, &vol);

        if (r >= 0 && (!node || !*node))
                r = error_set(c->err, -EINVAL, "fence: which node?");
        return r < 0 ? r : c->ops->fence(c->self, &vol, node, client ? json_text(client) : NULL, c->err);
}

/* --- snapshots and copies */

static int call_with_snapshot(Call *c, int (*operation)(void *, STORAGED_VOL, const char *, STORAGED_ERR))
{
        struct storaged_volname vol;
        const char *snap = NULL;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_snapshot(c->args, true, &snap, c->err);
        return r < 0 ? r : operation(c->self, &vol, snap, c->err);
}

int call_snapshot(Call *c)
{
        return call_with_snapshot(c, c->ops->snapshot);
}

int call_rollback(Call *c)
{
        return call_with_snapshot(c, c->ops->rollback);
}

int call_delete_snapshot(Call *c)
{
        return call_with_snapshot(c, c->ops->delete_snapshot);
}

static int snapshot_row(void *userdata, const struct storaged_snapshot *s)
{
        StrBuf *b = userdata;

        jsonw_object_begin(b);
        call_add_text(b, "name", s->name);
        call_add_text(b, "parent", s->parent);
        call_add_int(b, "ctime", s->ctime);
        if (s->vm_state_bytes > 0)
                call_add_uint(b, "vmstate", s->vm_state_bytes);
        jsonw_object_end(b);
        return strbuf_error(b);
}

int call_list_snapshots(Call *c)
{
        struct storaged_volname vol;
        int r = call_volume(c, &vol);

        if (r < 0)
                return r;
        jsonw_array_begin(c->reply);
        r = c->ops->list_snapshots(c->self, &vol, snapshot_row, c->reply, c->err);
        jsonw_array_end(c->reply);
        return r;
}

int call_clone(Call *c)
{
        struct storaged_volname vol;
        char made[STORAGED_VOLNAME_MAX] = "";
        const char *snap = NULL;
        uint32_t vmid = 0;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_snapshot(c->args, false, &snap, c->err);
        if (r >= 0)
                r = args_vmid(c->args, &vmid, c->err);
        if (r >= 0)
                r = c->ops->clone(c->self, &vol, snap, vmid, made, c->err);
        return r < 0 ? r : call_reply_volume(c, made);
}

int call_template(Call *c)
{
        struct storaged_volname vol;
        char made[STORAGED_VOLNAME_MAX] = "";
        int r = call_volume(c, &vol);

        if (r >= 0)
                r = c->ops->template(c->self, &vol, made, c->err);
        return r < 0 ? r : call_reply_volume(c, made);
}

int call_rename(Call *c)
{
        struct storaged_volname vol;
        char made[STORAGED_VOLNAME_MAX] = "";
        const char *name = NULL;
        uint32_t vmid = 0;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_vmid(c->args, &vmid, c->err);
        if (r >= 0)
                r = args_name(c->args, "name", &name, c->err);
        if (r >= 0)
                r = c->ops->rename(c->self, &vol, vmid, name, made, c->err);
        return r < 0 ? r : call_reply_volume(c, made);
}

int call_set_notes(Call *c)
{
        struct storaged_volname vol;
        const char *notes = NULL;
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = args_string(c->args, "notes", &notes, c->err);
        return r < 0 ? r : c->ops->set_notes(c->self, &vol, notes, c->err);
}

int call_set_protected(Call *c)
{
        struct storaged_volname vol;
        bool is_protected;
        int r = call_volume(c, &vol);

        if (r < 0)
                return r;
        is_protected = json_get_bool(c->args, "protected", false);
        if (is_protected != json_get_bool(c->args, "protected", true))
                return error_set_param(c->err, -EINVAL, "protected", "protected is missing or not a boolean");
        return c->ops->set_protected(c->self, &vol, is_protected, c->err);
}
