/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The calls that wait for a storage's worker, and the one that it is doing (the head). Each is finished exactly once,
 * by queued_finish() or queue_fail(), which call its `done`.
 */
#include "core/storage.h"

typedef struct Queued {
        struct Queued *next;
        StorageCall call; /* its op, args and fd are the caller's: use those below */
        char *op;
        json_object *args;
        int fd;
} Queued;

typedef struct Queue {
        Queued *head, **tail;
} Queue;

void queue_init(Queue *q);
/* With its own copy of the operation's name, a reference to the arguments, a duplicate of the descriptor; or NULL. */
Queued *queued_new(const StorageCall *call);
void queue_push(Queue *q, Queued *item);
/* Before all that wait; `is_calling`: behind the head, which is being done. */
void queue_push_front(Queue *q, Queued *item, bool is_calling);
/* The head, which is the caller's to finish; or NULL. */
Queued *queue_pop(Queue *q);
/* Frees it and tells whoever asked; body and err as in worker_done_fn. */
void queued_finish(Queued *item, const char *body, size_t len, const struct storaged_error *err);
/* Finishes all with `err`. What is pushed by their `done` stays. */
void queue_fail(Queue *q, const struct storaged_error *err);
