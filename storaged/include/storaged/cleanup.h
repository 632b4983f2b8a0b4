/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Ownership made visible: a scope that ends frees what it owns, TAKE() gives it away.
 * Header only, so that the daemon, the command line and the plugins share one definition
 * without linking against each other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* AUTO(freep) char *s = NULL;  - calls freep(&s) when s leaves its scope */
#define AUTO(f) __attribute__((cleanup(f)))

/* The value of a pointer variable; the variable becomes NULL and no longer frees it. */
#define TAKE(p)                             \
        ({                                  \
                __typeof__(p) *_pp_ = &(p); \
                __typeof__(p) _p_ = *_pp_;  \
                *_pp_ = NULL;               \
                _p_;                        \
        })

/* The value of a descriptor variable; the variable becomes -EBADF. */
#define TAKE_FD(fd)                \
        ({                         \
                int *_fp_ = &(fd); \
                int _f_ = *_fp_;   \
                *_fp_ = -EBADF;    \
                _f_;               \
        })

/* Defines NAMEp(TYPE *p) that calls FUNC(*p) unless *p is NULL, for use with AUTO(). */
#define DEFINE_CLEANUP(TYPE, FUNC)                                  \
        static inline __attribute__((unused)) void FUNC##p(TYPE *p) \
        {                                                           \
                if (*p)                                             \
                        (void) FUNC(*p);                            \
        }

static inline __attribute__((unused)) void freep(void *p)
{
        free(*(void **) p);
}

static inline __attribute__((unused)) void closep(int *fd)
{
        int saved = errno;

        if (*fd >= 0)
                (void) close(*fd);
        *fd = -EBADF; /* called twice, it must not close what has got the number since */
        errno = saved;
}

static inline __attribute__((unused)) void fclosep(FILE **f)
{
        if (*f)
                (void) fclose(*f);
}
