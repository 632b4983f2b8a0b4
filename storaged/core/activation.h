/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Activation of volumes and their hand-over between nodes: leases and tickets around the plugin's calls. */
#include "core/ticket.h"
#include "core/volume-job.h"

typedef struct Activation Activation;

/* From here on the job (VOLUME_ACTIVATE, _DEACTIVATE, _HOLDERS, _HANDOVER) is the activation's; it ends it. */
void activation_begin(VolumeJob *j);
Activation *activation_free(Activation *a);

/* 0, or -EBUSY with `err`: another node holds the volume, or it is being handed over. */
int activation_check_writer(VolumeJob *j, struct storaged_error *err);
/* The volume is gone under this name: its lease, if this node holds it, goes too. */
void activation_forget(VolumeJob *j);

/* What this node has to do for a volume with a ticket; TICKET_WAIT also if the records can't be read. */
enum ticket_step activation_look(Core *c, const char *volid);
