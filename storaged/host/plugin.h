/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One plugin, loaded from a shared object and checked before anything in it is believed. */
#include <stdbool.h>
#include <stddef.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <storaged/plugin.h>

typedef struct Plugin {
        char *path;
        struct storaged_plugin ops; /* our copy: members its build did not know are zero */
} Plugin;

/*
 * Loads the shared object at an absolute path. -EPROTONOSUPPORT: built for another contract; -EINVAL: not
 * usable, `err` names what is missing; -EPERM: a file that others may write. It is never unloaded.
 */
int plugin_load(const char *path, Plugin **ret, struct storaged_error *err);
/* Frees the record; the code stays mapped, since libraries it brought may have threads and exit handlers in it. */
Plugin *plugin_free(Plugin *p);
DEFINE_CLEANUP(Plugin *, plugin_free)

/* An operation of the contract by the name it has in calls and self-descriptions. */
typedef struct PluginOperation {
        const char *name;
        size_t offset; /* of the function pointer in struct storaged_plugin */
        bool is_required;
        bool is_shown; /* in `operations` of the self-description */
} PluginOperation;

/* All, in the order of the contract; name NULL ends. */
extern const PluginOperation plugin_operations[];
bool plugin_has(const struct storaged_plugin *ops, const PluginOperation *operation);
