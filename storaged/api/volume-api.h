/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The one handler for routes that are one operation on a volume; a row's `op` says which. */
#include "api/request.h"
#include "core/volume.h"

/* Passes the parameters that have an `arg` on; the row's `volume` parameter or path part names the volume. */
void volume_handle(Request *r);
/* The same for a storage as a whole, without a volume. */
void volume_handle_storage(Request *r);
/* The call itself, for handlers that have to look at something first. Takes `args`; NULL: out of memory. */
void volume_handle_args(Request *r, enum volume_op op, const char *volname, json_object *args);

#define VOLUME_PARAM                                                              \
        {                                                                         \
                .name = "volume", .flags = PARAM_REQUIRED,                        \
                .description = "Volume id, or the volume's name on this storage." \
        }
#define SYNC_PARAM                                                                           \
        {                                                                                    \
                .name = "sync", .type = PARAM_BOOLEAN,                                       \
                .description = "Answer when it is done, with the result, not with the task." \
        }
