/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking a lease away from nodes that are gone. Two things have to be certain before the lease changes: that they are
 * gone (the cluster's word, core/nodes.c; where there is no cluster, the caller's), and that what they were as clients
 * of the storage can't write any more (the plugin's fence, where it has one). Only then does this node become the
 * holder, with a new generation, so that a ticket of the old lease means nothing any more. A plugin that then refuses
 * to activate finds the old record put back.
 */
#include "core/activation-parts.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "core/nodes.h"
#include "wire/json.h"

static void fence_next(Activation *a);

static const char *holder(const Lease *l, size_t i)
{
        return i == 0 ? l->node : l->partner;
}

/* Nobody was named: then the cluster must know that the holders are gone. */
static int check_unnamed(const Activation *a, StrList *ret_dead, struct storaged_error *err)
{
        for (size_t i = 0; i < 2; i++) {
                const char *node = holder(&a->lease, i);
                int r = *node && strcmp(node, activation_here(a)) != 0 ? node_check_gone(a->job->core, node, err) : 1;

                if (r == 0)
                        return error_set_param(err, -EINVAL, "dead-node",
                                               "--force needs --dead-node: volume '%s' is held by node '%s', and no "
                                               "cluster here knows whether that is gone and can't write any more",
                                               a->volid, node);
                if (r > 0 && *node)
                        r = strlist_adds(ret_dead, node);
                if (r == -ENOMEM)
                        return error_set(err, r, "out of memory");
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_named(const Activation *a, const StrList *dead, struct storaged_error *err)
{
        int r = 0;

        for (size_t i = 0; i < dead->n && r >= 0; i++)
                r = node_check_gone(a->job->core, dead->items[i], err);
        return r;
}

static int check(const Activation *a, struct storaged_error *err)
{
        AUTO(strlist_deinit) StrList dead = STRLIST_INIT;
        const char *names = json_get_string(a->given, "dead_nodes");
        Lease after = a->lease;
        int r = names ? strlist_split(&dead, names, ",; ") : 0;

        if (r < 0)
                return error_set(err, r, "out of memory");
        r = dead.n > 0 ? check_named(a, &dead, err) : check_unnamed(a, &dead, err);
        return r < 0 ? r : lease_take_over(&after, activation_here(a), &dead, 0, err);
}

static void taken(Activation *a)
{
        const char *names = json_get_string(a->given, "dead_nodes");

        a->is_taken_over = true;
        log_warning("volume '%s': taken over from node '%s'%s%s by '%s' for '%s', on the word of %s that it is gone",
                    a->volid, a->before.node, lease_is_shared(&a->before) ? " and " : "", a->before.partner,
                    activation_here(a), a->job->user, names ? names : "the cluster");
        activation_call_plugin(a, "exclusive", activation_finish);
}

static void take(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("takeover.fenced");

        if (r < 0) {
                (void) error_set(&err, r, "volume '%s': can't take its lease over: %s", a->volid, strerror(-r));
                activation_fail(a, &err);
                return;
        }
        lease_take(&a->lease, a->volid, activation_here(a), clock_usec(CLOCK_REALTIME));
        activation_store_lease(a, taken);
}

static void on_fenced(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        VolumeJob *j = userdata;
        Activation *a = j->activation;

        (void) body;
        (void) len;
        if (!err) {
                log_warning("volume '%s': node '%s' is fenced from it", a->volid, holder(&a->before, a->fence_at));
                a->fence_at++;
                fence_next(a);
                return;
        }
        (void) error_set(&failure, err->code, "volume '%s' was not taken over, node '%s' can't be fenced from it: %s",
                         a->volid, holder(&a->before, a->fence_at), err->text);
        activation_fail(a, &failure);
}

static int submit_fence(Activation *a, const char *node, struct storaged_error *err)
{
        const char *client = lease_get_client(&a->before, node);
        AUTO_JSON *args = json_object_new_object(), *o = NULL;
        int r = json_add_string(args, "volume", a->job->volname);

        if (r >= 0)
                r = json_add_string(args, "node", node);
        if (r >= 0 && *client)
                r = json_parse(client, strlen(client), &o);
        if (r >= 0 && *client)
                r = json_add(args, "client", TAKE(o));
        if (r < 0)
                return error_set(err, r, "out of memory");
        json_object_put(a->job->args);
        a->job->args = TAKE(args);
        return volume_job_submit(a->job, "fence", on_fenced, err);
}

static void fence_next(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const StorageConfig *s = core_find_usable(a->job->core, a->job->storage, &err);
        bool has_fence = s && type_has_op(s->type, SCHEMA_OP_FENCE);

        while (has_fence && a->fence_at < 2 &&
               (!*holder(&a->before, a->fence_at) || strcmp(holder(&a->before, a->fence_at), activation_here(a)) == 0))
                a->fence_at++;
        if (!s)
                activation_fail(a, &err);
        else if (!has_fence || a->fence_at >= 2)
                take(a);
        else if (submit_fence(a, holder(&a->before, a->fence_at), &err) < 0)
                activation_fail(a, &err);
}

void takeover_begin(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (check(a, &err) < 0)
                activation_fail(a, &err);
        else
                fence_next(a);
}
