/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A build without Corosync's libraries: it says so, and membership.c leaves quorum to the cluster file system, which
 * is read-only without it.
 */
#include "cluster/member-source.h"

int member_source_new(MemberSource **ret, const MemberEvents *events, sd_event *event)
{
        (void) ret;
        (void) events;
        (void) event;
        return -EOPNOTSUPP;
}

MemberSource *member_source_free(MemberSource *s)
{
        (void) s;
        return NULL;
}

void member_source_reread(MemberSource *s)
{
        (void) s;
}
