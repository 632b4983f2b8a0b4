/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Parameters that a plugin declares (of a scan, of an action): the table is made from the declaration at each request.
 */
#include <storaged/types.h>

#include "api/params.h"
#include "base/vec.h"
#include "core/schema.h"

typedef VEC(struct storaged_pair) DeclaredArgs;

/*
 * Holds `given` against `declared` (the array "params" of a declaration; NULL: none), and where the type has a property
 * of that name also against that. Gives them as pairs, strings borrowed from `given`; VEC_DEINIT them. -EINVAL names
 * the parameter.
 */
int declared_check(const Type *type, json_object *declared, const Params *given, DeclaredArgs *ret,
                   struct storaged_error *err);
