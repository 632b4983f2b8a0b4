/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Checks of this node and of the cluster, as rows: what was found, and what to do. */
#include "core/core.h"

typedef struct Doctor Doctor;

/* --- for checks (core/doctor-checks.c) */
typedef struct DoctorCheck {
        const char *name;
        void (*run)(Doctor *d);
} DoctorCheck;

/* All of this node; name NULL ends. A new one is a row there. */
extern const DoctorCheck doctor_checks[];

Core *doctor_core(Doctor *d);
/* What was read in the cluster directory. */
const struct DoctorFiles *doctor_files(Doctor *d);
/*
 * One row. severity: "ok", "info", "warning", "error"; code: a stable word; object: what it is about, or NULL; action:
 * what to do, or NULL. After a hold() also later than run() returned.
 */
void doctor_row(Doctor *d, const char *severity, const char *code, const char *object, const char *action,
                const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* A check that waits for something: the answer is complete when as many are released as were held. */
void doctor_hold(Doctor *d);
void doctor_release(Doctor *d);

/* --- for the API */
/* Reply: [{"node", "check", "severity", "code", "object"?, "summary", "action"?}] of this node. */
void doctor_run(Core *c, reply_fn fn, void *userdata);
/* The same of all nodes, and what is found by comparing them: clocks, versions, what their storages reach. */
void doctor_run_all(Core *c, reply_fn fn, void *userdata);
/* {"time": seconds since 1970 with fraction, "version"}; new reference, NULL: out of memory. */
json_object *doctor_clock_to_json(void);
