/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What is shown beside the replicated tree: the virtual files and the links of this node. Their formats are those that
 * programs written for Proxmox VE read.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "base/vec.h"
#include "clusterfs/engine.h"

/* Inode numbers no change can reach. */
#define STATUS_INO_FIRST UINT64_C(0x7fff000000000000)

enum status_item {
        STATUS_VERSION,
        STATUS_MEMBERS,
        STATUS_VMLIST,
        STATUS_CLUSTERLOG,
        STATUS_DEBUG,
        STATUS_LOCAL,
        STATUS_QEMU,
        STATUS_LXC,
        STATUS_OPENVZ,
        STATUS_ITEMS
};

typedef struct Counter {
        char *path;
        uint64_t n;
} Counter;

typedef struct Status {
        const char *node;
        uint64_t start_time, cluster_version, vmlist_version;
        VEC(Counter) counters;
        bool is_debug;
        int log_level; /* without debug */
} Status;

int status_init(Status *s, const char *node, int log_level);
void status_deinit(Status *s);
/* A path changed; NULL: all may have. */
void status_changed(Status *s, const char *path);
void status_membership(Status *s);
/* The item of this name in the root, or -1. */
int status_lookup(const char *name);
int status_of_ino(uint64_t ino);
const char *status_name(enum status_item item);
bool status_is_link(enum status_item item);
/* Content of a virtual file, or target of a link. */
void status_show(const Status *s, const Engine *e, enum status_item item, StrBuf *b);
/* Writing to .debug: 0 or 1, and a newline. -EACCES for the others, -EINVAL. */
int status_write(Status *s, enum status_item item, const char *text, size_t len);
