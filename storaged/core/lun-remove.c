/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A LUN leaves the cluster: a transaction over all nodes, in the order that loses nothing (reference: os-brick, SM,
 * LXD):
 *
 *   look    nothing uses it, on any node; every node answers
 *   block   no node gives it a map again
 *   flush   what is in caches is written, the maps go
 *   delete  all disks with that WWID go, on all nodes
 *   unmap   the administrator takes it away on the array; here the task ends
 *   prove   every node looks again where it was, and does not find it: then it is gone
 *
 * The journal names the step to do next and is written before it. Steps may be done again: who reads the journal after
 * a crash begins with the block, for a node that has booted since has lost its hold and has its map back. Until all
 * nodes have flushed a refusal takes everything back; later the only way is on, without a node that has died since: it
 * had no map and nothing to write.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cluster/membership.h"
#include "core/lun-journal.h"
#include "core/lun-steps.h"
#include "core/task.h"
#include "wire/json.h"

#define TRIES 6u
#define PAUSE_USEC (5 * USEC_PER_SEC)
#define RESUME_PAUSE_USEC (3 * USEC_PER_SEC)

static void remove_go_on(LunJob *j);

typedef struct RemoveStep {
        const char *name, *action, *next;
        const char *fault; /* passed before the step */
} RemoveStep;

static const RemoveStep steps[] = {
        { "block", "lun-block", "flush", "lun.remove.block" },
        { "flush", "lun-flush", "delete", "lun.remove.flush" },
        { "delete", "lun-delete", "unmap", "lun.remove.delete" },
        { "prove", "lun-prove", NULL, "lun.remove.prove" },
};

static const RemoveStep *step_find(const char *name)
{
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
                if (str_eq(steps[i].name, name))
                        return &steps[i];
        return NULL;
}

static int set_text(json_object *o, const char *key, const char *value)
{
        json_object_object_del(o, key);
        return json_add_string(o, key, value);
}

/* The next step is written down before it is done. */
static int journal_advance(LunJob *j, const char *step, struct storaged_error *err)
{
        if (set_text(j->journal, "step", step) < 0 || set_text(j->journal, "node", j->core->node) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return lun_journal_write(j->core, j->journal, j->lock, err);
}

/* --- nodes that died on the way */

/* Gone by this side's word, and after it had flushed like all others. */
static bool is_done_without(const LunJob *j, const NodeAnswer *a)
{
        const Member *m = membership_find(j->core->members, a->node);

        return json_get_bool(j->journal, "flushed", false) && m && !m->is_online &&
               membership_is_quorate(j->core->members);
}

static const NodeAnswer *find_failure(LunJob *j, const NodeAnswer *answers, size_t n)
{
        const NodeAnswer *first = NULL;

        for (size_t i = 0; i < n; i++) {
                if (answers[i].data)
                        continue;
                task_log(j->task, "%s", answers[i].err.text);
                if (is_done_without(j, &answers[i]))
                        task_log(j->task, "node '%s' had nothing of it left when it went: on without it",
                                 answers[i].node);
                else if (!first)
                        first = &answers[i];
        }
        return first;
}

/* "all nodes", or " but n3, which is down" besides. */
static void say_where(const LunJob *j, StrBuf *b)
{
        size_t n = 0, n_down = 0;
        const Member *members = membership_get_members(j->core->members, &n);

        strbuf_adds(b, "all nodes");
        for (size_t i = 0; i < n; i++)
                if (!members[i].is_online)
                        strbuf_addf(b, "%s%s", n_down++ ? ", " : " but ", members[i].name);
        if (n_down > 0)
                strbuf_adds(b, n_down > 1 ? ", which are down" : ", which is down");
}

/* --- the ends */

static void end_with(LunJob *j, const char *step, const char *message)
{
        AUTO_JSON *o = json_object_new_object();

        (void) json_add_string(o, "wwid", j->wwid);
        (void) json_add_string(o, "step", step);
        (void) json_add_string(o, "message", message); /* pvesm shows it */
        lun_job_end(j, o, NULL);
}

static void on_unblocked(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf message = STRBUF_INIT;
        LunJob *j = userdata;

        (void) lun_job_find_failure(j, answers, n); /* a hold that stays on a dead node ends with its boot */
        if (j->failure.code < 0) {
                err = j->failure;
                lun_job_end(j, NULL, &err);
                return;
        }
        strbuf_adds(&message, "the LUN is gone from ");
        say_where(j, &message);
        end_with(j, "gone", message.data ? message.data : "gone");
}

/* Nothing of it is left to do, in the journal and on the nodes. gone: for good; else all is as it was. */
static void forget(LunJob *j, bool gone)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("lun.remove.forget");

        if (r >= 0)
                r = lun_journal_remove(j->core, j->wwid, j->lock, &err);
        if (r < 0) {
                lun_job_fail(j, r, "%s", err.text[0] ? err.text : strerror(-r));
                return;
        }
        lun_job_arg(j, "wwid", j->wwid);
        lun_job_arg(j, "gone", gone ? "1" : "0");
        lun_job_step(j, "lun-unblock", on_unblocked);
}

/* --- the steps */

static bool is_seen(const NodeAnswer *a)
{
        json_object *seen = json_get(a->data, "seen");

        return seen && json_object_array_length(seen) > 0;
}

/* The array still shows it: what came back goes again, and the administrator is told where. */
static void not_gone(LunJob *j, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf names = STRBUF_INIT;

        for (size_t i = 0; i < n; i++)
                if (is_seen(&answers[i]))
                        strbuf_addf(&names, "%s%s", names.len > 0 ? ", " : "", answers[i].node);
        (void) error_set(&j->failure, -EBUSY,
                         "the array still shows LUN %s to %s; take it away there, then run pvesm lun remove %s again",
                         j->wwid, names.data ? names.data : "?", j->wwid);
        if (journal_advance(j, "block", &err) < 0)
                lun_job_end(j, NULL, &err);
        else
                remove_go_on(j);
}

static void on_step(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        LunJob *j = userdata;
        const RemoveStep *s = step_find(json_get_string(j->journal, "step"));
        const NodeAnswer *failed = find_failure(j, answers, n);
        bool is_flushed = json_get_bool(j->journal, "flushed", false), is_flush = str_eq(s->name, "flush");
        bool is_silent = failed && (failed->err.code == -EHOSTDOWN || failed->err.code == -ETIMEDOUT);

        /* A map may be looked at for a moment; and that a node has died is known some seconds after its silence. */
        if (failed && (is_silent ? is_flushed : is_flush) && ++j->tries < TRIES) {
                lun_job_later(j, PAUSE_USEC, remove_go_on);
                return;
        }
        if (failed && !is_flushed && (is_flush || str_eq(s->name, "block"))) {
                j->failure = failed->err;
                task_log(j->task, "the removal is taken back");
                forget(j, false);
                return;
        }
        if (failed) {
                lun_job_fail(j, failed->err.code, "%s; run pvesm lun remove %s again to go on", failed->err.text,
                             j->wwid);
                return;
        }
        for (size_t i = 0; !s->next && i < n; i++)
                if (is_seen(&answers[i])) {
                        not_gone(j, answers, n);
                        return;
                }
        if (!s->next) {
                forget(j, true);
                return;
        }
        if (is_flush && !is_flushed && json_add_bool01(j->journal, "flushed", true) < 0) {
                lun_job_fail(j, -ENOMEM, "out of memory");
                return;
        }
        if (journal_advance(j, s->next, &err) < 0)
                lun_job_end(j, NULL, &err);
        else
                remove_go_on(j);
}

/* Each node looks where it saw it, all of them wherever one did: targets have the same numbers seldom, so each its own.
 */
static const char *places_text(LunJob *j)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        json_object *places = json_get(j->journal, "places");

        if (json_object_is_type(places, json_type_object)) {
                json_object_object_foreach (places, node, list) {
                        (void) node;
                        strbuf_addf(&b, "%s%s", b.len > 0 ? "," : "", json_object_get_string(list));
                }
        }
        (void) set_text(j->journal, "all_places", b.data ? b.data : "");
        return json_get_string(j->journal, "all_places");
}

static void remove_go_on(LunJob *j)
{
        const char *step = json_get_string(j->journal, "step");
        const RemoveStep *s = step_find(step);
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r;

        if (str_eq(step, "unmap") && j->failure.code < 0) {
                err = j->failure;
                lun_job_end(j, NULL, &err);
                return;
        }
        if (str_eq(step, "unmap") && !json_get_bool(j->journal, "gone", false)) {
                AUTO(strbuf_deinit) StrBuf message = STRBUF_INIT;

                strbuf_adds(&message, "removed from ");
                say_where(j, &message);
                strbuf_adds(&message,
                            "; now take the LUN away on the array, then run the same command again: it proves "
                            "that the LUN is gone");
                end_with(j, "unmap", message.data ? message.data : "unmap");
                return;
        }
        if (str_eq(step, "unmap")) { /* the array was first */
                if (journal_advance(j, "prove", &err) < 0) {
                        lun_job_end(j, NULL, &err);
                        return;
                }
                s = step_find("prove");
        }
        if (!s) {
                lun_job_fail(j, -EINVAL, "the journal of LUN %s names a step '%s' that this version does not know",
                             j->wwid, step ? step : "");
                return;
        }
        r = fault_point(s->fault);
        if (r < 0) {
                lun_job_fail(j, r, "%s: %s", s->name, strerror(-r));
                return;
        }
        task_log(j->task, "%s", s->name);
        lun_job_arg(j, "wwid", j->wwid);
        if (str_eq(s->name, "flush") && json_get_bool(j->journal, "force", false))
                lun_job_arg(j, "force", "1");
        if (str_eq(s->name, "prove"))
                lun_job_arg(j, "places", places_text(j));
        lun_job_step(j, s->action, on_step);
}

/* --- may it go? */

static size_t length_of(json_object *o, const char *key)
{
        json_object *v = json_get(o, key);

        return json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
}

static const char *first_of(json_object *o, const char *key)
{
        return json_object_get_string(json_object_array_get_idx(json_get(o, key), 0));
}

/* What one node does with it; 0: nothing. */
static int check_view(const char *node, json_object *lun, struct storaged_error *err)
{
        const char *wwid = json_get_string(lun, "wwid");

        if (length_of(lun, "mounts") > 0)
                return error_set(err, -EBUSY, "LUN %s is mounted on node %s at %s", wwid, node,
                                 first_of(lun, "mounts"));
        if (length_of(lun, "holders") > 0)
                return error_set(err, -EBUSY, "LUN %s is in use on node %s by %s%s; deactivate what lies on it first",
                                 wwid, node, first_of(lun, "holders"),
                                 length_of(lun, "holders") > 1 ? " and others" : "");
        /* Without a path whoever has it open waits for it; the flush ends that, and says if somebody stays. */
        if (json_get_uint(lun, "n_open", 0) > 0 && json_get_int(lun, "n_active", 0) > 0)
                return error_set(err, -EBUSY, "LUN %s is open on node %s (%llu times); end what uses %s first", wwid,
                                 node, (unsigned long long) json_get_uint(lun, "n_open", 0),
                                 json_get_string(lun, "device"));
        return 0;
}

static int check_nodes(LunJob *j, json_object *row, struct storaged_error *err)
{
        json_object *nodes = json_get(j->matrix, "nodes");

        for (size_t i = 0; nodes && i < json_object_array_length(nodes); i++) {
                json_object *node = json_object_array_get_idx(nodes, i), *lun;
                const char *name = json_get_string(node, "node");
                int r = 0;

                if (!json_get_bool(node, "online", false))
                        return error_set(
                                err, -EHOSTDOWN,
                                "node %s can't be asked (%s), so nobody knows whether it uses the LUN; bring it back "
                                "or take it out of the cluster first",
                                name, json_get_string(node, "error"));
                lun = json_get(json_get(row, "nodes"), name);
                if (lun)
                        r = check_view(name, lun, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_content(const LunJob *j, json_object *row, struct storaged_error *err)
{
        const char *vg = json_get_string(row, "vg");

        if (length_of(row, "storages") > 0)
                return error_set(err, -EBUSY, "storage '%s' lies on LUN %s; remove the storage first",
                                 first_of(row, "storages"), j->wwid);
        if (vg && *vg && !j->force)
                return error_set(
                        err, -EBUSY,
                        "LUN %s is a physical volume of volume group %s; destroy or reduce the group first, or say "
                        "--force to take it away with its data",
                        j->wwid, vg);
        return 0;
}

/* --- the journal's first entry */

static bool is_dead_everywhere(json_object *row)
{
        json_object_object_foreach (json_get(row, "nodes"), node, lun) {
                (void) node;
                if (json_get_int(lun, "n_active", 0) > 0)
                        return false;
        }
        return true;
}

static int add_places(json_object *places, const char *node, json_object *lun)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        json_object *paths = json_get(lun, "paths");

        for (size_t i = 0; paths && i < json_object_array_length(paths); i++) {
                const char *hctl = json_get_string(json_object_array_get_idx(paths, i), "hctl");

                if (hctl)
                        strbuf_addf(&b, "%s%s", b.len > 0 ? "," : "", hctl);
        }
        return json_add_string(places, node, b.data ? b.data : "");
}

static int journal_new(LunJob *j, json_object *row)
{
        json_object *places = json_object_new_object();
        int r;

        j->journal = json_object_new_object();
        r = places ? json_add_string(j->journal, "wwid", j->wwid) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(j->journal, "user", j->user);
        if (r >= 0)
                r = json_add_bool01(j->journal, "force", j->force);
        if (r >= 0)
                r = json_add_bool01(j->journal, "gone", is_dead_everywhere(row));
        json_object_object_foreach (json_get(row, "nodes"), node, lun) {
                if (r >= 0)
                        r = add_places(places, node, lun);
        }
        if (r < 0)
                json_object_put(places);
        return r < 0 ? r : json_add(j->journal, "places", places);
}

static void on_looked(LunJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *row = lun_job_row(j);
        int r;

        if (!row)
                r = error_set(&err, -ENOENT, "no node sees a LUN %s; see pvesm lun list", j->wwid);
        else if (str_eq(json_get_string(row, "transport"), "nvme"))
                r = error_set(&err, -EOPNOTSUPP,
                              "LUN %s is an NVMe namespace: when nothing uses it any more, detach it on the array, and "
                              "every node lets go of it by itself",
                              j->wwid);
        else
                r = check_nodes(j, row, &err);
        if (r >= 0)
                r = check_content(j, row, &err);
        if (r >= 0 && journal_new(j, row) < 0)
                r = error_set(&err, -ENOMEM, "out of memory");
        if (r >= 0)
                r = fault_point("lun.remove.checked");
        if (r >= 0)
                r = journal_advance(j, "block", &err);
        if (r < 0)
                lun_job_fail(j, r, "%s", err.text[0] ? err.text : strerror(-r));
        else
                remove_go_on(j);
}

static void remove_run(LunJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = lun_journal_read(j->core, j->wwid, &j->journal, &err);

        if (r == -ENOENT) {
                lun_job_look(j, on_looked);
                return;
        }
        if (r >= 0) {
                const char *step = json_get_string(j->journal, "step");

                if (str_eq(step, "unmap"))
                        r = journal_advance(j, "prove", &err);
                else if (str_eq(step, "flush") || str_eq(step, "delete"))
                        r = journal_advance(j, "block", &err);
        }
        if (r < 0) {
                lun_job_end(j, NULL, &err);
                return;
        }
        task_log(j->task, "goes on at: %s", json_get_string(j->journal, "step"));
        remove_go_on(j);
}

void lun_remove(Core *c, const LunRequest *rq, reply_fn fn, void *userdata)
{
        lun_job_begin(c, "lunremove", rq, true, remove_run, fn, userdata);
}

/* --- after a crash */

static void on_resumed(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        (void) userdata;
        if (err)
                log_warning("a removal that was interrupted can't go on: %s", err->text);
        else
                log_info("a removal that was interrupted goes on: %s", json_object_get_string(reply->data));
}

static void resume_one(void *userdata, const char *wwid)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *journal = NULL;
        Core *c = userdata;
        LunRequest rq = { .wwid = wwid };

        if (lun_journal_read(c, wwid, &journal, &err) < 0) {
                log_warning("%s", err.text);
                return;
        }
        /* Another node's goes on there, or when somebody asks for it; `unmap` waits for the administrator. */
        if (!str_eq(json_get_string(journal, "node"), c->node) || str_eq(json_get_string(journal, "step"), "unmap"))
                return;
        rq.user = json_get_string(journal, "user");
        lun_remove(c, &rq, on_resumed, NULL);
}

static void count_one(void *userdata, const char *wwid)
{
        (void) wwid;
        (*(size_t *) userdata)++;
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
        Core *c = userdata;

        (void) usec;
        if (!membership_is_settled(c->members) || !membership_is_quorate(c->members)) {
                (void) sd_event_source_set_time_relative(source, RESUME_PAUSE_USEC);
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        lun_journal_each(c, resume_one, c);
        return 0;
}

int lun_jobs_resume(Core *c)
{
        size_t n = 0;

        lun_journal_each(c, count_one, &n);
        return n == 0 ? 0
                      : sd_event_add_time_relative(c->event, NULL, CLOCK_MONOTONIC, RESUME_PAUSE_USEC, 0, on_resume, c);
}
