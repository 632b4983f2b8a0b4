/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A growing array of any type:  struct { T *items; size_t n, size; }. VEC_PUSH yields 0 or -ENOMEM. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define VEC(T)               \
        struct {             \
                T *items;    \
                size_t n;    \
                size_t size; \
        }

#define VEC_PUSH(v, item)                                                                  \
        ({                                                                                 \
                int _r_ = 0;                                                               \
                if ((v)->n == (v)->size) {                                                 \
                        size_t _size_ = (v)->size ? (v)->size * 2 : 8;                     \
                        void *_p_ = reallocarray((v)->items, _size_, sizeof(*(v)->items)); \
                        if (_p_) {                                                         \
                                (v)->items = _p_;                                          \
                                (v)->size = _size_;                                        \
                        } else {                                                           \
                                _r_ = -ENOMEM;                                             \
                        }                                                                  \
                }                                                                          \
                if (_r_ == 0)                                                              \
                        (v)->items[(v)->n++] = (item);                                     \
                _r_;                                                                       \
        })

#define VEC_REMOVE(v, index)                                                                               \
        do {                                                                                               \
                size_t _i_ = (index);                                                                      \
                memmove((v)->items + _i_, (v)->items + _i_ + 1, ((v)->n - _i_ - 1) * sizeof(*(v)->items)); \
                (v)->n--;                                                                                  \
        } while (0)

#define VEC_DEINIT(v)                   \
        do {                            \
                free((v)->items);       \
                (v)->items = NULL;      \
                (v)->n = (v)->size = 0; \
        } while (0)
