/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated state machine.
 *
 * A change goes: submit → (outbox → Corosync, in one order with all others →) apply → database → answer. In local mode
 * the part in brackets is left out. A change is applied by those who are ACTIVE in the term it was sent in, or by none.
 *
 * A new configuration (members came or went) makes everybody WAIT: each sends its STATE once it knows the quorum that
 * belongs to this configuration. When the states of all members are there, all of them quorate, that message is the
 * point of sync: everybody comes to the same decision, a new term begins, those who have the right tree are ACTIVE at
 * once, others RECEIVE it, keeping changes for later, and are ACTIVE then. Changes that were under way belong to the
 * old term; nobody applies them; their senders send them again.
 *
 * The invariants: two ACTIVE nodes that applied the same index hold the same tree; a term begins only in a quorate
 * configuration; an answer of success is given after the change is in this node's database and, with --sync full, has
 * been applied by so many nodes that every later quorate configuration has one of them.
 */
#include "clusterfs/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "clusterfs/bytes.h"
#include "clusterfs/conflicts.h"
#include "clusterfs/frame.h"
#include "clusterfs/outbox.h"
#include "clusterfs/resync.h"
#include "clusterfs/sync.h"

#define CPG_GROUP "storaged-clusterfs-1"
#define RETRY_SEND_USEC (2 * USEC_PER_MSEC)
#define STORE_LATER_USEC (20 * USEC_PER_MSEC)
#define RETRY_DB_USEC (200 * USEC_PER_MSEC)
#define ACK_PATIENCE_USEC (2 * USEC_PER_SEC)
#define VERIFY_USEC (3600 * USEC_PER_SEC)
#define HELD_MAX (64u << 20)

enum phase { PHASE_LOCAL, PHASE_DOWN, PHASE_WAIT, PHASE_RECEIVE, PHASE_ACTIVE, PHASE_EXCLUDED };

static const char *const phase_names[] = { "local",
                                           "no corosync",
                                           "waiting for all members",
                                           "receiving the tree",
                                           "active",
                                           "left out: version too different" };

/* A change of our own: from submit to its answer. */
typedef struct Change Change;

struct Change {
        Change *next;
        StrBuf body; /* kept until it has been applied, to be sent again in a new term */
        uint64_t sequence;
        engine_done_fn done;
        void *userdata;
        uint64_t ino, index, ticket, applied_usec;
};

typedef struct ChangeList {
        Change *first, **last;
} ChangeList;

/* A change that came while the tree is being received. */
typedef struct Held {
        Member from;
        FrameHeader header;
        uint8_t *body;
        size_t len;
} Held;

typedef struct Peer {
        Member member;
        bool has_state, is_admitted;
        MemberState state;
        uint64_t acked;
} Peer;

struct Engine {
        sd_event *event;
        EngineOptions options;
        EngineEvents events;
        char *state_dir, *node;
        Tree *tree;
        History history;
        Db *db;
        Corosync *corosync;
        Outbox *outbox;
        FrameParts *parts;
        enum phase phase;
        VEC(Peer) peers;
        Term term;
        uint16_t wire;
        uint64_t sequence;
        bool is_quorate, state_dirty, ack_owed;
        ChangeList sent, applied; /* sent: not yet delivered; applied: not yet answered */
        Donor *donor;
        Receiver *receiver;
        VEC(Held) held;
        size_t held_bytes;
        ClusterLog log;
        TreeSink sink;
        uint32_t current_writer;
        sd_event_source *db_io, *retry, *verify;
        uint8_t verify_sum[TREE_HASH_SIZE];
        uint64_t verify_index;
        uint64_t committed; /* ticket */
};

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata);
static void pump(Engine *e);
static void become_active(Engine *e);

/* --- small things --------------------------------------------------------------------------------------- */

static void list_init(ChangeList *l)
{
        l->first = NULL;
        l->last = &l->first;
}

static void list_add(ChangeList *l, Change *c)
{
        c->next = NULL;
        *l->last = c;
        l->last = &c->next;
}

static Change *list_take(ChangeList *l, Change **at)
{
        Change *c = *at;

        *at = c->next;
        if (!c->next)
                l->last = at;
        c->next = NULL;
        return c;
}

static void change_finish(Change *c, int result)
{
        if (c->done)
                c->done(c->userdata, result, c->ino);
        strbuf_deinit(&c->body);
        free(c);
}

static void list_fail(ChangeList *l, int error)
{
        while (l->first)
                change_finish(list_take(l, &l->first), error);
}

static void arm_retry(Engine *e, uint64_t usec)
{
        int enabled = 0;
        uint64_t at = 0;

        if (sd_event_source_get_enabled(e->retry, &enabled) >= 0 && enabled != SD_EVENT_OFF &&
            sd_event_source_get_time(e->retry, &at) >= 0 && at <= now_usec() + usec)
                return;
        (void) sd_event_source_set_time_relative(e->retry, usec);
        (void) sd_event_source_set_enabled(e->retry, SD_EVENT_ONESHOT);
}

const Tree *engine_tree(const Engine *e)
{
        return e->tree;
}

bool engine_is_idle(const Engine *e)
{
        return !e->sent.first && !e->applied.first && db_is_idle(e->db);
}

bool engine_is_local(const Engine *e)
{
        return e->phase == PHASE_LOCAL;
}

bool engine_is_quorate(const Engine *e)
{
        return e->phase == PHASE_LOCAL || (e->is_quorate && e->phase != PHASE_EXCLUDED && e->phase != PHASE_DOWN);
}

/* In a cluster a change that could not be stored here would still be made on the other nodes: refuse it before. */
int engine_can_write(const Engine *e)
{
        if (e->phase == PHASE_LOCAL)
                return 0;
        return engine_is_quorate(e) ? db_error(e->db) : -EACCES;
}

uint32_t engine_nodeid(const Engine *e)
{
        return e->corosync ? corosync_info(e->corosync)->nodeid : 0;
}

const ClusterInfo *engine_info(const Engine *e)
{
        return e->corosync ? corosync_info(e->corosync) : NULL;
}

const ClusterLog *engine_clusterlog(const Engine *e)
{
        return &e->log;
}

void engine_describe(const Engine *e, StrBuf *b)
{
        strbuf_addf(b, "%s, %s, term %llu index %llu, %llu objects, %llu bytes, database %s", phase_names[e->phase],
                    engine_is_quorate(e) ? "quorate" : "not quorate", (unsigned long long) e->term.term,
                    (unsigned long long) e->tree->version.index, (unsigned long long) e->tree->n_nodes,
                    (unsigned long long) e->tree->bytes, db_error(e->db) ? strerror(-db_error(e->db)) : "ok");
}

/* --- what the tree tells -------------------------------------------------------------------------------- */

static void sink_put(void *userdata, const Node *n, bool content)
{
        Engine *e = userdata;

        db_put(e->db, n, content);
}

static void sink_drop(void *userdata, const Node *n)
{
        Engine *e = userdata;
        AUTO(freep) char *path = node_is_lock(n) ? NULL : node_path(n);

        db_drop(e->db, n);
        if (path)
                db_removed(e->db, path, e->tree->version);
}

static void sink_changed(void *userdata, const Node *n)
{
        Engine *e = userdata;
        AUTO(freep) char *path = node_path(n);

        if (path && e->events.changed)
                e->events.changed(e->events.userdata, path, e->tree->version.index, e->current_writer);
}

static void tell_all_changed(Engine *e)
{
        if (e->events.changed)
                e->events.changed(e->events.userdata, NULL, e->tree->version.index, 0);
}

/* --- sending -------------------------------------------------------------------------------------------- */

static int send_now(void *userdata, const void *header, size_t header_len, const void *data, size_t len)
{
        Engine *e = userdata;

        return corosync_send(e->corosync, header, header_len, data, len);
}

static int send_frame(Engine *e, uint16_t type, uint32_t flags, uint64_t sequence, StrBuf *body, bool bulk)
{
        FrameHeader h = { .version = e->wire,
                          .min_version = e->options.wire_min,
                          .type = type,
                          .flags = flags,
                          .sender = engine_nodeid(e),
                          .sequence = sequence ? sequence : ++e->sequence };

        if (type == FRAME_STATE) {
                h.version = e->options.wire_max;
                h.min_version = 1;
        } else {
                h.term = e->term.term;
                h.nonce = e->term.nonce;
                /* A body may grow at its end: a peer of a later version says something more there. */
                if (e->wire > FRAME_VERSION && body->len < FRAME_PIECE_MAX - 8)
                        put_u64(body, UINT64_C(0x6f6d657468696e67));
        }
        return outbox_add(e->outbox, &h, body, bulk);
}

static void send_change(Engine *e, Change *c)
{
        StrBuf copy = STRBUF_INIT;

        c->sequence = ++e->sequence;
        strbuf_add(&copy, c->body.data, c->body.len);
        if (send_frame(e, FRAME_CHANGE, e->options.is_full ? FRAME_FLAG_ACK : 0, c->sequence, &copy, false) < 0)
                log_error("out of memory: a change waits for the next configuration");
}

static void send_state(Engine *e)
{
        MemberState s = { .wire_max = e->options.wire_max,
                          .wire_min = e->options.wire_min,
                          .is_quorate = corosync_is_quorate(e->corosync),
                          .is_local = e->history.is_local,
                          .last = history_last(&e->history),
                          .quorate_index = e->history.quorate_index,
                          .index = e->tree->version.index,
                          .max_bytes = e->options.max_bytes };
        StrBuf b = STRBUF_INIT;

        if (e->phase != PHASE_WAIT || !corosync_quorum_is_current(e->corosync))
                return;
        corosync_ring(e->corosync, &s.ring_node, &s.ring_seq);
        if (getrandom(&s.random, sizeof(s.random), 0) < 0 || tree_checksum(e->tree, s.checksum) < 0)
                return;
        member_state_encode(&b, &s);
        (void) send_frame(e, FRAME_STATE, 0, 0, &b, false);
}

static void pump(Engine *e)
{
        int r;

        if (!e->outbox || !corosync_is_joined(e->corosync))
                return;
        while (e->donor && outbox_lane_is_empty(e->outbox, LANE_BULK)) {
                StrBuf b = STRBUF_INIT;

                r = donor_next(e->donor, &b);
                if (r > 0)
                        r = send_frame(e, FRAME_DATA, 0, 0, &b, true) < 0 ? -ENOMEM : 1;
                strbuf_deinit(&b);
                if (r <= 0)
                        break;
        }
        if (e->donor && donor_is_done(e->donor))
                e->donor = donor_free(e->donor);
        r = outbox_pump(e->outbox);
        if (r == -EAGAIN)
                arm_retry(e, RETRY_SEND_USEC);
}

/* --- answering ------------------------------------------------------------------------------------------ */

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

static void answer_applied(Engine *e)
{
        while (e->applied.first) {
                Change *c = e->applied.first;

                if (c->ticket > e->committed)
                        return;
                if (!is_acked(e, c)) {
                        arm_retry(e, ACK_PATIENCE_USEC);
                        return;
                }
                change_finish(list_take(&e->applied, &e->applied.first), 0);
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
        tell_all_changed(e);
}

static void db_failed(Engine *e, uint64_t ticket, int error)
{
        log_error("can't write the database in %s: %s; changes are refused until it works again", e->state_dir,
                  strerror(-error));
        for (Change **at = &e->applied.first; *at;)
                if ((*at)->ticket <= ticket || e->phase == PHASE_LOCAL)
                        change_finish(list_take(&e->applied, at), error);
                else
                        at = &(*at)->next;
        if (e->phase == PHASE_LOCAL)
                reload_tree(e);
        arm_retry(e, RETRY_DB_USEC);
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
                        arm_retry(e, STORE_LATER_USEC);
        } while (collect_db(e)); /* one that has ended makes room for the next */
}

static int on_db(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Engine *e = userdata;

        (void) s, (void) fd, (void) revents;
        if (collect_db(e))
                flush_db(e);
        answer_applied(e);
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
                (void) send_frame(e, FRAME_ACK, 0, 0, &b, false);
        }
        e->ack_owed = false;
        answer_applied(e);
        pump(e);
}

/* --- applying ------------------------------------------------------------------------------------------- */

/* Gives the result, and the ticket that makes it durable. */
static int apply(Engine *e, const Op *op, Change *own)
{
        uint64_t before = e->tree->version.index, ino = 0;
        uint64_t term = e->phase == PHASE_LOCAL ? (history_last(&e->history).term | TREE_TERM_LOCAL) : e->term.term;
        int r;

        e->tree->now_usec = now_usec();
        e->current_writer = op->writer;
        r = tree_apply(e->tree, op, term, &ino);
        if (e->tree->version.index != before) {
                if (e->phase == PHASE_LOCAL)
                        e->history.is_local = true;
                else
                        e->history.quorate_index = e->tree->version.index;
                e->state_dirty = true;
        }
        if (own) {
                own->ino = ino;
                own->index = e->tree->version.index;
                own->ticket = own->index != before ? db_ticket(e->db) : 0; /* nothing to store: nothing to wait for */
                own->applied_usec = e->tree->now_usec;
        }
        return r;
}

static void finish_own(Engine *e, Change *c, int result)
{
        strbuf_deinit(&c->body);
        if (result < 0)
                change_finish(c, result);
        else
                list_add(&e->applied, c);
}

static Change *take_sent(Engine *e, uint64_t sequence)
{
        for (Change **at = &e->sent.first; *at; at = &(*at)->next)
                if ((*at)->sequence == sequence)
                        return list_take(&e->sent, at);
        return NULL;
}

static void deliver_change(Engine *e, Member from, const FrameHeader *h, const uint8_t *body, size_t len)
{
        bool is_own = from.nodeid == engine_nodeid(e);
        Change *own = is_own ? take_sent(e, h->sequence) : NULL;
        Op op;
        int r = op_decode(body, len, &op);

        (void) fault_point("clusterfs.deliver.change");
        if (r == 0) {
                op.writer = from.nodeid;
                r = apply(e, &op, own);
        } else {
                log_error("node %u sent a change that can't be understood", from.nodeid);
        }
        if (own)
                finish_own(e, own, r);
        if (!is_own && (h->flags & FRAME_FLAG_ACK))
                e->ack_owed = true;
}

void engine_submit(Engine *e, const Op *op, engine_done_fn done, void *userdata)
{
        Change *c = calloc(1, sizeof(*c));
        int r = engine_can_write(e);

        if (!c) {
                if (done)
                        done(userdata, -ENOMEM, 0);
                return;
        }
        c->done = done;
        c->userdata = userdata;
        if (r < 0) {
                change_finish(c, r);
                return;
        }
        if (e->phase == PHASE_LOCAL) {
                finish_own(e, c, apply(e, op, c));
                return;
        }
        op_encode(&c->body, op);
        if (strbuf_error(&c->body) < 0) {
                change_finish(c, -ENOMEM);
                return;
        }
        list_add(&e->sent, c);
        if (e->phase == PHASE_ACTIVE)
                send_change(e, c);
}

/* --- locks and log -------------------------------------------------------------------------------------- */

static bool lock_is_expired(const Engine *e, const Node *n)
{
        return now_usec() - n->seen_usec > e->options.lock_usec;
}

static void drop_lock(Engine *e, const Node *n)
{
        Op op = { .type = OP_LOCK_DROP,
                  .ino = n->ino,
                  .term = n->version.term,
                  .index = n->version.index,
                  .writer = engine_nodeid(e),
                  .mtime = (int64_t) clock_usec(CLOCK_REALTIME) * 1000 };

        engine_submit(e, &op, NULL, NULL);
}

int engine_ask_lock(Engine *e, uint64_t ino)
{
        const Node *n = tree_find(e->tree, ino);
        StrBuf b = STRBUF_INIT;
        bool expired;

        if (!n || !node_is_lock(n))
                return -ENOENT;
        expired = lock_is_expired(e, n);
        if (engine_can_write(e) < 0)
                return -EACCES;
        if (e->phase == PHASE_LOCAL) {
                if (expired)
                        drop_lock(e, n);
                return expired ? 0 : -EACCES;
        }
        put_u64(&b, n->ino);
        put_u64(&b, n->version.term);
        put_u64(&b, n->version.index);
        if (e->phase != PHASE_ACTIVE || send_frame(e, FRAME_LOCK_ASK, 0, 0, &b, false) < 0)
                strbuf_deinit(&b);
        return expired ? 0 : -EACCES;
}

/* One clock decides: that of the member with the lowest node id. */
static void deliver_lock_ask(Engine *e, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t ino = reader_u64(&r), term = reader_u64(&r), index = reader_u64(&r);
        const Node *n = tree_find(e->tree, ino);

        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid < engine_nodeid(e))
                        return;
        if (r.bad || !n || !node_is_lock(n) || n->version.term != term || n->version.index != index)
                return;
        if (lock_is_expired(e, n))
                drop_lock(e, n);
}

void engine_log_entry(Engine *e, const LogEntry *entry)
{
        LogEntry copy = *entry;
        StrBuf b = STRBUF_INIT;

        (void) snprintf(copy.node, sizeof(copy.node), "%s", e->node);
        copy.time = clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        (void) clusterlog_add(&e->log, &copy);
        if (e->phase == PHASE_LOCAL || e->phase == PHASE_DOWN)
                return;
        clusterlog_encode(&b, &copy);
        (void) send_frame(e, FRAME_LOG, 0, 0, &b, false);
}

void engine_log(Engine *e, int priority, const char *tag, const char *fmt, ...)
{
        LogEntry entry = { .priority = (uint8_t) priority, .pid = (uint32_t) getpid() };
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(entry.message, sizeof(entry.message), fmt, ap);
        va_end(ap);
        (void) snprintf(entry.tag, sizeof(entry.tag), "%s", tag);
        (void) snprintf(entry.user, sizeof(entry.user), "root@pam");
        log_full(priority, 0, NULL, "%s", entry.message);
        engine_log_entry(e, &entry);
}

static void deliver_log(Engine *e, Member from, const uint8_t *body, size_t len)
{
        LogEntry entry;

        if (from.nodeid != engine_nodeid(e) && clusterlog_decode(body, len, &entry) == 0)
                (void) clusterlog_add(&e->log, &entry);
}

/* --- comparing trees now and then ----------------------------------------------------------------------- */

static void deliver_verify(Engine *e)
{
        StrBuf b = STRBUF_INIT;

        if (tree_checksum(e->tree, e->verify_sum) < 0)
                return;
        e->verify_index = e->tree->version.index;
        put_u64(&b, e->verify_index);
        strbuf_add(&b, e->verify_sum, TREE_HASH_SIZE);
        (void) send_frame(e, FRAME_CHECKSUM, 0, 0, &b, false);
}

/* The sum of the first member counts: who differs comes in anew and takes the tree of the others. */
static void deliver_checksum(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t index = reader_u64(&r);
        const uint8_t *sum = reader_take(&r, TREE_HASH_SIZE);

        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid < from.nodeid)
                        return;
        if (!sum || (index == e->verify_index && memcmp(sum, e->verify_sum, TREE_HASH_SIZE) == 0))
                return;
        engine_log(e, LOG_ERR, "clusterfs",
                   "tree of node %s differs from that of node id %u at index %llu: taking it anew", e->node,
                   from.nodeid, (unsigned long long) index);
        corosync_restart(e->corosync);
}

static int on_verify(sd_event_source *s, uint64_t usec, void *userdata)
{
        Engine *e = userdata;
        StrBuf b = STRBUF_INIT;
        bool first = e->phase == PHASE_ACTIVE;

        (void) usec;
        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid < engine_nodeid(e))
                        first = false;
        if (first) {
                put_u64(&b, e->tree->version.index);
                (void) send_frame(e, FRAME_VERIFY, 0, 0, &b, false);
                pump(e);
        }
        (void) sd_event_source_set_time_relative(s, VERIFY_USEC);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}

/* --- configurations ------------------------------------------------------------------------------------- */

static Peer *find_peer(Engine *e, Member m)
{
        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].member.nodeid == m.nodeid && e->peers.items[i].member.pid == m.pid)
                        return &e->peers.items[i];
        return NULL;
}

static void forget_held(Engine *e)
{
        for (size_t i = 0; i < e->held.n; i++)
                free(e->held.items[i].body);
        e->held.n = 0;
        e->held_bytes = 0;
}

static void lost_quorum(Engine *e)
{
        list_fail(&e->sent, -EACCES);
        /* Applied here, but not known to be with the majority: if it is not, it is kept as a conflict later. */
        if (e->options.is_full)
                list_fail(&e->applied, -EACCES);
}

static void on_members(void *userdata, const Member *members, size_t n)
{
        Engine *e = userdata;

        outbox_clear(e->outbox);
        (void) frame_parts_free(e->parts);
        e->parts = frame_parts_new();
        e->donor = donor_free(e->donor);
        e->receiver = receiver_free(e->receiver);
        forget_held(e);
        e->peers.n = 0;
        for (size_t i = 0; i < n; i++)
                (void) VEC_PUSH(&e->peers, ((Peer){ .member = members[i] }));
        e->phase = n ? PHASE_WAIT : PHASE_DOWN;
        if (n == 0) {
                e->is_quorate = false;
                lost_quorum(e);
        }
        log_info("configuration of %zu members", n);
        send_state(e);
        if (e->events.membership)
                e->events.membership(e->events.userdata);
}

static void on_quorum(void *userdata, bool is_quorate)
{
        Engine *e = userdata;
        bool was = e->is_quorate;

        e->is_quorate = is_quorate;
        if (was != is_quorate)
                log_info("%s", is_quorate ? "quorum is there" : "quorum is lost: read-only");
        if (!is_quorate)
                lost_quorum(e);
        send_state(e);
        if (e->events.membership)
                e->events.membership(e->events.userdata);
}

/* The leader's changes of local mode become part of the history that begins here, on all nodes alike. */
static int adopt_local(void *userdata, Node *n)
{
        Engine *e = userdata;

        if (n->version.term & TREE_TERM_LOCAL) {
                n->version.term = e->term.term;
                db_put(e->db, n, false);
        }
        return 0;
}

static int emit_index(void *userdata, StrBuf *body)
{
        return send_frame(userdata, FRAME_INDEX, 0, 0, body, true);
}

static void begin_term(Engine *e, const SyncDecision *d, size_t n_behind)
{
        if (d->leader_is_local || e->history.is_local)
                (void) tree_walk(e->tree, adopt_local, e);
        e->history.is_local = false;
        e->history.quorate_index = e->tree->version.index;
        e->tree->version.term = e->term.term;
        if (history_add(&e->history, e->term) < 0)
                log_error("out of memory: the history is incomplete");
        db_term(e->db, e->term);
        e->state_dirty = true;
        if (d->leader == engine_nodeid(e) && n_behind > 0) {
                log_info("handing the tree to %zu members", n_behind);
                if (donor_new(e->tree, &e->history, n_behind, emit_index, e, &e->donor) < 0)
                        log_error("out of memory: can't hand the tree over");
        }
        become_active(e);
}

static void begin_receive(Engine *e, const SyncDecision *d)
{
        Version v = { .term = d->term.term, .index = d->term.start };

        log_info("taking the tree of node id %u (index %llu)", d->leader, (unsigned long long) d->term.start);
        e->phase = PHASE_RECEIVE;
        if (receiver_new(e->tree, v, &e->receiver) < 0) {
                log_error("out of memory: can't take the tree of the others");
                corosync_restart(e->corosync);
        }
}

/* All states are there: the same decision on every member, at the same place of the order. */
static void sync_point(Engine *e)
{
        AUTO(freep) MemberState *states = calloc(e->peers.n, sizeof(MemberState));
        size_t self = 0, n_behind = 0;
        SyncDecision d;

        if (!states)
                return;
        for (size_t i = 0; i < e->peers.n; i++) {
                states[i] = e->peers.items[i].state;
                if (states[i].nodeid == engine_nodeid(e))
                        self = i;
        }
        sync_decide(states, e->peers.n, &d);
        e->term = d.term;
        e->wire = d.wire;
        e->tree->max_bytes = d.max_bytes;
        for (size_t i = 0; i < e->peers.n; i++) {
                e->peers.items[i].is_admitted = d.admitted[i];
                e->peers.items[i].acked = 0;
                n_behind += d.admitted[i] && !d.in_sync[i];
        }
        if (!d.admitted[self]) {
                e->phase = PHASE_EXCLUDED;
                list_fail(&e->sent, -EACCES);
                log_error("the members speak wire version %u, this node speaks %u to %u: read-only until it is updated "
                          "(or they are)",
                          d.wire, e->options.wire_min, e->options.wire_max);
                return;
        }
        if (d.in_sync[self])
                begin_term(e, &d, n_behind);
        else
                begin_receive(e, &d);
}

static void become_active(Engine *e)
{
        e->phase = PHASE_ACTIVE;
        corosync_is_well(e->corosync);
        log_info("active in term %llu from index %llu", (unsigned long long) e->term.term,
                 (unsigned long long) e->tree->version.index);
        for (Change *c = e->sent.first; c; c = c->next)
                send_change(e, c);
        if (e->options.wire_max > FRAME_VERSION) {
                StrBuf b = STRBUF_INIT;

                strbuf_adds(&b, "of a kind that version 1 does not know");
                (void) send_frame(e, 999, 0, 0, &b, false);
        }
        /* Who waits for our confirmation of what we received may have asked before we could. */
        e->ack_owed = true;
        if (e->events.membership)
                e->events.membership(e->events.userdata);
}

static void deliver_state(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Peer *p = find_peer(e, from);
        uint32_t ring_node;
        uint64_t ring_seq;
        MemberState s;

        if (e->phase != PHASE_WAIT || !p || e->peers.n > SYNC_MEMBERS_MAX || member_state_decode(body, len, &s) < 0)
                return;
        corosync_ring(e->corosync, &ring_node, &ring_seq);
        if (s.ring_node != ring_node || s.ring_seq != ring_seq)
                return;
        s.nodeid = from.nodeid;
        s.pid = from.pid;
        p->state = s;
        p->has_state = true;
        for (size_t i = 0; i < e->peers.n; i++)
                if (!e->peers.items[i].has_state || !e->peers.items[i].state.is_quorate)
                        return;
        sync_point(e);
}

/* --- receiving the tree --------------------------------------------------------------------------------- */

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

static void keep_conflicts(Engine *e, const Tree *new, const History *history)
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
}

static void take_tree(Engine *e)
{
        AUTO(tree_freep) Tree *old = NULL;
        AUTO(tree_freep) Tree *new = NULL;
        History history = { 0 };
        void *args[2] = { e, NULL };

        new = receiver_take(e->receiver, &history);
        keep_conflicts(e, new, &history);
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
        /* Numbers of objects in changes not yet delivered were those of the old tree. */
        list_fail(&e->sent, -ESTALE);
        tell_all_changed(e);
}

static void finish_receive(Engine *e)
{
        VEC(Held) held = { e->held.items, e->held.n, e->held.size };

        take_tree(e);
        e->held.items = NULL;
        e->held.n = e->held.size = 0;
        e->held_bytes = 0;
        become_active(e);
        for (size_t i = 0; i < held.n; i++) {
                deliver_change(e, held.items[i].from, &held.items[i].header, held.items[i].body, held.items[i].len);
                free(held.items[i].body);
        }
        VEC_DEINIT(&held);
}

static void receive_failed(Engine *e, int error)
{
        log_error("the tree of the others can't be taken (%s): once more", strerror(-error));
        e->phase = PHASE_DOWN;
        corosync_restart(e->corosync);
}

static void deliver_index(Engine *e, const uint8_t *body, size_t len)
{
        int r = receiver_index(e->receiver, body, len);

        if (r > 0) {
                StrBuf b = STRBUF_INIT;

                receiver_need(e->receiver, &b);
                r = send_frame(e, FRAME_NEED, 0, 0, &b, true);
        }
        if (r < 0)
                receive_failed(e, r);
}

static void deliver_data(Engine *e, const uint8_t *body, size_t len)
{
        int r = receiver_data(e->receiver, engine_nodeid(e), body, len);

        if (r > 0)
                finish_receive(e);
        else if (r < 0)
                receive_failed(e, r);
}

static void hold_change(Engine *e, Member from, const FrameHeader *h, const uint8_t *body, size_t len)
{
        Held held = { .from = from, .header = *h, .body = malloc(len ? len : 1), .len = len };

        if (held.body)
                memcpy(held.body, body, len);
        if (!held.body || e->held_bytes + len > HELD_MAX || VEC_PUSH(&e->held, held) < 0) {
                free(held.body);
                receive_failed(e, -ENOMEM);
                return;
        }
        e->held_bytes += len;
}

/* --- messages ------------------------------------------------------------------------------------------- */

static void deliver_ack(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t index = reader_u64(&r);
        Peer *p = find_peer(e, from);

        if (p && !r.bad && index > p->acked)
                p->acked = index;
}

static void deliver_active(Engine *e, Member from, const FrameMessage *m)
{
        switch (m->header.type) {
        case FRAME_CHANGE:
                deliver_change(e, from, &m->header, m->body, m->len);
                break;
        case FRAME_ACK:
                deliver_ack(e, from, m->body, m->len);
                break;
        case FRAME_LOG:
                deliver_log(e, from, m->body, m->len);
                break;
        case FRAME_LOCK_ASK:
                deliver_lock_ask(e, m->body, m->len);
                break;
        case FRAME_VERIFY:
                deliver_verify(e);
                break;
        case FRAME_CHECKSUM:
                deliver_checksum(e, from, m->body, m->len);
                break;
        case FRAME_NEED:
                if (e->donor && donor_ask(e->donor, from.nodeid, m->body, m->len) < 0)
                        log_error("can't serve node id %u with the tree", from.nodeid);
                break;
        default: /* INDEX and DATA are for others; unknown ones of later versions */
                break;
        }
}

static void deliver_receiving(Engine *e, Member from, const FrameMessage *m)
{
        switch (m->header.type) {
        case FRAME_CHANGE:
                hold_change(e, from, &m->header, m->body, m->len);
                break;
        case FRAME_INDEX:
                deliver_index(e, m->body, m->len);
                break;
        case FRAME_DATA:
                deliver_data(e, m->body, m->len);
                break;
        case FRAME_LOG:
                deliver_log(e, from, m->body, m->len);
                break;
        case FRAME_ACK:
                deliver_ack(e, from, m->body, m->len);
                break;
        default:
                break;
        }
}

static void on_message(void *userdata, Member from, const void *data, size_t len)
{
        Engine *e = userdata;
        FrameMessage m = { 0 };
        FrameHeader h;
        const uint8_t *piece;

        if (frame_decode(data, len, &h, &piece) < 0) {
                log_warning("node id %u sent what is no frame of clusterfs", from.nodeid);
                return;
        }
        if (h.n_parts > 1 && find_peer(e, from) && from.nodeid == engine_nodeid(e))
                outbox_delivered(e->outbox);
        if (h.type == FRAME_STATE && frame_parts_feed(e->parts, from.nodeid, from.pid, data, len, &m) > 0)
                deliver_state(e, from, m.body, m.len);
        if (h.type != FRAME_STATE && h.min_version <= e->options.wire_max && h.term == e->term.term &&
            h.nonce == e->term.nonce && (e->phase == PHASE_ACTIVE || e->phase == PHASE_RECEIVE) &&
            frame_parts_feed(e->parts, from.nodeid, from.pid, data, len, &m) > 0) {
                if (e->phase == PHASE_ACTIVE)
                        deliver_active(e, from, &m);
                else
                        deliver_receiving(e, from, &m);
        }
        free(m.owned);
}

static void on_settled(void *userdata)
{
        engine_settle(userdata);
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

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        Engine *e = userdata;

        (void) s, (void) usec;
        if (db_error(e->db) < 0)
                retry_db(e);
        db_flush(e->db);
        if (collect_db(e))
                flush_db(e);
        answer_applied(e);
        pump(e);
        return 0;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static int engine_start_cluster(Engine *e)
{
        const CorosyncEvents events = {
                .members = on_members, .message = on_message, .quorum = on_quorum, .settled = on_settled, .userdata = e
        };
        int r;

        e->phase = PHASE_DOWN;
        e->parts = frame_parts_new();
        e->outbox = outbox_new(send_now, e);
        if (!e->parts || !e->outbox)
                return -ENOMEM;
        r = sd_event_add_time_relative(e->event, &e->verify, CLOCK_MONOTONIC, VERIFY_USEC, USEC_PER_SEC, on_verify, e);
        return r < 0 ? r : corosync_new(e->event, CPG_GROUP, &events, &e->corosync);
}

int engine_new(sd_event *event, const EngineOptions *options, const EngineEvents *events, Engine **ret,
               struct storaged_error *err)
{
        AUTO(engine_freep) Engine *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->event = sd_event_ref(event);
        e->options = *options;
        e->events = *events;
        e->phase = PHASE_LOCAL;
        e->wire = options->wire_min;
        e->state_dir = strdup(options->state_dir);
        e->node = strdup(options->node);
        list_init(&e->sent);
        list_init(&e->applied);
        e->sink = (TreeSink){ .put = sink_put, .drop = sink_drop, .changed = sink_changed, .userdata = e };
        if (!e->state_dir || !e->node)
                return -ENOMEM;
        r = db_open(e->state_dir, options->is_full, &e->db, err);
        if (r == 0)
                r = db_load(e->db, &e->tree, &e->history, err);
        if (r < 0)
                return r;
        e->tree->sink = &e->sink;
        e->tree->max_bytes = options->max_bytes;
        e->tree->generation = 1;
        r = sd_event_add_io(event, &e->db_io, db_fd(e->db), EPOLLIN, on_db, e);
        if (r == 0)
                r = sd_event_add_time_relative(event, &e->retry, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_retry, e);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(e->retry, SD_EVENT_OFF);
        if (!options->is_local)
                r = engine_start_cluster(e);
        if (r < 0)
                return r;
        *ret = TAKE(e);
        return 0;
}

Engine *engine_free(Engine *e)
{
        if (!e)
                return NULL;
        if (e->db && e->state_dirty)
                db_state(e->db, e->tree->version.index, &e->history);
        e->corosync = corosync_free(e->corosync);
        e->db_io = sd_event_source_disable_unref(e->db_io);
        e->retry = sd_event_source_disable_unref(e->retry);
        e->verify = sd_event_source_disable_unref(e->verify);
        e->db = db_free(e->db);
        list_fail(&e->sent, -EIO);
        list_fail(&e->applied, -EIO);
        e->donor = donor_free(e->donor);
        e->receiver = receiver_free(e->receiver);
        e->outbox = outbox_free(e->outbox);
        e->parts = frame_parts_free(e->parts);
        forget_held(e);
        VEC_DEINIT(&e->held);
        VEC_DEINIT(&e->peers);
        clusterlog_deinit(&e->log);
        history_deinit(&e->history);
        e->tree = tree_free(e->tree);
        free(e->state_dir);
        free(e->node);
        (void) sd_event_unref(e->event);
        free(e);
        return NULL;
}
