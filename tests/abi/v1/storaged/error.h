/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The sentence for a human, made once, where the names are known: what failed, on which object,
 * what was found, what to do. Fixed size and owned by the caller, so that it can cross an ABI.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define STORAGED_ERROR_TEXT 1024
#define STORAGED_ERROR_PARAM 64

struct storaged_error {
        uint32_t size;                    /* of this struct, as its owner was built */
        int32_t code;                     /* negative errno; 0: nothing set */
        char param[STORAGED_ERROR_PARAM]; /* the parameter at fault, or "" */
        char text[STORAGED_ERROR_TEXT];
};

#define STORAGED_ERROR_INIT                                      \
        {                                                        \
                .size = (uint32_t) sizeof(struct storaged_error) \
        }

/* Both store the sentence and return `code`, so that a refusal is one line. `err` may be NULL. */
static inline __attribute__((unused, format(printf, 4, 0))) int storaged_error_setv(struct storaged_error *err,
                                                                                    int code, const char *param,
                                                                                    const char *fmt, va_list ap)
{
        if (!err)
                return code;
        err->code = code;
        (void) snprintf(err->param, sizeof(err->param), "%s", param ? param : "");
        (void) vsnprintf(err->text, sizeof(err->text), fmt, ap);
        return code;
}

static inline __attribute__((unused, format(printf, 3, 4))) int error_set(struct storaged_error *err, int code,
                                                                          const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        (void) storaged_error_setv(err, code, NULL, fmt, ap);
        va_end(ap);
        return code;
}

static inline __attribute__((unused, format(printf, 4, 5))) int error_set_param(struct storaged_error *err, int code,
                                                                                const char *param, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        (void) storaged_error_setv(err, code, param, fmt, ap);
        va_end(ap);
        return code;
}
