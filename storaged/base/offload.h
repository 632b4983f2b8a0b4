/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Work that may block, away from the event loop: one thread, first come first served, that has no part in the daemon's
 * state. A job belongs to the thread from its submission until `done` is called, in a turn of the loop.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <storaged/cleanup.h>
#include <systemd/sd-event.h>

typedef struct Offload Offload;

typedef struct OffloadJob {
        STAILQ_ENTRY(OffloadJob) entry;
        void (*run)(struct OffloadJob *job);  /* in the thread; touches only what the job alone owns */
        void (*done)(struct OffloadJob *job); /* in the loop */
        void *userdata;
} OffloadJob;

/* The thread is started with the first job. */
int offload_new(Offload **ret, sd_event *event);
/* 0, or -errno if there is no thread to be had: then the job is still the caller's. */
int offload_submit(Offload *o, OffloadJob *job);
/*
 * Ends. What has been submitted is done, without `done`, unless it takes longer than wait_usec: then true is returned,
 * the thread hangs in the kernel, and it and the jobs must be left alone for ever.
 */
bool offload_end(Offload *o, uint64_t wait_usec);
