/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the first bytes of an image file say: size, backing file, snapshots. Nothing in them is believed:
 * reads are bounded, numbers are checked against the format's own limits. Pure but for the reader; fuzzed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <storaged/types.h>

#define IMAGE_BACKING_MAX 1024 /* with the NUL; qcow2 allows 1023 bytes */
#define IMAGE_SNAPSHOT_NAME_MAX 256
#define IMAGE_SNAPSHOTS_MAX 65536u

/* Reads up to n bytes at the offset; short only at the end of the file; negative errno. */
typedef ssize_t (*ImageReadFn)(void *userdata, void *buf, size_t n, uint64_t offset);

typedef struct ImageInfo {
        uint64_t bytes;                  /* virtual size */
        char backing[IMAGE_BACKING_MAX]; /* as it stands in the header, or "" */
        uint32_t n_snapshots;            /* inside the image */
        uint64_t snapshots_offset;
        uint64_t metadata_end; /* the file must be at least this long */
        bool has_data_file;    /* guest data is in another file, or the header names one */
        bool has_extents;      /* vmdk: the guest data is in other files */
        bool is_encrypted;
} ImageInfo;

typedef struct ImageSnapshot {
        char name[IMAGE_SNAPSHOT_NAME_MAX];
        int64_t ctime;
        uint64_t vm_state_bytes;
} ImageSnapshot;

typedef int (*ImageSnapshotFn)(void *userdata, const ImageSnapshot *snapshot);

/* 0; -EBADMSG: not a (sane) image of that format; else what the reader returned. */
int image_qcow2_read(ImageReadFn read, void *userdata, ImageInfo *ret);
int image_vmdk_read(ImageReadFn read, void *userdata, ImageInfo *ret);
/* The snapshot table, in its order; -EBADMSG as soon as an entry makes no sense. */
int image_qcow2_snapshots(ImageReadFn read, void *userdata, ImageSnapshotFn fn, void *fn_userdata);
