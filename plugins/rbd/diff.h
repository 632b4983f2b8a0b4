/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Records of Ceph's stream of differences between two snapshots ("rbd diff v1", doc/dev/rbd-diff in Ceph's tree): a tag
 * of one byte, then numbers of 64 bits or a name behind its length of 32 bits, all little-endian.
 */
#include <stddef.h>
#include <stdint.h>

#define DIFF_BANNER "rbd diff v1\n"
#define DIFF_NAME_MAX 256 /* of a snapshot, with the NUL */

enum diff_tag {
        DIFF_FROM = 'f', /* name */
        DIFF_TO = 't',   /* name */
        DIFF_SIZE = 's', /* bytes */
        DIFF_DATA = 'w', /* offset, length; the data follow */
        DIFF_ZERO = 'z', /* offset, length */
        DIFF_END = 'e',
};

typedef struct DiffRecord {
        char tag;
        uint64_t offset, length; /* SIZE: length alone */
        char name[DIFF_NAME_MAX];
} DiffRecord;

/* Reads exactly n bytes; 0 or negative errno, -ENODATA at the end of the stream. */
typedef int (*diff_read_fn)(void *userdata, void *to, size_t n);

/* 0; -EBADMSG for what is no record; what the reader says. `bytes` is the image's size: nothing may lie behind it. */
int diff_read(diff_read_fn fn, void *userdata, uint64_t bytes, DiffRecord *ret);
/* The record's bytes, without the data of DATA. `to` holds at least DIFF_HEAD_MAX. */
#define DIFF_HEAD_MAX (1 + 4 + DIFF_NAME_MAX + 16)
size_t diff_write(const DiffRecord *r, char *to);
