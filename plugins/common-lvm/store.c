/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the storage types on volume groups share: begin and end, whether the group is there, which group it is.
 *
 * The model: the VG's metadata is all the state there is. It is changed by LVM only (liblvm2cmd, in this process), and
 * what is active is known from device-mapper (dm.c). The invariant: a name vm-… without the tag of an unfinished
 * operation is a whole volume.
 *
 *   cmd.c  the door to LVM          vg.c     what the VG is, kept while mda.c says that nothing was committed
 *   dm.c   the kernel's devices     activate.c  on, off, stale devices
 *   volume.c, stream.c  what volumes have in common; unfinished.c what crashes leave
 */
#include "common-lvm/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

static int no_reach(FileStore *fs, unsigned planes, struct storaged_error *err)
{
        (void) fs;
        (void) planes;
        (void) err;
        return 0;
}

static const FileStoreKind thick = { .type = "lvm", .reach = no_reach };
static const FileStoreKind thin = { .type = "lvmthin", .reach = no_reach };

void lvm_stop_common(Lvm *l)
{
        vg_deinit(&l->state);
        lvm_cmd_deinit(&l->cmd);
        free(l->fs.path);
        free(l->storage);
        free(l->vg);
        free(l->pool);
        free(l->base);
}

int lvm_start_common(const struct storaged_host *host, const struct storaged_config *config, Lvm *l,
                     struct storaged_error *err)
{
        const char *vg = storaged_config_get(config, "vgname"), *pool = storaged_config_get(config, "thinpool");

        if (!vg || strlen(vg) >= LVM_NAME_MAX)
                return error_set_param(err, -EINVAL, "vgname", "storage %s has no volume group", config->storage);
        l->host = host;
        l->storage = strdup(config->storage);
        l->vg = strdup(vg);
        (void) text_printf(&l->fs.path, "/dev/%s", vg);
        l->pool = pool ? strdup(pool) : NULL;
        if (!l->storage || !l->vg || !l->fs.path || (pool && !l->pool))
                return error_set(err, -ENOMEM, "out of memory");
        l->fs.kind = pool ? &thin : &thick;
        l->fs.host = host;
        l->fs.storage = l->storage;
        l->cmd.what = l->storage;
        l->cmd.vg = l->vg;
        return 0;
}

int lvm_reach(Lvm *l, struct storaged_error *err)
{
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r < 0)
                return r;
        if (l->state.is_exported)
                return error_set(
                        err, -EPERM,
                        "storage \"%s\": volume group \"%s\" was exported (vgexport); vgimport it on one node first",
                        l->storage, l->vg);
        if (!vg_is_shared(&l->state))
                return 0;
        /* Waits until they are; where they run already it is done at once. */
        r = lvm_cmd_start_locks(&l->cmd, l->vg, err);
        if (r < 0 && access("/run/lvm/lvmlockd.socket", F_OK) < 0)
                return error_set(err, -EHOSTDOWN,
                                 "storage \"%s\": volume group \"%s\" is shared by %s locks, and lvmlockd does not run "
                                 "on node %s; "
                                 "start it (systemctl start lvmlockd)",
                                 l->storage, l->vg, l->state.lock_type, l->host->node);
        return r;
}

/* LVM gives each VG a UUID, and a LUN that is seen by two nodes has the same one. */
int lvm_identify(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret,
                 struct storaged_error *err)
{
        Lvm *l = self;
        size_t n = 0;
        int r;

        (void) spec;
        vg_forget(&l->state); /* it is asked for seldom, and then nothing that is remembered will do */
        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        if (r < 0)
                return r;
        ret->mark = STORAGED_MARK_NONE;
        (void) snprintf(ret->kind, sizeof(ret->kind), "vg-uuid");
        (void) snprintf(ret->id, sizeof(ret->id), "%s", l->state.uuid);
        for (size_t i = 0; i < l->state.n_pvs && n < sizeof(ret->detail); i++)
                n += (size_t) snprintf(ret->detail + n, sizeof(ret->detail) - n, "%s%s", i ? " " : "",
                                       l->state.pvs[i].device);
        return 0;
}
