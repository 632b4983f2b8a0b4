/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a VG has changed, from the bytes of a physical volume: recorded ones (tests/data/san), and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common-lvm/mda.c"

#include "base/fs.h"

#define PV_BYTES 8192u /* label and the head of the metadata area at 4096, as pvcreate of LVM 2.03.16 leaves them */

static unsigned char pv[PV_BYTES];

static int load(void **state)
{
        AUTO(freep) char *text = NULL;
        size_t n = 0;

        (void) state;
        assert_int_equal(fs_read_file("tests/data/san/pv.bin", 65536, &text, &n), 0);
        assert_true(n >= sizeof(pv));
        memcpy(pv, text, sizeof(pv));
        return 0;
}

static void a_real_one_is_read(void **state)
{
        MdaLocation location = { 0 };
        MdaLabel label;

        (void) state;
        assert_int_equal(mda_parse_label(pv, MDA_LABEL_BYTES, &label), 0);
        assert_int_equal(strlen(label.pv_uuid), 32);
        assert_int_equal(label.n_areas, 1);
        assert_int_equal(label.offset[0], 4096);
        assert_int_equal(mda_parse_header(pv + 4096, MDA_HEADER_BYTES, &location), 0);
        assert_true(location.offset >= 512 && location.size > 100);
}

static void what_is_no_pv_is_refused(void **state)
{
        unsigned char zeroes[MDA_LABEL_BYTES] = { 0 };
        MdaLocation location = { 0 };
        MdaLabel label;

        (void) state;
        assert_int_equal(mda_parse_label(zeroes, sizeof(zeroes), &label), -EBADMSG);
        assert_int_equal(mda_parse_header(zeroes, sizeof(zeroes), &location), -EBADMSG);
        assert_int_equal(mda_parse_label(pv, 100, &label), -EBADMSG);
        assert_int_equal(mda_parse_header(pv + 4096, 100, &location), -EBADMSG);
        pv[4096 + 20] = 9; /* another version of the header may mean anything */
        assert_int_equal(mda_parse_header(pv + 4096, MDA_HEADER_BYTES, &location), -EBADMSG);
}

/* Lists of areas that never end, too many areas, offsets out of this world. */
static void broken_labels_are_refused(void **state)
{
        unsigned char *areas = pv + 512 + 32 + 40;
        MdaLabel label;

        (void) state;
        for (size_t i = 0; i < 27; i++)
                memcpy(areas + 16 * i, &(uint64_t){ htole64(4096) }, 8);
        assert_int_equal(mda_parse_label(pv, MDA_LABEL_BYTES, &label), -EBADMSG);
        load(NULL);
        memcpy(pv + 512 + 20, &(uint32_t){ htole32(511) }, 4);
        assert_int_equal(mda_parse_label(pv, MDA_LABEL_BYTES, &label), -EBADMSG);
        load(NULL);
        memcpy(areas + 32, &(uint64_t){ htole64(UINT64_MAX - 511) }, 8);
        assert_int_equal(mda_parse_label(pv, MDA_LABEL_BYTES, &label), -EBADMSG);
}

static void every_commit_shows(void **state)
{
        MdaState a = { .label = { .n_areas = 1, .offset = { 4096 } } }, b;

        (void) state;
        assert_int_equal(mda_parse_header(pv + 4096, MDA_HEADER_BYTES, &a.locations[0]), 0);
        b = a;
        assert_true(mda_state_equal(&a, &b));
        b.locations[0].offset += 512;
        assert_false(mda_state_equal(&a, &b));
        b = a;
        b.locations[0].checksum ^= 1;
        assert_false(mda_state_equal(&a, &b));
        b = a;
        b.label.pv_uuid[5] ^= 1; /* another LUN under the same name */
        assert_false(mda_state_equal(&a, &b));
}

/* A device that can't be read is no answer; a file that is none neither. */
static void what_cannot_be_read_is_an_error(void **state)
{
        MdaState s;

        (void) state;
        assert_int_equal(mda_read("/nonexistent", &s), -ENOENT);
        assert_true(mda_read("/dev/null", &s) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(a_real_one_is_read, load),
                cmocka_unit_test_setup(what_is_no_pv_is_refused, load),
                cmocka_unit_test_setup(broken_labels_are_refused, load),
                cmocka_unit_test_setup(every_commit_shows, load),
                cmocka_unit_test_setup(what_cannot_be_read_is_an_error, load),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
