/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A message of the kernel about a device: "change@/devices/…\0ACTION=change\0KEY=value\0…". Pure, fuzzed. */
#include <stddef.h>

/* Borrowed from the message; "" where it says nothing. */
typedef struct Uevent {
        const char *action, *devpath, *subsystem;
        const char *name;      /* the last part of devpath: sda, dm-3 */
        const char *dm_action; /* PATH_FAILED, PATH_REINSTATED, NO_PATHS … */
        const char *dm_name, *dm_path, *dm_valid_paths;
        const char *attention; /* SDEV_UA: REPORTED_LUNS_DATA_HAS_CHANGED … */
} Uevent;

/* 0, or -EINVAL for what is no such message. `message` need not end with a NUL; its last byte is replaced by one. */
int uevent_parse(char *message, size_t len, Uevent *ret);
