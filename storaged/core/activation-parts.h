/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What activation.c, handover.c and takeover.c share: one volume's records and the job that changes them. */
#include "core/activation.h"

struct Activation {
        VolumeJob *job;
        char *volid, *lease_path, *ticket_path; /* ticket_path NULL: the storage is not shared */
        Lease lease, before;                    /* `before`: what the record was when we came */
        Ticket ticket;
        json_object *given;                 /* what the caller asked; the job's args are the plugin's meanwhile */
        enum ticket_state decision;         /* of commit and abort */
        bool is_renewed;                    /* prepare: the ticket was there */
        bool is_taken_over;                 /* from `before`, which is put back if the plugin refuses */
        size_t fence_at;                    /* take-over: the holder of `before` whose turn it is, 0 or 1 */
        void (*then)(struct Activation *a); /* after the plugin's call went well */
};

const char *activation_here(const Activation *a);
uint64_t activation_wall_s(void);
/* Both refuse with -EAGAIN if the storage's lock was lost meanwhile. */
int activation_store_lease(Activation *a, struct storaged_error *err);
int activation_store_ticket(Activation *a, enum ticket_state state, struct storaged_error *err);
/* mode NULL: deactivate. `then` follows, or the job ends. */
void activation_call_plugin(Activation *a, const char *mode, void (*then)(Activation *));
void activation_finish(Activation *a);
void activation_fail(Activation *a, const struct storaged_error *err);

/* handover.c: prepare, commit, abort, recover. */
void handover_begin(Activation *a);
enum ticket_step handover_next_step(Core *c, const char *storage, const char *volname, const Activation *a);
/* takeover.c: of a lease whose holders are gone; then the plugin, exclusively. */
void takeover_begin(Activation *a);
