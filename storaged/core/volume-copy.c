/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying a volume to a storage, of whatever type: one worker exports a stream, another imports it, a
 * socketpair joins them; the daemon only watches. Where the copy is for another node the importer is that
 * node's (far-import.c). The stream's format is the first that the source can give and the target can
 * take. The job ends when both workers have; the first failure is the reason.
 */
#include "core/volume-job.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "core/far-import.h"
#include "core/nodes.h"
#include "core/task.h"
#include "wire/json.h"
#include "wire/volname.h"

#define STAT_TIMEOUT_USEC (20 * USEC_PER_SEC)

typedef struct Copy {
        VolumeJob *job;
        char *target_storage, *target_volname; /* volname NULL: derived from the source */
        char *node;                            /* that gets it; NULL: this one */
        char *stream;
        OneShot *exporter, *importer;
        FarImport *far; /* the importer of another node */
        bool with_snapshots;
        unsigned n_running;
        json_object *result;
        struct storaged_error error; /* the first */
        sd_event_source *cancel;     /* deferred: a worker is never cancelled from within its own callback */
} Copy;

static void copy_end(Copy *copy)
{
        struct storaged_error err = copy->error;
        AUTO_JSON *result = TAKE(copy->result);
        VolumeJob *j = copy->job;

        (void) sd_event_source_disable_unref(copy->cancel);
        free(copy->target_storage);
        free(copy->target_volname);
        free(copy->node);
        free(copy->stream);
        free(copy);
        volume_job_end(j, result, err.code ? &err : NULL);
}

static void copy_stop_workers(Copy *copy)
{
        if (copy->exporter)
                oneshot_cancel(copy->exporter);
        if (copy->importer)
                oneshot_cancel(copy->importer);
        if (copy->far)
                far_import_cancel(copy->far);
}

static int on_deferred_cancel(sd_event_source *source, void *userdata)
{
        (void) source;
        copy_stop_workers(userdata);
        return 0;
}

static void copy_note(Copy *copy, const struct storaged_error *err)
{
        if (!err || copy->error.code)
                return;
        copy->error = *err;
        if (copy->n_running > 0 && !copy->cancel)
                (void) sd_event_add_defer(copy->job->core->event, &copy->cancel, on_deferred_cancel, copy);
}

static void copy_part_over(Copy *copy, const struct storaged_error *err)
{
        copy->n_running--;
        copy_note(copy, err);
        if (copy->n_running == 0)
                copy_end(copy);
}

static void on_exported(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Copy *copy = userdata;

        (void) body;
        (void) len;
        copy->exporter = NULL;
        copy_part_over(copy, err);
}

static void on_imported(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Copy *copy = userdata;
        AUTO_JSON *o = NULL;
        AUTO(freep) char *volid = NULL;

        copy->importer = NULL;
        if (!err && json_parse(body, len, &o) >= 0 && json_get_string(o, "volume") &&
            str_printf(&volid, "%s:%s", copy->target_storage, json_get_string(o, "volume")) >= 0) {
                copy->result = json_object_new_string(volid);
                task_log(copy->job->task, "successfully imported '%s'", volid);
        }
        copy_part_over(copy, err);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total)
{
        Copy *copy = userdata;

        task_progress(copy->job->task, done, total);
}

static void on_cancel(void *userdata)
{
        Copy *copy = userdata;

        copy_stop_workers(copy);
}

/* --- which stream, which name */

static bool words_have(const char *words, const char *word)
{
        StrList list = STRLIST_INIT;
        bool found = words && strlist_split(&list, words, " ") >= 0 && strlist_has(&list, word);

        strlist_deinit(&list);
        return found;
}

/* What the target could take: any stream that it gives for one of its own formats. */
static bool type_takes(const Type *t, const char *stream, bool with_snapshots)
{
        for (size_t i = 0; i < t->n_features; i++)
                if (words_have(with_snapshots ? t->features[i].exports_with_snapshots : t->features[i].exports, stream))
                        return true;
        return false;
}

/* The whole file with its snapshots where both know its format and it leans on no other; else its contents. */
static int copy_pick_stream(Copy *copy, const Type *from, const Type *to, json_object *row, bool *ret_with_snapshots,
                            struct storaged_error *err)
{
        const char *format = json_get_string(row, "format");
        const Feature *f = type_find_feature(from, format, false);
        StrList words = STRLIST_INIT;
        int r = 0;

        if (!f)
                return error_set(err, -EOPNOTSUPP, "volume of format '%s' can't be copied", format ? format : "?");
        *ret_with_snapshots =
                !json_get_string(row, "parent") && f->exports_with_snapshots && *f->exports_with_snapshots;
        if (*ret_with_snapshots)
                r = strlist_split(&words, f->exports_with_snapshots, " ");
        for (size_t i = 0; i < words.n && !copy->stream; i++)
                if (type_takes(to, words.items[i], true))
                        copy->stream = strdup(words.items[i]);
        if (!copy->stream) {
                *ret_with_snapshots = false;
                strlist_deinit(&words);
                r = strlist_split(&words, f->exports ? f->exports : "", " ");
                for (size_t i = 0; i < words.n && !copy->stream; i++)
                        if (type_takes(to, words.items[i], false))
                                copy->stream = strdup(words.items[i]);
        }
        strlist_deinit(&words);
        if (r < 0 || copy->stream)
                return r < 0 ? error_set(err, r, "out of memory") : 0;
        return error_set(err, -EOPNOTSUPP, "no stream format that type '%s' gives for '%s' is known to type '%s'",
                         from->name, format, to->name);
}

/* The source's name in the target's naming: a template becomes a volume of its own. */
static int copy_derive_name(Copy *copy, const Type *from, const Type *to, struct storaged_error *err)
{
        const char *extension = copy->stream, *rest;
        struct storaged_volname v;
        char *dot;
        int r;

        r = volname_parse(from->naming, copy->job->volname, &v, err);
        if (r < 0)
                return r;
        if (!(v.content & (STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR))) {
                if (to->naming != from->naming)
                        return error_set(err, -EOPNOTSUPP,
                                         "'%s' can only be copied to a storage of files, not to type '%s'",
                                         copy->job->volname, to->name);
                copy->target_volname = strdup(copy->job->volname);
                return copy->target_volname ? 0 : error_set(err, -ENOMEM, "out of memory");
        }
        dot = from->naming == STORAGED_NAMING_FILE ? strrchr(v.name, '.') : NULL;
        if (dot)
                *dot = '\0';
        rest = str_skip(v.name, "base-");
        if (to->naming != STORAGED_NAMING_FILE)
                r = str_printf(&copy->target_volname, "%s%s", rest ? "vm-" : "", rest ? rest : v.name);
        else
                r = str_printf(&copy->target_volname, "%u/%s%s.%.*s", v.vmid, rest ? "vm-" : "", rest ? rest : v.name,
                               (int) strcspn(extension, "+"), str_eq(extension, "tar+size") ? "subvol" : extension);
        return r < 0 ? error_set(err, r, "out of memory") : 0;
}

/* --- the work */

static json_object *copy_args(const Copy *copy, const char *volname, bool with_snapshots, bool allow_rename)
{
        AUTO_JSON *o = json_object_new_object();
        int r;

        r = json_add_string(o, "volume", volname);
        if (r >= 0)
                r = json_add_string(o, "format", copy->stream);
        if (r >= 0 && with_snapshots)
                r = json_add(o, "with_snapshots", json_object_new_boolean(true));
        if (r >= 0 && allow_rename)
                r = json_add(o, "allow_rename", json_object_new_boolean(true));
        return r < 0 ? NULL : TAKE(o);
}

static int copy_export(Copy *copy, int fd, struct storaged_error *err)
{
        const StorageConfig *from = core_find_usable(copy->job->core, copy->job->storage, err);
        AUTO_JSON *args = copy_args(copy, copy->job->volname, copy->with_snapshots, false);
        StorageCall call = {
                .op = "export", .args = args, .fd = fd, .needs_activation = true, .done = on_exported, .userdata = copy
        };
        int r;

        if (!from)
                return err->code;
        if (!args)
                return error_set(err, -ENOMEM, "out of memory");
        r = oneshot_run(copy->job->core, from->type, from, &call, &copy->exporter, err);
        if (r >= 0)
                copy->n_running++;
        return r;
}

static int on_far_ready(void *userdata, int fd, struct storaged_error *err)
{
        AUTO(closep) int mine = fd;

        return copy_export(userdata, mine, err);
}

static void on_far_imported(void *userdata, const char *volid, const struct storaged_error *err)
{
        Copy *copy = userdata;

        copy->far = NULL;
        if (!err) {
                copy->result = json_object_new_string(volid);
                task_log(copy->job->task, "successfully imported '%s' on node '%s'", volid, copy->node);
        } else if (copy->error.code == -EPIPE || copy->error.code == -ECONNRESET) {
                copy->error = *err; /* the export only saw that nobody took it any more */
        }
        copy_part_over(copy, err);
}

static int copy_start_far(Copy *copy, bool allow_rename, struct storaged_error *err)
{
        FarImportCall call = { .node = copy->node,
                               .storage = copy->target_storage,
                               .volname = copy->target_volname,
                               .format = copy->stream,
                               .user = copy->job->user,
                               .with_snapshots = copy->with_snapshots,
                               .allow_rename = allow_rename,
                               .feed = on_far_ready,
                               .progress = on_progress,
                               .done = on_far_imported,
                               .userdata = copy };
        int r = far_import_begin(&copy->far, copy->job->core, &call, err);

        if (r >= 0)
                copy->n_running++;
        return r;
}

static int copy_start_workers(Copy *copy, const StorageConfig *to, bool allow_rename, struct storaged_error *err)
{
        AUTO_JSON *import_args = copy_args(copy, copy->target_volname, copy->with_snapshots, allow_rename);
        StorageCall import_call = { .op = "import",
                                    .args = import_args,
                                    .needs_activation = true,
                                    .done = on_imported,
                                    .progress = on_progress,
                                    .userdata = copy };
        AUTO(closep) int out = -EBADF;
        AUTO(closep) int in = -EBADF;
        int fds[2], r;

        if (!import_args)
                return error_set(err, -ENOMEM, "out of memory");
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_set(err, -errno, "can't make a socketpair: %m");
        out = fds[0];
        in = import_call.fd = fds[1];
        r = oneshot_run(copy->job->core, to->type, to, &import_call, &copy->importer, err);
        if (r < 0)
                return r;
        copy->n_running++;
        return copy_export(copy, out, err);
}

/* The target as far as this node can tell; on another node it is that one's to say whether it can be used. */
static const StorageConfig *copy_find_target(const Copy *copy, struct storaged_error *err)
{
        Core *c = copy->job->core;
        const StorageConfig *to;

        if (!copy->node)
                return core_find_usable(c, copy->target_storage, err);
        to = config_find(c->config, copy->target_storage);
        if (!to)
                (void) error_set_param(err, -ENOENT, "target", "storage '%s' does not exist", copy->target_storage);
        else if (!to->type || !to->type->has_plugin)
                (void) error_set_param(err, -EOPNOTSUPP, "target",
                                       "storage '%s': no plugin for type '%s' is installed on node '%s'",
                                       copy->target_storage, to->type_name, c->node);
        else if (!storage_config_is_enabled_on(to, copy->node))
                (void) error_set_param(err, -EINVAL, "target", "storage '%s' is not available on node '%s'",
                                       copy->target_storage, copy->node);
        else
                return to;
        return NULL;
}

static int copy_plan_and_start(Copy *copy, json_object *row, struct storaged_error *err)
{
        const StorageConfig *from = core_find_usable(copy->job->core, copy->job->storage, err);
        const StorageConfig *to = from ? copy_find_target(copy, err) : NULL;
        bool is_named = copy->target_volname != NULL;
        int r;

        if (!to)
                return err->code;
        r = node_check_quorum(copy->job->core, to, err);
        if (r < 0)
                return r;
        r = copy_pick_stream(copy, from->type, to->type, row, &copy->with_snapshots, err);
        if (r >= 0 && !is_named)
                r = copy_derive_name(copy, from->type, to->type, err);
        if (r < 0)
                return r;
        task_log(copy->job->task, "copy to '%s:%s'%s%s as %s", copy->target_storage, copy->target_volname,
                 copy->node ? " on node " : "", copy->node ? copy->node : "", copy->stream);
        r = copy->node ? copy_start_far(copy, !is_named, err) : copy_start_workers(copy, to, !is_named, err);
        if (r >= 0)
                task_on_cancel(copy->job->task, on_cancel, copy); /* at once if that was asked for meanwhile */
        return r;
}

static void on_stat(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        Copy *copy = userdata;
        AUTO_JSON *row = NULL;

        if (!err && json_parse(body, len, &row) < 0)
                (void) error_set(&failure, -EPROTO, "storage '%s': its worker's answer can't be read",
                                 copy->job->storage);
        else if (err)
                failure = *err;
        else
                (void) copy_plan_and_start(copy, row, &failure);
        if (failure.code == 0)
                return;
        copy_note(copy, &failure);
        if (copy->n_running == 0)
                copy_end(copy);
}

static int copy_parse_target(Copy *copy, struct storaged_error *err)
{
        const char *target = json_get_string(copy->job->args, "target"), *volname = NULL;
        const char *node = json_get_string(copy->job->args, "target_node");
        char id[STORAGE_ID_MAX];
        int r;

        r = node ? node_locate(copy->job->core, "target_node", node, err) : 0;
        if (r < 0)
                return r;
        if (r == NODE_E_OTHER && !(copy->node = strdup(node)))
                return error_set(err, -ENOMEM, "out of memory");

        if (!target || !*target)
                return error_set_param(err, -EINVAL, "target", "no target storage or volume was named");
        if (strchr(target, ':')) {
                r = volid_split(target, id, &volname, err);
                if (r < 0) {
                        (void) snprintf(err->param, sizeof(err->param), "%s", "target");
                        return r;
                }
                copy->target_volname = strdup(volname);
        }
        copy->target_storage = strdup(volname ? id : target);
        if (!copy->target_storage || (volname && !copy->target_volname))
                return error_set(err, -ENOMEM, "out of memory");
        return copy_find_target(copy, err) ? 0 : err->code;
}

void volume_copy_begin(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Copy *copy = calloc(1, sizeof(*copy));
        AUTO_JSON *args = json_object_new_object();
        StorageCall stat_call = { .op = "stat",
                                  .args = args,
                                  .fd = -1,
                                  .timeout_usec = STAT_TIMEOUT_USEC,
                                  .needs_activation = true,
                                  .done = on_stat };
        const StorageConfig *from = core_find_usable(j->core, j->storage, &err);
        int r = -ENOMEM;

        if (!copy) {
                (void) error_set(&err, r, "out of memory");
                volume_job_end(j, NULL, &err);
                return;
        }
        copy->job = j;
        copy->error = (struct storaged_error) STORAGED_ERROR_INIT;
        stat_call.userdata = copy;
        r = from ? copy_parse_target(copy, &err) : err.code;
        if (r >= 0)
                r = json_add_string(args, "volume", j->volname);
        if (r >= 0)
                r = storage_submit(j->core, from, &stat_call, &err);
        if (r < 0) {
                copy_note(copy, err.code ? &err : NULL);
                copy_end(copy);
        }
}
