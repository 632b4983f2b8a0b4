/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterfs/frame: headers of a broken peer, messages in pieces, between each other, of two senders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/frame.h"

static uint8_t packet[FRAME_PACKET_MAX];

static size_t make(FrameHeader h, uint8_t fill)
{
        h.version = h.version ? h.version : 1;
        h.min_version = h.min_version ? h.min_version : 1;
        h.type = h.type ? h.type : FRAME_CHANGE;
        frame_encode_header(&h, packet);
        memset(packet + FRAME_HEADER_SIZE, fill, h.length);
        return FRAME_HEADER_SIZE + h.length;
}

static void header_comes_back(void **state)
{
        FrameHeader h = { .version = 3,
                          .min_version = 2,
                          .type = FRAME_ACK,
                          .sender = 7,
                          .sequence = UINT64_MAX,
                          .term = 5,
                          .nonce = 6,
                          .n_parts = 1,
                          .total = 3,
                          .length = 3,
                          .flags = FRAME_FLAG_ACK };
        const uint8_t *piece = NULL;
        FrameHeader got;
        size_t len = make(h, 'x');

        (void) state;
        assert_int_equal(frame_decode(packet, len, &got, &piece), 0);
        assert_int_equal(got.version, 3);
        assert_int_equal(got.min_version, 2);
        assert_int_equal(got.type, FRAME_ACK);
        assert_int_equal(got.sender, 7);
        assert_true(got.sequence == UINT64_MAX && got.term == 5 && got.nonce == 6);
        assert_int_equal(got.flags, FRAME_FLAG_ACK);
        assert_ptr_equal(piece, packet + FRAME_HEADER_SIZE);
        assert_int_equal(packet[0], 'C'); /* little-endian on the wire */
}

static void header_that_contradicts_itself_is_refused(void **state)
{
        static const FrameHeader bad[] = {
                { .n_parts = 0, .total = 0 },
                { .n_parts = 1, .total = 4, .length = 3 },
                { .n_parts = 2, .part = 2, .total = 3, .length = 3 },
                { .n_parts = 2, .part = 0, .total = 10, .length = 5 },
                { .n_parts = 1, .total = FRAME_BODY_MAX + 1, .length = 0 },
                { .n_parts = 1, .min_version = 2, .version = 1 },
                { .n_parts = UINT32_MAX, .part = UINT32_MAX - 1, .total = 1, .length = 1 },
        };
        const uint8_t *piece;
        FrameHeader got;

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(frame_decode(packet, make(bad[i], 0), &got, &piece), -EPROTO);
}

static void every_shorter_packet_is_refused(void **state)
{
        size_t len = make((FrameHeader){ .n_parts = 1, .total = 9, .length = 9 }, 'x');
        const uint8_t *piece;
        FrameHeader got;

        (void) state;
        for (size_t i = 0; i < len; i++)
                assert_int_equal(frame_decode(packet, i, &got, &piece), -EPROTO);
        packet[0] = 'X';
        assert_int_equal(frame_decode(packet, len, &got, &piece), -EPROTO);
}

static void longer_header_of_a_later_version_is_passed_over(void **state)
{
        const uint8_t *piece = NULL;
        FrameHeader got;

        (void) state;
        (void) make((FrameHeader){ .version = 2, .n_parts = 1, .total = 2, .length = 2 }, 'y');
        memmove(packet + FRAME_HEADER_SIZE + 8, packet + FRAME_HEADER_SIZE, 2);
        packet[10] = FRAME_HEADER_SIZE + 8;
        assert_int_equal(frame_decode(packet, FRAME_HEADER_SIZE + 8 + 2, &got, &piece), 0);
        assert_memory_equal(piece, "yy", 2);
}

static int feed(FrameParts *p, uint32_t node, uint64_t sequence, uint32_t part, FrameMessage *m)
{
        FrameHeader h = { .sequence = sequence,
                          .part = part,
                          .n_parts = 3,
                          .total = 2 * FRAME_PIECE_MAX + 5,
                          .length = part == 2 ? 5 : FRAME_PIECE_MAX };

        return frame_parts_feed(p, node, 1, packet, make(h, (uint8_t) ('a' + part)), m);
}

static void pieces_of_several_messages_are_put_together(void **state)
{
        FrameParts *p = frame_parts_new();
        FrameMessage m = { 0 };

        (void) state;
        for (uint32_t part = 0; part < 3; part++)
                for (uint32_t node = 1; node <= 2; node++)
                        for (uint64_t sequence = 1; sequence <= 2; sequence++) {
                                assert_int_equal(feed(p, node, sequence, part, &m), part == 2);
                                if (part == 2) {
                                        assert_int_equal(m.len, 2 * FRAME_PIECE_MAX + 5);
                                        assert_int_equal(m.body[0], 'a');
                                        assert_int_equal(m.body[FRAME_PIECE_MAX], 'b');
                                        assert_int_equal(m.body[m.len - 1], 'c');
                                        free(m.owned);
                                }
                        }
        p = frame_parts_free(p);
}

static void message_with_a_hole_is_refused(void **state)
{
        FrameParts *p = frame_parts_new();
        FrameMessage m = { 0 };

        (void) state;
        assert_int_equal(feed(p, 1, 1, 0, &m), 0);
        assert_int_equal(feed(p, 1, 1, 2, &m), -EPROTO);
        assert_int_equal(feed(p, 1, 1, 1, &m), 0); /* its beginning is forgotten: passed over */
        assert_int_equal(feed(p, 1, 1, 2, &m), 0);
        p = frame_parts_free(p);
}

static void dropped_sender_does_not_continue(void **state)
{
        FrameParts *p = frame_parts_new();
        FrameMessage m = { 0 };

        (void) state;
        assert_int_equal(feed(p, 1, 1, 0, &m), 0);
        frame_parts_drop(p, 1, 1);
        assert_int_equal(feed(p, 1, 1, 1, &m), 0);
        assert_int_equal(feed(p, 1, 1, 2, &m), 0);
        p = frame_parts_free(p);
}

static void sender_can_not_hold_more_than_its_share(void **state)
{
        FrameParts *p = frame_parts_new();
        FrameMessage m = { 0 };
        int r = 0;

        (void) state;
        for (uint64_t i = 1; i < 100 && r == 0; i++)
                r = feed(p, 1, i, 0, &m);
        assert_int_equal(r, -EPROTO);
        assert_int_equal(feed(p, 2, 1, 0, &m), 0);
        p = frame_parts_free(p);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(header_comes_back),
                cmocka_unit_test(header_that_contradicts_itself_is_refused),
                cmocka_unit_test(every_shorter_packet_is_refused),
                cmocka_unit_test(longer_header_of_a_later_version_is_passed_over),
                cmocka_unit_test(pieces_of_several_messages_are_put_together),
                cmocka_unit_test(message_with_a_hole_is_refused),
                cmocka_unit_test(dropped_sender_does_not_continue),
                cmocka_unit_test(sender_can_not_hold_more_than_its_share),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
