/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Who holds a volume: one record a volume in the cluster directory. One node holds it exclusively; two, source and
 * target, hold it shared while a migration ticket stands (core/ticket.h). Never a third.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/error.h>
#include <storaged/plugin.h>
#include <storaged/types.h>

#include "base/fence.h"
#include "base/paths.h"
#include "base/str.h"
#include "wire/volname.h"

#define NODE_NAME_MAX 64                                      /* with the NUL */
#define VOLID_MAX (STORAGE_ID_MAX + 1 + STORAGED_VOLNAME_MAX) /* with the NUL */

typedef struct Lease {
        char volume[VOLID_MAX];   /* volume id */
        char node[NODE_NAME_MAX]; /* who holds it; while shared: the source. "": nobody holds it, there is no record */
        char partner[NODE_NAME_MAX]; /* the target, while shared; else "" */
        /* JSON objects of node and partner, as their plugin's `get_client` told them; "": nothing was told */
        char client[STORAGED_CLIENT_MAX], partner_client[STORAGED_CLIENT_MAX];
        char from[NODE_NAME_MAX]; /* the node that handed it over to this one, until the next hand-over; or "" */
        uint64_t since;           /* seconds since 1970 */
        uint64_t generation;      /* another one with each new owner that did not get it by a hand-over */
} Lease;

#define LEASE_INIT \
        (Lease)    \
        {          \
                0  \
        }

/* --- decisions; pure */
static inline bool lease_is_held(const Lease *l)
{
        return l->node[0] != '\0';
}
static inline bool lease_is_shared(const Lease *l)
{
        return l->partner[0] != '\0';
}
bool lease_holds(const Lease *l, const char *node);
/* Nobody holds it: now `node` does, exclusively. */
void lease_take(Lease *l, const char *volume, const char *node, uint64_t now_usec);
/* The holder shares it with the target. -EBUSY if it is shared already, -EINVAL with itself. */
int lease_join(Lease *l, const char *partner);
/*
 * One holder lets go; the other one of a shared lease stays, and if that is the target, `from` remembers the source: by
 * that it is known later that the hand-over was completed. False if the node holds nothing.
 */
bool lease_leave(Lease *l, const char *node);
/*
 * `node` gets it because the others are gone: each other holder must be in `dead`. -EBUSY with `err` naming the one
 * that is not.
 */
int lease_take_over(Lease *l, const char *node, const StrList *dead, uint64_t now_usec, struct storaged_error *err);
/* What a holder is to the storage; "" if that is not known or it is no holder. */
const char *lease_get_client(const Lease *l, const char *node);
/* True if this is news. */
bool lease_set_client(Lease *l, const char *node, const char *client);
/* -EBUSY; says who holds it and since when. */
int lease_refuse(const Lease *l, struct storaged_error *err);

/* --- records. A local lease (of a storage that is not shared) is this node's own business and kept there. */
/* A name for a file of any text: letters, digits, - and _ stay, others are %XX; the long are cut and hashed. */
int record_name(const char *text, char **ret);
int lease_path(const Paths *p, const char *storage, const char *volname, bool is_local, char **ret);
/* No record is a lease that nobody holds. -EBADMSG: what is there can't be read, `err` says what to do. */
int lease_load(const char *path, const char *volume, Lease *ret, struct storaged_error *err);
/* Writes it, or removes the record if nobody holds it. Durable when it returns. */
int lease_store(const char *path, const Lease *l, const Fence *fence, struct storaged_error *err);

/* For both kinds of records: reads the JSON object of a file; -ENOENT, -EBADMSG, … */
struct json_object;
int record_read(const char *path, struct json_object **ret);
int record_write(const char *path, struct json_object *o, const Fence *fence);
/* The member as a node's name or another short text; -EBADMSG if it is absent, empty or too long. */
int record_get_text(struct json_object *o, const char *key, bool is_required, char *ret, size_t size);
