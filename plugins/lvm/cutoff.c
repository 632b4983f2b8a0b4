/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases are lost or the storage is: before others take over, or the host's watchdog strikes, nothing here may write to
 * the volume group any more. Each volume's table is replaced by one that fails every I/O, open or not.
 *
 * The exchange waits for I/O that is under way, and a multipath map without paths keeps that for as long as it is told
 * to queue. So the maps below stop queueing first. A map that has a path when all is done gets its queueing back;
 * for one that has none multipathd does it when a path returns.
 *
 * The volume of sanlock's leases stays: sanlock has to write there that this node has gone.
 */
#include "lvm/cutoff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libdevmapper.h>

#include <storaged/cleanup.h>

#include "common-lvm/dm.h"

#define MAPS_MAX 256u /* LUNs of a volume group */
#define QUEUES "queue_if_no_path"
#define FAILS "fail_if_no_path"

DEFINE_CLEANUP(struct dm_task *, dm_task_destroy)

typedef struct Map {
        uint32_t major, minor;
} Map;

typedef struct CutOff {
        const char *vg;
        CutOffFn fn;
        void *userdata;
        struct storaged_error *err; /* of the first failure */
        int r;
        Map maps[MAPS_MAX];
        size_t n_maps;
} CutOff;

static struct dm_task *map_task(int type, const Map *m)
{
        AUTO(dm_task_destroyp) struct dm_task *t = dm_task_create(type);

        return t && dm_task_set_major(t, (int) m->major) && dm_task_set_minor(t, (int) m->minor) ? TAKE(t) : NULL;
}

/* Whether the map is of multipath, and its parameters have the word: of its table, or of its state. */
static bool map_says(const Map *m, int type, bool (*has)(const char *params))
{
        AUTO(dm_task_destroyp) struct dm_task *t = map_task(type, m);
        char *target = NULL, *params = NULL;
        uint64_t start, length;

        if (!t || !dm_task_run(t))
                return false;
        (void) dm_get_next_target(t, NULL, &start, &length, &target, &params);
        return target && params && strcmp(target, "multipath") == 0 && has(params);
}

static bool has_queueing(const char *table)
{
        return strstr(table, QUEUES) != NULL;
}

/* A path in the state is MAJOR:MINOR and then A or F (kernel: dm-mpath.c, multipath_status). */
static bool has_path(const char *state)
{
        unsigned major, minor;
        char how;

        for (const char *p = state; p; p = strchr(p, ' ')) {
                p += *p == ' ';
                if (sscanf(p, "%u:%u %c", &major, &minor, &how) == 3 && how == 'A')
                        return true;
        }
        return false;
}

static void map_tell(const Map *m, const char *message)
{
        AUTO(dm_task_destroyp) struct dm_task *t = map_task(DM_DEVICE_TARGET_MSG, m);

        if (t && dm_task_set_sector(t, 0) && dm_task_set_message(t, message))
                (void) dm_task_run(t); /* a map that went away meanwhile queues nothing */
}

static void add_map(CutOff *c, uint64_t device)
{
        Map m = { .major = (uint32_t) (device >> 8 & 0xfff),
                  .minor = (uint32_t) ((device & 0xff) | (device >> 12 & 0xfff00)) };

        for (size_t i = 0; i < c->n_maps; i++)
                if (c->maps[i].major == m.major && c->maps[i].minor == m.minor)
                        return;
        if (c->n_maps == MAPS_MAX || !map_says(&m, DM_DEVICE_TABLE, has_queueing))
                return;
        c->maps[c->n_maps++] = m;
        map_tell(&m, FAILS);
}

static int stop_queueing(void *userdata, const char *lv, const DmDevice *d)
{
        Map self = { .major = d->major, .minor = d->minor };
        AUTO(dm_task_destroyp) struct dm_task *t = map_task(DM_DEVICE_DEPS, &self);
        const struct dm_deps *deps = t && dm_task_run(t) ? dm_task_get_deps(t) : NULL;

        (void) lv;
        for (uint32_t i = 0; deps && i < deps->count; i++)
                add_map(userdata, deps->device[i]);
        return 0;
}

static int cut_off_one(void *userdata, const char *lv, const DmDevice *d)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        CutOff *c = userdata;
        int r;

        if (d->is_error || strcmp(lv, LVMLOCK) == 0)
                return 0;
        r = dm_make_error(c->vg, lv, &err);
        if (r < 0 && c->r == 0) {
                c->r = r;
                *c->err = err;
        }
        c->fn(c->userdata, lv, &err);
        return 0;
}

int cut_off(const char *vg, CutOffFn fn, void *userdata, struct storaged_error *err)
{
        CutOff c = { .vg = vg, .fn = fn, .userdata = userdata, .err = err };
        int r = dm_each(vg, "", stop_queueing, &c, err);

        if (r == 0)
                r = dm_each(vg, "", cut_off_one, &c, err);
        for (size_t i = 0; i < c.n_maps; i++)
                if (map_says(&c.maps[i], DM_DEVICE_STATUS, has_path))
                        map_tell(&c.maps[i], QUEUES);
        return r < 0 ? r : c.r;
}
