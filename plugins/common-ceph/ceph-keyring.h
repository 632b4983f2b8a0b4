/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The key of a user in the text of a keyring. Both are pure; who calls wipes what they give. */
#include <stddef.h>

#define CEPH_KEY_MAX 128

/* The key of [client.USER] as text; -ENOKEY. */
int ceph_keyring_find(const char *text, const char *user, char *ret, size_t size);
/* The bytes of a key; how many, or -EBADMSG, -EMSGSIZE. */
int ceph_keyring_decode(const char *text, unsigned char *ret, size_t size);
