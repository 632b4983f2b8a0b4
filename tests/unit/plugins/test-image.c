/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qcow2 and vmdk headers from memory: sane ones, and each kind of lie. Real files are in test-dir. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/image.h"

typedef struct Bytes {
        uint8_t data[65536];
        size_t n;
        int fail; /* returned instead of bytes */
} Bytes;

static ssize_t read_bytes(void *userdata, void *buf, size_t n, uint64_t offset)
{
        Bytes *b = userdata;

        if (b->fail)
                return b->fail;
        if (offset >= b->n)
                return 0;
        if (n > b->n - offset)
                n = b->n - (size_t) offset;
        memcpy(buf, b->data + offset, n);
        return (ssize_t) n;
}

static void put32(Bytes *b, size_t at, uint32_t v)
{
        for (int i = 0; i < 4; i++)
                b->data[at + (size_t) i] = (uint8_t) (v >> (24 - 8 * i));
}

static void put64(Bytes *b, size_t at, uint64_t v)
{
        put32(b, at, (uint32_t) (v >> 32));
        put32(b, at + 4, (uint32_t) v);
}

/* A version 3 header of 1 GiB, 64 KiB clusters, backing file "../100/base-100-disk-0.raw". */
static Bytes sane_qcow2(void)
{
        static const char backing[] = "../100/base-100-disk-0.raw";
        Bytes b = { .n = 4096 };

        put32(&b, 0, 0x514649fb);
        put32(&b, 4, 3);
        put64(&b, 8, 512);
        put32(&b, 16, sizeof(backing) - 1);
        put32(&b, 20, 16);
        put64(&b, 24, 1ull << 30);
        put32(&b, 36, 2);       /* L1 entries */
        put64(&b, 40, 0x30000); /* L1 */
        put64(&b, 48, 0x10000); /* refcount table */
        put32(&b, 56, 1);
        put32(&b, 96, 4);
        put32(&b, 100, 104);
        memcpy(b.data + 512, backing, sizeof(backing) - 1);
        return b;
}

static void sane_qcow2_is_read(void **state)
{
        Bytes b = sane_qcow2();
        ImageInfo info;

        (void) state;
        assert_int_equal(image_qcow2_read(read_bytes, &b, &info), 0);
        assert_int_equal(info.bytes, 1ull << 30);
        assert_string_equal(info.backing, "../100/base-100-disk-0.raw");
        assert_int_equal(info.metadata_end, 0x30010);
        assert_false(info.has_data_file);
        b.fail = -EIO;
        assert_int_equal(image_qcow2_read(read_bytes, &b, &info), -EIO);
}

static void backing_name_further_out(void **state)
{
        Bytes b = sane_qcow2();
        ImageInfo info;

        (void) state;
        b.n = 60000;
        put64(&b, 8, 50000);
        put32(&b, 16, 1023);
        memset(b.data + 50000, 'x', 1023);
        assert_int_equal(image_qcow2_read(read_bytes, &b, &info), 0);
        assert_int_equal(strlen(info.backing), 1023);
        b.n = 50100; /* cut off */
        assert_int_equal(image_qcow2_read(read_bytes, &b, &info), -EBADMSG);
}

static void lying_qcow2_headers_are_refused(void **state)
{
        static const struct {
                size_t at;
                int bits;
                uint64_t value;
        } lies[] = {
                { 0, 32, 0x12345678 },  { 4, 32, 1 },
                { 4, 32, 4 },           { 8, 64, UINT64_MAX - 3 },
                { 16, 32, 1024 },       { 16, 32, UINT32_MAX },
                { 20, 32, 8 },          { 20, 32, 22 },
                { 20, 32, UINT32_MAX }, { 24, 64, 1ull << 63 },
                { 36, 32, UINT32_MAX }, { 40, 64, 0x30001 },
                { 40, 64, ~0xffffull }, { 48, 64, 0 },
                { 48, 64, ~0xffffull }, { 56, 32, 0 },
                { 56, 32, UINT32_MAX }, { 60, 32, 65537 },
                { 60, 32, 1 },          { 72, 64, 1ull << 40 },
                { 100, 32, 72 },        { 100, 32, UINT32_MAX },
                { 512, 32, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
                Bytes b = sane_qcow2();
                ImageInfo info;

                if (lies[i].bits == 32)
                        put32(&b, lies[i].at, (uint32_t) lies[i].value);
                else
                        put64(&b, lies[i].at, lies[i].value);
                if (image_qcow2_read(read_bytes, &b, &info) != -EBADMSG)
                        fail_msg("lie %zu at byte %zu was believed", i, lies[i].at);
        }
        for (size_t n = 0; n < 104; n++) {
                Bytes b = sane_qcow2();
                ImageInfo info;

                b.n = n;
                assert_int_equal(image_qcow2_read(read_bytes, &b, &info), -EBADMSG);
        }
}

static void data_file_is_seen_in_flag_and_extension(void **state)
{
        Bytes b = sane_qcow2();
        ImageInfo info;

        (void) state;
        put64(&b, 72, 4);
        assert_int_equal(image_qcow2_read(read_bytes, &b, &info), 0);
        assert_true(info.has_data_file);
        b = sane_qcow2();
        put32(&b, 104, 0xe2792aca); /* another extension first */
        put32(&b, 108, 5);
        put32(&b, 120, 0x44415441);
        put32(&b, 124, 8);
        assert_int_equal(image_qcow2_read(read_bytes, &b, &info), 0);
        assert_true(info.has_data_file);
}

typedef struct Names {
        char text[512];
        size_t n;
} Names;

static int take_name(void *userdata, const ImageSnapshot *s)
{
        Names *names = userdata;
        size_t n = strlen(names->text);

        names->n++;
        (void) snprintf(names->text + n, sizeof(names->text) - n, "%s:%lld:%llu ", s->name, (long long) s->ctime,
                        (unsigned long long) s->vm_state_bytes);
        return 0;
}

/* One entry at `at`: id "1", the name, 16 bytes of extra data. */
static size_t put_snapshot(Bytes *b, size_t at, const char *name, uint32_t when, uint64_t state_bytes)
{
        size_t n = strlen(name);

        b->data[at + 13] = 1;
        b->data[at + 15] = (uint8_t) n;
        put32(b, at + 16, when);
        put32(b, at + 36, 16);
        put64(b, at + 40, state_bytes);
        b->data[at + 56] = '1';
        memcpy(b->data + at + 57, name, n);
        return at + (57 + n + 7) / 8 * 8;
}

static void snapshot_table_is_read(void **state)
{
        Bytes b = sane_qcow2();
        Names names = { .n = 0 };
        size_t at = 0x8000;

        (void) state;
        put32(&b, 20, 12); /* clusters of 4 KiB, so that the table is near */
        at = put_snapshot(&b, at, "first", 1000, 0);
        at = put_snapshot(&b, at, "second", 2000, 5ull << 32);
        b.n = at;
        put32(&b, 60, 2);
        put64(&b, 64, 0x8000);
        assert_int_equal(image_qcow2_snapshots(read_bytes, &b, take_name, &names), 0);
        assert_string_equal(names.text, "first:1000:0 second:2000:21474836480 ");
        put32(&b, 60, 3); /* more than there are */
        assert_int_equal(image_qcow2_snapshots(read_bytes, &b, take_name, &names), -EBADMSG);
        put32(&b, 60, 2);
        put32(&b, 0x8000 + 36, 100000); /* extra data without end */
        assert_int_equal(image_qcow2_snapshots(read_bytes, &b, take_name, &names), -EBADMSG);
}

static Bytes text_vmdk(const char *text)
{
        Bytes b = { .n = strlen(text) };

        memcpy(b.data, text, b.n);
        return b;
}

static void vmdk_descriptors(void **state)
{
        static const struct {
                const char *text;
                int r;
                uint64_t sectors;
                const char *backing;
        } cases[] = {
                { "# Disk DescriptorFile\nRW 100 FLAT \"a\" 0\nRW 50 SPARSE \"b\"\n", 0, 150, "" },
                { "# Disk DescriptorFile\r\nparentFileNameHint=\"../100/base-1.vmdk\"\r\nRDONLY 8 ZERO\r\n", 0, 8,
                  "../100/base-1.vmdk" },
                { "# Disk DescriptorFile\nRW 18014398509481984 FLAT \"a\"\n", -EBADMSG, 0, "" },
                { "# Disk DescriptorFile\nRW 99999999999999999999999 FLAT \"a\"\n", -EBADMSG, 0, "" },
                { "# Disk DescriptorFile\nRW -5 FLAT \"a\"\n", -EBADMSG, 0, "" },
                { "# Disk DescriptorFile\n", -EBADMSG, 0, "" },
                { "RW 100 FLAT \"a\" 0\n", -EBADMSG, 0, "" },
                { "", -EBADMSG, 0, "" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Bytes b = text_vmdk(cases[i].text);
                ImageInfo info = { 0 };

                assert_int_equal(image_vmdk_read(read_bytes, &b, &info), cases[i].r);
                assert_int_equal(info.bytes, cases[i].sectors * 512);
                assert_string_equal(info.backing, cases[i].backing);
                assert_true(info.has_extents == (cases[i].r == 0));
        }
}

static void vmdk_sparse_header(void **state)
{
        Bytes b = { .n = 4096 };
        ImageInfo info;

        (void) state;
        memcpy(b.data, "KDMV", 4);
        b.data[4] = 1;
        b.data[13] = 8;  /* capacity 2048 sectors */
        b.data[28] = 1;  /* descriptor at sector 1 */
        b.data[36] = 20; /* of 20 sectors */
        memcpy(b.data + 512, "# Disk DescriptorFile\nparentFileNameHint=\"base.vmdk\"\nRW 9 SPARSE \"x\"\n", 69);
        assert_int_equal(image_vmdk_read(read_bytes, &b, &info), 0);
        assert_int_equal(info.bytes, 2048 * 512);
        assert_string_equal(info.backing, "base.vmdk");
        assert_false(info.has_extents);
        b.data[4] = 9;
        assert_int_equal(image_vmdk_read(read_bytes, &b, &info), -EBADMSG);
        b.data[4] = 1;
        memset(b.data + 12, 0xff, 8);
        assert_int_equal(image_vmdk_read(read_bytes, &b, &info), -EBADMSG);
        memset(b.data + 12, 0, 8);
        memset(b.data + 28, 0xff, 8);
        assert_int_equal(image_vmdk_read(read_bytes, &b, &info), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sane_qcow2_is_read),
                cmocka_unit_test(backing_name_further_out),
                cmocka_unit_test(lying_qcow2_headers_are_refused),
                cmocka_unit_test(data_file_is_seen_in_flag_and_extension),
                cmocka_unit_test(snapshot_table_is_read),
                cmocka_unit_test(vmdk_descriptors),
                cmocka_unit_test(vmdk_sparse_header),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
