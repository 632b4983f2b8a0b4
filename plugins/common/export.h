/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a guest sees of an image, whatever its format, as a stream. */
#include "common/stream-io.h"

/* Size and bytes of the image `rel` (or of a snapshot inside it) into the stream; zeroes are not read. */
int export_guest_view(FileStore *fs, const char *rel, const char *format, const char *snap, Stream *s,
                      struct storaged_error *err);
