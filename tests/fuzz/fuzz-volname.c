/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume name from any bytes: the first byte picks the naming scheme. What parses is safe to build a path of. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/volname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_safe(const char *s)
{
        assert(s[0] != '/' && strcmp(s, "..") != 0 && strncmp(s, "../", 3) != 0);
        assert(!strstr(s, "/../") && !strstr(s, "//"));
        assert(strlen(s) < 3 || strcmp(s + strlen(s) - 3, "/..") != 0);
        for (; *s; s++)
                assert((unsigned char) *s >= 0x20 && *s != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char id[STORAGE_ID_MAX], disk[64], *name;
        struct storaged_volname v;
        const char *volname;

        if (size < 1)
                return 0;
        name = strndup((const char *) data + 1, size - 1);
        assert(name);
        if (volid_split(name, id, &volname, &err) == 0)
                assert(storage_id_is_valid(id, strlen(id)) && volname[0] != '\0' && volname[-1] == ':');
        if (volname_parse((enum storaged_naming)(data[0] % 10), name, &v, &err) == 0) {
                assert(strcmp(v.volname, name) == 0 && v.name[0] != '\0' && content_to_string(v.content) &&
                       v.format[0] != '\0');
                assert(strstr(v.volname, v.name) && strstr(v.volname, v.basename));
                assert(!v.basevmid == (v.basename[0] == '\0'));
                assert(!strchr(v.basename, '/') && !strchr(v.format, '/'));
                if (v.content == STORAGED_CONTENT_IMAGES)
                        assert(!strchr(v.name, '/'));
                check_safe(v.volname);
        } else {
                assert(err.code == -EINVAL && err.text[0] != '\0');
        }
        assert(volname_next_disk(100, "vm", "", (const char *const *) &name, 1, disk, sizeof(disk), &err) == 0);
        assert(strcmp(disk, name) != 0);
        free(name);
        return 0;
}
