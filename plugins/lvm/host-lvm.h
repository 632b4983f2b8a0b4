/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* How this node's own LVM is configured: which devices it looks at. */
#include <stdbool.h>
#include <stddef.h>

#include <storaged/plugin.h>

typedef struct HostLvm {
        bool scans_lvs;        /* also logical volumes: what guests have on their disks */
        bool has_filter;       /* a filter or global_filter that rejects anything */
        bool has_devices_file; /* only devices that are listed */
        bool says_devices;     /* use_devicesfile is set, to whatever, by hand */
        bool is_ours;          /* the devices file is made by storaged */
        bool has_list;         /* there is a devices file, used or not */
        size_t n_devices;      /* listed */
        char error[160];       /* a file of it can't be read; "" */
} HostLvm;

void host_lvm_read(const struct storaged_host *host, HostLvm *ret);
/* The devices file counts from now on; it has to be there. */
int host_lvm_limit(const struct storaged_host *host, STORAGED_ERR);
/* An empty devices file of ours. */
int host_lvm_begin_list(const struct storaged_host *host, STORAGED_ERR);
/* All as it was before: our words out of lvmlocal.conf, our devices file away. */
int host_lvm_release(const struct storaged_host *host, STORAGED_ERR);
/*
 * The host's LVM looks at all devices again with its next command, instead of at those alone that it has written down
 * (lvm.conf(5), devices/hints): a group was changed, and our own commands keep no hints.
 */
void host_lvm_forget_hints(const struct storaged_host *host);
