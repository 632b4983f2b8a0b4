/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The action `inventory`. The daemon keeps one worker for it, so what was read of disks is kept here between calls; any
 * other worker that needs to know a LUN makes it from nothing. With --root, a tree DIR/sys stands in for /sys and
 * DIR/run/multipath-maps.json for multipathd: recorded ones, for tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "multipath/actions.h"
#include "multipath/daemon.h"
#include "multipath/js.h"

#define MAPS_TIMEOUT_MS 4000
#define TEXT_MAX (16u << 20)

static Inventory inventory;

static int recorded(const struct storaged_host *host, const char *name, int flags)
{
        char path[PATH_MAX];

        if (!host->root[0])
                return -ENOENT;
        (void) snprintf(path, sizeof(path), "%s/%s", host->root, name);
        return open(path, flags | O_RDONLY | O_CLOEXEC);
}

int act_open_sys(const struct storaged_host *host)
{
        int fd = recorded(host, "sys", O_DIRECTORY);

        return fd >= 0 ? fd : open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static char *read_all(int fd)
{
        char *text = NULL;
        size_t len = 0, size = 0;

        for (;;) {
                ssize_t n;

                if (len + 1 >= size) {
                        char *more = size < TEXT_MAX ? realloc(text, size ? size * 2 : 8192) : NULL;

                        if (!more)
                                break;
                        text = more;
                        size = size ? size * 2 : 8192;
                }
                n = read(fd, text + len, size - len - 1);
                if (n <= 0)
                        break;
                len += (size_t) n;
        }
        if (text)
                text[len] = '\0';
        return text;
}

/* multipathd's maps; without multipathd there are none, and `err` says why. */
static int read_maps(const struct storaged_host *host, MapList *ret, struct storaged_error *err)
{
        AUTO(closep) int fd = recorded(host, "run/multipath-maps.json", 0);
        AUTO(freep) char *text = fd >= 0 ? read_all(fd) : NULL;
        int r = text ? 0 : daemon_ask("show maps json", MAPS_TIMEOUT_MS, &text, err);

        if (r < 0)
                return r;
        r = map_list_parse(text, strlen(text), ret);
        return r < 0 ? error_set(err, r, "multipathd's answer to 'show maps json' can't be read") : 0;
}

int act_collect(Act *a, const char *changed, bool with_content, json_object **ret)
{
        AUTO(map_list_deinit) MapList maps = MAP_LIST_INIT;
        AUTO(closep) int sys = act_open_sys(a->host);
        AUTO(closep) int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        AUTO(freep) char *mountinfo = mounts >= 0 ? read_all(mounts) : NULL;
        struct storaged_error why = STORAGED_ERROR_INIT;
        InventoryRound round = {
                .sys = sys, .maps = &maps, .mountinfo = mountinfo, .changed = changed, .without_content = !with_content
        };
        int r;

        if (sys < 0)
                return error_set(a->err, -errno, "can't open /sys: %m");
        if (read_maps(a->host, &maps, &why) < 0)
                round.maps_error = why.text;
        r = inventory_collect(&inventory, &round, ret);
        return r < 0 ? error_set(a->err, r, "can't read the disks of node %s: %s", a->host->node, strerror(-r)) : 0;
}

int act_wwid(Act *a, const char **ret)
{
        const char *wwid = storaged_config_get(a->args, "wwid");

        if (!wwid || !vpd_wwid_is_valid(wwid))
                return error_set_param(a->err, -EINVAL, "wwid", "'%.100s' is no WWID", wwid ? wwid : "");
        *ret = wwid;
        return 0;
}

int act_find_lun(Act *a, json_object **ret_inventory, json_object **ret_lun)
{
        AUTO_JS *all = NULL;
        json_object *luns = NULL;
        const char *wwid = NULL;
        int r = act_wwid(a, &wwid);

        if (r >= 0)
                r = act_collect(a, NULL, false, &all);
        if (r < 0)
                return r;
        (void) json_object_object_get_ex(all, "luns", &luns);
        for (size_t i = 0; i < json_object_array_length(luns); i++) {
                json_object *lun = json_object_array_get_idx(luns, i), *v = NULL;

                if (!json_object_object_get_ex(lun, "wwid", &v) || strcmp(json_object_get_string(v), wwid) != 0)
                        continue;
                *ret_inventory = TAKE(all);
                *ret_lun = lun;
                return 0;
        }
        return error_set_param(a->err, -ENOENT, "wwid", "node %s sees no LUN %s", a->host->node, wwid);
}

int act_inventory(Act *a)
{
        AUTO_JS *all = NULL;
        int r = act_collect(a, storaged_config_get(a->args, "changed"), true, &all);

        if (r < 0)
                return r;
        json_object_object_foreach (all, key, value)
                js_add(a->reply, key, json_object_get(value));
        return 0;
}
