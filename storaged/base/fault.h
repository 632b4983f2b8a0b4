/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Named fault points: places where a test makes the process die, fail or wait. Off unless the
 * environment variable STORAGED_FAULTS is set when the process starts, for example
 *   STORAGED_FAULTS="config.write.before-rename=kill dir.alloc.created=error:28 x=kill@3 y=stop"
 * Actions: kill (SIGKILL to itself), error:ERRNO, stop (SIGSTOP to itself), each with @N: at the N-th
 * passing only. `*` at the end of a name matches any rest.
 */

/* 0, or the negative errno to fail with. */
int fault_point(const char *name);
