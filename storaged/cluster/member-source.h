/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Where membership.c has its knowledge from: corosync.c, or where that library is not there at build time,
 * corosync-none.c. The Makefile chooses.
 */
#include "base/vec.h"
#include "cluster/membership.h"

typedef struct MemberSource MemberSource;

/* The configured nodes; is_online is not theirs to say. */
typedef struct MemberList {
        char name[256]; /* of the cluster */
        uint64_t version;
        uint32_t local_id;
        VEC(Member) nodes;
} MemberList;

/* All called from the event loop. */
typedef struct MemberEvents {
        void (*quorum)(void *userdata, bool is_quorate, const uint32_t *online, size_t n_online);
        void (*list)(void *userdata, const MemberList *list); /* borrowed */
        void (*lost)(void *userdata);                         /* the connection; it is made again */
        void *userdata;
} MemberEvents;

/* -EOPNOTSUPP where storaged was built without Corosync. Connects by itself, never waits. */
int member_source_new(MemberSource **ret, const MemberEvents *events, sd_event *event);
MemberSource *member_source_free(MemberSource *s);
DEFINE_CLEANUP(MemberSource *, member_source_free)
/* The list of nodes may have changed: read it again. */
void member_source_reread(MemberSource *s);
