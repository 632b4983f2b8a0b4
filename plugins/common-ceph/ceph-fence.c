/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fencing. Who is thrown out is what was recorded, never who watches an image now: by then that may be the new holder.
 *
 * An entry of a whole address stops every client of the node, also a QEMU that was started after the record; but the
 * node stays out until the entry is taken away, which needs more than `profile rbd`. So such an entry is made for a
 * year where the storage's user may take it away again, and the node does so itself after it has booted; else for a
 * day. An entry of one client needs no end: a client that comes again has another address (its nonce).
 *
 * The time of an entry tells whether this node has booted since: its length is always one of ours, so its beginning is
 * known.
 */
#include "common-ceph/ceph-fence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "common-ceph/ceph-mon.h"

#define YEAR_S (365 * 86400)
#define DAY_S 86400
#define CLOCKS_S 5 /* how far the clocks of a monitor and of this node may differ; Ceph warns at 0.05 s */

/* --- addresses */

int ceph_address_ip(const char *client, char ret[static CEPH_ADDRESS_MAX])
{
        const char *end;
        size_t n;

        if (client[0] == '[' && client[1] == 'v')
                client++; /* a list; its first is as good as any */
        if (client[0] == 'v' && (client[1] == '1' || client[1] == '2') && client[2] == ':')
                client += 3;
        if (client[0] == '[')
                end = strchr(++client, ']');
        else
                end = strchr(client, ':');
        n = end ? (size_t) (end - client) : 0;
        if (n == 0 || n >= CEPH_ADDRESS_MAX || strspn(client, "0123456789abcdefABCDEF.:") < n)
                return -EINVAL;
        memcpy(ret, client, n);
        ret[n] = '\0';
        return 0;
}

int ceph_own_address(CephCluster *c, char ret[static CEPH_ADDRESS_MAX], STORAGED_ERR)
{
        char *text = NULL;
        int r = rados_getaddrs(c->rados, &text);

        if (r >= 0)
                r = ceph_address_ip(text, ret);
        free(text);
        return r < 0 ? ceph_fail(c, r, err, "can't find out the address of this node's client") : 0;
}

int ceph_client_tell(CephCluster *c, const char *const *clients, size_t n, char *ret, size_t size, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = json_object_new_object();
        json_object *list = json_object_new_array();
        char ip[CEPH_ADDRESS_MAX];
        const char *text;
        int r = ceph_own_address(c, ip, err);

        if (r < 0) {
                (void) json_object_put(list);
                return r;
        }
        for (size_t i = 0; i < n; i++)
                (void) json_object_array_add(list, json_object_new_string(clients[i]));
        (void) json_object_object_add(o, "address", json_object_new_string(ip));
        (void) json_object_object_add(o, "clients", list);
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        if (!text || strlen(text) >= size)
                return error_set(err, -ENAMETOOLONG, "storage '%s': too many clients on this node to record",
                                 c->storage);
        (void) snprintf(ret, size, "%s", text);
        return 0;
}

/* --- the list of the cluster */

static int blocklist(CephCluster *c, const char *operation, const char *address, double seconds, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = json_object_new_object();

        (void) json_object_object_add(o, "prefix", json_object_new_string("osd blocklist"));
        (void) json_object_object_add(o, "blocklistop", json_object_new_string(operation));
        (void) json_object_object_add(o, "addr", json_object_new_string(address));
        if (seconds > 0)
                (void) json_object_object_add(o, "expire", json_object_new_double(seconds));
        return ceph_mon_object(c, o, NULL, err);
}

/* To take away what is not there changes nothing, and tells whether this user may. */
static bool may_unfence(CephCluster *c)
{
        return blocklist(c, "rm", "0.0.0.0:0/1", 0, NULL) >= 0;
}

static int fence_clients(CephCluster *c, const char *node, json_object *clients, STORAGED_ERR)
{
        size_t n = json_object_is_type(clients, json_type_array) ? json_object_array_length(clients) : 0;

        for (size_t i = 0; i < n; i++) {
                const char *client = json_object_get_string(json_object_array_get_idx(clients, i));
                int r = client ? blocklist(c, "add", client, YEAR_S, err) : -EINVAL;

                if (r < 0)
                        return r;
                c->host->log(c->host->handle, STORAGED_LOG_WARNING, "node '%s': client %s is fenced", node, client);
        }
        return (int) n;
}

static int fence_address(CephCluster *c, const char *node, const char *ip, bool may_undo, STORAGED_ERR)
{
        int r = blocklist(c, "add", ip, may_undo ? YEAR_S : DAY_S, err);

        if (r < 0)
                return r;
        c->host->log(c->host->handle, STORAGED_LOG_WARNING, "node '%s': all clients of address %s are fenced%s", node,
                     ip,
                     may_undo ? " until it has booted"
                              : " for a day, because this storage's user may not take that away again");
        return 0;
}

int ceph_fence(CephCluster *c, const char *node, const char *recorded, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = recorded ? ceph_mon_parse(recorded, strlen(recorded)) : NULL;
        const char *ip = ceph_json_text(o, "address");
        char mine[CEPH_ADDRESS_MAX];
        bool may_undo;
        int r, n;

        if (!ip)
                return error_set(err, -EINVAL, "storage '%s': no address of node '%s' was recorded", c->storage, node);
        r = ceph_own_address(c, mine, err);
        if (r < 0)
                return r;
        n = fence_clients(c, node, ceph_json_get(o, "clients"), err);
        if (n < 0)
                return n;
        may_undo = may_unfence(c);
        if (strcmp(ip, mine) != 0 && (may_undo || n == 0))
                r = fence_address(c, node, ip, may_undo, err);
        else if (n == 0)
                r = error_set(err, -EBUSY,
                              "storage '%s': node '%s' has this node's own address %s, and no client of it was "
                              "recorded: nothing "
                              "can be fenced",
                              c->storage, node, ip);
        if (r >= 0)
                r = c->host->fault(c->host->handle, "ceph.fence.listed");
        if (r < 0)
                return r;
        r = rados_wait_for_latest_osdmap(c->rados); /* without a limit of its own: the watch has one */
        return r < 0 ? ceph_fail(c, r, err, "wait for the map in which node '%s' is fenced", node) : 0;
}

/* --- after a restart */

int ceph_fence_time(const char *until, int64_t *ret)
{
        struct tm t = { 0 };
        const char *rest = strptime(until, "%Y-%m-%dT%H:%M:%S", &t), *zone;
        int hours, minutes;
        int64_t end;

        if (!rest)
                return -EINVAL;
        zone = strpbrk(rest, "+-");
        if (!zone || sscanf(zone + 1, "%2d%2d", &hours, &minutes) != 2)
                return -EINVAL;
        end = timegm(&t) - (int64_t) (zone[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
        *ret = end - (end - time(NULL) > 2 * DAY_S ? YEAR_S : DAY_S);
        return 0;
}

static int boot_time(int64_t *ret)
{
        AUTO(fclosep) FILE *f = fopen("/proc/stat", "re");
        char line[512];

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "btime %" SCNd64, ret) == 1)
                        return 0;
        return -ENODATA;
}

int ceph_unfence_check(CephCluster *c, char ret_entry[static CEPH_ENTRY_MAX], STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *list = NULL;
        char ip[CEPH_ADDRESS_MAX], address[CEPH_ENTRY_MAX];
        json_object *entry;
        const char *until;
        int64_t made, booted;
        int r = ceph_own_address(c, ip, err);

        if (r >= 0)
                r = ceph_mon(c, &list, err, "osd blocklist ls", NULL);
        if (r < 0)
                return r;
        (void) snprintf(address, sizeof(address), strchr(ip, ':') ? "[%s]:0/0" : "%s:0/0", ip);
        entry = ceph_json_find(list, "addr", address);
        if (!entry)
                return 0;
        until = ceph_json_text(entry, "until");
        if (!until || ceph_fence_time(until, &made) < 0 || boot_time(&booted) < 0 || booted < made + CLOCKS_S)
                return error_set(
                        err, -ESHUTDOWN,
                        "storage '%s': blocklisted: this node (%s) was fenced because another one took over from it; "
                        "reboot it, then it comes back by itself",
                        c->storage, ip);
        (void) snprintf(ret_entry, CEPH_ENTRY_MAX, "%s", address);
        return 1;
}

int ceph_unfence_self(CephCluster *c, STORAGED_ERR)
{
        char address[CEPH_ENTRY_MAX];
        int r = ceph_unfence_check(c, address, err);

        if (r <= 0)
                return r;
        r = blocklist(c, "rm", address, 0, err);
        if (r < 0)
                return r;
        c->host->log(c->host->handle, STORAGED_LOG_WARNING,
                     "this node has booted since it was fenced: %s is taken off the blocklist", address);
        r = rados_wait_for_latest_osdmap(c->rados);
        return r < 0 ? ceph_fail(c, r, err, "wait for the map in which this node is not fenced") : 1;
}
