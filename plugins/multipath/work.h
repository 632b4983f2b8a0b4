/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Steps that may hang in the kernel: each in a child with a deadline, left behind when it can't be killed. */
#include <stddef.h>
#include <stdint.h>

#include <storaged/error.h>

uint64_t work_now_ms(void);

/* In the child: writes what there is to tell to `fd`; 0 or negative errno. */
typedef int (*work_fn)(void *arg, int fd);
/* Many at a time. *ret of each: 0, the child's negative errno, or -ETIMEDOUT. */
typedef struct Work {
        work_fn fn;
        void *arg;
        int result;
        char *out; /* what it told, NUL-terminated; the caller's to free; NULL: nothing */
        size_t out_len;
        /* inside */
        int pid, fd;
        uint64_t end_ms;
} Work;
/* Runs them, at most `max` at one time, each with its own deadline. -errno only if nothing could be begun. */
int work_run(Work *works, size_t n, unsigned max, unsigned deadline_ms);
/* One write to a file of sysfs, in a child. What failed is in `err`, with the file's name. */
int work_write(const char *path, const char *text, unsigned deadline_ms, struct storaged_error *err);
