/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A LUN's identity as it tells itself: SCSI vital product data. Pure; foreign bytes, fuzzed. */
#include <stddef.h>
#include <stdint.h>

#define WWID_MAX 256

typedef struct VpdIdentity {
        char wwid[WWID_MAX]; /* as multipath and scsi_id write it: the type's digit, then hex or text; "" if none */
        int port_group;      /* target port group, for ALUA; -1: not told */
        int port;            /* relative target port; -1: not told */
} VpdIdentity;

/* Page 0x83, device identification (SPC-4, 7.8.6). 0, or -EINVAL for what is no such page. */
int vpd_parse_identity(const uint8_t *page, size_t len, VpdIdentity *ret);
/* Page 0x80, unit serial number: printable text without blanks at its ends. -EINVAL; cut to `size`. */
int vpd_parse_serial(const uint8_t *page, size_t len, char *ret, size_t size);
/* What the kernel writes to device/wwid ("naa.…", "eui.…", "t10.…") in multipath's form. -EINVAL. */
int vpd_wwid_from_sysfs(const char *text, char *ret, size_t size);
/* True for what a WWID may be made of: no slash, no blank, no control character, not empty. */
int vpd_wwid_is_valid(const char *wwid);
