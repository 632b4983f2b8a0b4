/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From applied to answered: the database is written, confirmations are counted, and whoever waits gets an answer. A
 * change is answered with success only when it is stored here and confirmed by enough others, in the order applied.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "clusterfs/bytes.h"

#define STORE_LATER_USEC (20 * USEC_PER_MSEC)
#define RETRY_DB_USEC (200 * USEC_PER_MSEC)
#define ACK_PATIENCE_USEC (2 * USEC_PER_SEC)

/* So many nodes that every majority of all nodes has one of them; never more than take part now. */
static size_t acks_needed(const Engine *e)
{
        size_t members = 0, total = corosync_info(e->corosync)->nodes.n, need;

        for (size_t i = 0; i < e->peers.n; i++)
                members += e->peers.items[i].is_admitted;
        total = total > members ? total : members;
        need = total / 2 + 1;
        return need < members ? need : members;
}

static bool is_acked(const Engine *e, const Change *c)
{
        size_t have = 1;

        if (e->phase == PHASE_LOCAL || !e->options.is_full)
                return true;
        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].member.nodeid != engine_nodeid(e) && e->peers.items[i].is_admitted)
                        have += e->peers.items[i].acked >= c->index;
        if (have >= acks_needed(e))
                return true;
        if (now_usec() - c->applied_usec < ACK_PATIENCE_USEC)
                return false;
        /* Corosync has delivered it there; the peer itself does not react. It must not stop the others. */
        log_warning("a member does not confirm changes: going on without it");
        return true;
}

void engine_answer(Engine *e)
{
        while (e->applied.first) {
                Change *c = e->applied.first;

                if (c->ticket > e->committed)
                        return;
                if (!is_acked(e, c)) {
                        engine_arm_retry(e, ACK_PATIENCE_USEC);
                        return;
                }
                change_finish(change_list_take(&e->applied, &e->applied.first), 0);
        }
}

/* In local mode there is nobody else who has the change: the failed write has never been. */
static void reload_tree(Engine *e)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        History h = { 0 };
        Tree *t = NULL;

        db_discard(e->db);
        if (db_load(e->db, &t, &h, &err) < 0) {
                log_error("can't go back to what is stored: %s", err.text);
                return;
        }
        t->generation = e->tree->generation + 1;
        t->max_bytes = e->tree->max_bytes;
        t->sink = &e->sink;
        (void) tree_free(e->tree);
        history_deinit(&e->history);
        e->tree = t;
        e->history = h;
        engine_tell_all_changed(e);
}

static void db_failed(Engine *e, uint64_t ticket, int error)
{
        log_error("can't write the database in %s: %s; changes are refused until it works again", e->state_dir,
                  strerror(-error));
        for (Change **at = &e->applied.first; *at;)
                if ((*at)->ticket <= ticket || e->phase == PHASE_LOCAL)
                        change_finish(change_list_take(&e->applied, at), error);
                else
                        at = &(*at)->next;
        if (e->phase == PHASE_LOCAL)
                reload_tree(e);
        engine_arm_retry(e, RETRY_DB_USEC);
}

/* False: no batch has ended. */
static bool collect_db(Engine *e)
{
        uint64_t ticket = 0;
        int before = db_error(e->db), r = db_finish(e->db, &ticket);

        if (r == -EAGAIN && ticket == 0)
                return false;
        if (r < 0) {
                db_failed(e, ticket, r);
        } else {
                if (before < 0)
                        log_info("the database is written again");
                e->committed = ticket;
        }
        return true;
}

/*
 * Changes that nobody on this node waits for are stored a moment later, with others: should this node die before, it
 * gets them from those who have them. After a failure the timer tries again, not every change.
 */
static void flush_db(Engine *e)
{
        do {
                if (db_error(e->db) < 0 && e->phase != PHASE_LOCAL)
                        return;
                if (e->applied.first)
                        db_flush(e->db);
                else if (db_n_pending(e->db) > 0)
                        engine_arm_retry(e, STORE_LATER_USEC);
        } while (collect_db(e)); /* one that has ended makes room for the next */
}

int engine_on_db(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Engine *e = userdata;

        (void) s, (void) fd, (void) revents;
        if (collect_db(e))
                flush_db(e);
        engine_answer(e);
        return 0;
}

void engine_settle(Engine *e)
{
        if (e->state_dirty) {
                db_state(e->db, e->tree->version.index, &e->history);
                e->state_dirty = false;
        }
        flush_db(e);
        if (e->ack_owed && e->phase == PHASE_ACTIVE) {
                StrBuf b = STRBUF_INIT;

                put_u64(&b, e->tree->version.index);
                (void) engine_send(e, FRAME_ACK, 0, 0, &b, false);
        }
        e->ack_owed = false;
        engine_answer(e);
        engine_pump(e);
}

static int put_all(void *userdata, Node *n)
{
        db_put(((Engine *) userdata)->db, n, true);
        return 0;
}

/* What failed is written again; when it has become more than the whole tree, the tree instead. */
static void retry_db(Engine *e)
{
        if (db_n_pending(e->db) > 1000 + 2 * e->tree->n_nodes) {
                db_discard(e->db);
                db_wipe(e->db);
                (void) tree_walk(e->tree, put_all, e);
                db_clear_history(e->db);
                for (size_t i = 0; i < e->history.terms.n; i++)
                        db_term(e->db, e->history.terms.items[i]);
        }
        db_state(e->db, e->tree->version.index, &e->history);
}

int engine_on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        Engine *e = userdata;

        (void) s, (void) usec;
        if (db_error(e->db) < 0)
                retry_db(e);
        db_flush(e->db);
        if (collect_db(e))
                flush_db(e);
        engine_answer(e);
        engine_pump(e);
        return 0;
}
