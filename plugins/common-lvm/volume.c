/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What volumes of a VG have in common, thick or thin: found, listed, named, made, removed. An LV that is not yet a
 * volume (an image without its header, an import under way) has a tag that says whose work it is; it is never listed,
 * and the next activation of the storage removes what dead processes of this node left (unfinished.c).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common-lvm/store.h"
#include "common-lvm/unfinished.h"

#define QCOW2_CLUSTER (128u << 10)
#define MIB (1u << 20)

int lvm_fault(Lvm *l, const char *point, struct storaged_error *err)
{
        char name[96];
        int r;

        (void) snprintf(name, sizeof(name), "%s.%s", l->fs.kind->type, point);
        r = l->host->fault(l->host->handle, name);
        return r < 0 ? error_set(err, r, "storage \"%s\": fault point %s", l->storage, name) : 0;
}

int lvm_before(Lvm *l, const char *point, struct storaged_error *err)
{
        int r = lvm_fault(l, point, err);

        return r == 0 ? l->host->may_commit(l->host->handle, err) : r;
}

/* Thick volumes are those of type lvm, the thin ones of a pool those of its lvmthin. */
bool lvm_is_ours(const Lvm *l, const VgLv *lv)
{
        return l->pool ? strcmp(lv->pool, l->pool) == 0 : !lv->pool[0];
}

int lvm_find(Lvm *l, const char *name, const VgLv **ret, struct storaged_error *err)
{
        const VgLv *lv = vg_find(&l->state, name);

        if (lv && !unfinished_is(lv) && !lvm_is_ours(l, lv))
                return error_set_param(err, -ENOENT, "volume", "volume %s:%s does not exist (%s/%s is %s%s)",
                                       l->storage, name, l->vg, name,
                                       lv->pool[0] ? "a thin volume of pool " : "no thin volume", lv->pool);
        if (!lv || unfinished_is(lv))
                return error_set_param(err, -ENOENT, "volume",
                                       "volume %s:%s does not exist (volume group \"%s\" has no such LV)", l->storage,
                                       name, l->vg);
        *ret = lv;
        return 0;
}

int lvm_device_path(const Lvm *l, const char *lv, char *ret, size_t ret_size, struct storaged_error *err)
{
        int n = snprintf(ret, ret_size, "/dev/%s/%s", l->vg, lv);

        return n < 0 || (size_t) n >= ret_size ? error_set(err, -ENAMETOOLONG, "the path of volume %s is too long", lv)
                                               : 0;
}

/* --- listing */

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

static bool is_container(const struct storaged_list_filter *f, uint32_t vmid)
{
        return f && f->n_container_vmids &&
               bsearch(&vmid, f->container_vmids, f->n_container_vmids, sizeof(vmid), by_number);
}

/* A qcow2 image is smaller than its LV by its own tables. We note its size; another tool that resizes it does not. */
static bool qcow2_bytes_noted(const Lvm *l, const VgLv *lv, uint64_t *ret)
{
        const char *tag = strstr(lv->tags, LVM_SIZE_TAG);
        uint64_t bytes = tag ? strtoull(tag + strlen(LVM_SIZE_TAG), NULL, 10) : 0;
        uint64_t full = lvm_qcow2_bytes(bytes);

        if (bytes == 0 || l->state.extent == 0 ||
            (full + l->state.extent - 1) / l->state.extent * l->state.extent != lv->bytes)
                return false;
        *ret = bytes;
        return true;
}

static int give_row(Lvm *l, const VgLv *lv, const struct storaged_volname *vol, uint32_t content, storaged_volume_fn fn,
                    void *userdata)
{
        uint64_t bytes = lv->bytes;
        bool is_known = strcmp(vol->format, "qcow2") != 0 || qcow2_bytes_noted(l, lv, &bytes);
        struct storaged_volume row = {
                .size = sizeof(row),
                .content = content,
                .volname = lv->name,
                .format = vol->format,
                .bytes = bytes,
                .used_bytes = l->used_by ? l->used_by(l, lv) : lv->bytes,
                .ctime = lv->ctime,
                .vmid = vol->vmid,
                .is_approximate = !is_known,
        };

        return fn(userdata, &row);
}

/* Whether the LV is a volume of this storage; *ret: its name, parsed. */
static bool is_volume(Lvm *l, const VgLv *lv, struct storaged_volname *ret)
{
        char tag[32];

        if (strncmp(lv->name, "vm-", 3) != 0 && strncmp(lv->name, "base-", 5) != 0)
                return false; /* by far the most that are none; saves the parsing */
        *ret = (struct storaged_volname){ .size = sizeof(*ret) };
        if (l->host->parse_volname(l->host->handle, lv->name, ret, NULL) < 0 || unfinished_is(lv) ||
            !lvm_is_ours(l, lv))
                return false;
        if (!l->is_tagged_only)
                return true;
        (void) snprintf(tag, sizeof(tag), "pve-vm-%u", ret->vmid);
        return vg_has_tag(lv->tags, tag);
}

/* All that a listing tells stands in the metadata, but for the sizes in use where a type has such. */
int lvm_list_stamp(void *self, uint64_t *ret, struct storaged_error *err)
{
        Lvm *l = self;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                *ret = l->state.is_sure && !l->used_by ? l->state.number : 0;
        return r;
}

int lvm_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
             struct storaged_error *err)
{
        Lvm *l = self;
        struct storaged_volname vol;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        for (size_t i = 0; r == 0 && i < l->state.n_lvs; i++) {
                const VgLv *lv = &l->state.lvs[i];
                uint32_t content;

                if (!is_volume(l, lv, &vol) || (filter->vmid && filter->vmid != vol.vmid))
                        continue;
                content = is_container(filter, vol.vmid) ? STORAGED_CONTENT_ROOTDIR : STORAGED_CONTENT_IMAGES;
                if (filter->contents & content)
                        r = give_row(l, lv, &vol, content, fn, userdata);
        }
        return r;
}

int lvm_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, struct storaged_error *err)
{
        Lvm *l = self;
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        return r < 0 ? r : give_row(l, lv, vol, STORAGED_CONTENT_IMAGES, fn, userdata);
}

int lvm_new_name(Lvm *l, uint32_t vmid, uint32_t format, const char *wanted, char ret[static LVM_NAME_MAX],
                 struct storaged_error *err)
{
        struct storaged_volname vol = { .size = sizeof(vol) };
        const char *extension = format == STORAGED_FORMAT_QCOW2 ? ".qcow2" : "";
        AUTO(freep) const char **used = NULL;
        char base[LVM_NAME_MAX];
        size_t n = 0;
        int r;

        if (wanted) {
                r = l->host->parse_volname(l->host->handle, wanted, &vol, err);
                if (r < 0)
                        return r;
                if (vol.vmid != vmid)
                        return error_set_param(err, -EINVAL, "name", "volume name \"%s\" is not one of guest %u",
                                               wanted, vmid);
                if ((strcmp(vol.format, "qcow2") == 0) != (format == STORAGED_FORMAT_QCOW2))
                        return error_set_param(
                                err, -EINVAL, "name",
                                "volume name \"%s\" does not go with format %s: on lvm a qcow2 volume ends in "
                                ".qcow2 and a raw one does not",
                                wanted, format == STORAGED_FORMAT_QCOW2 ? "qcow2" : "raw");
                if (vg_find(&l->state, wanted))
                        return error_set_param(err, -EEXIST, "name", "volume %s:%s exists already", l->storage, wanted);
                (void) snprintf(ret, LVM_NAME_MAX, "%.127s", vol.name);
                return 0;
        }
        used = calloc(l->state.n_lvs + 1, sizeof(*used));
        if (!used)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < l->state.n_lvs; i++)
                if (strncmp(l->state.lvs[i].name, "vm-", 3) == 0 || strncmp(l->state.lvs[i].name, "base-", 5) == 0)
                        used[n++] = l->state.lvs[i].name;
        r = l->host->next_disk_name(l->host->handle, vmid, "vm", used, n, base, sizeof(base) - 8, err);
        if (r == 0)
                (void) snprintf(ret, LVM_NAME_MAX, "%.*s%s", LVM_NAME_MAX - 8, base, extension);
        return r;
}

uint64_t lvm_qcow2_bytes(uint64_t bytes)
{
        uint64_t clusters = (bytes + QCOW2_CLUSTER - 1) / QCOW2_CLUSTER;
        uint64_t l2 = (clusters * 16 + QCOW2_CLUSTER - 1) / QCOW2_CLUSTER; /* extended entries have 16 bytes */
        uint64_t l1 = (l2 * 8 + QCOW2_CLUSTER - 1) / QCOW2_CLUSTER;
        uint64_t refs = clusters + l2 + l1 + 4;
        uint64_t blocks =
                (refs * 2 + QCOW2_CLUSTER - 1) / QCOW2_CLUSTER + 1; /* 16 bits a cluster, also of the blocks */
        uint64_t table = (blocks * 8 + QCOW2_CLUSTER - 1) / QCOW2_CLUSTER;

        return (clusters + l2 + l1 + blocks + table + 4) * QCOW2_CLUSTER;
}

int lvm_create(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, struct storaged_error *err, const char *fmt,
               ...)
{
        char options[320];
        va_list ap;
        int r;

        va_start(ap, fmt);
        (void) vsnprintf(options, sizeof(options), fmt, ap);
        va_end(ap);
        r = lvm_forget(l, name, err); /* else LVM could not make the device: "Device or resource busy" */
        if (r == 0 && l->pool)
                return lvm_cmd(&l->cmd, "make a volume", err,
                               "lvcreate -y -an -ky -n %s -V %llub --addtag pve-vm-%u %s --thinpool "
                               "%s %s",
                               name, (unsigned long long) bytes, vmid, options, l->pool, l->vg);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "make a volume", err,
                            "lvcreate -y %s -Wy -Zy -n %s -L %llub --addtag pve-vm-%u --setautoactivation n %s %s",
                            vg_is_shared(&l->state) ? "-aey" : "-ay", name, (unsigned long long) bytes, vmid, options,
                            l->vg);
        if (r == -ENOSPC)
                return error_set(err, r,
                                 "storage \"%s\": volume group \"%s\" has %llu MiB free, volume %s needs %llu MiB",
                                 l->storage, l->vg, (unsigned long long) (l->state.free / MIB), name,
                                 (unsigned long long) ((bytes + MIB - 1) / MIB));
        return r;
}

int lvm_make(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, struct storaged_error *err)
{
        return lvm_create(l, name, vmid, bytes, err, "%s", "");
}

/* --- and its end */

int lvm_remove(Lvm *l, const char *name, struct storaged_error *err)
{
        int r = lvm_cmd(&l->cmd, "remove a volume", err, "lvremove -y -f %s/%s", l->vg, name);

        vg_forget(&l->state);
        return r;
}

/* --- another name */

int lvm_move(Lvm *l, STORAGED_VOL, uint32_t vmid, const char *to, struct storaged_error *err)
{
        int r = lvm_before(l, "rename.before", err);

        if (r == 0 && vmid != vol->vmid)
                r = lvm_cmd(&l->cmd, "tag a volume", err, "lvchange -y --addtag pve-vm-%u %s/%s", vmid, l->vg,
                            vol->name);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "rename a volume", err, "lvrename %s %s %s", l->vg, vol->name, to);
        vg_forget(&l->state);
        if (r == 0)
                r = lvm_fault(l, "rename.renamed", err);
        if (r == 0 && vmid != vol->vmid)
                r = lvm_cmd(&l->cmd, "tag a volume", err, "lvchange -y --deltag pve-vm-%u %s/%s", vol->vmid, l->vg, to);
        return r;
}
