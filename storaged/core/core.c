/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's rooms put together: paths, the schema as the plugins declare it, storage.cfg, the
 * storages in use, tasks and locks. Plugins are asked what they are by a worker (`--describe`), so that
 * no plugin code ever runs in the daemon. storage.cfg is watched; whoever changes it, it is read again.
 */
#include "core/core.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/mounts.h"
#include "base/proc.h"
#include "cluster/lock.h"
#include "cluster/membership.h"
#include "cluster/watch.h"
#include "core/aside.h"
#include "core/config-file.h"
#include "core/config-read.h"
#include "core/links.h"
#include "core/lun-job.h"
#include "core/lun.h"
#include "core/migrate.h"
#include "core/multipath-config.h"
#include "core/overview.h"
#include "core/proof.h"
#include "core/storage.h"
#include "core/stream.h"
#include "core/task.h"
#include "host/worker.h"
#include "wire/json.h"

#define DESCRIBE_TIMEOUT_MS 10000

/* --- plugins */

static int core_describe(Core *c, const char *worker_path, const char *plugin_path, struct storaged_error *err)
{
        const char *argv[] = { worker_path, "--describe", plugin_path, NULL };
        ProcSpec spec = PROC_SPEC_INIT;
        AUTO(proc_result_deinit) ProcResult result = PROC_RESULT_INIT;
        AUTO_JSON *description = NULL;
        int r;

        spec.argv = argv;
        spec.deadline_ms = DESCRIBE_TIMEOUT_MS;
        r = proc_run(&spec, &result, err);
        if (r < 0)
                return r;
        if (result.status != 0)
                return error_set(err, -EINVAL, "%s",
                                 result.last_error[0] ? result.last_error : "it ended without a word");
        r = json_parse(result.out, result.out_len, &description);
        if (r < 0)
                return error_set(err, r, "its description is no JSON");
        return schema_add_plugin(c->schema, plugin_path, description, err);
}

static int is_plugin(const struct dirent *d)
{
        return d->d_name[0] != '.' && str_ends_with(d->d_name, ".so");
}

/* A plugin that can't be used is reported and left out; the daemon serves the others. */
static int core_load_plugins(Core *c, const CoreOptions *o, struct storaged_error *err)
{
        struct dirent **entries = NULL;
        int n;

        n = schema_set_plugin_dir(c->schema, o->plugin_dir);
        if (n < 0)
                return error_set(err, n, "out of memory");
        n = scandir(o->plugin_dir, &entries, is_plugin, alphasort);

        if (n < 0)
                return error_set(err, -errno, "can't read the plugin directory %s: %m", o->plugin_dir);
        for (int i = 0; i < n; i++) {
                struct storaged_error why = STORAGED_ERROR_INIT;
                AUTO(freep) char *path = NULL;

                if (str_printf(&path, "%s/%s", o->plugin_dir, entries[i]->d_name) >= 0 &&
                    core_describe(c, o->worker_path, path, &why) < 0)
                        log_error("plugin %s can't be used: %s", path, why.text);
                else
                        log_debug("plugin %s", path);
                free(entries[i]);
        }
        free(entries);
        return 0;
}

/* --- storage.cfg */

static void on_read(void *userdata, const struct storaged_error *err)
{
        Core *c = userdata;

        if (!err)
                return;
        log_error("%s", err->text);
        config_read_later(c);
}

static int on_config_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Core *c = userdata;

        (void) source;
        if (event->len > 0 && str_skip(event->name, "multipath"))
                multipath_config_freshen(c);
        if (event->len == 0 || str_eq(event->name, "storage.cfg"))
                config_read_begin(c, on_read, c);
        return 0;
}

/* Once a file system in user space was seen there, it is one for good: calls on it are bounded. Never waits for it. */
static void core_guard(Core *c)
{
        if (!guard_covers(c->paths.cluster) && mounts_is_fuse(c->paths.cluster) > 0 && guard_set(c->paths.cluster) < 0)
                log_error("out of memory: a cluster file system that does not answer will stop this daemon");
}

/* On a cluster file system, where inotify does not see what other nodes do. */
static void on_cluster_change(void *userdata, const char *path)
{
        Core *c = userdata;

        if (!path)
                core_guard(c);
        if (!path || str_eq(path, "storage.cfg"))
                config_read_begin(c, on_read, c);
        if (!path)
                multipath_config_freshen(c);
        else if (str_skip(path, "multipath"))
                multipath_config_changed(c);
        if (c->recovery && (!path || str_skip(path, "priv/storaged/tickets")))
                recovery_look(c->recovery);
}

static int core_watch(Core *c, struct storaged_error *err)
{
        AUTO(freep) char *socket = NULL;
        int r;

        /* The directory, not the file: an atomic replacement is a new file. Who is late is told by other means. */
        r = c->is_late ? 0
                       : sd_event_add_inotify(c->event, &c->config_watch, c->paths.cluster,
                                              IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM, on_config_event,
                                              c);
        if (r >= 0)
                r = str_printf(&socket, "%s/run/clusterfs/notify.sock", c->paths.root);
        if (r >= 0)
                r = watch_new(&c->watch, c->paths.cluster, socket, c->event, on_cluster_change, c);
        return r < 0 ? error_set(err, r, "can't watch %s: %s", c->paths.cluster, strerror(-r)) : 0;
}

const StorageConfig *core_find_usable(Core *c, const char *id, struct storaged_error *err)
{
        const StorageConfig *s = config_find(c->config, id);

        if (!s)
                (void) error_set_param(err, -ENOENT, "storage", "storage '%s' does not exist", id);
        else if (!s->type || !s->type->has_plugin)
                (void) error_set(err, -EOPNOTSUPP, "storage '%s': no plugin for type '%s' is installed on node '%s'",
                                 id, s->type_name, c->node);
        else if (s->broken)
                (void) error_set(err, -EINVAL, "storage '%s' can't be used: %s", id, s->broken);
        else if (s->is_disabled)
                (void) error_set(err, -EINVAL, "storage '%s' is disabled", id);
        else if (!storage_config_is_enabled_on(s, c->node))
                (void) error_set(err, -EINVAL, "storage '%s' is not available on node '%s'", id, c->node);
        else
                return s;
        return NULL;
}

json_object *core_locks_to_json(Core *c)
{
        return cluster_locks_to_json(c->locks);
}

json_object *core_workers_to_json(const Core *c)
{
        AUTO_JSON *o = json_object_new_object();
        WorkerLimits limits = worker_pool_get_limits(c->workers);
        int r;

        r = json_add_uint(o, "running", worker_pool_count(c->workers));
        if (r >= 0)
                r = json_add_uint(o, "abandoned", worker_pool_count_abandoned(c->workers));
        if (r >= 0)
                r = json_add_uint(o, "max_workers", limits.max_workers);
        if (r >= 0)
                r = json_add_uint(o, "max_abandoned", limits.max_abandoned);
        return r < 0 ? NULL : TAKE(o);
}

unsigned core_count_unknown(const Core *c)
{
        unsigned n = membership_is_settled(c->members) ? 0 : 1;

        for (size_t i = 0; i < c->config->n_storages; i++) {
                const StorageConfig *s = c->config->storages[i];
                bool is_asked =
                        s->type && s->type->has_plugin && !s->broken && storage_config_is_enabled_on(s, c->node);

                n += is_asked && storage_get_status((Core *) c, s)->state == STORAGE_UNKNOWN;
        }
        return n;
}

/* --- birth and end */

static int core_init_node(Core *c, const char *node)
{
        char name[256];

        if (!node) {
                if (gethostname(name, sizeof(name)) < 0)
                        return -errno;
                name[sizeof(name) - 1] = '\0';
                name[strcspn(name, ".")] = '\0';
                node = name;
        }
        c->node = strdup(node);
        return c->node ? 0 : -ENOMEM;
}

/* A command line that reads beside a daemon does not need to know the cluster. */
static int core_init_members(Core *c)
{
        AUTO(freep) char *corosync = NULL, *shared = NULL;
        const char *conf[3] = { NULL };
        int r;

        r = str_printf(&corosync, "%s/etc/corosync/corosync.conf", c->paths.root);
        if (r >= 0)
                r = str_printf(&shared, "%s/corosync.conf", c->paths.cluster);
        if (r < 0)
                return r;
        if (!c->is_passive) {
                conf[0] = corosync;
                conf[1] = shared;
        }
        return membership_new(&c->members, c->node, conf, c->event);
}

static int core_make_directories(Core *c, struct storaged_error *err)
{
        const struct {
                const char *path;
                mode_t mode;
        } rows[] = {
                { c->paths.cluster, 0755 }, { c->paths.priv, 0700 },  { c->paths.run, 0755 },
                { c->paths.lib, 0750 },     { c->paths.tasks, 0750 },
        };

        for (size_t i = c->is_late ? 2 : 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int r = fs_mkdir_p(rows[i].path, rows[i].mode);

                /* Without quorum nothing can be made there; who writes below it later makes it. */
                if ((r == -EACCES || r == -EROFS || r == -EPERM) && guard_covers(rows[i].path))
                        continue;
                if (r < 0)
                        return error_set(err, r, "can't make the directory %s: %s", rows[i].path, strerror(-r));
        }
        return 0;
}

/*
 * A cluster file system that does not answer keeps the daemon from its storages, not from being there: it says so, and
 * reads and makes later what it would have now (core_catch_up()).
 */
static void core_meet_cluster(Core *c)
{
        FsSeen seen;
        int r;

        core_guard(c);
        if (c->is_passive || !guard_covers(c->paths.cluster))
                return;
        r = fs_look(c->paths.cluster, &seen);
        c->is_late = r == -ETIMEDOUT || r == -ENOTCONN;
        if (c->is_late)
                log_error("%s: %s; storaged starts without its storages, which come with the file system",
                          c->paths.cluster, fs_strerror(r));
}

void core_catch_up(Core *c)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        c->is_late = false;
        log_info("%s answers now: its storages are known", c->paths.cluster);
        if (core_make_directories(c, &err) < 0)
                log_error("%s", err.text);
        membership_refresh(c->members);
        multipath_config_freshen(c);
        links_look(c->links);
        recovery_look(c->recovery);
}

static int core_take_root(Core *c, struct storaged_error *err)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        AUTO(freep) char *path = NULL;
        int r = str_printf(&path, "%s/storaged.lock", c->paths.run);

        if (r < 0)
                return error_set(err, r, "out of memory");
        c->root_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (c->root_lock < 0)
                return error_set(err, -errno, "can't open %s: %m", path);
        /* Not flock(2): that one a worker would hold too, from its fork until its exec. */
        if (fcntl(c->root_lock, F_SETLK, &lock) < 0)
                return error_set(err, -errno, "another storaged runs here: %s is locked", path);
        fs_set_temporary_tag(c->node);
        if (!c->is_late)
                fs_remove_temporary(c->paths.config);
        return 0;
}

static int core_open_rooms(Core *c, const CoreOptions *o, struct storaged_error *err)
{
        WorkerLimits limits = { o->max_workers, o->max_abandoned };
        int r;

        r = worker_pool_new(&c->workers, c->event, o->worker_path, &limits);
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = core_load_plugins(c, o, err);
        if (r < 0)
                return r;
        c->is_config_unknown = c->is_late;
        r = c->is_late ? config_parse(c->schema, "", 0, &c->config) : core_reload_config(c, err);
        if (r < 0 || c->is_passive)
                return r;
        r = cluster_locks_new(&c->locks, c->paths.cluster, c->paths.lib, c->node, c->event, err);
        if (r < 0)
                return r;
        cluster_locks_set_membership(c->locks, c->members);
        if (o->lock_life_s > 0)
                cluster_locks_set_life(c->locks, o->lock_life_s);
        r = task_store_new(&c->tasks, &c->paths, c->node, c->event, err);
        if (r < 0)
                return r;
        r = storage_table_new(&c->storages, c);
        if (r < 0)
                return error_set(err, r, "out of memory");
        storage_table_sync(c->storages);
        r = luns_new(&c->luns, c);
        if (r >= 0)
                r = multipath_config_new(&c->multipath, c);
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = proofs_new(&c->proofs, c);
        if (r >= 0)
                r = overview_new(&c->overview, c);
        if (r >= 0)
                r = streams_new(&c->streams, c);
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = links_new(&c->links, c, o->listen, o->port, err);
        if (r < 0)
                return r;
        r = lun_jobs_resume(c);
        if (r < 0)
                return error_set(err, r, "can't look for removals of LUNs: %s", strerror(-r));
        r = recovery_new(&c->recovery, c);
        return r < 0 ? error_set(err, r, "can't look for migrations: %s", strerror(-r)) : 0;
}

int core_new(Core **ret, const CoreOptions *o, sd_event *event, struct storaged_error *err)
{
        AUTO(core_freep) Core *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return error_set(err, -ENOMEM, "out of memory");
        c->event = sd_event_ref(event);
        c->is_passive = o->is_passive;
        c->gone_after_s = o->gone_after_s > 0 ? o->gone_after_s : GONE_AFTER_S;
        c->root_lock = -EBADF;
        c->start_usec = clock_usec(CLOCK_REALTIME);
        r = paths_init(&c->paths, o->root);
        if (r >= 0)
                core_meet_cluster(c);
        if (r >= 0)
                r = core_init_node(c, o->node);
        if (r >= 0)
                r = schema_new(&c->schema);
        if (r >= 0)
                r = core_init_members(c);
        if (r < 0)
                return error_set(err, r, "can't start: %s", strerror(-r));
        if (!c->is_passive) {
                r = core_make_directories(c, err);
                if (r >= 0)
                        r = core_take_root(c, err);
        }
        if (r >= 0)
                r = core_open_rooms(c, o, err);
        if (r < 0)
                return r;
        if (c->is_passive) {
                *ret = TAKE(c);
                return 0;
        }
        r = core_watch(c, err);
        if (r < 0)
                return r;
        if (c->is_late)
                config_read_later(c);
        *ret = TAKE(c);
        return 0;
}

Core *core_free(Core *c)
{
        bool is_hanging;

        if (!c)
                return NULL;
        free(c->containers);
        c->reread = sd_event_source_disable_unref(c->reread);
        c->watch = watch_free(c->watch);
        (void) sd_event_source_disable_unref(c->config_watch);
        c->is_stopping = true;
        config_file_end(c);
        is_hanging = !aside_end(c);
        if (c->locks)
                cluster_locks_stop(c->locks); /* whoever waits for one ends its work */
        c->luns = luns_free(c->luns);
        c->multipath = multipath_config_free(c->multipath);
        (void) links_free(c->links); /* who waits for another node is told */
        c->proofs = proofs_free(c->proofs);
        c->overview = overview_free(c->overview);
        c->streams = streams_free(c->streams);
        (void) storage_table_free(c->storages);
        c->storages = NULL;
        c->recovery = recovery_free(c->recovery); /* what it had begun has been told of the end */
        (void) config_free(c->config);
        (void) task_store_free(c->tasks);
        (void) cluster_locks_free(c->locks);
        (void) membership_free(c->members);
        oneshot_drop_spare(c);
        (void) worker_pool_free(c->workers);
        (void) schema_free(c->schema);
        free(c->node);
        closep(&c->root_lock);
        if (!is_hanging) {
                paths_deinit(&c->paths);
                guard_end();
        }
        (void) sd_event_unref(c->event);
        free(c);
        return NULL;
}
