/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Views of a Ceph cluster in Proxmox VE's shape: what they are put together with, and those of other files. */
#include "rbd/admin.h"

static inline size_t look_count(json_object *array)
{
        return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static inline json_object *look_element(json_object *array, size_t i)
{
        return json_object_array_get_idx(array, i);
}

static inline void look_append(json_object *array, json_object *row)
{
        if (row && json_object_array_add(array, row) < 0)
                (void) json_object_put(row);
}

/* Members under their names or others; NULL ends. */
static inline void look_copy(json_object *to, json_object *from, const char *const (*keys)[2])
{
        for (; (*keys)[0]; keys++)
                json_member(to, (*keys)[0], json_object_get(ceph_json_get(from, (*keys)[1])));
}

static inline json_object *look_text(const char *s)
{
        return s ? json_object_new_string(s) : NULL;
}

static inline json_object *look_number(uint64_t n)
{
        return json_object_new_uint64(n);
}

/* admin-look-osd.c */
int look_osd(Admin *a, json_object **ret, STORAGED_ERR);
int look_osd_metadata(Admin *a, json_object **ret, STORAGED_ERR);
int look_flags(Admin *a, json_object **ret, STORAGED_ERR);
