/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What another node answers, in pieces whose size the first byte says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http-answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO(http_answer_deinit) HttpAnswer a = HTTP_ANSWER_INIT;
        size_t step = size > 0 ? data[0] + 1u : 1, done = 1;

        while (done < size && a.state != HTTP_ANSWER_DONE) {
                size_t n = size - done < step ? size - done : step, used = 0, len = 0;
                char *piece = malloc(n); /* of its exact size */
                const char *body;
                int r;

                if (!piece)
                        return 0;
                memcpy(piece, data + done, n);
                r = http_answer_feed(&a, piece, n, &used, &body, &len);
                if (r >= 0 &&
                    (used > n || (len > 0 && (body < piece || body + len > piece + n)) || (used == 0 && n > 0)))
                        abort();
                free(piece);
                if (r < 0)
                        return 0;
                done += used;
        }
        (void) http_answer_end(&a);
        return 0;
}
