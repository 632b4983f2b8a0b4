/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The LUNs of this node by WWID, as the plugin `multipath` finds them. Known from the last look; the kernel's events
 * say when that is no longer worth anything, and then the next who asks waits for a new one. A worker looks, never the
 * daemon.
 */
#include "core/core.h"

typedef struct Luns Luns;

int luns_new(Luns **ret, Core *c);
Luns *luns_free(Luns *l);
DEFINE_CLEANUP(Luns *, luns_free)

enum luns_flags {
        LUNS_FRESH =
                1 << 0, /* also what is on them, whatever the kernel has said: before something is made or removed */
};

/*
 * {"luns": [LUN…], "ports": […], "multipathd": {"running", "error"?}, "age": ms, "stale"?: why it could not be made
 * anew}. docs/luns.md tells what a LUN has. `fn` is called once, maybe before this returns.
 */
void luns_query(Core *c, unsigned flags, reply_fn fn, void *userdata);
/* Of the last look, without waiting: borrowed, NULL if there is none. */
json_object *luns_find(const Core *c, const char *wwid);
/* The LUN of that WWID in an answer of luns_query() or of another node's; borrowed or NULL. */
json_object *luns_find_in(json_object *inventory, const char *wwid);
/* Something was done to LUNs here: the next look is a new one, all of `names` (kernel names, blanks between) included.
 */
void luns_touch(Core *c, const char *names);
