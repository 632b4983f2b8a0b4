/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * With DLM the cluster's membership says who is there. With sanlock all is on the LUN: each node writes to a sector of
 * its own, by its number, and what a node has ended the others learn when they renew their leases next. One of the
 * volume groups also keeps sanlock's global lock, which LVM needs to make and remove groups and physical volumes:
 * whoever removes that group has to give it to another one, or no group can be made any more.
 */
#include "lvm/locks.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "common-lvm/lockd.h"
#include "lvm/lvmlocal.h"

#define CUT_OFF_PROGRAM "storaged-cut-off" /* beside the worker */
#define SANLOCK_SOCKET "/run/sanlock/sanlock.sock"
#define DLM_DEVICE "/dev/misc/dlm-control"
/* What sanlock needs to see that others have left: a renewal, each 20 s with its default timeout. */
#define LEAVE_TRIES 240
#define LEAVE_PAUSE_MSEC 500

static int need_daemon(const struct storaged_host *host, bool is_there, const char *locking, const char *what,
                       struct storaged_error *err)
{
        if (is_there)
                return 0;
        return error_set(
                err, -EHOSTDOWN,
                "node %s: %s does not run, which %s locks need; start it there (systemctl enable --now %s), or "
                "use --locking none",
                host->node, what, locking, what);
}

int locks_check(const struct storaged_host *host, const char *locking, json_object **ret, struct storaged_error *err)
{
        bool has_sanlock = strcmp(locking, "sanlock") == 0;
        LvmLocal local = { 0 };
        int r;

        if (strcmp(locking, "none") == 0)
                return 0;
        r = need_daemon(host, lockd_is_running(), locking, "lvmlockd", err);
        if (r == 0 && strcmp(locking, "dlm") == 0)
                r = need_daemon(host, access(DLM_DEVICE, F_OK) == 0 || access("/sys/kernel/dlm", F_OK) == 0, locking,
                                "dlm", err);
        if (r == 0 && has_sanlock)
                r = need_daemon(host, access(SANLOCK_SOCKET, F_OK) == 0, locking, "sanlock", err);
        if (r == 0 && has_sanlock)
                r = lvmlocal_read(LVMLOCAL_FILE, &local, err);
        if (r < 0 || !has_sanlock)
                return r;
        *ret = json_object_new_object();
        (void) json_object_object_add(*ret, "host_id", json_object_new_int((int) local.host_id));
        return 0;
}

static int find_program(char *ret, size_t size)
{
        char own[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
        char *end;

        if (n <= 0)
                return -ENOENT;
        own[n] = '\0';
        end = strrchr(own, '/');
        if (!end)
                return -ENOENT;
        if (snprintf(ret, size, "%.*s" CUT_OFF_PROGRAM, (int) (end + 1 - own), own) >= (int) size)
                return -ENAMETOOLONG;
        return access(ret, X_OK) == 0 ? 0 : -ENOENT;
}

int locks_configure(const struct storaged_host *host, unsigned host_id, struct storaged_error *err)
{
        char program[PATH_MAX] = "";
        LvmLocal global = { 0 };
        int r;

        if (find_program(program, sizeof(program)) < 0) {
                host->log(host->handle, STORAGED_LOG_WARNING,
                          "there is no " CUT_OFF_PROGRAM " beside the worker: nothing cuts volumes off when leases are "
                          "lost");
                program[0] = '\0';
        }
        r = lvmlocal_read(LVM_FILE, &global, err);
        return r < 0 ? r : lvmlocal_write(LVMLOCAL_FILE, host_id, *program && !global.has_kill ? program : NULL, err);
}

int locks_start(const struct storaged_host *host, LvmCmd *c, const char *vg, struct storaged_error *err)
{
        int r = need_daemon(host, lockd_is_running(), "shared", "lvmlockd", err);

        if (r == 0 && c->host_id)
                r = locks_configure(host, c->host_id, err);
        return r < 0 ? r : lvm_cmd_start_locks(c, vg, err);
}

/* Some other group of sanlock whose locks run here gets the global lock; without one nobody needs it. */
static int keep_global(const struct storaged_host *host, LvmCmd *c, const char *vg, bool *ret_has,
                       struct storaged_error *err)
{
        json_object *report = NULL, *rows;
        int r;

        *ret_has = lockd_has_global();
        if (*ret_has)
                return 0;
        (void) lvm_cmd_limit(c, NULL, 0); /* it is on other devices */
        r = lvm_cmd_report(c, "look for another volume group with sanlock", &report, err,
                           "vgs --reportformat json -o vg_name,vg_lock_type");
        if (r < 0)
                return r;
        rows = json_object_object_get(json_object_array_get_idx(json_object_object_get(report, "report"), 0), "vg");
        for (size_t i = 0; rows && i < json_object_array_length(rows) && !*ret_has; i++) {
                json_object *row = json_object_array_get_idx(rows, i);
                const char *name = json_object_get_string(json_object_object_get(row, "vg_name"));
                const char *type = json_object_get_string(json_object_object_get(row, "vg_lock_type"));

                if (!name || !type || strcmp(type, "sanlock") != 0 || strcmp(name, vg) == 0)
                        continue;
                r = lockd_enable_global(name, err);
                *ret_has = r == 0;
                if (r == 0)
                        host->log(host->handle, STORAGED_LOG_INFO,
                                  "sanlock's global lock went from volume group \"%s\" to \"%s\"", vg, name);
        }
        json_object_put(report);
        return *ret_has ? 0 : r;
}

int locks_remove_vg(const struct storaged_host *host, LvmCmd *c, const char *vg, const char *lock_type,
                    struct storaged_error *err)
{
        bool has_global = true;
        int r = -EBUSY;

        for (int i = 0; r == -EBUSY && i < LEAVE_TRIES; i++) {
                if (i > 0)
                        (void) poll(NULL, 0, LEAVE_PAUSE_MSEC);
                r = lvm_cmd(c, "remove the volume group", err, "vgremove -qq %s", vg);
                if (r < 0 && !strstr(err->text, "not stopped on other hosts"))
                        break;
        }
        if (r < 0 || strcmp(lock_type, "sanlock") != 0)
                return r;
        r = keep_global(host, c, vg, &has_global, err);
        c->is_unlocked = !has_global; /* what follows wants the global lock, and nobody is left to have one */
        return r;
}
