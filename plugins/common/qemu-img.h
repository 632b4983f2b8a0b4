/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* qemu-img, the one program that changes qcow2 and vmdk images. */
#include "common/filestore.h"

/*
 * Runs argv (argv[0] "qemu-img", ends with NULL) to `action` the volume file `rel`. A failure becomes -ENOSPC, -EBUSY
 * (image in use), -ENOTSUP or -EIO with what it said. With "-p" in argv its progress is passed on.
 */
int qemu_img_run(FileStore *fs, const char *const *argv, const char *action, const char *rel,
                 struct storaged_error *err);
/* Whether all tables of the image fit together and nothing lies behind its end; -EIO if not. */
int qemu_img_check(FileStore *fs, const char *rel, const char *format, struct storaged_error *err);
