/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the host's own LVM out of guests' disks. A guest may have a volume group inside its disk. A host that sees it
 * may activate it at boot, write to it, or take its name for that of a group of its own.
 *
 * What is true by now: LVM does not look into logical volumes (scan_lvs), guests' volumes are never switched on at boot
 * and marked for udev (57-storaged-dm.rules), and storaged's own commands look at the devices of their group alone.
 * What is left are LUNs and RBD images that a guest has as a whole; against those helps a list of the devices that LVM
 * may look at. `guard` makes it, of the devices of groups that are in use here now or are shared, unless somebody has
 * set a filter or a list by hand. `doctor` says how it stands, and asks LVM itself what it sees.
 */
#include "lvm/guard.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common-lvm/dm.h"
#include "lvm/dlm.h"
#include "lvm/host-lvm.h"

#define RULES "rules.d/57-storaged-dm.rules"

const struct storaged_property guard_params[] = {
        { .name = "vgname",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 1024,
          .description = "Further volume groups that are this node's own, with commas." },
        { .name = "off",
          .type = STORAGED_PROPERTY_BOOLEAN,
          .description = "Take away what was set up by this command." },
        { 0 }
};

typedef struct HostPv {
        const char *device, *vg, *lock_type, *uuid; /* of the VG; "" */
} HostPv;

/* What the host's LVM sees as it is configured; without hints, which know nothing of groups that other nodes made. */
typedef struct HostPvs {
        json_object *report; /* owned; the strings are in it */
        HostPv *pvs;
        size_t n;
} HostPvs;

static void host_pvs_deinit(HostPvs *p)
{
        free(p->pvs);
        json_object_put(p->report);
}

static const char *text(json_object *row, const char *key)
{
        const char *s = json_object_get_string(json_object_object_get(row, key));

        return s ? s : "";
}

static int host_pvs_read(HostPvs *ret, struct storaged_error *err)
{
        LvmCmd cmd = { .what = "the host's LVM", .is_hosts = true };
        json_object *rows;
        int r = lvm_cmd_report(&cmd, "list physical volumes", &ret->report, err,
                               "pvs --reportformat json -o pv_name,vg_name,vg_lock_type,vg_uuid "
                               "--config 'devices { hints=\"none\" }'");

        lvm_cmd_deinit(&cmd);
        if (r < 0)
                return r;
        rows = json_object_object_get(json_object_array_get_idx(json_object_object_get(ret->report, "report"), 0),
                                      "pv");
        ret->pvs = calloc((rows ? json_object_array_length(rows) : 0) + 1, sizeof(*ret->pvs));
        if (!ret->pvs)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                ret->pvs[ret->n++] = (HostPv){ text(row, "pv_name"), text(row, "vg_name"), text(row, "vg_lock_type"),
                                               text(row, "vg_uuid") };
        }
        return 0;
}

/* --- whose is it */

/* A device that only a guest can have made a physical volume of: its disk on a VG, an RBD image, a ZFS volume. */
static bool is_guests(const char *device)
{
        static const char *const parts[] = { "-vm--", "-base--", "/vm-", "/base-" };
        char real[PATH_MAX];

        if (strncmp(device, "/dev/rbd", 8) == 0 || strncmp(device, "/dev/zd", 7) == 0 ||
            strncmp(device, "/dev/zvol/", 10) == 0)
                return true;
        if (realpath(device, real) && (strncmp(real, "/dev/rbd", 8) == 0 || strncmp(real, "/dev/zd", 7) == 0))
                return true;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                const char *at = strncmp(device, "/dev/", 5) == 0 ? strstr(device, parts[i]) : NULL;

                if (at && isdigit((unsigned char) at[strlen(parts[i])])) /* the guest's number */
                        return true;
        }
        return false;
}

static int note_active(void *userdata, const char *lv, const DmDevice *d)
{
        (void) lv;
        (void) d;
        *(bool *) userdata = true;
        return 1;
}

static bool is_active(const HostPv *pv)
{
        bool found = false;

        (void) dm_each(pv->vg, pv->uuid, note_active, &found, NULL);
        return found;
}

static bool is_named(const char *list, const char *vg)
{
        size_t n = strlen(vg);

        for (const char *p = list; n > 0 && p && *p; p = strpbrk(p, ",; ") ? strpbrk(p, ",; ") + 1 : "")
                if (strncmp(p, vg, n) == 0 && (p[n] == '\0' || strchr(",; ", p[n])))
                        return true;
        return false;
}

static bool is_hosts_own(const HostPv *pv, const char *named)
{
        if (!pv->vg[0] || is_guests(pv->device))
                return false;
        return is_named(named, pv->vg) || (pv->lock_type[0] && strcmp(pv->lock_type, "none") != 0) || is_active(pv);
}

/* --- guard */

static void add_text(json_object *o, const char *key, const char *value)
{
        json_object_object_add(o, key, json_object_new_string(value));
}

/* With the file's name it counts for this command, whatever the configuration says. */
static int list_device(const char *device, bool is_added, struct storaged_error *err)
{
        LvmCmd cmd = { .what = "the host's LVM", .is_hosts = true };
        int r = lvm_cmd(&cmd, is_added ? "list a device" : "drop a device from the list", err,
                        "lvmdevices -y --devicesfile system.devices %s %s", is_added ? "--adddev" : "--deldev", device);

        lvm_cmd_deinit(&cmd);
        return r;
}

bool guard_is_ours(const struct storaged_host *host)
{
        HostLvm h;

        host_lvm_read(host, &h);
        return h.is_ours && h.has_devices_file;
}

void guard_follow(const struct storaged_host *host, const char *device, bool is_added)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (guard_is_ours(host) && list_device(device, is_added, &err) < 0)
                host->log(host->handle, STORAGED_LOG_WARNING, "%s", err.text);
}

static int set_up(const struct storaged_host *host, const char *named, json_object *answer, struct storaged_error *err)
{
        __attribute__((cleanup(host_pvs_deinit))) HostPvs all = { 0 };
        json_object *listed = json_object_new_array(), *others = json_object_new_array();
        int r;

        json_object_object_add(answer, "devices", listed);
        json_object_object_add(answer, "left-out", others);
        r = host_pvs_read(&all, err);
        if (r == 0)
                r = host_lvm_begin_list(host, err);
        for (size_t i = 0; r == 0 && i < all.n; i++) {
                bool is_own = is_hosts_own(&all.pvs[i], named);
                json_object *o = json_object_new_object();

                add_text(o, "device", all.pvs[i].device);
                add_text(o, "vg", all.pvs[i].vg);
                (void) json_object_array_add(is_own ? listed : others, o);
                if (is_own)
                        r = list_device(all.pvs[i].device, true, err);
        }
        if (r == 0)
                r = host_lvm_limit(host, err);
        if (r < 0)
                (void) host_lvm_release(host, NULL); /* the first failure is the one to tell */
        return r;
}

static int act_guard(const struct storaged_host *host, const struct storaged_config *args, json_object *answer,
                     struct storaged_error *err)
{
        HostLvm h;

        if (storaged_config_get_bool(args, "off")) {
                add_text(answer, "state", "off");
                return host_lvm_release(host, err);
        }
        host_lvm_read(host, &h);
        if (h.error[0])
                return error_set(err, -EPROTO, "node %s: %s; nothing was changed", host->node, h.error);
        if (h.has_filter || h.says_devices || (h.has_list && !h.is_ours)) {
                add_text(answer, "state", "by-hand");
                add_text(answer, "reason",
                         h.has_filter     ? "lvm.conf has a filter"
                         : h.says_devices ? "lvm.conf says whether a devices file is used"
                                          : "there is a devices file");
                return 0;
        }
        if (h.is_ours) { /* made anew, from what LVM sees without it */
                int r = host_lvm_release(host, err);

                if (r < 0)
                        return r;
        }
        add_text(answer, "state", "on");
        return set_up(host, storaged_config_get(args, "vgname"), answer, err);
}

/* --- doctor */

static void row(json_object *rows, const char *severity, const char *code, const char *object, const char *action,
                const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void row(json_object *rows, const char *severity, const char *code, const char *object, const char *action,
                const char *fmt, ...)
{
        json_object *o = json_object_new_object();
        char summary[400];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(summary, sizeof(summary), fmt, ap);
        va_end(ap);
        add_text(o, "code", code);
        add_text(o, "severity", severity);
        if (object)
                add_text(o, "object", object);
        add_text(o, "summary", summary);
        if (action)
                add_text(o, "action", action);
        (void) json_object_array_add(rows, o);
}

static bool has_rules(const struct storaged_host *host)
{
        static const char *const dirs[] = { "/etc/udev/", "/run/udev/", "/usr/lib/udev/", "/lib/udev/" };
        char path[PATH_MAX];

        for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
                (void) snprintf(path, sizeof(path), "%s%s" RULES, host->root, dirs[i]);
                if (access(path, F_OK) == 0)
                        return true;
        }
        return false;
}

/* What it sees, whatever its configuration says. */
static size_t check_seen(const HostPvs *all, json_object *rows)
{
        size_t n = 0;

        for (size_t i = 0; i < all->n; i++) {
                const HostPv *pv = &all->pvs[i];

                if (!is_guests(pv->device))
                        continue;
                n++;
                row(rows, "error", "LVM_SEES_GUEST", pv->vg[0] ? pv->vg : pv->device,
                    "set scan_lvs = 0 in /etc/lvm/lvm.conf, or a filter that keeps guests' disks out",
                    "this node's LVM sees volume group \"%s\" on %s, which is a guest's disk: it may switch it on at "
                    "boot, "
                    "write to it, or take it for a group of its own",
                    pv->vg, pv->device);
        }
        return n;
}

static void add_stopped(void *userdata, const char *lockspace, const char *why)
{
        row(userdata, "error", "DLM_STOPPED", lockspace, DLM_ACTION,
            "DLM's lockspace %s %s: until then every LVM command on its volume group waits", lockspace, why);
}

static int act_doctor(const struct storaged_host *host, json_object *rows, struct storaged_error *err)
{
        __attribute__((cleanup(host_pvs_deinit))) HostPvs all = { 0 };
        size_t n_bad = 0;
        HostLvm h;
        int r = 0;

        if (!host->root[0] && dlm_each_stopped(add_stopped, rows))
                return 0; /* LVM would wait, too */
        host_lvm_read(host, &h);
        if (h.error[0])
                row(rows, "warning", "LVM_CONFIG", NULL, "correct the file", "%s", h.error);
        if (h.scans_lvs) {
                row(rows, "warning", "LVM_SCANS_VOLUMES", NULL, "set scan_lvs = 0 in /etc/lvm/lvm.conf",
                    "this node's LVM looks into logical volumes, also those that are guests' disks");
                n_bad++;
        }
        if (!host->root[0]) /* below --root the machine is not ours to look at */
                r = host_pvs_read(&all, err);
        if (r < 0)
                return r;
        n_bad += check_seen(&all, rows);
        if (all.n > 0 && !has_rules(host))
                row(rows, "warning", "LVM_UDEV_RULES", NULL, "make install puts them into /lib/udev/rules.d",
                    "udev does not know which volumes are guests' disks (57-storaged-dm.rules is missing): it looks "
                    "inside "
                    "them");
        if (n_bad > 0)
                return 0;
        if (h.has_filter || h.has_devices_file)
                row(rows, "ok", "LVM_GUARD", NULL, NULL, "this node's LVM is kept to %s%s",
                    h.has_devices_file ? "the devices that are listed for it" : "what its filter lets through",
                    h.is_ours            ? ", by storaged"
                    : h.has_devices_file ? ", by hand"
                                         : "");
        else
                row(rows, "info", "LVM_GUARD", NULL, "pvesm vg guard limits it to the disks of its own volume groups",
                    "this node's LVM does not look into guests' volumes, but at every disk: a volume group of a guest "
                    "on "
                    "a LUN that it has as a whole would be seen, and switched on at boot");
        return 0;
}

bool guard_act(const struct storaged_host *host, const char *action, const struct storaged_config *args,
               storaged_json_fn fn, void *userdata, int *ret, struct storaged_error *err)
{
        bool is_doctor = strcmp(action, "doctor") == 0;
        json_object *answer;

        if (!is_doctor && strcmp(action, "guard") != 0)
                return false;
        answer = is_doctor ? json_object_new_array() : json_object_new_object();
        *ret = is_doctor ? act_doctor(host, answer, err) : act_guard(host, args, answer, err);
        if (*ret == 0) {
                const char *json = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);

                *ret = fn(userdata, json, strlen(json));
        }
        json_object_put(answer);
        return true;
}
