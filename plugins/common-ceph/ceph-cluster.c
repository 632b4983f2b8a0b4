/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection is made when first needed, lasts as long as the worker, and is made anew when the cluster has fenced it:
 * it is a new client then, with an address of its own. All that librados can bound by an option is bounded here; the
 * rest by the watch (ceph-watch.c).
 *
 * Nothing of this node's Ceph configuration counts for an external cluster: /etc/ceph may describe another one.
 */
#include "common-ceph/ceph-cluster.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"

#define GREETING_MS 400 /* a monitor on a busy machine; on a network it is a round trip */

/* --- what is configured */

static int dup_string(char **to, const char *s)
{
        *to = s ? strdup(s) : NULL;
        return s && !*to ? -ENOMEM : 0;
}

static int find_conf(CephCluster *c)
{
        static const char *const places[] = { "/etc/pve/ceph.conf", "/etc/ceph/ceph.conf" };
        char path[512];

        if (c->monhost) {
                (void) snprintf(path, sizeof(path), "%s/etc/pve/priv/ceph/%s.conf", c->host->root, c->storage);
                return access(path, R_OK) == 0 ? dup_string(&c->conf, path) : 0;
        }
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                (void) snprintf(path, sizeof(path), "%s%s", c->host->root, places[i]);
                if (access(path, F_OK) == 0)
                        break;
        }
        return dup_string(&c->conf, path);
}

/* storage.cfg separates by space, comma or semicolon; librados and QEMU take commas alike. */
static int set_monhost(CephCluster *c, const char *monhost)
{
        size_t n = 0;

        if (!monhost || !*monhost)
                return 0;
        c->monhost = strdup(monhost);
        if (!c->monhost)
                return -ENOMEM;
        for (const char *s = monhost; *s; s++) {
                bool is_separator = isspace((unsigned char) *s) || *s == ';' || *s == ',';

                if (!is_separator)
                        c->monhost[n++] = *s;
                else if (n > 0 && c->monhost[n - 1] != ',')
                        c->monhost[n++] = ',';
        }
        if (n > 0 && c->monhost[n - 1] == ',')
                n--;
        c->monhost[n] = '\0';
        return 0;
}

/* A keyring has sections; mount.ceph's secret file has none. */
static bool is_key_alone(const char *path)
{
        AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[4096] = "";
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
        bool is_alone = n > 0 && !memchr(text, '[', (size_t) n);

        explicit_bzero(text, sizeof(text));
        return is_alone;
}

static void reason_of_silence(void *userdata, char *ret, size_t size)
{
        ceph_reason(userdata, -ETIMEDOUT, ret, size);
}

int ceph_cluster_init(CephCluster *c, const struct storaged_host *host, const struct storaged_config *config,
                      STORAGED_ERR)
{
        const char *keyring = storaged_config_get(config, "keyring"), *user = storaged_config_get(config, "username");
        int r;

        *c = (CephCluster){ .host = host };
        r = dup_string(&c->storage,
                       config->storage && *config->storage ? config->storage : "ceph"); /* a scan has none */
        if (r >= 0)
                r = set_monhost(c, storaged_config_get(config, "monhost"));
        if (r >= 0)
                r = dup_string(&c->user, user ? user : "admin");
        if (r >= 0 && keyring && access(keyring, F_OK) == 0) {
                r = dup_string(&c->keyring, keyring);
                c->is_key_alone = is_key_alone(keyring);
        }
        if (r >= 0)
                r = find_conf(c);
        (void) ceph_watch_init(&c->watch, host, c->storage ? c->storage : "", reason_of_silence, c);
        if (r < 0) {
                ceph_cluster_deinit(c);
                return error_set(err, r, "storage '%s': no memory", config->storage);
        }
        return 0;
}

void ceph_cluster_deinit(CephCluster *c)
{
        ceph_cluster_disconnect(c);
        ceph_watch_deinit(&c->watch);
        free(c->storage);
        free(c->conf);
        free(c->monhost);
        free(c->user);
        free(c->keyring);
        *c = (CephCluster){ 0 };
}

/* --- the connection */

static int set_options(CephCluster *c, rados_t rados)
{
        char connect_s[16], mon_s[16], osd_s[16];
        const char *const options[][2] = {
                { "mon_host", c->monhost },
                { c->is_key_alone ? "keyfile" : "keyring", c->keyring },
                { "auth_client_required", c->monhost && !c->keyring ? "none" : NULL },
                { "client_mount_timeout", connect_s },
                { "rados_mon_op_timeout", mon_s },
                { "rados_osd_op_timeout", osd_s },
                { "mon_client_ping_interval", "1" }, /* a monitor that hangs is left before a watch runs out */
                { "mon_client_ping_timeout", "2" },
                { "client_fs", c->file_system },
                { "log_file", "" },
                { "log_to_stderr", "false" },
                { "log_to_syslog", "false" },
                { "admin_socket", "" },
                { "rbd_cache", "false" }, /* what is written here is read by others at once */
        };

        (void) snprintf(connect_s, sizeof(connect_s), "%d", CEPH_CONNECT_S);
        (void) snprintf(mon_s, sizeof(mon_s), "%d", CEPH_MON_OP_S);
        (void) snprintf(osd_s, sizeof(osd_s), "%d", c->is_streaming ? CEPH_OSD_STREAM_S : CEPH_OSD_OP_S);
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
                int r = options[i][1] ? rados_conf_set(rados, options[i][0], options[i][1]) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

static void shutdownp(rados_t *rados)
{
        if (*rados)
                rados_shutdown(*rados);
}

static int make_handle(CephCluster *c, rados_t *ret, STORAGED_ERR)
{
        AUTO(shutdownp) rados_t rados = NULL;
        char name[256];
        int r;

        (void) snprintf(name, sizeof(name), "client.%s", c->user);
        r = rados_create2(&rados, "ceph", name, 0);
        if (r < 0)
                return error_set(err, r, "storage '%s': Ceph takes no user '%s': %s", c->storage, name, strerror(-r));
        if (c->conf) {
                r = rados_conf_read_file(rados, c->conf);
                if (r < 0)
                        return error_set(
                                err, r,
                                "storage '%s': can't read '%s', which describes the local Ceph cluster: %s; for a "
                                "cluster elsewhere set monhost",
                                c->storage, c->conf, strerror(-r));
        }
        r = set_options(c, rados);
        if (r < 0)
                return error_set(err, r, "storage '%s': librados refuses its configuration: %s", c->storage,
                                 strerror(-r));
        *ret = TAKE(rados);
        return 0;
}

int ceph_cluster_connect(CephCluster *c, STORAGED_ERR)
{
        AUTO(shutdownp) rados_t rados = NULL;
        int r;

        if (c->rados && !c->is_stale)
                return 0;
        ceph_cluster_disconnect(c);
        r = make_handle(c, &rados, err);
        if (r < 0)
                return r;
        r = rados_connect(rados);
        if (r < 0)
                return ceph_fail(c, r, err, "connect to the Ceph cluster as client.%s", c->user);
        c->rados = TAKE(rados);
        return 0;
}

void ceph_cluster_disconnect(CephCluster *c)
{
        c->is_stale = false;
        if (c->rados)
                rados_shutdown(TAKE(c->rados));
}

void ceph_cluster_set_streaming(CephCluster *c)
{
        char seconds[16];

        c->is_streaming = true;
        (void) snprintf(seconds, sizeof(seconds), "%d", CEPH_OSD_STREAM_S);
        if (c->rados)
                (void) rados_conf_set(c->rados, "rados_osd_op_timeout", seconds); /* of a known option */
}

/*
 * rados_ioctx_create() of a pool that this client's map does not have waits without a limit for a newer map: the
 * monitors are asked first, which is bounded.
 */
int ceph_cluster_open_pool(CephCluster *c, const char *pool, const char *namespace, rados_ioctx_t *ret, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        AUTO(ceph_jsonp) json_object *pools = NULL;
        int r;

        r = ceph_mon(c, &pools, err, "osd lspools", NULL);
        if (r < 0)
                return r;
        if (!ceph_json_find(pools, "poolname", pool))
                return error_set(err, -ENOENT, "storage '%s': the Ceph cluster has no pool '%s'", c->storage, pool);
        r = rados_ioctx_create(c->rados, pool, &io);
        if (r < 0)
                return ceph_fail(c, r, err, "open pool '%s'", pool);
        if (namespace && *namespace)
                rados_ioctx_set_namespace(io, namespace);
        *ret = TAKE(io);
        return 0;
}

/* --- failures in words */

static bool is_silence(int code)
{
        return code == -ETIMEDOUT || code == -ETIME || code == -EHOSTUNREACH || code == -ECONNREFUSED ||
               code == -ENETUNREACH || code == -ENOTCONN;
}

static bool has_word(json_object *words, const char *word)
{
        size_t n = json_object_is_type(words, json_type_array) ? json_object_array_length(words) : 0;

        for (size_t i = 0; i < n; i++)
                if (strcmp(json_object_get_string(json_object_array_get_idx(words, i)), word) == 0)
                        return true;
        return false;
}

/* A full OSD stops all writes to the pools that are on it; the monitors mark it, and the pools. */
static bool is_full(json_object *map)
{
        json_object *osds = ceph_json_get(map, "osds"), *pools = ceph_json_get(map, "pools");
        size_t n_osds = json_object_is_type(osds, json_type_array) ? json_object_array_length(osds) : 0;
        size_t n_pools = json_object_is_type(pools, json_type_array) ? json_object_array_length(pools) : 0;

        for (size_t i = 0; i < n_osds; i++)
                if (has_word(ceph_json_get(json_object_array_get_idx(osds, i), "state"), "full"))
                        return true;
        for (size_t i = 0; i < n_pools; i++) {
                const char *flags = ceph_json_text(json_object_array_get_idx(pools, i), "flags_names");

                if (flags &&
                    (strncmp(flags, "full,", 5) == 0 || strstr(flags, ",full,") || strstr(flags, "full_quota")))
                        return true;
        }
        return has_word(ceph_json_get(map, "flags_set"), "full");
}

/* The monitors answer, so it is the OSDs: their map tells. */
static void reason_of_osds(CephCluster *c, char *ret, size_t size)
{
        AUTO(ceph_jsonp) json_object *map = NULL;
        json_object *osds;
        size_t n, n_up = 0;

        if (!c->rados || ceph_mon(c, &map, NULL, "osd dump", NULL) < 0) {
                (void) snprintf(ret, size, "no quorum: monitors answer, but they serve nobody");
                return;
        }
        osds = ceph_json_get(map, "osds");
        n = json_object_is_type(osds, json_type_array) ? json_object_array_length(osds) : 0;
        for (size_t i = 0; i < n; i++)
                n_up += ceph_json_uint(json_object_array_get_idx(osds, i), "up");
        if (is_full(map))
                (void) snprintf(ret, size,
                                "osd full: the cluster takes no more data until some is removed or OSDs are added");
        else if (has_word(ceph_json_get(map, "flags_set"), "pausewr") ||
                 has_word(ceph_json_get(map, "flags_set"), "pauserd"))
                (void) snprintf(ret, size, "the cluster is paused by its administrator (osd unpause)");
        else if (n_up < n)
                (void) snprintf(ret, size, "osd down: %zu of %zu OSDs are up", n_up, n);
        else if (c->look)
                c->look(c, ret, size);
        else
                (void) snprintf(ret, size,
                                "osd silent: no answer, though all %zu OSDs are said to be up (or a client that died "
                                "holds the image's lock, for 30 s)",
                                n);
}

static void reason_of_timeout(CephCluster *c, char *ret, size_t size)
{
        CephMonitors monitors = { 0 };
        char hosts[1024] = "";
        size_t n;

        if (c->monhost)
                (void) snprintf(hosts, sizeof(hosts), "%s", c->monhost);
        else if (c->rados)
                (void) rados_conf_get(c->rados, "mon_host", hosts, sizeof(hosts));
        ceph_monitors_parse(hosts, &monitors);
        n = ceph_monitors_count_answering(&monitors, GREETING_MS);
        if (n == 0)
                (void) snprintf(ret, size, "mon unreachable: no monitor answers%s%.400s", *hosts ? " of " : "", hosts);
        else if (!c->rados || 2 * n <= monitors.n)
                (void) snprintf(ret, size, "no quorum: %zu of %zu monitors answer, and they serve nobody", n,
                                monitors.n);
        else
                reason_of_osds(c, ret, size);
}

void ceph_reason(CephCluster *c, int code, char *ret, size_t size)
{
        ret[0] = '\0';
        if (is_silence(code))
                reason_of_timeout(c, ret, size);
        else if (code == -EACCES || code == -EPERM)
                (void) snprintf(ret, size,
                                "permission denied: needs %s: client.%s must have a key that the cluster knows and the "
                                "caps %s",
                                c->caps ? "caps for the file system" : "profile rbd", c->user,
                                c->caps ? c->caps : "mon 'profile rbd', osd 'profile rbd pool=…'");
        else if (code == -ESHUTDOWN)
                (void) snprintf(ret, size, "blocklisted: the cluster has fenced this client");
        else if (code == -ENOSPC || code == -EDQUOT)
                (void) snprintf(ret, size, "osd full: %s",
                                code == -EDQUOT ? "the pool's quota is used up" : strerror(-code));
}

int ceph_fail(CephCluster *c, int code, STORAGED_ERR, const char *fmt, ...)
{
        char what[384], reason[512];
        va_list ap;

        if (code == -ESHUTDOWN)
                c->is_stale = true;
        if (!err)
                return is_silence(code) ? -ETIMEDOUT : code;
        va_start(ap, fmt);
        (void) vsnprintf(what, sizeof(what), fmt, ap);
        va_end(ap);
        ceph_reason(c, code, reason, sizeof(reason));
        if (is_silence(code))
                code = -ETIMEDOUT;
        return error_set(err, code, "storage '%s': %s: %s", c->storage, what, reason[0] ? reason : strerror(-code));
}
