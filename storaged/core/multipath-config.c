/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster's multipath configuration. The daemon only carries the text: what may stand in it, and what a node makes
 * of it, is the plugin's (plugins/multipath/act-apply.c). One application at a time; a change meanwhile is applied
 * after it.
 */
#include "core/multipath-config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/lock.h"
#include "core/action.h"
#include "core/lun-cluster.h"
#include "core/lun-journal.h"
#include "core/lun.h"
#include "wire/json.h"

#define CONFIG_MAX (1u << 20)
#define LOCK_NAME "file-multipath_cfg"
#define LOCK_WAIT_USEC (20 * USEC_PER_SEC)
#define APPLY_TIMEOUT_USEC (90 * USEC_PER_SEC)

typedef struct Seen {
        FsSeen files[2];
} Seen;

struct MultipathConfig {
        Core *core;
        char *paths[2]; /* multipath.cfg, multipath-overrides.conf */
        char *mark;     /* there: something was applied here once */
        Seen seen;
        bool is_applying, is_old;
        json_object *result;
        char error[STORAGED_ERROR_TEXT];
};

/* 1: there is one of them; 0: there is none. */
static int look(const MultipathConfig *m, Seen *ret)
{
        Seen seen = { 0 };
        int r = 0;

        for (int i = 0; r >= 0 && i < 2; i++)
                r = fs_glance(m->paths[i], &seen.files[i]);
        if (r < 0)
                return r;
        *ret = seen;
        return seen.files[0].inode != 0 || seen.files[1].inode != 0;
}

static void apply(MultipathConfig *m);

static void on_applied(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        MultipathConfig *m = userdata;

        m->is_applying = false;
        m->error[0] = '\0';
        if (err) {
                (void) snprintf(m->error, sizeof(m->error), "%s", err->text);
                log_error("multipath: %s", err->text);
        } else {
                json_object_put(m->result);
                m->result = NULL;
                (void) json_parse(reply->raw, reply->raw_len, &m->result);
                (void) fs_write_atomic(m->mark, "1\n", 2, 0600);
                if (json_get_bool(m->result, "changed", false))
                        log_info("multipath: the cluster's configuration was applied");
                luns_touch(m->core, "all");
        }
        if (m->is_old)
                apply(m);
}

static void apply(MultipathConfig *m)
{
        AUTO(freep) char *config = NULL, *overrides = NULL;
        struct storaged_pair args[2];
        ActionCall call = { .type = "multipath",
                            .action = "config-apply",
                            .args = args,
                            .is_direct = true,
                            .timeout_usec = APPLY_TIMEOUT_USEC };
        char **texts[] = { &config, &overrides };
        static const char *const names[] = { "config", "overrides" };

        m->is_old = false;
        (void) look(m, &m->seen);
        for (int i = 0; i < 2; i++) {
                int r = fs_read_file(m->paths[i], CONFIG_MAX, texts[i], NULL);

                if (r < 0 && r != -ENOENT) {
                        (void) snprintf(m->error, sizeof(m->error), "can't read %s: %s", m->paths[i], strerror(-r));
                        return;
                }
                if (*texts[i])
                        args[call.n_args++] = (struct storaged_pair){ names[i], *texts[i] };
        }
        m->is_applying = true;
        action_run(m->core, &call, on_applied, m);
}

void multipath_config_freshen(Core *c)
{
        MultipathConfig *m = c->multipath;
        Seen now;
        int r;

        if (!m)
                return;
        r = look(m, &now);
        if (r < 0 || (r == 0 && access(m->mark, F_OK) < 0))
                return;
        if (memcmp(&now, &m->seen, sizeof(now)) == 0 && (m->result || m->error[0] || m->is_applying))
                return;
        if (m->is_applying) {
                m->is_old = true;
                return;
        }
        apply(m);
}

void multipath_config_changed(Core *c)
{
        MultipathConfig *m = c->multipath;

        if (m && m->is_applying)
                m->is_old = true;
        else if (m)
                apply(m);
}

json_object *multipath_config_to_json(const Core *c)
{
        const MultipathConfig *m = c->multipath;
        AUTO_JSON *o = NULL;

        if (!m || !m->result)
                o = json_object_new_object();
        else if (json_object_deep_copy(m->result, &o, NULL) < 0)
                return NULL;
        if (json_add_bool01(o, "applied", m && m->result && !m->error[0]) < 0 ||
            json_add_string(o, "error", m && m->error[0] ? m->error : NULL) < 0)
                return NULL;
        return TAKE(o);
}

/* --- one LUN */

typedef struct Allow {
        Core *core;
        char *wwid, *alias;
        bool allow;
        ClusterLock *lock;
        reply_fn fn;
        void *userdata;
} Allow;

static void allow_end(Allow *a, json_object *data, const struct storaged_error *err)
{
        (void) cluster_lock_release(a->lock);
        a->fn(a->userdata, err ? NULL : &(Reply){ .data = data }, err);
        free(a->wwid);
        free(a->alias);
        free(a);
}

/* The section of that WWID: from its head to the next head, blank lines included. */
static bool find_section(const char *text, const char *wwid, const char **ret_from, const char **ret_to)
{
        size_t n = strlen(wwid);

        for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
                const char *id = str_skip(at, "wwid:"), *to;

                if (!id)
                        continue;
                id += strspn(id, " \t");
                if (strncmp(id, wwid, n) != 0 || !strchr(" \t\r\n", id[n]))
                        continue;
                for (to = strchr(at, '\n'); to && to[1] && strchr(" \t\n#", to[1]); to = strchr(to + 1, '\n'))
                        ;
                *ret_from = at;
                *ret_to = to ? to + 1 : at + strlen(at);
                return true;
        }
        return false;
}

static int edit(const Allow *a, const char *text, StrBuf *b)
{
        const char *from = text + strlen(text), *to = from;
        bool is_there = find_section(text, a->wwid, &from, &to);

        if (!a->allow && !is_there)
                return -ENOENT;
        strbuf_add(b, text, (size_t) (from - text));
        if (a->allow) {
                if (b->len > 0 && b->data[b->len - 1] != '\n')
                        strbuf_addc(b, '\n');
                strbuf_addf(b, "wwid: %s\n", a->wwid);
                if (a->alias)
                        strbuf_addf(b, "\talias %s\n", a->alias);
                strbuf_addc(b, '\n');
        }
        strbuf_adds(b, to);
        return strbuf_error(b);
}

/* Who has the LUN, of all nodes; who can't be asked has it in no case that counts. */
static json_object *list_seers(json_object *row)
{
        json_object *seers = json_object_new_array();

        if (!seers || !row)
                return seers;
        json_object_object_foreach (json_get(row, "nodes"), node, lun) {
                (void) lun;
                (void) json_object_array_add(seers, json_object_new_string(node));
        }
        return seers;
}

/*
 * A LUN may be allowed before the array shows it to anybody. A WWID with a slip in it looks the same, and nothing would
 * ever come of it: so it is said. That it can't be found out who sees it does not undo what was done.
 */
static void on_seen(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Allow *a = userdata;
        AUTO_JSON *data = json_object_new_object();
        json_object *row = err ? NULL : luns_find_in(reply->data, a->wwid);
        AUTO(freep) char *text = NULL;
        int r = json_add_string(data, "wwid", a->wwid);

        if (r >= 0)
                r = json_add(data, "seen", list_seers(row));
        if (r >= 0 && err)
                r = str_printf(&text, "whether a node sees LUN %s could not be found out: %s", a->wwid, err->text);
        else if (r >= 0 && !row)
                r = str_printf(&text,
                               "no node sees a LUN %s now; it is allowed for when it appears. Is the WWID right? See "
                               "pvesm lun list; after mapping it on the array, pvesm lun scan",
                               a->wwid);
        if (r >= 0 && text) {
                json_object *list = json_object_new_array();

                log_warning("multipath: %s", text);
                if (list && json_object_array_add(list, json_object_new_string(text)) < 0)
                        r = -ENOMEM;
                if (json_add(data, "warnings", list) < 0)
                        r = -ENOMEM;
        }
        allow_end(a, r < 0 ? NULL : data, NULL);
}

static void on_lock(void *userdata, ClusterLock *lock, const struct storaged_error *failed)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        AUTO(fence_deinit) Fence fence = { 0 };
        AUTO(freep) char *text = NULL;
        Allow *a = userdata;
        const char *path = a->core->multipath->paths[0];
        int r;

        a->lock = lock;
        if (failed) {
                allow_end(a, NULL, failed);
                return;
        }
        r = fs_read_file(path, CONFIG_MAX, &text, NULL);
        if (r == -ENOENT)
                r = 0;
        if (r >= 0)
                r = edit(a, text ? text : "", &b);
        if (r == -ENOENT)
                (void) error_set_param(&err, r, "wwid", "LUN %s is not in multipath.cfg", a->wwid);
        else if (r >= 0)
                r = cluster_lock_prove(lock, &fence, &err);
        if (r >= 0)
                r = fs_write_fenced(path, b.data ? b.data : "", b.len, 0640, &fence);
        if (r < 0 && !err.text[0])
                (void) error_set(&err, r, "can't change %s: %s", path, fs_strerror(r));
        if (r >= 0)
                multipath_config_freshen(a->core);
        if (r < 0 || !a->allow) {
                allow_end(a, NULL, r < 0 ? &err : NULL);
                return;
        }
        a->lock = cluster_lock_release(a->lock); /* what is asked now may take its time */
        luns_cluster_query(a->core, a->wwid, 0, on_seen, a);
}

void multipath_config_allow(Core *c, const char *wwid, const char *alias, bool allow, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Allow *a = calloc(1, sizeof(*a));
        int r = -ENOMEM;

        (void) error_set(&err, r, "out of memory");
        if (a) {
                *a = (Allow){ c, strdup(wwid), alias ? strdup(alias) : NULL, allow, NULL, fn, userdata };
                if (!lun_wwid_is_valid(wwid))
                        r = error_set_param(&err, -EINVAL, "wwid", "'%s' is no WWID", wwid);
                else if (a->wwid && (!alias || a->alias))
                        r = cluster_lock_acquire(c->locks, LOCK_NAME, false, "multipath.cfg",
                                                 now_usec() + LOCK_WAIT_USEC, on_lock, a, &a->lock);
                if (r >= 0)
                        return;
                a->lock = NULL;
                allow_end(a, NULL, &err);
                return;
        }
        fn(userdata, NULL, &err);
}

int multipath_config_new(MultipathConfig **ret, Core *c)
{
        AUTO(multipath_config_freep) MultipathConfig *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->core = c;
        r = str_printf(&m->paths[0], "%s/multipath.cfg", c->paths.cluster);
        if (r >= 0)
                r = str_printf(&m->paths[1], "%s/multipath-overrides.conf", c->paths.cluster);
        if (r >= 0)
                r = str_printf(&m->mark, "%s/multipath-applied", c->paths.lib);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

MultipathConfig *multipath_config_free(MultipathConfig *m)
{
        if (!m)
                return NULL;
        json_object_put(m->result);
        free(m->paths[0]);
        free(m->paths[1]);
        free(m->mark);
        free(m);
        return NULL;
}
