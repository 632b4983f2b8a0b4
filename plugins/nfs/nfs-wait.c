/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for an NFS server. libnfs 4.0.0 has a timeout for single requests but none for connecting, for
 * portmapper and MOUNT calls, nor for a call of many requests; so its asynchronous functions are used everywhere
 * and this file runs the loop. The invariant: no wait without an end. What counts is silence: a call may take
 * long as long as the server goes on sending.
 */
#include "nfs/nfs-wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

uint64_t wait_now_ms(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000u + (uint64_t) t.tv_nsec / 1000000u;
}

int wait_left_ms(uint64_t deadline_ms)
{
        uint64_t now = wait_now_ms();

        if (now >= deadline_ms)
                return 0;
        return deadline_ms - now > INT_MAX ? INT_MAX : (int) (deadline_ms - now);
}

int wait_reply(struct rpc_context *rpc, const bool *is_done, uint64_t silence_ms, uint64_t deadline_ms)
{
        uint64_t silent_until = wait_now_ms() + silence_ms;

        while (!*is_done) {
                uint64_t until = silent_until < deadline_ms ? silent_until : deadline_ms;
                struct pollfd p = { .fd = rpc_get_fd(rpc), .events = (short) rpc_which_events(rpc) };
                int n;

                if (p.fd < 0)
                        return -ECONNRESET;
                n = poll(&p, 1, wait_left_ms(until));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0 && wait_left_ms(until) == 0)
                        return -ETIMEDOUT;
                if (n <= 0)
                        continue;
                if (p.revents & (POLLIN | POLLOUT))
                        silent_until = wait_now_ms() + silence_ms;
                if (rpc_service(rpc, p.revents) < 0 && !*is_done)
                        return -ECONNRESET;
        }
        return 0;
}
