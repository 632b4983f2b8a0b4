/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterfs/handle, outbox, handover: what is published of what was written; lanes and window of the send queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/handle.h"
#include "clusterfs/handover.h"
#include "clusterfs/outbox.h"

static Handle *open_text(const char *text)
{
        Content *c = content_new(strlen(text));
        Handle *h;

        memcpy(c->data, text, strlen(text));
        h = handle_new(9, c, 1);
        (void) content_unref(c);
        return h;
}

static void write_text(Handle *h, uint64_t offset, const char *text)
{
        assert_int_equal(handle_write(h, offset, text, strlen(text)), 0);
}

/* Two changes under way, and then the first turns out to have gone to nobody. */
static void what_was_refused_is_published_again(void **state)
{
        Handle *h = open_text("abcdef");
        StrBuf a = STRBUF_INIT, b = STRBUF_INIT, c = STRBUF_INIT;
        Op op;

        (void) state;
        assert_false(handle_take_back(h));
        write_text(h, 0, "A");
        assert_int_equal(handle_publish(h, 1, &a, &op), 0);
        write_text(h, 4, "E");
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_false(handle_has_changes(h));
        assert_true(handle_take_back(h));
        assert_false(handle_take_back(h));
        assert_int_equal(handle_publish(h, 1, &c, &op), 0);
        assert_int_equal(op.n_extents, 2);
        assert_int_equal(op.data_len, 2);
        strbuf_deinit(&a);
        strbuf_deinit(&b);
        strbuf_deinit(&c);
        h = handle_unref(h);
}

static void an_append_that_was_refused_is_published_again(void **state)
{
        Handle *h = open_text("abc");
        StrBuf a = STRBUF_INIT, b = STRBUF_INIT;
        Op op;

        (void) state;
        h->is_append = true;
        write_text(h, 0, "d");
        assert_int_equal(handle_publish(h, 1, &a, &op), 0);
        write_text(h, 0, "e");
        assert_true(handle_take_back(h));
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_int_equal(op.flags, OP_APPEND);
        assert_int_equal(op.data_len, 2);
        assert_memory_equal(op.data, "de", 2);
        strbuf_deinit(&a);
        strbuf_deinit(&b);
        h = handle_unref(h);
}

static void a_whole_content_made_of_the_old_is_not_taken_back(void **state)
{
        Handle *h = open_text("abc");
        StrBuf a = STRBUF_INIT;
        Op op;

        (void) state;
        assert_int_equal(handle_truncate(h, 2), 0);
        assert_int_equal(handle_publish(h, 1, &a, &op), 0);
        assert_false(handle_take_back(h));
        strbuf_deinit(&a);
        h = handle_unref(h);
}

static void unchanged_handle_publishes_nothing(void **state)
{
        Handle *h = open_text("abc");
        StrBuf b = STRBUF_INIT;
        Op op;

        (void) state;
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_int_equal(op.type, 0);
        h = handle_unref(h);
}

static void writes_become_extents(void **state)
{
        Handle *h = open_text("0123456789");
        StrBuf b = STRBUF_INIT;
        const uint8_t *p = NULL;
        Op op;

        (void) state;
        write_text(h, 2, "ab");
        write_text(h, 8, "xyz");
        write_text(h, 4, "c"); /* touches the first */
        assert_int_equal(handle_read(h, 0, 100, &p), 11);
        assert_memory_equal(p, "01abc567xyz", 11);
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_int_equal(op.type, OP_WRITE);
        assert_int_equal(op.flags, 0);
        assert_int_equal(op.n_extents, 2);
        assert_int_equal(op.data_len, 6);
        assert_false(handle_has_changes(h));
        strbuf_deinit(&b);
        h = handle_unref(h);
}

static void too_many_places_publish_the_whole(void **state)
{
        Handle *h = open_text("");
        StrBuf b = STRBUF_INIT;
        Op op;

        (void) state;
        for (uint64_t i = 0; i <= OP_EXTENTS_MAX; i++)
                write_text(h, i * 10, "x");
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_int_equal(op.flags, OP_REPLACE);
        assert_int_equal(op.data_len, OP_EXTENTS_MAX * 10 + 1);
        strbuf_deinit(&b);
        h = handle_unref(h);
}

static void appends_publish_the_tail_only(void **state)
{
        Handle *h = open_text("abc");
        Content *published = content_new(5);
        StrBuf b = STRBUF_INIT;
        Op op;

        (void) state;
        h->is_append = true;
        write_text(h, 0, "de");
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_int_equal(op.flags, OP_APPEND);
        assert_int_equal(op.data_len, 2);
        strbuf_deinit(&b);
        memcpy(published->data, "abcde", 5);
        handle_published(h, published);
        write_text(h, 0, "f");
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        assert_int_equal(op.data_len, 1);
        assert_int_equal(op.data[0], 'f');
        strbuf_deinit(&b);
        (void) content_unref(published);
        h = handle_unref(h);
}

static void too_large_is_refused_and_changes_nothing(void **state)
{
        Handle *h = open_text("abc");

        (void) state;
        assert_int_equal(handle_write(h, OP_FILE_MAX, "x", 1), -EFBIG);
        assert_int_equal(handle_write(h, UINT64_MAX, "x", 1), -EFBIG);
        assert_int_equal(handle_truncate(h, OP_FILE_MAX + 1), -EFBIG);
        assert_int_equal(handle_size(h), 3);
        assert_false(handle_has_changes(h));
        assert_int_equal(handle_write(h, OP_FILE_MAX - 1, "x", 1), 0);
        h = handle_unref(h);
}

static void what_is_written_while_publishing_is_kept(void **state)
{
        Handle *h = open_text("abc");
        Content *published = content_new(0);
        const uint8_t *p = NULL;
        StrBuf b = STRBUF_INIT;
        Op op;

        (void) state;
        write_text(h, 0, "x");
        assert_int_equal(handle_publish(h, 1, &b, &op), 0);
        write_text(h, 1, "y");
        handle_published(h, published);
        assert_int_equal(handle_read(h, 0, 9, &p), 3);
        assert_memory_equal(p, "xyc", 3);
        assert_true(handle_has_changes(h));
        strbuf_deinit(&b);
        (void) content_unref(published);
        h = handle_unref(h);
}

/* --- outbox --- */

static uint64_t sent[256];
static size_t n_sent;
static int send_result;

static int record(void *userdata, const void *header, size_t header_len, const void *data, size_t len)
{
        const uint8_t *piece;
        static uint8_t packet[FRAME_PACKET_MAX];
        FrameHeader h;

        (void) userdata;
        if (send_result < 0)
                return send_result;
        memcpy(packet, header, header_len);
        if (len)
                memcpy(packet + header_len, data, len);
        assert_int_equal(frame_decode(packet, header_len + len, &h, &piece), 0);
        sent[n_sent++] = h.sequence;
        return 0;
}

static void add(Outbox *o, uint64_t sequence, size_t len, bool bulk)
{
        FrameHeader h = { .version = 1, .min_version = 1, .type = FRAME_CHANGE, .sequence = sequence };
        StrBuf b = STRBUF_INIT;

        b.data = calloc(1, len + 1);
        b.len = len;
        assert_int_equal(outbox_add(o, &h, &b, bulk), 0);
        assert_null(b.data);
}

static void small_messages_pass_large_ones(void **state)
{
        Outbox *o = outbox_new(record, NULL);

        (void) state;
        n_sent = 0;
        add(o, 1, 20 * FRAME_PIECE_MAX, false);
        add(o, 2, 10, false);
        assert_int_equal(outbox_pump(o), 0);
        assert_true(sent[0] == 2);
        assert_int_equal(n_sent, 1 + OUTBOX_WINDOW); /* the others wait until these have come back */
        add(o, 3, 10, false);
        assert_int_equal(outbox_pump(o), 0);
        assert_true(sent[n_sent - 1] == 3);
        outbox_delivered(o);
        assert_int_equal(outbox_pump(o), 0);
        assert_true(sent[n_sent - 1] == 1);
        o = outbox_free(o);
}

static void a_stream_and_a_large_change_take_turns(void **state)
{
        Outbox *o = outbox_new(record, NULL);
        size_t of_change = 0;

        (void) state;
        n_sent = 0;
        add(o, 1, 40 * FRAME_PIECE_MAX, true);
        add(o, 2, 5 * FRAME_PIECE_MAX, false);
        for (int i = 0; i < 12; i++) {
                assert_int_equal(outbox_pump(o), 0);
                outbox_delivered(o);
        }
        for (size_t i = 0; i < n_sent; i++)
                of_change += sent[i] == 2;
        assert_int_equal(of_change, 5);
        o = outbox_free(o);
}

static void a_full_transport_is_tried_again(void **state)
{
        Outbox *o = outbox_new(record, NULL);

        (void) state;
        n_sent = 0;
        add(o, 1, 10, false);
        send_result = -EAGAIN;
        assert_int_equal(outbox_pump(o), -EAGAIN);
        send_result = 0;
        assert_int_equal(outbox_pump(o), 0);
        assert_int_equal(n_sent, 1);
        o = outbox_free(o);
}

static void config_versions(void **state)
{
        static const struct {
                const char *text;
                uint64_t version;
        } cases[] = {
                { "totem {\n  config_version: 12\n}\n", 12 },
                { "config_version:7", 7 },
                { "\tconfig_version : 3 \r\n", 3 },
                { "", 0 },
                { "config_version: x\n", 0 },
                { "# config_version: 9\n", 0 },
                { "my_config_version: 4\n", 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_true(handover_config_version(cases[i].text, strlen(cases[i].text)) == cases[i].version);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(unchanged_handle_publishes_nothing),
                cmocka_unit_test(what_was_refused_is_published_again),
                cmocka_unit_test(an_append_that_was_refused_is_published_again),
                cmocka_unit_test(a_whole_content_made_of_the_old_is_not_taken_back),
                cmocka_unit_test(writes_become_extents),
                cmocka_unit_test(too_many_places_publish_the_whole),
                cmocka_unit_test(appends_publish_the_tail_only),
                cmocka_unit_test(too_large_is_refused_and_changes_nothing),
                cmocka_unit_test(what_is_written_while_publishing_is_kept),
                cmocka_unit_test(small_messages_pass_large_ones),
                cmocka_unit_test(a_stream_and_a_large_change_take_turns),
                cmocka_unit_test(a_full_transport_is_tried_again),
                cmocka_unit_test(config_versions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
