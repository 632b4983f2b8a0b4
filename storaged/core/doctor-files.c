/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster directory may stand on a file system that does not answer, and there are many files to look at. So all of
 * them are read first, by one piece of work beside the loop (core/aside.c), which knows nothing but their paths; what
 * they mean (who is a member, what time it is) is said by the checks, in the loop, once that work is over.
 */
#include "core/doctor-files.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mounts.h"
#include "base/vec.h"
#include "cluster/membership.h"
#include "core/aside.h"
#include "wire/json.h"

#define LOCK_LIFE_S 120
#define NAMES_MAX 64u /* rows of one kind; more would bury the rest */

typedef struct LockSeen {
        char *name;
        uint64_t mtime_ns;
} LockSeen;

typedef struct LeaseSeen {
        char *name;
        json_object *record;
} LeaseSeen;

struct DoctorFiles {
        Aside work;
        void (*done)(DoctorFiles *f, void *userdata);
        void *userdata;
        char *probe; /* NULL: nothing is written without quorum */
        int probe_r, locks_r, leases_r, tickets_r;
        VEC(LockSeen) locks;
        VEC(LeaseSeen) leases;
        VEC(Ticket) tickets;
};

DoctorFiles *doctor_files_free(DoctorFiles *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->locks.n; i++)
                free(f->locks.items[i].name);
        for (size_t i = 0; i < f->leases.n; i++) {
                free(f->leases.items[i].name);
                json_object_put(f->leases.items[i].record);
        }
        VEC_DEINIT(&f->locks);
        VEC_DEINIT(&f->leases);
        VEC_DEINIT(&f->tickets);
        free(f->probe);
        free(f);
        return NULL;
}

/* --- beside the loop: paths only */

typedef int (*entry_fn)(DoctorFiles *f, const char *path, const char *name);

/* 0, or why nothing is known of the directory. One that is not there has no entries. */
static int each_entry(DoctorFiles *f, const char *dir, entry_fn fn)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        int r = fs_list_dir(dir, &names);

        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        for (size_t i = 0; i < names.n && r >= 0; i++) {
                AUTO(freep) char *path = NULL;

                if (names.items[i][0] == '.')
                        continue;
                r = str_printf(&path, "%s/%s", dir, names.items[i]);
                if (r >= 0)
                        r = fn(f, path, names.items[i]);
        }
        return r < 0 ? r : 0;
}

static int see_lock(DoctorFiles *f, const char *path, const char *name)
{
        LockSeen lock = { 0 };
        FsSeen seen;
        int r = fs_look(path, &seen);

        if (r < 0 || seen.inode == 0)
                return r;
        lock.mtime_ns = seen.mtime_ns;
        lock.name = strdup(name);
        r = lock.name ? VEC_PUSH(&f->locks, lock) : -ENOMEM;
        if (r < 0)
                free(lock.name);
        return r;
}

static int see_lease(DoctorFiles *f, const char *path, const char *name)
{
        LeaseSeen lease = { 0 };
        int r = record_read(path, &lease.record);

        if (r < 0)
                return r == -ETIMEDOUT || r == -ENOTCONN ? r : 0; /* who uses it is told what is wrong with it */
        lease.name = strdup(name);
        r = lease.name ? VEC_PUSH(&f->leases, lease) : -ENOMEM;
        if (r < 0) {
                free(lease.name);
                json_object_put(lease.record);
        }
        return r;
}

static int see_storage_of_leases(DoctorFiles *f, const char *path, const char *name)
{
        (void) name;
        return each_entry(f, path, see_lease);
}

static int see_tickets(DoctorFiles *f)
{
        const Paths *p = &f->work.core->paths;
        AUTO(strlist_deinit) StrList volumes = STRLIST_INIT;
        int r = ticket_list(p, &volumes);

        for (size_t i = 0; i < volumes.n && r >= 0; i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                AUTO(freep) char *path = NULL;
                Ticket t = TICKET_INIT;

                r = ticket_path(p, volumes.items[i], &path);
                if (r >= 0 && ticket_load(path, volumes.items[i], &t, &err) >= 0 && t.state != TICKET_NONE)
                        r = VEC_PUSH(&f->tickets, t);
        }
        return r < 0 ? r : 0;
}

static void files_run(Aside *work)
{
        DoctorFiles *f = work->userdata;
        const Paths *p = &work->core->paths;
        AUTO(freep) char *locks = NULL, *leases = NULL;

        if (f->probe) {
                f->probe_r = fs_write_atomic(f->probe, "", 0, 0600);
                (void) fs_unlink(f->probe);
        }
        f->locks_r = str_printf(&locks, "%s/lock", p->priv);
        if (f->locks_r >= 0)
                f->locks_r = each_entry(f, locks, see_lock);
        f->leases_r = str_printf(&leases, "%s/storaged/leases", p->priv);
        if (f->leases_r >= 0)
                f->leases_r = each_entry(f, leases, see_storage_of_leases);
        f->tickets_r = see_tickets(f);
}

static void files_done(Aside *work)
{
        DoctorFiles *f = work->userdata;

        f->done(f, f->userdata);
}

int doctor_files_read(Core *c, void (*done)(DoctorFiles *f, void *userdata), void *userdata)
{
        DoctorFiles *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->done = done;
        f->userdata = userdata;
        f->work = (Aside){ .run = files_run, .done = files_done, .userdata = f };
        if (membership_is_quorate(c->members) &&
            str_printf(&f->probe, "%s/storaged-doctor-%s", c->paths.priv, c->node) < 0) {
                (void) doctor_files_free(f);
                return -ENOMEM;
        }
        aside_begin(c, &f->work);
        return 0;
}

/* --- what it means */

/* False: nothing is known, which is said. */
static bool is_seen(Doctor *d, int r, const char *what)
{
        if (r < 0)
                doctor_row(d, "warning", "CHECK_FAILED", NULL, "look at the cluster file system's log",
                           "%s can't be looked at: %s", what, fs_strerror(r));
        return r >= 0;
}

static void find_file_system(const char *path, char *ret, size_t size)
{
        Mount m;

        if (mounts_find(path, &m) <= 0)
                (void) snprintf(ret, size, "?");
        else if (str_eq(m.type, "fuse")) /* says nothing; its source is the program's name */
                (void) snprintf(ret, size, "fuse (%.60s)", m.source);
        else
                (void) snprintf(ret, size, "%.60s", m.type);
}

void check_cluster_directory(Doctor *d)
{
        const char *dir = doctor_core(d)->paths.cluster;
        const DoctorFiles *f = doctor_files(d);
        char type[160];

        find_file_system(dir, type, sizeof(type));
        if (!f->probe)
                doctor_row(d, "info", "CLUSTER_DIRECTORY", dir, NULL, "on %s; not written without quorum", type);
        else if (f->probe_r < 0)
                doctor_row(d, "error", "CLUSTER_DIRECTORY_READ_ONLY", dir,
                           "look at the cluster file system's log, its space and its quorum",
                           "the cluster directory (on %s) can't be written: %s", type, fs_strerror(f->probe_r));
        else
                doctor_row(d, "ok", "CLUSTER_DIRECTORY", dir, NULL, "on %s, can be written", type);
}

void check_locks(Doctor *d)
{
        const DoctorFiles *f = doctor_files(d);
        unsigned n_bad = 0;

        if (!is_seen(d, f->locks_r, "locks"))
                return;
        for (size_t i = 0; i < f->locks.n && n_bad < NAMES_MAX; i++) {
                const LockSeen *lock = &f->locks.items[i];
                long age = (long) (time(NULL) - (time_t) (lock->mtime_ns / UINT64_C(1000000000)));

                if (age <= LOCK_LIFE_S + 30)
                        continue;
                n_bad++;
                doctor_row(d, "warning", "STALE_LOCK", lock->name,
                           "nothing, if it goes away with the next change; else remove the directory",
                           "the lock '%s' has had no sign of life for %ld s: its owner is gone", lock->name, age);
        }
        if (n_bad == 0)
                doctor_row(d, "ok", "LOCKS", NULL, NULL, "no stale locks");
}

void check_leases(Doctor *d)
{
        const DoctorFiles *f = doctor_files(d);
        const Core *c = doctor_core(d);
        unsigned n_bad = 0;

        if (!is_seen(d, f->leases_r, "leases"))
                return;
        for (size_t i = 0; i < f->leases.n && n_bad < NAMES_MAX; i++) {
                const LeaseSeen *lease = &f->leases.items[i];
                const char *node = json_get_string(lease->record, "node"),
                           *volume = json_get_string(lease->record, "volume");

                if (!node || !*node || membership_find(c->members, node) || str_eq(node, c->node))
                        continue;
                n_bad++;
                doctor_row(d, "warning", "LEASE_OF_UNKNOWN_NODE", volume ? volume : lease->name,
                           "pvesm activate --force on the node that is to have it",
                           "'%s' is held by node '%s', which is no member of the cluster",
                           volume ? volume : lease->name, node);
        }
        if (n_bad == 0)
                doctor_row(d, "ok", "LEASES", NULL, NULL, "all leases are of members of the cluster");
}

void check_tickets(Doctor *d)
{
        uint64_t now = clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        const DoctorFiles *f = doctor_files(d);
        unsigned n_bad = 0;

        if (!is_seen(d, f->tickets_r, "migrations"))
                return;
        for (size_t i = 0; i < f->tickets.n && n_bad < NAMES_MAX; i++) {
                const Ticket *t = &f->tickets.items[i];

                if (t->expires + 60 > now)
                        continue;
                n_bad++;
                doctor_row(d, "warning", "STALE_TICKET", t->volume, "pvesm migrate commit or abort, whichever is true",
                           "the migration of '%s' from '%s' to '%s' has expired and was not settled", t->volume,
                           t->source, t->target);
        }
        if (n_bad == 0)
                doctor_row(d, "ok", "TICKETS", NULL, NULL, "%zu migration(s) under way, none expired", f->tickets.n);
}
