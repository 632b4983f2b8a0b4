/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A secret from the keyboard. */

/*
 * Asks on the terminal without echo, or takes a line of stdin where there is no terminal. The caller's to
 * free. -ENODATA if nothing came, -errno.
 */
int secret_ask(const char *prompt, char **ret);
