/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The write side of an open file. Where it was written is kept as a list of extents that do not overlap, so that two
 * nodes that change different places of one file both succeed; a handle that was truncated, or has more extents than
 * one change may carry, publishes its whole content.
 */
#include "clusterfs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

Handle *handle_new(uint64_t ino, Content *base, pid_t pid)
{
        Handle *h = calloc(1, sizeof(*h));

        if (!h)
                return NULL;
        h->refs = 1;
        h->ino = ino;
        h->pid = pid;
        h->base = content_ref(base);
        return h;
}

Handle *handle_ref(Handle *h)
{
        h->refs++;
        return h;
}

Handle *handle_unref(Handle *h)
{
        if (!h || --h->refs > 0)
                return NULL;
        (void) content_unref(h->base);
        free(h->work);
        free(h->name);
        free(h);
        return NULL;
}

size_t handle_size(const Handle *h)
{
        return h->work ? h->len : h->base ? h->base->size : 0;
}

bool handle_has_changes(const Handle *h)
{
        return h->is_dirty || h->is_truncated;
}

static int reserve(Handle *h, size_t size)
{
        size_t n = h->size ? h->size : 4096;
        uint8_t *p;

        if (h->work && size <= h->size)
                return 0;
        while (n < size)
                n *= 2;
        p = realloc(h->work, n);
        if (!p)
                return -ENOMEM;
        if (!h->work) {
                h->len = h->base ? h->base->size : 0;
                if (h->len)
                        memcpy(p, h->base->data, h->len);
        }
        h->work = p;
        h->size = n;
        return 0;
}

static int make_work(Handle *h, size_t size)
{
        size_t have = handle_size(h);

        return reserve(h, size > have ? size : have);
}

/* Joins what touches; more places than a change may name make it a whole new content. */
static void note_extent(Handle *h, uint32_t begin, uint32_t end)
{
        size_t i = 0;

        if (h->is_replace)
                return;
        while (i < h->n_extents) {
                const OpExtent *e = &h->extents[i];

                if (e->offset > end || e->offset + e->len < begin) {
                        i++;
                        continue;
                }
                begin = e->offset < begin ? e->offset : begin;
                end = e->offset + e->len > end ? e->offset + e->len : end;
                h->extents[i] = h->extents[--h->n_extents];
        }
        if (h->n_extents == OP_EXTENTS_MAX) {
                h->is_replace = true;
                return;
        }
        h->extents[h->n_extents++] = (OpExtent){ .offset = begin, .len = end - begin };
}

int handle_write(Handle *h, uint64_t offset, const void *data, size_t len)
{
        size_t have = handle_size(h);
        int r;

        if (h->is_append)
                offset = have;
        if (len == 0)
                return 0;
        if (offset > OP_FILE_MAX || offset + len > OP_FILE_MAX)
                return -EFBIG;
        r = make_work(h, (size_t) offset + len);
        if (r < 0)
                return r;
        if (offset > have)
                memset(h->work + have, 0, (size_t) offset - have);
        memcpy(h->work + offset, data, len);
        if (offset + len > have)
                h->len = (size_t) offset + len;
        if (!h->is_dirty)
                h->append_from = have;
        h->is_dirty = true;
        if (!h->is_append || h->is_replace)
                note_extent(h, (uint32_t) offset, (uint32_t) (offset + len));
        return 0;
}

int handle_truncate(Handle *h, uint64_t size)
{
        size_t have = handle_size(h);
        int r;

        if (size > OP_FILE_MAX)
                return -EFBIG;
        r = make_work(h, (size_t) size);
        if (r < 0)
                return r;
        if (size > have)
                memset(h->work + have, 0, (size_t) size - have);
        h->len = (size_t) size;
        h->is_replace = true;
        h->is_dirty = true;
        return 0;
}

size_t handle_read(const Handle *h, uint64_t offset, size_t len, const uint8_t **ret)
{
        size_t have = handle_size(h);

        if (offset >= have)
                return 0;
        *ret = (h->work ? h->work : h->base->data) + offset;
        return len < have - offset ? len : have - (size_t) offset;
}

void handle_make_whole(Handle *h)
{
        if (handle_has_changes(h))
                h->is_replace = true;
}

/* More may be sent before it is known whether the first arrived. */
static void note_sent(Handle *h, unsigned flags)
{
        bool is_first = h->n_sent == 0 && !h->can_take_back;

        h->can_take_back =
                (is_first || h->can_take_back) && !(flags & OP_REPLACE) && h->n_sent + h->n_extents <= OP_EXTENTS_MAX;
        if (is_first)
                h->sent_from = h->append_from;
        if (!h->can_take_back)
                return;
        memcpy(h->sent + h->n_sent, h->extents, h->n_extents * sizeof(h->extents[0]));
        h->n_sent += h->n_extents;
}

int handle_publish(Handle *h, int64_t mtime, StrBuf *buffer, Op *ret)
{
        Op op = { .mtime = mtime, .ino = h->ino };

        if (!handle_has_changes(h)) {
                *ret = op;
                return 0;
        }
        op.type = OP_WRITE;
        if (h->is_replace || h->is_truncated) {
                op.flags = OP_REPLACE;
                if (h->work)
                        strbuf_add(buffer, h->work, h->len);
        } else if (h->is_append) {
                op.flags = OP_APPEND;
                strbuf_add(buffer, h->work + h->append_from, h->len - h->append_from);
        } else {
                op.n_extents = h->n_extents;
                for (size_t i = 0; i < h->n_extents; i++) {
                        op.extents[i] = h->extents[i];
                        strbuf_add(buffer, h->work + h->extents[i].offset, h->extents[i].len);
                }
        }
        if (strbuf_error(buffer) < 0)
                return -ENOMEM;
        op.data = (const uint8_t *) buffer->data;
        op.data_len = buffer->len;
        note_sent(h, op.flags);
        h->is_dirty = h->is_truncated = h->is_replace = false;
        h->n_extents = 0;
        *ret = op;
        return 0;
}

bool handle_take_back(Handle *h)
{
        if (!h->can_take_back)
                return false;
        for (size_t i = 0; i < h->n_sent; i++)
                note_extent(h, h->sent[i].offset, h->sent[i].offset + h->sent[i].len);
        h->append_from = h->sent_from;
        h->is_dirty = true;
        h->can_take_back = false;
        h->n_sent = 0;
        return true;
}

void handle_published(Handle *h, Content *content)
{
        if (handle_has_changes(h))
                return;
        h->can_take_back = false;
        h->n_sent = 0;
        content = content_ref(content);
        (void) content_unref(h->base);
        h->base = content;
        free(h->work);
        h->work = NULL;
        h->len = h->size = 0;
}
