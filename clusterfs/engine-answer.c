/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From applied to answered: the database is written, confirmations are counted, and whoever waits gets an answer. A
 * change is answered with success only when it is stored here and confirmed by enough others, in the order applied.
 * With --sync normal, if there are others, that is when it is applied.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "clusterfs/bytes.h"

#define STORE_LATER_USEC (20 * USEC_PER_MSEC)
#define ACK_LATER_USEC (500 * USEC_PER_MSEC)
#define RETRY_DB_USEC (200 * USEC_PER_MSEC)
#define ACK_PATIENCE_USEC (3 * USEC_PER_SEC)

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

/* Everything up to this index is in this node's database. */
static uint64_t stored_index(const Engine *e)
{
        return db_is_idle(e->db) && db_error(e->db) == 0 && !e->state_dirty ? e->tree->version.index : e->stored_index;
}

/*
 * With --sync normal nobody waits for this node's database either, if there are other members: Corosync has ordered the
 * change and delivers it to them, also if this daemon dies now, and it gets it back from them.
 */
static bool waits_for_store(const Engine *e)
{
        if (e->options.is_full || e->phase != PHASE_ACTIVE)
                return true;
        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid != engine_nodeid(e))
                        return false;
        return true;
}

static bool is_confirmed(const Engine *e, uint64_t index)
{
        size_t have = 1, slow = 0, need = acks_needed(e);

        for (size_t i = 0; i < e->peers.n; i++) {
                const Peer *p = &e->peers.items[i];

                if (p->member.nodeid == engine_nodeid(e) || !p->is_admitted)
                        continue;
                have += p->acked >= index;
                slow += p->acked < index && p->is_slow;
        }
        return have >= (need > slow ? need - slow : 0);
}

/* Corosync has delivered it there, but the peer does not react. It must not stop the others. */
static void give_up_waiting(Engine *e, uint64_t index)
{
        for (size_t i = 0; i < e->peers.n; i++) {
                Peer *p = &e->peers.items[i];

                if (p->member.nodeid == engine_nodeid(e) || !p->is_admitted || p->acked >= index || p->is_slow)
                        continue;
                p->is_slow = true;
                log_warning("node id %u does not confirm changes: going on without it", p->member.nodeid);
        }
}

static bool is_acked(Engine *e, const Change *c)
{
        uint64_t since;

        if (e->phase == PHASE_LOCAL || !e->options.is_full)
                return true;
        if (e->phase != PHASE_ACTIVE) /* the next term tells, or the loss of quorum */
                return false;
        if (is_confirmed(e, c->index))
                return true;
        /* The peers could confirm only since this term began: the silence before it was the network's. */
        since = c->applied_usec > e->active_usec ? c->applied_usec : e->active_usec;
        if (now_usec() - since < ACK_PATIENCE_USEC)
                return false;
        give_up_waiting(e, c->index);
        return is_confirmed(e, c->index);
}

/*
 * With --sync full a term is used when so many have stored that it began that no later configuration can begin a term
 * of the same number without knowing of it: else two histories could be told apart by chance only. Everything that
 * waits is sent then.
 */
void engine_open(Engine *e)
{
        if (e->is_open || e->phase != PHASE_ACTIVE)
                return;
        if (e->options.is_full && (stored_index(e) < e->term.start || !is_confirmed(e, e->term.start))) {
                if (now_usec() - e->active_usec >= ACK_PATIENCE_USEC)
                        give_up_waiting(e, e->term.start);
                else
                        engine_arm_retry(e, ACK_PATIENCE_USEC);
                if (stored_index(e) < e->term.start || !is_confirmed(e, e->term.start))
                        return;
        }
        e->is_open = true;
        for (Change *c = e->sent.first; c; c = c->next)
                engine_send_change(e, c);
}

/* What is stored from now on is another term, or another tree. */
void engine_forget_stored(Engine *e)
{
        e->flushing_index = e->stored_index = e->confirmed_index = 0;
}

/* Nobody waits for it (--sync normal), but who is cut off later has to know what the others had: see engine-split.c. */
void engine_ack_later(Engine *e)
{
        if (e->ack_later_usec)
                return;
        e->ack_later_usec = now_usec() + ACK_LATER_USEC;
        engine_arm_retry(e, ACK_LATER_USEC);
}

/* Tells the others what is stored here, if they wait for it. */
static void confirm(Engine *e)
{
        uint64_t index = stored_index(e);
        StrBuf b = STRBUF_INIT;

        if (!e->ack_owed || e->phase != PHASE_ACTIVE)
                return;
        if (index > e->confirmed_index) {
                put_u64(&b, index);
                if (engine_send(e, FRAME_ACK, 0, 0, &b, false) < 0)
                        return;
                e->confirmed_index = index;
        }
        e->ack_owed = index < e->tree->version.index;
}

void engine_answer(Engine *e)
{
        while (e->applied.first) {
                Change *c = e->applied.first;

                if (c->ticket > e->committed && waits_for_store(e))
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
        if (!e->is_open && e->phase != PHASE_LOCAL)
                change_list_fail(&e->sent, error); /* they would wait for the term to be stored here */
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
                e->stored_index = e->flushing_index;
        }
        return true;
}

static void begin_batch(Engine *e)
{
        uint64_t ticket = db_ticket(e->db);

        db_flush(e->db);
        if (db_ticket(e->db) != ticket)
                e->flushing_index = e->tree->version.index;
}

/*
 * Changes that nobody waits for are stored a moment later, with others: should this node die before, it gets them from
 * those who have them. After a failure the timer tries again, not every change.
 */
static void flush_db(Engine *e)
{
        do {
                if (db_error(e->db) < 0 && e->phase != PHASE_LOCAL)
                        return;
                if ((e->applied.first && waits_for_store(e)) || e->ack_owed)
                        begin_batch(e);
                else if (db_n_pending(e->db) > 0)
                        engine_arm_retry(e, STORE_LATER_USEC);
        } while (collect_db(e)); /* one that has ended makes room for the next */
}

/* What may go on now that more is stored or confirmed. */
static void after_store(Engine *e)
{
        confirm(e);
        engine_open(e);
        engine_answer(e);
        engine_pump(e);
}

int engine_on_db(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Engine *e = userdata;

        (void) s, (void) fd, (void) revents;
        if (collect_db(e))
                flush_db(e);
        after_store(e);
        return 0;
}

void engine_settle(Engine *e)
{
        if (e->state_dirty) {
                db_state(e->db, e->tree->version.index, &e->history);
                e->state_dirty = false;
        }
        flush_db(e);
        after_store(e);
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
        uint64_t now = now_usec();

        (void) s, (void) usec;
        if (e->ack_later_usec > now) {
                engine_arm_retry(e, e->ack_later_usec - now);
        } else if (e->ack_later_usec) {
                e->ack_owed = true;
                e->ack_later_usec = 0;
        }
        if (db_error(e->db) < 0)
                retry_db(e);
        begin_batch(e);
        if (collect_db(e))
                flush_db(e);
        after_store(e);
        return 0;
}
