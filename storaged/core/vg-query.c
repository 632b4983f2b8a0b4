/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume group as all nodes see it: what it is from the first that sees it, and of each what is active there. */
#include "core/vg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/action.h"
#include "core/everywhere.h"
#include "wire/json.h"

typedef struct VgQuery {
        char *vg;
        reply_fn fn;
        void *userdata;
} VgQuery;

static void on_query(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *o = json_object_new_object();
        json_object *nodes = json_object_new_object();
        VgQuery *q = userdata;
        bool is_found = false;
        int r = o && nodes ? json_add(o, "nodes", nodes) : -ENOMEM;

        for (size_t i = 0; i < n && r >= 0; i++) {
                json_object *one = json_object_new_object();

                r = json_add(nodes, answers[i].node, one);
                if (r >= 0 && answers[i].data)
                        r = json_add(one, "active", json_object_get(json_get(answers[i].data, "active")));
                else if (r >= 0)
                        r = json_add_string(one, "error", answers[i].err.text);
                if (answers[i].data && !is_found) {
                        is_found = true;
                        json_object_object_foreach (answers[i].data, key, value)
                                if (r >= 0 && !str_eq(key, "active"))
                                        r = json_add(o, key, json_object_get(value));
                }
        }
        if (r < 0)
                (void) error_set(&err, r, "out of memory");
        else if (!is_found)
                (void) error_set_param(&err, n ? answers[0].err.code : -ENOENT, "vgname", "%s",
                                       n ? answers[0].err.text : "no node");
        q->fn(q->userdata, err.code < 0 ? NULL : &(Reply){ .data = o }, err.code < 0 ? &err : NULL);
        free(q->vg);
        free(q);
}

static void info_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        struct storaged_pair arg = { "vgname", here_data };
        ActionCall call = { .type = "lvm", .action = "vg-info", .args = &arg, .n_args = 1 };

        action_run(c, &call, fn, userdata);
}

void vg_query(Core *c, const char *vg, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        VgQuery *q = calloc(1, sizeof(*q));
        EverywhereCall call = { .method = "GET", .here = info_here, .fn = on_query, .userdata = q };

        strbuf_adds(&path, "/actions/lvm/vg-info?vgname=");
        everywhere_encode(&path, vg);
        if (q)
                *q = (VgQuery){ strdup(vg), fn, userdata };
        call.path = path.data;
        call.here_data = q ? q->vg : NULL;
        if (q && q->vg && strbuf_error(&path) >= 0 && everywhere_ask(c, &call) >= 0)
                return;
        if (q)
                free(q->vg);
        free(q);
        (void) error_set(&err, -ENOMEM, "out of memory");
        fn(userdata, NULL, &err);
}
