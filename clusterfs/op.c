/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encoding of changes. One layout for all types: what a type does not use is zero or empty. The decoder
 * checks lengths, names, types and flags, so that tree_apply() meets only well-formed changes.
 */
#include "clusterfs/op.h"

#include <errno.h>
#include <string.h>

#include "clusterfs/bytes.h"

const Op op_of_nothing = { .type = OP_UTIME, .mtime = 1 };

bool op_name_is_valid(const char *name, size_t len)
{
        if (len == 0 || len > OP_NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
                return false;
        return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

bool op_is_fenced(const Op *op)
{
        return (op->type == OP_RENAME || op->type == OP_UNLINK || op->type == OP_PUT) && op->flags & OP_FENCED;
}

uint16_t op_version(const Op *op)
{
        if (op_is_fenced(op))
                return OP_FENCED_VERSION;
        return op->type == OP_WRITE && op->flags & OP_NAMED ? OP_NAMED_VERSION : 1;
}

void op_encode(StrBuf *b, const Op *op)
{
        put_u8(b, op->type);
        put_u8(b, op->flags);
        put_u16(b, (uint16_t) op->n_extents);
        put_u64(b, (uint64_t) op->mtime);
        put_u64(b, op->ino);
        put_u64(b, op->ino2);
        put_u64(b, op->size);
        put_u64(b, op->term);
        put_u64(b, op->index);
        put_text(b, op->name ? op->name : "", op->name_len);
        put_text(b, op->name2 ? op->name2 : "", op->name2_len);
        for (size_t i = 0; i < op->n_extents; i++) {
                put_u32(b, op->extents[i].offset);
                put_u32(b, op->extents[i].len);
        }
        put_u32(b, (uint32_t) op->data_len);
        strbuf_add(b, op->data, op->data_len);
        if (op_is_fenced(op))
                put_u64(b, op->lock);
}

static bool extents_are_sane(const Op *op)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < op->n_extents; i++) {
                const OpExtent *e = &op->extents[i];

                if (e->len == 0 || (uint64_t) e->offset + e->len > OP_FILE_MAX)
                        return false;
                sum += e->len;
        }
        if (op->type != OP_WRITE)
                return op->n_extents == 0;
        if (op->flags & (OP_REPLACE | OP_APPEND))
                return op->n_extents == 0 && (op->flags & (OP_REPLACE | OP_APPEND)) != (OP_REPLACE | OP_APPEND);
        return sum == op->data_len;
}

static bool names_are_sane(const Op *op)
{
        bool named = op->type <= OP_RENAME || op->type == OP_PUT || (op->type == OP_WRITE && op->flags & OP_NAMED);

        if (named != (op->name_len > 0) || (op->type == OP_RENAME) != (op->name2_len > 0))
                return false;
        if (named && !op_name_is_valid(op->name, op->name_len))
                return false;
        return op->type != OP_RENAME || op_name_is_valid(op->name2, op->name2_len);
}

int op_decode(const void *body, size_t len, Op *ret)
{
        Reader r = { .p = body, .left = len };
        Op op = { 0 };

        op.type = reader_u8(&r);
        op.flags = reader_u8(&r);
        op.n_extents = reader_u16(&r);
        op.mtime = (int64_t) reader_u64(&r);
        op.ino = reader_u64(&r);
        op.ino2 = reader_u64(&r);
        op.size = reader_u64(&r);
        op.term = reader_u64(&r);
        op.index = reader_u64(&r);
        op.name = reader_text(&r, OP_NAME_MAX, &op.name_len);
        op.name2 = reader_text(&r, OP_NAME_MAX, &op.name2_len);
        if (r.bad || op.n_extents > OP_EXTENTS_MAX || op.type == 0 || op.type > OP_TYPE_MAX)
                return -EPROTO;
        for (size_t i = 0; i < op.n_extents; i++) {
                op.extents[i].offset = reader_u32(&r);
                op.extents[i].len = reader_u32(&r);
        }
        op.data_len = reader_u32(&r);
        op.data = reader_take(&r, op.data_len);
        if (op_is_fenced(&op))
                op.lock = reader_u64(&r);
        if (r.bad || op.data_len > OP_FILE_MAX || !names_are_sane(&op) || !extents_are_sane(&op))
                return -EPROTO;
        *ret = op;
        return 0;
}
