/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps of what is done to volume groups, each on one node: make, extend, reduce, remove, convert, start and stop
 * locks, say what is active here, drop a stale device, cut everything off from a lost storage. In which order on which
 * nodes is core's.
 *
 * A device becomes a PV only after libblkid found nothing on it, or exactly what the caller named; and LVM is run so
 * that it asks nobody and overwrites nothing by itself (-qq answers all its questions with no).
 */
#include "lvm/actions.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common-lvm/dm.h"
#include "common-lvm/lockd.h"
#include "lvm/cutoff.h"
#include "lvm/guard.h"
#include "lvm/host-lvm.h"
#include "lvm/locks.h"

/* Each volume takes about 700 bytes of text, twice at a time: room for more than 10000. */
#define METADATA_SIZE "16m"
#define WIPES_MAX 16

typedef struct Act {
        const struct storaged_host *host;
        Lvm *l; /* of actions about a storage; else NULL */
        const struct storaged_config *args;
        const char *vg;
        LvmCmd cmd;
        json_object *answer;
        struct storaged_error *err;
} Act;

static const char *arg(const Act *a, const char *key)
{
        const char *v = storaged_config_get(a->args, key);

        return v && *v ? v : NULL;
}

/* What becomes part of a command line: a path of /dev without anything that could end the word. */
static int device_arg(const Act *a, const char **ret)
{
        const char *d = arg(a, "device");
        struct stat st;

        if (!d || strncmp(d, "/dev/", 5) != 0 || strstr(d, "/../") ||
            strspn(d, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.:+-") != strlen(d))
                return error_set_param(a->err, -EINVAL, "device", "'%s' is no device below /dev", d ? d : "");
        if (stat(d, &st) < 0)
                return error_set_param(a->err, -errno, "device", "node %s: %s: %s", a->host->node, d, strerror(errno));
        if (!S_ISBLK(st.st_mode))
                return error_set_param(a->err, -ENOTBLK, "device", "node %s: %s is no block device", a->host->node, d);
        *ret = d;
        return 0;
}

/* --- what is on a device */

DEFINE_CLEANUP(blkid_probe, blkid_free_probe)

static void probe_setup(blkid_probe p)
{
        (void) blkid_probe_enable_superblocks(p, 1);
        (void) blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
        (void) blkid_probe_enable_partitions(p, 1);
        (void) blkid_probe_set_partitions_flags(p, BLKID_PARTS_MAGIC);
}

/*
 * Wipes what the caller named; refuses all else. O_EXCL: nobody has it mounted or under a map. Not open for writing
 * where nothing is to be wiped: udev would look at the device anew, just when LVM is at it.
 */
static int make_empty(const Act *a, const char *device, const char *wipe)
{
        AUTO(closep) int fd = open(device, (wipe ? O_RDWR : O_RDONLY) | O_EXCL | O_CLOEXEC);
        AUTO(blkid_free_probep) blkid_probe p = NULL;

        if (fd < 0)
                return error_set_param(a->err, -errno, "device",
                                       "node %s: %s is in use (%s); who has it stands in pvesm lun show", a->host->node,
                                       device, strerror(errno));
        p = blkid_new_probe();
        if (!p || blkid_probe_set_device(p, fd, 0, 0) < 0)
                return error_set(a->err, -EIO, "node %s: cannot look at what is on %s", a->host->node, device);
        probe_setup(p);
        for (unsigned i = 0; i < WIPES_MAX; i++) {
                const char *type = NULL;
                int r = blkid_do_probe(p);

                if (r < 0)
                        return error_set(a->err, -EIO, "node %s: cannot read what is on %s", a->host->node, device);
                if (r == 1)
                        return 0;
                if (blkid_probe_lookup_value(p, "TYPE", &type, NULL) < 0 &&
                    blkid_probe_lookup_value(p, "PTTYPE", &type, NULL) < 0)
                        type = "unknown";
                if (!wipe || strcmp(wipe, type) != 0)
                        return error_set_param(
                                a->err, -EEXIST, "wipe-signature",
                                "node %s: %s is not empty: it has a signature of type \"%s\"; if its content is to be "
                                "lost for good: --force --wipe-signature %s",
                                a->host->node, device, type, type);
                a->host->log(a->host->handle, STORAGED_LOG_WARNING, "wiping the %s signature from %s", type, device);
                if (blkid_do_wipe(p, 0) < 0)
                        return error_set(a->err, -EIO, "node %s: cannot wipe the %s signature from %s", a->host->node,
                                         type, device);
        }
        return error_set(a->err, -EIO, "node %s: %s has a signature again after each wiping", a->host->node, device);
}

/* --- the actions */

static const char *locking(const Act *a)
{
        const char *l = arg(a, "locking");

        return l ? l : "none";
}

/* And, if one is named, whether there is a volume group of that name: {"exists", "host_id"?}. */
static int check_locking(Act *a)
{
        struct storaged_error none = STORAGED_ERROR_INIT;
        int r = locks_check(a->host, locking(a), &a->answer, a->err);
        Vg v = { 0 };

        if (r < 0 || !a->vg)
                return r;
        r = vg_refresh(&v, &a->cmd, a->vg, &none);
        vg_deinit(&v);
        if (r < 0 && r != -ENOENT)
                return error_set(a->err, r, "%s", none.text);
        if (!a->answer)
                a->answer = json_object_new_object();
        (void) json_object_object_add(a->answer, "exists", json_object_new_boolean(r == 0));
        return 0;
}

/* Before a group gets locks of that kind. */
static int need_locks(Act *a)
{
        json_object *answer = NULL;
        int r = locks_check(a->host, locking(a), &answer, a->err);

        json_object_put(answer);
        return r == 0 && a->cmd.host_id ? locks_configure(a->host, a->cmd.host_id, a->err) : r;
}

static int vg_create(Act *a)
{
        const char *device = NULL;
        bool is_shared = strcmp(locking(a), "none") != 0;
        int r = device_arg(a, &device);

        if (r == 0)
                r = need_locks(a);
        if (r == 0)
                r = make_empty(a, device, arg(a, "wipe-signature"));
        if (r < 0)
                return r;
        r = lvm_cmd(&a->cmd, "make the volume group", a->err,
                    "vgcreate -qq %s%s --metadatasize " METADATA_SIZE " --setautoactivation n %s %s",
                    is_shared ? "--locktype " : "", is_shared ? locking(a) : "", a->vg, device);
        if (r == 0)
                guard_follow(a->host, device, true);
        return r;
}

static int vg_extend(Act *a)
{
        const char *device = NULL;
        int r = device_arg(a, &device);

        if (r == 0)
                r = make_empty(a, device, arg(a, "wipe-signature"));
        if (r == 0)
                r = lvm_cmd(&a->cmd, "extend the volume group", a->err,
                            "vgextend -qq --metadatasize " METADATA_SIZE " %s %s", a->vg, device);
        if (r == 0)
                guard_follow(a->host, device, true);
        return r;
}

static int vg_reduce(Act *a)
{
        const char *device = NULL;
        int r = device_arg(a, &device);

        if (r == 0)
                r = lvm_cmd(&a->cmd, "take the device out of the volume group", a->err, "vgreduce -qq %s %s", a->vg,
                            device);
        if (r == 0)
                r = lvm_cmd(&a->cmd, "take LVM's label off the device", a->err, "pvremove -qq %s", device);
        if (r == 0)
                guard_follow(a->host, device, false);
        return r;
}

static int pv_resize(Act *a)
{
        const char *device = NULL;
        int r = device_arg(a, &device);

        return r < 0 ? r : lvm_cmd(&a->cmd, "resize the physical volume", a->err, "pvresize -qq %s", device);
}

static int refresh(Act *a, Vg *v)
{
        return vg_refresh(v, &a->cmd, a->vg, a->err);
}

/* Removes it with all its labels; a VG with volumes is left alone. */
static int vg_destroy(Act *a)
{
        Vg v = { 0 };
        int r = refresh(a, &v);

        if (r == 0 && v.n_lvs > 0)
                r = error_set(a->err, -ENOTEMPTY,
                              "volume group \"%s\" has %zu volumes, %s among them; remove them first", a->vg, v.n_lvs,
                              v.lvs[0].name);
        if (r == 0)
                r = locks_remove_vg(a->host, &a->cmd, a->vg, v.lock_type, a->err);
        for (size_t i = 0; r == 0 && i < v.n_pvs; i++) {
                r = lvm_cmd(&a->cmd, "take LVM's label off a device", a->err, "pvremove -qq %s", v.pvs[i].device);
                if (r == 0)
                        guard_follow(a->host, v.pvs[i].device, false);
        }
        vg_deinit(&v);
        return r;
}

/* With the device of a new group: nothing else needs to be looked at for it. */
static int lock_start(Act *a)
{
        const char *device = NULL;
        Vg v = { 0 };
        int r = arg(a, "device") ? device_arg(a, &device) : 0;

        if (r == 0 && device)
                r = lvm_cmd_limit(&a->cmd, &device, 1);
        if (r == 0)
                r = locks_start(a->host, &a->cmd, a->vg, a->err);
        if (r == 0 && guard_is_ours(a->host) && vg_refresh(&v, &a->cmd, a->vg, NULL) == 0)
                for (size_t i = 0; i < v.n_pvs; i++)
                        guard_follow(a->host, v.pvs[i].device, true);
        vg_deinit(&v);
        return r;
}

static int lock_stop(Act *a)
{
        return lvm_cmd(&a->cmd, "stop the locks of the volume group", a->err, "vgchange --lock-stop %s", a->vg);
}

static int vg_convert(Act *a)
{
        int r = need_locks(a);

        return r < 0 ? r
                     : lvm_cmd(&a->cmd, "convert the volume group", a->err, "vgchange -y --locktype %s %s", locking(a),
                               a->vg);
}

static int add_active(void *userdata, const char *lv, const DmDevice *d)
{
        json_object *o = NULL;

        if (strcmp(lv, LVMLOCK) == 0) /* no volume; active wherever the locks run */
                return 0;
        o = json_object_new_object();
        json_object_object_add(o, "lv", json_object_new_string(lv));
        json_object_object_add(o, "open", json_object_new_int((int) d->n_open));
        json_object_object_add(o, "bytes", json_object_new_int64((int64_t) d->bytes));
        if (d->is_error)
                json_object_object_add(o, "error", json_object_new_boolean(true));
        return json_object_array_add(userdata, o) < 0 ? -ENOMEM : 0;
}

static int vg_info(Act *a)
{
        json_object *active = json_object_new_array(), *pvs = json_object_new_array();
        Vg v = { 0 };
        int r = refresh(a, &v);

        if (r == 0)
                r = dm_each(a->vg, v.uuid, add_active, active, a->err);
        if (r < 0) {
                json_object_put(active);
                json_object_put(pvs);
                vg_deinit(&v);
                return r;
        }
        for (size_t i = 0; i < v.n_pvs; i++)
                (void) json_object_array_add(pvs, json_object_new_string(v.pvs[i].device));
        a->answer = json_object_new_object();
        json_object_object_add(a->answer, "vg", json_object_new_string(a->vg));
        json_object_object_add(a->answer, "uuid", json_object_new_string(v.uuid));
        json_object_object_add(a->answer, "locking", json_object_new_string(v.lock_type[0] ? v.lock_type : "none"));
        json_object_object_add(a->answer, "size", json_object_new_int64((int64_t) v.bytes));
        json_object_object_add(a->answer, "free", json_object_new_int64((int64_t) v.free));
        json_object_object_add(a->answer, "lvs", json_object_new_int64((int64_t) v.n_lvs));
        json_object_object_add(a->answer, "missing", json_object_new_int64((int64_t) v.n_missing));
        json_object_object_add(a->answer, "pvs", pvs);
        json_object_object_add(a->answer, "active", active);
        vg_deinit(&v);
        return 0;
}

/* A device here of a volume that was removed, renamed or resized on another node. */
static int forget(Act *a)
{
        const char *volume = arg(a, "volume");
        struct storaged_volname vol = { .size = sizeof(vol) };
        DmDevice d;
        int r;

        r = a->host->parse_volname(a->host->handle, volume ? volume : "", &vol, a->err);
        if (r == 0)
                r = dm_lookup(a->l->vg, vol.name, &d, a->err);
        if (r < 0 || !d.exists) /* nearly always; costs no look at the VG */
                return r;
        r = vg_refresh(&a->l->state, &a->l->cmd, a->l->vg, a->err);
        /* The node that asks has the lease or nobody has it: what is active here is left over. */
        return r < 0 ? r : lvm_deactivate(a->l, vol.name, a->err);
}

static void on_cut_off(void *userdata, const char *lv, const struct storaged_error *err)
{
        Act *a = userdata;

        if (err->code < 0)
                a->host->log(a->host->handle, STORAGED_LOG_ERROR, "%s", err->text);
        else
                a->host->log(a->host->handle, STORAGED_LOG_WARNING,
                             "volume %s/%s was cut off from its storage: its I/O fails now", a->vg, lv);
}

/* The storage or its locks are lost: nothing here writes any more, and others may have the locks. */
static int cut_off_all(Act *a)
{
        int r = cut_off(a->vg, on_cut_off, a, a->err);

        /* Without lvmlockd the locks are orphans, which a new one with --adopt takes over; so nobody else gets them. */
        if (r == 0 && lockd_is_running())
                r = lockd_drop(a->vg, a->err);
        /* What was switched on between the two; from now on nothing is. */
        return r == 0 ? cut_off(a->vg, on_cut_off, a, a->err) : r;
}

static int wipe(Act *a)
{
        return lvm_wipe(a->l, &a->answer, a->err);
}

static int reap(Act *a)
{
        const char *volumes = arg(a, "volumes");

        return volumes ? lvm_reap(a->l, volumes, a->err) : 0;
}

static const struct storaged_property p_none[] = { { 0 } };

#define P_VG                                                                                             \
        {                                                                                                \
                .name = "vgname", .type = STORAGED_PROPERTY_STRING, .flags = STORAGED_PROPERTY_REQUIRED, \
                .format = "storage-vgname", .max_length = 127, .description = "The volume group."        \
        }
#define P_DEVICE_IF(required)                                                                             \
        {                                                                                                 \
                .name = "device", .type = STORAGED_PROPERTY_STRING, .flags = required, .max_length = 512, \
                .description = "The LUN's device on this node."                                           \
        }
#define P_DEVICE P_DEVICE_IF(STORAGED_PROPERTY_REQUIRED)
#define P_WIPE                                                                                \
        {                                                                                     \
                .name = "wipe-signature", .type = STORAGED_PROPERTY_STRING, .max_length = 64, \
                .description = "Wipe what is on the device if it is of this type."            \
        }

static const char *const lockings[] = { "sanlock", "dlm", "none", NULL };
#define P_LOCKING                                                                      \
        {                                                                              \
                .name = "locking", .type = STORAGED_PROPERTY_ENUM, .values = lockings, \
                .description = "Lock manager of the volume group."                     \
        }
#define P_HOST_ID                                                                            \
        {                                                                                    \
                .name = "host-id", .type = STORAGED_PROPERTY_INTEGER, .min = 1, .max = 2000, \
                .description = "This node's number at sanlock."                              \
        }

static const struct storaged_property p_vg[] = { P_VG, { 0 } };
static const struct storaged_property p_vg_host[] = { P_VG, P_HOST_ID, P_DEVICE_IF(0), { 0 } };
#define P_VG_MAYBE                                                                                                 \
        {                                                                                                          \
                .name = "vgname", .type = STORAGED_PROPERTY_STRING, .format = "storage-vgname", .max_length = 127, \
                .description = "Also whether there is a volume group of that name."                                \
        }
static const struct storaged_property p_locking[] = { P_VG_MAYBE, P_LOCKING, { 0 } };
static const struct storaged_property p_vg_locking[] = { P_VG, P_LOCKING, P_HOST_ID, { 0 } };
static const struct storaged_property p_create[] = { P_VG, P_DEVICE, P_LOCKING, P_HOST_ID, P_WIPE, { 0 } };
static const struct storaged_property p_extend[] = { P_VG, P_DEVICE, P_WIPE, { 0 } };
static const struct storaged_property p_device[] = { P_VG, P_DEVICE, { 0 } };
static const struct storaged_property p_volume[] = { { .name = "volume",
                                                       .type = STORAGED_PROPERTY_STRING,
                                                       .flags = STORAGED_PROPERTY_REQUIRED,
                                                       .description = "The volume's name." },
                                                     { 0 } };

static const struct storaged_property p_volumes[] = { { .name = "volumes",
                                                        .type = STORAGED_PROPERTY_STRING,
                                                        .flags = STORAGED_PROPERTY_REQUIRED,
                                                        .description = "Their names, with commas." },
                                                      { 0 } };

#define SLOW STORAGED_ACTION_SLOW
#define READ STORAGED_ACTION_READ
#define STORAGE STORAGED_ACTION_STORAGE
#define SERIES STORAGED_ACTION_SERIES

static const struct {
        const char *name;
        int (*run)(Act *a);
        bool is_changing; /* what the host's LVM has written down about physical volumes is wrong after it */
} runners[] = {
        { "lock-check", check_locking },
        { "vg-info", vg_info },
        { "vg-create", vg_create, .is_changing = true },
        { "vg-extend", vg_extend, .is_changing = true },
        { "vg-reduce", vg_reduce, .is_changing = true },
        { "vg-destroy", vg_destroy, .is_changing = true },
        { "vg-convert", vg_convert },
        { "lock-start", lock_start, .is_changing = true },
        { "lock-stop", lock_stop, .is_changing = true },
        { "pv-resize", pv_resize },
        { "cut-off", cut_off_all },
        { "forget", forget },
        { "wipe", wipe },
        { "reap", reap },
};

const struct storaged_action lvm_actions[] = {
        { "doctor", "Whether this node's LVM keeps out of guests' disks.", READ, p_none },
        { "guard", "Limit this node's LVM to the disks of its own volume groups.", SLOW, guard_params },
        { "lock-check", "Whether that lock manager can be used on this node.", READ | SERIES, p_locking },
        { "vg-info", "A volume group, and what is active of it on this node.", READ | SLOW | SERIES, p_vg },
        { "vg-create", "Make a volume group on an empty LUN.", SLOW | SERIES, p_create },
        { "vg-extend", "Add an empty LUN to a volume group.", SLOW, p_extend },
        { "vg-reduce", "Take a LUN without extents in use out of a volume group.", SLOW, p_device },
        { "vg-destroy", "Remove a volume group without volumes.", SLOW, p_vg },
        { "vg-convert", "Change the lock type of a volume group.", SLOW | SERIES, p_vg_locking },
        { "lock-start", "Start the locks of a shared volume group on this node.", SLOW | SERIES, p_vg_host },
        { "lock-stop", "Stop them.", SLOW | SERIES, p_vg },
        { "pv-resize", "Take the new size of a LUN over into its volume group.", SLOW, p_device },
        { "cut-off", "Storage of the locks lost: let every I/O of this node to the volume group fail.", SLOW, p_vg },
        { "forget", "Drop what is left of a volume that another node removed or changed.", STORAGE, p_volume },
        { "wipe", "Write zeroes over what was removed on this node with saferemove.", STORAGE | STORAGED_ACTION_TASK,
          p_none },
        { "reap", "Give the space of written-over volumes back.", STORAGE, p_volumes },
        { NULL, NULL, 0, p_none },
};

int lvm_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
            storaged_json_fn fn, void *userdata, struct storaged_error *err)
{
        Act a = { .host = host, .l = self, .args = args, .err = err, .cmd = { .what = "volume group" } };
        int r = -EOPNOTSUPP;

        if (guard_act(host, action, args, fn, userdata, &r, err))
                return r;
        a.vg = arg(&a, "vgname");
        if (a.vg)
                a.cmd.what = a.vg;
        if (arg(&a, "host-id"))
                a.cmd.host_id = (unsigned) strtoul(arg(&a, "host-id"), NULL, 10);
        for (size_t i = 0; i < sizeof(runners) / sizeof(runners[0]); i++)
                if (strcmp(runners[i].name, action) == 0) {
                        r = runners[i].run(&a);
                        if (runners[i].is_changing) /* also if it failed half-way */
                                host_lvm_forget_hints(host);
                }
        lvm_cmd_deinit(&a.cmd);
        if (r == 0 && a.answer) {
                const char *text = json_object_to_json_string_ext(a.answer, JSON_C_TO_STRING_PLAIN);

                r = fn(userdata, text, strlen(text));
        }
        json_object_put(a.answer);
        return r;
}
