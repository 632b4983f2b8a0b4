/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The cluster log: the last entries of all nodes, in memory; each node keeps what it has heard. */
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define CLUSTERLOG_MAX 256u  /* kept */
#define CLUSTERLOG_SHOWN 50u /* in .clusterlog */
#define CLUSTERLOG_TEXT 1024u

typedef struct LogEntry {
        uint64_t time; /* seconds since 1970 */
        uint32_t uid, pid;
        uint8_t priority;
        char node[64], user[64], tag[64], message[CLUSTERLOG_TEXT];
} LogEntry;

typedef struct ClusterLog {
        LogEntry *entries; /* a ring of CLUSTERLOG_MAX, made with the first entry */
        size_t n, next;
        uint32_t uid;
} ClusterLog;

void clusterlog_deinit(ClusterLog *l);
/* Copies it; control characters become `?`. */
int clusterlog_add(ClusterLog *l, const LogEntry *e);
/* {"data": [newest first]} */
void clusterlog_show(const ClusterLog *l, StrBuf *b);
void clusterlog_encode(StrBuf *b, const LogEntry *e);
int clusterlog_decode(const void *body, size_t len, LogEntry *ret);
