/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /nodes/{node}/config/check: what storaged reads out of a storage.cfg, and what it finds wrong with it. */
#include "api/request.h"
#include "api/route.h"

static void check(Request *r)
{
        const char *text = request_get(r, "text");
        AUTO(config_freep) Config *parsed = NULL;
        int n;

        if (!text) {
                request_reply_take(r, config_check_to_json(r->core->config));
                return;
        }
        n = config_parse(r->core->schema, text, strlen(text), &parsed);
        if (n < 0)
                request_fail(r, n, NULL);
        else
                request_reply_take(r, config_check_to_json(parsed));
}

static void get_index(Request *r)
{
        static const char *const names[] = { "check", NULL };

        request_reply_index(r, "name", names);
}

static const ParamSpec check_params[] = {
        { .name = "text",
          .flags = PARAM_MULTILINE | PARAM_EMPTY,
          .max_length = REQUEST_BODY_MAX,
          .description = "Text of a storage.cfg; without: the one of the cluster." },
        { 0 },
};

const Route config_routes[] = {
        { "GET", "/nodes/{node}/config", .permission = "any user", .description = "What is below.",
          .handler = get_index },
        { "POST", "/nodes/{node}/config/check", check_params, .permission = "/storage: Datastore.Audit",
          .description = "Reads a storage.cfg and tells what is wrong with it; changes nothing.", .handler = check },
        { 0 },
};
