/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keyrings as Ceph writes them: sections of users, lines `key = BASE64`. librados reads them itself; the kernel needs
 * the key. */
#include "common-ceph/ceph-keyring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int ceph_keyring_decode(const char *text, unsigned char *ret, size_t size)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        unsigned bits = 0, n_bits = 0;
        size_t n = 0;

        for (; *text && *text != '='; text++) {
                const char *digit = strchr(digits, *text);

                if (!digit)
                        return -EBADMSG;
                bits = bits << 6 | (unsigned) (digit - digits);
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                n_bits -= 8;
                if (n == size)
                        return -EMSGSIZE;
                ret[n++] = (unsigned char) (bits >> n_bits);
        }
        return (int) n;
}

int ceph_keyring_find(const char *text, const char *user, char *ret, size_t size)
{
        char section[256];
        const char *at, *end;
        size_t n;

        (void) snprintf(section, sizeof(section), "[client.%s]\n", user);
        at = strstr(text, section);
        end = at ? strstr(at + 1, "\n[") : NULL; /* the next section */
        at = at ? strstr(at, "key") : NULL;
        if (!at || (end && at > end))
                return -ENOKEY;
        at += strlen("key");
        at += strspn(at, " \t=");
        n = strcspn(at, " \t\r\n");
        if (n == 0 || n >= size)
                return -ENOKEY;
        memcpy(ret, at, n);
        ret[n] = '\0';
        return 0;
}
