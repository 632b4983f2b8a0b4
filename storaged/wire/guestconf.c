/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's configuration is lines of `key: value` up to the first `[section]`; those behind it describe snapshots. A
 * disk's value is `VOLID,option=value,…`, where the volume may also be written as `file=VOLID` (containers:
 * `volume=VOLID`) and stand anywhere. No key means a disk for one kind of guest and something else for the other.
 */
#include "wire/guestconf.h"

#include <errno.h>
#include <string.h>

#include <storaged/error.h>

#include "wire/json.h"
#include "wire/volname.h"

typedef struct Text {
        const char *p;
        size_t len;
} Text;

static const struct {
        const char *name;
        bool is_numbered;
} buses[] = {
        { "scsi", true },      { "virtio", true },     { "sata", true }, { "ide", true },
        { "efidisk0", false }, { "tpmstate0", false }, { "mp", true },   { "rootfs", false },
};

static Text trim(Text t)
{
        while (t.len > 0 && (t.p[0] == ' ' || t.p[0] == '\t'))
                t = (Text){ t.p + 1, t.len - 1 };
        while (t.len > 0 && strchr(" \t\r", t.p[t.len - 1]))
                t.len--;
        return t;
}

/* Cuts up to `c` (or all) off `rest`. */
static Text cut(Text *rest, char c)
{
        const char *end = memchr(rest->p, c, rest->len);
        Text t = { rest->p, end ? (size_t) (end - rest->p) : rest->len };

        *rest = end ? (Text){ end + 1, rest->len - t.len - 1 } : (Text){ rest->p + rest->len, 0 };
        return t;
}

static bool begins(Text t, const char *prefix, Text *ret_rest)
{
        size_t n = strlen(prefix);

        if (t.len < n || memcmp(t.p, prefix, n) != 0)
                return false;
        *ret_rest = (Text){ t.p + n, t.len - n };
        return true;
}

static bool is_disk(Text key)
{
        for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
                Text rest;
                size_t n = 0;

                if (!begins(key, buses[i].name, &rest))
                        continue;
                while (n < rest.len && rest.p[n] >= '0' && rest.p[n] <= '9')
                        n++;
                if (n == rest.len && (buses[i].is_numbered ? n > 0 && n <= 3 : n == 0))
                        return true;
        }
        return false;
}

static int add_disk(Text value, StrList *ret)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char volid[STORAGE_ID_MAX + STORAGED_VOLNAME_MAX + 1], storage[STORAGE_ID_MAX];
        const char *volname;
        Text volume = { NULL, 0 };

        for (bool is_first = true; value.len > 0; is_first = false) {
                Text option = trim(cut(&value, ',')), rest;

                if (begins(option, "media=", &rest) && rest.len == 5 && memcmp(rest.p, "cdrom", 5) == 0)
                        return 0;
                if (begins(option, "file=", &rest) || begins(option, "volume=", &rest))
                        volume = rest;
                else if (is_first && !memchr(option.p, '=', option.len))
                        volume = option;
        }
        if (volume.len == 0 || volume.len >= sizeof(volid) || memchr(volume.p, '\0', volume.len))
                return 0;
        (void) memcpy(volid, volume.p, volume.len);
        volid[volume.len] = '\0';
        if (!json_is_utf8(volid, volume.len) || str_has_control(volid) ||
            volid_split(volid, storage, &volname, &err) < 0 || strlist_has(ret, volid))
                return 0;
        return ret->n >= GUESTCONF_DISKS_MAX ? -E2BIG : strlist_adds(ret, volid);
}

int guestconf_disks(const char *text, size_t len, StrList *ret)
{
        Text rest = { text, len };

        while (rest.len > 0) {
                Text line = trim(cut(&rest, '\n')), key;
                int r;

                if (line.len == 0 || line.p[0] == '#')
                        continue;
                if (line.p[0] == '[')
                        break;
                key = trim(cut(&line, ':'));
                if (!is_disk(key))
                        continue;
                r = add_disk(trim(line), ret);
                if (r < 0)
                        return r;
        }
        return 0;
}
