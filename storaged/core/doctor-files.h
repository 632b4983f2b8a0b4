/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the doctor finds in the cluster directory: read beside the event loop, judged in it by the checks. */
#include "core/doctor.h"
#include "core/ticket.h"

typedef struct DoctorFiles DoctorFiles;

/* `done` is called once all is read, maybe before this returns; then the files are the caller's. -ENOMEM: it is not. */
int doctor_files_read(Core *c, void (*done)(DoctorFiles *f, void *userdata), void *userdata);
DoctorFiles *doctor_files_free(DoctorFiles *f);

/* Checks; rows of doctor_checks. */
void check_cluster_directory(Doctor *d);
void check_locks(Doctor *d);
void check_leases(Doctor *d);
void check_tickets(Doctor *d);
