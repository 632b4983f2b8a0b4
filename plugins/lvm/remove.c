/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes go. Without saferemove that is one commit of LVM's. With it the LV becomes del-NAME, which is no volume any
 * more, with the node in a tag. The daemon then asks for `wipe`, which writes zeroes over it (by the array where it
 * can) and needs no lock, as the LV keeps its space from everybody; and for `reap`, under the lock, which gives the
 * space back. What was interrupted is finished with the next removal on that node, in a group with locks on any.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common-lvm/dm.h"
#include "lvm/lvm.h"
#include "common-lvm/unfinished.h"

#define REMOVED_PREFIX "del-"
#define REMOVING_TAG "storaged-removing/" /* + the node */

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

/* By an order that gives the array its space back, where it knows that; zeroes are what is read afterwards. */
static int zero_range(int fd, uint64_t at, uint64_t n, bool *is_punched)
{
        if (*is_punched && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) at, (off_t) n) == 0)
                return 0;
        *is_punched = false;
        return ioctl(fd, BLKZEROOUT, (uint64_t[2]){ at, n }) < 0 ? -errno : 0;
}

/* -EBUSY: somebody has it open; another worker is at it. */
static int zero_device(Lvm *l, const char *name, uint64_t *done, uint64_t total, struct storaged_error *err)
{
        AUTO(closep) int fd = -EBADF;
        uint64_t bytes = 0, at = 0;
        bool is_punched = true;
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
                int r = zero_range(fd, at, n, &is_punched);

                if (r < 0)
                        return error_set(err, r, "storage \"%s\": cannot write zeroes to %s at %llu: %s", l->storage,
                                         path, (unsigned long long) at, strerror(-r));
                at += n;
                *done += n;
                if (l->host->progress(l->host->handle, *done, total) != 0)
                        return error_set(err, -ECANCELED,
                                         "storage \"%s\": the zeroing of %s was stopped; the next removal on this node "
                                         "finishes it",
                                         l->storage, name);
                keep_pace(l, &begin, at);
        }
        return fsync(fd) < 0 ? error_set(err, -errno, "storage \"%s\": cannot write zeroes to %s: %s", l->storage, path,
                                         strerror(errno))
                             : 0;
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

/* Whose removal it is, in a tag: in a group without locks no other node may touch it. */
static void removal_tag(const Lvm *l, char ret[static 160])
{
        (void) snprintf(ret, 160, REMOVING_TAG "%.100s", l->host->node);
}

/* It is no volume any more. What is on it is written over by `wipe`, without the storage's lock. */
static int free_safely(Lvm *l, const char *name, struct storaged_error *err)
{
        char removed[LVM_NAME_MAX], tag[160];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = removed_name(l, name, removed, err);
        if (r < 0)
                return r;
        removal_tag(l, tag);
        r = lvm_cmd(&l->cmd, "mark a volume as removed", err, "lvchange -y --addtag %s %s/%s", tag, l->vg, name);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "take a volume away", err, "lvrename %s %s %s", l->vg, name, removed);
        vg_forget(&l->state);
        return r == 0 ? lvm_fault(l, "free.renamed", err) : r;
}

/* --- the actions `wipe` and `reap` */

static bool is_removed(const Lvm *l, const VgLv *lv)
{
        char tag[160];

        removal_tag(l, tag);
        if (strncmp(lv->name, REMOVED_PREFIX, strlen(REMOVED_PREFIX)) != 0 || !strstr(lv->tags, REMOVING_TAG))
                return false;
        return vg_is_shared(&l->state) || vg_has_tag(lv->tags, tag); /* where there are locks, they tell */
}

/* 0: zeroes; 1: somebody else is at it. */
static int wipe_one(Lvm *l, const char *name, uint64_t *done, uint64_t total, struct storaged_error *err)
{
        enum LvmHold hold = LVM_NOT_HELD;
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = lvm_hold(l, name, STORAGED_ACTIVATION_EXCLUSIVE, &hold, &why);

        if (r == 0)
                r = zero_device(l, name, done, total, &why);
        lvm_let_go(l, name, hold == LVM_NOT_HELD || r == -EBUSY ? LVM_NOT_HELD : LVM_HELD_NOW);
        if (r == -EBUSY || r == -ENOENT)
                return 1;
        if (r < 0) {
                *err = why;
                return r;
        }
        return lvm_fault(l, "wipe.zeroed", err);
}

int lvm_wipe(Lvm *l, json_object **ret, struct storaged_error *err)
{
        AUTO(freep) char(*names)[LVM_NAME_MAX] = NULL;
        char wiped[2048] = "";
        uint64_t total = 0, done = 0;
        size_t n = 0, used = 0;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_fault(l, "wipe.before", err);
        if (r < 0)
                return r;
        names = calloc(l->state.n_lvs + 1, sizeof(*names));
        if (!names)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < l->state.n_lvs; i++)
                if (is_removed(l, &l->state.lvs[i])) {
                        (void) snprintf(names[n++], LVM_NAME_MAX, "%s", l->state.lvs[i].name);
                        total += l->state.lvs[i].bytes;
                }
        for (size_t i = 0; i < n && used + LVM_NAME_MAX < sizeof(wiped); i++) { /* what is too much is the next one's */
                r = wipe_one(l, names[i], &done, total, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        used += (size_t) snprintf(wiped + used, sizeof(wiped) - used, "%s%s", used ? "," : "",
                                                  names[i]);
        }
        *ret = json_object_new_string(wiped);
        return 0;
}

int lvm_reap(Lvm *l, const char *volumes, struct storaged_error *err)
{
        AUTO(freep) char *copy = strdup(volumes);
        char *at = NULL;
        int r = copy ? l->host->may_commit(l->host->handle, err) : error_set(err, -ENOMEM, "out of memory");

        for (char *name = copy ? strtok_r(copy, ",", &at) : NULL; name && r == 0; name = strtok_r(NULL, ",", &at)) {
                const VgLv *lv = NULL;

                r = vg_refresh(&l->state, &l->cmd, l->vg, err);
                lv = r == 0 ? vg_find(&l->state, name) : NULL;
                if (!lv || !is_removed(l, lv))
                        continue; /* another removal was faster */
                /* The array gets its space back where LVM is told so; what is on it is zeroes by now. */
                r = lvm_cmd(&l->cmd, "give the space of a removed volume back", err, "lvremove -y -f %s/%s", l->vg,
                            name);
                vg_forget(&l->state);
                if (r == -EBUSY) /* written over once more by another removal, which gives it back then */
                        r = 0;
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
        return r;
}
