/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Text to numbers and booleans, strictly: the whole text or -EINVAL; too large is -ERANGE. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits only, no sign, no blanks. */
int parse_u64(const char *s, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);
/* 1 yes on true / 0 no off false, any case: what pvesm takes on its command line. */
int parse_bool(const char *s, bool *ret);
/* A size of `pvesm alloc`: KiB, or with M or G behind it. Gives bytes. */
int parse_alloc_size(const char *s, uint64_t *ret_bytes);
/* A VMID: 100 … 999999999 without leading zero. */
int parse_vmid(const char *s, size_t len, uint32_t *ret);
