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
 * configuration that has a majority of daemons; with --sync full an answer of success is given after the change is in
 * the databases of this node and of so many others that every later quorate configuration has one of them, and nobody
 * sends changes in a term before so many nodes have stored that it began.
 */
#include "clusterfs/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "clusterfs/engine-parts.h"

#define CPG_GROUP "storaged-clusterfs-1"

static const char *const phase_names[] = { "local",
                                           "no corosync",
                                           "waiting for all members",
                                           "receiving the tree",
                                           "active",
                                           "left out: version too different" };

void change_list_init(ChangeList *l)
{
        l->first = NULL;
        l->last = &l->first;
}

void change_list_add(ChangeList *l, Change *c)
{
        c->next = NULL;
        *l->last = c;
        l->last = &c->next;
}

Change *change_list_take(ChangeList *l, Change **at)
{
        Change *c = *at;

        *at = c->next;
        if (!c->next)
                l->last = at;
        c->next = NULL;
        return c;
}

void change_finish(Change *c, int result)
{
        if (c->done)
                c->done(c->userdata, result, c->ino);
        strbuf_deinit(&c->body);
        free(c);
}

void change_list_fail(ChangeList *l, int error)
{
        while (l->first)
                change_finish(change_list_take(l, &l->first), error);
}

void engine_arm_retry(Engine *e, uint64_t usec)
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

uint16_t engine_wire(const Engine *e)
{
        return e->wire;
}

uint64_t engine_sequence(const Engine *e)
{
        return e->sequence;
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

void engine_tell_all_changed(Engine *e)
{
        if (e->events.changed)
                e->events.changed(e->events.userdata, NULL, e->tree->version.index, 0);
}

static int engine_start_cluster(Engine *e)
{
        const CorosyncEvents events = { .members = engine_on_members,
                                        .message = engine_on_message,
                                        .quorum = engine_on_quorum,
                                        .settled = engine_on_settled,
                                        .userdata = e };
        int r;

        e->phase = PHASE_DOWN;
        e->parts = frame_parts_new();
        e->outbox = outbox_new(engine_send_now, e);
        if (!e->parts || !e->outbox)
                return -ENOMEM;
        r = sd_event_add_time_relative(e->event, &e->verify, CLOCK_MONOTONIC, e->options.verify_usec, USEC_PER_SEC,
                                       engine_on_verify, e);
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
        change_list_init(&e->sent);
        change_list_init(&e->applied);
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
        r = sd_event_add_io(event, &e->db_io, db_fd(e->db), EPOLLIN, engine_on_db, e);
        if (r == 0)
                r = sd_event_add_time_relative(event, &e->watch, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC,
                                               engine_on_watch, e);
        if (r == 0)
                r = sd_event_add_time_relative(event, &e->retry, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, engine_on_retry, e);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(e->retry, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(e->watch, SD_EVENT_OFF);
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
        e->watch = sd_event_source_disable_unref(e->watch);
        e->db = db_free(e->db);
        change_list_fail(&e->sent, -EIO);
        change_list_fail(&e->applied, -EIO);
        e->donor = donor_free(e->donor);
        e->receiver = receiver_free(e->receiver);
        e->outbox = outbox_free(e->outbox);
        e->parts = frame_parts_free(e->parts);
        engine_forget_held(e);
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
