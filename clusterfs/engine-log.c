/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster log: entries of this node go to all members, theirs come in here. */
#include "clusterfs/engine-parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

void engine_log_entry(Engine *e, const LogEntry *entry)
{
        LogEntry copy = *entry;
        StrBuf b = STRBUF_INIT;

        (void) snprintf(copy.node, sizeof(copy.node), "%s", e->node);
        copy.time = clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        (void) clusterlog_add(&e->log, &copy);
        if (e->phase == PHASE_LOCAL || e->phase == PHASE_DOWN)
                return;
        clusterlog_encode(&b, &copy);
        (void) engine_send(e, FRAME_LOG, 0, 0, &b, false);
}

void engine_log(Engine *e, int priority, const char *tag, const char *fmt, ...)
{
        LogEntry entry = { .priority = (uint8_t) priority, .pid = (uint32_t) getpid() };
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(entry.message, sizeof(entry.message), fmt, ap);
        va_end(ap);
        (void) snprintf(entry.tag, sizeof(entry.tag), "%s", tag);
        (void) snprintf(entry.user, sizeof(entry.user), "root@pam");
        log_full(priority, 0, NULL, "%s", entry.message);
        engine_log_entry(e, &entry);
}

void engine_deliver_log(Engine *e, Member from, const uint8_t *body, size_t len)
{
        LogEntry entry;

        if (from.nodeid != engine_nodeid(e) && clusterlog_decode(body, len, &entry) == 0)
                (void) clusterlog_add(&e->log, &entry);
}
