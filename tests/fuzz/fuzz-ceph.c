/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from a Ceph cluster or names one: the first byte picks the parser. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"
#include "common-ceph/ceph-fence.h"
#include "common-ceph/ceph-keyring.h"
#include "rbd/diff.c"
#include "rbd/header-parse.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_header(const char *data, size_t n)
{
        ImageHeader h = { 0 };
        uint64_t bytes;
        char text[256];

        (void) header_parse_size(data, n, &bytes);
        if (header_parse_parent(data, n, &h) == 0)
                assert(strlen(h.parent_id) < sizeof(h.parent_id));
        if (header_parse_string(data, n, text, sizeof(text)) == 0)
                assert(strlen(text) < sizeof(text));
}

struct text {
        const uint8_t *at;
        size_t n;
};

static int read_text(void *userdata, void *to, size_t n)
{
        struct text *t = userdata;

        if (t->n < n)
                return -1;
        memcpy(to, t->at, n);
        t->at += n;
        t->n -= n;
        return 0;
}

static void parse_difference(const uint8_t *data, size_t n)
{
        struct text t = { data, n };
        DiffRecord d;
        char head[DIFF_HEAD_MAX];

        while (diff_read(read_text, &t, 1 << 20, &d) == 0) {
                assert(d.tag == DIFF_SIZE || (d.offset <= 1 << 20 && d.length <= (1 << 20) - d.offset));
                assert(diff_write(&d, head) <= sizeof(head));
        }
}

static void parse_words(const char *text)
{
        char ip[CEPH_ADDRESS_MAX], key[CEPH_KEY_MAX];
        unsigned char bytes[16];
        int64_t made;

        if (ceph_address_ip(text, ip) == 0)
                assert(strlen(ip) < sizeof(ip));
        (void) ceph_fence_time(text, &made);
        (void) ceph_keyring_find(text, "a", key, sizeof(key));
        assert(ceph_keyring_decode(text, bytes, sizeof(bytes)) <= (int) sizeof(bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CephMonitors m;
        char *text;

        if (size < 1)
                return 0;
        text = strndup((const char *) data + 1, size - 1);
        assert(text);
        if (data[0] == 'm') {
                ceph_monitors_parse(text, &m);
                assert(m.n <= CEPH_MONITORS_MAX);
                for (size_t i = 0; i < m.n; i++)
                        assert(m.items[i].n_addresses >= 1 && m.items[i].n_addresses <= 2);
        } else if (data[0] == 'j') {
                AUTO(ceph_jsonp) json_object *o = ceph_mon_parse((const char *) data + 1, size - 1);

                (void) ceph_json_uint(o, "pools.stats.stored");
                (void) ceph_json_text(ceph_json_find(o, "name", "x"), "name");
        } else if (data[0] == 'd') {
                parse_difference(data + 1, size - 1);
        } else if (data[0] == 'w') {
                parse_words(text);
        } else {
                parse_header((const char *) data + 1, size - 1);
        }
        free(text);
        return 0;
}
