/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The actions that compare: what each path of a LUN says now. `lun-check` only looks; `lun-rescan` has the kernel read
 * the sizes again and demands that all paths are up and agree; `lun-resize-map` then lets the map follow, and believes
 * only the size that device-mapper has afterwards.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "multipath/actions.h"
#include "multipath/daemon.h"
#include "multipath/js.h"
#include "multipath/scsi.h"
#include "multipath/sysfs.h"
#include "multipath/work.h"

#define RESCAN_DEADLINE_MS 15000
#define RESIZE_TRIES 24 /* multipathd says "timeout" while it is busy with its configuration */
#define RESIZE_ASK_MS 5000
#define WAIT_MS 100
#define SIZE_WAIT_MS 5000

const char *act_text(json_object *o, const char *key)
{
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string)
                       ? json_object_get_string(v)
                       : "";
}

int64_t act_number(json_object *o, const char *key)
{
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

size_t act_paths(json_object *lun, json_object **ret)
{
        return json_object_object_get_ex(lun, "paths", ret) ? json_object_array_length(*ret) : 0;
}

int act_ask_paths(json_object *lun, LiveDisk **ret, size_t *ret_n)
{
        json_object *paths = NULL;
        size_t n = act_paths(lun, &paths);
        LiveDisk *disks = calloc(n ? n : 1, sizeof(*disks));

        if (!disks)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                (void) snprintf(disks[i].dev, sizeof(disks[i].dev), "%.31s",
                                act_text(json_object_array_get_idx(paths, i), "dev"));
        scsi_ask(disks, n);
        *ret = disks;
        *ret_n = n;
        return 0;
}

static json_object *live_to_json(const LiveDisk *d, json_object *path)
{
        json_object *o = json_object_new_object();

        js_text(o, "dev", d->dev);
        js_text(o, "hctl", act_text(path, "hctl"));
        if (d->result < 0) {
                js_text(o, "error", scsi_result_text(d->result));
                js_int(o, "gone", d->result == -ENODEV);
                return o;
        }
        js_text(o, "wwid", d->wwid);
        js_int(o, "size", (int64_t) d->bytes);
        return o;
}

int act_check(Act *a)
{
        AUTO_JS *all = NULL;
        json_object *lun = NULL, *paths = NULL, *rows;
        AUTO(freep) LiveDisk *disks = NULL;
        size_t n = 0;
        int r = act_find_lun(a, &all, &lun);

        if (r >= 0)
                r = act_ask_paths(lun, &disks, &n);
        if (r < 0)
                return r;
        (void) act_paths(lun, &paths);
        rows = json_object_new_array();
        for (size_t i = 0; i < n; i++)
                js_push(rows, live_to_json(&disks[i], json_object_array_get_idx(paths, i)));
        js_text(a->reply, "wwid", act_text(lun, "wwid"));
        js_int(a->reply, "size", act_number(lun, "size"));
        js_text(a->reply, "state", act_text(lun, "state"));
        js_add(a->reply, "paths", rows);
        return 0;
}

/* --- resize */

/* In parallel: a path that does not answer must not keep the others waiting. */
typedef struct Rescan {
        char path[128];
} Rescan;

static int rescan_child(void *arg, int fd)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) fd;
        return work_write(((Rescan *) arg)->path, "1", RESCAN_DEADLINE_MS, &err);
}

static int rescan_paths(Act *a, json_object *lun)
{
        json_object *paths = NULL;
        size_t n = act_paths(lun, &paths);
        AUTO(freep) Rescan *rescans = calloc(n ? n : 1, sizeof(*rescans));
        AUTO(freep) Work *works = calloc(n ? n : 1, sizeof(*works));
        int r;

        if (!rescans || !works)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *dev = act_text(json_object_array_get_idx(paths, i), "dev");

                /* NVMe: of the controller, which looks at all its namespaces, later */
                (void) snprintf(rescans[i].path, sizeof(rescans[i].path), "/sys/block/%.31s/device/%s", dev,
                                strncmp(dev, "nvme", 4) == 0 ? "rescan_controller" : "rescan");
                works[i] = (Work){ .fn = rescan_child, .arg = &rescans[i] };
        }
        r = work_run(works, n, ACT_AT_ONCE, RESCAN_DEADLINE_MS + 1000);
        for (size_t i = 0; i < n; i++) {
                if (r >= 0 && works[i].result < 0)
                        r = error_set(a->err, works[i].result, "node %s: path %s of LUN %s can't be read again: %s",
                                      a->host->node, act_text(json_object_array_get_idx(paths, i), "dev"),
                                      act_text(lun, "wwid"), strerror(-works[i].result));
                free(works[i].out);
        }
        return r;
}

/* All paths there, each the LUN it should be, all of one size. */
static int compare_paths(Act *a, json_object *lun, uint64_t *ret)
{
        AUTO(freep) LiveDisk *disks = NULL;
        const char *wwid = act_text(lun, "wwid"), *node = a->host->node;
        size_t n = 0;
        int r = act_ask_paths(lun, &disks, &n);

        if (r < 0)
                return r;
        if (n == 0)
                return error_set(a->err, -ENOLINK, "node %s: LUN %s has no path", node, wwid);
        for (size_t i = 0; i < n; i++) {
                const LiveDisk *d = &disks[i];

                if (d->result < 0)
                        return error_set(a->err, -ENOLINK,
                                         "node %s: path %s of LUN %s: %s; all paths must be up for a resize", node,
                                         d->dev, wwid, scsi_result_text(d->result));
                if (d->wwid[0] && strcmp(d->wwid, wwid) != 0)
                        return error_set(a->err, -ESTALE,
                                         "node %s: path %s leads to LUN %s, not to %s; run pvesm lun scan", node,
                                         d->dev, d->wwid, wwid);
                if (d->bytes != disks[0].bytes)
                        return error_set(a->err, -EAGAIN,
                                         "node %s: LUN %s has %" PRIu64 " bytes over path %s, but %" PRIu64
                                         " over %s; the "
                                         "map was left as it is: try again when the array shows one size everywhere",
                                         node, wwid, d->bytes, d->dev, disks[0].bytes, disks[0].dev);
        }
        *ret = disks[0].bytes;
        return 0;
}

int act_rescan(Act *a)
{
        AUTO_JS *all = NULL;
        json_object *lun = NULL;
        uint64_t bytes = 0;
        int r = act_find_lun(a, &all, &lun);

        if (r >= 0 && act_number(lun, "n_active") < act_number(lun, "n_paths"))
                r = error_set(a->err, -ENOLINK, "node %s: LUN %s: %s; all paths must be up for a resize", a->host->node,
                              act_text(lun, "wwid"), act_text(lun, "reason"));
        if (r >= 0)
                r = rescan_paths(a, lun);
        if (r >= 0)
                r = compare_paths(a, lun, &bytes);
        if (r < 0)
                return r;
        js_int(a->reply, "size", (int64_t) bytes);
        js_int(a->reply, "old", act_number(lun, "size"));
        return 0;
}

static uint64_t block_bytes(const struct storaged_host *host, const char *name)
{
        AUTO(closep) int sys = act_open_sys(host);
        char path[64];

        (void) snprintf(path, sizeof(path), "block/%.31s/size", name);
        return sysfs_number(sys, path, 0) * 512;
}

static int wait_for_size(Act *a, const char *block, uint64_t wanted)
{
        uint64_t end = work_now_ms() + SIZE_WAIT_MS, have;

        while ((have = block_bytes(a->host, block)) != wanted && work_now_ms() < end)
                if (a->host->progress(a->host->handle, 0, 0) != 0)
                        return error_set(a->err, -ECANCELED, "stopped");
                else
                        (void) usleep(WAIT_MS * 1000);
        return have == wanted ? 0
                              : error_set(a->err, -EAGAIN,
                                          "node %s: %s has %" PRIu64 " bytes, not the %" PRIu64 " of its paths",
                                          a->host->node, block, have, wanted);
}

int act_resize_map(Act *a)
{
        const char *wanted = storaged_config_get(a->args, "size");
        uint64_t bytes = wanted ? strtoull(wanted, NULL, 10) : 0;
        AUTO_JS *all = NULL;
        json_object *lun = NULL;
        char command[320];
        int r = act_find_lun(a, &all, &lun);

        if (r < 0)
                return r;
        if (!*act_text(lun, "dm"))
                return wait_for_size(a, act_text(lun, "device") + strlen("/dev/"), bytes);
        if ((uint64_t) act_number(lun, "size") != bytes) {
                (void) snprintf(command, sizeof(command), "resize map %s", act_text(lun, "name"));
                for (int i = 0; (r = daemon_tell(command, RESIZE_ASK_MS, a->err)) == -EAGAIN && i < RESIZE_TRIES; i++)
                        if (a->host->progress(a->host->handle, 0, 0) != 0)
                                return error_set(a->err, -ECANCELED, "stopped");
        }
        if (r >= 0)
                r = wait_for_size(a, act_text(lun, "dm"), bytes);
        if (r >= 0)
                js_int(a->reply, "size", (int64_t) bytes);
        return r;
}
