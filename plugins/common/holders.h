/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Who has an image open. */
#include "common/filestore.h"

enum HolderState {
        HOLDER_NONE = 0,
        HOLDER_READER,
        HOLDER_WRITER, /* lets no one else write */
};

/* Asks for QEMU's image locks on the file; enum HolderState or negative errno. Data plane. */
int holders_query(FileStore *fs, const char *rel);
/* -EBUSY if a process writes the image; 0 also where the data plane is not there to ask. */
int holders_refuse_busy(FileStore *fs, STORAGED_VOL, const char *rel, struct storaged_error *err);
