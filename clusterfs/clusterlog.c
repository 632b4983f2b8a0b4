/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring of log entries, shown as JSON, newest first. */
#include "clusterfs/clusterlog.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/bytes.h"

void clusterlog_deinit(ClusterLog *l)
{
        free(l->entries);
        *l = (ClusterLog){ 0 };
}

static void clean(char *s)
{
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        *s = '?';
}

int clusterlog_add(ClusterLog *l, const LogEntry *e)
{
        LogEntry *to;

        if (!l->entries)
                l->entries = calloc(CLUSTERLOG_MAX, sizeof(*l->entries));
        if (!l->entries)
                return -ENOMEM;
        to = &l->entries[l->next];
        *to = *e;
        to->uid = ++l->uid;
        clean(to->node);
        clean(to->user);
        clean(to->tag);
        clean(to->message);
        l->next = (l->next + 1) % CLUSTERLOG_MAX;
        l->n += l->n < CLUSTERLOG_MAX;
        return 0;
}

void clusterlog_show(const ClusterLog *l, StrBuf *b)
{
        size_t n = l->n < CLUSTERLOG_SHOWN ? l->n : CLUSTERLOG_SHOWN;
        json_object *root = json_object_new_object(), *data = json_object_new_array();

        (void) json_object_object_add(root, "data", data);
        for (size_t i = 1; i <= n; i++) {
                const LogEntry *e = &l->entries[(l->next + CLUSTERLOG_MAX - i) % CLUSTERLOG_MAX];
                json_object *o = json_object_new_object();

                (void) json_object_object_add(o, "uid", json_object_new_int64(e->uid));
                (void) json_object_object_add(o, "time", json_object_new_int64((int64_t) e->time));
                (void) json_object_object_add(o, "pri", json_object_new_int(e->priority));
                (void) json_object_object_add(o, "tag", json_object_new_string(e->tag));
                (void) json_object_object_add(o, "pid", json_object_new_int64(e->pid));
                (void) json_object_object_add(o, "node", json_object_new_string(e->node));
                (void) json_object_object_add(o, "user", json_object_new_string(e->user));
                (void) json_object_object_add(o, "msg", json_object_new_string(e->message));
                (void) json_object_array_add(data, o);
        }
        strbuf_adds(b, json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        strbuf_addc(b, '\n');
        (void) json_object_put(root);
}

void clusterlog_encode(StrBuf *b, const LogEntry *e)
{
        put_u64(b, e->time);
        put_u32(b, e->pid);
        put_u8(b, e->priority);
        put_text(b, e->node, strlen(e->node));
        put_text(b, e->user, strlen(e->user));
        put_text(b, e->tag, strlen(e->tag));
        put_text(b, e->message, strlen(e->message));
}

static void get_text(Reader *r, char *ret, size_t size)
{
        size_t len = 0;
        const char *s = reader_text(r, size - 1, &len);

        if (s)
                memcpy(ret, s, len);
        ret[len] = '\0';
}

int clusterlog_decode(const void *body, size_t len, LogEntry *ret)
{
        Reader r = { .p = body, .left = len };
        LogEntry e = { 0 };

        e.time = reader_u64(&r);
        e.pid = reader_u32(&r);
        e.priority = reader_u8(&r);
        get_text(&r, e.node, sizeof(e.node));
        get_text(&r, e.user, sizeof(e.user));
        get_text(&r, e.tag, sizeof(e.tag));
        get_text(&r, e.message, sizeof(e.message));
        if (r.bad)
                return -EPROTO;
        *ret = e;
        return 0;
}
