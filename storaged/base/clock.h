/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Monotonic time for deadlines, wall-clock time for records. */
#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

static inline uint64_t clock_usec(clockid_t id)
{
        struct timespec ts;

        (void) clock_gettime(id, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static inline uint64_t now_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}
