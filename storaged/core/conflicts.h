/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What clusterfs has set aside on this node: files that it had changed while the majority had another history. */
#include <json-c/json.h>

#include "base/paths.h"

/* [{"time", "path"}], oldest first; new reference, NULL: out of memory. */
json_object *conflicts_to_json(const Paths *paths);
