/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pvesm reads of an answer without building a tree: spans, the list of volumes, the output of --once. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/once.h"
#include "cli/span.h"
#include "cli/volumes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        char *text = malloc(size ? size : 1); /* of its exact size, so that a step too far is seen */
        static FILE *sink;
        Span rows;

        if (!text)
                return 0;
        memcpy(text, data, size);
        if (!sink)
                sink = fopen("/dev/null", "we");
        rows = span_member((Span){ text, size }, "data");
        if (rows.p) {
                (void) span_value(rows.p, rows.len);
                (void) volumes_print(sink, rows);
        }
        (void) once_parse(text, size, &a, &err);
        free(text);
        return 0;
}
