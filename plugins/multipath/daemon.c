/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talking to multipathd. libmpathcmd is the supported way; Debian ships it inside multipath-tools without a header, so
 * it is opened when it is needed and its three functions are declared here: a node without multipath-tools still has
 * disks to list. One connection a command: multipathd closes idle ones.
 */
#include "multipath/daemon.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <storaged/cleanup.h>

#include "multipath/work.h"

#define LIBRARY "libmpathcmd.so.0"
#define SETTLE_ASK_MS 4000

typedef struct MpathCmd {
        int (*connect)(void);
        int (*disconnect)(int fd);
        int (*process)(int fd, const char *command, char **reply, unsigned timeout_ms);
} MpathCmd;

static int load(MpathCmd *ret, struct storaged_error *err)
{
        static MpathCmd loaded;
        void *dl;

        if (!loaded.process) {
                dl = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
                if (!dl)
                        return error_set(err, -ENOPKG,
                                         "multipathd can't be asked: %s is not there; install multipath-tools",
                                         LIBRARY);
                loaded.connect = (int (*)(void)) dlsym(dl, "mpath_connect");
                loaded.disconnect = (int (*)(int)) dlsym(dl, "mpath_disconnect");
                loaded.process = (int (*)(int, const char *, char **, unsigned)) dlsym(dl, "mpath_process_cmd");
        }
        if (!loaded.connect || !loaded.disconnect || !loaded.process)
                return error_set(err, -ENOPKG, "multipathd can't be asked: %s has no mpath_process_cmd", LIBRARY);
        *ret = loaded;
        return 0;
}

int daemon_ask(const char *command, unsigned timeout_ms, char **ret, struct storaged_error *err)
{
        MpathCmd m = { 0 };
        int fd, r = load(&m, err);

        if (r < 0)
                return r;
        fd = m.connect();
        if (fd < 0)
                return error_set(err, -ECONNREFUSED, "multipathd does not run; start multipathd.service");
        errno = 0;
        r = m.process(fd, command, ret, timeout_ms);
        if (r != 0)
                r = errno == ETIMEDOUT || errno == 0 ? -ETIMEDOUT : -errno;
        (void) m.disconnect(fd);
        if (r < 0)
                return error_set(err, r, "multipathd did not answer '%s' within %u ms: %s", command, timeout_ms,
                                 strerror(-r));
        return 0;
}

int daemon_tell(const char *command, unsigned timeout_ms, struct storaged_error *err)
{
        AUTO(freep) char *reply = NULL;
        int r = daemon_ask(command, timeout_ms, &reply, err);

        if (r < 0)
                return r;
        reply[strcspn(reply, "\n")] = '\0';
        if (strcmp(reply, "ok") == 0)
                return 0;
        return error_set(err, strcmp(reply, "timeout") == 0 ? -EAGAIN : -EBUSY, "multipathd: %s: %.200s", command,
                         reply);
}

int daemon_settle(unsigned timeout_ms, struct storaged_error *err)
{
        uint64_t end = work_now_ms() + timeout_ms;
        unsigned quiet = 0;

        for (;;) {
                AUTO(freep) char *reply = NULL;
                int r = daemon_ask("show status", SETTLE_ASK_MS, &reply, err);

                if (r < 0 && r != -ETIMEDOUT)
                        return r;
                quiet = r >= 0 && strstr(reply, "busy: False") ? quiet + 1 : 0;
                if (quiet == 2)
                        return 0;
                if (work_now_ms() >= end)
                        return error_set(err, -ETIMEDOUT, "multipathd was still busy after %u s", timeout_ms / 1000);
                (void) poll(NULL, 0, 1000); /* it has no event for this: the rule asks once a second */
        }
}
