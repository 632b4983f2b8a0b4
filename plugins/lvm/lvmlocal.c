/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lvmlocal.conf belongs to the administrator. What is missing is appended, as whole lines in the form section/key=value
 * that LVM takes anywhere; nothing is ever changed or taken away. It is read with LVM's own parser.
 */
#include "lvm/lvmlocal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libdevmapper.h>

#include <storaged/cleanup.h>

#include "common-lvm/dm.h"
#include "common/text.h"

#define SIZE_MAX_BYTES (1u << 20)
#define HOST_ID "local/host_id"
#define KILL "global/lvmlockctl_kill_command"

DEFINE_CLEANUP(struct dm_config_tree *, dm_config_destroy)

static int parse(const char *path, const char *text, LvmLocal *ret, struct storaged_error *err)
{
        AUTO(dm_config_destroyp) struct dm_config_tree *t = NULL;
        int64_t id;

        dm_be_silent();
        t = dm_config_from_string(text);
        if (!t)
                return error_set(err, -EPROTO, "%s is not in LVM's syntax; lvmconfig --validate says where", path);
        id = dm_config_find_int64(t->root, HOST_ID, 0);
        if (id < 0 || id > 2000)
                return error_set(err, -EPROTO, "%s: host_id %lld is no number of 1 to 2000", path, (long long) id);
        ret->host_id = (unsigned) id;
        ret->has_kill = *dm_config_find_str_allow_empty(t->root, KILL, "") != '\0';
        return 0;
}

int lvmlocal_read(const char *path, LvmLocal *ret, struct storaged_error *err)
{
        AUTO(freep) char *text = NULL;
        LvmLocal l = { 0 };
        int r = text_read(path, SIZE_MAX_BYTES, &text);

        if (r < 0)
                return error_set(err, r, "%s can't be read: %s", path, strerror(-r));
        if (text)
                r = parse(path, text, &l, err);
        if (r == 0)
                *ret = l;
        return r;
}

int lvmlocal_write(const char *path, unsigned host_id, const char *kill_command, struct storaged_error *err)
{
        AUTO(freep) char *old = NULL, *next = NULL, *kill = NULL;
        LvmLocal now = { 0 };
        char id[96] = "";
        int r = lvmlocal_read(path, &now, err);

        if (r < 0)
                return r;
        if (host_id && now.host_id && now.host_id != host_id)
                return error_set(err, -EEXIST,
                                 "%s has host_id %u where the cluster has %u for this node; take it out while no "
                                 "volume group with sanlock runs here (vgchange --lock-stop)",
                                 path, now.host_id, host_id);
        if (host_id && !now.host_id)
                (void) snprintf(id, sizeof(id), "# storaged: this node's number at sanlock.\n" HOST_ID " = %u\n",
                                host_id);
        if (kill_command && !now.has_kill)
                r = text_printf(
                        &kill,
                        "# storaged: when leases are lost, volumes are cut off before the watchdog strikes.\n" KILL
                        " = \"%s\"\n",
                        kill_command);
        if (r < 0)
                return error_set(err, r, "out of memory");
        if (!*id && !kill)
                return 0;
        r = text_read(path, SIZE_MAX_BYTES, &old);
        if (r < 0)
                return error_set(err, r, "%s can't be read: %s", path, strerror(-r));
        r = text_printf(&next, "%s%s%s%s", old ? old : "", old && *old && old[strlen(old) - 1] != '\n' ? "\n" : "", id,
                        kill ? kill : "");
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = text_write(path, next);
        return r < 0 ? error_set(err, r, "%s can't be written: %s", path, strerror(-r)) : 0;
}
