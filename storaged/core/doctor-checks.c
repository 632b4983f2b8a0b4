/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is looked at on one node. A check that finds nothing wrong says so, too: a row that is missing would leave open
 * whether anybody looked. Nothing here changes anything but for a file that is made and removed to see whether the
 * cluster directory can be written.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/membership.h"
#include "core/action.h"
#include "core/conflicts.h"
#include "core/doctor.h"
#include "core/links.h"
#include "core/storage.h"
#include "core/ticket.h"
#include "host/worker.h"
#include "wire/json.h"

#define LOCK_LIFE_S 120
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

/* What is mounted at the directory itself or above it: the last mount whose path it is below. */
static void find_file_system(const char *path, char *ret, size_t size)
{
        FILE *f = fopen("/proc/self/mounts", "re");
        char line[4096], source[256], at[2048], type[64];
        size_t best = 0;

        (void) snprintf(ret, size, "?");
        while (f && fgets(line, sizeof(line), f)) {
                size_t n;

                if (sscanf(line, "%255s %2047s %63s", source, at, type) != 3)
                        continue;
                n = strlen(at);
                if (strncmp(path, at, n) != 0 || (n > 1 && path[n] != '/' && path[n] != '\0') || n < best)
                        continue;
                best = n;
                (void) snprintf(ret, size, "%.60s%s%.60s%s", type, str_eq(type, "fuse") ? " (" : "",
                                str_eq(type, "fuse") ? source : "", str_eq(type, "fuse") ? ")" : "");
        }
        if (f)
                (void) fclose(f);
}

static void check_cluster_directory(Doctor *d)
{
        Core *c = doctor_core(d);
        AUTO(freep) char *path = NULL;
        char type[160];
        int r;

        find_file_system(c->paths.cluster, type, sizeof(type));
        if (!membership_is_quorate(c->members)) {
                doctor_row(d, "info", "CLUSTER_DIRECTORY", c->paths.cluster, NULL, "on %s; not written without quorum",
                           type);
                return;
        }
        if (str_printf(&path, "%s/storaged-doctor-%s", c->paths.priv, c->node) < 0)
                return;
        r = fs_write_atomic(path, "", 0, 0600);
        (void) fs_unlink(path);
        if (r < 0)
                doctor_row(d, "error", "CLUSTER_DIRECTORY_READ_ONLY", c->paths.cluster,
                           "look at the cluster file system's log, its space and its quorum",
                           "the cluster directory (on %s) can't be written: %s", type, fs_strerror(r));
        else
                doctor_row(d, "ok", "CLUSTER_DIRECTORY", c->paths.cluster, NULL, "on %s, can be written", type);
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

typedef void (*entry_fn)(Doctor *d, const char *path, const char *name, unsigned *n);

static unsigned each_entry(Doctor *d, const char *dir, entry_fn fn)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        unsigned n = 0;

        (void) fs_list_dir(dir, &names); /* one that is not there has no entries */
        for (size_t i = 0; i < names.n && n < NAMES_MAX; i++) {
                AUTO(freep) char *path = NULL;

                if (names.items[i][0] != '.' && str_printf(&path, "%s/%s", dir, names.items[i]) >= 0)
                        fn(d, path, names.items[i], &n);
        }
        return n;
}

static void look_at_lock(Doctor *d, const char *path, const char *name, unsigned *n)
{
        FsSeen seen;
        long age;

        if (fs_look(path, &seen) < 0 || seen.inode == 0)
                return;
        age = (long) (time(NULL) - (time_t) (seen.mtime_ns / UINT64_C(1000000000)));
        if (age <= LOCK_LIFE_S + 30)
                return;
        (*n)++;
        doctor_row(d, "warning", "STALE_LOCK", name,
                   "nothing, if it goes away with the next change; else remove the directory",
                   "the lock '%s' has had no sign of life for %ld s: its owner is gone", name, age);
}

static void check_locks(Doctor *d)
{
        AUTO(freep) char *dir = NULL;

        if (str_printf(&dir, "%s/lock", doctor_core(d)->paths.priv) >= 0 && each_entry(d, dir, look_at_lock) == 0)
                doctor_row(d, "ok", "LOCKS", NULL, NULL, "no stale locks");
}

static void check_tickets(Doctor *d)
{
        const Core *c = doctor_core(d);
        uint64_t now = clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        AUTO(strlist_deinit) StrList volumes = STRLIST_INIT;
        unsigned n_bad = 0;

        (void) ticket_list(&c->paths, &volumes);
        for (size_t i = 0; i < volumes.n; i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                AUTO(freep) char *path = NULL;
                Ticket t = TICKET_INIT;
                int r = ticket_path(&c->paths, volumes.items[i], &path);

                if (r >= 0)
                        r = ticket_load(path, volumes.items[i], &t, &err);
                if (r < 0 || t.state == TICKET_NONE || t.expires + 60 > now)
                        continue;
                n_bad++;
                doctor_row(d, "warning", "STALE_TICKET", t.volume, "pvesm migrate commit or abort, whichever is true",
                           "the migration of '%s' from '%s' to '%s' has expired and was not settled", t.volume,
                           t.source, t.target);
        }
        if (n_bad == 0)
                doctor_row(d, "ok", "TICKETS", NULL, NULL, "%zu migration(s) under way, none expired", volumes.n);
}

static void look_at_lease(Doctor *d, const char *path, const char *name, unsigned *n)
{
        const Core *c = doctor_core(d);
        AUTO_JSON *record = NULL;
        const char *node, *volume;

        if (record_read(path, &record) < 0)
                return;
        node = json_get_string(record, "node");
        volume = json_get_string(record, "volume");
        if (!node || !*node || membership_find(c->members, node) || str_eq(node, c->node))
                return;
        (*n)++;
        doctor_row(d, "warning", "LEASE_OF_UNKNOWN_NODE", volume ? volume : name,
                   "pvesm activate --force on the node that is to have it",
                   "'%s' is held by node '%s', which is no member of the cluster", volume ? volume : name, node);
}

static void look_at_storage_of_leases(Doctor *d, const char *path, const char *name, unsigned *n)
{
        (void) name;
        *n += each_entry(d, path, look_at_lease);
}

static void check_leases(Doctor *d)
{
        AUTO(freep) char *dir = NULL;

        if (str_printf(&dir, "%s/storaged/leases", doctor_core(d)->paths.priv) >= 0 &&
            each_entry(d, dir, look_at_storage_of_leases) == 0)
                doctor_row(d, "ok", "LEASES", NULL, NULL, "all leases are of members of the cluster");
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
