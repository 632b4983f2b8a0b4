/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on a volume group is a list of steps, run one after the other under a lock of the cluster: look (on all nodes),
 * change (on one), let the others follow. Up to the change a failure leaves nothing behind; after it the log says what
 * is done and what is missing, and each step may be repeated. Locks are started on one node after the other, and waited
 * for: two at once make the first activation fail ("lock start in progress").
 */
#include "core/vg.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/lock.h"
#include "cluster/membership.h"
#include "core/action.h"
#include "core/config.h"
#include "core/everywhere.h"
#include "core/host-id.h"
#include "core/lun-cluster.h"
#include "core/lun.h"
#include "core/task.h"
#include "wire/json.h"

/* One for all groups: no lock of LVM's guards the making of the first one of sanlock, nor who has the global lock. */
#define LOCK_NAME "storaged-vgs"
#define LOCK_WAIT_USEC (300 * USEC_PER_SEC)
#define SLOW_USEC (300 * USEC_PER_SEC)
#define NODES_MAX 64

typedef struct VgJob VgJob;
typedef void (*VgStep)(VgJob *j);

struct VgJob {
        Core *core;
        const VgStep *steps; /* ends with NULL */
        enum vg_work work;
        char *vg, *wwid, *locking, *wipe;
        uint32_t n_paths;
        char *nodes[NODES_MAX + 1];  /* all members, this one first */
        char *devices[NODES_MAX];    /* of the LUN there, where that is known */
        unsigned ids[NODES_MAX];     /* at sanlock */
        size_t n_nodes, at;          /* at: the node whose turn it is */
        unsigned n_open;             /* parts of this step that have not ended */
        bool was_open, is_last_look; /* of the LUN: somebody had it open, and it has been looked at again */
        Task *task;
        ClusterLock *lock;
        struct storaged_error err;
};

static void job_free(VgJob *j)
{
        (void) cluster_lock_release(j->lock);
        for (size_t i = 0; i < j->n_nodes; i++) {
                free(j->nodes[i]);
                free(j->devices[i]);
        }
        free(j->vg);
        free(j->wwid);
        free(j->locking);
        free(j->wipe);
        free(j);
}

static void job_end(VgJob *j, const struct storaged_error *err)
{
        if (j->wwid)
                luns_touch(j->core, "");
        j->lock = cluster_lock_release(j->lock);
        task_finish(j->task, err);
        job_free(j);
}

/* A part of the step has ended; the last one goes on, or ends the job with the first failure. */
static void part_end(VgJob *j, const struct storaged_error *err)
{
        struct storaged_error failure;
        VgStep step = *j->steps;

        if (err && j->err.code == 0)
                j->err = *err;
        if (j->n_open > 1) {
                j->n_open--;
                return;
        }
        j->n_open = 0;
        if (j->err.code < 0 || !step) {
                failure = j->err;
                job_end(j, failure.code < 0 ? &failure : NULL);
                return;
        }
        j->steps++;
        j->at = 0;
        step(j);
}

static void next(VgJob *j)
{
        part_end(j, NULL);
}

static void fail(VgJob *j, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fail(VgJob *j, int code, const char *fmt, ...)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        va_list ap;

        va_start(ap, fmt);
        (void) storaged_error_setv(&err, code, NULL, fmt, ap);
        va_end(ap);
        part_end(j, &err);
}

/* --- one action on some nodes */

typedef struct HereCall {
        const char *action;
        struct storaged_pair args[6];
        size_t n_args;
} HereCall;

static void run_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        const HereCall *h = here_data;
        ActionCall call = { .type = "lvm",
                            .action = h->action,
                            .args = h->args,
                            .n_args = h->n_args,
                            .timeout_usec = SLOW_USEC,
                            .is_direct = true };

        action_run(c, &call, fn, userdata);
}

static void put(HereCall *h, const char *key, const char *value)
{
        if (value)
                h->args[h->n_args++] = (struct storaged_pair){ key, value };
}

/* nodes NULL: all. The answers come to `fn` with the job. */
static void ask(VgJob *j, const char *const *nodes, const char *method, HereCall *h, everywhere_fn fn)
{
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf form = STRBUF_INIT;
        bool is_get = str_eq(method, "GET");
        EverywhereCall call = {
                .nodes = nodes, .method = method, .here = run_here, .here_data = h, .fn = fn, .userdata = j
        };

        for (size_t i = 0; i < h->n_args; i++) {
                strbuf_addf(&form, "%s%s=", i ? "&" : "", h->args[i].key);
                everywhere_encode(&form, h->args[i].value);
        }
        strbuf_addf(&path, "/actions/lvm/%s%s%s", h->action, is_get ? "?" : "", is_get && form.len ? form.data : "");
        call.path = path.data;
        call.form = is_get ? NULL : form.data;
        if (strbuf_error(&path) < 0 || strbuf_error(&form) < 0 || everywhere_ask(j->core, &call) < 0)
                fail(j, -ENOMEM, "out of memory");
}

/* The same on this node only. */
static void ask_here(VgJob *j, HereCall *h, everywhere_fn fn)
{
        const char *nodes[] = { j->core->node, NULL };

        ask(j, nodes, "POST", h, fn);
}

static void on_all_done(void *userdata, const NodeAnswer *answers, size_t n)
{
        VgJob *j = userdata;

        for (size_t i = 0; i < n; i++)
                if (answers[i].err.code < 0) {
                        fail(j, answers[i].err.code, "volume group \"%s\": %s", j->vg, answers[i].err.text);
                        return;
                }
        next(j);
}

/* --- steps that look */

/* Of each node's device: `lun` is the LUN's row of the matrix. */
static int take_devices(VgJob *j, json_object *lun)
{
        for (size_t i = 0; i < j->n_nodes; i++) {
                const char *device = json_get_string(json_get(json_get(lun, "nodes"), j->nodes[i]), "device");

                j->devices[i] = device ? strdup(device) : NULL;
                if (device && !j->devices[i])
                        return -ENOMEM;
        }
        return 0;
}

/* Nothing speaks against it but, perhaps, that somebody has it open at this moment: 0, 1. */
static int check_lun(VgJob *j, json_object *matrix, StrBuf *reasons)
{
        VgLunNeeds needs = { j->wipe, j->n_paths, !j->is_last_look };
        AUTO(strbuf_deinit) StrBuf open = STRBUF_INIT;
        int r = vg_check_lun(matrix, j->wwid, &needs, reasons);

        if (r < 0 || reasons->len > 0 || j->is_last_look)
                return r;
        needs.may_be_open = false;
        r = vg_check_lun(matrix, j->wwid, &needs, &open);
        return r < 0 ? r : open.len > 0;
}

static void on_matrix(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        AUTO(strbuf_deinit) StrBuf reasons = STRBUF_INIT;
        VgJob *j = userdata;
        AUTO_JSON *parsed = NULL;
        json_object *matrix;
        int r;

        if (err) {
                fail(j, err->code, "%s", err->text);
                return;
        }
        if (reply->raw)
                (void) json_parse(reply->raw, reply->raw_len, &parsed);
        matrix = reply->raw ? parsed : reply->data;
        r = check_lun(j, matrix, &reasons);
        j->was_open = r > 0;
        if (r == 0 && reasons.len == 0)
                r = take_devices(j, luns_find_in(matrix, j->wwid));
        if (r < 0)
                fail(j, -ENOMEM, "out of memory");
        else if (reasons.len > 0)
                fail(j, -EBUSY, "LUN %s can't become part of volume group \"%s\": %s", j->wwid, j->vg, reasons.data);
        else if (j->was_open)
                next(j);
        else if (!j->devices[0])
                fail(j, -ENODEV, "LUN %s: no device on node %s", j->wwid, j->core->node);
        else {
                task_log(j->task, "LUN %s: the same on %zu nodes, all paths there, nothing else on it", j->wwid,
                         j->n_nodes);
                next(j);
        }
}

static void step_check_lun(VgJob *j)
{
        luns_cluster_query(j->core, j->wwid, LUNS_FRESH, on_matrix, j);
}

/*
 * LVM and udev open a disk that they look at, LVM for our own question whether the group's name is free: who only has
 * it open counts if it still does once that is answered.
 */
static void step_look_again(VgJob *j)
{
        j->is_last_look = true;
        if (j->was_open)
                step_check_lun(j);
        else
                next(j);
}

static void on_locking(void *userdata, const NodeAnswer *answers, size_t n)
{
        VgJob *j = userdata;

        for (size_t i = 0; i < n; i++) {
                if (answers[i].err.code < 0) {
                        fail(j, answers[i].err.code, "%s", answers[i].err.text);
                        return;
                }
                if (j->work == VG_CREATE && json_get_bool(answers[i].data, "exists", false)) {
                        fail(j, -EEXIST, "node %s: volume group \"%s\" exists already", answers[i].node, j->vg);
                        return;
                }
                for (size_t k = 0; k < j->n_nodes; k++)
                        if (str_eq(j->nodes[k], answers[i].node))
                                j->ids[k] = (unsigned) json_get_uint(answers[i].data, "host_id", 0);
        }
        next(j);
}

/* Without a wish: what a cluster has is used; a single node needs none. */
static void step_check_locking(VgJob *j)
{
        HereCall h = { .action = "lock-check" };

        if (!j->locking)
                j->locking = strdup(j->n_nodes < 2 ? "none" : access("/sys/kernel/dlm", F_OK) == 0 ? "dlm" : "sanlock");
        if (!j->locking) {
                fail(j, -ENOMEM, "out of memory");
                return;
        }
        put(&h, "locking", j->locking);
        put(&h, "vgname", j->work == VG_CREATE ? j->vg : NULL); /* in one go: each question costs a worker's start */
        ask(j, NULL, "GET", &h, on_locking);
}

/* Both at a time: neither needs the other's answer, and each costs every node a worker's start. */
static void step_check_new(VgJob *j)
{
        j->n_open = 2;
        step_check_locking(j);
        step_check_lun(j);
}

static void ask_info(VgJob *j, everywhere_fn fn)
{
        HereCall h = { .action = "vg-info" };

        put(&h, "vgname", j->vg);
        ask(j, NULL, "GET", &h, fn);
}

/* Nothing of it may be active anywhere, and every node must see it. */
static void on_unused(void *userdata, const NodeAnswer *answers, size_t n)
{
        VgJob *j = userdata;

        for (size_t i = 0; i < n; i++) {
                json_object *active = json_get(answers[i].data, "active");

                if (answers[i].err.code < 0) {
                        fail(j, answers[i].err.code, "volume group \"%s\": node %s: %s", j->vg, answers[i].node,
                             answers[i].err.text);
                        return;
                }
                if (json_object_is_type(active, json_type_array) && json_object_array_length(active) > 0) {
                        fail(j, -EBUSY,
                             "volume group \"%s\": volume %s is active on node %s; deactivate it there first", j->vg,
                             json_get_string(json_object_array_get_idx(active, 0), "lv"), answers[i].node);
                        return;
                }
        }
        next(j);
}

static void step_check_unused(VgJob *j)
{
        ask_info(j, on_unused);
}

static void step_check_storages(VgJob *j)
{
        for (size_t i = 0; i < j->core->config->n_storages; i++) {
                const StorageConfig *s = j->core->config->storages[i];
                const char *vg = storage_config_get(s, "vgname");

                if (vg && str_eq(vg, j->vg)) {
                        fail(j, -EBUSY, "volume group \"%s\" is that of storage '%s'; remove the storage first", j->vg,
                             s->id);
                        return;
                }
        }
        next(j);
}

/* --- steps that change */

static void step_host_ids(VgJob *j)
{
        AUTO(fence_deinit) Fence fence = { 0 };
        int r = 0;

        if (str_eq(j->locking, "sanlock")) {
                r = cluster_lock_prove(j->lock, &fence, &j->err);
                if (r >= 0)
                        r = host_ids_assign(&j->core->paths, (const char *const *) j->nodes, j->n_nodes, j->ids, &fence,
                                            &j->err);
        }
        if (r < 0)
                job_end(j, &j->err);
        else
                next(j);
}

static void step_make(VgJob *j)
{
        static const char *const actions[] = { "vg-create", "vg-extend", "vg-reduce", "vg-destroy", "vg-convert" };
        HereCall h = { .action = actions[j->work] };
        char id[16];

        (void) snprintf(id, sizeof(id), "%u", j->ids[0]);
        task_log(j->task, "%s on node %s", h.action, j->core->node);
        put(&h, "vgname", j->vg);
        put(&h, "device", j->devices[0]);
        if (j->work == VG_CREATE || j->work == VG_CONVERT) {
                put(&h, "locking", j->locking);
                put(&h, "host-id", j->ids[0] ? id : NULL);
        }
        if (j->work == VG_CREATE || j->work == VG_EXTEND)
                put(&h, "wipe-signature", j->wipe);
        ask_here(j, &h, on_all_done);
}

static void step_each(VgJob *j, const char *action);

static void on_each(void *userdata, const NodeAnswer *answers, size_t n, const char *action)
{
        VgJob *j = userdata;

        if (n == 0 || answers[0].err.code < 0) {
                fail(j, n ? answers[0].err.code : -EHOSTDOWN, "volume group \"%s\": %s on node %s: %s", j->vg, action,
                     j->nodes[j->at], n ? answers[0].err.text : "it is gone");
                return;
        }
        j->at++;
        step_each(j, action);
}

static void on_started(void *userdata, const NodeAnswer *answers, size_t n)
{
        on_each(userdata, answers, n, "lock-start");
}

static void on_stopped(void *userdata, const NodeAnswer *answers, size_t n)
{
        on_each(userdata, answers, n, "lock-stop");
}

/* One node after the other. */
static void step_each(VgJob *j, const char *action)
{
        const char *nodes[] = { j->nodes[j->at], NULL };
        HereCall h = { .action = action };
        bool is_start = str_eq(action, "lock-start");
        char id[16];

        if (j->at == j->n_nodes) {
                next(j);
                return;
        }
        task_log(j->task, "%s on node %s", action, j->nodes[j->at]);
        put(&h, "vgname", j->vg);
        (void) snprintf(id, sizeof(id), "%u", j->ids[j->at]);
        put(&h, "host-id", is_start && j->ids[j->at] ? id : NULL);
        put(&h, "device", is_start ? j->devices[j->at] : NULL);
        ask(j, nodes, "POST", &h, is_start ? on_started : on_stopped);
}

/*
 * One node after the other: two at once make the first activation fail. vgcreate has started those of this node, and
 * waited for them; with sanlock, which takes long, it is made sure of.
 */
static void step_start_locks(VgJob *j)
{
        j->at = j->work == VG_CREATE && str_eq(j->locking, "dlm") ? 1 : 0;
        if (str_eq(j->locking, "none"))
                next(j);
        else
                step_each(j, "lock-start");
}

/* On all but this node, which removes it under its own lock. */
static void step_stop_others(VgJob *j)
{
        if (!j->locking || str_eq(j->locking, "none")) {
                next(j);
                return;
        }
        j->at = 1;
        step_each(j, "lock-stop");
}

static void take_locking(VgJob *j, const NodeAnswer *answers, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (answers[i].is_local && answers[i].data && !j->locking) {
                        const char *locking = json_get_string(answers[i].data, "locking");

                        j->locking = strdup(locking ? locking : "none");
                }
}

static void on_info_locking(void *userdata, const NodeAnswer *answers, size_t n)
{
        VgJob *j = userdata;

        take_locking(j, answers, n);
        for (size_t i = 0; i < n; i++)
                if (json_get_uint(answers[i].data, "lvs", 0) > 0) { /* before any node's locks are stopped */
                        fail(j, -ENOTEMPTY, "volume group \"%s\" has %llu volumes; remove them first", j->vg,
                             (unsigned long long) json_get_uint(answers[i].data, "lvs", 0));
                        return;
                }
        on_unused(j, answers, n);
}

static void step_learn_locking(VgJob *j)
{
        ask_info(j, on_info_locking);
}

/* Every node sees it; whatever is active stays so. */
static void on_info_seen(void *userdata, const NodeAnswer *answers, size_t n)
{
        take_locking(userdata, answers, n);
        on_all_done(userdata, answers, n);
}

static void step_see(VgJob *j)
{
        ask_info(j, on_info_seen);
}

static void on_device(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        json_object *lun = err ? NULL : luns_find_in(reply->data, ((VgJob *) userdata)->wwid);
        VgJob *j = userdata;
        const char *device = json_get_string(lun, "device");

        j->devices[0] = device ? strdup(device) : NULL;
        if (j->devices[0])
                next(j);
        else
                fail(j, err ? err->code : -ENODEV, "LUN %s: %s", j->wwid,
                     err ? err->text : "this node does not see it");
}

static void step_find_device(VgJob *j)
{
        luns_query(j->core, LUNS_FRESH, on_device, j);
}

static const VgStep create_steps[] = {
        step_check_new, step_look_again, step_host_ids, step_make, step_start_locks, NULL
};
static const VgStep extend_steps[] = { step_check_lun, step_look_again, step_make, NULL };
static const VgStep reduce_steps[] = { step_find_device, step_make, NULL };
static const VgStep destroy_steps[] = { step_check_storages, step_learn_locking, step_stop_others, step_make, NULL };
static const VgStep convert_steps[] = { step_check_locking, step_check_unused, step_host_ids,
                                        step_make,          step_start_locks,  NULL };
static const VgStep start_steps[] = { step_see, step_check_locking, step_host_ids, step_start_locks, NULL };
static const VgStep *const works[] = { create_steps,  extend_steps,  reduce_steps,
                                       destroy_steps, convert_steps, start_steps };
static const char *const task_names[] = { "vgcreate", "vgextend", "vgreduce", "vgdestroy", "vgconvert", "vgstart" };

/* --- the beginning */

static void on_locked(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        VgJob *j = userdata;

        j->lock = lock;
        if (lock)
                next(j);
        else
                job_end(j, err);
}

static int take_nodes(VgJob *j)
{
        size_t n = 0;
        const Member *members = membership_get_members(j->core->members, &n);

        j->nodes[j->n_nodes++] = strdup(j->core->node);
        for (size_t i = 0; i < n && j->n_nodes < NODES_MAX; i++)
                if (!members[i].is_local)
                        j->nodes[j->n_nodes++] = strdup(members[i].name);
        for (size_t i = 0; i < j->n_nodes; i++)
                if (!j->nodes[i])
                        return -ENOMEM;
        return 0;
}

static int copy(const char *from, char **ret)
{
        *ret = from ? strdup(from) : NULL;
        return from && !*ret ? -ENOMEM : 0;
}

static int job_new(Core *c, const VgCall *call, VgJob **ret)
{
        VgJob *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        *j = (VgJob){ .core = c,
                      .work = call->work,
                      .steps = works[call->work],
                      .n_paths = call->n_paths,
                      .err = STORAGED_ERROR_INIT };
        if (copy(call->vg, &j->vg) < 0 || copy(call->wwid, &j->wwid) < 0 || copy(call->locking, &j->locking) < 0 ||
            copy(call->wipe, &j->wipe) < 0 || take_nodes(j) < 0) {
                job_free(j);
                return -ENOMEM;
        }
        *ret = j;
        return 0;
}

void vg_call(Core *c, const VgCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *upid = NULL;
        VgJob *j = NULL;
        int r = membership_check_quorum(c->members, &err);

        if (r >= 0) {
                r = job_new(c, call, &j);
                if (r < 0)
                        (void) error_set(&err, r, "out of memory");
        }
        if (r >= 0)
                r = task_new(c->tasks, task_names[call->work], call->vg, call->user ? call->user : "root@pam", &j->task,
                             &err);
        if (r < 0) {
                if (j)
                        job_free(j);
                fn(userdata, NULL, &err);
                return;
        }
        upid = json_object_new_string(task_get_upid(j->task));
        fn(userdata, &(Reply){ .data = upid }, NULL);
        r = cluster_lock_acquire(c->locks, LOCK_NAME, false, task_names[call->work], now_usec() + LOCK_WAIT_USEC,
                                 on_locked, j, NULL);
        if (r < 0)
                fail(j, r, "volume group \"%s\": can't ask for its lock: %s", j->vg, strerror(-r));
}
