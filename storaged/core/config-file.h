/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The one write of storage.cfg: whole, atomic, and beside the event loop where the file system may keep it waiting. */
#include "cluster/lock.h"
#include "core/core.h"

/* 0 or -errno: -ESTALE: the lock was lost, nothing was written; -ETIMEDOUT: it is not known what is there. */
typedef void (*config_written_fn)(void *userdata, int r);

/* `text` is copied. fn is called once: before this returns on a plain directory, else from the event loop. */
void config_file_write(Core *c, const char *text, const ClusterLock *lock, config_written_fn fn, void *userdata);
/* The daemon ends: who still waits is told. */
void config_file_end(Core *c);
