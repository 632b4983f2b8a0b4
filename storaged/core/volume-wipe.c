/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * saferemove: a removed volume's bytes are written over before their space is given to another guest. That takes as
 * long as writing a disk, so the storage's lock is not kept for it. Under the lock the plugin's `free` takes the name
 * away; without it the action `wipe` writes zeroes to what this node removed, and tells which; with the lock again the
 * action `reap` gives their space back. A crash leaves volumes that nobody sees and whose space is not free; the next
 * removal on this node finishes them.
 */
#include "core/volume-wipe.h"

#include "base/clock.h"
#include "cluster/lock.h"
#include "core/task.h"
#include "wire/json.h"

#define REAP_TIMEOUT_USEC (120 * USEC_PER_SEC)
#define LOCK_WAIT_USEC (600 * USEC_PER_SEC) /* nobody waits for it any more */

static void end_with(VolumeJob *j, int code, const char *what)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) error_set(&err, code,
                         "volume %s:%s is removed, but %s: %s; its space is not free yet, the next removal on "
                         "node '%s' finishes it",
                         j->storage, j->volname, what, strerror(-code), j->core->node);
        volume_job_end(j, NULL, &err);
}

/* Runs the action in a worker of its own; `volumes` may be NULL. */
static int run(VolumeJob *j, const char *action, const char *volumes, uint64_t timeout_usec, worker_done_fn done,
               struct storaged_error *err)
{
        AUTO_JSON *args = json_object_new_object();
        json_object *params = json_object_new_object();
        const StorageConfig *s = core_find_usable(j->core, j->storage, err);
        StorageCall call = { .op = "act",
                             .fd = -1,
                             .timeout_usec = timeout_usec,
                             .done = done,
                             .progress = volume_job_on_progress,
                             .ask = volume_job_on_ask,
                             .userdata = j };
        int r = volumes ? json_add_string(params, "volumes", volumes) : 0;

        if (r >= 0)
                r = json_add(args, "params", params);
        if (r >= 0)
                r = json_add_string(args, "action", action);
        if (r < 0)
                return error_set(err, r, "%s: out of memory", action);
        if (!s)
                return err->code;
        call.args = args;
        return oneshot_run(j->core, s->type, s, &call, &j->oneshot, err);
}

static void on_reaped(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        VolumeJob *j = userdata;

        (void) body;
        (void) len;
        j->oneshot = NULL;
        volume_job_end(j, NULL, err);
}

static void on_locked(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        VolumeJob *j = userdata;

        j->lock = lock;
        if (!lock)
                volume_job_end(j, NULL, err);
        else if (run(j, "reap", json_get_string(j->args, "wiped"), REAP_TIMEOUT_USEC, on_reaped, &failure) < 0)
                volume_job_end(j, NULL, &failure);
}

/* body: the names, with commas, as one JSON string. */
static void on_wiped(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        VolumeJob *j = userdata;
        const StorageConfig *s = config_find(j->core->config, j->storage);
        AUTO(freep) char *name = NULL;
        AUTO_JSON *names = NULL;
        int r;

        j->oneshot = NULL;
        if (err) {
                volume_job_end(j, NULL, err);
                return;
        }
        r = json_parse(body, len, &names);
        if (r >= 0 && json_object_is_type(names, json_type_string) && json_object_get_string_len(names) == 0) {
                volume_job_end(j, NULL, NULL); /* another removal is at it */
                return;
        }
        if (r >= 0)
                r = json_add(j->args, "wiped", TAKE(names));
        if (r >= 0)
                r = str_printf(&name, "storage-%s", j->storage);
        if (r >= 0)
                r = cluster_lock_acquire(j->core->locks, name, !s || !s->is_shared, "free", now_usec() + LOCK_WAIT_USEC,
                                         on_locked, j, NULL);
        if (r < 0)
                end_with(j, r, "the storage's lock can't be asked for");
}

bool volume_wipe_begin(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const StorageConfig *s = config_find(j->core->config, j->storage);
        const char *value = s ? storage_config_get(s, "saferemove") : NULL;

        if (j->op != &volume_ops[VOLUME_FREE] || !value || !str_eq(value, "1") || !type_find_action(s->type, "wipe"))
                return false;
        storage_touch(j->core, j->storage);
        j->lock = cluster_lock_release(j->lock);
        if (j->task)
                task_log(j->task, "%s:%s is removed; its bytes are written over", j->storage, j->volname);
        if (run(j, "wipe", NULL, 0, on_wiped, &err) < 0)
                volume_job_end(j, NULL, &err);
        return true;
}
