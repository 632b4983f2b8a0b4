/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's disks, handed over one after the other: each is a VOLUME_HANDOVER under its storage's lock (see
 * core/activation.c), so that what is done for one is complete or will be completed whatever happens to the next.
 * Recovery is the same walk over the volumes whose tickets ask for something here.
 */
#include "core/migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/vec.h"
#include "cluster/watch.h"
#include "core/activation.h"
#include "core/aside.h"
#include "core/guests.h"
#include "core/volume.h"
#include "wire/guestconf.h"
#include "wire/json.h"

#define RECOVERY_PAUSE_USEC USEC_PER_SEC

typedef struct Run {
        Core *core;
        const char *step;
        char *target, *user;
        uint64_t life_s;
        uint32_t vmid; /* of a guest: its disks are read first */
        Aside work;
        StrList volumes;
        size_t at;           /* the one that is being done */
        json_object *rows;   /* what was done */
        bool is_of_guest;    /* local disks are passed over */
        bool is_taking_back; /* a prepare failed: `failure` is the answer */
        bool goes_on;        /* recovery: one failure does not keep the others */
        struct storaged_error failure;
        reply_fn fn;
        void *userdata;
} Run;

static void run_next(Run *run);

static Run *run_free(Run *run)
{
        if (!run)
                return NULL;
        free(run->target);
        free(run->user);
        strlist_deinit(&run->volumes);
        json_object_put(run->rows);
        free(run);
        return NULL;
}
DEFINE_CLEANUP(Run *, run_free)

static int run_new(Run **ret, Core *c, const char *step, const char *target, const char *user, uint64_t life_s)
{
        AUTO(run_freep) Run *run = calloc(1, sizeof(*run));

        if (!run)
                return -ENOMEM;
        run->core = c;
        run->step = step;
        run->life_s = life_s;
        run->target = target ? strdup(target) : NULL;
        run->user = strdup(user ? user : "root@pam");
        run->rows = json_object_new_array();
        if ((target && !run->target) || !run->user || !run->rows)
                return -ENOMEM;
        *ret = TAKE(run);
        return 0;
}

static void run_end(Run *run)
{
        Reply reply = { .data = run->rows };
        bool has_failed = run->failure.code != 0;

        run->fn(run->userdata, has_failed ? NULL : &reply, has_failed ? &run->failure : NULL);
        (void) run_free(run);
}

/* What this call has prepared; a ticket that it only renewed belongs to a hand-over that may be under way. */
static int list_prepared(const Run *run, StrList *ret)
{
        int r = 0;

        for (size_t i = 0; i < json_object_array_length(run->rows) && r >= 0; i++) {
                json_object *row = json_object_array_get_idx(run->rows, i);

                if (str_eq(json_get_string(row, "state"), "prepared") && !json_get_bool(row, "renewed", false))
                        r = strlist_adds(ret, json_get_string(row, "volume"));
        }
        return r;
}

/* Undone is what this call has prepared; the failure stays the answer. */
static void run_fail(Run *run, const struct storaged_error *err)
{
        AUTO(strlist_deinit) StrList prepared = STRLIST_INIT;

        if (run->failure.code == 0)
                run->failure = *err;
        if (run->goes_on || run->is_taking_back) {
                run->at++;
                run_next(run);
                return;
        }
        if (!str_eq(run->step, "prepare") || list_prepared(run, &prepared) < 0 || prepared.n == 0) {
                run_end(run);
                return;
        }
        strlist_deinit(&run->volumes);
        run->volumes = prepared;
        prepared = STRLIST_INIT;
        run->is_taking_back = true;
        run->step = "abort";
        run->at = 0;
        run_next(run);
}

static void on_volume(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Run *run = userdata;

        if (err) {
                run_fail(run, err);
                return;
        }
        if (reply && reply->data && json_object_array_add(run->rows, json_object_get(reply->data)) < 0)
                (void) error_set(&run->failure, -ENOMEM, "out of memory");
        run->at++;
        run_next(run);
}

static int add_local(Run *run, const char *volid)
{
        AUTO_JSON *row = json_object_new_object();
        int r = json_add_string(row, "volume", volid);

        if (r >= 0)
                r = json_add_string(row, "state", "local");
        return r < 0 ? r : json_object_array_add(run->rows, TAKE(row));
}

static int run_volume(Run *run, const char *volid, struct storaged_error *err)
{
        VolumeCall call = { .op = VOLUME_HANDOVER, .user = run->user, .is_part = true };
        AUTO_JSON *args = json_object_new_object();
        char storage[STORAGE_ID_MAX];
        int r;

        r = volid_split(volid, storage, &call.volname, err);
        if (r < 0)
                return r;
        r = json_add_string(args, "step", run->step);
        if (r >= 0)
                r = json_add_string(args, "target", run->target);
        if (r >= 0 && run->life_s > 0)
                r = json_add_uint(args, "life", run->life_s);
        if (r < 0)
                return error_set(err, r, "out of memory");
        call.storage = storage;
        call.args = args;
        volume_call(run->core, &call, on_volume, run);
        return 0;
}

static bool is_local(const Run *run, const char *volid)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char storage[STORAGE_ID_MAX];
        const StorageConfig *s = NULL;
        const char *volname;

        if (volid_split(volid, storage, &volname, &err) >= 0)
                s = config_find(run->core->config, storage);
        return s && !s->is_shared;
}

static void run_next(Run *run)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (run->core->is_stopping && run->at < run->volumes.n && run->failure.code == 0)
                (void) error_set(&run->failure, -ECANCELED, "storaged stops");
        if (run->core->is_stopping)
                run->at = run->volumes.n;
        for (; run->at < run->volumes.n && run->is_of_guest && is_local(run, run->volumes.items[run->at]); run->at++)
                if (!run->is_taking_back && add_local(run, run->volumes.items[run->at]) < 0)
                        (void) error_set(&run->failure, -ENOMEM, "out of memory");
        if (run->at >= run->volumes.n)
                run_end(run);
        else if (run_volume(run, run->volumes.items[run->at], &err) < 0)
                run_fail(run, &err);
}

/* --- whose volumes */

/* Beside the loop: a configuration is in the cluster directory. */
static void disks_run(Aside *work)
{
        Run *run = work->userdata;
        const Paths *p = &work->core->paths;
        AUTO(freep) char *path = NULL, *text = NULL;
        char node[GUEST_NODE_MAX];
        size_t len = 0;
        const char *kind = NULL;
        int r = guests_find_node(p, GUESTS_READ, run->vmid, work->core->node, node, &kind);

        if (r == -ENOENT) {
                (void) error_set_param(&run->failure, r, "vmid",
                                       "there is no configuration of a guest %u below %s/nodes", run->vmid, p->cluster);
                return;
        }
        if (r >= 0)
                r = str_printf(&path, "%s/nodes/%s/%s/%u.conf", p->cluster, node, kind, run->vmid);
        if (r >= 0)
                r = fs_read_file(path, GUESTCONF_SIZE_MAX, &text, &len);
        if (r >= 0)
                r = guestconf_disks(text, len, &run->volumes);
        if (r < 0)
                (void) error_set(&run->failure, r, "guest %u: can't read its disks from %s: %s", run->vmid,
                                 path ? path : p->cluster, fs_strerror(r));
}

static void disks_done(Aside *work)
{
        Run *run = work->userdata;

        if (run->failure.code != 0)
                run_end(run);
        else
                run_next(run);
}

void migrate_call(Core *c, const MigrateCall *call, reply_fn fn, void *userdata)
{
        static const char *const steps[] = { "prepare", "commit", "abort" };
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(run_freep) Run *run = NULL;
        int r = run_new(&run, c, steps[call->op], call->target, call->user, call->life_s);

        if (r >= 0 && call->volume)
                r = strlist_adds(&run->volumes, call->volume);
        if (r < 0) {
                (void) error_set(&err, r, "out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        run->fn = fn;
        run->userdata = userdata;
        if (call->volume) {
                run_next(TAKE(run));
                return;
        }
        run->is_of_guest = true;
        run->vmid = call->vmid;
        run->work = (Aside){ .run = disks_run, .done = disks_done, .userdata = run };
        aside_begin(c, &TAKE(run)->work);
}

/* --- recovery */

struct Recovery {
        Core *core;
        sd_event_source *timer; /* runs while there are tickets: they expire, and the other node may fail */
        sd_event_source *watch; /* of the tickets' directory */
        bool is_running;
        bool has_news;       /* a ticket changed meanwhile */
        struct Look *look;   /* under way */
        bool is_news_unseen; /* and it may have missed what came meanwhile */
        bool is_blind;       /* changes of other nodes are not told here (pmxcfs): look every second */
        char told[sizeof(((struct storaged_error *) NULL)->text)]; /* a failure that lasts is logged once */
};

void recovery_look(Recovery *r)
{
        (void) sd_event_source_set_time_relative(r->timer, 0);
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static void on_recovered(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Recovery *r = userdata;

        (void) reply;
        if (!r)
                return;
        r->is_running = false;
        if (r->has_news)
                recovery_look(r);
        if (err && strcmp(err->text, r->told) != 0)
                log_warning("a migration can't be ended yet: %s", err->text);
        (void) snprintf(r->told, sizeof(r->told), "%s", err ? err->text : "");
}

/*
 * A look without the locks, beside the loop: it costs little, and what is done looks again under the lock. What can't
 * be read is left out.
 */
typedef struct Look {
        Aside work;
        Recovery *recovery;
        VEC(VolumeRecords) found;
        int r;
} Look;

static void look_run(Aside *work)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strlist_deinit) StrList all = STRLIST_INIT;
        const Paths *p = &work->core->paths;
        Look *x = work->userdata;

        x->r = ticket_list(p, &all);
        for (size_t i = 0; i < all.n && x->r >= 0; i++) {
                VolumeRecords records = { .volid = "" };

                if (volume_records_load(p, all.items[i], &records, &err) >= 0)
                        x->r = VEC_PUSH(&x->found, records);
        }
        if (x->r >= 0 && all.n > 0)
                x->r = 1; /* there are some, whatever they ask for */
}

static int look_find_work(const Look *x, StrList *ret)
{
        int r = x->r;

        for (size_t i = 0; i < x->found.n && r >= 0; i++)
                if (activation_look(x->work.core, &x->found.items[i]) != TICKET_WAIT)
                        r = strlist_adds(ret, x->found.items[i].volid);
        return r;
}

static void recovery_begin(Recovery *r, const Look *x)
{
        AUTO(run_freep) Run *run = NULL;
        int n = r->is_running ? -EBUSY : run_new(&run, r->core, "recover", NULL, NULL, 0);

        r->has_news = r->is_running;
        if (n >= 0)
                n = look_find_work(x, &run->volumes);
        if (n < 0 || x->r > 0 || (r->is_blind && !watch_is_told(r->core->watch))) {
                (void) sd_event_source_set_time_relative(r->timer, RECOVERY_PAUSE_USEC);
                (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
        }
        if (n < 0 || run->volumes.n == 0)
                return;
        run->goes_on = true;
        run->fn = on_recovered;
        run->userdata = r;
        r->is_running = true;
        run_next(TAKE(run));
}

static void look_done(Aside *work)
{
        Look *x = work->userdata;
        Recovery *r = x->recovery;

        r->look = NULL;
        if (!r->core->is_stopping)
                recovery_begin(r, x);
        if (r->is_news_unseen && !r->core->is_stopping)
                recovery_look(r);
        r->is_news_unseen = false;
        VEC_DEINIT(&x->found);
        free(x);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Recovery *r = userdata;
        Look *x;

        (void) source;
        (void) usec;
        r->is_news_unseen = r->look != NULL;
        if (r->look)
                return 0;
        x = calloc(1, sizeof(*x));
        if (!x) {
                (void) sd_event_source_set_time_relative(r->timer, RECOVERY_PAUSE_USEC);
                (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
                return 0;
        }
        x->recovery = r;
        x->work = (Aside){ .run = look_run, .done = look_done, .userdata = x };
        r->look = x;
        aside_begin(r->core, &x->work);
        return 0;
}

static int on_tickets_changed(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Recovery *r = userdata;

        (void) source;
        (void) event;
        recovery_look(r);
        return 0;
}

/* Events of a cluster file system in user space are those of this node only: -EOPNOTSUPP. */
static int watch_tickets(Recovery *r)
{
        AUTO(freep) char *dir = NULL;
        int n = guard_covers(r->core->paths.priv) ? -EOPNOTSUPP
                                                  : str_printf(&dir, "%s/storaged/tickets", r->core->paths.priv);

        if (n >= 0)
                n = fs_mkdir_p(dir, 0700);
        if (n < 0)
                return n;
        return sd_event_add_inotify(r->core->event, &r->watch, dir,
                                    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB,
                                    on_tickets_changed, r);
}

int recovery_new(Recovery **ret, Core *c)
{
        Recovery *r = calloc(1, sizeof(*r));
        int n;

        if (!r)
                return -ENOMEM;
        r->core = c;
        n = sd_event_add_time_relative(c->event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_timer, r);
        r->is_blind = n >= 0 && watch_tickets(r) < 0;
        if (n < 0) {
                (void) recovery_free(r);
                return n;
        }
        *ret = r;
        return 0;
}

Recovery *recovery_free(Recovery *r)
{
        if (!r)
                return NULL;
        (void) sd_event_source_disable_unref(r->timer);
        (void) sd_event_source_disable_unref(r->watch);
        free(r);
        return NULL;
}
