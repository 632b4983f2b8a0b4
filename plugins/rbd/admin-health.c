/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Health: each check that the cluster raises, with what it means for the storages here, whether it is muted, and what
 * can be done. Checks are known by their codes, never by their texts, which differ from version to version.
 */
#include "rbd/admin.h"

#include <errno.h>
#include <time.h>

#define RECHECK_MS 200 /* health can't be subscribed to; a monitor answers in a millisecond */

int health_read(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *health = NULL;
        int r = ceph_mon(&a->cluster, &health, err, "health", "detail", "detail", NULL);

        if (r < 0)
                return r;
        if (!ceph_json_text(health, "status"))
                return error_set(err, -EPROTO, "the monitors' answer to 'health' can't be read");
        *ret = TAKE(health);
        return 0;
}

/* With the details of its health, and the maps that `status` only counts since Octopus: what Proxmox VE makes of it. */
int act_status(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const struct {
                const char *key, *prefix, *is_whole;
        } maps[] = { { "monmap", "mon dump", "mons" }, { "mgrmap", "mgr dump", "standbys" } };
        AUTO(ceph_jsonp) json_object *status = NULL;
        AUTO(ceph_jsonp) json_object *health = NULL;
        int r = ceph_mon(&a->cluster, &status, err, "status", NULL);

        if (r >= 0 && !json_object_is_type(status, json_type_object))
                r = error_set(err, -EPROTO, "the monitors' answer to 'status' can't be read");
        if (r >= 0)
                r = health_read(a, &health, err);
        if (r >= 0)
                json_member(status, "health", TAKE(health));
        for (size_t i = 0; r >= 0 && i < sizeof(maps) / sizeof(maps[0]); i++) {
                AUTO(ceph_jsonp) json_object *map = NULL;

                if (ceph_json_get(ceph_json_get(status, maps[i].key), maps[i].is_whole))
                        continue;
                r = ceph_mon(&a->cluster, &map, err, maps[i].prefix, NULL);
                if (r >= 0)
                        json_member(status, maps[i].key, TAKE(map));
        }
        if (r >= 0)
                *ret = TAKE(status);
        return r;
}

static json_object *find_check(json_object *health, const char *code)
{
        json_object *all = ceph_json_get(health, "checks"), *check = NULL;

        return json_object_is_type(all, json_type_object) && json_object_object_get_ex(all, code, &check) ? check
                                                                                                          : NULL;
}

int health_wait_cleared(Admin *a, const char *code, unsigned limit_ms, health_other_fn other, STORAGED_ERR)
{
        const struct timespec pause = { .tv_nsec = RECHECK_MS * 1000000L };
        uint64_t end = ceph_now_ms() + limit_ms;

        for (;;) {
                AUTO(ceph_jsonp) json_object *health = NULL;
                bool is_other = false;
                int r = health_read(a, &health, err);

                if (r >= 0 && !find_check(health, code))
                        return 0;
                if (r >= 0 && other)
                        r = other(a, &is_other, err);
                if (r < 0 || is_other)
                        return r;
                if (ceph_now_ms() >= end)
                        return error_set(err, -ETIMEDOUT,
                                         "%s is still raised %u s after the repair: see `pvesm ceph health`", code,
                                         limit_ms / 1000);
                if (a->cluster.host->progress(a->cluster.host->handle, 0, 0) != 0)
                        return error_set(err, -ECANCELED, "stopped while waiting for %s to clear", code);
                (void) nanosleep(&pause, NULL);
        }
}

/* --- one check */

static json_object *messages(json_object *check)
{
        json_object *detail = ceph_json_get(check, "detail"), *lines = json_object_new_array();
        size_t n = json_object_is_type(detail, json_type_array) ? json_object_array_length(detail) : 0;

        for (size_t i = 0; i < n; i++) {
                const char *line = ceph_json_text(json_object_array_get_idx(detail, i), "message");

                if (line)
                        json_append(lines, "%s", line);
        }
        return lines;
}

static bool contains(json_object *array, const char *text, size_t length)
{
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                const char *s = json_object_get_string(json_object_array_get_idx(array, i));

                if (s && strlen(s) == length && memcmp(s, text, length) == 0)
                        return true;
        }
        return false;
}

/* Of the ID=POOL words those about one of these pools; all where the check is about the whole cluster. */
static json_object *affected_storages(const Admin *a, json_object *pools)
{
        const char *s = admin_get(a, "storages");
        json_object *ids = json_object_new_array();
        bool is_about_all = json_object_array_length(pools) == 0;

        while (s && *s) {
                size_t n = strcspn(s, " "), id = strcspn(s, "= ");

                if (id > 0 && id < n && (is_about_all || contains(pools, s + id + 1, n - id - 1)) &&
                    !contains(ids, s, id))
                        (void) json_object_array_add(ids, json_object_new_string_len(s, (int) id));
                s += n + (s[n] == ' ');
        }
        return ids;
}

static json_object *describe(Admin *a, const char *code, json_object *check, const Check *known)
{
        json_object *o = json_object_new_object(), *lines = messages(check), *pools = json_object_new_array();
        const char *summary = ceph_json_text(check, "summary.message"), *severity = ceph_json_text(check, "severity");
        struct storaged_error why = STORAGED_ERROR_INIT;

        if (known && known->explain && known->explain(a, check, lines, pools, &why) < 0)
                json_append(lines, "(can't look closer: %s)", why.text);
        json_member(o, "code", json_object_new_string(code));
        json_member(o, "severity", json_object_new_string(severity ? severity : "HEALTH_WARN"));
        json_member(o, "summary", json_object_new_string(summary ? summary : code));
        json_member(o, "count", json_object_new_uint64(ceph_json_uint(check, "summary.count")));
        json_member(o, "muted", json_object_new_boolean(ceph_json_uint(check, "muted") != 0));
        json_member(
                o, "meaning",
                json_object_new_string(known ? known->meaning : "Not about storages by itself: see Ceph's manual."));
        json_member(o, "advice",
                    json_object_new_string(known ? known->advice : "https://docs.ceph.com: Health checks"));
        json_member(o, "repairable", json_object_new_boolean(known && known->repair));
        json_member(o, "storages", affected_storages(a, pools));
        json_member(o, "pools", pools);
        json_member(o, "detail", lines);
        return o;
}

/* What we look for ourselves: Ceph takes it for granted. */
static void add_ours(Admin *a, json_object *rows)
{
        for (const Check *c = checks; c->code; c++) {
                AUTO(ceph_jsonp) json_object *check = NULL;
                bool is_there = false;

                if (!c->is_there || c->is_there(a, &is_there, NULL) < 0 || !is_there)
                        continue;
                check = json_object_new_object();
                (void) json_object_array_add(rows, describe(a, c->code, check, c));
        }
}

int act_health(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *health = NULL;
        json_object *all, *rows, *answer;
        char fsid[64] = "";
        int r = health_read(a, &health, err);

        if (r < 0)
                return r;
        rows = json_object_new_array();
        all = ceph_json_get(health, "checks");
        if (json_object_is_type(all, json_type_object)) {
                json_object_object_foreach (all, code, check) {
                        (void) json_object_array_add(rows, describe(a, code, check, check_find(code)));
                }
        }
        add_ours(a, rows);
        answer = json_object_new_object();
        if (rados_cluster_fsid(a->cluster.rados, fsid, sizeof(fsid)) > 0)
                json_member(answer, "fsid", json_object_new_string(fsid));
        json_member(answer, "status", json_object_new_string(ceph_json_text(health, "status")));
        json_member(answer, "checks", rows);
        json_member(answer, "mutes", json_object_get(ceph_json_get(health, "mutes")));
        *ret = answer;
        return 0;
}
