/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What disks and multipathd say, as recorded on a lab node (tests/data/san) and as a broken device might say it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "multipath/identify.c"
#include "multipath/lvmlabel.c"
#include "multipath/maps.c"
#include "multipath/sysfs.c"
#include "multipath/vpd.c"

#include "base/fs.h"

static uint8_t pv[65536];
static size_t pv_len;

static void load(const char *path, uint8_t *ret, size_t size, size_t *ret_len)
{
        AUTO(freep) char *text = NULL;

        assert_int_equal(fs_read_file(path, size, &text, ret_len), 0);
        memcpy(ret, text, *ret_len);
}

static int read_pv(void *userdata, uint64_t offset, uint8_t *ret, size_t len)
{
        (void) userdata;
        if (offset >= pv_len)
                return 0;
        if (len > pv_len - offset)
                len = pv_len - (size_t) offset;
        memcpy(ret, pv + offset, len);
        return (int) len;
}

/* --- LVM */

static void group_is_read_from_a_real_pv(void **state)
{
        LvmLabel l = { 0 };

        (void) state;
        load("tests/data/san/pv.bin", pv, sizeof(pv), &pv_len);
        assert_int_equal(lvm_label_read(read_pv, NULL, &l), 0);
        assert_string_equal(l.vg, "labvg");
        assert_int_equal(strlen(l.pv_uuid), 38);
        assert_int_equal(strlen(l.vg_uuid), 38);
        assert_string_equal(l.lock_type, "");
}

static void disk_without_label_is_no_pv(void **state)
{
        LvmLabel l = { 0 };

        (void) state;
        memset(pv, 0, sizeof(pv));
        pv_len = sizeof(pv);
        assert_int_equal(lvm_label_read(read_pv, NULL, &l), -ENODATA);
        pv_len = 100; /* shorter than a sector */
        assert_int_equal(lvm_label_read(read_pv, NULL, &l), -ENODATA);
}

static void broken_metadata_keeps_the_pv(void **state)
{
        LvmLabel l = { 0 };
        uint8_t *magic;

        (void) state;
        load("tests/data/san/pv.bin", pv, sizeof(pv), &pv_len);
        magic = memmem(pv, pv_len, MDA_MAGIC, 16);
        assert_non_null(magic);
        magic[3] ^= 1;
        assert_int_equal(lvm_label_read(read_pv, NULL, &l), -EINVAL);
        assert_string_equal(l.vg, "");
        assert_int_equal(strlen(l.pv_uuid), 38);
}

/* --- VPD */

static void naa_of_16_bytes_wins(void **state)
{
        static const uint8_t page[] = {
                0, 0x83, 0, 60,  2,    0x01, 0,    8,    'L',  'A',  'B', ' ', '0', '0', '1', ' ', /* T10 */
                1, 0x03, 0, 8,   0x50, 0x05, 0x07, 0x68, 0,    0,    0,   1,                       /* NAA, 8 */
                1, 0x03, 0, 16,  0x60, 0x05, 0x07, 0x68, 0x0c, 0x80, 1,   2,   3,   4,   5,   6,
                7, 8,    9, 0xa,                      /* NAA, 16 */
                1, 0x14, 0, 4,   0,    0,    0,    2, /* port */
                1, 0x15, 0, 4,   0,    0,    0,    7, /* group */
        };
        VpdIdentity id;

        (void) state;
        assert_int_equal(vpd_parse_identity(page, sizeof(page), &id), 0);
        assert_string_equal(id.wwid, "3600507680c800102030405060708090a");
        assert_int_equal(id.port, 2);
        assert_int_equal(id.port_group, 7);
}

static void text_names_are_cleaned(void **state)
{
        static const uint8_t page[] = { 0,   0x83, 0,   16,  2, 0x01, 0,   12, ' ', 'A',
                                        ' ', ' ',  'B', '/', 7, 'C',  ' ', 0,  0,   0 };
        VpdIdentity id;

        (void) state;
        assert_int_equal(vpd_parse_identity(page, sizeof(page), &id), 0);
        assert_string_equal(id.wwid, "1A_B__C");
}

static void cut_pages_are_read_as_far_as_they_go(void **state)
{
        static const uint8_t page[] = {
                0, 0x83, 0xff, 0xff, 1, 0x03, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0x03, 0, 200, 1
        };
        VpdIdentity id;

        (void) state;
        for (size_t n = 0; n < 4; n++)
                assert_int_equal(vpd_parse_identity(page, n, &id), -EINVAL);
        assert_int_equal(vpd_parse_identity(page, sizeof(page), &id), 0);
        assert_string_equal(id.wwid, "30102030405060708");
        assert_int_equal(vpd_parse_identity((const uint8_t *) "\0\200\0\0", 4, &id), -EINVAL);
}

static void serial_is_trimmed_and_bounded(void **state)
{
        static const uint8_t page[] = { 0, 0x80, 0, 8, ' ', ' ', 'S', 'N', '1', ' ', ' ', ' ' };
        char serial[8];

        (void) state;
        assert_int_equal(vpd_parse_serial(page, sizeof(page), serial, sizeof(serial)), 0);
        assert_string_equal(serial, "SN1");
        assert_int_equal(vpd_parse_serial(page, 3, serial, sizeof(serial)), -EINVAL);
}

static void kernel_words_become_multipaths(void **state)
{
        char wwid[64];

        (void) state;
        assert_int_equal(vpd_wwid_from_sysfs("naa.6000000000000000000000000ab00001", wwid, sizeof(wwid)), 0);
        assert_string_equal(wwid, "36000000000000000000000000ab00001");
        assert_int_equal(vpd_wwid_from_sysfs("eui.0025385", wwid, sizeof(wwid)), 0);
        assert_string_equal(wwid, "20025385");
        assert_int_equal(vpd_wwid_from_sysfs("0123", wwid, sizeof(wwid)), -EINVAL);
}

static void wwids_never_climb(void **state)
{
        (void) state;
        assert_true(vpd_wwid_is_valid("36000000000000000000000000ab00001"));
        assert_false(vpd_wwid_is_valid(""));
        assert_false(vpd_wwid_is_valid("../x"));
        assert_false(vpd_wwid_is_valid("3600 1"));
        assert_false(vpd_wwid_is_valid("3\"}"));
        assert_false(vpd_wwid_is_valid("-w"));
}

/* --- multipathd */

static void maps_of_a_lab_node(void **state)
{
        AUTO(freep) char *text = NULL;
        AUTO(map_list_deinit) MapList l = MAP_LIST_INIT;
        const MapPath *p;
        const Map *m = NULL;
        size_t len;

        (void) state;
        assert_int_equal(fs_read_file("tests/data/san/iscsi.json", 1 << 20, &text, &len), 0);
        assert_int_equal(map_list_parse(text, len, &l), 0);
        assert_int_equal(l.n, 2);
        assert_string_equal(l.maps[0].wwid, "36000000000000000000000000ab00001");
        assert_string_equal(l.maps[0].dm, "dm-0");
        assert_int_equal(l.maps[0].n_paths, 4);
        p = map_list_find_path(&l, "sdh", &m);
        assert_non_null(p);
        assert_string_equal(m->wwid, "36000000000000000000000000ab00002");
        assert_true(map_path_is_usable(p));
        assert_null(map_list_find_path(&l, "sdz", &m));
}

static void what_is_no_answer_is_refused(void **state)
{
        static const char *const texts[] = { "",
                                             "timeout\n",
                                             "{}",
                                             "[]",
                                             "{\"maps\": [7]}",
                                             "{\"maps\": [{}]}",
                                             "{\"maps\": [{\"uuid\": \"3600\", \"sysfs\": \"../sda\"}]}" };
        MapList l = MAP_LIST_INIT;

        (void) state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                assert_int_equal(map_list_parse(texts[i], strlen(texts[i]), &l), -EINVAL);
                assert_int_equal(l.n, 0);
        }
        assert_int_equal(map_list_parse("{\"maps\": []}", 12, &l), 0);
        assert_int_equal(l.n, 0);
}

static void namespace_tells_its_size(void **state)
{
        uint8_t data[IDENTIFY_SIZE] = { 0 };
        uint64_t bytes = 7;

        (void) state;
        assert_int_equal(identify_parse(data, &bytes), -ENODEV);
        data[1] = 4; /* 1024 blocks */
        assert_int_equal(identify_parse(data, &bytes), -EIO);
        assert_int_equal(bytes, 7);
        data[128 + 2] = 9;
        assert_int_equal(identify_parse(data, &bytes), 0);
        assert_int_equal(bytes, 1024 * 512);
        data[26] = 0x10 | 1; /* format 1; bit 4 is of metadata */
        data[128 + 4 + 2] = 12;
        assert_int_equal(identify_parse(data, &bytes), 0);
        assert_int_equal(bytes, 1024 * 4096);
        data[26] = 0x60 | 15; /* format 63, the last */
        data[128 + 63 * 4 + 2] = 31;
        assert_int_equal(identify_parse(data, &bytes), 0);
        assert_int_equal(bytes, UINT64_C(1024) << 31);
        memset(data, 0xff, 8);
        assert_int_equal(identify_parse(data, &bytes), -EIO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(group_is_read_from_a_real_pv),
                cmocka_unit_test(disk_without_label_is_no_pv),
                cmocka_unit_test(broken_metadata_keeps_the_pv),
                cmocka_unit_test(naa_of_16_bytes_wins),
                cmocka_unit_test(text_names_are_cleaned),
                cmocka_unit_test(cut_pages_are_read_as_far_as_they_go),
                cmocka_unit_test(serial_is_trimmed_and_bounded),
                cmocka_unit_test(kernel_words_become_multipaths),
                cmocka_unit_test(wwids_never_climb),
                cmocka_unit_test(maps_of_a_lab_node),
                cmocka_unit_test(what_is_no_answer_is_refused),
                cmocka_unit_test(namespace_tells_its_size),
        };

        return cmocka_run_group_tests_name("multipath/parsers", tests, NULL, NULL);
}
