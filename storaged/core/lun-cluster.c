/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The matrix: every node is asked for its inventory, and lun-merge.c puts them together. */
#include "core/lun-cluster.h"

#include <errno.h>
#include <stdlib.h>

#include "core/lun.h"
#include "wire/json.h"

typedef struct Query {
        char *wwid; /* or NULL */
        unsigned flags;
        reply_fn fn;
        void *userdata;
} Query;

static void query_end(Query *q, json_object *data, const struct storaged_error *err)
{
        Reply reply = { .data = data };

        q->fn(q->userdata, err ? NULL : &reply, err);
        free(q->wwid);
        free(q);
}

static void here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        luns_query(c, ((Query *) here_data)->flags, fn, userdata);
}

static void on_answers(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Query *q = userdata;
        AUTO_JSON *merged = luns_merge(answers, n, q->wwid);

        if (!merged)
                (void) error_set(&err, -ENOMEM, "out of memory");
        query_end(q, merged, merged ? NULL : &err);
}

void luns_cluster_query(Core *c, const char *wwid, unsigned flags, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Query *q = calloc(1, sizeof(*q));
        EverywhereCall call = { .method = "GET",
                                .path = flags & LUNS_FRESH ? "/luns?fresh=1&whole=1" : "/luns?whole=1",
                                .here = here,
                                .here_data = q,
                                .fn = on_answers,
                                .userdata = q };

        (void) error_set(&err, -ENOMEM, "out of memory");
        if (!q) {
                fn(userdata, NULL, &err);
                return;
        }
        *q = (Query){ wwid ? strdup(wwid) : NULL, flags, fn, userdata };
        if ((wwid && !q->wwid) || everywhere_ask(c, &call) < 0)
                query_end(q, NULL, &err);
}
