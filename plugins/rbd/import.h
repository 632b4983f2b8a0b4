/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the two kinds of imports share: of a new image (import.c), and on top of one that is there (receive.c). */
#include "rbd/diff.h"
#include "rbd/pipe.h"

typedef struct Import {
        Pipe pipe;
        rbd_image_t image;
        char name[256]; /* of the image that is filled */
        uint64_t bytes;
        struct storaged_error *err;
} Import;

typedef struct DifferenceEnds {
        char from[DIFF_NAME_MAX], to[DIFF_NAME_MAX]; /* "": the stream does not name one */
} DifferenceEnds;

/* May the stream go on from here? Asked before its first change; 0 or negative errno with a sentence. */
typedef int (*import_ends_fn)(Import *i, const DifferenceEnds *ends);

/*
 * Takes one stream of differences and makes the snapshot it ends with. `is_new`: the image holds nothing yet. `fn` may
 * be NULL. 1: another stream follows; 0: this was the live image, the last; -EBADMSG without a sentence: no such
 * stream.
 */
int import_difference(Import *i, bool is_new, import_ends_fn fn, DifferenceEnds *ret);
/* receive.c: an import with spec->base */
int import_receive(RbdStore *s, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                   char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
