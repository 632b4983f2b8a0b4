/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 header and snapshot table (docs/interop/qcow2.txt of QEMU describes the format). One read of the
 * first 4 KiB usually gives all; a backing file name further out costs one more of at most 1023 bytes. All
 * numbers are big-endian and hostile until checked; the limits are those QEMU itself puts on an image.
 */
#include "common/image.h"

#include <errno.h>
#include <string.h>

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */
#define QCOW2_HEAD 4096
#define QCOW2_INCOMPAT_DATA_FILE (1u << 2)
#define QCOW2_INCOMPAT_KNOWN 0x1fu
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define QCOW2_L1_MAX (32u << 20)
#define QCOW2_REFTABLE_MAX (8u << 20)
#define QCOW2_SNAP_HEAD 40
#define QCOW2_SNAP_EXTRA_MAX 1024u
#define QCOW2_SNAP_TABLE_MAX (1024ull * 65536)

static uint16_t be16(const uint8_t *p)
{
        return (uint16_t) (p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
        return (uint32_t) be16(p) << 16 | be16(p + 2);
}

static uint64_t be64(const uint8_t *p)
{
        return (uint64_t) be32(p) << 32 | be32(p + 4);
}

/* The end of a table, or 0 if it cannot be: beyond 2^63, or not where a cluster begins. */
static uint64_t table_end(uint64_t offset, uint64_t n, uint64_t cluster)
{
        if (offset == 0 || offset % cluster || offset > (uint64_t) INT64_MAX - n)
                return 0;
        return offset + n;
}

static int check_tables(const uint8_t *h, uint32_t cluster_bits, ImageInfo *info)
{
        uint64_t cluster = 1ull << cluster_bits;
        uint64_t l1 = (uint64_t) be32(h + 36) * 8, reftable = (uint64_t) be32(h + 56) << cluster_bits;
        uint64_t end = 0, e;

        if (l1 > QCOW2_L1_MAX || reftable > QCOW2_REFTABLE_MAX || reftable == 0)
                return -EBADMSG;
        e = table_end(be64(h + 48), reftable, cluster);
        if (!e)
                return -EBADMSG;
        end = e;
        if (l1 > 0) {
                e = table_end(be64(h + 40), l1, cluster);
                if (!e)
                        return -EBADMSG;
                end = e > end ? e : end;
        }
        info->n_snapshots = be32(h + 60);
        info->snapshots_offset = be64(h + 64);
        if (info->n_snapshots > IMAGE_SNAPSHOTS_MAX)
                return -EBADMSG;
        if (info->n_snapshots > 0 && !table_end(info->snapshots_offset, 0, cluster))
                return -EBADMSG;
        info->metadata_end = end;
        return 0;
}

/* Walks the header extensions within what was read; an external data file is all that matters here. */
static void find_data_file(const uint8_t *head, size_t n, uint32_t header_len, ImageInfo *info)
{
        size_t at = header_len;

        while (at + 8 <= n) {
                uint32_t type = be32(head + at), len = be32(head + at + 4);

                if (type == 0)
                        return;
                if (type == QCOW2_EXT_DATA_FILE) {
                        info->has_data_file = true;
                        return;
                }
                if (len > n)
                        return;
                at += 8 + ((size_t) len + 7) / 8 * 8;
        }
}

static int read_backing(ImageReadFn read, void *userdata, const uint8_t *head, size_t n, ImageInfo *info)
{
        uint64_t offset = be64(head + 8);
        uint32_t len = be32(head + 16);
        ssize_t k;

        if (offset == 0 || len == 0)
                return 0;
        if (len >= sizeof(info->backing) || offset > (uint64_t) INT64_MAX - len)
                return -EBADMSG;
        if (offset + len <= n) {
                memcpy(info->backing, head + offset, len);
        } else {
                k = read(userdata, info->backing, len, offset);
                if (k < 0)
                        return (int) k;
                if ((size_t) k != len)
                        return -EBADMSG;
        }
        info->backing[len] = '\0';
        return strlen(info->backing) == len ? 0 : -EBADMSG;
}

int image_qcow2_read(ImageReadFn read, void *userdata, ImageInfo *ret)
{
        uint8_t head[QCOW2_HEAD];
        ImageInfo info = { 0 };
        uint32_t version, cluster_bits, header_len = 72;
        ssize_t n = read(userdata, head, sizeof(head), 0);
        int r;

        if (n < 0)
                return (int) n;
        if (n < 72 || be32(head) != QCOW2_MAGIC)
                return -EBADMSG;
        version = be32(head + 4);
        cluster_bits = be32(head + 20);
        info.bytes = be64(head + 24);
        if ((version != 2 && version != 3) || cluster_bits < 9 || cluster_bits > 21 ||
            info.bytes > (uint64_t) INT64_MAX)
                return -EBADMSG;
        info.is_encrypted = be32(head + 32) != 0;
        if (version == 3) {
                uint64_t incompatible;

                if (n < 104)
                        return -EBADMSG;
                incompatible = be64(head + 72);
                header_len = be32(head + 100);
                if (incompatible & ~(uint64_t) QCOW2_INCOMPAT_KNOWN || header_len < 104 ||
                    header_len > 1u << cluster_bits)
                        return -EBADMSG;
                info.has_data_file = incompatible & QCOW2_INCOMPAT_DATA_FILE;
        }
        find_data_file(head, (size_t) n, header_len, &info);
        r = check_tables(head, cluster_bits, &info);
        if (r < 0)
                return r;
        r = read_backing(read, userdata, head, (size_t) n, &info);
        if (r < 0)
                return r;
        *ret = info;
        return 0;
}

/* One entry at *offset, which moves behind it. */
static int read_snapshot(ImageReadFn read, void *userdata, uint64_t *offset, ImageSnapshot *ret)
{
        uint8_t head[QCOW2_SNAP_HEAD], extra[8];
        uint32_t n_id, n_name, n_extra, cut;
        ssize_t n = read(userdata, head, sizeof(head), *offset);

        if (n != (ssize_t) sizeof(head))
                return n < 0 ? (int) n : -EBADMSG;
        n_id = be16(head + 12);
        n_name = be16(head + 14);
        n_extra = be32(head + 36);
        if (n_extra > QCOW2_SNAP_EXTRA_MAX || n_name == 0)
                return -EBADMSG;
        *ret = (ImageSnapshot){ .ctime = be32(head + 16), .vm_state_bytes = be32(head + 32) };
        if (n_extra >= sizeof(extra)) { /* version 3: the state's size with 64 bits */
                n = read(userdata, extra, sizeof(extra), *offset + QCOW2_SNAP_HEAD);
                if (n != (ssize_t) sizeof(extra))
                        return n < 0 ? (int) n : -EBADMSG;
                ret->vm_state_bytes = be64(extra);
        }
        cut = n_name < sizeof(ret->name) ? n_name : (uint32_t) sizeof(ret->name) - 1;
        n = read(userdata, ret->name, cut, *offset + QCOW2_SNAP_HEAD + n_extra + n_id);
        if (n != (ssize_t) cut)
                return n < 0 ? (int) n : -EBADMSG;
        ret->name[cut] = '\0';
        *offset += ((uint64_t) QCOW2_SNAP_HEAD + n_extra + n_id + n_name + 7) / 8 * 8;
        return 0;
}

int image_qcow2_snapshots(ImageReadFn read, void *userdata, ImageSnapshotFn fn, void *fn_userdata)
{
        ImageInfo info;
        uint64_t offset, limit;
        int r = image_qcow2_read(read, userdata, &info);

        if (r < 0)
                return r;
        offset = info.snapshots_offset;
        limit = offset + QCOW2_SNAP_TABLE_MAX;
        for (uint32_t i = 0; i < info.n_snapshots; i++) {
                ImageSnapshot s;

                if (offset > limit || offset > (uint64_t) INT64_MAX - QCOW2_SNAP_TABLE_MAX)
                        return -EBADMSG;
                r = read_snapshot(read, userdata, &offset, &s);
                if (r < 0)
                        return r;
                r = fn(fn_userdata, &s);
                if (r != 0)
                        return r;
        }
        return 0;
}
