/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The way of a volume's bytes between a worker and what the user named. The worker connects to a Unix socket of
 * ours; a thread copies, while the caller follows the task.
 */
#include <stdbool.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "base/paths.h"

typedef struct Stream Stream;

/*
 * Listens at a fresh socket, mode 0600, below <root>/run/storaged or, where that can't be written, $TMPDIR.
 * `is_export`: from the worker to `fd`, else the other way; takes `fd` (also on failure).
 */
int stream_new(Stream **ret, const Paths *paths, int fd, bool is_export, struct storaged_error *err);
/* Ends the copy as it stands. */
Stream *stream_free(Stream *s);
DEFINE_CLEANUP(Stream *, stream_free)
/* "unix:///…" for the API. Borrowed. */
const char *stream_get_url(const Stream *s);
/* Called from the copying thread when our end has failed, before the worker sees the end of the stream. Set it once. */
void stream_on_failure(Stream *s, void (*fn)(void *userdata), void *userdata);
/* The task is over: a worker that never came is not waited for. What our end of the copy ran into: 0 or with `err`. */
int stream_finish(Stream *s, bool task_is_ok, struct storaged_error *err);

/*
 * Where an import comes from: a file, "-", "tcp://IP-or-CIDR", "unix://PATH". For the last two it prints where
 * it listens, and waits 30 s for somebody to connect. *ret is the caller's to close.
 */
int stream_open_source(const char *name, int *ret, struct storaged_error *err);
