/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One step function looks at what there is and does what is missing: no cluster of several nodes and no --listen:
 * nothing; a usable certificate: tell the server; none: make one, under a lock that all nodes share, for two nodes that
 * start together must not make two authorities. It runs at the start, when members or quorum change, and once a day,
 * which is when a certificate that ends soon is replaced.
 */
#include "core/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/certs.h"
#include "cluster/lock.h"
#include "cluster/membership.h"
#include "cluster/message.h"
#include "cluster/remote.h"
#include "core/aside.h"
#include "core/proof.h"

#define LOCK_NAME "storaged-certificates"
#define LOCK_WAIT_USEC (60 * USEC_PER_SEC)
#define LOOK_USEC (24 * 60 * 60 * USEC_PER_SEC)
#define RETRY_USEC (60 * USEC_PER_SEC)

struct Links {
        Core *core;
        char *dir;    /* of the certificates */
        char *listen; /* NULL: on this node's own address, if there are others */
        unsigned port;
        Certs *certs;
        char *told_address; /* what the server was told last */
        Remote *remote;     /* made when first used: it costs memory */
        ClusterLock *lock;  /* waited for or held */
        bool is_working;    /* at the files */
        sd_event_source *timer;
        links_ready_fn fn;
        void *userdata;
};

static const Member *find_local(const Links *l, size_t *ret_n)
{
        const Member *members = membership_get_members(l->core->members, ret_n);

        for (size_t i = 0; i < *ret_n; i++)
                if (members[i].is_local)
                        return &members[i];
        return NULL;
}

/* NULL: there is nobody to listen to. */
static const char *links_address(const Links *l)
{
        size_t n = 0;
        const Member *self = find_local(l, &n);

        if (l->listen)
                return l->listen;
        return self && n > 1 && self->ip[0] ? self->ip : NULL;
}

static const char *links_name(const Links *l)
{
        size_t n = 0;
        const Member *self = find_local(l, &n);

        return self ? self->name : l->core->node;
}

static void links_look_after(Links *l, uint64_t usec)
{
        (void) sd_event_source_set_time(l->timer, now_usec() + usec);
        (void) sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

static void links_tell(Links *l, bool is_new)
{
        const char *address = links_address(l);
        LinkCerts certs;
        char *copy;

        if (!l->fn || !address || !l->certs || (!is_new && str_eq(address, l->told_address)))
                return;
        copy = strdup(address);
        if (!copy)
                return;
        free(l->told_address);
        l->told_address = copy;
        certs = (LinkCerts){ l->certs->ca, l->certs->cert, l->certs->key };
        l->fn(l->userdata, copy, l->port, &certs);
}

static void links_take(Links *l, Certs *next)
{
        bool is_new = !l->certs || !str_eq(next->cert, l->certs->cert) || !str_eq(next->ca, l->certs->ca);

        if (is_new) {
                if (l->remote)
                        remote_set_certs(l->remote, next);
                (void) certs_free(l->certs);
                l->certs = TAKE(next);
        }
        (void) certs_free(next);
        links_look_after(l, LOOK_USEC);
        links_tell(l, is_new);
}

/* --- what is done to the files, beside the loop */

typedef struct CertWork {
        Aside work;
        Links *links;
        char *dir, *name;
        Certs *found;
        Fence fence; /* of the lock, if it is held */
        int r;       /* 0, CERTS_E_MISSING, -errno */
        struct storaged_error err;
} CertWork;

static CertWork *cert_work_free(CertWork *w)
{
        if (!w)
                return NULL;
        (void) certs_free(w->found);
        fence_deinit(&w->fence);
        free(w->dir);
        free(w->name);
        free(w);
        return NULL;
}
DEFINE_CLEANUP(CertWork *, cert_work_free)

static int cert_work_begin(Links *l, void (*run)(Aside *work), void (*done)(Aside *work))
{
        AUTO(cert_work_freep) CertWork *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (CertWork){ .work = { .run = run, .done = done, .userdata = w },
                         .links = l,
                         .dir = strdup(l->dir),
                         .name = strdup(links_name(l)),
                         .err = STORAGED_ERROR_INIT };
        if (!w->dir || !w->name)
                return -ENOMEM;
        r = cluster_lock_prove(l->lock, &w->fence, NULL);
        if (r < 0)
                return r;
        l->is_working = true;
        aside_begin(l->core, &TAKE(w)->work);
        return 0;
}

static void load_run(Aside *work)
{
        CertWork *w = work->userdata;

        w->r = certs_load(&w->found, w->dir, w->name, &w->err);
}

static void make_run(Aside *work)
{
        CertWork *w = work->userdata;

        w->r = certs_make(w->dir, w->name, &w->fence, &w->err);
}

static void load_done(Aside *work);

static void make_done(Aside *work)
{
        AUTO(cert_work_freep) CertWork *w = work->userdata;
        Links *l = w->links;

        l->is_working = false;
        l->lock = cluster_lock_release(l->lock);
        if (w->r < 0) {
                log_error("can't make a certificate for this node: %s", w->err.text);
                links_look_after(l, RETRY_USEC);
                return;
        }
        log_info("made a certificate for node '%s'", w->name);
        if (cert_work_begin(l, load_run, load_done) < 0)
                links_look_after(l, RETRY_USEC);
}

static void on_locked(void *userdata, ClusterLock *lock, const struct storaged_error *lock_err)
{
        Links *l = userdata;

        l->lock = lock;
        if (!lock) {
                log_warning("can't make a certificate for this node: %s", lock_err->text);
                links_look_after(l, RETRY_USEC);
        } else if (cert_work_begin(l, make_run, make_done) < 0) {
                l->lock = cluster_lock_release(lock);
                links_look_after(l, RETRY_USEC);
        }
}

static void links_make(Links *l)
{
        if (!l->lock && membership_is_quorate(l->core->members) &&
            cluster_lock_acquire(l->core->locks, LOCK_NAME, false, "a certificate for this node",
                                 now_usec() + LOCK_WAIT_USEC, on_locked, l, &l->lock) < 0)
                links_look_after(l, RETRY_USEC);
}

static void load_done(Aside *work)
{
        AUTO(cert_work_freep) CertWork *w = work->userdata;
        Links *l = w->links;

        l->is_working = false;
        if (w->r < 0) {
                log_error("certificates of this node: %s", w->err.text);
                links_look_after(l, RETRY_USEC);
        } else if (w->r == CERTS_E_MISSING) {
                links_make(l);
        } else {
                links_take(l, TAKE(w->found));
        }
}

static void links_step(Links *l)
{
        if (!links_address(l) || l->lock || l->is_working)
                return;
        if (cert_work_begin(l, load_run, load_done) < 0)
                links_look_after(l, RETRY_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        links_step(userdata);
        return 0;
}

/* Members or quorum have changed. */
static void on_members(void *userdata)
{
        Links *l = userdata;
        size_t n = 0;
        const Member *members = membership_get_members(l->core->members, &n);

        for (size_t i = 0; l->remote && i < n; i++)
                if (!members[i].is_online && membership_is_quorate(l->core->members))
                        remote_give_up(l->remote, members[i].name);
        if (!l->certs || !l->told_address || !str_eq(l->told_address, links_address(l)))
                links_step(l);
        proof_members_changed(l->core);
}

void links_look(Links *l)
{
        links_look_after(l, 0);
}

void links_watch(Links *l, links_ready_fn fn, void *userdata)
{
        l->fn = fn;
        l->userdata = userdata;
        if (fn)
                links_tell(l, true);
}

int links_get_peer(const Links *l, void *session, char *ret, size_t size)
{
        char name[CERTS_NODE_MAX];
        const Member *m;

        if (certs_get_peer(session, name, sizeof(name)) < 0)
                return -EACCES;
        m = membership_find(l->core->members, name);
        if (!m || strlen(name) >= size)
                return -EACCES;
        (void) memcpy(ret, name, strlen(name) + 1);
        return 0;
}

int links_get_certificate_end(const Links *l, int64_t *ret)
{
        return l && l->certs ? certs_get_end(l->certs, ret) : -ENOENT;
}

int links_pass_on(Links *l, const LinkCall *call, link_fn fn, void *userdata, struct storaged_error *err)
{
        const Member *m = membership_find(l->core->members, call->node);
        RemoteCall remote = { .node = call->node,
                              .port = l->port,
                              .method = call->method,
                              .target = call->target,
                              .user_header = LINKS_USER_HEADER,
                              .user = call->user,
                              .content_type = call->content_type,
                              .body = call->body,
                              .len = call->len };
        const RemoteStream stream = { call->body_fd, -1 };
        int r = 0;

        if (!m || !m->ip[0])
                return error_set(err, -EHOSTDOWN, "node '%s' is not known to Corosync here: it can't be asked",
                                 call->node);
        if (!m->is_online)
                return error_set(err, -EHOSTDOWN, "node '%s' is offline: it can't be asked", call->node);
        if (!l->certs)
                return error_set(err, -EAGAIN,
                                 "node '%s' can't be asked yet: this node has no certificate of the cluster, it gets "
                                 "one as soon as there is quorum",
                                 call->node);
        if (!l->remote)
                r = remote_new(&l->remote, l->core->event);
        if (r < 0)
                return error_set(err, r, "node '%s' can't be asked: %s", call->node, strerror(-r));
        remote.ip = m->ip;
        if (call->has_body_fd)
                remote.stream = &stream;
        remote_set_certs(l->remote, l->certs);
        return remote_call(l->remote, &remote, fn, userdata, err);
}

void links_pass_fault(const char *method, const char *target, bool is_done)
{
        message_fault(is_done ? MESSAGE_ANSWER : MESSAGE_ASKED, message_name(method, target));
}

int links_new(Links **ret, Core *core, const char *listen, unsigned port, struct storaged_error *err)
{
        AUTO(links_freep) Links *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return error_set(err, -ENOMEM, "out of memory");
        l->core = core;
        l->port = port > 0 ? port : LINKS_PORT;
        l->listen = listen ? strdup(listen) : NULL;
        if ((listen && !l->listen) || str_printf(&l->dir, "%s/storaged", core->paths.priv) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        r = sd_event_add_time(core->event, &l->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC, on_timer, l);
        if (r < 0)
                return error_set(err, r, "can't make a timer: %s", strerror(-r));
        membership_watch(core->members, on_members, l);
        *ret = TAKE(l);
        return 0;
}

Links *links_free(Links *l)
{
        if (!l)
                return NULL;
        membership_watch(l->core->members, NULL, NULL);
        (void) remote_free(l->remote);
        (void) cluster_lock_release(l->lock);
        (void) sd_event_source_disable_unref(l->timer);
        (void) certs_free(l->certs);
        free(l->told_address);
        free(l->listen);
        free(l->dir);
        free(l);
        return NULL;
}
