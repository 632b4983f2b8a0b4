/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* An import on another node, fed from here: its request, the stream to it, its task followed to the end. */
#include "core/core.h"

typedef struct FarImport FarImport;

typedef struct FarImportCall {
        const char *node, *storage, *volname, *format, *user;
        bool with_snapshots, allow_rename;
        /* The other node takes: what is written to `fd` (blocking, the callee's) gets there. -errno ends it with `err`.
         */
        int (*feed)(void *userdata, int fd, struct storaged_error *err);
        void (*progress)(void *userdata, uint64_t done, uint64_t total);
        /* Once, the last call: the new volume's id, borrowed, or err. Never before far_import_begin() returns. */
        void (*done)(void *userdata, const char *volid, const struct storaged_error *err);
        void *userdata;
} FarImportCall;

/* All is copied. On failure nothing is called. */
int far_import_begin(FarImport **ret, Core *c, const FarImportCall *call, struct storaged_error *err);
/* The other node stops its task; `done` is still called. */
void far_import_cancel(FarImport *f);
