/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thin pool as the kernel has it: how full its data and metadata are, and whether it still works. LVM's report has
 * the same figures as they were when it was made; a guest fills a pool without LVM. Layout of the status:
 * Documentation/admin-guide/device-mapper/thin-provisioning.rst, parsed by libdevmapper.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libdevmapper.h>

#include "lvmthin/thin.h"

#define SECTOR 512u
#define METADATA_BLOCK 4096u

DEFINE_CLEANUP(struct dm_task *, dm_task_destroy)
DEFINE_CLEANUP(struct dm_pool *, dm_pool_destroy)

typedef struct Target {
        char *params; /* within the task */
        uint64_t length;
} Target;

/* The first target of VG/LV[-layer]; 0, 1: there is no such device or it has another type, negative errno. */
static int ask(int what, const char *vg, const char *lv, const char *layer, const char *type, struct dm_pool *mem,
               struct dm_task **ret_task, Target *ret)
{
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        char *name = dm_build_dm_name(mem, vg, lv, layer), *found = NULL, *params = NULL;
        uint64_t start = 0, length = 0;

        dm_be_silent();
        t = name ? dm_task_create(what) : NULL;
        /* Without the flush that a status otherwise does: it would wait for a pool that is full. */
        if (!t || !dm_task_set_name(t, name) || !dm_task_no_flush(t))
                return -ENOMEM;
        if (!dm_task_run(t))
                return dm_task_get_errno(t) == ENXIO ? 1 : -EIO;
        (void) dm_get_next_target(t, NULL, &start, &length, &found, &params);
        if (!found || strcmp(found, type) != 0 || !params)
                return 1;
        *ret = (Target){ params, length };
        *ret_task = TAKE(t);
        return 0;
}

/* The pool itself: beneath its volumes; without any it has the name of its LV. */
static int ask_pool(int what, const char *vg, const char *pool, struct dm_pool *mem, struct dm_task **ret_task,
                    Target *ret)
{
        int r = ask(what, vg, pool, "tpool", "thin-pool", mem, ret_task, ret);

        return r == 1 ? ask(what, vg, pool, NULL, "thin-pool", mem, ret_task, ret) : r;
}

/* Sectors of a data block, and what the table asks for: "META DATA BLOCK WATERMARK N [FEATURE…]". */
static int read_table(const char *vg, const char *pool, struct dm_pool *mem, uint64_t *ret_block, bool *ret_zeroing)
{
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        unsigned long long block = 0;
        Target target;
        int r = ask_pool(DM_DEVICE_TABLE, vg, pool, mem, &t, &target);

        if (r != 0)
                return r < 0 ? r : -EAGAIN;
        if (sscanf(target.params, "%*s %*s %llu", &block) != 1 || block == 0)
                return -EPROTO;
        *ret_block = (uint64_t) block * SECTOR;
        *ret_zeroing = !strstr(target.params, "skip_block_zeroing");
        return 0;
}

int pool_look(const char *vg, const char *pool, PoolState *ret, struct storaged_error *err)
{
        AUTO(dm_pool_destroyp) struct dm_pool *mem = dm_pool_create("storaged", 1024);
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        struct dm_status_thin_pool *s = NULL;
        PoolState p = { .is_active = true };
        uint64_t block = 0;
        Target target;
        int r = mem ? ask_pool(DM_DEVICE_STATUS, vg, pool, mem, &t, &target) : -ENOMEM;

        if (r == 1) {
                *ret = (PoolState){ 0 };
                return 0;
        }
        if (r == 0)
                r = read_table(vg, pool, mem, &block, &p.is_zeroing);
        if (r == 0 && !dm_get_status_thin_pool(mem, target.params, &s))
                r = -EPROTO;
        if (r < 0)
                return error_set(err, r, "cannot read the state of thin pool %s/%s from device-mapper: %s", vg, pool,
                                 strerror(-r));
        p.is_failed = s->fail || s->needs_check || s->error || s->read_only;
        p.is_out_of_space = s->out_of_data_space;
        p.bytes = target.length * SECTOR;
        p.used_bytes = s->used_data_blocks * block;
        p.metadata_bytes = s->total_metadata_blocks * METADATA_BLOCK;
        p.metadata_used_bytes = s->used_metadata_blocks * METADATA_BLOCK;
        if (p.used_bytes > p.bytes)
                p.used_bytes = p.bytes;
        *ret = p;
        return 0;
}

uint64_t pool_used_by(Lvm *l, const VgLv *lv)
{
        AUTO(dm_pool_destroyp) struct dm_pool *mem = dm_pool_create("storaged", 512);
        AUTO(dm_task_destroyp) struct dm_task *t = NULL;
        struct dm_status_thin *s = NULL;
        Target target;

        if (!mem || ask(DM_DEVICE_STATUS, l->vg, lv->name, NULL, "thin", mem, &t, &target) != 0 ||
            !dm_get_status_thin(mem, target.params, &s) || s->fail)
                return STORAGED_SIZE_UNKNOWN;
        return s->mapped_sectors * SECTOR;
}

bool pool_is(const char *layout)
{
        return strstr(layout, "thin") && strstr(layout, "pool");
}
