/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of qcow2 volumes, as a chain of LVs: snap_<volume>_<snapshot>.qcow2 is what the guest saw, and the volume
 * itself an overlay on the newest of them. Each LV is large enough for a full image, so an overlay never runs out.
 *
 * LVM cannot exchange two names in one commit. So a snapshot prepares the new overlay whole under new-<volume>, and
 * then renames twice; whoever finds new-<volume> ready and no volume does the second rename (chain_repair). A rollback
 * empties the overlay in place, behind a tag that makes the next activation do it again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/qemu-img.h"
#include "lvm/chain.h"
#include "common-lvm/dm.h"
#include "common-lvm/unfinished.h"

#define CHAIN_LINKS_MAX 256
#define NEW_PREFIX "new-"
#define SNAPSHOT_TAG "storaged-snapshot/" /* + milliseconds since the epoch */
#define ROLLBACK_TAG "storaged-rollback"
#define SUFFIX ".qcow2"

/* The volume's name without its extension: what snapshots are named after. */
static int stem_of(const char *volume, size_t *ret)
{
        size_t n = strlen(volume), k = strlen(SUFFIX);

        if (n <= k || strcmp(volume + n - k, SUFFIX) != 0)
                return -EINVAL;
        *ret = n - k;
        return 0;
}

int lvm_snapshot_name(STORAGED_VOL, const char *snap, char ret[static LVM_NAME_MAX], struct storaged_error *err)
{
        size_t n = 0;
        int k;

        if (stem_of(vol->name, &n) < 0)
                return error_set(err, -EOPNOTSUPP, "volume \"%s\" is raw: on lvm only qcow2 volumes have snapshots",
                                 vol->name);
        k = snprintf(ret, LVM_NAME_MAX, "snap_%.*s_%s" SUFFIX, (int) n, vol->name, snap);
        if (k < 0 || (size_t) k >= LVM_NAME_MAX)
                return error_set_param(err, -ENAMETOOLONG, "snapshot",
                                       "the names of volume %s and snapshot %s are too long together", vol->name, snap);
        return 0;
}

/* Whether the LV is a snapshot of that volume; *ret_snap: its name, within `buf`. */
static bool is_snapshot_of(const char *lv, const char *volume, char buf[static LVM_NAME_MAX])
{
        size_t stem = 0, n = strlen(lv), k = strlen(SUFFIX);

        if (stem_of(volume, &stem) < 0 || strncmp(lv, "snap_", 5) != 0 || n < 5 + stem + 1 + k + 1)
                return false;
        if (strncmp(lv + 5, volume, stem) != 0 || lv[5 + stem] != '_' || strcmp(lv + n - k, SUFFIX) != 0)
                return false;
        (void) snprintf(buf, LVM_NAME_MAX, "%.*s", (int) (n - k - (5 + stem + 1)), lv + 5 + stem + 1);
        return true;
}

int lvm_each_snapshot(Lvm *l, STORAGED_VOL, LvmChainFn fn, void *userdata)
{
        char snap[LVM_NAME_MAX];
        int r = 0;

        for (size_t i = 0; r == 0 && i < l->state.n_lvs; i++)
                if (is_snapshot_of(l->state.lvs[i].name, vol->name, snap))
                        r = fn(userdata, &l->state.lvs[i], snap);
        return r;
}

/* --- the chain in its order */

typedef struct Link {
        char lv[LVM_NAME_MAX], snap[LVM_NAME_MAX];
        int64_t time_ms;
} Link;

typedef struct Links {
        Link links[CHAIN_LINKS_MAX]; /* oldest first */
        size_t n;
} Links;

static int add_link(void *userdata, const VgLv *lv, const char *snap)
{
        const char *tag = strstr(lv->tags, SNAPSHOT_TAG);
        Links *all = userdata;
        Link *k = &all->links[all->n];

        if (all->n == CHAIN_LINKS_MAX)
                return -E2BIG;
        (void) snprintf(k->lv, sizeof(k->lv), "%s", lv->name);
        (void) snprintf(k->snap, sizeof(k->snap), "%s", snap);
        k->time_ms = tag ? strtoll(tag + strlen(SNAPSHOT_TAG), NULL, 10) : lv->ctime * 1000; /* made by other tools */
        all->n++;
        return 0;
}

static int by_time(const void *a, const void *b)
{
        int64_t x = ((const Link *) a)->time_ms, y = ((const Link *) b)->time_ms;

        return x < y ? -1 : x > y;
}

static int read_chain(Lvm *l, STORAGED_VOL, Links **ret, struct storaged_error *err)
{
        Links *all = calloc(1, sizeof(*all));
        int r = all ? lvm_each_snapshot(l, vol, add_link, all) : -ENOMEM;

        if (r < 0) {
                free(all);
                return error_set(err, r, "volume %s:%s: cannot read its snapshots: %s", l->storage, vol->name,
                                 strerror(-r));
        }
        qsort(all->links, all->n, sizeof(*all->links), by_time);
        *ret = all;
        return 0;
}

static int find_link(Lvm *l, STORAGED_VOL, const Links *all, const char *snap, size_t *ret, struct storaged_error *err)
{
        for (size_t i = 0; i < all->n; i++)
                if (strcmp(all->links[i].snap, snap) == 0) {
                        *ret = i;
                        return 0;
                }
        return error_set_param(err, -ENOENT, "snapshot", "volume %s:%s has no snapshot \"%s\"", l->storage, vol->name,
                               snap);
}

/* The volume and its chain active here while qemu-img works. */
typedef struct ChainHold {
        Lvm *l;
        Links *all;
        char volume[LVM_NAME_MAX];
        enum LvmHold own, links[CHAIN_LINKS_MAX];
} ChainHold;

static void chain_let_go(ChainHold *h)
{
        if (!h->l)
                return;
        lvm_let_go(h->l, h->volume, h->own);
        for (size_t i = h->all->n; i > 0; i--)
                lvm_let_go(h->l, h->all->links[i - 1].lv, h->links[i - 1]);
}

static int chain_hold(Lvm *l, const char *volume, Links *all, ChainHold *h, struct storaged_error *err)
{
        int r;

        *h = (ChainHold){ .l = l, .all = all };
        (void) snprintf(h->volume, sizeof(h->volume), "%s", volume);
        r = lvm_hold(l, volume, STORAGED_ACTIVATION_EXCLUSIVE, &h->own, err);
        for (size_t i = 0; r == 0 && i < all->n; i++)
                r = lvm_hold(l, all->links[i].lv, STORAGED_ACTIVATION_EXCLUSIVE, &h->links[i], err);
        return r;
}

/* Refreshes, finds the volume, refuses a running guest's. */
static int begin(Lvm *l, STORAGED_VOL, Links **ret, struct storaged_error *err)
{
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0 && strcmp(vol->format, "qcow2") != 0)
                return error_set(err, -EOPNOTSUPP, "volume \"%s\" is raw: on lvm only qcow2 volumes have snapshots",
                                 vol->name);
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        return r == 0 ? read_chain(l, vol, ret, err) : r;
}

static int make_overlay(Lvm *l, const char *lv, const char *backing, uint64_t bytes, struct storaged_error *err)
{
        char path[TREE_PATH_MAX], size[32];

        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, lv);
        (void) snprintf(size, sizeof(size), "%llu", (unsigned long long) bytes);
        /* A name without a directory: it is looked for beside the overlay, whatever the VG is called later. */
        return qemu_img_run(&l->fs,
                            (const char *const[]){ "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F",
                                                   "qcow2", "-o", "cluster_size=128k,extended_l2=on", path, size,
                                                   NULL },
                            "make", lv, err);
}

/* --- operations */

static int prepare_overlay(Lvm *l, STORAGED_VOL, Links *all, const char *name, const char *backing,
                           struct storaged_error *err)
{
        ChainHold hold = { 0 };
        uint64_t bytes = 0;
        int r = chain_hold(l, vol->name, all, &hold, err);

        if (r == 0)
                r = lvm_qcow2_size(l, vol->name, &bytes, err);
        chain_let_go(&hold);
        if (r == 0)
                r = unfinished_make(l, name, vol->vmid, bytes, true, err);
        if (r < 0)
                return r;
        r = make_overlay(l, name, backing, bytes, err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "deactivate a volume", err, "lvchange -y -an %s/%s", l->vg, name);
        if (r == 0)
                r = unfinished_end(l, name, err);
        if (r < 0)
                (void) lvm_remove(l, name, NULL);
        return r;
}

int lvm_snapshot(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        char lv[LVM_NAME_MAX], fresh[LVM_NAME_MAX];
        AUTO(freep) Links *all = NULL;
        struct timespec now;
        int r = begin(l, vol, &all, err);

        if (r == 0)
                r = lvm_snapshot_name(vol, snap, lv, err);
        if (r < 0)
                return r;
        if (vg_find(&l->state, lv))
                return error_set_param(err, -EEXIST, "snapshot", "volume %s:%s has a snapshot \"%s\" already",
                                       l->storage, vol->name, snap);
        (void) snprintf(fresh, sizeof(fresh), NEW_PREFIX "%.100s", vol->name);
        if (vg_find(&l->state, fresh))
                (void) lvm_remove(l, fresh, NULL); /* of an attempt that never got to renaming */
        r = prepare_overlay(l, vol, all, fresh, lv, err);
        if (r == 0)
                r = lvm_before(l, "snapshot.prepared", err);
        if (r < 0)
                return r;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        r = lvm_cmd(&l->cmd, "tag a snapshot", err, "lvchange -y --addtag " SNAPSHOT_TAG "%lld %s/%s",
                    (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000, l->vg, vol->name);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "name a snapshot", err, "lvrename %s %s %s", l->vg, vol->name, lv);
        if (r == 0)
                r = lvm_fault(l, "snapshot.renamed", err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "name a volume", err, "lvrename %s %s %s", l->vg, fresh, vol->name);
        vg_forget(&l->state);
        return r;
}

static int rollback_now(Lvm *l, STORAGED_VOL, Links *all, struct storaged_error *err)
{
        ChainHold hold = { 0 };
        uint64_t bytes = 0;
        int r = chain_hold(l, vol->name, all, &hold, err);

        /* The snapshot's size: the volume may have grown since. */
        if (r == 0)
                r = lvm_qcow2_size(l, all->links[all->n - 1].lv, &bytes, err);
        if (r == 0)
                r = make_overlay(l, vol->name, all->links[all->n - 1].lv, bytes, err);
        chain_let_go(&hold);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "finish a rollback", err, "lvchange -y --deltag " ROLLBACK_TAG " %s/%s", l->vg,
                            vol->name);
        vg_forget(&l->state);
        return r;
}

int lvm_rollback(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(freep) Links *all = NULL;
        size_t at = 0;
        int r = begin(l, vol, &all, err);

        if (r == 0)
                r = find_link(l, vol, all, snap, &at, err);
        if (r < 0)
                return r;
        if (at + 1 != all->n)
                return error_set_param(err, -EBUSY, "snapshot",
                                       "volume %s:%s has snapshot \"%s\" after \"%s\"; delete the newer ones first",
                                       l->storage, vol->name, all->links[all->n - 1].snap, snap);
        r = lvm_cmd(&l->cmd, "begin a rollback", err, "lvchange -y --addtag " ROLLBACK_TAG " %s/%s", l->vg, vol->name);
        if (r == 0)
                r = lvm_fault(l, "rollback.tagged", err);
        return r == 0 ? rollback_now(l, vol, all, err) : r;
}

int lvm_delete_snapshot(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(freep) Links *all = NULL;
        char path[TREE_PATH_MAX];
        ChainHold hold = { 0 };
        size_t at = 0;
        int r = begin(l, vol, &all, err);

        if (r == 0)
                r = find_link(l, vol, all, snap, &at, err);
        if (r == 0)
                r = chain_hold(l, vol->name, all, &hold, err);
        if (r == 0) {
                const char *child = at + 1 < all->n ? all->links[at + 1].lv : vol->name;
                const char *parent = at > 0 ? all->links[at - 1].lv : "";
                const char *const onto[] = { "qemu-img", "rebase", "-p",    "-f", "qcow2", "-b",
                                             parent,     "-F",     "qcow2", path, NULL };
                const char *const alone[] = { "qemu-img", "rebase", "-p", "-f", "qcow2", "-b", "", path, NULL };

                (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, child);
                r = qemu_img_run(&l->fs, at > 0 ? onto : alone, "detach from its snapshot", child, err);
        }
        if (r == 0)
                r = lvm_fault(l, "snapshot.detached", err);
        chain_let_go(&hold);
        return r == 0 ? lvm_remove(l, all->links[at].lv, err) : r;
}

int lvm_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(freep) Links *all = NULL;
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0)
                r = read_chain(l, vol, &all, err);
        for (size_t i = 0; r == 0 && i < all->n; i++) {
                struct storaged_snapshot row = { .size = sizeof(row),
                                                 .name = all->links[i].snap,
                                                 .parent = i > 0 ? all->links[i - 1].snap : NULL,
                                                 .ctime = all->links[i].time_ms / 1000 };

                r = fn(userdata, &row);
        }
        return r;
}

/* --- after a crash */

static int repair_one(Lvm *l, const char *name, bool is_rollback, struct storaged_error *err)
{
        const char *volume = is_rollback ? name : name + strlen(NEW_PREFIX);
        struct storaged_volname vol = { .size = sizeof(vol) };
        AUTO(freep) Links *all = NULL;
        int r;

        if (l->host->parse_volname(l->host->handle, volume, &vol, NULL) < 0)
                return 0;
        if (!is_rollback && vg_find(&l->state, volume))
                return lvm_remove(l, name, err); /* it never got to the first rename */
        if (!is_rollback) {
                r = lvm_cmd(&l->cmd, "finish a snapshot", err, "lvrename %s %s %s", l->vg, name, volume);
                vg_forget(&l->state);
                return r;
        }
        r = read_chain(l, &vol, &all, err);
        return r < 0 || all->n == 0 ? r : rollback_now(l, &vol, all, err);
}

int chain_repair(Lvm *l, struct storaged_error *err)
{
        for (size_t i = 0; i < l->state.n_lvs; i++) {
                const VgLv *lv = &l->state.lvs[i];
                bool is_rollback = vg_has_tag(lv->tags, ROLLBACK_TAG);
                char name[LVM_NAME_MAX];
                int r;

                if (unfinished_is(lv) || !lvm_is_ours(l, lv) ||
                    (!is_rollback && strncmp(lv->name, NEW_PREFIX "vm-", 6) != 0))
                        continue;
                (void) snprintf(name, sizeof(name), "%s", lv->name);
                r = repair_one(l, name, is_rollback, err);
                if (r == 0)
                        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
                if (r < 0)
                        return r;
        }
        return 0;
}
