/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A list of calls; what a call borrows from its caller is kept here until it is finished. */
#include "core/storage-queue.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

void queue_init(Queue *q)
{
        q->head = NULL;
        q->tail = &q->head;
}

static void queued_free(Queued *item)
{
        json_object_put(item->args);
        closep(&item->fd);
        free(item->op);
        free(item);
}

Queued *queued_new(const StorageCall *call)
{
        Queued *item = calloc(1, sizeof(*item));

        if (!item)
                return NULL;
        item->call = *call;
        item->op = strdup(call->op);
        item->args = json_object_get(call->args);
        item->fd = call->fd >= 0 ? fcntl(call->fd, F_DUPFD_CLOEXEC, 3) : -EBADF;
        if (!item->op || (call->fd >= 0 && item->fd < 0)) {
                queued_free(item);
                return NULL;
        }
        return item;
}

void queue_push(Queue *q, Queued *item)
{
        *q->tail = item;
        q->tail = &item->next;
}

void queue_push_front(Queue *q, Queued *item, bool is_calling)
{
        Queued **at = is_calling && q->head ? &q->head->next : &q->head;

        item->next = *at;
        *at = item;
        if (!item->next)
                q->tail = &item->next;
}

Queued *queue_pop(Queue *q)
{
        Queued *item = q->head;

        if (!item)
                return NULL;
        q->head = item->next;
        if (!q->head)
                q->tail = &q->head;
        item->next = NULL;
        return item;
}

void queued_finish(Queued *item, const char *body, size_t len, const struct storaged_error *err)
{
        StorageCall call = item->call;

        queued_free(item);
        call.done(call.userdata, body, len, err);
}

void queue_fail(Queue *q, const struct storaged_error *err)
{
        Queued *list = q->head;

        queue_init(q);
        while (list) {
                Queued *item = list;

                list = item->next;
                queued_finish(item, NULL, 0, err);
        }
}
