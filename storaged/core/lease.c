/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases. The record is the truth about who may have a volume active; it is written before a node activates and
 * changed after a node has deactivated, so a crash in between leaves a holder too many in the record, never one too
 * few. Every change is one atomic replacement of one file, made under the storage's cluster lock.
 */
#include "core/lease.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/fs.h"
#include "wire/json.h"

#define RECORD_SIZE_MAX 16384
#define RECORD_NAME_MAX 160 /* leaves room for the name of a temporary file */

/* --- decisions */

static void set_node(char to[static NODE_NAME_MAX], const char *node)
{
        (void) snprintf(to, NODE_NAME_MAX, "%s", node);
}

bool lease_holds(const Lease *l, const char *node)
{
        return lease_is_held(l) && (strcmp(l->node, node) == 0 || strcmp(l->partner, node) == 0);
}

void lease_take(Lease *l, const char *volume, const char *node, uint64_t at_usec)
{
        uint64_t last = l->generation;

        *l = LEASE_INIT;
        (void) snprintf(l->volume, sizeof(l->volume), "%s", volume);
        set_node(l->node, node);
        l->since = at_usec / USEC_PER_SEC;
        /* A record is removed with its last holder, so that no number is left to count from: the time is. */
        l->generation = at_usec > last ? at_usec : last + 1;
}

int lease_join(Lease *l, const char *partner)
{
        if (!lease_is_held(l) || strcmp(l->node, partner) == 0)
                return -EINVAL;
        if (lease_is_shared(l))
                return strcmp(l->partner, partner) == 0 ? 0 : -EBUSY;
        set_node(l->partner, partner);
        l->from[0] = l->partner_client[0] = '\0';
        return 0;
}

bool lease_leave(Lease *l, const char *node)
{
        if (!lease_holds(l, node))
                return false;
        l->from[0] = '\0';
        if (strcmp(l->node, node) == 0) {
                if (lease_is_shared(l))
                        (void) memcpy(l->from, l->node, sizeof(l->from));
                (void) memcpy(l->node, l->partner, sizeof(l->node));
                (void) memcpy(l->client, l->partner_client, sizeof(l->client));
        }
        l->partner[0] = l->partner_client[0] = '\0';
        return true;
}

int lease_take_over(Lease *l, const char *node, const StrList *dead, uint64_t at_usec, struct storaged_error *err)
{
        const char *const holders[] = { l->node, l->partner };
        AUTO(freep) char *volume = strdup(l->volume);

        if (!volume)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < 2; i++)
                if (holders[i][0] && strcmp(holders[i], node) != 0 && !strlist_has(dead, holders[i]))
                        return error_set_param(err, -EBUSY, "dead-node",
                                               "volume '%s' is held by node '%s', which was not named as gone: "
                                               "nothing was taken",
                                               volume, holders[i]);
        lease_take(l, volume, node, at_usec);
        return 0;
}

const char *lease_get_client(const Lease *l, const char *node)
{
        if (!lease_holds(l, node))
                return "";
        return strcmp(l->node, node) == 0 ? l->client : l->partner_client;
}

bool lease_set_client(Lease *l, const char *node, const char *client)
{
        char *mine = strcmp(l->node, node) == 0 ? l->client : l->partner_client;

        if (!lease_holds(l, node) || strcmp(mine, client) == 0 || strlen(client) >= STORAGED_CLIENT_MAX)
                return false;
        (void) snprintf(mine, STORAGED_CLIENT_MAX, "%s", client);
        return true;
}

int lease_refuse(const Lease *l, struct storaged_error *err)
{
        char when[32] = "";
        time_t since = (time_t) l->since;
        struct tm tm;

        if (localtime_r(&since, &tm))
                (void) strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
        return error_set_param(err, -EBUSY, "volume",
                               "volume '%s' is active on node '%s'%s%s%s since %s: deactivate it "
                               "there, or hand it over with `pvesm migrate`",
                               l->volume, l->node, lease_is_shared(l) ? " and, under a migration ticket, on '" : "",
                               l->partner, lease_is_shared(l) ? "'" : "", when);
}

/* --- records */

int record_name(const char *text, char **ret)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        for (const char *s = text; *s; s++)
                if (isalnum((unsigned char) *s) || *s == '-' || *s == '_' || (*s == '.' && s != text))
                        strbuf_addc(&b, *s);
                else
                        strbuf_addf(&b, "%%%02X", (unsigned) (unsigned char) *s);
        if (strbuf_error(&b) < 0)
                return -ENOMEM;
        if (b.len > RECORD_NAME_MAX) {
                char hex[DIGEST_SHA1_HEX];

                digest_sha1_hex(text, strlen(text), hex);
                b.len = RECORD_NAME_MAX - DIGEST_SHA1_HEX;
                strbuf_addf(&b, "~%s", hex); /* ~ is in no other name */
        }
        *ret = strbuf_take(&b);
        return *ret ? 0 : -ENOMEM;
}

int lease_path(const Paths *p, const char *storage, const char *volname, bool is_local, char **ret)
{
        AUTO(freep) char *dir = NULL, *name = NULL;
        int r = record_name(storage, &dir);

        if (r >= 0)
                r = record_name(volname, &name);
        if (r < 0)
                return r;
        if (is_local)
                return str_printf(ret, "%s/leases/%s/%s", p->lib, dir, name);
        return str_printf(ret, "%s/storaged/leases/%s/%s", p->priv, dir, name);
}

int record_read(const char *path, json_object **ret)
{
        AUTO(freep) char *text = NULL;
        AUTO_JSON *o = NULL;
        size_t len = 0;
        int r = fs_read_file(path, RECORD_SIZE_MAX, &text, &len);

        if (r == -ENOTDIR)
                return -ENOENT;
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        r = json_parse(text, len, &o);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (!json_object_is_type(o, json_type_object))
                return -EBADMSG;
        *ret = TAKE(o);
        return 0;
}

int record_write(const char *path, json_object *o, const Fence *fence)
{
        AUTO(freep) char *dir = NULL, *text = NULL;
        int r = str_printf(&text, "%s\n", json_text(o));

        if (r >= 0)
                r = fs_write_fenced(path, text, strlen(text), 0600, fence);
        if (r != -ENOENT)
                return r;
        dir = strdup(path); /* the first record there */
        if (!dir)
                return -ENOMEM;
        *strrchr(dir, '/') = '\0';
        r = fs_mkdir_p(dir, 0700);
        return r < 0 ? r : fs_write_fenced(path, text, strlen(text), 0600, fence);
}

int record_get_text(json_object *o, const char *key, bool is_required, char *ret, size_t size)
{
        const char *s = json_get_string(o, key);

        if (!s)
                return is_required || json_get(o, key) ? -EBADMSG : 0;
        if (!*s || strlen(s) >= size || str_has_control(s))
                return -EBADMSG;
        (void) snprintf(ret, size, "%s", s);
        return 0;
}

/* Any JSON object, as text. */
static int get_client(json_object *o, const char *key, char ret[static STORAGED_CLIENT_MAX])
{
        json_object *client = json_get(o, key);

        if (!client)
                return 0;
        if (!json_object_is_type(client, json_type_object) || strlen(json_text(client)) >= STORAGED_CLIENT_MAX)
                return -EBADMSG;
        (void) snprintf(ret, STORAGED_CLIENT_MAX, "%s", json_text(client));
        return 0;
}

static int add_client(json_object *o, const char *key, const char *text)
{
        AUTO_JSON *client = NULL;
        int r = *text ? json_parse(text, strlen(text), &client) : 0;

        return r < 0 || !*text ? r : json_add(o, key, TAKE(client));
}

static int lease_from_json(json_object *o, const char *volume, Lease *ret)
{
        Lease l = LEASE_INIT;
        const char *mode = json_get_string(o, "mode");
        int r = record_get_text(o, "volume", true, l.volume, sizeof(l.volume));

        if (r >= 0)
                r = record_get_text(o, "node", true, l.node, sizeof(l.node));
        if (r >= 0)
                r = record_get_text(o, "partner", false, l.partner, sizeof(l.partner));
        if (r >= 0)
                r = record_get_text(o, "from", false, l.from, sizeof(l.from));
        if (r >= 0)
                r = get_client(o, "client", l.client);
        if (r >= 0)
                r = get_client(o, "partner_client", l.partner_client);
        if (r < 0)
                return r;
        l.since = json_get_uint(o, "since", 0);
        l.generation = json_get_uint(o, "generation", 0);
        if (!str_eq(l.volume, volume) || l.generation == 0 || str_eq(l.node, l.partner) ||
            !str_eq(mode, lease_is_shared(&l) ? "shared" : "exclusive"))
                return -EBADMSG;
        *ret = l;
        return 0;
}

int lease_load(const char *path, const char *volume, Lease *ret, struct storaged_error *err)
{
        AUTO_JSON *o = NULL;
        int r = record_read(path, &o);

        if (r == -ENOENT) {
                *ret = LEASE_INIT;
                (void) snprintf(ret->volume, sizeof(ret->volume), "%s", volume);
                return 0;
        }
        if (r >= 0)
                r = lease_from_json(o, volume, ret);
        if (r == -EBADMSG)
                return error_set(err, r,
                                 "the lease of volume '%s' can't be read: make sure that no node uses the "
                                 "volume, then remove %s",
                                 volume, path);
        return r < 0 ? error_set(err, r, "can't read the lease of volume '%s', %s: %s", volume, path, fs_strerror(r))
                     : 0;
}

static int lease_write(const char *path, const Lease *l, const Fence *fence)
{
        AUTO_JSON *o = json_object_new_object();
        int r = fault_point("lease.before-write");

        if (r >= 0)
                r = json_add_string(o, "volume", l->volume);
        if (r >= 0)
                r = json_add_string(o, "node", l->node);
        if (r >= 0 && lease_is_shared(l))
                r = json_add_string(o, "partner", l->partner);
        if (r >= 0 && l->from[0])
                r = json_add_string(o, "from", l->from);
        if (r >= 0)
                r = add_client(o, "client", l->client);
        if (r >= 0)
                r = add_client(o, "partner_client", l->partner_client);
        if (r >= 0)
                r = json_add_string(o, "mode", lease_is_shared(l) ? "shared" : "exclusive");
        if (r >= 0)
                r = json_add_uint(o, "since", l->since);
        if (r >= 0)
                r = json_add_uint(o, "generation", l->generation);
        if (r >= 0)
                r = record_write(path, o, fence);
        return r < 0 ? r : fault_point("lease.after-write");
}

/* The directory may never have been there: then nothing was removed. */
static int sync_removal(const char *path)
{
        int r = fs_fsync_dir_of(path);

        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int lease_remove(const char *path, const Fence *fence)
{
        int r = fault_point("lease.before-remove");

        if (r < 0)
                return r;
        r = fs_unlink_fenced(path, fence);
        if (r < 0)
                return r;
        r = fault_point("lease.after-remove");
        return r < 0 ? r : sync_removal(path);
}

int lease_store(const char *path, const Lease *l, const Fence *fence, struct storaged_error *err)
{
        int r = lease_is_held(l) ? lease_write(path, l, fence) : lease_remove(path, fence);

        return r < 0 ? error_set(err, r, "can't write the lease of volume '%s', %s: %s", l->volume, path,
                                 fs_strerror(r))
                     : 0;
}
