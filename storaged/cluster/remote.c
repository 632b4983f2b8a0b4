/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests under way to other nodes, and the question whether those nodes still live. A connection is made for each
 * request and not used again: the handshake, in which both daemons take part, bounds what a dead node costs. After it a
 * request may take as long as its work takes, so its silence says nothing: whoever has heard nothing for QUIET_USEC has
 * a ping sent, a request of its own that costs the other daemon nothing (GET /version). Any sign of life counts for all
 * who wait for that node; a ping without an answer ends them all. So a node that dies, freezes or is stopped at
 * whatever moment costs its callers QUIET_USEC + PING_USEC, and those who ask others nothing. When Corosync says that a
 * node is gone, its callers are told at once. Invariants: a callback is the last thing that touches its transfer; while
 * nobody waits there is no timer.
 */
#include "cluster/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cluster/message.h"
#include "cluster/transfer.h"

#define CONNECT_USEC (2500 * USEC_PER_MSEC)
#define QUIET_USEC (1 * USEC_PER_SEC)
#define PING_USEC (1900 * USEC_PER_MSEC)
#define TOTAL_USEC (900 * USEC_PER_SEC) /* not of streams */
#define TRANSFERS_MAX 256u
#define PING_TARGET "/api2/json/version"

struct Remote {
        sd_event *event;
        const Certs *certs;
        sd_event_source *timer, *given_up;
        TAILQ_HEAD(, Transfer) transfers;
        unsigned n_transfers;
};

/* --- ends */

static void transfer_leave(Transfer *t)
{
        Remote *r = t->owner;

        TAILQ_REMOVE(&r->transfers, t, entry);
        r->n_transfers--;
}

/* It ends on the next turn of the loop: whoever calls this walks over the list. */
static void transfer_sentence(Transfer *t, const struct storaged_error *why)
{
        Remote *r = t->owner;

        if (t->verdict.code != 0)
                return;
        t->verdict = *why;
        (void) sd_event_source_set_enabled(r->given_up, SD_EVENT_ON);
}

static void ping_end(Transfer *ping, const struct storaged_error *err)
{
        Remote *r = ping->owner;
        Transfer *t;

        TAILQ_FOREACH(t, &r->transfers, entry)
        {
                if (!t->is_agreed || !str_eq(t->node, ping->node))
                        continue;
                if (!err)
                        t->heard_usec = now_usec();
                else if (t->heard_usec <= ping->begun_usec)
                        transfer_sentence(t, err);
        }
}

static void remote_look(Remote *r);

static void on_ended(Transfer *t, const struct storaged_error *err)
{
        struct storaged_error copy = STORAGED_ERROR_INIT;
        Remote *r = t->owner;
        remote_fn fn = t->fn;
        void *userdata = t->userdata;
        StrBuf body = t->body;
        int status = t->answer.status;

        if (err)
                copy = *err;
        else
                message_fault(MESSAGE_ANSWERED, t->name);
        transfer_leave(t);
        if (t->is_ping)
                ping_end(t, err ? &copy : NULL);
        t->body = STRBUF_INIT;
        (void) transfer_free(t);
        remote_look(r);
        if (fn && err)
                fn(userdata, 0, NULL, 0, &copy);
        else if (fn)
                fn(userdata, status, body.data ? body.data : "", body.len, NULL);
        strbuf_deinit(&body);
}

static int on_given_up(sd_event_source *source, void *userdata)
{
        Remote *r = userdata;
        Transfer *t;

        TAILQ_FOREACH(t, &r->transfers, entry)
        if (t->verdict.code != 0) {
                struct storaged_error why = t->verdict;

                on_ended(t, &why);
                return 0; /* one a turn: the callback may have changed the list */
        }
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

void remote_give_up(Remote *r, const char *node)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        Transfer *t;

        (void) error_set(&why, -EHOSTDOWN,
                         "node '%s' left the cluster before it answered: what was asked of it may be done or not",
                         node);
        TAILQ_FOREACH(t, &r->transfers, entry)
        if (str_eq(t->node, node))
                transfer_sentence(t, &why);
}

/* --- does it live? */

static void transfer_time_out(Transfer *t)
{
        struct storaged_error why = STORAGED_ERROR_INIT;

        (void) error_set(&why, -ETIMEDOUT,
                         "node '%s' does not answer: does storaged run there, and can its port %u be reached?%s",
                         t->node, t->port, t->is_agreed ? " What was asked of it may be done or not" : "");
        transfer_sentence(t, &why);
}

/* Since its node was heard of last: a ping that began before says nothing about what came after that. */
static bool is_pinged(const Remote *r, const Transfer *for_whom)
{
        const Transfer *t;

        TAILQ_FOREACH(t, &r->transfers, entry)
        if (t->is_ping && str_eq(t->node, for_whom->node) && t->begun_usec >= for_whom->heard_usec)
                return true;
        return false;
}

static void remote_ping(Remote *r, const Transfer *for_whom)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const RemoteCall call = { .node = for_whom->node,
                                  .ip = for_whom->ip,
                                  .port = for_whom->port,
                                  .method = "GET",
                                  .target = PING_TARGET,
                                  .user_header = "Storaged-User",
                                  .user = "root@pam" };
        Transfer *t = NULL;

        if (transfer_new(&t, r->event, r->certs, &call, on_ended, &err) < 0)
                return; /* tried again with the next look */
        message_fault(MESSAGE_ASK, t->name);
        t->owner = r;
        t->is_ping = true;
        TAILQ_INSERT_TAIL(&r->transfers, t, entry);
        r->n_transfers++;
}

static bool is_stream(const Transfer *t)
{
        return t->body_fd >= 0 || t->sink_fd >= 0;
}

/* When something has to be done about it if nothing comes. */
static uint64_t transfer_deadline(const Remote *r, const Transfer *t)
{
        uint64_t quiet;

        if (t->is_ping)
                return t->begun_usec + PING_USEC;
        if (!t->is_agreed)
                return t->begun_usec + CONNECT_USEC;
        quiet = is_pinged(r, t) ? UINT64_MAX : t->heard_usec + QUIET_USEC;
        return is_stream(t) || quiet < t->begun_usec + TOTAL_USEC ? quiet : t->begun_usec + TOTAL_USEC;
}

static void transfer_due(Remote *r, Transfer *t, uint64_t now)
{
        if (t->is_ping || !t->is_agreed || (!is_stream(t) && now >= t->begun_usec + TOTAL_USEC))
                transfer_time_out(t);
        else
                remote_ping(r, t); /* goes to the end of the list */
}

/* Does what is due and sets the timer to what is next. */
static void remote_look(Remote *r)
{
        uint64_t now = now_usec(), next = UINT64_MAX;
        Transfer *t;

        TAILQ_FOREACH(t, &r->transfers, entry)
        {
                uint64_t deadline = transfer_deadline(r, t);

                if (t->verdict.code != 0)
                        continue;
                if (!t->is_agreed && next > now + QUIET_USEC)
                        next = now + QUIET_USEC; /* it may agree meanwhile, and be silent from then on */
                if (deadline <= now) {
                        transfer_due(r, t, now);
                        deadline = now + QUIET_USEC; /* should the ping not have begun */
                }
                if (deadline < next)
                        next = deadline;
        }
        if (next != UINT64_MAX)
                (void) sd_event_source_set_time(r->timer, next); /* can't fail for a live source */
        (void) sd_event_source_set_enabled(r->timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        remote_look(userdata);
        return 0;
}

/* --- a request */

void remote_set_certs(Remote *r, const Certs *certs)
{
        r->certs = certs;
}

int remote_call(Remote *r, const RemoteCall *call, remote_fn fn, void *userdata, struct storaged_error *err)
{
        Transfer *t = NULL;
        int n;

        if (r->n_transfers >= TRANSFERS_MAX)
                return error_set(err, -EAGAIN, "%u requests to other nodes are under way: try again", TRANSFERS_MAX);
        n = transfer_new(&t, r->event, r->certs, call, on_ended, err);
        if (n < 0)
                return n;
        message_fault(MESSAGE_ASK, t->name);
        t->owner = r;
        t->fn = fn;
        t->userdata = userdata;
        TAILQ_INSERT_TAIL(&r->transfers, t, entry);
        r->n_transfers++;
        remote_look(r);
        return 0;
}

/* --- birth and end */

int remote_new(Remote **ret, sd_event *event)
{
        AUTO(remote_freep) Remote *r = calloc(1, sizeof(*r));
        int n;

        if (!r)
                return -ENOMEM;
        TAILQ_INIT(&r->transfers);
        r->event = sd_event_ref(event);
        n = sd_event_add_time(event, &r->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC, on_timer, r);
        if (n >= 0)
                n = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (n >= 0)
                n = sd_event_add_defer(event, &r->given_up, on_given_up, r);
        if (n >= 0)
                n = sd_event_source_set_enabled(r->given_up, SD_EVENT_OFF);
        if (n < 0)
                return n;
        *ret = TAKE(r);
        return 0;
}

Remote *remote_free(Remote *r)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        Transfer *t;

        if (!r)
                return NULL;
        while ((t = TAILQ_FIRST(&r->transfers))) {
                (void) error_set(&why, -ECANCELED, "storaged stops before node '%s' has answered", t->node);
                t->is_ping = false; /* says nothing about its node */
                on_ended(t, &why);
        }
        (void) sd_event_source_disable_unref(r->timer);
        (void) sd_event_source_disable_unref(r->given_up);
        (void) sd_event_unref(r->event);
        free(r);
        return NULL;
}
