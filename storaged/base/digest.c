/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Digests, by nettle (already there as part of GnuTLS). */
#include "base/digest.h"

#include <stdint.h>
#include <stdio.h>

#include <nettle/sha1.h>

void digest_sha1_hex(const void *data, size_t len, char ret[static DIGEST_SHA1_HEX])
{
        uint8_t sum[SHA1_DIGEST_SIZE];
        struct sha1_ctx ctx;

        sha1_init(&ctx);
        sha1_update(&ctx, len, data);
        sha1_digest(&ctx, sizeof(sum), sum);
        for (size_t i = 0; i < sizeof(sum); i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}
