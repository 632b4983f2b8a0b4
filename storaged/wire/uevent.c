/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's messages about devices (lib/kobject_uevent.c): a header line and KEY=value lines, each ended by a NUL.
 * Those that udev sends on after its rules begin with "libudev" instead and are not ours: a device that hangs udev must
 * not keep its news from us.
 */
#include "wire/uevent.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

int uevent_parse(char *message, size_t len, Uevent *ret)
{
        Uevent e = { "", "", "", "", "", "", "", "", "" };
        const struct {
                const char *key;
                const char **value;
        } keys[] = { { "ACTION=", &e.action },
                     { "DEVPATH=", &e.devpath },
                     { "SUBSYSTEM=", &e.subsystem },
                     { "DM_ACTION=", &e.dm_action },
                     { "DM_NAME=", &e.dm_name },
                     { "DM_PATH=", &e.dm_path },
                     { "DM_NR_VALID_PATHS=", &e.dm_valid_paths },
                     { "SDEV_UA=", &e.attention } };
        const char *slash;
        size_t n;

        if (len < 4 || !memchr(message, '@', len))
                return -EINVAL;
        message[len - 1] = '\0';
        n = strlen(message) + 1;
        if (n >= len || !strchr(message, '@'))
                return -EINVAL;
        for (const char *at = message + n; at < message + len; at += strlen(at) + 1)
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                        const char *value = str_skip(at, keys[i].key);

                        if (value)
                                *keys[i].value = value;
                }
        if (!*e.action || e.devpath[0] != '/')
                return -EINVAL;
        slash = strrchr(e.devpath, '/');
        e.name = slash + 1;
        *ret = e;
        return 0;
}
