/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of a broken peer. The input is a row of packets, each with a 16-bit length in front; all go through one
 * assembler. What it gives must be whole, and never longer than what was fed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FrameAssembler a = FRAME_ASSEMBLER_INIT;
        size_t fed = 0;

        while (size >= 2) {
                size_t n = (size_t) data[0] | (size_t) data[1] << 8;
                Frame f = FRAME_INIT;
                int r;

                data += 2;
                size -= 2;
                if (n > size)
                        n = size;
                r = frame_assembler_feed(&a, data, n, -EBADF, &f);
                fed += n;
                if (r > 1 ||
                    (r > 0 && (f.type < FRAME_CALL || f.type >= FRAME_TYPE_MAX || f.body.len > fed || a.has_partial)))
                        abort();
                if (r < 0 && (f.body.data || a.has_partial))
                        abort();
                frame_deinit(&f);
                data += n;
                size -= n;
        }
        frame_assembler_deinit(&a);
        return 0;
}
