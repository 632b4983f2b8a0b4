/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The action `lun-scan`: looking for LUNs that are new. Narrow where the target is known ("C T L" on its hosts),
 * wildcards only for discovery. Each write to sysfs is a child's, some at a time, with a deadline: a host whose scan
 * hangs is left behind and named. Then whatever is there is asked who it is: a number that the array gave to another
 * LUN is found here, the old disk is deleted, and its number looked at again. It ends when udev and multipathd have
 * nothing left to do. A loop initialisation is never issued, multipathd is never told to read its configuration.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "multipath/actions.h"
#include "multipath/daemon.h"
#include "multipath/js.h"
#include "multipath/scsi.h"
#include "multipath/sysfs.h"
#include "multipath/work.h"

#define SCAN_DEADLINE_MS 25000
#define SETTLE_MS 20000
#define UDEV_WAIT_MS 10000

typedef struct ScanList {
        ScanWrite *items;
        size_t n;
} ScanList;

static int list_add(ScanList *l, const char *host, const char *what)
{
        ScanWrite *more = reallocarray(l->items, l->n + 1, sizeof(*more));

        if (!more)
                return -ENOMEM;
        l->items = more;
        l->items[l->n] = (ScanWrite){ 0 };
        (void) snprintf(l->items[l->n].path, sizeof(l->items[l->n].path), "/sys/class/scsi_host/%.31s/scan", host);
        (void) snprintf(l->items[l->n].text, sizeof(l->items[l->n].text), "%.47s", what);
        l->n++;
        return 0;
}

static int write_child(void *arg, int fd)
{
        const ScanWrite *w = arg;
        int file = open(w->path, O_WRONLY | O_CLOEXEC);

        (void) fd;
        if (file < 0)
                return -errno;
        return write(file, w->text, strlen(w->text)) < 0 ? -errno : 0;
}

int act_scan_write(Act *a, ScanWrite *writes, size_t n)
{
        AUTO(freep) Work *works = calloc(n ? n : 1, sizeof(*works));
        json_object *failed = json_object_new_array();
        int r;

        if (!works) {
                json_object_put(failed);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++)
                works[i] = (Work){ .fn = write_child, .arg = &writes[i] };
        r = work_run(works, n, ACT_AT_ONCE, SCAN_DEADLINE_MS);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                char text[256];

                if (works[i].result < 0) {
                        (void) snprintf(text, sizeof(text), "'%s' to %s: %s", writes[i].text, writes[i].path,
                                        works[i].result == -ETIMEDOUT ? "has not come back, it was left behind"
                                                                      : strerror(-works[i].result));
                        js_push(failed, json_object_new_string(text));
                        a->host->log(a->host->handle, STORAGED_LOG_WARNING, "scan: %s", text);
                }
                free(works[i].out);
        }
        js_add(a->reply, "failed", failed);
        return r;
}

/* --- where to look */

/* "targetH:C:T" of a known target, in FC's two places and iSCSI's. Each once. */
typedef struct Finder {
        Act *a;
        ScanList *list;
        const char *target, *lun;
        int sys;
} Finder;

/* A WWPN is written with colons, with 0x, or plainly, in either case. */
static bool names_target(const char *have, const char *want)
{
        have += strncmp(have, "0x", 2) == 0 ? 2 : 0;
        want += strncmp(want, "0x", 2) == 0 ? 2 : 0;
        for (;; have++, want++) {
                while (*want == ':')
                        want++;
                if (!*have || !*want)
                        return *have == *want;
                if (tolower((unsigned char) *have) != tolower((unsigned char) *want))
                        return false;
        }
}

static int add_target(Finder *f, unsigned host, unsigned channel, unsigned id)
{
        char name[32], what[64], path[128];

        (void) snprintf(name, sizeof(name), "host%u", host);
        (void) snprintf(what, sizeof(what), "%u %u %s", channel, id, f->lun ? f->lun : "-");
        (void) snprintf(path, sizeof(path), "/sys/class/scsi_host/%s/scan", name);
        for (size_t i = 0; i < f->list->n; i++)
                if (strcmp(f->list->items[i].path, path) == 0 && strcmp(f->list->items[i].text, what) == 0)
                        return 0;
        return list_add(f->list, name, what);
}

static int on_fc_target(void *userdata, int dir, const char *name, uint64_t inode)
{
        unsigned host, channel, id;
        Finder *f = userdata;
        char path[128], port[64];

        (void) dir;
        (void) inode;
        (void) snprintf(path, sizeof(path), "class/fc_transport/%.40s/port_name", name);
        if (sysfs_text(f->sys, path, port, sizeof(port)) > 0 && names_target(port, f->target) &&
            sscanf(name, "target%u:%u:%u", &host, &channel, &id) == 3)
                return add_target(f, host, channel, id);
        return 0;
}

static int on_rport(void *userdata, int dir, const char *name, uint64_t inode)
{
        unsigned host, channel;
        Finder *f = userdata;
        char path[128], port[64];
        uint64_t id;

        (void) dir;
        (void) inode;
        (void) snprintf(path, sizeof(path), "class/fc_remote_ports/%.40s/port_name", name);
        if (sysfs_text(f->sys, path, port, sizeof(port)) <= 0 || !names_target(port, f->target) ||
            sscanf(name, "rport-%u:%u-", &host, &channel) != 2)
                return 0;
        (void) snprintf(path, sizeof(path), "class/fc_remote_ports/%.40s/scsi_target_id", name);
        id = sysfs_number(f->sys, path, UINT64_MAX); /* -1: it is no target */
        return id == UINT64_MAX ? 0 : add_target(f, host, channel, (unsigned) id);
}

static int on_session(void *userdata, int dir, const char *name, uint64_t inode)
{
        unsigned host, id;
        Finder *f = userdata;
        char path[160], target[256], place[1024];
        const char *at;
        ssize_t n;

        (void) dir;
        (void) inode;
        (void) snprintf(path, sizeof(path), "class/iscsi_session/%.40s/targetname", name);
        if (sysfs_text(f->sys, path, target, sizeof(target)) <= 0 || strcmp(target, f->target) != 0)
                return 0;
        (void) snprintf(path, sizeof(path), "class/iscsi_session/%.40s/target_id", name);
        id = (unsigned) sysfs_number(f->sys, path, 0);
        (void) snprintf(path, sizeof(path), "class/iscsi_session/%.40s", name);
        n = readlinkat(f->sys, path, place, sizeof(place) - 1); /* …/hostH/sessionN/iscsi_session/sessionN */
        place[n > 0 ? n : 0] = '\0';
        at = strstr(place, "/host");
        if (!at || sscanf(at, "/host%u/", &host) != 1)
                return 0;
        return add_target(f, host, 0, id);
}

static int add_host(void *userdata, int dir, const char *name, uint64_t inode)
{
        Finder *f = userdata;
        char path[96], state[32];

        (void) dir;
        (void) inode;
        (void) snprintf(path, sizeof(path), "class/fc_host/%.31s/port_state", name);
        if (sysfs_text(f->sys, path, state, sizeof(state)) > 0 && strcmp(state, "Online") != 0)
                return 0; /* a port without a cable would only wait */
        return list_add(f->list, name, "- - -");
}

static int find_places(Act *a, int sys, ScanList *list)
{
        Finder f = { a, list, storaged_config_get(a->args, "target"), storaged_config_get(a->args, "lun"), sys };
        int r = 0;

        if (!f.target) {
                r = sysfs_each(sys, "class/scsi_host", add_host, &f);
                return r == -ENOENT ? 0 : r;
        }
        r = sysfs_each(sys, "class/fc_transport", on_fc_target, &f);
        if (r >= 0 || r == -ENOENT)
                r = sysfs_each(sys, "class/fc_remote_ports", on_rport, &f);
        if (r >= 0 || r == -ENOENT)
                r = sysfs_each(sys, "class/iscsi_session", on_session, &f);
        if (r < 0 && r != -ENOENT)
                return r;
        if (list->n == 0)
                return error_set_param(a->err, -ENOENT, "target", "node %s sees no target '%s'; see pvesm lun ports",
                                       a->host->node, f.target);
        return 0;
}

/*
 * Whoever waits for this action gives up when nothing is heard for half a minute. Each stage has a deadline below that;
 * with a host that hangs, their sum has not.
 */
static int stage_done(Act *a, int r)
{
        if (r >= 0 && a->host->progress(a->host->handle, 0, 0) != 0)
                return error_set(a->err, -ECANCELED, "stopped");
        return r;
}

/* --- numbers that lead elsewhere now */

static int replace_path(Act *a, const char *dev, const char *hctl, json_object *replaced)
{
        unsigned host, channel, id;
        unsigned long long lun;
        char path[128], what[64], name[32];
        ScanWrite again = { 0 };

        if (sscanf(hctl, "%u:%u:%u:%llu", &host, &channel, &id, &lun) != 4)
                return 0;
        a->host->log(a->host->handle, STORAGED_LOG_WARNING,
                     "path %s (%s) leads to another LUN than it did: the disk is deleted and looked at again", dev,
                     hctl);
        (void) snprintf(path, sizeof(path), "/sys/class/scsi_device/%.40s/device/delete", hctl);
        if (work_write(path, "1", SCAN_DEADLINE_MS, a->err) < 0)
                return a->err->code;
        js_push(replaced, json_object_new_string(hctl));
        (void) snprintf(name, sizeof(name), "host%u", host);
        (void) snprintf(again.path, sizeof(again.path), "/sys/class/scsi_host/%s/scan", name);
        (void) snprintf(what, sizeof(what), "%u %u %llu", channel, id, lun);
        (void) snprintf(again.text, sizeof(again.text), "%.47s", what);
        return act_scan_write(a, &again, 1);
}

/* One path of one LUN, and what it answers. */
typedef struct Asked {
        json_object *lun, *path;
} Asked;

static size_t list_paths(json_object *luns, Asked *asked, LiveDisk *disks)
{
        size_t n = 0;

        for (size_t i = 0; i < json_object_array_length(luns); i++) {
                json_object *lun = json_object_array_get_idx(luns, i), *paths = NULL;
                size_t n_paths = strcmp(act_text(lun, "transport"), "nvme") == 0 ? 0 : act_paths(lun, &paths);

                for (size_t k = 0; k < n_paths; k++, n++) {
                        if (!asked)
                                continue;
                        asked[n] = (Asked){ lun, json_object_array_get_idx(paths, k) };
                        (void) snprintf(disks[n].dev, sizeof(disks[n].dev), "%.31s", act_text(asked[n].path, "dev"));
                }
        }
        return n;
}

/* Every path of the SAN says who it is now; in one round, however many LUNs. */
static int find_reused(Act *a, json_object *luns)
{
        size_t n = list_paths(luns, NULL, NULL);
        AUTO(freep) Asked *asked = calloc(n ? n : 1, sizeof(*asked));
        AUTO(freep) LiveDisk *disks = calloc(n ? n : 1, sizeof(*disks));
        json_object *replaced = json_object_new_array(), *gone = json_object_new_array();
        int r = asked && disks ? 0 : -ENOMEM;

        js_add(a->reply, "replaced", replaced);
        js_add(a->reply, "gone", gone);
        if (r < 0)
                return r;
        (void) list_paths(luns, asked, disks);
        scsi_ask(disks, n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                const char *hctl = act_text(asked[i].path, "hctl");

                if (disks[i].result == -ENODEV)
                        js_push(gone, json_object_new_string(hctl));
                else if (disks[i].result == 0 && disks[i].wwid[0] &&
                         strcmp(disks[i].wwid, act_text(asked[i].lun, "wwid")) != 0)
                        r = stage_done(a, replace_path(a, disks[i].dev, hctl, replaced));
        }
        return r;
}

/* --- the end of it */

int act_settle(Act *a)
{
        uint64_t end = work_now_ms() + UDEV_WAIT_MS;
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r;

        while (access("/run/udev/queue", F_OK) == 0 && work_now_ms() < end) {
                if (a->host->progress(a->host->handle, 0, 0) != 0)
                        return error_set(a->err, -ECANCELED, "stopped");
                (void) usleep(50000);
        }
        (void) a->host->progress(a->host->handle, 0, 0); /* multipathd has its time, whatever udev took */
        r = daemon_settle(SETTLE_MS, &why);
        if (r == -ENOPKG || r == -ECONNREFUSED)
                return 0; /* no multipathd: nothing to wait for */
        if (r < 0)
                js_text(a->reply, "unsettled", why.text);
        return 0;
}

static bool has_wwid(json_object *luns, const char *wwid)
{
        for (size_t i = 0; i < json_object_array_length(luns); i++)
                if (strcmp(act_text(json_object_array_get_idx(luns, i), "wwid"), wwid) == 0)
                        return true;
        return false;
}

/* Those of `a` that are not in `b`. */
static json_object *difference(json_object *a, json_object *b)
{
        json_object *rows = json_object_new_array();

        for (size_t i = 0; i < json_object_array_length(a); i++) {
                const char *wwid = act_text(json_object_array_get_idx(a, i), "wwid");

                if (!has_wwid(b, wwid))
                        js_push(rows, json_object_new_string(wwid));
        }
        return rows;
}

int act_scan(Act *a)
{
        AUTO_JS *before = NULL, *after = NULL;
        json_object *old = NULL, *new = NULL;
        AUTO(closep) int sys = act_open_sys(a->host);
        ScanList list = { 0 };
        int r = act_collect(a, NULL, false, &before);

        if (r >= 0)
                r = find_places(a, sys, &list);
        if (r >= 0)
                r = stage_done(a, act_scan_write(a, list.items, list.n));
        js_int(a->reply, "scans", (int64_t) list.n);
        free(list.items);
        if (r >= 0 && json_object_object_get_ex(before, "luns", &old))
                r = stage_done(a, find_reused(a, old));
        if (r >= 0)
                r = stage_done(a, act_settle(a));
        if (r >= 0)
                r = act_collect(a, NULL, false, &after);
        if (r < 0)
                return r;
        (void) json_object_object_get_ex(after, "luns", &new);
        js_int(a->reply, "luns", (int64_t) json_object_array_length(new));
        js_add(a->reply, "new", difference(new, old));
        js_add(a->reply, "lost", difference(old, new));
        return 0;
}
