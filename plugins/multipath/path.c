/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks that may be paths: /sys/block, without those that lie on others (dm, md, loop, ram …). What a disk is
 * does not change while it is there: it is read when it appears, told by the inode of its entry, which the kernel never
 * gives twice. Its size and state are read each time: two files a disk, which is what keeps a refresh of 256 paths
 * short.
 */
#include "multipath/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "multipath/nvme.h"
#include "multipath/scsi.h"
#include "multipath/sysfs.h"

#define SECTOR 512u

void path_list_deinit(DiskPathList *l)
{
        free(l->items);
        *l = (DiskPathList){ 0 };
}

const DiskPath *path_list_find(const DiskPathList *l, const char *dev)
{
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->items[i].dev, dev) == 0)
                        return &l->items[i];
        return NULL;
}

/* The last component of `path` that begins with `prefix`, "rport-2:0-1"; NPIV has more than one host in it. */
static bool find_part(const char *path, const char *prefix, char *ret, size_t size)
{
        const char *found = NULL;
        size_t n = strlen(prefix);

        for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/'))
                if (strncmp(at + 1, prefix, n) == 0 && at[1 + n] >= '0' && at[1 + n] <= '9')
                        found = at + 1;
        if (!found)
                return false;
        n = strcspn(found, "/");
        if (n >= size)
                return false;
        memcpy(ret, found, n);
        ret[n] = '\0';
        return true;
}

static void read_class(int sys, const char *class, const char *object, const char *attribute, char *ret, size_t size)
{
        char name[256];

        (void) snprintf(name, sizeof(name), "class/%.40s/%.120s/%.60s", class, object, attribute);
        (void) sysfs_text(sys, name, ret, size);
}

/* "0x5005076801…" without the prefix: as administrators and arrays write a WWPN. */
static void drop_0x(char *s)
{
        if (strncmp(s, "0x", 2) == 0)
                memmove(s, s + 2, strlen(s + 2) + 1);
}

static void read_fc(int sys, DiskPath *p, const char *host)
{
        (void) snprintf(p->transport, sizeof(p->transport), "fc");
        read_class(sys, "fc_host", host, "port_name", p->initiator, sizeof(p->initiator));
        read_class(sys, "fc_remote_ports", p->rport, "port_name", p->target, sizeof(p->target));
        drop_0x(p->initiator);
        drop_0x(p->target);
}

static void read_iscsi(int sys, DiskPath *p, const char *session)
{
        char connection[48], address[56], port[16];

        (void) snprintf(p->transport, sizeof(p->transport), "iscsi");
        read_class(sys, "iscsi_session", session, "targetname", p->target, sizeof(p->target));
        read_class(sys, "iscsi_session", session, "initiatorname", p->initiator, sizeof(p->initiator));
        (void) snprintf(connection, sizeof(connection), "connection%.20s:0", session + strlen("session"));
        read_class(sys, "iscsi_connection", connection, "persistent_address", address, sizeof(address));
        read_class(sys, "iscsi_connection", connection, "persistent_port", port, sizeof(port));
        if (address[0])
                (void) snprintf(p->portal, sizeof(p->portal), "%s:%s", address, port);
}

/* Of the phys that make up the adapter's port, the first that says its address: all of one port have the same. */
static int on_sas_phy(void *userdata, int dir, const char *name, uint64_t inode)
{
        DiskPath *p = userdata;
        char path[128];

        (void) inode;
        if (strncmp(name, "phy-", 4) != 0 || p->initiator[0])
                return 0;
        (void) snprintf(path, sizeof(path), "%.40s/sas_phy/%.40s/sas_address", name, name);
        (void) sysfs_text(dir, path, p->initiator, sizeof(p->initiator));
        return 0;
}

/* "…/host0/port-0:0/end_device-0:0/…", behind expanders "…/host0/port-0:1/expander-0:0/port-0:0:3/end_device-0:0:3/…".
 */
static void read_sas(int sys, DiskPath *p, const char *place, const char *end_device)
{
        const char *port = strstr(place, "/port-");
        char path[96];

        (void) snprintf(p->transport, sizeof(p->transport), "sas");
        read_class(sys, "sas_device", end_device, "sas_address", p->target, sizeof(p->target));
        if (port) {
                (void) snprintf(path, sizeof(path), "class/sas_port/%.*s/device", (int) strcspn(port + 1, "/"),
                                port + 1);
                (void) sysfs_each(sys, path, on_sas_phy, p);
        }
        drop_0x(p->target);
        drop_0x(p->initiator);
}

static void read_transport(int sys, DiskPath *p, const char *place)
{
        char host[32] = "", part[64];

        (void) find_part(place, "host", host, sizeof(host));
        if (find_part(place, "rport-", p->rport, sizeof(p->rport))) {
                read_fc(sys, p, host);
        } else if (find_part(place, "session", part, sizeof(part))) {
                read_iscsi(sys, p, part);
        } else if (find_part(place, "end_device-", part, sizeof(part))) {
                read_sas(sys, p, place, part);
        } else if (find_part(place, "ata", part, sizeof(part))) {
                (void) snprintf(p->transport, sizeof(p->transport), "sata");
        } else if (find_part(place, "usb", part, sizeof(part))) {
                (void) snprintf(p->transport, sizeof(p->transport), "usb");
        } else {
                (void) snprintf(p->transport, sizeof(p->transport), "%s",
                                find_part(place, "virtio", part, sizeof(part)) ? "virtio" : "scsi");
        }
}

static void read_scsi_identity(int dir, DiskPath *p)
{
        VpdIdentity id = { .port_group = -1, .port = -1 };
        uint8_t page[4096];
        char text[WWID_MAX];
        int n = sysfs_bytes(dir, "device/vpd_pg83", page, sizeof(page));

        p->port_group = p->port = -1;
        if (n > 0 && vpd_parse_identity(page, (size_t) n, &id) == 0) {
                memcpy(p->wwid, id.wwid, sizeof(p->wwid));
                p->port_group = id.port_group;
                p->port = id.port;
        }
        if (!p->wwid[0] && sysfs_text(dir, "device/wwid", text, sizeof(text)) > 0)
                (void) vpd_wwid_from_sysfs(text, p->wwid, sizeof(p->wwid));
        n = sysfs_bytes(dir, "device/vpd_pg80", page, sizeof(page));
        if (n > 0)
                (void) vpd_parse_serial(page, (size_t) n, p->serial, sizeof(p->serial));
}

static void read_scsi(int sys, int dir, const char *place, DiskPath *p)
{
        (void) sysfs_link_name(dir, "device", p->hctl, sizeof(p->hctl));
        (void) sysfs_text(dir, "device/vendor", p->vendor, sizeof(p->vendor));
        (void) sysfs_text(dir, "device/model", p->model, sizeof(p->model));
        read_scsi_identity(dir, p);
        read_transport(sys, p, place);
        p->has_access_state = faccessat(dir, "device/access_state", R_OK, 0) == 0;
}

/* Once, when a disk is seen for the first time. */
static void read_fixed(int sys, int dir, DiskPath *p)
{
        AUTO(freep) char *place = NULL;
        char self[64], at[PATH_MAX];
        ssize_t n;

        (void) snprintf(self, sizeof(self), "block/%.31s", p->dev);
        n = readlinkat(sys, self, at, sizeof(at) - 1);
        at[n > 0 ? n : 0] = '\0';
        place = strdup(at);
        if (strncmp(p->dev, "nvme", 4) == 0)
                nvme_read_fixed(dir, p);
        else
                read_scsi(sys, dir, place ? place : "", p);
}

static void read_changing(int sys, int dir, DiskPath *p)
{
        p->bytes = sysfs_number(dir, "size", 0) * SECTOR;
        if (p->bytes == p->live_bytes)
                p->live_bytes = 0;
        if (strcmp(p->transport, "nvme") == 0) {
                nvme_read_changing(dir, p);
                return;
        }
        (void) sysfs_text(dir, "device/state", p->state, sizeof(p->state));
        if (p->has_access_state)
                (void) sysfs_text(dir, "device/access_state", p->access_state, sizeof(p->access_state));
        if (p->rport[0])
                read_class(sys, "fc_remote_ports", p->rport, "port_state", p->port_state, sizeof(p->port_state));
}

typedef struct Round {
        DiskPathList *list;
        int sys;
} Round;

static DiskPath *path_at(DiskPathList *l, const char *dev, uint64_t inode, bool *ret_is_new)
{
        DiskPath *p = (DiskPath *) path_list_find(l, dev);

        *ret_is_new = !p || p->inode != inode;
        if (!p) {
                if (l->n == l->size) {
                        size_t size = l->size ? l->size * 2 : 32;

                        p = reallocarray(l->items, size, sizeof(*p));
                        if (!p)
                                return NULL;
                        l->items = p;
                        l->size = size;
                }
                p = &l->items[l->n++];
        }
        if (*ret_is_new) {
                *p = (DiskPath){ .inode = inode };
                (void) snprintf(p->dev, sizeof(p->dev), "%.31s", dev);
        }
        return p;
}

static bool may_be_path(const char *name)
{
        return (name[0] == 's' && name[1] == 'd' && strlen(name) < 16) || nvme_may_be_path(name);
}

static int on_block(void *userdata, int dir, const char *name, uint64_t inode)
{
        AUTO(closep) int disk = -EBADF;
        Round *round = userdata;
        bool is_new;
        DiskPath *p;

        if (!may_be_path(name))
                return 0;
        disk = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (disk < 0)
                return 0;
        p = path_at(round->list, name, inode, &is_new);
        if (!p)
                return -ENOMEM;
        if (is_new || !p->wwid[0])
                read_fixed(round->sys, disk, p);
        read_changing(round->sys, disk, p);
        p->is_seen = true;
        return 0;
}

int path_list_refresh(DiskPathList *l, int sys)
{
        Round round = { l, sys };
        size_t kept = 0;
        int r;

        for (size_t i = 0; i < l->n; i++)
                l->items[i].is_seen = false;
        r = sysfs_each(sys, "block", on_block, &round);
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].is_seen)
                        l->items[kept++] = l->items[i];
        l->n = kept;
        return r;
}

static bool may_be_asked(const DiskPath *p)
{
        return strcmp(p->state, "running") == 0 &&
               (strcmp(p->transport, "fc") == 0 || strcmp(p->transport, "iscsi") == 0 ||
                strcmp(p->transport, "sas") == 0);
}

void path_list_ask(DiskPathList *l)
{
        AUTO(freep) LiveDisk *disks = calloc(l->n ? l->n : 1, sizeof(*disks));
        AUTO(freep) size_t *index = calloc(l->n ? l->n : 1, sizeof(*index));
        size_t n = 0;

        for (size_t i = 0; disks && index && i < l->n; i++)
                if (may_be_asked(&l->items[i])) {
                        (void) snprintf(disks[n].dev, sizeof(disks[n].dev), "%s", l->items[i].dev);
                        index[n++] = i;
                }
        scsi_ask(disks, n);
        for (size_t i = 0; i < n; i++) {
                DiskPath *p = &l->items[index[i]];

                p->is_gone = disks[i].result == -ENODEV;
                if (disks[i].result < 0)
                        continue; /* multipathd's checker says it, too */
                if (disks[i].wwid[0])
                        memcpy(p->wwid, disks[i].wwid, sizeof(p->wwid));
                p->live_bytes = disks[i].bytes != p->bytes ? disks[i].bytes : 0;
        }
}

void path_list_distrust(DiskPathList *l, const char *dev)
{
        for (size_t i = 0; i < l->n; i++)
                if (!dev || strcmp(l->items[i].dev, dev) == 0)
                        l->items[i].inode = 0;
}
