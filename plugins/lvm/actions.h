/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Steps of work on volume groups; core puts them together (storaged/core/vg.c). */
#include "lvm/lvm.h"

extern const struct storaged_action lvm_actions[];
int lvm_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
            storaged_json_fn fn, void *userdata, STORAGED_ERR);
