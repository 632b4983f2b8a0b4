/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Texts: printf into fresh memory, and small files of the node that are read and replaced as a whole. */
#include <stddef.h>

/* 0, or -ENOMEM with *ret NULL; *ret is the caller's to free. */
int text_printf(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The file, the caller's to free, *ret NULL if there is none; -EFBIG for more than `max` bytes, -EISDIR, -EINVAL. */
int text_read(const char *path, size_t max, char **ret);
/* The file becomes `text`, mode 0644, lasting when this returns; on failure it is what it was. NULL: no file. */
int text_write(const char *path, const char *text);
