/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls about a storage as a whole, and those that need none. */
#include "host/call.h"

#include <errno.h>
#include <string.h>

/* --- without a storage */

int call_check_config(Call *c)
{
        AUTO(args_config_deinit) ArgsConfig config = { 0 };
        int r = args_config(c->args, &config, c->err);

        return r < 0 ? r : c->ops->check_config(c->target->host, &config.config, c->err);
}

static int scan_row(void *userdata, const struct storaged_pair *pairs, size_t n_pairs)
{
        StrBuf *b = userdata;

        jsonw_object_begin(b);
        for (size_t i = 0; i < n_pairs; i++)
                call_add_text(b, pairs[i].key, pairs[i].value);
        jsonw_object_end(b);
        return strbuf_error(b);
}

int call_scan(Call *c)
{
        AUTO(args_config_deinit) ArgsConfig params = { 0 };
        int r = args_params(c->args, &params, c->err);

        if (r < 0)
                return r;
        jsonw_array_begin(c->reply);
        r = c->ops->scan(c->target->host, &params.config, scan_row, c->reply, c->err);
        jsonw_array_end(c->reply);
        return r;
}

/* --- the storage */

int call_activate(Call *c)
{
        return c->ops->activate_storage(c->self, c->err);
}

int call_deactivate(Call *c)
{
        return c->ops->deactivate_storage(c->self, c->err);
}

int call_probe(Call *c)
{
        return c->ops->probe(c->self, c->err);
}

int call_status(Call *c)
{
        struct storaged_status s = { .size = sizeof(s) };
        int r = c->ops->status(c->self, &s, c->err);

        if (r < 0)
                return r;
        s.reason[sizeof(s.reason) - 1] = '\0';
        jsonw_object_begin(c->reply);
        call_add_int(c->reply, "active", s.is_active);
        call_add_uint(c->reply, "total", s.total_bytes);
        call_add_uint(c->reply, "avail", s.avail_bytes);
        call_add_uint(c->reply, "used", s.used_bytes);
        call_add_text(c->reply, "reason", s.reason);
        s.repairs[sizeof(s.repairs) - 1] = '\0';
        if (s.repairs[0])
                call_add_text(c->reply, "repairs", s.repairs);
        jsonw_object_end(c->reply);
        return 0;
}

static int finding_row(void *userdata, const struct storaged_finding *f)
{
        StrBuf *b = userdata;

        jsonw_object_begin(b);
        call_add_text(b, "code", f->code);
        call_add_text(b, "severity", f->severity);
        call_add_text(b, "summary", f->summary);
        call_add_text(b, "action", f->action);
        call_add_int(b, "repairable", f->is_repairable);
        jsonw_object_end(b);
        return strbuf_error(b);
}

int call_health(Call *c)
{
        int r;

        jsonw_array_begin(c->reply);
        r = c->ops->health(c->self, finding_row, c->reply, c->err);
        jsonw_array_end(c->reply);
        return r;
}

static int note_repairable(void *userdata, const struct storaged_finding *f)
{
        StrList *codes = userdata;

        return f->is_repairable && !strlist_has(codes, f->code) ? strlist_adds(codes, f->code) : 0;
}

/* What is to be repaired: the code that was asked for, or of all findings those that can be. */
static int find_codes(Call *c, StrList *ret)
{
        const char *code = NULL;
        int r;

        if (!json_object_object_get_ex(c->args, "code", NULL)) {
                if (!c->ops->health)
                        return error_set_param(c->err, -EINVAL, "code",
                                               "this type of storage does not look for faults by itself: say the code");
                return c->ops->health(c->self, note_repairable, ret, c->err);
        }
        r = args_string(c->args, "code", &code, c->err);
        return r < 0 ? r : strlist_adds(ret, code);
}

int call_repair(Call *c)
{
        AUTO(strlist_deinit) StrList codes = STRLIST_INIT;
        bool is_dry = json_get_bool(c->args, "dry_run", false);
        int r = find_codes(c, &codes);

        jsonw_array_begin(c->reply);
        for (size_t i = 0; r >= 0 && i < codes.n; i++)
                r = c->ops->repair(c->self, codes.items[i], is_dry, finding_row, c->reply, c->err);
        jsonw_array_end(c->reply);
        return r;
}

/* --- identity */

static const char *const mark_words[] = {
        [STORAGED_MARK_NONE] = "none",     [STORAGED_MARK_WRITE] = "write",     [STORAGED_MARK_LOOK] = "look",
        [STORAGED_MARK_REMOVE] = "remove", [STORAGED_MARK_MISSING] = "missing",
};

static uint32_t mark_of(const char *word)
{
        for (uint32_t i = 0; word && i < STORAGED_MARK_MISSING; i++)
                if (str_eq(word, mark_words[i]))
                        return i;
        return STORAGED_MARK_NONE;
}

static bool is_mark_name(const char *name)
{
        return name && strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32;
}

int call_identify(Call *c)
{
        struct storaged_identify_spec spec = { .size = sizeof(spec),
                                               .mark = mark_of(json_get_string(c->args, "mark")) };
        struct storaged_identity id = { .size = sizeof(id) };
        int r;

        if (spec.mark != STORAGED_MARK_NONE) {
                spec.name = json_get_string(c->args, "name");
                if (!is_mark_name(spec.name))
                        return error_set_param(c->err, -EINVAL, "name", "a mark's name is 32 hexadecimal digits");
        }
        r = c->ops->identify(c->self, &spec, &id, c->err);
        if (r < 0)
                return r;
        id.kind[sizeof(id.kind) - 1] = id.id[sizeof(id.id) - 1] = id.detail[sizeof(id.detail) - 1] = '\0';
        jsonw_object_begin(c->reply);
        call_add_text(c->reply, "kind", id.kind);
        call_add_text(c->reply, "id", id.id);
        call_add_text(c->reply, "detail", id.detail);
        call_add_text(c->reply, "mark", id.mark <= STORAGED_MARK_MISSING ? mark_words[id.mark] : "none");
        jsonw_object_end(c->reply);
        return 0;
}
