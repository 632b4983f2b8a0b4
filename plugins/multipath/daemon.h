/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* multipathd, over its socket, by libmpathcmd. */
#include <stdint.h>

#include <storaged/error.h>

/*
 * One command, one answer (the caller's to free). -ENOPKG: multipath-tools is not installed; -ECONNREFUSED: multipathd
 * does not run; -ETIMEDOUT. multipathd says "ok" and "fail" in the text: its exit codes tell nothing.
 */
int daemon_ask(const char *command, unsigned timeout_ms, char **ret, struct storaged_error *err);
/* A command whose answer must be "ok"; -EBUSY with multipathd's words for "fail"; -EAGAIN for "timeout". */
int daemon_tell(const char *command, unsigned timeout_ms, struct storaged_error *err);
/* Waits until multipathd says twice, a second apart, that it is not busy; -ETIMEDOUT. */
int daemon_settle(unsigned timeout_ms, struct storaged_error *err);
