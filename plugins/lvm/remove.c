/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes go. Without saferemove that is one commit of LVM's. With it the LV first becomes del-NAME, which is no volume
 * any more; then its blocks are written over with zeroes (by the array where it can: WRITE SAME), and only then the
 * space is free for another guest. What was interrupted is finished by the next free.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lvm/dm.h"
#include "lvm/lvm.h"
#include "lvm/unfinished.h"

#define REMOVED_PREFIX "del-"

int lvm_remove(Lvm *l, const char *name, struct storaged_error *err)
{
        int r = lvm_cmd(&l->cmd, "remove a volume", err, "lvremove -y -f %s/%s", l->vg, name);

        vg_forget(&l->state);
        return r;
}

/* Waits so that `done` bytes take at least as long as the limit wants. */
static void keep_pace(const Lvm *l, const struct timespec *begin, uint64_t done)
{
        struct timespec until = *begin;
        uint64_t ns;

        if (l->saferemove_bps == 0)
                return;
        ns = (uint64_t) ((double) done / (double) l->saferemove_bps * 1e9);
        until.tv_sec += (time_t) (ns / 1000000000u);
        until.tv_nsec += (long) (ns % 1000000000u);
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
                ;
}

static int zero_device(Lvm *l, const char *name, struct storaged_error *err)
{
        AUTO(closep) int fd = -EBADF;
        uint64_t bytes = 0, at = 0;
        struct timespec begin;
        char path[TREE_PATH_MAX];

        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, name);
        fd = open(path, O_WRONLY | O_EXCL | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
                return error_set(err, -errno, "storage \"%s\": cannot open %s to write zeroes: %s", l->storage, path,
                                 strerror(errno));
        (void) clock_gettime(CLOCK_MONOTONIC, &begin);
        while (at < bytes) {
                uint64_t n = bytes - at < l->saferemove_step ? bytes - at : l->saferemove_step;

                if (ioctl(fd, BLKZEROOUT, (uint64_t[2]){ at, n }) < 0)
                        return error_set(err, -errno, "storage \"%s\": cannot write zeroes to %s at %llu: %s",
                                         l->storage, path, (unsigned long long) at, strerror(errno));
                at += n;
                if (l->host->progress(l->host->handle, at, bytes) != 0)
                        return error_set(err, -ECANCELED,
                                         "storage \"%s\": the zeroing of %s was stopped; the next free on this storage "
                                         "finishes it",
                                         l->storage, name);
                keep_pace(l, &begin, at);
        }
        return fsync(fd) < 0 ? error_set(err, -errno, "storage \"%s\": cannot write zeroes to %s: %s", l->storage, path,
                                         strerror(errno))
                             : 0;
}

static int zero_and_remove(Lvm *l, const char *name, struct storaged_error *err)
{
        enum LvmHold hold = LVM_NOT_HELD;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_hold(l, name, STORAGED_ACTIVATION_EXCLUSIVE, &hold, err);
        if (r == 0)
                r = zero_device(l, name, err);
        if (r < 0) {
                lvm_let_go(l, name, hold);
                return r;
        }
        r = lvm_fault(l, "free.zeroed", err);
        /* The array may have the space back: what is on it is zeroes by now. */
        if (r == 0)
                r = lvm_cmd(&l->cmd, "remove a volume", err, "lvremove -y -f %s/%s", l->vg, name);
        vg_forget(&l->state);
        return r;
}

/* del-NAME, or with a number if an interrupted removal of an earlier NAME still has that. */
static int removed_name(Lvm *l, const char *name, char ret[static LVM_NAME_MAX], struct storaged_error *err)
{
        for (unsigned i = 0; i < 1000; i++) {
                int n = i == 0 ? snprintf(ret, LVM_NAME_MAX, REMOVED_PREFIX "%s", name)
                               : snprintf(ret, LVM_NAME_MAX, REMOVED_PREFIX "%s.%u", name, i);

                if (n < 0 || n >= LVM_NAME_MAX)
                        return error_set(err, -ENAMETOOLONG,
                                         "the name of volume %s:%s is too long to be removed safely", l->storage, name);
                if (!vg_find(&l->state, ret))
                        return 0;
        }
        return error_set(err, -EEXIST, "volume group \"%s\" has a thousand half-removed volumes %s", l->vg, name);
}

static int free_safely(Lvm *l, const char *name, struct storaged_error *err)
{
        char removed[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = removed_name(l, name, removed, err);
        if (r < 0)
                return r;
        r = lvm_cmd(&l->cmd, "take a volume away", err, "lvrename %s %s %s", l->vg, name, removed);
        vg_forget(&l->state);
        if (r == 0)
                r = lvm_fault(l, "free.renamed", err);
        return r == 0 ? zero_and_remove(l, removed, err) : r;
}

/* What interrupted removals left; the storage's lock keeps others from the same. */
static int finish_removals(Lvm *l, struct storaged_error *err)
{
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        for (size_t i = 0; r == 0 && i < l->state.n_lvs; i++) {
                char name[LVM_NAME_MAX];
                DmDevice d;

                if (strncmp(l->state.lvs[i].name, REMOVED_PREFIX "vm-", strlen(REMOVED_PREFIX "vm-")) != 0)
                        continue;
                (void) snprintf(name, sizeof(name), "%s", l->state.lvs[i].name);
                r = dm_lookup(l->vg, name, &d, err);
                if (r < 0)
                        return r;
                if (d.exists && d.n_open > 0)
                        continue; /* another worker is at it */
                r = zero_and_remove(l, name, err);
                if (r < 0)
                        return r;
                i = (size_t) -1; /* the list was read anew */
                r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        }
        return r;
}

typedef struct Links {
        char names[256][LVM_NAME_MAX];
        size_t n;
} Links;

static int add_link(void *userdata, const VgLv *lv, const char *snap)
{
        Links *links = userdata;

        (void) snap;
        if (links->n < sizeof(links->names) / sizeof(links->names[0]))
                (void) snprintf(links->names[links->n++], LVM_NAME_MAX, "%s", lv->name);
        return 0;
}

int lvm_free(void *self, STORAGED_VOL, struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(freep) Links *links = calloc(1, sizeof(*links));
        const VgLv *lv = NULL;
        int r = links ? vg_refresh(&l->state, &l->cmd, l->vg, err) : error_set(err, -ENOMEM, "out of memory");

        if (r == 0 && !vg_find(&l->state, vol->name))
                (void) lvm_forget(l, vol->name, NULL); /* gone already: not even its device stays */
        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0)
                r = lvm_forget(l, vol->name, err);
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        if (r == 0)
                r = lvm_before(l, "free.before", err);
        if (r < 0)
                return r;
        (void) lvm_each_snapshot(l, vol, add_link, links);
        r = l->is_saferemove ? free_safely(l, vol->name, err) : lvm_remove(l, vol->name, err);
        if (r == 0)
                r = lvm_fault(l, "free.removed", err);
        for (size_t i = 0; r == 0 && i < links->n; i++) /* each is of use to this volume only */
                r = l->is_saferemove ? free_safely(l, links->names[i], err) : lvm_remove(l, links->names[i], err);
        return r == 0 && l->is_saferemove ? finish_removals(l, err) : r;
}
