/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking the tree of the others: what this node had changed alone is kept first, then the difference goes to the
 * database in one transaction, then the changes that came meanwhile are applied.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "clusterfs/conflicts.h"

#define HELD_MAX (64u << 20)

void engine_forget_held(Engine *e)
{
        for (size_t i = 0; i < e->held.n; i++)
                free(e->held.items[i].body);
        e->held.n = 0;
        e->held_bytes = 0;
}

static int drop_missing(void *userdata, Node *n)
{
        void **args = userdata;
        Engine *e = args[0];
        const Tree *new = args[1];

        if (!tree_find(new, n->ino))
                db_drop(e->db, n);
        return 0;
}

static int put_differing(void *userdata, Node *n)
{
        void **args = userdata;
        Engine *e = args[0];
        const Tree *old = args[1];
        const Node *o = tree_find(old, n->ino);
        bool content = !o || o->content != n->content;

        if (content || o->parent->ino != n->parent->ino || !str_eq(o->name, n->name) || o->mtime != n->mtime ||
            o->version.term != n->version.term || o->version.index != n->version.index || o->writer != n->writer)
                db_put(e->db, n, content);
        return 0;
}

static int put_differing_but_root(void *userdata, Node *n)
{
        void **args = userdata;

        if (n->parent)
                return put_differing(userdata, n);
        db_put(((Engine *) args[0])->db, n, false);
        return 0;
}

/* Nothing is lost silently: without a place to keep it, the tree of the others is not taken. */
static int keep_conflicts(Engine *e, const Tree *new, const History *history)
{
        Conflicts c = { 0 };
        int r = conflicts_save(e->state_dir, e->db, e->tree, &e->history, new, history, &c);

        if (r < 0)
                log_error("can't keep what this node had changed alone: %s", strerror(-r));
        else if (c.dir)
                engine_log(e, LOG_WARNING, "clusterfs",
                           "node %s had changed %zu and removed %zu objects alone; the cluster's tree was taken; "
                           "what it had is in %s",
                           e->node, c.n_changed, c.n_removed, c.dir);
        conflicts_deinit(&c);
        return r;
}

/*
 * Numbers of objects in changes not yet delivered were those of the old tree. That of a lock may be another one's in
 * this tree, and the others may have made the change already: ESTALE would say that they have not.
 */
static void fail_sent(Engine *e)
{
        while (e->sent.first) {
                Change *c = change_list_take(&e->sent, &e->sent.first);

                change_finish(c, c->refusal ? c->refusal : c->is_fenced ? -ETIMEDOUT : -ESTALE);
        }
}

static int take_tree(Engine *e)
{
        AUTO(tree_freep) Tree *old = NULL;
        AUTO(tree_freep) Tree *new = NULL;
        History history = { 0 };
        void *args[2] = { e, NULL };
        int r;

        new = receiver_take(e->receiver, &history);
        r = keep_conflicts(e, new, &history);
        if (r < 0) {
                history_deinit(&history);
                return r;
        }
        args[1] = new;
        (void) tree_walk(e->tree, drop_missing, args);
        args[1] = e->tree;
        (void) tree_walk(new, put_differing_but_root, args);
        db_clear_history(e->db);
        for (size_t i = 0; i < history.terms.n; i++)
                db_term(e->db, history.terms.items[i]);
        new->max_bytes = e->tree->max_bytes;
        new->sink = &e->sink;
        old = e->tree;
        e->tree = TAKE(new);
        history_deinit(&e->history);
        e->history = history;
        e->history.is_local = false;
        e->history.quorate_index = e->tree->version.index;
        e->state_dirty = true;
        e->receiver = receiver_free(e->receiver); /* before `old`, which it looks at */
        fail_sent(e);
        engine_forget_stored(e);
        engine_tell_all_changed(e);
        return 0;
}

static void finish_receive(Engine *e)
{
        VEC(Held) held = { e->held.items, e->held.n, e->held.size };
        int r = take_tree(e);

        if (r < 0) {
                engine_receive_failed(e, r);
                return;
        }
        e->held.items = NULL;
        e->held.n = e->held.size = 0;
        e->held_bytes = 0;
        engine_become_active(e);
        for (size_t i = 0; i < held.n; i++) {
                engine_deliver_change(e, held.items[i].from, &held.items[i].header, held.items[i].body,
                                      held.items[i].len);
                free(held.items[i].body);
        }
        VEC_DEINIT(&held);
}

void engine_receive_failed(Engine *e, int error)
{
        log_error("the tree of the others can't be taken (%s): once more", strerror(-error));
        e->phase = PHASE_DOWN;
        corosync_restart(e->corosync);
}

void engine_deliver_index(Engine *e, const uint8_t *body, size_t len)
{
        int r = receiver_index(e->receiver, body, len);

        e->progress++;
        if (r > 0) {
                StrBuf b = STRBUF_INIT;

                receiver_need(e->receiver, &b);
                r = engine_send(e, FRAME_NEED, 0, 0, &b, true);
        }
        if (r < 0)
                engine_receive_failed(e, r);
}

void engine_deliver_data(Engine *e, const uint8_t *body, size_t len)
{
        int r = receiver_data(e->receiver, engine_nodeid(e), body, len);

        e->progress++;
        if (r > 0)
                finish_receive(e);
        else if (r < 0)
                engine_receive_failed(e, r);
}

void engine_hold_change(Engine *e, Member from, const FrameHeader *h, const uint8_t *body, size_t len)
{
        Held held = { .from = from, .header = *h, .body = malloc(len ? len : 1), .len = len };

        if (held.body)
                memcpy(held.body, body, len);
        if (!held.body || e->held_bytes + len > HELD_MAX || VEC_PUSH(&e->held, held) < 0) {
                free(held.body);
                engine_receive_failed(e, -ENOMEM);
                return;
        }
        e->held_bytes += len;
}
