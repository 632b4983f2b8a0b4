/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The disks of a node that may be paths to LUNs: who they are (read once), and their state (read each time). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "multipath/vpd.h"

typedef struct DiskPath {
        char dev[32];       /* sda, nvme0n1, nvme0c1n1 */
        uint64_t inode;     /* of /sys/block/sda: another one, another disk of that name */
        bool is_seen;       /* in the current round */
        char transport[12]; /* fc, iscsi, sas, sata, usb, virtio, nvme, scsi */
        char hctl[32];      /* 2:0:0:1; "" for NVMe */
        char rport[32];     /* fc: rport-2:0-1 */
        char vendor[16], model[48], serial[72];
        char wwid[WWID_MAX];
        char initiator[224], target[224], portal[80]; /* WWPN or IQN; iSCSI: address:port */
        int port_group, port;
        bool is_head; /* NVMe: what is used; its paths are others */
        bool has_access_state;
        /* each time */
        uint64_t bytes;
        uint64_t live_bytes; /* what it said itself when it was asked, where the kernel does not know yet; else 0 */
        bool is_gone;        /* when it was asked: the array has no such LUN */
        char state[24], access_state[24], port_state[24];
} DiskPath;

typedef struct DiskPathList {
        DiskPath *items;
        size_t n, size;
} DiskPathList;

void path_list_deinit(DiskPathList *l);
/* Brings the list up to date; what is known of a disk that stayed is kept. `sys`: descriptor of /sys. */
int path_list_refresh(DiskPathList *l, int sys);
/* Asks each disk of the SAN itself: identity and size are then what it says, not what the kernel has kept. */
void path_list_ask(DiskPathList *l);
const DiskPath *path_list_find(const DiskPathList *l, const char *dev);
/* Its identity is read anew next time: something was said to have changed. NULL: all. */
void path_list_distrust(DiskPathList *l, const char *dev);
