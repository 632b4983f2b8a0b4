/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual files: JSON made when they are opened. .version counts the changes of files that services of Proxmox VE keep
 * in a cache: those of a fixed list and all below a few directories. The counters begin anew with the daemon; readers
 * know by `starttime`.
 */
#include "clusterfs/status.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define COUNTERS_MAX 1024

static const struct {
        const char *name, *target; /* target: below nodes/<self>, of links */
        bool is_link;
} items[STATUS_ITEMS] = {
        [STATUS_VERSION] = { ".version", NULL, false },
        [STATUS_MEMBERS] = { ".members", NULL, false },
        [STATUS_VMLIST] = { ".vmlist", NULL, false },
        [STATUS_CLUSTERLOG] = { ".clusterlog", NULL, false },
        [STATUS_DEBUG] = { ".debug", NULL, false },
        [STATUS_LOCAL] = { "local", "", true },
        [STATUS_QEMU] = { "qemu-server", "/qemu-server", true },
        [STATUS_LXC] = { "lxc", "/lxc", true },
        [STATUS_OPENVZ] = { "openvz", "/openvz", true },
};

static const char *const observed[] = {
        "ceph.conf",         "corosync.conf",         "corosync.conf.new",
        "datacenter.cfg",    "domains.cfg",           "jobs.cfg",
        "notifications.cfg", "priv/acme/plugins.cfg", "priv/shadow.cfg",
        "priv/tfa.cfg",      "priv/token.cfg",        "replication.cfg",
        "status.cfg",        "storage.cfg",           "user.cfg",
        "vzdump.conf",       "vzdump.cron",           "priv/notifications.cfg",
};
static const char *const observed_dirs[] = { "ha/", "sdn/", "firewall/", "mapping/", "virtual-guest/" };

static int add_counter(Status *s, const char *path)
{
        Counter c = { .path = strdup(path), .n = 1 };

        if (!c.path || VEC_PUSH(&s->counters, c) < 0) {
                free(c.path);
                return -ENOMEM;
        }
        return 0;
}

int status_init(Status *s, const char *node, int log_level)
{
        *s = (Status){ .node = node,
                       .start_time = (uint64_t) time(NULL),
                       .cluster_version = 1,
                       .vmlist_version = 1,
                       .log_level = log_level,
                       .is_debug = log_level >= LOG_DEBUG };
        for (size_t i = 0; i < sizeof(observed) / sizeof(observed[0]); i++)
                if (add_counter(s, observed[i]) < 0)
                        return -ENOMEM;
        return 0;
}

void status_deinit(Status *s)
{
        for (size_t i = 0; i < s->counters.n; i++)
                free(s->counters.items[i].path);
        VEC_DEINIT(&s->counters);
}

static bool is_guest(const char *path)
{
        return str_skip(path, "nodes/") && str_ends_with(path, ".conf") &&
               (strstr(path, "/qemu-server/") || strstr(path, "/lxc/") || strstr(path, "/openvz/"));
}

void status_changed(Status *s, const char *path)
{
        bool found = false;

        if (!path || is_guest(path))
                s->vmlist_version++;
        for (size_t i = 0; i < s->counters.n; i++)
                if (!path || str_eq(s->counters.items[i].path, path)) {
                        s->counters.items[i].n++;
                        found = true;
                }
        for (size_t i = 0; path && !found && i < sizeof(observed_dirs) / sizeof(observed_dirs[0]); i++)
                if (str_skip(path, observed_dirs[i]) && s->counters.n < COUNTERS_MAX)
                        (void) add_counter(s, path);
}

void status_membership(Status *s)
{
        s->cluster_version++;
}

int status_lookup(const char *name)
{
        for (int i = 0; i < STATUS_ITEMS; i++)
                if (str_eq(items[i].name, name))
                        return i;
        return -1;
}

int status_of_ino(uint64_t ino)
{
        return ino >= STATUS_INO_FIRST && ino < STATUS_INO_FIRST + STATUS_ITEMS ? (int) (ino - STATUS_INO_FIRST) : -1;
}

const char *status_name(enum status_item item)
{
        return items[item].name;
}

bool status_is_link(enum status_item item)
{
        return items[item].is_link;
}

/* --- contents ------------------------------------------------------------------------------------------- */

static void add(json_object *o, const char *key, json_object *value)
{
        (void) json_object_object_add(o, key, value);
}

static json_object *show_version(const Status *s, const Engine *e)
{
        json_object *o = json_object_new_object();

        (void) e;
        add(o, "starttime", json_object_new_uint64(s->start_time));
        add(o, "clinfo", json_object_new_uint64(s->cluster_version));
        add(o, "vmlist", json_object_new_uint64(s->vmlist_version));
        for (size_t i = 0; i < s->counters.n; i++)
                add(o, s->counters.items[i].path, json_object_new_uint64(s->counters.items[i].n));
        add(o, "kvstore", json_object_new_object());
        return o;
}

static json_object *show_members(const Status *s, const Engine *e)
{
        const ClusterInfo *info = engine_info(e);
        json_object *o = json_object_new_object(), *cluster, *list;

        add(o, "nodename", json_object_new_string(s->node));
        add(o, "version", json_object_new_uint64(s->cluster_version));
        if (!info)
                return o;
        cluster = json_object_new_object();
        add(cluster, "name", json_object_new_string(info->name));
        add(cluster, "version", json_object_new_uint64(info->config_version));
        add(cluster, "nodes", json_object_new_int64((int64_t) info->nodes.n));
        add(cluster, "quorate", json_object_new_int(engine_is_quorate(e)));
        add(o, "cluster", cluster);
        list = json_object_new_object();
        for (size_t i = 0; i < info->nodes.n; i++) {
                const ClusterNode *n = &info->nodes.items[i];
                json_object *node = json_object_new_object();

                add(node, "id", json_object_new_int64(n->nodeid));
                add(node, "online", json_object_new_int(n->is_online));
                add(node, "ip", json_object_new_string(n->ip));
                add(list, n->name, node);
        }
        add(o, "nodelist", list);
        return o;
}

static int add_guest(void *userdata, Node *n)
{
        json_object *ids = userdata, *guest;
        const char *type;
        char key[16];

        if (!n->vmid)
                return 0;
        type = str_eq(n->parent->name, "qemu-server") ? "qemu" : n->parent->name;
        guest = json_object_new_object();
        add(guest, "node", json_object_new_string(n->parent->parent->name));
        add(guest, "type", json_object_new_string(type));
        add(guest, "version", json_object_new_uint64(n->version.index));
        (void) snprintf(key, sizeof(key), "%u", n->vmid);
        add(ids, key, guest);
        return 0;
}

static json_object *show_vmlist(const Status *s, const Engine *e)
{
        json_object *o = json_object_new_object(), *ids = json_object_new_object();

        add(o, "version", json_object_new_uint64(s->vmlist_version));
        (void) tree_walk(engine_tree(e), add_guest, ids);
        if (json_object_object_length(ids) > 0)
                add(o, "ids", ids);
        else
                (void) json_object_put(ids);
        return o;
}

void status_show(const Status *s, const Engine *e, enum status_item item, StrBuf *b)
{
        json_object *o = NULL;

        if (items[item].is_link)
                strbuf_addf(b, "nodes/%s%s", s->node, items[item].target);
        else if (item == STATUS_DEBUG)
                strbuf_addf(b, "%d\n", s->is_debug);
        else if (item == STATUS_CLUSTERLOG)
                clusterlog_show(engine_clusterlog(e), b);
        else
                o = item == STATUS_VERSION   ? show_version(s, e)
                    : item == STATUS_MEMBERS ? show_members(s, e)
                                             : show_vmlist(s, e);
        if (o) {
                strbuf_adds(
                        b, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
                strbuf_addc(b, '\n');
                (void) json_object_put(o);
        }
}

int status_write(Status *s, enum status_item item, const char *text, size_t len)
{
        if (item != STATUS_DEBUG)
                return -EACCES;
        if (len < 2 || (text[0] != '0' && text[0] != '1') || text[1] != '\n')
                return -EINVAL;
        s->is_debug = text[0] == '1';
        log_set_max_level(s->is_debug ? LOG_DEBUG : s->log_level);
        return 0;
}
