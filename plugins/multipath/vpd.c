/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vital product data. A LUN names itself by several designators; the one to take is the one that scsi_id and
 * multipathd take, or the same LUN would have two names on one node: NAA of 16 bytes before NAA of 8, EUI-64, a SCSI
 * name, T10 vendor, vendor specific. Lengths are those the device tells, so each is held against what is there.
 */
#include "multipath/vpd.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
        ASSOCIATION_LUN = 0,
        ASSOCIATION_PORT = 1,
        DESIGNATOR_VENDOR = 0,
        DESIGNATOR_T10 = 1,
        DESIGNATOR_EUI = 2,
        DESIGNATOR_NAA = 3,
        DESIGNATOR_PORT = 4,
        DESIGNATOR_PORT_GROUP = 5,
        DESIGNATOR_NAME = 8,
};

typedef struct Designator {
        unsigned code_set, association, type, len;
        const uint8_t *data;
} Designator;

/* How much we like it as a name; 0: not at all. */
static int designator_rank(const Designator *d)
{
        if (d->association != ASSOCIATION_LUN || d->len == 0)
                return 0;
        switch (d->type) {
        case DESIGNATOR_NAA:
                return d->len == 16 ? 6 : 5;
        case DESIGNATOR_EUI:
                return 4;
        case DESIGNATOR_NAME:
                return 3;
        case DESIGNATOR_T10:
                return 2;
        case DESIGNATOR_VENDOR:
                return 1;
        default:
                return 0;
        }
}

/* Text as udev writes it: a run of blanks is one underscore, none at the ends, nothing unprintable. */
static size_t put_text(char *to, size_t size, const uint8_t *from, size_t len)
{
        bool is_gap = false;
        size_t n = 0;

        for (size_t i = 0; i < len && from[i] != '\0'; i++) {
                if (isspace(from[i])) {
                        is_gap = n > 0;
                        continue;
                }
                if (n + 2 >= size)
                        break;
                if (is_gap)
                        to[n++] = '_';
                is_gap = false;
                to[n++] = isgraph(from[i]) && from[i] != '/' ? (char) from[i] : '_';
        }
        to[n] = '\0';
        return n;
}

static void put_designator(const Designator *d, char ret[static WWID_MAX])
{
        size_t n = 0;

        ret[n++] = (char) ('0' + d->type);
        if (d->type == DESIGNATOR_NAA || d->type == DESIGNATOR_EUI || d->code_set == 1) {
                for (unsigned i = 0; i < d->len && n + 3 < WWID_MAX; i++)
                        n += (size_t) snprintf(ret + n, WWID_MAX - n, "%02x", d->data[i]);
        } else if (put_text(ret + n, WWID_MAX - n, d->data, d->len) == 0) {
                ret[0] = '\0';
        }
}

static int get_u16(const Designator *d)
{
        return d->len >= 4 ? d->data[2] << 8 | d->data[3] : -1;
}

int vpd_parse_identity(const uint8_t *page, size_t len, VpdIdentity *ret)
{
        VpdIdentity v = { .port_group = -1, .port = -1 };
        int best = 0;
        size_t end;

        if (len < 4 || page[1] != 0x83)
                return -EINVAL;
        end = 4 + ((size_t) page[2] << 8 | page[3]);
        if (end > len)
                end = len;
        for (size_t at = 4; at + 4 <= end; at += 4u + page[at + 3]) {
                Designator d = { page[at] & 15u, page[at + 1] >> 4 & 3u, page[at + 1] & 15u, page[at + 3],
                                 page + at + 4 };
                int rank;

                if (at + 4 + d.len > end)
                        break;
                rank = designator_rank(&d);
                if (rank > best) {
                        best = rank;
                        put_designator(&d, v.wwid);
                }
                if (d.association == ASSOCIATION_PORT && d.type == DESIGNATOR_PORT)
                        v.port = get_u16(&d);
                if (d.association == ASSOCIATION_PORT && d.type == DESIGNATOR_PORT_GROUP)
                        v.port_group = get_u16(&d);
        }
        *ret = v;
        return 0;
}

int vpd_parse_serial(const uint8_t *page, size_t len, char *ret, size_t size)
{
        size_t n;

        if (len < 4 || page[1] != 0x80 || size == 0)
                return -EINVAL;
        n = (size_t) page[2] << 8 | page[3];
        if (n > len - 4)
                n = len - 4;
        (void) put_text(ret, size, page + 4, n);
        return 0;
}

int vpd_wwid_from_sysfs(const char *text, char *ret, size_t size)
{
        static const struct {
                const char *prefix;
                char digit;
        } kinds[] = { { "naa.", '3' }, { "eui.", '2' }, { "t10.", '1' } };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strncasecmp(text, kinds[i].prefix, 4) == 0 && text[4] && size >= 4) {
                        ret[0] = kinds[i].digit;
                        (void) put_text(ret + 1, size - 1, (const uint8_t *) text + 4, strlen(text + 4));
                        return 0;
                }
        return -EINVAL;
}

int vpd_wwid_is_valid(const char *wwid)
{
        size_t n = 0;

        for (; wwid[n]; n++)
                if (!isgraph((unsigned char) wwid[n]) || wwid[n] == '/' || wwid[n] == '"')
                        return false;
        return n > 0 && n < WWID_MAX && wwid[0] != '.' && wwid[0] != '-';
}
