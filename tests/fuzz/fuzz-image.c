/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image headers from anywhere: qcow2, its snapshot table, vmdk. What was read must keep its promises: names end within
 * their room, sizes are below 2^63, and no read was larger than the format's bounds allow.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/image.h"

#define READ_MAX (20u * 1024)
#define READS_MAX (4u * IMAGE_SNAPSHOTS_MAX)

typedef struct Input {
        const uint8_t *data;
        size_t n;
        unsigned n_reads;
} Input;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static ssize_t read_input(void *userdata, void *buf, size_t n, uint64_t offset)
{
        Input *in = userdata;

        if (n > READ_MAX || offset > INT64_MAX || ++in->n_reads > READS_MAX)
                abort();
        if (offset >= in->n)
                return 0;
        if (n > in->n - offset)
                n = in->n - (size_t) offset;
        memcpy(buf, in->data + offset, n);
        return (ssize_t) n;
}

static int check_snapshot(void *userdata, const ImageSnapshot *s)
{
        (void) userdata;
        if (strnlen(s->name, sizeof(s->name)) == sizeof(s->name))
                abort();
        return 0;
}

static void check(int r, const ImageInfo *info)
{
        if (r == 0 &&
            (info->bytes > INT64_MAX || strnlen(info->backing, sizeof(info->backing)) == sizeof(info->backing)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        Input in = { .data = data, .n = n };
        ImageInfo info;

        check(image_qcow2_read(read_input, &in, &info), &info);
        check(image_vmdk_read(read_input, &in, &info), &info);
        (void) image_qcow2_snapshots(read_input, &in, check_snapshot, NULL);
        return 0;
}
