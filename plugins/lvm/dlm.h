/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The kernel's Distributed Lock Manager, as its daemon dlm_controld sees it. */
#include <stdbool.h>
#include <stddef.h>

#define DLM_WHY_MAX 160
#define DLM_ACTION "see 'dlm_tool ls' on all nodes; fence or boot the node that the others wait for"

/*
 * Calls fn for each lockspace in which no lock can be taken or given back now, with a clause that says what for (it
 * "waits for a quorum of Corosync"). True: there was at least one. No dlm_controld, none that answers: false.
 */
typedef void (*dlm_fn)(void *userdata, const char *lockspace, const char *why);
bool dlm_each_stopped(dlm_fn fn, void *userdata);
