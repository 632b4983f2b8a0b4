/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include <stddef.h>

#define DIGEST_SHA1_HEX 41 /* with the NUL */

/* SHA-1 as hex, the digest of storage.cfg that Proxmox VE's clients send back (not for security). */
void digest_sha1_hex(const void *data, size_t len, char ret[static DIGEST_SHA1_HEX]);
