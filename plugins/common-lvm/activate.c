/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes on and off. In a shared VG the lock is lvmlockd's: exclusive on one node, shared on several for the time of a
 * migration, and LVM refuses what does not fit, whoever asks. An unshared VG has no such guard: there only the
 * lease of the daemon stands between two nodes (storage status and doctor say so).
 *
 * What is active is read from the kernel, never from LVM's report. A device under the right name may be that of a
 * volume that is gone, or have an old table; so before a volume is switched on or made, what does not belong there is
 * taken away (lvm_forget), and a table that was there before is made anew.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common-lvm/dm.h"
#include "common-lvm/store.h"

/* --- who has it open */

#define PATIENCE_MSEC 3000 /* for udev, which looks at each device that comes or was written to */
#define POLL_MSEC 20

typedef struct Openers {
        char text[256];
        bool is_lasting; /* more than udev's look */
} Openers;

static int add_opener(void *userdata, const char *what)
{
        Openers *o = userdata;
        size_t n = strlen(o->text);

        if (!strstr(what, "udev") && !strstr(what, "(blkid)") && !strstr(what, "(gone)"))
                o->is_lasting = true;
        (void) snprintf(o->text + n, sizeof(o->text) - n, "%s%s", n ? ", " : "", what);
        return 0;
}

/* Waits while only udev has it open: nothing tells when it has done, so it is asked for. */
static int wait_closed(Lvm *l, const char *name, DmDevice *d, struct storaged_error *err)
{
        int r = 0;

        for (int waited = 0; r == 0 && d->exists && d->n_open > 0 && waited < PATIENCE_MSEC; waited += POLL_MSEC) {
                Openers o = { "", false };

                (void) dm_each_opener(d->minor, add_opener, &o);
                if (o.is_lasting)
                        break;
                (void) poll(NULL, 0, POLL_MSEC);
                r = dm_lookup(l->vg, name, d, err);
        }
        return r;
}

static int refuse_open(Lvm *l, const char *name, const DmDevice *d, struct storaged_error *err)
{
        Openers o = { "", false };

        (void) dm_each_opener(d->minor, add_opener, &o);
        return error_set(err, -EBUSY, "volume %s:%s is open on node %s by %s; stop that first", l->storage, name,
                         l->host->node, o.text[0] ? o.text : "the kernel (mounted, or used as swap?)");
}

int lvm_refuse_open(Lvm *l, const char *name, struct storaged_error *err)
{
        DmDevice d;
        int r = dm_lookup(l->vg, name, &d, err);

        if (r == 0)
                r = wait_closed(l, name, &d, err);
        return r == 0 && d.exists && d.n_open > 0 ? refuse_open(l, name, &d, err) : r;
}

/* --- stale devices */

/* Whether the device is the LV of that name in the VG as it is now. */
static bool is_current(const Lvm *l, const char *name, const DmDevice *d)
{
        const VgLv *lv = vg_find(&l->state, name), *owner;
        const char *uuid;

        if (!lv || !dm_is_of_vg(d, l->state.uuid, &uuid))
                return false;
        owner = vg_find_uuid(&l->state, uuid);
        return owner == lv;
}

int lvm_forget(Lvm *l, const char *name, struct storaged_error *err)
{
        const char *uuid;
        DmDevice d;
        int r = dm_lookup(l->vg, name, &d, err);

        if (r < 0 || !d.exists || is_current(l, name, &d))
                return r;
        if (!dm_is_of_vg(&d, l->state.uuid, &uuid))
                return error_set(
                        err, -EBUSY,
                        "storage \"%s\": on node %s a device-mapper device has the name of %s/%s but is none of "
                        "that volume group (its UUID is \"%.80s\"); remove or rename it",
                        l->storage, l->host->node, l->vg, name, d.uuid);
        if (d.n_open > 0)
                return refuse_open(l, name, &d, err);
        r = dm_remove(l->vg, name, err);
        if (r == 0)
                l->host->log(l->host->handle, STORAGED_LOG_INFO,
                             "storage \"%s\": removed the stale device of %s/%s, a volume that was removed or renamed "
                             "elsewhere",
                             l->storage, l->vg, name);
        return r;
}

/* --- on and off */

static const char *mode_option(const Lvm *l, uint32_t mode)
{
        if (!vg_is_shared(&l->state))
                return "-ay";
        return mode == STORAGED_ACTIVATION_EXCLUSIVE ? "-aey" : "-asy";
}

/* LVM knows only that it is another host; who it is stands in the daemon's lease. */
static int say_locked(Lvm *l, const char *name, int r, struct storaged_error *err)
{
        if (r != -EBUSY || !err || !strstr(err->text, "locked by other host"))
                return r;
        return error_set(err, r,
                         "volume %s:%s is active on another node: its %s lock is held there. Deactivate it there, or "
                         "hand it over with a migration (pvesm migrate prepare); pvesm holders %s:%s tells who has it",
                         l->storage, name, l->state.lock_type, l->storage, name);
}

int lvm_remove_lost(Lvm *l, const char *name, const DmDevice *d, struct storaged_error *err)
{
        int r = d->n_open > 0 ? lvm_refuse_open(l, name, err) : 0;

        return r < 0 ? r : dm_remove(l->vg, name, err);
}

int lvm_activate(Lvm *l, const char *name, uint32_t mode, struct storaged_error *err)
{
        const VgLv *lv = NULL;
        DmDevice before, after;
        int r = lvm_find(l, name, &lv, err);

        if (r == 0)
                r = lvm_forget(l, name, err);
        if (r == 0)
                r = dm_lookup(l->vg, name, &before, err);
        if (r == 0 && before.exists && before.is_error) {
                r = lvm_remove_lost(l, name, &before, err);
                before.exists = false;
        }
        if (r < 0)
                return r;
        if (!before.exists || vg_is_shared(&l->state)) {
                r = lvm_cmd(&l->cmd, "activate a volume", err, "lvchange -y %s -K %s/%s", mode_option(l, mode), l->vg,
                            name);
                if (r < 0)
                        return say_locked(l, name, r, err);
        }
        /* A table that was there before may be older than the volume; under a running guest only if the size says so.
         */
        if (before.exists && (before.n_open == 0 || before.bytes != lv->bytes)) {
                r = lvm_cmd(&l->cmd, "refresh a volume's table", err, "lvchange --refresh %s/%s", l->vg, name);
                if (r < 0)
                        return r;
        }
        r = dm_lookup(l->vg, name, &after, err);
        if (r == 0 && !after.exists)
                return error_set(err, -EIO, "volume %s:%s: LVM says it is active, but the kernel has no device for it",
                                 l->storage, name);
        return r;
}

int lvm_deactivate(Lvm *l, const char *name, struct storaged_error *err)
{
        bool is_lost = false;
        DmDevice d;
        int r = dm_lookup(l->vg, name, &d, err);

        if (r == 0)
                r = wait_closed(l, name, &d, err);
        if (r < 0)
                return r;
        if (d.exists && d.n_open > 0)
                return refuse_open(l, name, &d, err);
        if (d.exists && d.is_error) {
                r = lvm_remove_lost(l, name, &d, err);
                if (r < 0)
                        return r;
                is_lost = true;
                d.exists = false;
        }
        if (!vg_find(&l->state, name))
                return d.exists ? lvm_forget(l, name, err) : 0;
        if (!d.exists && !vg_is_shared(&l->state))
                return 0;
        r = lvm_cmd(&l->cmd, "deactivate a volume", err, "lvchange -y -an %s/%s", l->vg, name);
        /* What was cut off has no device any more; its locks went with it, or will with what stands for them. */
        return is_lost && r == -EAGAIN ? 0 : r;
}

int lvm_hold(Lvm *l, const char *name, uint32_t mode, enum LvmHold *ret, struct storaged_error *err)
{
        const VgLv *lv = NULL;
        DmDevice d;
        int r = lvm_find(l, name, &lv, err);

        if (r == 0)
                r = dm_lookup(l->vg, name, &d, err);
        if (r < 0)
                return r;
        if (d.exists && is_current(l, name, &d) && d.bytes == lv->bytes && !d.is_error) {
                *ret = LVM_HELD_BEFORE;
                return 0;
        }
        r = lvm_activate(l, name, mode, err);
        if (r == 0)
                *ret = LVM_HELD_NOW;
        return r;
}

void lvm_let_go(Lvm *l, const char *name, enum LvmHold hold)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (hold == LVM_HELD_NOW && lvm_deactivate(l, name, &err) < 0)
                l->host->log(l->host->handle, STORAGED_LOG_WARNING, "%s", err.text);
}

typedef struct HolderRows {
        const char *node;
        storaged_holder_fn fn;
        void *userdata;
        size_t n;
} HolderRows;

static int give_holder(void *userdata, const char *what)
{
        HolderRows *h = userdata;
        struct storaged_holder row = { .size = sizeof(row), .node = h->node, .what = what, .is_exclusive = true };

        h->n++;
        return h->fn(h->userdata, &row);
}

int lvm_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, struct storaged_error *err)
{
        Lvm *l = self;
        HolderRows h = { l->host->node, fn, userdata, 0 };
        DmDevice d = { 0 };
        int r = dm_lookup(l->vg, vol->name, &d, err);

        if (r == 0)
                r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        if (d.is_error)
                r = 0; /* the storage is not there, and the kernel knows enough */
        if (r < 0 || !d.exists)
                return r;
        r = dm_each_opener(d.minor, give_holder, &h);
        if (r != 0 || (h.n > 0 && !d.is_error))
                return r;
        return give_holder(&h, d.is_error                      ? "active, cut off from its storage"
                               : !is_current(l, vol->name, &d) ? "a stale device of a volume that is gone"
                                                               : "active");
}
