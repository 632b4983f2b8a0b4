/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What activation.c, handover.c and takeover.c share: one volume's records and the job that changes them. */
#include "cluster/lock.h"
#include "core/activation.h"
#include "core/aside.h"

typedef void (*activation_fn)(Activation *a);

struct Activation {
        VolumeJob *job;
        char *volid, *lease_path, *ticket_path; /* ticket_path NULL: the storage is not shared */
        Lease lease, before;                    /* `before`: what the record was when we came */
        Ticket ticket;
        json_object *given;         /* what the caller asked; the job's args are the plugin's meanwhile */
        enum ticket_state decision; /* of commit and abort */
        bool is_renewed;            /* prepare: the ticket was there */
        bool is_taken_over;         /* from `before`, which is put back if the plugin refuses */
        size_t fence_at;            /* take-over: the holder of `before` whose turn it is, 0 or 1 */
        activation_fn then;         /* after the plugin's call went well */
        Aside work;                 /* reading or writing the records, beside the loop */
        activation_fn next;         /* after that */
        Fence fence;                /* for what is written */
        int result;                 /* of the work; `failure` has the words */
        struct storaged_error failure;
        struct storaged_error refusal; /* the plugin's, while the entry is undone */
        void (*seen)(VolumeJob *j);    /* activation_check_writer(), activation_forget() */
};

const char *activation_here(const Activation *a);
uint64_t activation_wall_s(void);
/* Both write the record as it is in `a`, beside the loop. `next` follows; or, also if the storage's lock was lost, the
 * job ends. */
void activation_store_lease(Activation *a, activation_fn next);
void activation_store_ticket(Activation *a, enum ticket_state state, activation_fn next);
/* Those who watch the ticket look again; `next` follows in any case. */
void activation_touch_ticket(Activation *a, activation_fn next);
/* mode NULL: deactivate. `then` follows, or the job ends. */
void activation_call_plugin(Activation *a, const char *mode, activation_fn then);
void activation_finish(Activation *a);
void activation_fail(Activation *a, const struct storaged_error *err);

/* handover.c: prepare, commit, abort, recover. */
void handover_begin(Activation *a);
enum ticket_step handover_next_step(Core *c, const char *storage, const char *volname, const Lease *l, const Ticket *t);
/* takeover.c: of a lease whose holders are gone; then the plugin, exclusively. */
void takeover_begin(Activation *a);
