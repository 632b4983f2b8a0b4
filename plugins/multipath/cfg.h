/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * multipath.cfg of the cluster: one `defaults` section, one `wwid` section for each LUN that may be assembled. Read,
 * checked, and rendered as a drop-in for multipathd. Pure.
 */
#include <stddef.h>
#include <stdio.h>

#include <storaged/error.h>

#define CFG_LUNS_MAX 4096u

typedef struct CfgPair {
        char section[256]; /* "": defaults; else the WWID */
        char key[40], value[128];
} CfgPair;

typedef struct Cfg {
        CfgPair *pairs;
        size_t n_pairs, size;
        char (*wwids)[256];
        size_t n_wwids;
        int has_defaults;
} Cfg;

void cfg_deinit(Cfg *c);
/* -EINVAL with the line: an unknown section or key, a value it can't have. Nothing is kept then. */
int cfg_parse(const char *text, size_t len, Cfg *ret, struct storaged_error *err);
/* True if it says nothing, so that nothing is to be generated. */
int cfg_is_empty(const Cfg *c);
/* The drop-in. `keep(userdata, key)`: the administrator of the node has set that default by hand; it is left out. */
void cfg_render(const Cfg *c, int (*keep)(void *userdata, const char *key), void *userdata, FILE *f);
/* Each default that would be written: what multipathd calls it, and the value. */
void cfg_each_default(const Cfg *c, void (*fn)(void *userdata, const char *key, const char *value), void *userdata);
