/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a volume group has changed, for the price of one read of a device: the first area's header is next to the
 * label.
 *
 * Each commit of metadata, on whichever node, is written to a new place of the metadata area's ring, and then the
 * header gets that place with the text's CRC. The text holds the sequence number. So an equal header means equal
 * metadata, and LVM need not be asked again. What does not fit here (a device that can't be read, an area that is none)
 * is not an answer but a reason to ask LVM.
 *
 * Another commit could only look the same if the ring had come round to the same place with a text of the same length
 * and CRC: some hundred commits later at least, while this node did not look once, and one in 2^32 then.
 */
#include "common-lvm/mda.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#define ALIGNMENT 4096u
#define BEGIN_BYTES (2 * ALIGNMENT) /* label, and header of the area that LVM puts behind it */
#define LABEL_SECTORS 4u
#define LABEL_ID "LABELONE"
#define LABEL_TYPE "LVM2 001"
#define LABEL_CONTENT 20u /* offset_xl: where in the sector the PV's header is */
#define PV_UUID_BYTES 32u
#define AREAS_BEGIN (PV_UUID_BYTES + 8u) /* behind UUID and device size */
#define AREA_BYTES 16u
#define HEADER_MAGIC "\040\114\126\115\062\040\170\133\065\101\045\162\060\116\052\076"
#define HEADER_VERSION 1u
#define HEADER_LOCATIONS 40u /* checksum, magic, version, start, size */

static uint32_t le32(const unsigned char *p)
{
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return le32toh(v);
}

static uint64_t le64(const unsigned char *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return le64toh(v);
}

/* Two lists of (offset, size) that each end with a zero: data areas, then metadata areas. */
static int parse_areas(const unsigned char *p, size_t n, MdaLabel *ret)
{
        size_t at = 0;

        while (at + AREA_BYTES <= n && le64(p + at) != 0)
                at += AREA_BYTES;
        for (at += AREA_BYTES; at + AREA_BYTES <= n; at += AREA_BYTES) {
                uint64_t offset = le64(p + at);

                if (offset == 0)
                        return 0;
                if (ret->n_areas == MDA_AREAS_MAX || offset % MDA_SECTOR != 0 || offset > INT64_MAX - ALIGNMENT)
                        return -EBADMSG;
                ret->offset[ret->n_areas++] = offset;
        }
        return -EBADMSG;
}

int mda_parse_label(const unsigned char *bytes, size_t n, MdaLabel *ret)
{
        for (size_t sector = 0; sector < LABEL_SECTORS && (sector + 1) * MDA_SECTOR <= n; sector++) {
                const unsigned char *p = bytes + sector * MDA_SECTOR;
                MdaLabel label = { 0 };
                uint32_t content;
                int r;

                if (memcmp(p, LABEL_ID, 8) != 0 || memcmp(p + 24, LABEL_TYPE, 8) != 0 || le64(p + 8) != sector)
                        continue;
                content = le32(p + LABEL_CONTENT);
                if (content < 32 || content > MDA_SECTOR - AREAS_BEGIN - 2 * AREA_BYTES)
                        return -EBADMSG;
                memcpy(label.pv_uuid, p + content, PV_UUID_BYTES);
                r = parse_areas(p + content + AREAS_BEGIN, MDA_SECTOR - content - AREAS_BEGIN, &label);
                if (r < 0)
                        return r;
                *ret = label;
                return 0;
        }
        return -EBADMSG;
}

int mda_parse_header(const unsigned char *bytes, size_t n, MdaLocation *ret)
{
        if (n < MDA_HEADER_BYTES || memcmp(bytes + 4, HEADER_MAGIC, 16) != 0 || le32(bytes + 20) != HEADER_VERSION)
                return -EBADMSG;
        *ret = (MdaLocation){ .offset = le64(bytes + HEADER_LOCATIONS),
                              .size = le64(bytes + HEADER_LOCATIONS + 8),
                              .checksum = le32(bytes + HEADER_LOCATIONS + 16),
                              .flags = le32(bytes + HEADER_LOCATIONS + 20) };
        return 0;
}

/* Reads the aligned blocks that hold the bytes from `offset`; *ret points into `buf`, of that many. */
static int read_at(int fd, unsigned char *buf, size_t bytes, uint64_t offset, const unsigned char **ret)
{
        uint64_t begin = offset / ALIGNMENT * ALIGNMENT;
        ssize_t n;

        do
                n = pread(fd, buf, bytes, (off_t) begin);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if ((size_t) n < bytes)
                return -EIO;
        *ret = buf + (offset - begin);
        return 0;
}

int mda_read(const char *device, MdaState *ret)
{
        AUTO(closep) int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
        AUTO(freep) void *begin = NULL, *buf = NULL;
        MdaState state = { 0 };
        const unsigned char *p;
        int r;

        if (fd < 0)
                return -errno;
        if (posix_memalign(&begin, ALIGNMENT, BEGIN_BYTES) != 0 || posix_memalign(&buf, ALIGNMENT, ALIGNMENT) != 0)
                return -ENOMEM;
        r = read_at(fd, begin, BEGIN_BYTES, 0, &p);
        if (r >= 0)
                r = mda_parse_label(p, ALIGNMENT, &state.label);
        for (size_t i = 0; r >= 0 && i < state.label.n_areas; i++) {
                if (state.label.offset[i] <= BEGIN_BYTES - MDA_HEADER_BYTES)
                        p = (unsigned char *) begin + state.label.offset[i];
                else
                        r = read_at(fd, buf, ALIGNMENT, state.label.offset[i], &p);
                if (r >= 0)
                        r = mda_parse_header(p, MDA_HEADER_BYTES, &state.locations[i]);
        }
        if (r < 0)
                return r;
        *ret = state;
        return 0;
}

bool mda_state_equal(const MdaState *a, const MdaState *b)
{
        if (memcmp(a->label.pv_uuid, b->label.pv_uuid, PV_UUID_BYTES) != 0 || a->label.n_areas != b->label.n_areas)
                return false;
        for (size_t i = 0; i < a->label.n_areas; i++)
                if (a->label.offset[i] != b->label.offset[i] || a->locations[i].offset != b->locations[i].offset ||
                    a->locations[i].size != b->locations[i].size ||
                    a->locations[i].checksum != b->locations[i].checksum ||
                    a->locations[i].flags != b->locations[i].flags)
                        return false;
        return true;
}
