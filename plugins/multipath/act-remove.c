/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A LUN leaves this node: the steps of which core makes the removal (docs/luns.md). Each may be called again after a
 * crash and then does what is missing. Order is everything: the map is forbidden to come back before it is flushed,
 * flushed before its paths go, and the paths go before the array takes the LUN away; the other way round leaves I/O
 * waiting for ever. Numbers of dm devices are never waited for: they are reused.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "multipath/actions.h"
#include "multipath/daemon.h"
#include "multipath/js.h"
#include "multipath/work.h"

#define TOOL_DEADLINE_MS 15000
#define DELETE_DEADLINE_MS 30000
#define GONE_WAIT_MS 30000
#define DAEMON_ASK_MS 5000
#define POLL_USEC 100000
#define HCTLS_MAX 1024u

static int run_multipath(Act *a, const char *option, const char *name, struct storaged_proc_result *ret)
{
        const char *argv[] = { "multipath", option, name, NULL };
        struct storaged_proc proc = {
                .size = sizeof(proc), .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .deadline_ms = TOOL_DEADLINE_MS
        };

        return a->host->proc_run(a->host->handle, &proc, ret, a->err);
}

static void hold_path(Act *a, const char *wwid, char ret[static PATH_MAX])
{
        (void) snprintf(ret, PATH_MAX, "%s/held", a->host->run_dir);
        (void) mkdir(ret, 0755);
        (void) snprintf(ret, PATH_MAX, "%s/held/%s", a->host->run_dir, wwid);
}

/* --- 3: it must not come back */

int act_block(Act *a)
{
        AUTO(closep) int fd = -EBADF;
        struct storaged_proc_result result = { .size = sizeof(result) };
        char path[PATH_MAX];
        const char *wwid = NULL;
        int r = act_wwid(a, &wwid);

        if (r < 0)
                return r;
        hold_path(a, wwid, path);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
                return error_set(a->err, -errno, "node %s: can't make %s: %m", a->host->node, path);
        r = run_multipath(a, "-w", wwid, &result);
        free(result.out);
        if (r == -ENOENT)
                return 0; /* no multipath-tools: there is no map either */
        return r;         /* status 1: it was not in the list of WWIDs */
}

static int path_again(const char *dev)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        char command[64];

        (void) snprintf(command, sizeof(command), "del path %.31s", dev);
        (void) daemon_tell(command, DAEMON_ASK_MS, &why);
        (void) snprintf(command, sizeof(command), "add path %.31s", dev);
        return daemon_tell(command, DAEMON_ASK_MS, &why);
}

/* A removal that was refused half-way: multipathd gets the paths back. */
int act_unblock(Act *a)
{
        struct storaged_proc_result result = { .size = sizeof(result) };
        struct storaged_error why = STORAGED_ERROR_INIT;
        AUTO_JS *all = NULL;
        json_object *lun = NULL, *paths = NULL;
        char path[PATH_MAX];
        const char *wwid = NULL, *gone = storaged_config_get(a->args, "gone");
        bool is_gone;
        int r = act_wwid(a, &wwid);

        if (r < 0)
                return r;
        hold_path(a, wwid, path);
        (void) unlink(path); /* absent: done already */
        is_gone = gone && strcmp(gone, "1") == 0;
        /* multipathd lists what it makes a map of by itself, should the LUN have come back meanwhile. */
        r = run_multipath(a, is_gone ? "-w" : "-a", wwid, &result);
        free(result.out);
        a->err->text[0] = '\0';
        if (is_gone)
                return 0;
        if (act_find_lun(&(Act){ a->host, a->args, a->reply, &why }, &all, &lun) < 0 || *act_text(lun, "dm"))
                return 0;
        for (size_t i = 0; i < act_paths(lun, &paths); i++)
                (void) path_again(act_text(json_object_array_get_idx(paths, i), "dev"));
        return 0;
}

/* --- 4: the map */

static bool has_map(json_object *lun)
{
        return *act_text(lun, "dm") != '\0';
}

static int stop_queueing(const char *name)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        char command[320];

        (void) snprintf(command, sizeof(command), "disablequeueing map %.255s", name);
        return daemon_tell(command, DAEMON_ASK_MS, &why);
}

static int flush_once(Act *a, const char *name)
{
        struct storaged_proc_result result = { .size = sizeof(result) };
        int r = run_multipath(a, "-f", name, &result);

        if (r >= 0 && result.status != 0)
                r = error_set(a->err, -EBUSY, "node %s: multipath -f %s: %s", a->host->node, name,
                              result.last_error[0] ? result.last_error : "map in use");
        free(result.out);
        return r;
}

/* What is in the caches is written while there are paths; without one, I/O must fail instead of waiting for ever. */
int act_flush(Act *a)
{
        const char *force = storaged_config_get(a->args, "force");
        AUTO_JS *all = NULL, *again = NULL;
        json_object *lun = NULL;
        char command[320];
        int r = act_find_lun(a, &all, &lun);

        if (r == -ENOENT || (r >= 0 && !has_map(lun))) {
                a->err->text[0] = '\0';
                return 0;
        }
        if (r < 0)
                return r;
        if (act_number(lun, "n_active") == 0)
                (void) stop_queueing(act_text(lun, "name"));
        r = flush_once(a, act_text(lun, "name"));
        if (r == -ETIMEDOUT) {
                (void) stop_queueing(act_text(lun, "name"));
                r = flush_once(a, act_text(lun, "name"));
        }
        if (r < 0 && force && strcmp(force, "1") == 0) {
                (void) snprintf(command, sizeof(command), "del map %.255s", act_text(lun, "name"));
                r = daemon_tell(command, DAEMON_ASK_MS, a->err);
        }
        if (r < 0)
                return r;
        r = act_find_lun(a, &again, &lun);
        if (r >= 0 && has_map(lun))
                return error_set(a->err, -EBUSY, "node %s: the map %s is still there after it was flushed",
                                 a->host->node, act_text(lun, "name"));
        a->err->text[0] = '\0';
        return 0;
}

/* --- 5 to 7: the paths */

typedef struct Deletion {
        char hctl[48], dev[32];
        bool is_used_directly;
} Deletion;

static int delete_child(void *arg, int out)
{
        const Deletion *d = arg;
        char path[128];
        int fd;

        (void) out;
        if (d->is_used_directly) {
                (void) snprintf(path, sizeof(path), "/dev/%.31s", d->dev);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd >= 0 && ioctl(fd, BLKFLSBUF, 0) < 0)
                        return -errno;
                if (fd >= 0)
                        (void) close(fd);
        }
        (void) snprintf(path, sizeof(path), "/sys/class/scsi_device/%.47s/device/delete", d->hctl);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno; /* gone by itself */
        return write(fd, "1", 1) == 1 || errno == ENODEV ? 0 : -errno;
}

static bool is_there(const Deletion *d)
{
        char path[128];

        (void) snprintf(path, sizeof(path), "/sys/class/scsi_device/%.47s", d->hctl);
        return access(path, F_OK) == 0;
}

static int wait_until_gone(Act *a, const Deletion *d)
{
        uint64_t end = work_now_ms() + GONE_WAIT_MS;

        while (is_there(d) && work_now_ms() < end)
                if (a->host->progress(a->host->handle, 0, 0) != 0)
                        return error_set(a->err, -ECANCELED, "stopped");
                else
                        (void) usleep(POLL_USEC);
        return is_there(d) ? error_set(a->err, -EBUSY, "node %s: path %s (%s) is still there %u s after it was deleted",
                                       a->host->node, d->dev, d->hctl, GONE_WAIT_MS / 1000)
                           : 0;
}

/* Links to what is gone; a link that leads somewhere is somebody else's by now. */
static void remove_links(const char *wwid)
{
        static const char dir[] = "/dev/disk/by-id";
        DIR *d = opendir(dir);
        struct dirent *e;
        struct stat st;

        while (d && (e = readdir(d)))
                if (strstr(e->d_name, wwid) && fstatat(dirfd(d), e->d_name, &st, 0) < 0 && errno == ENOENT)
                        (void) unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                (void) closedir(d);
}

/* multipathd hears of it by events that may come late, after a disk of that name is another one. */
static void forget_path(Act *a, const char *dev)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        uint64_t end = work_now_ms() + DAEMON_ASK_MS;
        char command[64], needle[40];

        (void) snprintf(needle, sizeof(needle), "\n%.31s\n", dev);
        for (;;) {
                AUTO(freep) char *reply = NULL, *lines = NULL;

                if (daemon_ask("show paths raw format \"%d\"", DAEMON_ASK_MS, &reply, &why) < 0 ||
                    text_printf(&lines, "\n%s\n", reply) < 0 || !strstr(lines, needle))
                        return;
                if (work_now_ms() >= end)
                        break;
                (void) a->host->progress(a->host->handle, 0, 0);
                (void) usleep(POLL_USEC);
        }
        (void) snprintf(command, sizeof(command), "del path %.31s", dev);
        (void) daemon_tell(command, DAEMON_ASK_MS, &why);
}

static int delete_all(Act *a, Deletion *list, size_t n)
{
        AUTO(freep) Work *works = calloc(n ? n : 1, sizeof(*works));
        int r;

        if (!works)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                works[i] = (Work){ .fn = delete_child, .arg = &list[i] };
        r = work_run(works, n, ACT_AT_ONCE, DELETE_DEADLINE_MS);
        for (size_t i = 0; i < n; i++) {
                if (r >= 0 && works[i].result < 0)
                        r = error_set(a->err, works[i].result, "node %s: path %s (%s) can't be deleted: %s",
                                      a->host->node, list[i].dev, list[i].hctl, strerror(-works[i].result));
                free(works[i].out);
        }
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = wait_until_gone(a, &list[i]);
        for (size_t i = 0; r >= 0 && i < n; i++)
                forget_path(a, list[i].dev);
        return r;
}

/* All disks with that WWID, not only those that a map had taken: one may have been about to join. */
int act_delete(Act *a)
{
        AUTO_JS *all = NULL;
        AUTO(freep) Deletion *list = NULL;
        json_object *lun = NULL, *paths = NULL, *deleted = json_object_new_array();
        const char *wwid;
        size_t n;
        int r;

        js_add(a->reply, "deleted", deleted);
        r = act_find_lun(a, &all, &lun);
        if (r == -ENOENT) {
                a->err->text[0] = '\0';
                return 0;
        }
        if (r < 0)
                return r;
        wwid = act_text(lun, "wwid");
        if (has_map(lun))
                return error_set(a->err, -EBUSY, "node %s: LUN %s still has the map %s; it is flushed first",
                                 a->host->node, wwid, act_text(lun, "name"));
        n = act_paths(lun, &paths);
        list = calloc(n ? n : 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *p = json_object_array_get_idx(paths, i);

                list[i].is_used_directly = n == 1 && act_number(lun, "n_active") > 0;
                (void) snprintf(list[i].dev, sizeof(list[i].dev), "%.31s", act_text(p, "dev"));
                (void) snprintf(list[i].hctl, sizeof(list[i].hctl), "%.47s", act_text(p, "hctl"));
                js_push(deleted, json_object_new_string(list[i].hctl));
        }
        r = delete_all(a, list, n);
        remove_links(wwid);
        return r;
}

/* --- 8 and 9: it stays away */

/* "H:C:T:L,…": only there is looked, on hosts that are still here. */
static size_t parse_places(const char *text, ScanWrite *ret)
{
        unsigned host, channel, id;
        unsigned long long lun;
        size_t n = 0;

        for (const char *at = text; at && *at && n < HCTLS_MAX; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
                if (sscanf(at, "%u:%u:%u:%llu", &host, &channel, &id, &lun) != 4)
                        continue;
                ret[n] = (ScanWrite){ 0 };
                (void) snprintf(ret[n].path, sizeof(ret[n].path), "/sys/class/scsi_host/host%u/scan", host);
                (void) snprintf(ret[n].text, sizeof(ret[n].text), "%u %u %llu", channel, id, lun);
                n += access(ret[n].path, W_OK) == 0;
        }
        return n;
}

int act_prove(Act *a)
{
        AUTO(freep) ScanWrite *writes = calloc(HCTLS_MAX, sizeof(*writes));
        AUTO_JS *all = NULL;
        json_object *lun = NULL, *paths = NULL, *seen = json_object_new_array();
        const char *wwid = NULL;
        size_t n;
        int r = act_wwid(a, &wwid);

        js_add(a->reply, "seen", seen);
        if (r >= 0 && !writes)
                r = -ENOMEM;
        if (r < 0)
                return r;
        n = parse_places(storaged_config_get(a->args, "places"), writes);
        r = act_scan_write(a, writes, n);
        if (r >= 0)
                r = act_settle(a);
        if (r >= 0)
                r = act_find_lun(a, &all, &lun);
        if (r == -ENOENT) {
                a->err->text[0] = '\0';
                return 0;
        }
        for (size_t i = 0; r >= 0 && i < act_paths(lun, &paths); i++)
                js_push(seen, json_object_new_string(act_text(json_object_array_get_idx(paths, i), "hctl")));
        return r;
}
