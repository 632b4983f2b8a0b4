/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What operations on volumes there are, and how each is carried out. */
#include <stdbool.h>
#include <stdint.h>

#include "core/volume.h"

enum volume_op_flag {
        OP_VOLUME = 1 << 0,        /* args are about one volume, whose name must parse before anything is tried */
        OP_CONTROL = 1 << 1,       /* needs activation unless the type has a control plane */
        OP_DATA = 1 << 2,          /* needs activation in any case */
        OP_PURE = 1 << 3,          /* a matter of names: the storage may be disabled or away */
        OP_LOCKED = 1 << 4,        /* changes metadata: under the storage's lock */
        OP_LONG = 1 << 5,          /* in a worker of its own, not in the storage's */
        OP_WRITES = 1 << 6,        /* refused while the volume is being read by long work */
        OP_READS = 1 << 7,         /* keeps writers away meanwhile */
        OP_LEASED = 1 << 8,        /* core/activation.c does it: the lease comes first, then the plugin */
        OP_ENDS_VOLUME = 1 << 9,   /* the name is gone afterwards, and so is its lease */
        OP_GIVES_VOLUME = 1 << 10, /* result {"volume"} becomes a volume id */
        OP_USAGE = 1 << 11,        /* the storage's usage is another one afterwards */
        OP_LOST = 1 << 12, /* of a storage that is lost, too: needs activation only if the type has a control plane */
};

typedef struct VolumeOp {
        const char *name;   /* the worker's word for it */
        const char *task;   /* task type, or NULL: answered directly */
        int schema_op;      /* what the plugin must have; -1: nothing */
        uint32_t timeout_s; /* without a sign of life; 0: none */
        unsigned flags;     /* enum volume_op_flag */
} VolumeOp;

extern const VolumeOp volume_ops[VOLUME_OP_MAX];

static inline bool volume_op_has(const VolumeOp *op, unsigned flag)
{
        return op->flags & flag;
}
