/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NVMe. With native multipath (nvme_core.multipath=Y, the default) nvme0n1 belongs to the subsystem and is what is
 * used; nvme0c1n1 is its path over controller nvme1, hidden, without a device node. Without it each controller has a
 * disk of its own, and multipathd makes a map of them as of SCSI disks. Which it is tells the link `device`.
 * Reference: drivers/nvme/host/multipath.c, Documentation/admin-guide/nvme-multipath.rst.
 */
#include "multipath/nvme.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "multipath/sysfs.h"

bool nvme_may_be_path(const char *name)
{
        const char *p = name;

        if (strncmp(p, "nvme", 4) != 0 || strlen(name) >= 24 || !isdigit((unsigned char) p[4]))
                return false;
        for (p += 4; isdigit((unsigned char) *p); p++)
                ;
        if (*p == 'c')
                for (p++; isdigit((unsigned char) *p); p++)
                        ;
        if (*p++ != 'n' || !isdigit((unsigned char) *p))
                return false;
        while (isdigit((unsigned char) *p))
                p++;
        return *p == '\0';
}

/* "traddr=10.0.0.1,trsvcid=4420,src_addr=…" -> "10.0.0.1:4420"; other forms as they are. */
static void read_portal(int dir, DiskPath *p)
{
        char text[160], service[24] = "";
        const char *address, *port;
        size_t n;

        if (sysfs_text(dir, "device/address", text, sizeof(text)) <= 0)
                return;
        address = strstr(text, "traddr=");
        port = strstr(text, "trsvcid=");
        if (!address) {
                (void) snprintf(p->portal, sizeof(p->portal), "%.79s", text);
                return;
        }
        address += strlen("traddr=");
        n = strcspn(address, ",");
        if (port)
                (void) snprintf(service, sizeof(service), ":%.*s", (int) strcspn(port + 8, ","), port + 8);
        (void) snprintf(p->portal, sizeof(p->portal), "%.*s%.20s", n < 58 ? (int) n : 58, address, service);
}

void nvme_read_fixed(int dir, DiskPath *p)
{
        char device[64];

        (void) snprintf(p->transport, sizeof(p->transport), "nvme");
        p->port_group = p->port = -1;
        (void) sysfs_text(dir, "wwid", p->wwid, sizeof(p->wwid));
        (void) sysfs_text(dir, "device/model", p->model, sizeof(p->model));
        (void) sysfs_text(dir, "device/serial", p->serial, sizeof(p->serial));
        (void) sysfs_text(dir, "device/subsysnqn", p->target, sizeof(p->target));
        (void) sysfs_text(dir, "device/hostnqn", p->initiator, sizeof(p->initiator));
        p->is_head =
                sysfs_link_name(dir, "device", device, sizeof(device)) == 0 && strncmp(device, "nvme-subsys", 11) == 0;
        if (!p->is_head)
                read_portal(dir, p);
}

void nvme_read_changing(int dir, DiskPath *p)
{
        char state[24];

        if (!p->is_head && sysfs_text(dir, "device/state", state, sizeof(state)) > 0 && strcmp(state, "live") != 0)
                (void) snprintf(p->state, sizeof(p->state), "%s", state); /* connecting, deleting, dead */
        else
                (void) snprintf(p->state, sizeof(p->state), "running");
        (void) sysfs_text(dir, "ana_state", p->access_state, sizeof(p->access_state));
}

bool nvme_is_usable(const DiskPath *p)
{
        return strcmp(p->access_state, "inaccessible") != 0 && strcmp(p->access_state, "persistent-loss") != 0 &&
               strcmp(p->access_state, "change") != 0;
}
