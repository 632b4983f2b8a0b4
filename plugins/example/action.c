/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Actions: what the example can do beside volumes. `room` needs no storage and changes nothing: asked before one is
 * added. `verify` reads every volume to its end: long, so it is a task; its log and progress are the task's.
 */
#include "example/example.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/statvfs.h>

static const struct storaged_property room_params[] = {
        { .name = "path",
          .type = STORAGED_PROPERTY_STRING,
          .flags = STORAGED_PROPERTY_REQUIRED,
          .description = "A directory." },
        { 0 },
};

static const struct storaged_property no_params[] = { { 0 } };

const struct storaged_action example_actions[] = {
        { .name = "room",
          .summary = "How much room a directory's file system has",
          .flags = STORAGED_ACTION_READ,
          .params = room_params },
        { .name = "verify",
          .summary = "Read every volume to its end",
          .flags = STORAGED_ACTION_STORAGE | STORAGED_ACTION_READ | STORAGED_ACTION_TASK,
          .params = no_params },
        { 0 },
};

static int answer(storaged_json_fn fn, void *userdata, const char *key, uint64_t a, const char *key2, uint64_t b)
{
        char json[128];
        int n = snprintf(json, sizeof(json), "{\"%s\": %" PRIu64 ", \"%s\": %" PRIu64 "}", key, a, key2, b);

        return fn(userdata, json, (size_t) n);
}

static int act_room(const char *path, storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        struct statvfs v;

        if (statvfs(path, &v) < 0)
                return error_errno(err, -errno, "look at directory", path);
        return answer(fn, userdata, "total", (uint64_t) v.f_blocks * v.f_frsize, "avail",
                      (uint64_t) v.f_bavail * v.f_frsize);
}

struct verification {
        const struct example *example;
        struct storaged_error *err;
        char *buf;
        uint64_t n_volumes, n_bytes;
};

static int verify_volume(void *userdata, int dir, const char *name)
{
        struct verification *v = userdata;
        const struct storaged_host *host = v->example->host;
        struct storaged_volname vol = { .size = sizeof(vol) };
        AUTO(closep) int fd = -EBADF;
        struct stat st;
        ssize_t n;
        int r;

        if (host->parse_volname(host->handle, name, &vol, NULL) < 0)
                return 0;
        r = open_volume(dir, name, O_RDONLY, &fd, &st, v->err);
        if (r < 0)
                return r;
        while ((n = read(fd, v->buf, EXAMPLE_CHUNK)) > 0) {
                v->n_bytes += (uint64_t) n;
                if (host->progress(host->handle, v->n_bytes, 0) != 0)
                        return error_set(v->err, -ECANCELED, "stopped at volume %s", name);
        }
        if (n < 0)
                return error_errno(v->err, -errno, "read volume", name);
        v->n_volumes++;
        host->log(host->handle, STORAGED_LOG_INFO, "volume %s can be read", name);
        return 0;
}

static int act_verify(const struct example *e, storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        AUTO(freep) char *buf = malloc(EXAMPLE_CHUNK);
        struct verification v = { .example = e, .err = err, .buf = buf };
        int r;

        if (!buf)
                return -ENOMEM;
        r = each_name(e, verify_volume, &v, err);
        return r < 0 ? r : answer(fn, userdata, "volumes", v.n_volumes, "bytes", v.n_bytes);
}

int example_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        (void) host;
        if (strcmp(action, "room") == 0)
                return act_room(storaged_config_get(args, "path"), fn, userdata, err);
        return act_verify(self, fn, userdata, err);
}
