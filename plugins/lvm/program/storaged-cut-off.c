/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storaged-cut-off VG: what sanlock has run, by `lvmlockctl --kill` and LVM's lvmlockctl_kill_command, when this node
 * has lost its leases on a volume group. If it ends with 0, lvmlockctl gives up the locks, and wdmd has no reason to
 * reset the host. It needs neither storaged nor LVM nor the storage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "lvm/cutoff.h"

static void tell(void *userdata, const char *lv, const struct storaged_error *err)
{
        const char *vg = userdata;

        if (err->code < 0)
                syslog(LOG_CRIT, "volume group %s: volume %s can't be cut off: %s", vg, lv, err->text);
        else
                syslog(LOG_CRIT, "volume group %s: the locks are lost; volume %s was cut off, its I/O fails now", vg,
                       lv);
}

int main(int argc, char **argv)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (argc != 2 || argv[1][0] == '-') {
                (void) fprintf(stderr, "usage: storaged-cut-off VG\nLets all I/O of this node to the volumes of a "
                                       "volume group fail: its locks are lost.\n");
                return argc == 2 ? EXIT_SUCCESS : 2;
        }
        openlog("storaged-cut-off", LOG_PID, LOG_DAEMON);
        if (cut_off(argv[1], tell, argv[1], &err) < 0) {
                (void) fprintf(stderr, "storaged-cut-off: volume group %s: %s\n", argv[1], err.text);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
