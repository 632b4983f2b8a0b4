/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A list of volumes being read by export and copy. Short: one entry a running task. */
#include "core/volume-use.h"

#include <stdlib.h>

struct VolumeUse {
        VolumeUse *next;
        Core *core;
        char *storage, *volname, *what;
};

int volume_use_begin(Core *c, const char *storage, const char *volname, const char *what, VolumeUse **ret)
{
        VolumeUse *u = calloc(1, sizeof(*u));

        if (!u)
                return -ENOMEM;
        u->core = c;
        u->storage = strdup(storage);
        u->volname = strdup(volname);
        u->what = strdup(what);
        u->next = c->uses;
        c->uses = u;
        if (!u->storage || !u->volname || !u->what) {
                (void) volume_use_end(u);
                return -ENOMEM;
        }
        *ret = u;
        return 0;
}

VolumeUse *volume_use_end(VolumeUse *u)
{
        if (!u)
                return NULL;
        for (VolumeUse **i = &u->core->uses; *i; i = &(*i)->next)
                if (*i == u) {
                        *i = u->next;
                        break;
                }
        free(u->storage);
        free(u->volname);
        free(u->what);
        free(u);
        return NULL;
}

int volume_use_check(Core *c, const char *storage, const char *volname, struct storaged_error *err)
{
        for (VolumeUse *u = c->uses; u; u = u->next)
                if (str_eq(u->storage, storage) && str_eq(u->volname, volname))
                        return error_set(err, -EBUSY,
                                         "volume '%s:%s' is being read by %s; wait until it is done, or stop it",
                                         storage, volname, u->what);
        return 0;
}
