/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The kernel's news about devices, on the event loop. Nothing is opened or asked. */
#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

#include "wire/uevent.h"

typedef struct Uevents Uevents;

/* NULL: some were lost, so anything may have happened. */
typedef void (*uevent_fn)(void *userdata, const Uevent *event);

int uevents_new(Uevents **ret, sd_event *event, uevent_fn fn, void *userdata, struct storaged_error *err);
Uevents *uevents_free(Uevents *u);
DEFINE_CLEANUP(Uevents *, uevents_free)
