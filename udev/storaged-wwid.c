/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For 57-storaged-dm.rules: the WWID in a multipath map's DM_UUID ("mpath-3600…"), which udev's rules can't cut out
 * themselves. Reads its environment, prints one line, opens nothing.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
        const char *uuid = getenv("DM_UUID");
        size_t n = 0;

        if (!uuid || strncmp(uuid, "mpath-", 6) != 0)
                return EXIT_FAILURE;
        uuid += 6;
        while (isgraph((unsigned char) uuid[n]) && !strchr("/\"'\\$", uuid[n]))
                n++;
        if (n == 0 || uuid[n] != '\0' || uuid[0] == '.')
                return EXIT_FAILURE; /* no name for a link */
        (void) printf("STORAGED_WWID=%s\n", uuid);
        return EXIT_SUCCESS;
}
