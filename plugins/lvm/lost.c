/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After the storage was lost. A volume that was cut off (cutoff.c) stays so while anybody has it open: meanwhile
 * another node may have had it and written, and what runs here knows only the old content. So its device is never
 * given a table again; it is removed when it is closed, for which neither LVM nor the storage are needed, and the next
 * activation makes a new one, under a lock that was got anew.
 */
#include "lvm/lost.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lvm/cutoff.h"
#include "common-lvm/lockd.h"
#include "lvm/dlm.h"
#include "lvm/lvmlocal.h"

#define ACTION "stop the guests that have them open and deactivate them; then activate them again"
#define NO_LOCKD "systemctl start lvmlockd; by hand: lvmlockd --adopt 1"

/* The lockspaces of a group, as lvmlockd names them: its own, and that of LVM's global lock. */
typedef struct Stopped {
        char own[128];
        char summary[512];
} Stopped;

typedef struct Count {
        size_t n_active, n_lost;
        char first[128];
} Count;

static int count_one(void *userdata, const char *lv, const DmDevice *d)
{
        Count *c = userdata;

        if (strcmp(lv, LVMLOCK) == 0)
                return 0;
        c->n_active++;
        if (d->is_error && c->n_lost++ == 0)
                (void) snprintf(c->first, sizeof(c->first), "%s", lv);
        return 0;
}

static Count count(const Lvm *l)
{
        Count c = { 0 };

        (void) dm_each(l->vg, "", count_one, &c, NULL); /* what can't be seen is not told of */
        return c;
}

void lost_explain(Lvm *l, const char *why, char *ret, size_t size)
{
        Count c = count(l);

        if (c.n_lost > 0)
                (void) snprintf(ret, size, "%zu of its volumes on this node were cut off, %s among them: %.120s",
                                c.n_lost, c.first, why);
        else if (c.n_active > 0)
                (void) snprintf(ret, size,
                                "%zu of its volumes are active on this node, which does not reach them: %.120s",
                                c.n_active, why);
        else
                (void) snprintf(ret, size, "%.500s", why);
}

/* Leases on the storage, and nothing that cuts volumes off when they are lost: the watchdog resets the node then. */
static bool is_unguarded(const Lvm *l)
{
        LvmLocal all = { 0 }, own = { 0 };

        return vg_is_shared(&l->state) && strcmp(l->state.lock_type, "sanlock") == 0 &&
               lvmlocal_read(LVM_FILE, &all, NULL) == 0 && lvmlocal_read(LVMLOCAL_FILE, &own, NULL) == 0 &&
               !all.has_kill && !own.has_kill;
}

static bool lacks_lockd(const Lvm *l)
{
        return vg_is_shared(&l->state) && !lockd_is_running();
}

static void note_stopped(void *userdata, const char *lockspace, const char *why)
{
        Stopped *s = userdata;

        if (strcmp(lockspace, s->own) == 0 || strcmp(lockspace, "lvm_global") == 0)
                (void) snprintf(s->summary, sizeof(s->summary),
                                "DLM's lockspace %s %s: what is active goes on, everything else waits until then",
                                lockspace, why);
}

/* ret->summary: "", or why nobody gets a lock now. */
static void find_stopped(const Lvm *l, Stopped *ret)
{
        ret->summary[0] = '\0';
        (void) snprintf(ret->own, sizeof(ret->own), "lvm_%s", l->vg);
        if (vg_is_shared(&l->state) && strcmp(l->state.lock_type, "dlm") == 0)
                (void) dlm_each_stopped(note_stopped, ret);
}

void lost_tell(Lvm *l, char *ret, size_t size)
{
        Count c = count(l);

        *ret = '\0';
        if (c.n_lost > 0)
                (void) snprintf(
                        ret, size,
                        "%zu volumes on this node were cut off when the storage was lost, %s among them; " ACTION,
                        c.n_lost, c.first);
        else if (lacks_lockd(l))
                (void) snprintf(ret, size,
                                "lvmlockd does not run on this node: what is active stays so, and locked; nothing "
                                "else can be done (" NO_LOCKD ")");
}

int lost_find(Lvm *l, storaged_finding_fn fn, void *userdata)
{
        char summary[512];
        struct storaged_finding f = { .size = sizeof(f), .severity = "error", .summary = summary };
        Count c = count(l);
        Stopped stopped;
        int r = 0;

        if (c.n_lost > 0) {
                (void) snprintf(
                        summary, sizeof(summary),
                        "%zu of %zu volumes of volume group %s that are active on this node were cut off when the "
                        "storage was lost, %s among them: their I/O fails",
                        c.n_lost, c.n_active, l->vg, c.first);
                f.code = "VOLUMES_CUT_OFF";
                f.action = ACTION;
                r = fn(userdata, &f);
        }
        if (r == 0 && lacks_lockd(l)) {
                (void) snprintf(
                        summary, sizeof(summary),
                        "lvmlockd does not run on this node: the %zu volumes of %s that are active stay so, and no "
                        "other node gets them; nothing else can be done",
                        c.n_active, l->vg);
                f.code = "NO_LVMLOCKD";
                f.action = NO_LOCKD;
                r = fn(userdata, &f);
        }
        find_stopped(l, &stopped);
        if (r == 0 && stopped.summary[0]) {
                f.code = "DLM_STOPPED";
                f.summary = stopped.summary;
                f.action = DLM_ACTION;
                r = fn(userdata, &f);
                f.summary = summary;
        }
        if (r == 0 && is_unguarded(l)) {
                (void) snprintf(summary, sizeof(summary),
                                "when this node loses its leases on %s, nothing cuts its volumes off, and the watchdog "
                                "resets the node: there is no lvmlockctl_kill_command",
                                l->vg);
                f.code = "LEASES_UNGUARDED";
                f.severity = "warning";
                f.action = "pvesm vg start sets it, on all nodes";
                r = fn(userdata, &f);
        }
        return r;
}

typedef struct Drop {
        Lvm *l;
        const char *name; /* of the volume, or of its snapshot */
        char chain[160];  /* how its snapshots' names begin; "": none go with it */
        size_t n;
        int r;
        struct storaged_error *err;
} Drop;

static int drop_one(void *userdata, const char *lv, const DmDevice *d)
{
        Drop *p = userdata;

        if (strcmp(lv, p->name) != 0 && (!p->chain[0] || strncmp(lv, p->chain, strlen(p->chain)) != 0))
                return 0;
        if (!d->is_error)
                return p->r; /* it may still write: LVM has to do it */
        p->n++;
        return lvm_remove_lost(p->l, lv, d, p->err);
}

int lost_deactivate(Lvm *l, STORAGED_VOL, const char *snap, int r, struct storaged_error *err)
{
        struct storaged_error why = err ? *err : (struct storaged_error) STORAGED_ERROR_INIT;
        char name[LVM_NAME_MAX];
        Drop p = { .l = l, .name = vol->name, .r = r, .err = &why };
        DmDevice d;
        int done;

        if (snap) {
                if (lvm_snapshot_name(vol, snap, name, NULL) < 0)
                        return r;
                p.name = name;
        } else if (strcmp(vol->format, "qcow2") == 0) {
                const char *dot = strrchr(vol->name, '.');

                (void) snprintf(p.chain, sizeof(p.chain), "snap_%.*s_", (int) (dot ? dot - vol->name : 0), vol->name);
        }
        done = dm_each(l->vg, "", drop_one, &p, err);
        if (done < 0 && done != r && err)
                *err = why;
        if (done < 0)
                return done;
        /* Gone before, or never here: there is nothing to switch off. */
        return p.n > 0 || (dm_lookup(l->vg, p.name, &d, NULL) == 0 && !d.exists) ? 0 : r;
}
