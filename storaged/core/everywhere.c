/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question, many nodes. A node that can't be asked is an answer, too: whoever asked decides what it means. The
 * answer is complete when the last node has spoken or was given up by core/links.
 */
#include "core/everywhere.h"

#include <errno.h>
#include <stdlib.h>

#include "cluster/membership.h"
#include "core/links.h"
#include "wire/json.h"

typedef struct Asked Asked;

typedef struct AskedNode {
        Asked *asked;
        size_t index;
} AskedNode;

struct Asked {
        NodeAnswer *answers;
        AskedNode *nodes;
        size_t n, n_open;
        everywhere_fn fn;
        void *userdata;
};

static void asked_free(Asked *a)
{
        for (size_t i = 0; a->answers && i < a->n; i++)
                json_object_put(a->answers[i].data);
        free(a->answers);
        free(a->nodes);
        free(a);
}

static void one_done(Asked *a)
{
        if (--a->n_open > 0)
                return;
        a->fn(a->userdata, a->answers, a->n);
        asked_free(a);
}

static void on_here(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        AskedNode *n = userdata;
        NodeAnswer *answer = &n->asked->answers[n->index];

        if (err)
                answer->err = *err;
        else if (reply->raw && json_parse(reply->raw, reply->raw_len, &answer->data) < 0)
                (void) error_set(&answer->err, -EPROTO, "the answer can't be read");
        else if (!reply->raw)
                answer->data = json_object_get(reply->data);
        one_done(n->asked);
}

static int code_of(int status)
{
        switch (status) {
        case 404:
                return -ENOENT;
        case 400:
                return -EINVAL;
        case 403:
                return -EACCES;
        case 501:
                return -EOPNOTSUPP;
        case 503:
                return -EAGAIN;
        case 504: /* -ETIMEDOUT is a node that does not answer itself */
                return -ETIME;
        default:
                return -EIO;
        }
}

static void take_answer(NodeAnswer *answer, int status, const char *body, size_t len)
{
        const char *message;
        AUTO_JSON *o = NULL;

        if (json_parse(body, len, &o) < 0) {
                (void) error_set(&answer->err, -EPROTO, "node '%s' gave an answer that can't be read (status %d)",
                                 answer->node, status);
                return;
        }
        message = json_get_string(o, "message");
        if (status == 200)
                answer->data = json_object_get(json_get(o, "data"));
        else
                (void) error_set(&answer->err, code_of(status), "%.*s", message ? (int) strcspn(message, "\n") : 12,
                                 message ? message : "it refused  ");
}

static void on_there(void *userdata, int status, const char *body, size_t len, const struct storaged_error *err)
{
        AskedNode *n = userdata;
        NodeAnswer *answer = &n->asked->answers[n->index];

        if (err)
                answer->err = *err;
        else
                take_answer(answer, status, body, len);
        one_done(n->asked);
}

static void ask_there(Core *c, const EverywhereCall *call, AskedNode *n)
{
        NodeAnswer *answer = &n->asked->answers[n->index];
        AUTO(freep) char *target = NULL;
        LinkCall link = { .node = answer->node,
                          .method = call->method,
                          .user = call->user ? call->user : "root@pam",
                          .content_type = call->form ? "application/x-www-form-urlencoded" : NULL,
                          .body = call->form,
                          .len = call->form ? strlen(call->form) : 0 };
        int r = str_printf(&target, "/api2/json/nodes/%s%s", answer->node, call->path);

        link.target = target;
        if (r < 0)
                r = error_set(&answer->err, r, "out of memory");
        else if (!c->links)
                r = error_set(&answer->err, -EHOSTDOWN, "node '%s' can't be asked", answer->node);
        else
                r = links_pass_on(c->links, &link, on_there, n, &answer->err);
        if (r < 0)
                one_done(n->asked);
}

static void add_node(Asked *a, const char *name, bool is_local)
{
        NodeAnswer *answer = &a->answers[a->n];

        *answer = (NodeAnswer){ .is_local = is_local, .err = STORAGED_ERROR_INIT };
        (void) snprintf(answer->node, sizeof(answer->node), "%s", name);
        a->nodes[a->n] = (AskedNode){ a, a->n };
        a->n++;
}

static bool is_wanted(const char *const *nodes, const char *name)
{
        for (; nodes && *nodes; nodes++)
                if (str_eq(*nodes, name))
                        return true;
        return nodes == NULL;
}

int everywhere_ask(Core *c, const EverywhereCall *call)
{
        size_t n_members = 0, n_named = 0;
        const Member *members = membership_get_members(c->members, &n_members);
        Asked *a = calloc(1, sizeof(*a));

        while (call->nodes && call->nodes[n_named])
                n_named++;
        if (a) {
                a->answers = calloc(n_members + n_named + 1, sizeof(*a->answers));
                a->nodes = calloc(n_members + n_named + 1, sizeof(*a->nodes));
        }
        if (!a || !a->answers || !a->nodes) {
                if (a)
                        asked_free(a);
                return -ENOMEM;
        }
        a->fn = call->fn;
        a->userdata = call->userdata;
        for (size_t i = 0; i < n_members; i++)
                if (is_wanted(call->nodes, members[i].name))
                        add_node(a, members[i].name, members[i].is_local);
        if (n_members == 0 && is_wanted(call->nodes, c->node))
                add_node(a, c->node, true);
        for (size_t i = 0; i < n_named; i++) /* named, but no member any more */
                if (!membership_find(c->members, call->nodes[i]) &&
                    !(n_members == 0 && str_eq(call->nodes[i], c->node)))
                        add_node(a, call->nodes[i], false);
        a->n_open = a->n + 1; /* one for ourselves: none may end it while we still ask */
        for (size_t i = 0, n = a->n; i < n; i++)
                if (a->answers[i].is_local)
                        call->here(c, call->here_data, on_here, &a->nodes[i]);
                else
                        ask_there(c, call, &a->nodes[i]);
        one_done(a);
        return 0;
}

void everywhere_encode(StrBuf *b, const char *text)
{
        for (; *text; text++)
                if ((*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') ||
                    (*text >= 'a' && *text <= 'z') || strchr("-_.~", *text))
                        strbuf_addc(b, *text);
                else
                        strbuf_addf(b, "%%%02X", (unsigned char) *text);
}
