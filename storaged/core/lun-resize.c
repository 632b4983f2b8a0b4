/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A LUN grew on the array. All nodes read the sizes of all paths again; only when every path of every node is up and
 * says the same do the maps follow, and only when all maps have followed is the physical volume made larger, once.
 * Until then nothing uses the new room, so a refusal at any point leaves a LUN that works as before, and the same
 * command goes on.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "cluster/lock.h"
#include "core/action.h"
#include "core/lun-steps.h"
#include "core/task.h"
#include "wire/json.h"

#define LOCK_WAIT_USEC (60 * USEC_PER_SEC)

static void resize_done(LunJob *j)
{
        AUTO_JSON *o = json_object_new_object();
        int r = json_add_string(o, "wwid", j->wwid);

        if (r >= 0)
                r = json_add_uint(o, "old", json_get_uint(lun_job_row(j), "size", 0));
        if (r >= 0)
                r = json_add_uint(o, "size", j->bytes);
        lun_job_end(j, r < 0 ? NULL : o, NULL);
}

static void on_pv(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        LunJob *j = userdata;

        (void) reply;
        j->pv_lock = cluster_lock_release(j->pv_lock);
        if (err)
                lun_job_fail(j, err->code ? err->code : -EIO,
                             "LUN %s has %" PRIu64
                             " bytes on all nodes now, but its physical volume was not resized: %s",
                             j->wwid, j->bytes, err->text);
        else
                resize_done(j);
}

static void resize_pv_now(LunJob *j)
{
        json_object *row = lun_job_row(j);
        const char *vg = json_get_string(row, "vg"), *device = json_get_string(row, "device");
        struct storaged_pair args[] = { { "vgname", vg }, { "device", device } };
        ActionCall call = {
                .type = "lvm", .action = "pv-resize", .args = args, .n_args = 2, .user = j->user, .is_direct = true
        };

        task_log(j->task, "physical volume %s of volume group %s", device, vg);
        action_run(j->core, &call, on_pv, j);
}

static void on_pv_locked(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        LunJob *j = userdata;

        j->pv_lock = lock;
        if (lock)
                resize_pv_now(j);
        else
                on_pv(j, NULL, err);
}

/*
 * Once, here: the metadata are one for all nodes. Under the lock of the storage on it: where LVM has no lock of its
 * own, that is what keeps another node from writing them at the same time.
 */
static void resize_pv(LunJob *j)
{
        json_object *row = lun_job_row(j), *storages = json_get(row, "storages");
        const char *vg = json_get_string(row, "vg"), *device = json_get_string(row, "device"), *id = NULL;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *name = NULL;
        const StorageConfig *s;
        int r;

        if (!vg || !*vg || !device) {
                resize_done(j);
                return;
        }
        if (storages && json_object_array_length(storages) > 0)
                id = json_object_get_string(json_object_array_get_idx(storages, 0));
        s = id ? config_find(j->core->config, id) : NULL;
        if (!s) {
                resize_pv_now(j);
                return;
        }
        r = str_printf(&name, "storage-%s", id);
        if (r >= 0)
                r = cluster_lock_acquire(j->core->locks, name, !s->is_shared, "resize", now_usec() + LOCK_WAIT_USEC,
                                         on_pv_locked, j, NULL);
        if (r < 0) {
                (void) error_set(&err, r, "storage '%s': can't ask for its lock: %s", id, strerror(-r));
                on_pv(j, NULL, &err);
        }
}

static void on_mapped(void *userdata, const NodeAnswer *answers, size_t n)
{
        LunJob *j = userdata;
        const NodeAnswer *failed = lun_job_find_failure(j, answers, n);

        if (failed) {
                lun_job_end(j, NULL, &failed->err);
                return;
        }
        task_log(j->task, "all maps have %" PRIu64 " bytes", j->bytes);
        resize_pv(j);
}

static void on_rescanned(void *userdata, const NodeAnswer *answers, size_t n)
{
        LunJob *j = userdata;
        const NodeAnswer *failed = lun_job_find_failure(j, answers, n);
        uint64_t old = json_get_uint(lun_job_row(j), "size", 0);
        char size[24];

        if (failed) {
                lun_job_end(j, NULL, &failed->err);
                return;
        }
        j->bytes = json_get_uint(answers[0].data, "size", 0);
        for (size_t i = 0; i < n; i++) {
                uint64_t bytes = json_get_uint(answers[i].data, "size", 0);

                task_log(j->task, "%s: all paths have %" PRIu64 " bytes", answers[i].node, bytes);
                if (bytes != j->bytes) {
                        lun_job_fail(j, -EAGAIN,
                                     "LUN %s has %" PRIu64 " bytes on node %s, but %" PRIu64 " on node %s; no map was "
                                     "changed: try again when the array shows one size to all",
                                     j->wwid, bytes, answers[i].node, j->bytes, answers[0].node);
                        return;
                }
        }
        if (j->bytes < old) {
                lun_job_fail(j, -EINVAL,
                             "LUN %s is smaller than it was: %" PRIu64 " bytes, %" PRIu64
                             " before; what lies behind its new "
                             "end would be lost, so no map was changed",
                             j->wwid, j->bytes, old);
                return;
        }
        (void) snprintf(size, sizeof(size), "%" PRIu64, j->bytes);
        lun_job_arg(j, "wwid", j->wwid);
        lun_job_arg(j, "size", size);
        lun_job_step(j, "lun-resize-map", on_mapped);
}

/* All who see it take part, and all have to answer. */
static void on_looked(LunJob *j)
{
        json_object *row = lun_job_row(j), *nodes = json_get(j->matrix, "nodes");

        for (size_t i = 0; nodes && i < json_object_array_length(nodes); i++) {
                json_object *node = json_object_array_get_idx(nodes, i);
                const char *name = json_get_string(node, "node");

                if (!json_get_bool(node, "online", false)) {
                        lun_job_fail(j, -EHOSTDOWN,
                                     "node %s can't be asked: %s; a LUN is resized on all nodes or on none", name,
                                     json_get_string(node, "error"));
                        return;
                }
                if (json_get(json_get(row, "nodes"), name) && strlist_adds(&j->nodes, name) < 0) {
                        lun_job_fail(j, -ENOMEM, "out of memory");
                        return;
                }
        }
        if (!row) {
                lun_job_fail(j, -ENOENT, "no node sees a LUN %s; see pvesm lun list", j->wwid);
                return;
        }
        if (json_get(row, "held")) {
                lun_job_fail(j, -EBUSY, "LUN %s is being removed; see pvesm lun show %s", j->wwid, j->wwid);
                return;
        }
        lun_job_arg(j, "wwid", j->wwid);
        lun_job_step(j, "lun-rescan", on_rescanned);
}

static void resize_run(LunJob *j)
{
        lun_job_look(j, on_looked);
}

void lun_resize(Core *c, const LunRequest *rq, reply_fn fn, void *userdata)
{
        lun_job_begin(c, "lunresize", rq, true, resize_run, fn, userdata);
}
