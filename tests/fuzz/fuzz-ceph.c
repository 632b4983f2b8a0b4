/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from a Ceph cluster or names one: the first byte picks the parser. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"
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
        } else {
                parse_header((const char *) data + 1, size - 1);
        }
        free(text);
        return 0;
}
