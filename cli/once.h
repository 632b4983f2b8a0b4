/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Answers without a running daemon: `storaged --once` reads, answers one request and is gone. */
#include "base/paths.h"
#include "cli/client.h"

/* As client_call(). The program is the one beside this one, or in PATH. */
int once_call(const Paths *paths, const Request *rq, Answer *ret, struct storaged_error *err);
/* Its output: the status on the first line, the JSON body behind. -EPROTO with `err`. Fuzzable: takes any bytes. */
int once_parse(const char *text, size_t len, Answer *ret, struct storaged_error *err);
