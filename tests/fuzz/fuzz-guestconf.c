/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disks of a guest from any bytes: what comes out are volume ids, each once, each found in the text. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <storaged/error.h>

#include "wire/guestconf.h"
#include "wire/volname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO(strlist_deinit) StrList disks = STRLIST_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = guestconf_disks((const char *) data, size, &disks);

        assert(r == 0 || r == -E2BIG);
        assert(disks.n <= GUESTCONF_DISKS_MAX);
        for (size_t i = 0; i < disks.n; i++) {
                char storage[STORAGE_ID_MAX];
                const char *volname;

                assert(volid_split(disks.items[i], storage, &volname, &err) == 0);
                assert(!str_has_control(disks.items[i]));
                assert(memmem(data, size, disks.items[i], strlen(disks.items[i])));
                for (size_t k = 0; k < i; k++)
                        assert(strcmp(disks.items[i], disks.items[k]) != 0);
        }
        return 0;
}
