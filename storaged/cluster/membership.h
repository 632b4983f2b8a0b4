/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Who belongs to the cluster, who of them can be reached, and whether this node may change what is common. From
 * Corosync where this node is configured for one (corosync.conf); else a single node, which is always quorate.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

typedef struct Membership Membership;

typedef struct Member {
        char name[256]; /* as corosync.conf says; else its address */
        uint32_t id;    /* 0: no cluster */
        char ip[64];    /* numeric, of the first ring; "": not known */
        bool is_online, is_local;
        uint64_t gone_usec; /* CLOCK_MONOTONIC; since then offline, seen by a quorate side without a break; 0: not so */
} Member;

/*
 * `conf`: the places of corosync.conf, ends with NULL; there is a cluster while one of them exists. None at all (the
 * first is NULL): a single node for ever.
 */
int membership_new(Membership **ret, const char *node, const char *const *conf, sd_event *event);
Membership *membership_free(Membership *m);
DEFINE_CLEANUP(Membership *, membership_free)

/* Called from the event loop after members or quorum have changed; one at a time. */
void membership_watch(Membership *m, void (*fn)(void *userdata), void *userdata);
/* Looks whether corosync.conf came, went or changed: some stat() calls. */
void membership_refresh(Membership *m);

/* False while Corosync has not answered yet. */
bool membership_is_settled(const Membership *m);
bool membership_is_cluster(const Membership *m);
bool membership_is_quorate(const Membership *m);
/* 0, or -EROFS with a sentence that begins with "no quorum". */
int membership_check_quorum(const Membership *m, struct storaged_error *err);
/* All members sorted by id, this node among them; until the next turn of the event loop. */
const Member *membership_get_members(const Membership *m, size_t *ret_n);
const Member *membership_find(const Membership *m, const char *name);
/* The cluster's name, and the version of its configuration; NULL and 0 for a single node. */
const char *membership_get_name(const Membership *m);
uint64_t membership_get_version(const Membership *m);
