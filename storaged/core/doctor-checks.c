/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is looked at on one node. A check that finds nothing wrong says so, too: a row that is missing would leave open
 * whether anybody looked. Nothing here changes anything; what is in the cluster directory has been read before
 * (doctor-files.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cluster/membership.h"
#include "core/action.h"
#include "core/conflicts.h"
#include "core/doctor-files.h"
#include "core/links.h"
#include "core/storage.h"
#include "host/worker.h"
#include "wire/json.h"

#define HEALTH_TIMEOUT_USEC (8 * USEC_PER_SEC)
#define DAY_S 86400
#define NAMES_MAX 64u /* rows of one kind; more would bury the rest */

/* --- cluster */

static void check_quorum(Doctor *d)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const Membership *m = doctor_core(d)->members;
        size_t n = 0, n_online = 0;
        const Member *members = membership_get_members(m, &n);

        for (size_t i = 0; i < n; i++)
                n_online += members[i].is_online;
        if (!membership_is_cluster(m))
                doctor_row(d, "ok", "SINGLE_NODE", NULL, NULL, "a single node, no cluster is configured");
        else if (membership_check_quorum(m, &err) < 0)
                doctor_row(d, "error", "NO_QUORUM", NULL, "start the missing nodes, look at corosync-cfgtool -s", "%s",
                           err.text);
        else
                doctor_row(d, "ok", "QUORATE", membership_get_name(m), NULL, "quorate, %zu of %zu nodes are there",
                           n_online, n);
        for (size_t i = 0; i < n; i++)
                if (!members[i].is_online)
                        doctor_row(d, "warning", "NODE_OFFLINE", members[i].name,
                                   "start it, or remove it from the cluster", "node '%s' is offline", members[i].name);
}

static void check_certificate(Doctor *d)
{
        Core *c = doctor_core(d);
        int64_t end = 0, days;
        size_t n = 0;

        (void) membership_get_members(c->members, &n);
        if (links_get_certificate_end(c->links, &end) < 0) {
                if (n > 1)
                        doctor_row(d, "warning", "NO_CERTIFICATE", NULL,
                                   "wait for quorum; then look at storaged's log for why there is none",
                                   "this node has no certificate: other nodes can't ask it, and it can't ask them");
                return;
        }
        days = (end - (int64_t) time(NULL)) / DAY_S;
        if (days < 14)
                doctor_row(d, "warning", "CERTIFICATE_ENDS", NULL, "look at storaged's log for why it is not renewed",
                           "this node's certificate ends in %lld days and should have been renewed", (long long) days);
        else
                doctor_row(d, "ok", "CERTIFICATE", NULL, NULL, "this node's certificate is good for %lld days",
                           (long long) days);
}

static void check_conflicts(Doctor *d)
{
        AUTO_JSON *rows = conflicts_to_json(&doctor_core(d)->paths);

        for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                doctor_row(d, "warning", "CONFLICT", json_get_string(row, "time"),
                           "compare with the cluster's files, take over what is missing, then remove it",
                           "what this node had changed alone was set aside in %s", json_get_string(row, "path"));
        }
}

/* --- storages and plugins */

static void check_config(Doctor *d)
{
        const Core *c = doctor_core(d);
        char line[32];

        for (size_t i = 0; i < c->config->n_warnings && i < NAMES_MAX; i++) {
                (void) snprintf(line, sizeof(line), "line %u", c->config->warnings[i].line);
                doctor_row(d, "warning", "CONFIG", line, "pvesm config check tells all", "storage.cfg: %s",
                           c->config->warnings[i].text);
        }
        if (c->config->n_warnings == 0)
                doctor_row(d, "ok", "CONFIG", NULL, NULL, "storage.cfg is understood, %zu storage(s)",
                           c->config->n_storages);
}

static void check_workers(Doctor *d)
{
        unsigned n = worker_pool_count_abandoned(doctor_core(d)->workers);

        if (n > 0)
                doctor_row(d, "warning", "WORKERS_ABANDONED", NULL,
                           "repair the storage they wait for; a reboot ends them",
                           "%u worker(s) hang in the kernel and were abandoned", n);
        else
                doctor_row(d, "ok", "WORKERS", NULL, NULL, "no worker hangs");
}

/* What was asked of a storage or a plugin for this. */
typedef struct Question {
        Doctor *doctor;
        char object[STORAGE_ID_MAX];
} Question;

static Question *question_new(Doctor *d, const char *object)
{
        Question *q = calloc(1, sizeof(*q));

        if (!q)
                return NULL;
        q->doctor = d;
        (void) snprintf(q->object, sizeof(q->object), "%s", object);
        doctor_hold(d);
        return q;
}

static void question_end(Question *q)
{
        Doctor *d = q->doctor;

        free(q);
        doctor_release(d);
}

static void take_findings(Question *q, json_object *findings)
{
        size_t n = json_object_is_type(findings, json_type_array) ? json_object_array_length(findings) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *f = json_object_array_get_idx(findings, i);
                const char *severity = json_get_string(f, "severity"), *code = json_get_string(f, "code"),
                           *summary = json_get_string(f, "summary"), *object = json_get_string(f, "object");

                doctor_row(q->doctor, severity ? severity : "warning", code ? code : "FINDING",
                           object ? object : q->object, json_get_string(f, "action"), "%s", summary ? summary : "");
        }
}

static void on_health(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        AUTO_JSON *findings = NULL;
        Question *q = userdata;

        if (err)
                doctor_row(q->doctor, "warning", "HEALTH_UNKNOWN", q->object, NULL, "%s", err->text);
        else if (json_parse(body, len, &findings) >= 0)
                take_findings(q, findings);
        question_end(q);
}

static void ask_health(Doctor *d, const StorageConfig *s)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        StorageCall call = { .op = "health", .fd = -1, .timeout_usec = HEALTH_TIMEOUT_USEC, .done = on_health };

        call.userdata = question_new(d, s->id);
        if (call.userdata && storage_submit(doctor_core(d), s, &call, &err) < 0) {
                doctor_row(d, "warning", "HEALTH_UNKNOWN", s->id, NULL, "%s", err.text);
                question_end(call.userdata);
        }
}

static void check_one_storage(Doctor *d, const StorageConfig *s)
{
        const StorageStatus *known;

        if (!s->type || !s->type->has_plugin) {
                doctor_row(d, "error", "NO_PLUGIN", s->id, "install the plugin, or take this node out of `nodes`",
                           "no plugin for type '%s' is installed on this node", s->type_name);
                return;
        }
        if (s->broken) {
                doctor_row(d, "error", "BROKEN", s->id, "correct its definition with pvesm set", "%s", s->broken);
                return;
        }
        known = storage_get_status(doctor_core(d), s);
        if (known->state == STORAGE_ACTIVE) {
                doctor_row(d, "ok", "ACTIVE", s->id, NULL, "active");
                if (type_has_op(s->type, SCHEMA_OP_HEALTH))
                        ask_health(d, s);
        } else if (known->state != STORAGE_UNKNOWN) {
                doctor_row(d, "error", known->state == STORAGE_UNRESPONSIVE ? "UNRESPONSIVE" : "INACTIVE", s->id,
                           "see the reason; pvesm status shows when it is back", "%s: %s",
                           storage_state_to_string(known->state), known->reason);
        }
}

static void check_storages(Doctor *d)
{
        const Core *c = doctor_core(d);

        for (size_t i = 0; i < c->config->n_storages; i++)
                if (storage_config_is_enabled_on(c->config->storages[i], c->node))
                        check_one_storage(d, c->config->storages[i]);
}

static void on_plugin(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        AUTO_JSON *parsed = NULL;
        Question *q = userdata;

        if (err)
                doctor_row(q->doctor, "warning", "CHECK_FAILED", q->object, NULL, "%s", err->text);
        else if (reply->raw && json_parse(reply->raw, reply->raw_len, &parsed) >= 0)
                take_findings(q, parsed);
        else if (!reply->raw)
                take_findings(q, reply->data);
        question_end(q);
}

/* A plugin looks after its own tools with an action of that name. */
static void check_plugins(Doctor *d)
{
        size_t n = 0;
        const Type *const *types = schema_get_types(doctor_core(d)->schema, &n);

        for (size_t i = 0; i < n; i++) {
                ActionCall call = { .type = types[i]->name, .action = "doctor", .timeout_usec = HEALTH_TIMEOUT_USEC };
                Question *q;

                if (!types[i]->has_plugin || !type_find_action(types[i], "doctor"))
                        continue;
                q = question_new(d, types[i]->name);
                if (q)
                        action_run(doctor_core(d), &call, on_plugin, q);
        }
}

const DoctorCheck doctor_checks[] = {
        { "quorum", check_quorum },           { "cluster directory", check_cluster_directory },
        { "certificate", check_certificate }, { "locks", check_locks },
        { "leases", check_leases },           { "migrations", check_tickets },
        { "conflicts", check_conflicts },     { "configuration", check_config },
        { "workers", check_workers },         { "storages", check_storages },
        { "plugins", check_plugins },         { 0 },
};
