/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of checks: what each means for storages, what can be done, how to look closer, and, where there is a repair
 * that is safe without knowing more than the cluster tells, that repair. A check without a row is shown as Ceph words
 * it.
 */
#include "rbd/admin.h"

#include <errno.h>
#include <ifaddrs.h>
#include <arpa/inet.h>
#include <rbd/librbd.h>

#include "common-ceph/ceph-fence.h"

#define LARGEST 5u /* volumes named where a pool is full */
#define IMAGES_MAX 2000u

/* --- POOL_APP_NOT_ENABLED */

static int explain_application(Admin *a, json_object *detail, json_object *lines, json_object *pools, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        json_object *all;
        int r = pool_map_read(a, &m, err);

        (void) detail;
        (void) lines;
        if (r < 0)
                return r;
        all = ceph_json_get(m.osd_map, "pools");
        for (size_t i = 0; i < json_object_array_length(all); i++) {
                json_object *pool = json_object_array_get_idx(all, i);
                const char *name = ceph_json_text(pool, "pool_name");

                if (name && pool_applications(pool, NULL) == 0 && pool_count_objects(&m, name) > 0)
                        json_append(pools, "%s", name);
        }
        return 0;
}

/* --- full pools and OSDs */

typedef struct Largest {
        char name[128];
        uint64_t bytes;
} Largest;

static void keep_largest(Largest *all, const char *pool, const char *image, uint64_t bytes)
{
        size_t i = LARGEST;

        while (i > 0 && all[i - 1].bytes < bytes)
                i--;
        if (i == LARGEST)
                return;
        memmove(all + i + 1, all + i, (LARGEST - i - 1) * sizeof(*all));
        (void) snprintf(all[i].name, sizeof(all[i].name), "%s/%s", pool, image);
        all[i].bytes = bytes;
}

static uint64_t image_size(rados_ioctx_t io, const char *name)
{
        rbd_image_t image;
        uint64_t bytes = 0;

        if (rbd_open_read_only(io, name, &image, NULL) < 0)
                return 0;
        if (rbd_get_size(image, &bytes) < 0)
                bytes = 0;
        (void) rbd_close(image);
        return bytes;
}

static int look_at_images(Admin *a, const char *pool, Largest *all, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        AUTO(freep) rbd_image_spec_t *images = NULL;
        size_t n = IMAGES_MAX;
        int r = ceph_cluster_open_pool(&a->cluster, pool, NULL, &io, err);

        if (r < 0)
                return r;
        images = calloc(n, sizeof(*images));
        if (!images)
                return -ENOMEM;
        r = rbd_list2(io, images, &n);
        if (r < 0)
                return r == -ENOENT ? 0 : ceph_fail(&a->cluster, r, err, "list the images of pool '%s'", pool);
        for (size_t i = 0; i < n; i++) {
                keep_largest(all, pool, images[i].name, image_size(io, images[i].name));
                ceph_watch_again(&a->cluster.watch);
        }
        rbd_image_spec_list_cleanup(images, n);
        return 0;
}

static int explain_full(Admin *a, json_object *detail, json_object *lines, json_object *pools, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        Largest largest[LARGEST + 1] = { 0 };
        json_object *all;
        int r = pool_map_read(a, &m, err);

        (void) detail;
        if (r < 0)
                return r;
        all = ceph_json_get(m.osd_map, "pools");
        for (size_t i = 0; i < json_object_array_length(all) && r >= 0; i++) {
                json_object *pool = json_object_array_get_idx(all, i);
                json_object *flags = ceph_json_get(pool, "flags_names");
                const char *name = ceph_json_text(pool, "pool_name"), *words = json_object_get_string(flags);

                if (name && words && (strstr(words, "full") || strstr(words, "nearfull")))
                        json_append(pools, "%s", name);
                if (name && ceph_json_get(pool, "application_metadata.rbd") && !pool_is_erasure(pool))
                        r = look_at_images(a, name, largest, err);
        }
        for (size_t i = 0; i < LARGEST && largest[i].bytes > 0; i++)
                json_append(lines, "one of the largest volumes: %s, %llu MiB", largest[i].name,
                            (unsigned long long) (largest[i].bytes >> 20));
        return r;
}

/* --- AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED */

/* As long as a client that needs it is connected (the other check says so), forbidding it would lock that client out.
 */
static int repair_global_id(Admin *a, bool dry_run, json_object *steps, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *health = NULL;
        int r = health_read(a, &health, err);

        if (r < 0)
                return r;
        if (ceph_json_get(health, "checks.AUTH_INSECURE_GLOBAL_ID_RECLAIM"))
                return error_set(err, -EBUSY,
                                 "clients that need the insecure way are connected (AUTH_INSECURE_GLOBAL_ID_RECLAIM "
                                 "names them): "
                                 "update them first");
        json_append(steps,
                    "no connected client needs the insecure way (AUTH_INSECURE_GLOBAL_ID_RECLAIM is not raised)");
        json_append(steps, "%s: config set mon auth_allow_insecure_global_id_reclaim false",
                    dry_run ? "would do" : "done");
        if (dry_run)
                return 0;
        r = ceph_mon(&a->cluster, NULL, err, "config set", "who", "mon", "name",
                     "auth_allow_insecure_global_id_reclaim", "value", "false", NULL);
        return r < 0 ? r : health_wait_cleared(a, "AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED", 60000, NULL, err);
}

/* --- MON_CLOCK_SKEW */

static int explain_clock_skew(Admin *a, json_object *detail, json_object *lines, json_object *pools, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *sync = NULL;
        json_object *mons;
        int r = ceph_mon(&a->cluster, &sync, err, "time-sync-status", NULL);

        (void) detail;
        (void) pools;
        mons = ceph_json_get(sync, "time_skew_status");
        if (r < 0 || !json_object_is_type(mons, json_type_object))
                return r;
        json_object_object_foreach (mons, name, mon) {
                json_append(lines, "clock of monitor %s: %+.3f s beside the leader's", name,
                            json_object_get_double(ceph_json_get(mon, "skew")));
        }
        return 0;
}

/* --- STORAGED_BLOCKLISTED: this node's whole address is fenced */

/* "A:PORT/NONCE" or "A:0/0"; brackets around an IPv6 A. The address alone. */
static bool entry_address(const char *entry, char *ret, size_t size)
{
        const char *begin = *entry == '[' ? entry + 1 : entry;
        const char *end = *entry == '[' ? strchr(begin, ']') : strrchr(begin, ':');

        if (!end || (size_t) (end - begin) >= size)
                return false;
        memcpy(ret, begin, (size_t) (end - begin));
        ret[end - begin] = '\0';
        return true;
}

/* Nonce 0: every client at this address, also those still to come. */
static bool entry_is_whole_address(const char *entry)
{
        size_t n = strlen(entry);

        return n > 4 && strcmp(entry + n - 4, ":0/0") == 0;
}

static bool address_is_ours(const char *address)
{
        struct ifaddrs *all = NULL;
        bool found = false;

        if (getifaddrs(&all) < 0)
                return false;
        for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
                char text[INET6_ADDRSTRLEN] = "";

                if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
                        (void) inet_ntop(AF_INET, &((struct sockaddr_in *) (void *) i->ifa_addr)->sin_addr, text,
                                         sizeof(text));
                else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6)
                        (void) inet_ntop(AF_INET6, &((struct sockaddr_in6 *) (void *) i->ifa_addr)->sin6_addr, text,
                                         sizeof(text));
                found = *text && strcmp(text, address) == 0;
        }
        freeifaddrs(all);
        return found;
}

/* Entries of the OSD map that fence this node as a whole: {"A:0/0": "until"}. */
static int our_entries(Admin *a, json_object *found, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *map = NULL;
        json_object *entries;
        int r = ceph_mon(&a->cluster, &map, err, "osd dump", NULL);

        entries = ceph_json_get(map, "blocklist");
        if (r < 0 || !json_object_is_type(entries, json_type_object))
                return r;
        json_object_object_foreach (entries, entry, until) {
                char address[INET6_ADDRSTRLEN];

                if (entry_is_whole_address(entry) && entry_address(entry, address, sizeof(address)) &&
                    address_is_ours(address))
                        json_append(found, "%s until %s", entry, json_object_get_string(until));
        }
        return 0;
}

static int is_blocklisted(Admin *a, bool *ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *found = json_object_new_array();
        int r = our_entries(a, found, err);

        if (r >= 0)
                *ret = json_object_array_length(found) > 0;
        return r;
}

static int explain_blocklisted(Admin *a, json_object *detail, json_object *lines, json_object *pools, STORAGED_ERR)
{
        (void) detail;
        (void) pools;
        return our_entries(a, lines, err);
}

/* Evidence: the entry is older than this node's last boot, so nothing that it was to stop runs any more. */
static int repair_blocklisted(Admin *a, bool dry_run, json_object *steps, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *left = json_object_new_array();
        char entry[CEPH_ENTRY_MAX];
        int r = ceph_unfence_check(&a->cluster, entry, err);

        if (r < 0)
                return r;
        if (r == 0) {
                json_append(steps, "this node's address is not on the blocklist");
                return 0;
        }
        json_append(steps, "%s is from before this node's last boot: nothing that was to be stopped runs any more",
                    entry);
        json_append(steps, "%s: osd blocklist rm %s", dry_run ? "would do" : "done", entry);
        if (dry_run)
                return 0;
        r = ceph_unfence_self(&a->cluster, err);
        if (r >= 0)
                r = our_entries(a, left, err);
        if (r < 0 || json_object_array_length(left) == 0)
                return r < 0 ? r : 0;
        return error_set(err, -EBUSY, "this node is still fenced: %s",
                         json_object_get_string(json_object_array_get_idx(left, 0)));
}

/* --- the table */

#define FULL_ADVICE "Remove or move volumes, or add OSDs; the largest volumes are named in the detail."

const Check checks[] = {
        { .code = "POOL_APP_NOT_ENABLED",
          .meaning = "Pools hold objects, but nobody said which application they are for. Volumes work; Ceph only "
                     "can't tell "
                     "whose the pool is.",
          .advice = "`pvesm ceph repair` finds out and enables the application.",
          .explain = explain_application,
          .repair = repair_applications },
        { .code = "POOL_FULL",
          .meaning = "Writes to these pools stop: guests on them hang until there is room.",
          .advice = FULL_ADVICE " A quota may be the cause: `pvesm ceph pool set NAME --quota-bytes N`.",
          .explain = explain_full },
        { .code = "POOL_NEARFULL", /* of the OSDs that they are on */
          .meaning = "These pools will soon take no more data; guests on them would hang then.",
          .advice = FULL_ADVICE,
          .explain = explain_full },
        { .code = "POOL_BACKFILLFULL",
          .meaning = "OSDs of these pools are too full to take copies from others; soon they take no data, and guests "
                     "hang.",
          .advice = FULL_ADVICE,
          .explain = explain_full },
        { .code = "POOL_NEAR_FULL", /* of its quota */
          .meaning = "These pools will soon take no more data, by their quota; guests on them would hang then.",
          .advice = FULL_ADVICE " The quota: `pvesm ceph pool set NAME --quota-bytes N`.",
          .explain = explain_full },
        { .code = "OSD_FULL",
          .meaning = "An OSD is full, so no pool on it takes data: guests hang until there is room.",
          .advice = FULL_ADVICE,
          .explain = explain_full },
        { .code = "OSD_BACKFILLFULL",
          .meaning = "An OSD is too full to take copies from others: lost redundancy can't be restored.",
          .advice = FULL_ADVICE,
          .explain = explain_full },
        { .code = "OSD_NEARFULL",
          .meaning = "An OSD is nearly full; when it is, guests hang.",
          .advice = FULL_ADVICE,
          .explain = explain_full },
        { .code = "AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED",
          .meaning = "Old clients may take over another client's identity (CVE-2021-20288).",
          .advice = "`pvesm ceph repair --check AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED` forbids it, if no client "
                    "needs it.",
          .repair = repair_global_id },
        { .code = "AUTH_INSECURE_GLOBAL_ID_RECLAIM",
          .meaning = "The clients in the detail are too old to prove their identity.",
          .advice = "Update and restart them; only then forbid the insecure way." },
        { .code = "MON_CLOCK_SKEW",
          .meaning = "Monitors disagree about the time; leases between them get short, and quorum may be lost.",
          .advice = "Let all monitors' machines follow one time server (chrony); the detail says how far each is off.",
          .explain = explain_clock_skew },
        { .code = "MON_DOWN",
          .meaning = "Monitors are missing. The storages work as long as more than half are there.",
          .advice = "Start the monitors in the detail." },
        { .code = "OSD_DOWN",
          .meaning = "OSDs are missing. Data on them has fewer copies; where too few are left, guests hang.",
          .advice = "Start the OSDs in the detail, or replace their disks." },
        { .code = "PG_AVAILABILITY",
          .meaning = "Part of the data can't be reached: guests that touch it hang.",
          .advice = "Bring back OSDs (see OSD_DOWN)." },
        { .code = "PG_DEGRADED",
          .meaning = "Part of the data has fewer copies than it should. Storages work.",
          .advice = "Ceph restores it by itself once enough OSDs are there." },
        { .code = "POOL_NO_REDUNDANCY",
          .meaning = "These pools keep one copy only: the loss of one disk is the loss of data.",
          .advice = "`pvesm ceph pool set NAME --size 3`" },
        { .code = "STORAGED_BLOCKLISTED",
          .meaning = "The cluster has fenced this node's address as a whole: no storage of it works here.",
          .advice =
                  "Reboot this node, so that nothing from before the fence still runs. Then its storages come back by "
                  "themselves, or by `pvesm ceph repair --check STORAGED_BLOCKLISTED`.",
          .explain = explain_blocklisted,
          .repair = repair_blocklisted,
          .is_there = is_blocklisted },
        { 0 },
};

const Check *check_find(const char *code)
{
        for (const Check *c = checks; c->code; c++)
                if (strcmp(c->code, code) == 0)
                        return c;
        return NULL;
}
