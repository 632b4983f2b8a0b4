/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Activation of volumes and their hand-over between nodes: leases and tickets around the plugin's calls. */
#include "core/ticket.h"
#include "core/volume-job.h"

typedef struct Activation Activation;

/* From here on the job (VOLUME_ACTIVATE, _DEACTIVATE, _HOLDERS, _HANDOVER) is the activation's; it ends it. */
void activation_begin(VolumeJob *j);
Activation *activation_free(Activation *a);

/* `then` follows; or the job ends with -EBUSY: another node holds the volume, or it is being handed over. */
void activation_check_writer(VolumeJob *j, void (*then)(VolumeJob *j));
/* The volume is gone under this name: its lease, if this node holds it, goes too. `then` follows in any case. */
void activation_forget(VolumeJob *j, void (*then)(VolumeJob *j));

/* The records of a shared volume as they were a moment ago, read without its storage's lock. */
typedef struct VolumeRecords {
        char volid[VOLID_MAX];
        Lease lease;
        Ticket ticket;
} VolumeRecords;

/* May be called by a thread. */
int volume_records_load(const Paths *p, const char *volid, VolumeRecords *ret, struct storaged_error *err);
/* What this node has to do for a volume with a ticket. */
enum ticket_step activation_look(Core *c, const VolumeRecords *records);
