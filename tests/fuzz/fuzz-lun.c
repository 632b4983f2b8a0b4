/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What disks, multipathd and the kernel say: the first byte picks the parser. What is accepted must be what its header
 * promises: names that are names, strings that end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "multipath/identify.c"
#include "multipath/lvmlabel.c"
#include "multipath/maps.c"
#include "multipath/sysfs.c"
#include "multipath/vpd.c"

#include "wire/uevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Disk {
        const uint8_t *data;
        size_t size;
} Disk;

static int read_disk(void *userdata, uint64_t offset, uint8_t *ret, size_t len)
{
        const Disk *d = userdata;

        if (offset >= d->size)
                return 0;
        if (len > d->size - offset)
                len = d->size - (size_t) offset;
        memcpy(ret, d->data + offset, len);
        return (int) len;
}

static void try_vpd(const uint8_t *data, size_t size)
{
        char serial[24], wwid[WWID_MAX], text[300];
        VpdIdentity id;

        if (vpd_parse_identity(data, size, &id) == 0 && strnlen(id.wwid, WWID_MAX) == WWID_MAX)
                abort();
        if (vpd_parse_serial(data, size, serial, sizeof(serial)) == 0 &&
            strnlen(serial, sizeof(serial)) == sizeof(serial))
                abort();
        memcpy(text, data, size < 299 ? size : 299);
        text[size < 299 ? size : 299] = '\0';
        if (vpd_wwid_from_sysfs(text, wwid, sizeof(wwid)) == 0 && strnlen(wwid, sizeof(wwid)) == sizeof(wwid))
                abort();
        (void) vpd_wwid_is_valid(text);
}

static void try_maps(const uint8_t *data, size_t size)
{
        MapList l = MAP_LIST_INIT;
        const Map *m;

        if (map_list_parse((const char *) data, size, &l) < 0)
                return;
        for (size_t i = 0; i < l.n; i++)
                if (!l.maps[i].wwid[0] || strchr(l.maps[i].dm, '/'))
                        abort();
        (void) map_list_find_path(&l, "sda", &m);
        map_list_deinit(&l);
}

static void try_label(const uint8_t *data, size_t size)
{
        Disk d = { data, size };
        LvmLabel l = { 0 };

        if (lvm_label_read(read_disk, &d, &l) == 0 && (strlen(l.pv_uuid) != 38 || strchr(l.vg, '/')))
                abort();
}

static void try_uevent(const uint8_t *data, size_t size)
{
        char *copy = malloc(size ? size : 1);
        Uevent e;

        memcpy(copy, data, size);
        if (uevent_parse(copy, size, &e) == 0 && (!*e.action || e.devpath[0] != '/' || strchr(e.name, '/')))
                abort();
        free(copy);
}

static void try_identify(const uint8_t *data, size_t size)
{
        uint8_t page[IDENTIFY_SIZE] = { 0 };
        uint64_t bytes = 0;

        memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
        if (identify_parse(page, &bytes) == 0 && (bytes == 0 || bytes % 512 != 0))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const parsers[])(const uint8_t *data, size_t size) = { try_vpd, try_maps, try_label, try_uevent,
                                                                             try_identify };

        if (size > 0)
                parsers[data[0] % 5](data + 1, size - 1);
        return 0;
}
