/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An action of a plugin: work on this node that is no operation on a volume. Only what the plugin declares reaches it,
 * and what it answers is looked at here: text that is no JSON is the plugin's fault, reported as such.
 */
#include <errno.h>

#include "host/call.h"

typedef struct Answer {
        StrBuf *reply;
        bool is_given;
} Answer;

static int take_answer(void *userdata, const char *json, size_t len)
{
        AUTO_JSON *value = NULL;
        Answer *a = userdata;

        if (a->is_given || json_parse(json, len, &value) < 0)
                return -EINVAL;
        a->is_given = true;
        jsonw_raw(a->reply, json, len);
        return strbuf_error(a->reply);
}

static const struct storaged_action *find_action(const Call *c, const char *name)
{
        for (const struct storaged_action *a = c->ops->actions; a->name; a++)
                if (str_eq(a->name, name))
                        return a;
        return NULL;
}

int call_act(Call *c)
{
        AUTO(args_config_deinit) ArgsConfig params = { 0 };
        Answer answer = { .reply = c->reply };
        const struct storaged_action *action;
        const char *name = NULL;
        AUTO_JSON *none = NULL;
        json_object *given;
        int r = args_string(c->args, "action", &name, c->err);

        if (r < 0)
                return r;
        action = find_action(c, name);
        if (!action)
                return error_set_param(c->err, -EINVAL, "action", "type %s has no action '%.64s'", c->ops->name, name);
        if ((action->flags & STORAGED_ACTION_STORAGE) && !c->target->storage)
                return error_set(c->err, -EINVAL, "action %s of type %s is about a storage, and none was named", name,
                                 c->ops->name);
        given = json_get(c->args, "params");
        if (!given)
                given = none = json_object_new_object();
        r = args_params(given, &params, c->err);
        if (r < 0)
                return r;
        return c->ops->act(c->target->host, action->flags & STORAGED_ACTION_STORAGE ? c->self : NULL, name,
                           &params.config, take_answer, &answer, c->err);
}
