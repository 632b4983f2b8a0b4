/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pvesm: the administrator's door to storaged. All of it is cli_main(), which tests call too. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

int main(int argc, char **argv)
{
        static char buffer[1 << 18];

        (void) signal(SIGPIPE, SIG_IGN);
        if (!isatty(STDOUT_FILENO)) /* a terminal gets its lines as they come */
                (void) setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
        return cli_main(argc, argv);
}
