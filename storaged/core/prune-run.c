/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pruning a storage: list its backups, mark them (prune.c), and either answer with the marks or free what they say,
 * one after the other, as a task. A backup that can't be removed is told in the log and does not stop the others; the
 * task fails in the end. Only names of vzdump's form (pvesm.md section 1) are ever candidates.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "core/backup-name.h"
#include "core/prune.h"
#include "core/task.h"
#include "core/volume.h"
#include "wire/json.h"

typedef struct Candidate {
        char *volid;
        char group[32]; /* qemu/100 */
        BackupName name;
        bool is_protected;
        const char *mark;
} Candidate;

typedef struct PruneRun {
        Core *core;
        char *storage, *user, *type;
        uint32_t vmid;
        PruneRule rule;
        bool is_dry_run;
        reply_fn fn; /* NULL once answered */
        void *userdata;
        Task *task;
        VEC(Candidate) candidates;
        size_t next, n_removed, n_failed, n_to_remove;
        bool is_cancelled, is_stepping, is_answered; /* the last two: no recursion however fast a removal is */
} PruneRun;

static PruneRun *run_free(PruneRun *run)
{
        if (!run)
                return NULL;
        for (size_t i = 0; i < run->candidates.n; i++)
                free(run->candidates.items[i].volid);
        VEC_DEINIT(&run->candidates);
        free(run->storage);
        free(run->user);
        free(run->type);
        free(run);
        return NULL;
}
DEFINE_CLEANUP(PruneRun *, run_free)

/* The one end: closes the task, answers unless that has happened. */
static void run_end(PruneRun *run, json_object *data, const struct storaged_error *err)
{
        reply_fn fn = run->fn;
        void *userdata = run->userdata;
        Reply reply = { .data = data };

        if (run->task)
                task_finish(run->task, err);
        (void) run_free(run);
        if (fn)
                fn(userdata, err ? NULL : &reply, err);
}

static int run_add(PruneRun *run, json_object *row)
{
        const char *volid = json_get_string(row, "volid"), *slash;
        const char *volname = volid ? str_skip(volid, run->storage) : NULL;
        Candidate c = { 0 };
        int r;

        if (!volname || *volname != ':' || !str_eq(json_get_string(row, "content"), "backup"))
                return 0;
        slash = strrchr(volid, '/');
        c.is_protected = json_get_bool(row, "protected", false);
        backup_name_parse(slash ? slash + 1 : volid, &c.name);
        if (c.name.vmid == 0)
                c.name.vmid = (uint32_t) json_get_uint(row, "vmid", 0);
        if (!c.name.is_standard)
                c.name.ctime = json_get_int(row, "ctime", 0);
        if ((run->type && strcmp(run->type, c.name.type) != 0) || (run->vmid && run->vmid != c.name.vmid))
                return 0;
        (void) snprintf(c.group, sizeof(c.group), "%s/%u", c.name.type, c.name.vmid);
        c.volid = strdup(volid);
        if (!c.volid)
                return -ENOMEM;
        r = VEC_PUSH(&run->candidates, c);
        if (r < 0)
                free(c.volid);
        return r;
}

/* As the table of pvesm shows them: by guest, then by time. */
static int candidate_compare(const void *a, const void *b)
{
        const Candidate *x = a, *y = b;

        if (x->name.vmid != y->name.vmid)
                return x->name.vmid < y->name.vmid ? -1 : 1;
        if (x->name.ctime != y->name.ctime)
                return x->name.ctime < y->name.ctime ? -1 : 1;
        return strcmp(x->volid, y->volid);
}

static int run_mark(PruneRun *run)
{
        size_t n = run->candidates.n;
        AUTO(freep) PruneBackup *backups = calloc(n ? n : 1, sizeof(*backups));

        if (!backups)
                return -ENOMEM;
        if (n > 0)
                qsort(run->candidates.items, n, sizeof(Candidate), candidate_compare);
        for (size_t i = 0; i < n; i++) {
                const Candidate *c = &run->candidates.items[i];

                backups[i] = (PruneBackup){ c->volid, c->name.is_standard ? c->group : NULL, c->name.ctime,
                                            c->is_protected, NULL };
        }
        prune_mark(&run->rule, backups, n);
        for (size_t i = 0; i < n; i++) {
                run->candidates.items[i].mark = backups[i].mark;
                run->n_to_remove += str_eq(backups[i].mark, "remove");
        }
        return 0;
}

static int row_add(json_object *rows, const Candidate *c)
{
        AUTO_JSON *o = json_object_new_object();
        int r = o ? json_add_string(o, "volid", c->volid) : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "type", c->name.type);
        if (r >= 0 && c->name.vmid)
                r = json_add_uint(o, "vmid", c->name.vmid);
        if (r >= 0)
                r = json_add_int(o, "ctime", c->name.ctime);
        if (r >= 0)
                r = json_add_string(o, "mark", c->mark);
        if (r >= 0 && json_object_array_add(rows, o) < 0)
                r = -ENOMEM;
        if (r >= 0)
                (void) TAKE(o);
        return r;
}

static void run_show(PruneRun *run)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *rows = json_object_new_array();
        int r = rows ? 0 : -ENOMEM;

        for (size_t i = 0; i < run->candidates.n && r >= 0; i++)
                r = row_add(rows, &run->candidates.items[i]);
        if (r < 0)
                (void) error_set(&err, r, "out of memory");
        run_end(run, rows, r < 0 ? &err : NULL);
}

static void run_step(PruneRun *run);

static void on_freed(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        PruneRun *run = userdata;
        const Candidate *c = &run->candidates.items[run->next - 1];

        (void) reply;
        if (err) {
                task_log(run->task, "can't remove '%s': %s", c->volid, err->text);
                run->n_failed++;
        } else {
                run->n_removed++;
        }
        task_progress(run->task, run->n_removed + run->n_failed, run->n_to_remove);
        run->is_answered = true;
        if (!run->is_stepping)
                run_step(run);
}

static void run_done(PruneRun *run)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (run->is_cancelled)
                (void) error_set(&err, -ECANCELED, "stopped after %zu of %zu backups", run->n_removed,
                                 run->n_to_remove);
        else if (run->n_failed > 0)
                (void) error_set(&err, -EIO, "%zu of %zu backups could not be removed, see the log", run->n_failed,
                                 run->n_to_remove);
        run_end(run, NULL, err.code ? &err : NULL);
}

/* The next removal; loops for those that are answered at once. */
static void run_step(PruneRun *run)
{
        run->is_stepping = true;
        do {
                const Candidate *c;
                VolumeCall call;

                run->is_answered = false;
                while (run->next < run->candidates.n && !str_eq(run->candidates.items[run->next].mark, "remove"))
                        run->next++;
                if (run->is_cancelled || run->next >= run->candidates.n) {
                        run_done(run);
                        return;
                }
                c = &run->candidates.items[run->next++];
                task_log(run->task, "removing '%s'", c->volid);
                call = (VolumeCall){ .op = VOLUME_FREE,
                                     .storage = run->storage,
                                     .volname = c->volid + strlen(run->storage) + 1,
                                     .user = run->user,
                                     .is_part = true,
                                     .is_sync = true };
                volume_call(run->core, &call, on_freed, run);
        } while (run->is_answered);
        run->is_stepping = false;
}

static int run_take_rows(PruneRun *run, const Reply *reply, struct storaged_error *err)
{
        AUTO_JSON *parsed = NULL;
        json_object *rows = reply->data;
        int r = 0;

        if (reply->raw) {
                r = json_parse(reply->raw, reply->raw_len, &parsed);
                rows = parsed;
        }
        if (r < 0 || !json_object_is_type(rows, json_type_array))
                return error_set(err, -EPROTO, "storage '%s': its list of backups can't be understood", run->storage);
        for (size_t i = 0; i < json_object_array_length(rows) && r >= 0; i++)
                r = run_add(run, json_object_array_get_idx(rows, i));
        if (r >= 0)
                r = run_mark(run);
        return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static void on_list(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        PruneRun *run = userdata;

        if (!err && run_take_rows(run, reply, &failure) < 0)
                err = &failure;
        if (err) {
                failure = *err;
                run_end(run, NULL, &failure);
                return;
        }
        if (run->is_dry_run) {
                run_show(run);
                return;
        }
        for (size_t i = 0; i < run->candidates.n; i++)
                if (!str_eq(run->candidates.items[i].mark, "remove"))
                        task_log(run->task, "%s '%s'", run->candidates.items[i].mark, run->candidates.items[i].volid);
        run_step(run);
}

static void on_cancel(void *userdata)
{
        ((PruneRun *) userdata)->is_cancelled = true; /* after the removal that is under way */
}

static int run_open_task(PruneRun *run, struct storaged_error *err)
{
        AUTO_JSON *upid = NULL;
        AUTO(freep) char *id = NULL;
        Reply reply;
        int r;

        r = run->vmid ? str_printf(&id, "%u@%s", run->vmid, run->storage) : str_printf(&id, "%s", run->storage);
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = task_new(run->core->tasks, "prunebackups", id, run->user, &run->task, err);
        if (r < 0)
                return r;
        task_on_cancel(run->task, on_cancel, run);
        upid = json_object_new_string(task_get_upid(run->task));
        reply = (Reply){ .data = upid };
        run->fn(run->userdata, &reply, NULL);
        run->fn = NULL;
        return 0;
}

static int run_new(Core *core, const PruneCall *call, reply_fn fn, void *userdata, PruneRun **ret,
                   struct storaged_error *err)
{
        AUTO(run_freep) PruneRun *run = calloc(1, sizeof(*run));
        const StorageConfig *s = core_find_usable(core, call->storage, err);
        const char *rule = call->rule;
        int r;

        if (!run)
                return error_set(err, -ENOMEM, "out of memory");
        if (!s)
                return err->code;
        if (!rule)
                rule = storage_config_get(s, "prune-backups");
        if (!rule)
                return error_set_param(err, -EINVAL, "prune-backups",
                                       "storage '%s' has no rule which backups to keep; give one, as keep-last=3, or "
                                       "set prune-backups",
                                       call->storage);
        r = prune_rule_parse(rule, &run->rule, err);
        if (r < 0)
                return r;
        run->core = core;
        run->fn = fn;
        run->userdata = userdata;
        run->vmid = call->vmid;
        run->is_dry_run = call->is_dry_run;
        run->storage = strdup(call->storage);
        run->user = strdup(call->user ? call->user : "root@pam");
        run->type = call->type ? strdup(call->type) : NULL;
        if (!run->storage || !run->user || (call->type && !run->type))
                return error_set(err, -ENOMEM, "out of memory");
        *ret = TAKE(run);
        return 0;
}

void prune_call(Core *core, const PruneCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *args = json_object_new_object();
        json_object *contents = json_object_new_array();
        PruneRun *run = NULL;
        VolumeCall list;
        int r;

        r = run_new(core, call, fn, userdata, &run, &err);
        if (r < 0) {
                (void) json_object_put(contents);
                fn(userdata, NULL, &err);
                return;
        }
        r = args && contents ? json_object_array_add(contents, json_object_new_string("backup")) : -ENOMEM;
        r = r < 0 ? -ENOMEM : json_add(args, "contents", TAKE(contents));
        if (r >= 0 && run->vmid)
                r = json_add_uint(args, "vmid", run->vmid);
        (void) json_object_put(contents);
        if (r < 0)
                (void) error_set(&err, r, "out of memory");
        else if (!run->is_dry_run)
                r = run_open_task(run, &err);
        if (r < 0) {
                run_end(run, NULL, &err);
                return;
        }
        list = (VolumeCall){ .op = VOLUME_LIST, .storage = run->storage, .args = args, .user = run->user };
        volume_call(core, &list, on_list, run);
}
