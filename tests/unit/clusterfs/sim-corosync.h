/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Corosync, simulated: the functions of clusterfs/corosync.h for many daemons in one process, and what a test does to
 * their network. One thread, one seed, no clock: the same seed gives the same run.
 */
#include <stdbool.h>
#include <stdint.h>

#define SIM_HOSTS_MAX 32u

void sim_init(unsigned n_hosts, uint64_t seed);
void sim_deinit(void);
/* 0 … n - 1 */
uint64_t sim_random(uint64_t n);

/* The next corosync_new() is that of the daemon on this host (0 … n - 1; its node id is one more). */
void sim_use(unsigned host);
/* One thing that Corosync could do next, chosen by chance; false: there is nothing left to do. */
bool sim_step(void);
/* Hosts of the same number reach each other, and nobody else. */
void sim_partition(const unsigned *groups);
/* The daemon of this host is told nothing for now; its Corosync goes on. */
void sim_freeze(unsigned host, bool frozen);
bool sim_is_frozen(unsigned host);
/* Whether the hosts that this one reaches are more than half. */
bool sim_has_quorum(unsigned host);
