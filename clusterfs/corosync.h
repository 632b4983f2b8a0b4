/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The connection to Corosync: ordered messages (libcpg), the quorum that belongs to the same ring (libquorum), the list
 * of nodes (libcmap). Connects by itself, and again after Corosync went away.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include <storaged/cleanup.h>

#include "base/str.h"
#include "base/vec.h"

typedef struct Member {
        uint32_t nodeid, pid;
} Member;

typedef struct ClusterNode {
        uint32_t nodeid;
        char name[256], ip[64];
        bool is_online;
} ClusterNode;

typedef struct ClusterInfo {
        char name[256];
        uint64_t config_version;
        uint32_t nodeid; /* our own */
        VEC(ClusterNode) nodes;
} ClusterInfo;

/* What it tells its owner; all on the event loop's thread. */
typedef struct CorosyncEvents {
        /* A new configuration; until the next one messages come from these members. n = 0: connection lost. */
        void (*members)(void *userdata, const Member *members, size_t n);
        void (*message)(void *userdata, Member from, const void *data, size_t len);
        /* Quorum is known for the ring that the last configuration belongs to, or has changed. */
        void (*quorum)(void *userdata, bool is_quorate);
        /* After what could be dispatched was dispatched. */
        void (*settled)(void *userdata);
        void *userdata;
} CorosyncEvents;

typedef struct Corosync Corosync;

int corosync_new(sd_event *event, const char *group, const CorosyncEvents *events, Corosync **ret);
Corosync *corosync_free(Corosync *c);
DEFINE_CLEANUP(Corosync *, corosync_free)

/* 0; -EAGAIN: Corosync is busy, later again; -ENOTCONN. */
int corosync_send(Corosync *c, const void *header, size_t header_len, const void *data, size_t len);
/* Leaves the group and comes in anew, as a member that has to be told everything. Safe inside of callbacks. */
void corosync_restart(Corosync *c);
/* Coming in has succeeded: the next restart is quick again. */
void corosync_is_well(Corosync *c);
bool corosync_is_joined(const Corosync *c);
/*
 * The present ring is quorate, and so many of its nodes have a daemon in the group that any two such groups have a node
 * in common: a majority of all nodes or, where Corosync is content with fewer nodes (two_node, qdevice), all of the
 * ring.
 */
bool corosync_is_quorate(const Corosync *c);
/* Would so many members of the group be enough for that? */
bool corosync_is_enough(const Corosync *c, size_t n_members);
bool corosync_quorum_is_current(const Corosync *c);
void corosync_ring(const Corosync *c, uint32_t *ret_node, uint64_t *ret_seq);
const ClusterInfo *corosync_info(const Corosync *c);
/* Makes Corosync on all nodes read its changed configuration; in a thread of its own, nobody waits. */
void corosync_reload(void);
