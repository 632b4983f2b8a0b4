/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of calls. Each function below is the same three steps: arguments out of JSON (host/args judges them), the
 * operation, the answer into JSON. That the plugin has the operation is checked once, from the table, before the
 * function runs. What a plugin gives back is believed only as far as it parses: a name it made that its own
 * naming scheme can't read is a fault of the plugin, reported here and not met three calls later.
 */
#include "host/calls.h"

#include <errno.h>

#include "host/call.h"
#include "host/plugin.h"
#include "wire/volname.h"

int call_reply_volume(Call *c, const char *volname)
{
        struct storaged_volname v = { .size = sizeof(v) };
        struct storaged_error why = STORAGED_ERROR_INIT;

        if (!memchr(volname, '\0', STORAGED_VOLNAME_MAX) || volname_parse(c->ops->naming, volname, &v, &why) < 0)
                return error_set(c->err, -EIO, "plugin %s named a volume '%.200s', which its naming can't read: %s",
                                 c->ops->name, volname, why.text);
        jsonw_object_begin(c->reply);
        call_add_text(c->reply, "volume", volname);
        jsonw_object_end(c->reply);
        return 0;
}

/* --- the table */

#define CALL(name, operation) #name, #operation, call_##name

static const struct {
        const char *name, *operation;
        int (*run)(Call *c);
        bool needs_storage;
} calls[] = {
        { CALL(check_config, check_config), false },
        { CALL(scan, scan), false },
        { CALL(activate, activate_storage), true },
        { CALL(deactivate, deactivate_storage), true },
        { CALL(probe, probe), true },
        { CALL(status, status), true },
        { CALL(health, health), true },
        { CALL(repair, repair), true },
        { CALL(list, list), true },
        { CALL(stat, stat), true },
        { CALL(alloc, alloc), true },
        { CALL(free, free), true },
        { CALL(resize, resize), true },
        { CALL(path, path), true },
        { CALL(activate_volume, activate_volume), true },
        { CALL(deactivate_volume, deactivate_volume), true },
        { CALL(holders, holders), true },
        { CALL(snapshot, snapshot), true },
        { CALL(rollback, rollback), true },
        { CALL(delete_snapshot, delete_snapshot), true },
        { CALL(list_snapshots, list_snapshots), true },
        { CALL(clone, clone), true },
        { CALL(template, template), true },
        { CALL(rename, rename), true },
        { CALL(export, export_stream), true },
        { CALL(import, import_stream), true },
        { CALL(upload, upload), true },
        { CALL(set_notes, set_notes), true },
        { CALL(set_protected, set_protected), true },
        { CALL(act, act), false },
        { CALL(identify, identify), true },
        { CALL(fence, fence), true },
};

/* Every failure leaves with a code and a sentence, also where a plugin forgot it. */
static int call_failed(Call *c, const char *op, int r)
{
        if (!c->err->text[0])
                (void) error_set(c->err, r, "type %s: %s failed: %s", c->ops->name, op, strerror(-r));
        c->err->code = r;
        return r;
}

static bool target_has(const CallTarget *target, const char *operation)
{
        for (const PluginOperation *o = plugin_operations; o->name; o++)
                if (str_eq(o->name, operation))
                        return plugin_has(target->ops, o);
        return false;
}

int call_run(const CallTarget *target, const char *op, json_object *args, int fd, StrBuf *reply,
             struct storaged_error *err)
{
        Call c = {
                .target = target,
                .ops = target->ops,
                .self = target->self,
                .args = args,
                .fd = fd,
                .opened = -EBADF,
                .reply = reply,
                .err = err,
        };

        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                size_t before = reply->len;
                int r;

                if (!str_eq(calls[i].name, op))
                        continue;
                if (!target_has(target, calls[i].operation))
                        break;
                if (calls[i].needs_storage && !target->storage)
                        return error_set(err, -EINVAL, "%s needs a storage, and this worker was started without one",
                                         op);
                r = calls[i].run(&c);
                closep(&c.opened);
                if (r >= 0)
                        r = strbuf_error(reply);
                if (r < 0)
                        return call_failed(&c, op, r);
                if (reply->len == before)
                        jsonw_raw(reply, "null", 4);
                return strbuf_error(reply) < 0 ? call_failed(&c, op, -ENOMEM) : 0;
        }
        return error_set(err, -EOPNOTSUPP, "type %s does not support %s", target->ops->name, op);
}
