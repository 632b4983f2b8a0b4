/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin of the first contract: built with tests/abi/v1, whose struct ends behind `path`. Today's host has to load
 * it, use what it has and answer "not supported" for what came later. Two volumes that never change.
 */
#include <errno.h>

#include <storaged/plugin.h>

static int old_self;

static int old_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                     STORAGED_ERR)
{
        (void) config;
        (void) err;
        host->log(host->handle, STORAGED_LOG_INFO, "an old plugin on node %s", host->node);
        *ret_self = &old_self;
        return 0;
}

static void old_stop(void *self)
{
        (void) self;
}

static int old_activate_storage(void *self, STORAGED_ERR)
{
        (void) err;
        return self == &old_self ? 0 : -EINVAL;
}

static int old_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        (void) self;
        (void) err;
        ret->is_active = true;
        ret->total_bytes = 3000;
        ret->avail_bytes = 1000;
        ret->used_bytes = 2000;
        return 0;
}

static int old_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                    STORAGED_ERR)
{
        static const char *const names[] = { "vm-100-disk-1", "vm-100-disk-0" };

        (void) self;
        (void) filter;
        (void) err;
        for (int i = 0; i < 2; i++) {
                struct storaged_volume row = {
                        .size = sizeof(row),
                        .content = STORAGED_CONTENT_IMAGES,
                        .volname = names[i],
                        .format = "raw",
                        .bytes = 1024,
                        .used_bytes = STORAGED_SIZE_UNKNOWN,
                        .vmid = 100,
                };
                int r = fn(userdata, &row);

                if (r != 0)
                        return r;
        }
        return 0;
}

static int old_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR)
{
        (void) self;
        (void) snap;
        (void) err;
        (void) snprintf(ret, ret_size, "/dev/old/%s", vol->name);
        return 0;
}

static const struct storaged_property properties[] = { { .name = "content" }, { 0 } };
static const struct storaged_feature_row features[] = { { .format = "raw" }, { 0 } };

static struct storaged_plugin old_plugin = {
        .name = "old",
        .version = "0.1",
        .summary = "Built with the first contract",
        .naming = STORAGED_NAMING_LVM,
        .contents = STORAGED_CONTENT_IMAGES,
        .default_contents = STORAGED_CONTENT_IMAGES,
        .formats = STORAGED_FORMAT_RAW,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = features,
        .start = old_start,
        .stop = old_stop,
        .activate_storage = old_activate_storage,
        .status = old_status,
        .list = old_list,
        .path = old_path,
};

STORAGED_REGISTER(old_plugin)
