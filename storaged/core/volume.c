/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on volumes. A job goes: is the storage usable, does the name parse, can the plugin do it →
 * task → lock → worker → answer. The table (volume-op.c) says which of these steps an operation has; what is special
 * about one (alloc's format, list's containers, attributes in two calls) is in a function of its own.
 */
#include "core/volume-job.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/log.h"
#include "cluster/lock.h"
#include "core/activation.h"
#include "core/guests.h"
#include "core/nodes.h"
#include "core/stream.h"
#include "core/task.h"
#include "core/volume-elsewhere.h"
#include "core/volume-use.h"
#include "core/volume-wipe.h"
#include "wire/json.h"
#include "wire/volname.h"

#define LOCK_WAIT_USEC (60 * USEC_PER_SEC)

/* --- the end of a job */

static void job_free(VolumeJob *j)
{
        (void) cluster_lock_release(j->lock);
        (void) volume_use_end(j->use);
        (void) activation_free(j->activation);
        if (j->op == &volume_ops[VOLUME_UPLOAD] && j->args && json_get_string(j->args, "path"))
                (void) unlink(json_get_string(j->args, "path")); /* a spooled file is ours to remove, however it went */
        json_object_put(j->args);
        closep(&j->stream_fd);
        free(j->body);
        free(j->storage);
        free(j->volname);
        free(j->user);
        free(j);
}

static void job_answer(VolumeJob *j, const Reply *reply, const struct storaged_error *err)
{
        reply_fn fn = j->fn;

        j->fn = NULL;
        if (fn)
                fn(j->userdata, err ? NULL : reply, err);
}

void volume_job_end(VolumeJob *j, json_object *result, const struct storaged_error *err)
{
        Reply reply = { .data = result };

        if (volume_op_has(j->op, OP_USAGE))
                storage_touch(j->core, j->storage);
        j->lock = cluster_lock_release(j->lock); /* before the answer: who asked may come again at once */
        j->use = volume_use_end(j->use);
        if (j->task) {
                if (!err)
                        task_set_result(j->task, result);
                task_finish(j->task, err);
        }
        job_answer(j, &reply, err);
        job_free(j);
}

static json_object *result_volid(const VolumeJob *j, json_object *result)
{
        const char *volname = result ? json_get_string(result, "volume") : NULL;
        AUTO(freep) char *volid = NULL;

        if (!volname || str_printf(&volid, "%s:%s", j->storage, volname) < 0)
                return NULL;
        return json_object_new_string(volid);
}

/* A listing goes on as it came; all else is small. */
static void job_answered(VolumeJob *j, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        AUTO_JSON *result = NULL;
        Reply raw = { .raw = body, .raw_len = len };

        if (!err && volume_wipe_begin(j))
                return;
        if (err) {
                failure = *err;
                if (j->op == &volume_ops[VOLUME_ALLOC] && str_eq(failure.param, "name"))
                        (void) snprintf(failure.param, sizeof(failure.param), "%s",
                                        "filename"); /* the caller's word for it */
                volume_job_end(j, NULL, &failure);
        } else if (!j->task && !volume_op_has(j->op, OP_GIVES_VOLUME)) {
                if (volume_op_has(j->op, OP_USAGE))
                        storage_touch(j->core, j->storage);
                job_answer(j, &raw, NULL);
                job_free(j);
        } else if (json_parse(body, len, &result) < 0) {
                (void) error_set(&failure, -EPROTO, "storage '%s': its worker's answer to '%s' can't be read",
                                 j->storage, j->op->name);
                volume_job_end(j, NULL, &failure);
        } else if (volume_op_has(j->op, OP_GIVES_VOLUME)) {
                AUTO_JSON *volid = result_volid(j, result);

                volume_job_end(j, volid, NULL);
        } else {
                volume_job_end(j, result, NULL);
        }
}

static void on_forgotten(VolumeJob *j)
{
        job_answered(j, j->body, strlen(j->body), NULL);
}

/* The worker's answer. */
static void on_done(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        VolumeJob *j = userdata;

        j->oneshot = NULL;
        if (!err && volume_op_has(j->op, OP_ENDS_VOLUME))
                j->body = strndup(body, len);
        if (j->body)
                activation_forget(j, on_forgotten);
        else
                job_answered(j, body, len, err);
}

void volume_job_on_progress(void *userdata, uint64_t done, uint64_t total)
{
        VolumeJob *j = userdata;

        if (j->task)
                task_progress(j->task, done, total);
}

/* What was stopped for longer than its lock lives commits nothing. */
int volume_job_on_ask(void *userdata, json_object *ret, struct storaged_error *err)
{
        const VolumeJob *j = userdata;
        int r = j->lock ? cluster_lock_check(j->lock, err) : 0;

        return r < 0 || !j->lock ? r : cluster_lock_identify(j->lock, ret);
}

/* --- the steps */

static bool has_flag(const StorageConfig *s, const char *property)
{
        const char *value = storage_config_get(s, property);

        return value && str_eq(value, "1");
}

/* Preallocating takes as long as writing, and so does zeroing what is freed: not in the storage's own worker. */
static bool job_is_long(const VolumeJob *j, const StorageConfig *s)
{
        const char *preallocation = storage_config_get(s, "preallocation");

        if (j->op == &volume_ops[VOLUME_FREE] && has_flag(s, "saferemove"))
                return true;
        return volume_op_has(j->op, OP_LONG) || (j->op == &volume_ops[VOLUME_ALLOC] && preallocation &&
                                                 (str_eq(preallocation, "full") || str_eq(preallocation, "falloc")));
}

int volume_job_submit(VolumeJob *j, const char *op, worker_done_fn done, struct storaged_error *err)
{
        const StorageConfig *s = core_find_usable(j->core, j->storage, err);
        bool is_usable = s != NULL;
        StorageCall call = { .op = op,
                             .args = j->args,
                             .fd = j->stream_fd >= 0 ? j->stream_fd : -1,
                             .timeout_usec = j->op->timeout_s * USEC_PER_SEC,
                             .is_pure = volume_op_has(j->op, OP_PURE),
                             .done = done,
                             .progress = volume_job_on_progress,
                             .ask = volume_job_on_ask,
                             .userdata = j };
        int fd, r;

        if (!s && volume_op_has(j->op, OP_PURE)) /* computed: the storage may be disabled or another node's */
                s = config_find(j->core->config, j->storage);
        if (!s)
                return err->code;
        call.needs_activation = volume_op_has(j->op, OP_DATA | (s->type->is_probed ? OP_LOST : OP_CONTROL));
        if (!is_usable || job_is_long(j, s)) {
                call.timeout_usec = is_usable ? 0 : call.timeout_usec;
                /* The worker gets its own; ours goes, so that the stream ends with the worker. The job may end in here.
                 */
                fd = j->stream_fd;
                j->stream_fd = -EBADF;
                r = oneshot_run(j->core, s->type, s, &call, &j->oneshot, err);
                closep(&fd);
                return r;
        }
        return storage_submit(j->core, s, &call, err);
}

static void job_work(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (volume_job_submit(j, j->op->name, on_done, &err) < 0)
                volume_job_end(j, NULL, &err);
}

static void attributes_begin(VolumeJob *j);

/* No other node has the volume. */
static void job_write(VolumeJob *j)
{
        volume_leave_elsewhere(j, job_work);
}

static void job_go(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (j->op == &volume_ops[VOLUME_SET_ATTRIBUTES])
                attributes_begin(j);
        else if (volume_op_has(j->op, OP_LEASED))
                activation_begin(j);
        else if (!volume_op_has(j->op, OP_WRITES))
                job_work(j);
        else if (volume_use_check(j->core, j->storage, j->volname, &err) < 0)
                volume_job_end(j, NULL, &err);
        else
                activation_check_writer(j, job_write);
}

static void on_locked(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        VolumeJob *j = userdata;

        j->lock = lock;
        if (lock)
                job_go(j);
        else
                volume_job_end(j, NULL, err);
}

static void job_lock(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const StorageConfig *s = config_find(j->core->config, j->storage);
        AUTO(freep) char *name = NULL;
        int r;

        if (!volume_op_has(j->op, OP_LOCKED)) {
                job_go(j);
                return;
        }
        r = str_printf(&name, "storage-%s", j->storage);
        if (r >= 0)
                r = cluster_lock_acquire(j->core->locks, name, !s || !s->is_shared, j->op->name,
                                         now_usec() + LOCK_WAIT_USEC, on_locked, j, NULL);
        if (r < 0) {
                (void) error_set(&err, r, "storage '%s': can't ask for its lock: %s", j->storage, strerror(-r));
                volume_job_end(j, NULL, &err);
        }
}

static void on_cancel(void *userdata)
{
        VolumeJob *j = userdata;

        if (j->oneshot)
                oneshot_cancel(j->oneshot); /* else it is short, or waits for a lock with a deadline */
}

static void answer_with_upid(VolumeJob *j)
{
        AUTO_JSON *upid = json_object_new_string(task_get_upid(j->task));
        Reply reply = { .data = upid };

        job_answer(j, &reply, NULL);
}

static int on_delay_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        answer_with_upid(userdata);
        return 0;
}

int volume_job_open_task(VolumeJob *j, struct storaged_error *err)
{
        uint64_t delay_s = json_get_uint(j->args, "delay", 0);
        int r;

        r = task_new(j->core->tasks, j->op->task, j->volname[0] ? j->volname : j->storage, j->user, &j->task, err);
        if (r < 0)
                return r;
        task_on_cancel(j->task, on_cancel, j);
        if (j->is_sync)
                return 0;
        if (delay_s == 0 || sd_event_add_time_relative(j->core->event, &j->delay, CLOCK_MONOTONIC,
                                                       delay_s * USEC_PER_SEC, 0, on_delay_over, j) < 0)
                answer_with_upid(j);
        return 0;
}

/* --- what is special */

/* The format that a name and the caller's wish agree on (pvesm.md section 3, alloc). */
static int alloc_format(const StorageConfig *s, const char *filename, const char *wish, const char **ret,
                        struct storaged_error *err)
{
        const char *dot = filename ? strrchr(filename, '.') : NULL, *configured = storage_config_get(s, "format");
        uint32_t by_name = dot ? format_from_string(dot + 1) : 0, format;

        if (by_name && wish && by_name != format_from_string(wish))
                return error_set_param(err, -EINVAL, "format", "format '%s' does not go with the file name '%s'", wish,
                                       filename);
        if (!by_name && s->type->naming == STORAGED_NAMING_LVM && filename && *filename && !wish)
                by_name = STORAGED_FORMAT_RAW;
        format = by_name      ? by_name
                 : wish       ? format_from_string(wish)
                 : configured ? format_from_string(configured)
                 : s->type->naming == STORAGED_NAMING_LVM && has_flag(s, "snapshot-as-volume-chain")
                         ? STORAGED_FORMAT_QCOW2
                         : s->type->default_format;
        if (!(format & s->type->formats))
                return error_set_param(err, -EINVAL, "format", "storage '%s' of type '%s' has no format '%s'", s->id,
                                       s->type_name,
                                       wish  ? wish
                                       : dot ? dot + 1
                                             : "");
        *ret = format_to_string(format);
        return 0;
}

static int prepare_alloc(VolumeJob *j, const StorageConfig *s, struct storaged_error *err)
{
        AUTO_JSON *args = json_object_new_object();
        const char *filename = json_get_string(j->args, "filename"), *format = NULL;
        uint64_t bytes = json_get_uint(j->args, "size", 0);
        int r;

        r = alloc_format(s, filename, json_get_string(j->args, "format"), &format, err);
        if (r < 0)
                return r;
        if (bytes == 0 && !str_eq(format, "subvol"))
                return error_set_param(err, -EINVAL, "size", "a volume of format '%s' can't have the size 0", format);
        r = json_add_int(args, "vmid", json_get_int(j->args, "vmid", 0));
        if (r >= 0 && filename && *filename)
                r = json_add_string(args, "name", filename);
        if (r >= 0)
                r = json_add_string(args, "format", format);
        if (r >= 0)
                r = json_add_uint(args, "size", bytes);
        if (r < 0)
                return error_set(err, r, "alloc: out of memory");
        json_object_put(j->args);
        j->args = TAKE(args);
        return 0;
}

/* Images of containers are listed as rootdir: who is one is known from the guests' configurations. */
static int prepare_list(VolumeJob *j, struct storaged_error *err)
{
        Core *c = j->core;
        AUTO(freep) uint32_t *vmids = NULL;
        AUTO_JSON *array = NULL;
        size_t n = 0;
        int r = guard_get_silence_usec() > 0 ? -ETIMEDOUT
                                             : guests_container_vmids(&c->paths, GUESTS_GLANCE, &vmids, &n);

        if (r == -ETIMEDOUT || r == -ENOTCONN) { /* what was known last is better than no list */
                r = 0;
        } else if (r >= 0) {
                free(c->containers);
                c->containers = TAKE(vmids);
                c->n_containers = n;
        }
        if (r < 0)
                return error_set(err, r, "list: can't read which guests are containers: %s", fs_strerror(r));
        if (c->n_containers == 0)
                return 0;
        array = json_object_new_array();
        for (size_t i = 0; i < c->n_containers && r >= 0; i++)
                r = json_object_array_add(array, json_object_new_int64(c->containers[i]));
        if (r >= 0)
                r = json_add(j->args, "ct_vmids", TAKE(array));
        return r < 0 ? error_set(err, r, "list: out of memory") : 0;
}

static void on_protected_set(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        (void) body;
        (void) len;
        volume_job_end(userdata, NULL, err);
}

static void on_notes_set(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        VolumeJob *j = userdata;

        (void) body;
        (void) len;
        if (err || !json_get(j->args, "protected"))
                volume_job_end(j, NULL, err);
        else if (volume_job_submit(j, "set_protected", on_protected_set, &failure) < 0)
                volume_job_end(j, NULL, &failure);
}

static void attributes_begin(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = 0;

        if (json_get(j->args, "notes"))
                r = volume_job_submit(j, "set_notes", on_notes_set, &err);
        else if (json_get(j->args, "protected"))
                r = volume_job_submit(j, "set_protected", on_protected_set, &err);
        else
                volume_job_end(j, NULL, NULL);
        if (r < 0)
                volume_job_end(j, NULL, &err);
}

/* --- the beginning */

static int volume_check_name(const VolumeJob *j, const StorageConfig *s, struct storaged_error *err)
{
        struct storaged_volname name;
        int r;

        if (!volume_op_has(j->op, OP_VOLUME))
                return 0;
        if (!j->volname[0])
                return error_set_param(err, -EINVAL, "volume", "no volume was named");
        r = volname_parse(s->type->naming, j->volname, &name, err);
        if (r < 0)
                (void) snprintf(err->param, sizeof(err->param), "%s", "volume");
        return r;
}

/* A new snapshot's name; one that is looked up may have been given by another tool. */
static int check_snapshot_name(const VolumeJob *j, enum volume_op op, struct storaged_error *err)
{
        const char *name = json_get_string(j->args, "snapshot");

        if (op != VOLUME_SNAPSHOT || (name && snapshot_name_is_valid(name)))
                return 0;
        return error_set_param(err, -EINVAL, "snapname",
                               "'%s' can't be a snapshot's name: a letter, then letters, digits, - or _, 2 to 40 in "
                               "all, not 'current'",
                               name ? name : "");
}

static int job_check(VolumeJob *j, const VolumeCall *call, struct storaged_error *err)
{
        const StorageConfig *s = core_find_usable(j->core, j->storage, err);
        int r;

        if (!s && volume_op_has(j->op, OP_PURE)) {
                s = config_find(j->core->config, j->storage);
                if (!s || !s->type || !s->type->has_plugin || s->broken)
                        return err->code;
        }
        if (!s)
                return err->code;
        r = volume_check_name(j, s, err);
        if (r < 0)
                return r;
        if (j->op->schema_op >= 0 && !type_has_op(s->type, (unsigned) j->op->schema_op))
                return error_set(err, -EOPNOTSUPP, "storage '%s': type '%s' does not support '%s'", s->id, s->type_name,
                                 j->op->name);
        r = check_snapshot_name(j, call->op, err);
        if (r >= 0 && (volume_op_has(j->op, OP_LOCKED) || volume_op_has(j->op, OP_USAGE)))
                r = node_check_quorum(j->core, s, err);
        if (r < 0)
                return r;
        if (call->op == VOLUME_ALLOC)
                return prepare_alloc(j, s, err);
        if (call->op == VOLUME_LIST)
                return prepare_list(j, err);
        if (volume_op_has(j->op, OP_READS)) {
                r = volume_use_begin(j->core, j->storage, j->volname, j->op->name, &j->use);
                if (r < 0)
                        return error_set(err, r, "out of memory");
        }
        return 0;
}

/* A stream whose other end is on another node, node://NODE/TOKEN: the worker gets one end of a pair, the other is sent.
 */
static int job_open_stream(VolumeJob *j, const VolumeCall *call, struct storaged_error *err)
{
        const char *url = json_get_string(j->args, call->op == VOLUME_EXPORT ? "to" : "from");
        const char *node = url ? str_skip(url, "node://") : NULL, *slash = node ? strchr(node, '/') : NULL;
        AUTO(freep) char *name = NULL;
        AUTO(closep) int ours = -EBADF;
        int r;

        if ((call->op != VOLUME_EXPORT && call->op != VOLUME_IMPORT && call->op != VOLUME_IMPORT_DIFFERENCE) || !slash)
                return 0;
        name = strndup(node, (size_t) (slash - node));
        r = name ? stream_pair(&j->stream_fd, &ours) : -ENOMEM;
        if (r < 0)
                return error_set(err, r, "can't make a stream: %s", strerror(-r));
        if (call->op == VOLUME_EXPORT)
                r = stream_send(j->core, name, slash + 1, ours, err);
        else if ((r = stream_offer(j->core, slash + 1, ours)) < 0)
                (void) error_set(err, r, "can't take a stream: %s", strerror(-r));
        if (r >= 0)
                (void) TAKE_FD(ours);
        return r;
}

static int job_new(Core *c, const VolumeCall *call, reply_fn fn, void *userdata, VolumeJob **ret)
{
        VolumeJob *j = calloc(1, sizeof(*j));
        int r = 0;

        if (!j)
                return -ENOMEM;
        *j = (VolumeJob){
                .core = c, .op = &volume_ops[call->op], .is_sync = call->is_sync, .fn = fn, .userdata = userdata
        };
        j->stream_fd = -EBADF;
        j->storage = strdup(call->storage);
        j->volname = strdup(call->volname ? call->volname : "");
        j->user = strdup(call->user ? call->user : "root@pam");
        if (!j->storage || !j->volname || !j->user ||
            (call->args ? json_object_deep_copy(call->args, &j->args, NULL) < 0
                        : !(j->args = json_object_new_object())))
                r = -ENOMEM;
        if (r >= 0 && volume_op_has(j->op, OP_VOLUME))
                r = json_add_string(j->args, "volume", j->volname);
        if (r < 0) {
                job_free(j);
                return r;
        }
        *ret = j;
        return 0;
}

void volume_call(Core *c, const VolumeCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        VolumeJob *j = NULL;

        if (job_new(c, call, fn, userdata, &j) < 0) {
                (void) error_set(&err, -ENOMEM, "out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        if (job_check(j, call, &err) < 0 || job_open_stream(j, call, &err) < 0 ||
            (j->op->task && !call->is_part && volume_job_open_task(j, &err) < 0)) {
                volume_job_end(j, NULL, &err);
                return;
        }
        if (call->op == VOLUME_COPY)
                volume_copy_begin(j);
        else
                job_lock(j);
}

/* --- what a name means */

static int add_or_null(json_object *o, const char *key, const char *value)
{
        return value && *value ? json_add_string(o, key, value) : json_add(o, key, NULL);
}

/* As Proxmox VE says it: what is no image is raw bytes; the format column of a listing tells more. */
static const char *info_format(const struct storaged_volname *v)
{
        const uint32_t files =
                STORAGED_CONTENT_ISO | STORAGED_CONTENT_VZTMPL | STORAGED_CONTENT_BACKUP | STORAGED_CONTENT_SNIPPETS;
        bool is_pbs = str_skip(v->format, "pbs-") != NULL;

        return (v->content & files) && !is_pbs ? "raw" : v->format;
}

static int info_to_json(const char *volid, const char *storage, const struct storaged_volname *v, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        int r;

        r = json_add_string(o, "volid", volid);
        if (r >= 0)
                r = json_add_string(o, "storage", storage);
        if (r >= 0)
                r = json_add_string(o, "volname", v->volname);
        if (r >= 0)
                r = json_add_string(o, "vtype", content_to_string(v->content));
        if (r >= 0)
                r = add_or_null(o, "name", v->name);
        if (r >= 0)
                r = v->vmid ? json_add_int(o, "vmid", v->vmid) : json_add(o, "vmid", NULL);
        if (r >= 0)
                r = add_or_null(o, "basename", v->basename);
        if (r >= 0)
                r = v->basevmid ? json_add_int(o, "basevmid", v->basevmid) : json_add(o, "basevmid", NULL);
        if (r >= 0)
                r = json_add_int(o, "isBase", v->is_base);
        if (r >= 0)
                r = add_or_null(o, "format", info_format(v));
        if (r < 0)
                return r;
        *ret = TAKE(o);
        return 0;
}

int volume_info(Core *c, const char *volid, json_object **ret, struct storaged_error *err)
{
        char storage[STORAGE_ID_MAX];
        struct storaged_volname name;
        const StorageConfig *s;
        const char *volname;
        int r;

        r = volid_split(volid, storage, &volname, err);
        if (r < 0)
                return r;
        s = config_find(c->config, storage);
        if (!s)
                return error_set_param(err, -ENOENT, "volume", "storage '%s' does not exist", storage);
        if (!s->type)
                return error_set_param(err, -EOPNOTSUPP, "volume", "storage '%s' is of the unknown type '%s'", storage,
                                       s->type_name);
        r = volname_parse(s->type->naming, volname, &name, err);
        if (r < 0) {
                (void) snprintf(err->param, sizeof(err->param), "%s", "volume");
                return r;
        }
        r = info_to_json(volid, storage, &name, ret);
        return r < 0 ? error_set(err, r, "out of memory") : 0;
}
