/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The metadata areas of a physical volume, read directly: not what is in the VG, only whether it is still the same.
 * Layout: lvm2, lib/format_text/layout.h. Pure parsers over bytes that anybody may have written; fuzzed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MDA_SECTOR 512u
#define MDA_LABEL_BYTES 4096u /* the label is in one of the first four sectors; with 4K sectors in the first */
#define MDA_AREAS_MAX 2
#define MDA_HEADER_BYTES MDA_SECTOR

/* Where metadata areas are. */
typedef struct MdaLabel {
        char pv_uuid[33]; /* without dashes */
        size_t n_areas;
        uint64_t offset[MDA_AREAS_MAX]; /* bytes from the device's begin */
} MdaLabel;

/* Where the committed metadata is in its area, and its checksum: another commit is at another place. */
typedef struct MdaLocation {
        uint64_t offset, size;
        uint32_t checksum, flags;
} MdaLocation;

/* 0; -EBADMSG: no label of a physical volume. `n` bytes from the device's begin. */
int mda_parse_label(const unsigned char *bytes, size_t n, MdaLabel *ret);
/* 0; -EBADMSG: no header of a metadata area. All zeroes in *ret: the area holds nothing. */
int mda_parse_header(const unsigned char *bytes, size_t n, MdaLocation *ret);

/* What a device says about its metadata areas, read past all caches. */
typedef struct MdaState {
        MdaLabel label;
        MdaLocation locations[MDA_AREAS_MAX];
} MdaState;

int mda_read(const char *device, MdaState *ret);
bool mda_state_equal(const MdaState *a, const MdaState *b);
