/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Change notifications: a SOCK_SEQPACKET socket at <run>/notify.sock. A subscriber gets one packet of JSON per change,
 * {"path": "storage.cfg", "version": 17}; an empty path says that anything may have changed. Who reads too slowly is
 * disconnected: it comes again and looks at everything. A subscriber may send {"log": {"message", "priority", "tag",
 * "user"}}: an entry of the cluster log.
 */
#include <stdint.h>
#include <systemd/sd-event.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "clusterfs/clusterlog.h"

typedef struct Notify Notify;

int notify_new(sd_event *event, const char *path, void (*log)(void *userdata, const LogEntry *e), void *userdata,
               Notify **ret, struct storaged_error *err);
Notify *notify_free(Notify *n);
DEFINE_CLEANUP(Notify *, notify_free)
void notify_changed(Notify *n, const char *path, uint64_t version);
