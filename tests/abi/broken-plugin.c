/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plugins a host must refuse, one mistake each: -DBROKEN_wrong_abi, _too_small, _no_list, _no_entry, _bad_default. */
#include <errno.h>

#include <storaged/plugin.h>

static int broken_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                        STORAGED_ERR)
{
        (void) host;
        (void) config;
        (void) ret_self;
        return error_set(err, -EINVAL, "a broken plugin was started");
}

static void broken_stop(void *self)
{
        (void) self;
}

static int broken_activate(void *self, STORAGED_ERR)
{
        (void) self;
        (void) err;
        return 0;
}

static int broken_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        (void) self;
        (void) ret;
        (void) err;
        return 0;
}

#ifndef BROKEN_no_list
static int broken_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                       STORAGED_ERR)
{
        (void) self;
        (void) filter;
        (void) fn;
        (void) userdata;
        (void) err;
        return 0;
}
#endif

static int broken_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR)
{
        (void) self;
        (void) vol;
        (void) snap;
        (void) ret;
        (void) ret_size;
        (void) err;
        return 0;
}

static const struct storaged_property properties[] = { { 0 } };
static const struct storaged_feature_row features[] = { { 0 } };

static struct storaged_plugin broken_plugin = {
        .abi = STORAGED_PLUGIN_ABI,
        .size = sizeof(broken_plugin),
        .name = "broken",
        .version = "1",
        .summary = "Broken",
        .naming = STORAGED_NAMING_LVM,
        .contents = STORAGED_CONTENT_IMAGES,
        .default_contents = STORAGED_CONTENT_IMAGES,
        .formats = STORAGED_FORMAT_RAW,
#ifdef BROKEN_bad_default
        .default_format = STORAGED_FORMAT_QCOW2,
#else
        .default_format = STORAGED_FORMAT_RAW,
#endif
        .properties = properties,
        .features = features,
        .start = broken_start,
        .stop = broken_stop,
        .activate_storage = broken_activate,
        .status = broken_status,
#ifndef BROKEN_no_list
        .list = broken_list,
#endif
        .path = broken_path,
};

#ifdef BROKEN_no_entry
__attribute__((visibility("default"))) const void *some_other_symbol(void);
const void *some_other_symbol(void)
{
        return &broken_plugin;
}
#else
__attribute__((visibility("default"))) const struct storaged_plugin *storaged_plugin_entry(void)
{
#ifdef BROKEN_wrong_abi
        broken_plugin.abi = STORAGED_PLUGIN_ABI + 1;
#endif
#ifdef BROKEN_too_small
        broken_plugin.size = 64;
#endif
        return &broken_plugin;
}
#endif
