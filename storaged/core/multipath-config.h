/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * multipath.cfg and multipath-overrides.conf of the cluster: applied on this node whenever they change, and changed for
 * one LUN at a time. Nothing happens on a node while neither file exists and none was ever applied.
 */
#include "core/core.h"

typedef struct MultipathConfig MultipathConfig;

int multipath_config_new(MultipathConfig **ret, Core *c);
MultipathConfig *multipath_config_free(MultipathConfig *m);
DEFINE_CLEANUP(MultipathConfig *, multipath_config_free)

/* Looks at the files' times; applies what is new. Cheap: two stat() calls. */
void multipath_config_freshen(Core *c);
/* Another node has changed one of them: read anew, whatever the kernel remembers of its size and time. */
void multipath_config_changed(Core *c);
/* {"applied", "differences", "added", "pruned", "error"?}: how the last application ended; new reference or NULL. */
json_object *multipath_config_to_json(const Core *c);
/*
 * A LUN may be assembled on all nodes (alias NULL: none), or may not any more. fn is called once, after the former with
 * {"wwid", "seen": [node], "warnings"?: [text]}: one that no node sees is allowed, too, and that is said.
 */
void multipath_config_allow(Core *c, const char *wwid, const char *alias, bool allow, reply_fn fn, void *userdata);
