/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests between nodes are those of the API below /nodes/{node}, and the ping. One table names their kinds, so
 * that tests can strike at each (tests/fault/test_messages.py reads it); a request that fits no row is "other".
 */
#include "cluster/message.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/str.h"

typedef struct Kind {
        const char *method; /* NULL: any */
        const char *part;   /* of the path, behind /nodes/{node}/, up to its next slash */
        bool has_more;      /* there is something behind that slash */
        const char *name;
} Kind;

static const Kind kinds[] = {
        { "GET", "storage", false, "status" },   /* of all storages there */
        { "GET", "storage", true, "read" },      /* passed on for a caller */
        { NULL, "storage", true, "change" },     /* likewise */
        { "POST", "migrate", false, "migrate" }, /* tickets: prepare, commit, abort */
        { "GET", "locks", false, "locks" },
        { "POST", "identity", false, "identity" }, /* the proof that all reach the same storage */
        { "POST", "stream", true, "stream" },
        { NULL, "tasks", false, "tasks" },
        { NULL, "tasks", true, "task" },
        { "GET", "doctor", false, "doctor" },
        { "GET", "clock", false, "clock" },
        { "GET", "luns", false, "luns" },
        { NULL, "actions", true, "action" }, /* of plugins: LUNs, volume groups, Ceph */
};

const char *message_name(const char *method, const char *target)
{
        const char *node = strstr(target, "/nodes/"), *part, *end;
        size_t len;

        if (!node)
                return str_ends_with(target, "/version") ? "ping" : "other";
        part = strpbrk(node + strlen("/nodes/"), "/?");
        if (!part || *part != '/')
                return "other";
        part++;
        len = strcspn(part, "/?");
        end = part + len;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                const Kind *k = &kinds[i];

                if (strlen(k->part) == len && strncmp(part, k->part, len) == 0 && k->has_more == (*end == '/') &&
                    (!k->method || str_eq(k->method, method)))
                        return k->name;
        }
        return "other";
}

void message_fault(enum message_moment moment, const char *name)
{
        static const char *const moments[] = { [MESSAGE_ASK] = "ask",
                                               [MESSAGE_ASKED] = "asked",
                                               [MESSAGE_ANSWER] = "answer",
                                               [MESSAGE_ANSWERED] = "answered" };
        char point[64];

        (void) snprintf(point, sizeof(point), "node.%s.%s", moments[moment], name);
        (void) fault_point(point);
}
