/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The host's own LVM and what is on guests' disks: the actions `doctor` and `guard`. */
#include "lvm/lvm.h"

/* True: it was one of these, and *ret is how it ended. */
bool guard_act(const struct storaged_host *host, const char *action, const struct storaged_config *args,
               storaged_json_fn fn, void *userdata, int *ret, STORAGED_ERR);
/* Whether storaged made the devices file that LVM here goes by. */
bool guard_is_ours(const struct storaged_host *host);
/* A group's devices become known to, or forgotten by, a devices file that storaged made; another is left alone. */
void guard_follow(const struct storaged_host *host, const char *device, bool is_added);
extern const struct storaged_property guard_params[];
