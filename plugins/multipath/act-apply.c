/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The action `config-apply`: the cluster's multipath configuration becomes this node's. Two drop-ins, made anew only
 * when their text changes, then one `reconfigure` (which reloads the maps that it concerns, no others); and the list of
 * WWIDs that multipath may assemble. Everything is judged before anything is written, and multipath's own verdict on
 * the result is asked: if it complains of our files, the former ones are put back. What the node's administrator wrote
 * stays: a default set by hand is left out of ours and reported, and only WWIDs that were added here are ever taken out
 * of the list again (a LUN that the node boots from is never ours).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "multipath/actions.h"
#include "multipath/cfg.h"
#include "multipath/conf.h"
#include "multipath/daemon.h"
#include "multipath/js.h"

#define DROP_IN "storaged.conf"
#define DROP_IN_OVERRIDES "storaged-overrides.conf"
#define RECONFIGURE_MS 30000
#define FILE_MAX (1u << 20)
#define TOOL_DEADLINE_MS 15000

/* Defaults that were set by hand on this node. */
typedef struct Hand {
        char (*keys)[64], (*values)[128];
        size_t n;
} Hand;

typedef struct Apply {
        Act *act;
        Cfg cfg;
        Hand hand;
        char *conf, *overrides; /* what the drop-ins are to hold; NULL: no file */
        json_object *differences;
        bool is_real; /* not below --root: multipath is told */
} Apply;

static void file_path(const Act *a, const char *name, char ret[static PATH_MAX])
{
        (void) snprintf(ret, PATH_MAX, "%s%s", a->host->root, name);
}

/* --- what the node's administrator has said */

static int take_hand(void *userdata, const char *section, const char *key, const char *value)
{
        Hand *h = userdata;
        char(*keys)[64], (*values)[128];

        if (strcmp(section, "defaults") != 0)
                return 0;
        keys = reallocarray(h->keys, h->n + 1, sizeof(*keys));
        if (keys)
                h->keys = keys;
        values = reallocarray(h->values, h->n + 1, sizeof(*values));
        if (values)
                h->values = values;
        if (!keys || !values)
                return -ENOMEM;
        (void) snprintf(h->keys[h->n], sizeof(*keys), "%.63s", key);
        (void) snprintf(h->values[h->n], sizeof(*values), "%.127s", value);
        h->n++;
        return 0;
}

static void read_hand(Apply *p)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        char path[PATH_MAX], text[512];
        AUTO(freep) char *conf = NULL;
        int r;

        file_path(p->act, "/etc/multipath.conf", path);
        r = text_read(path, FILE_MAX, &conf);
        if (r < 0)
                (void) error_set(&why, r, "%s", strerror(-r));
        else if (conf)
                r = conf_read(conf, strlen(conf), take_hand, &p->hand, &why);
        if (r < 0) {
                (void) snprintf(text, sizeof(text), "/etc/multipath.conf can't be read to its end: %.300s", why.text);
                js_push(p->differences, json_object_new_string(text));
        }
}

static const char *hand_find(const Hand *h, const char *key)
{
        for (size_t i = h->n; i > 0; i--) /* the last one counts */
                if (strcmp(h->keys[i - 1], key) == 0)
                        return h->values[i - 1];
        return NULL;
}

static int is_by_hand(void *userdata, const char *key)
{
        return hand_find(&((Apply *) userdata)->hand, key) != NULL;
}

static void compare_default(void *userdata, const char *key, const char *value)
{
        Apply *p = userdata;
        const char *own = hand_find(&p->hand, key);
        char text[512];

        if (!own || strcmp(own, value) == 0)
                return;
        (void) snprintf(text, sizeof(text), "/etc/multipath.conf says %s %s, the cluster says %s: the node's own stays",
                        key, own, value);
        js_push(p->differences, json_object_new_string(text));
}

/* --- what is to be there */

static int check_override(void *userdata, const char *section, const char *key, const char *value)
{
        static const char *const allowed[] = { "overrides", "overrides/protocol", "devices/device" };

        (void) key;
        (void) value;
        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
                if (strcmp(allowed[i], section) == 0)
                        return 0;
        return error_set(userdata, -EINVAL, "section '%.60s' can't stand there; 'devices' and 'overrides' can",
                         section);
}

static int prepare_overrides(Apply *p)
{
        const char *text = storaged_config_get(p->act->args, "overrides");
        struct storaged_error why = STORAGED_ERROR_INIT;

        if (!text || !text[strspn(text, " \t\r\n")])
                return 0;
        if (conf_read(text, strlen(text), check_override, &why, &why) < 0)
                return error_set(p->act->err, -EINVAL, "multipath-overrides.conf: %s", why.text);
        return text_printf(&p->overrides, "# Made by storaged from multipath-overrides.conf of the cluster.\n%s%s",
                           text, text[strlen(text) - 1] == '\n' ? "" : "\n");
}

static int prepare(Apply *p)
{
        const char *text = storaged_config_get(p->act->args, "config");
        struct storaged_error why = STORAGED_ERROR_INIT;
        size_t len = 0;
        FILE *f;

        if (text && cfg_parse(text, strlen(text), &p->cfg, &why) < 0)
                return error_set(p->act->err, why.code ? why.code : -ENOMEM, "multipath.cfg: %s", why.text);
        read_hand(p);
        if (!cfg_is_empty(&p->cfg)) {
                cfg_each_default(&p->cfg, compare_default, p);
                f = open_memstream(&p->conf, &len);
                if (!f)
                        return -ENOMEM;
                cfg_render(&p->cfg, is_by_hand, p, f);
                if (fclose(f) != 0)
                        return -ENOMEM;
        }
        return prepare_overrides(p);
}

/* --- the drop-ins */

static int run_multipath(Apply *p, const char *option, const char *name, struct storaged_proc_result *ret)
{
        const char *argv[] = { "multipath", option, name, NULL };
        struct storaged_proc proc = {
                .size = sizeof(proc), .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .deadline_ms = TOOL_DEADLINE_MS
        };

        return p->act->host->proc_run(p->act->host->handle, &proc, ret, p->act->err);
}

/* multipath reads the whole configuration and says what it does not like; of ours nothing may be in it. */
static int ask_verdict(Apply *p)
{
        struct storaged_proc_result result = { .size = sizeof(result) };
        int r = run_multipath(p, "-t", NULL, &result);

        if (r >= 0 && (result.status != 0 || strstr(result.last_error, "storaged")))
                r = error_set(p->act->err, -EINVAL, "multipath refuses the new configuration: %.300s",
                              result.last_error);
        free(result.out);
        return r;
}

static bool is_same(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static int replace_files(Apply *p, bool *ret_changed)
{
        char conf_path[PATH_MAX], overrides_path[PATH_MAX], dir[PATH_MAX];
        AUTO(freep) char *old_conf = NULL, *old_overrides = NULL;
        int r;

        file_path(p->act, "/etc/multipath", dir);
        (void) mkdir(dir, 0755);
        file_path(p->act, "/etc/multipath/conf.d", dir);
        (void) mkdir(dir, 0755);
        (void) snprintf(conf_path, sizeof(conf_path), "%.4000s/%s", dir, DROP_IN);
        (void) snprintf(overrides_path, sizeof(overrides_path), "%.4000s/%s", dir, DROP_IN_OVERRIDES);
        r = text_read(conf_path, FILE_MAX, &old_conf);
        if (r >= 0)
                r = text_read(overrides_path, FILE_MAX, &old_overrides);
        if (r < 0) /* they could not be put back */
                return error_set(p->act->err, r, "can't read the drop-ins in %s: %s", dir, strerror(-r));
        *ret_changed = !is_same(old_conf, p->conf) || !is_same(old_overrides, p->overrides);
        if (!*ret_changed)
                return 0;
        r = text_write(conf_path, p->conf);
        if (r >= 0)
                r = text_write(overrides_path, p->overrides);
        if (r < 0)
                (void) error_set(p->act->err, r, "can't write the drop-ins in %s: %s", dir, strerror(-r));
        else if (p->is_real)
                r = ask_verdict(p);
        if (r < 0) {
                (void) text_write(conf_path, old_conf);
                (void) text_write(overrides_path, old_overrides);
        }
        return r;
}

/* --- the list of WWIDs */

static bool has_line(const char *text, const char *wwid, bool in_slashes)
{
        char line[300];

        (void) snprintf(line, sizeof(line), in_slashes ? "\n/%s/\n" : "\n%s\n", wwid);
        return text && strstr(text, line);
}

/* A text that begins with a newline, so that a line is found by its ends. */
static int read_lines(const char *path, char **ret)
{
        AUTO(freep) char *text = NULL;
        int r = text_read(path, FILE_MAX, &text);

        return r < 0 ? r : text_printf(ret, "\n%s\n", text ? text : "");
}

static bool is_allowed(const Cfg *c, const char *wwid)
{
        for (size_t i = 0; i < c->n_wwids; i++)
                if (strcmp(c->wwids[i], wwid) == 0)
                        return true;
        return false;
}

static int set_listed(Apply *p, const char *option, const char *wwid, const char *what)
{
        struct storaged_proc_result result = { .size = sizeof(result) };
        json_object *list = NULL;
        int r = p->is_real ? run_multipath(p, option, wwid, &result) : 0;

        free(result.out);
        if (r < 0)
                return r;
        if (json_object_object_get_ex(p->act->reply, what, &list))
                js_push(list, json_object_new_string(wwid));
        return 0;
}

/* Ours: those we added and still want. A WWID that was there before us is not adopted. */
static int apply_wwids(Apply *p)
{
        char list_path[PATH_MAX], own_path[PATH_MAX];
        AUTO(freep) char *listed = NULL, *own = NULL, *next = NULL;
        size_t len = 0;
        FILE *f;
        int r;

        file_path(p->act, "/etc/multipath/wwids", list_path);
        file_path(p->act, "/var/lib/storaged/multipath-wwids", own_path);
        r = read_lines(list_path, &listed);
        if (r < 0)
                return error_set(p->act->err, r, "can't read %s: %s", list_path, strerror(-r));
        r = read_lines(own_path, &own);
        if (r < 0)
                return error_set(p->act->err, r, "can't read %s: %s", own_path, strerror(-r));
        f = open_memstream(&next, &len);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < p->cfg.n_wwids; i++) {
                const char *wwid = p->cfg.wwids[i];
                bool is_ours = has_line(own, wwid, false);

                if (is_ours || !has_line(listed, wwid, true))
                        (void) fprintf(f, "%s\n", wwid);
                if (!has_line(listed, wwid, true))
                        r = set_listed(p, "-a", wwid, "added");
        }
        for (char *at = strtok(own, "\n"); r >= 0 && at; at = strtok(NULL, "\n"))
                if (!is_allowed(&p->cfg, at) && vpd_wwid_is_valid(at))
                        r = set_listed(p, "-w", at, "pruned");
        (void) fclose(f);
        return r < 0 ? r : text_write(own_path, next && *next ? next : NULL);
}

/* LUNs that are allowed now and have paths, but no map: multipathd is told of the paths again. */
static void take_up(Apply *p)
{
        AUTO_JS *all = NULL;
        json_object *luns = NULL, *paths = NULL;
        struct storaged_error why = STORAGED_ERROR_INIT;

        if (act_collect(&(Act){ p->act->host, p->act->args, NULL, &why }, NULL, false, &all) < 0)
                return;
        (void) json_object_object_get_ex(all, "luns", &luns);
        for (size_t i = 0; i < json_object_array_length(luns); i++) {
                json_object *lun = json_object_array_get_idx(luns, i);

                if (!is_allowed(&p->cfg, act_text(lun, "wwid")) || *act_text(lun, "dm"))
                        continue;
                for (size_t k = 0; k < act_paths(lun, &paths); k++) {
                        char command[64];

                        (void) snprintf(command, sizeof(command), "add path %.31s",
                                        act_text(json_object_array_get_idx(paths, k), "dev"));
                        (void) daemon_tell(command, RECONFIGURE_MS, &why);
                }
        }
}

static int apply(Apply *p)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        bool is_changed = false;
        int r = prepare(p);

        if (r >= 0)
                r = replace_files(p, &is_changed);
        if (r >= 0)
                r = apply_wwids(p);
        if (r < 0)
                return r;
        js_int(p->act->reply, "changed", is_changed);
        if (is_changed && p->is_real && daemon_tell("reconfigure", RECONFIGURE_MS, &why) < 0)
                js_text(p->act->reply, "warning", why.text);
        if (p->is_real)
                take_up(p);
        return 0;
}

int act_apply(Act *a)
{
        Apply p = { .act = a, .differences = json_object_new_array(), .is_real = a->host->root[0] == '\0' };
        int r;

        js_add(a->reply, "added", json_object_new_array());
        js_add(a->reply, "pruned", json_object_new_array());
        js_add(a->reply, "differences", p.differences);
        r = apply(&p);
        cfg_deinit(&p.cfg);
        free(p.hand.keys);
        free(p.hand.values);
        free(p.conf);
        free(p.overrides);
        return r;
}
