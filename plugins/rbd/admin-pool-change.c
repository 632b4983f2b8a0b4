/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pools made, changed and removed. A new pool is ready for use or not there: when a step fails, those before it are
 * taken back, last first. Idempotent: what is there already as it is wanted is a step done; what was there before is
 * never taken back. A create that is killed is taken back by the next one of that name (admin-pool-intent.h).
 */
#include "rbd/admin.h"
#include "rbd/admin-pool-intent.h"

#include <errno.h>
#include <fcntl.h>
#include <rbd/librbd.h>
#include <sys/stat.h>

#define DATA_SUFFIX "-data"
#define STEP_MS 20000 /* each step: PGs of a new pool have to get active first */
#define NAME_MAX_BYTES 128u

/* --- commands with numbers */

static json_object *command_new(const char *prefix, const char *pool)
{
        json_object *o = json_object_new_object();

        json_member(o, "prefix", json_object_new_string(prefix));
        json_member(o, "pool", json_object_new_string(pool));
        return o;
}

static void add_number(const Admin *a, json_object *o, const char *key, const char *arg)
{
        const char *v = admin_get(a, arg);

        if (v)
                json_member(o, key, json_object_new_int64(strtoll(v, NULL, 10))); /* digits: declared and checked */
}

static int set_variable(Admin *a, const char *pool, const char *variable, const char *value, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = command_new("osd pool set", pool);

        CEPH_WATCH(&a->cluster.watch, STEP_MS, "set %s of pool '%s'", variable, pool);
        json_member(o, "var", json_object_new_string(variable));
        json_member(o, "val", json_object_new_string(value));
        if (strcmp(variable, "size") == 0 && strcmp(value, "1") == 0)
                json_member(o, "yes_i_really_mean_it", json_object_new_boolean(true));
        return ceph_mon_object(&a->cluster, o, NULL, err);
}

int pool_delete(Admin *a, const char *pool, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = command_new("osd pool delete", pool);

        CEPH_WATCH(&a->cluster.watch, STEP_MS, "remove pool '%s'", pool);
        json_member(o, "pool2", json_object_new_string(pool));
        json_member(o, "yes_i_really_really_mean_it", json_object_new_boolean(true));
        return ceph_mon_object(&a->cluster, o, NULL, err);
}

int pool_enable_application(Admin *a, const char *pool, bool is_erasure, const char *application, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        int r;

        CEPH_WATCH(&a->cluster.watch, STEP_MS, "enable application '%s' on pool '%s'", application, pool);
        r = ceph_mon(&a->cluster, NULL, err, "osd pool application enable", "pool", pool, "app", application, NULL);
        if (r < 0 || strcmp(application, "rbd") != 0 || is_erasure)
                return r;
        r = ceph_cluster_open_pool(&a->cluster, pool, NULL, &io, err);
        if (r < 0)
                return r;
        r = rbd_pool_init(io, false);
        return r < 0 ? ceph_fail(&a->cluster, r, err, "make pool '%s' ready for images", pool) : 0;
}

/* --- making one */

typedef struct NewPool {
        char name[NAME_MAX_BYTES + 1], data[NAME_MAX_BYTES + 1]; /* data "": none */
        char profile[NAME_MAX_BYTES + 16];
        const char *application, *client, *keyring;
        bool has_pool, has_data, has_profile, has_client, has_keyring; /* made by us: to be taken back */
} NewPool;

static int name_check(const char *name, STORAGED_ERR)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
        size_t n = strlen(name);

        if (n == 0 || n + strlen(DATA_SUFFIX) > NAME_MAX_BYTES || strspn(name, allowed) != n || name[0] == '-' ||
            name[0] == '.')
                return error_set_param(
                        err, -EINVAL, "pool-name",
                        "'%.140s' can't name a pool: letters, digits, _ . - up to %u, a letter, digit or _ first", name,
                        NAME_MAX_BYTES - (unsigned) strlen(DATA_SUFFIX));
        return 0;
}

static int make_pool(Admin *a, const char *name, const char *profile, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = command_new("osd pool create", name);

        CEPH_WATCH(&a->cluster.watch, STEP_MS, "create pool '%s'", name);
        json_member(o, "pool_type", json_object_new_string(profile ? "erasure" : "replicated"));
        add_number(a, o, "pg_num", "pg-num");
        if (profile)
                json_member(o, "erasure_code_profile", json_object_new_string(profile));
        else
                add_number(a, o, "size", "size");
        return ceph_mon_object(&a->cluster, o, NULL, err);
}

static int make_profile(Admin *a, NewPool *p, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = json_object_new_object();
        const char *k = admin_get(a, "ec-k"), *m = admin_get(a, "ec-m"), *domain = admin_get(a, "failure-domain");
        json_object *values = json_object_new_array();
        int r;

        json_member(o, "prefix", json_object_new_string("osd erasure-code-profile set"));
        json_member(o, "name", json_object_new_string(p->profile));
        json_append(values, "k=%s", k ? k : "2");
        json_append(values, "m=%s", m ? m : "1");
        json_append(values, "crush-failure-domain=%s", domain ? domain : "host");
        json_member(o, "profile", values);
        r = ceph_mon_object(&a->cluster, o, NULL, err);
        p->has_profile = r >= 0;
        return r;
}

/* The pool that images' data goes to, while their names and headers are in the replicated one: omap needs copies. */
static int make_data_pool(Admin *a, NewPool *p, STORAGED_ERR)
{
        int r = make_profile(a, p, err);

        if (r >= 0)
                r = make_pool(a, p->data, p->profile, err);
        if (r < 0)
                return r;
        p->has_data = true;
        r = set_variable(a, p->data, "allow_ec_overwrites", "true", err);
        if (r >= 0)
                r = pool_enable_application(a, p->data, true, p->application, err);
        if (r >= 0)
                admin_log(a, "erasure coded pool %s is ready", p->data);
        return r;
}

static json_object *client_caps(const NewPool *p)
{
        json_object *caps = json_object_new_array();

        json_append(caps, "mon");
        json_append(caps, "profile rbd");
        json_append(caps, "osd");
        if (p->data[0])
                json_append(caps, "profile rbd pool=%s, profile rbd pool=%s", p->name, p->data);
        else
                json_append(caps, "profile rbd pool=%s", p->name);
        return caps;
}

/* The key never leaves this function but into a file that root alone can read. */
static int write_keyring(Admin *a, NewPool *p, const char *key, STORAGED_ERR)
{
        char priv[512], temporary[600];
        AUTO(closep) int fd = -EBADF;
        int n;

        (void) snprintf(priv, sizeof(priv), "%s/etc/pve/priv/", a->cluster.host->root);
        if (strncmp(p->keyring, priv, strlen(priv)) != 0 || strstr(p->keyring, "/../"))
                return error_set_param(err, -EINVAL, "client-keyring", "'%s' is not below %s, where keys are kept",
                                       p->keyring, priv);
        n = snprintf(temporary, sizeof(temporary), "%s.new", p->keyring);
        if (n < 0 || (size_t) n >= sizeof(temporary))
                return error_set_param(err, -ENAMETOOLONG, "client-keyring", "the name is too long");
        (void) unlink(temporary);
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || dprintf(fd, "[client.%s]\n\tkey = %s\n", p->client, key) < 0 || fsync(fd) < 0 ||
            rename(temporary, p->keyring) < 0) {
                int r = -errno;

                (void) unlink(temporary);
                return error_set(err, r, "can't write the key of client.%s to %s: %s", p->client, p->keyring,
                                 strerror(-r));
        }
        p->has_keyring = true;
        return 0;
}

static int make_client(Admin *a, NewPool *p, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *o = json_object_new_object();
        AUTO(ceph_jsonp) json_object *answer = NULL;
        AUTO(ceph_jsonp) json_object *there = NULL;
        char entity[NAME_MAX_BYTES + 16];
        const char *key;
        int r;

        CEPH_WATCH(&a->cluster.watch, STEP_MS, "create user client.%s", p->client);
        (void) snprintf(entity, sizeof(entity), "client.%s", p->client);
        p->has_client = ceph_mon(&a->cluster, &there, NULL, "auth get", "entity", entity, NULL) == -ENOENT;
        json_member(o, "prefix", json_object_new_string("auth get-or-create"));
        json_member(o, "entity", json_object_new_string(entity));
        json_member(o, "caps", client_caps(p));
        r = ceph_mon_object(&a->cluster, o, &answer, err);
        if (r < 0) {
                p->has_client = false;
                return r;
        }
        key = json_object_is_type(answer, json_type_array) ? ceph_json_text(json_object_array_get_idx(answer, 0), "key")
                                                           : NULL;
        if (!key)
                return error_set(err, -EPROTO, "the monitors gave no key for %s", entity);
        admin_log(a, "user %s may use the images of pool %s", entity, p->name);
        return p->keyring ? write_keyring(a, p, key, err) : 0;
}

static void take_back(Admin *a, const NewPool *p)
{
        char entity[NAME_MAX_BYTES + 16];

        (void) snprintf(entity, sizeof(entity), "client.%s", p->client ? p->client : "");
        if (p->has_keyring)
                (void) unlink(p->keyring);
        if (p->has_client && ceph_mon(&a->cluster, NULL, NULL, "auth del", "entity", entity, NULL) >= 0)
                admin_log(a, "took back: user %s", entity);
        if (p->has_pool && pool_delete(a, p->name, NULL) >= 0)
                admin_log(a, "took back: pool %s", p->name);
        else if (p->has_pool)
                admin_log(a, "pool %s could not be taken back (mon_allow_pool_delete?): remove it by hand", p->name);
        if (p->has_data && pool_delete(a, p->data, NULL) >= 0)
                admin_log(a, "took back: pool %s", p->data);
        if (p->has_profile)
                (void) ceph_mon(&a->cluster, NULL, NULL, "osd erasure-code-profile rm", "name", p->profile, NULL);
}

static int make_all(Admin *a, NewPool *p, STORAGED_ERR)
{
        const char *min_size = admin_get(a, "min-size");
        int r = p->data[0] ? make_data_pool(a, p, err) : 0;

        if (r >= 0)
                r = make_pool(a, p->name, NULL, err);
        if (r < 0)
                return r;
        p->has_pool = true;
        r = a->cluster.host->fault(a->cluster.host->handle, "rbd.pool-create.bare");
        if (r < 0)
                return r;
        if (min_size)
                r = set_variable(a, p->name, "min_size", min_size, err);
        if (r >= 0)
                r = pool_enable_application(a, p->name, false, p->application, err);
        if (r < 0)
                return r;
        admin_log(a, "pool %s has the application '%s'%s", p->name, p->application,
                  strcmp(p->application, "rbd") == 0 ? " and is ready for images" : "");
        r = a->cluster.host->fault(a->cluster.host->handle, "rbd.pool-create.made");
        if (r >= 0 && p->client)
                r = make_client(a, p, err);
        return r < 0 ? r : a->cluster.host->fault(a->cluster.host->handle, "rbd.pool-create.all");
}

static int new_pool_init(Admin *a, NewPool *p, STORAGED_ERR)
{
        const char *name = admin_get(a, "pool-name"), *type = admin_get(a, "pool-type");
        int r = name_check(name ? name : "", err);

        if (r < 0)
                return r;
        p->application = admin_get(a, "application") ? admin_get(a, "application") : "rbd";
        p->client = admin_get(a, "client");
        p->keyring = admin_get(a, "client-keyring");
        (void) snprintf(p->name, sizeof(p->name), "%s", name);
        if (type && strcmp(type, "erasure") == 0) {
                if (strcmp(p->application, "rbd") != 0)
                        return error_set_param(err, -EINVAL, "pool-type",
                                               "erasure coding is offered for rbd pools only");
                (void) snprintf(p->data, sizeof(p->data), "%s" DATA_SUFFIX, name);
                (void) snprintf(p->profile, sizeof(p->profile), "storaged_%s", name);
        }
        if (p->client &&
            (strlen(p->client) > NAME_MAX_BYTES || strspn(p->client, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                                                                     "UVWXYZ0123456789_.-") != strlen(p->client)))
                return error_set_param(err, -EINVAL, "client", "'%.140s' can't name a Ceph user", p->client);
        return 0;
}

/* `osd pool create` of a pool that is there says yes: that one is somebody's. */
static int must_be_new(Admin *a, const NewPool *p, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        const char *names[] = { p->name, p->data };
        int r = pool_map_read(a, &m, err);

        for (size_t i = 0; r >= 0 && i < 2; i++)
                if (names[i][0] && pool_find(a, &m, names[i], NULL))
                        return error_set_param(err, -EEXIST, "pool-name", "the Ceph cluster has a pool '%s' already",
                                               names[i]);
        return r;
}

int act_pool_create(Admin *a, json_object **ret, STORAGED_ERR)
{
        NewPool p = { 0 };
        json_object *answer;
        int r = new_pool_init(a, &p, err);

        if (r >= 0)
                r = pool_intent_undo(a, p.name, err);
        if (r >= 0)
                r = must_be_new(a, &p, err);
        if (r >= 0)
                r = pool_intent_begin(a, &(PoolIntent){ p.name, p.data, p.profile, p.client, p.keyring }, err);
        if (r < 0)
                return r;
        r = make_all(a, &p, err);
        if (r < 0)
                take_back(a, &p);
        if (r < 0 || !storaged_config_get_bool(a->args, "keep-note"))
                pool_intent_end(a, p.name);
        if (r < 0)
                return r;
        answer = json_object_new_object();
        json_member(answer, "pool", json_object_new_string(p.name));
        json_member(answer, "data-pool", p.data[0] ? json_object_new_string(p.data) : NULL);
        json_member(answer, "client", p.client ? json_object_new_string(p.client) : NULL);
        *ret = answer;
        return 0;
}

/* --- changing one */

static int set_quota(Admin *a, const char *pool, const char *field, const char *value, STORAGED_ERR)
{
        return ceph_mon(&a->cluster, NULL, err, "osd pool set-quota", "pool", pool, "field", field, "val", value, NULL);
}

int act_pool_set(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const char *const variables[][2] = { { "size", "size" },
                                                    { "min-size", "min_size" },
                                                    { "pg-num", "pg_num" } };
        static const char *const quotas[][2] = { { "quota-bytes", "max_bytes" }, { "quota-objects", "max_objects" } };
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        const char *name = admin_get(a, "pool-name"), *application = admin_get(a, "application"), *has = NULL;
        int r = pool_map_read(a, &m, err);
        json_object *pool;

        (void) ret;
        if (r < 0)
                return r;
        pool = pool_find(a, &m, name ? name : "", err);
        if (!pool)
                return -ENOENT;
        if (application && pool_applications(pool, &has) > 0 && strcmp(has, application) != 0)
                return error_set_param(err, -EEXIST, "application",
                                       "pool '%s' has the application '%s'; a pool that has one is never tagged anew",
                                       name, has);
        for (size_t i = 0; i < 3 && r >= 0; i++)
                if (admin_get(a, variables[i][0]))
                        r = set_variable(a, name, variables[i][1], admin_get(a, variables[i][0]), err);
        for (size_t i = 0; i < 2 && r >= 0; i++)
                if (admin_get(a, quotas[i][0]))
                        r = set_quota(a, name, quotas[i][1], admin_get(a, quotas[i][0]), err);
        if (r >= 0 && application && !has)
                r = pool_enable_application(a, name, pool_is_erasure(pool), application, err);
        return r;
}

/* --- removing one */

static int refuse_images(const char *pool, const char *where, size_t n, const char *example, STORAGED_ERR)
{
        return error_set_param(err, -EBUSY, "pool-name", "pool '%s' holds %zu image%s%s, as '%s': free them first",
                               pool, n, n == 1 ? "" : "s", where, example);
}

/* One namespace ("" the default): images, and what waits in the trash. */
static int check_images(Admin *a, const char *pool, const char *namespace, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        rbd_image_spec_t images[1] = { 0 };
        rbd_trash_image_info_t trash[1] = { 0 };
        size_t n = 1;
        int r = ceph_cluster_open_pool(&a->cluster, pool, namespace, &io, err);

        if (r < 0)
                return r;
        r = rbd_list2(io, images, &n);
        if (r == -ERANGE || (r >= 0 && n > 0)) {
                r = refuse_images(pool, *namespace ? " in a namespace" : "", n, r >= 0 ? images[0].name : "…", err);
                rbd_image_spec_list_cleanup(images, r >= 0 ? n : 0);
                return r;
        }
        n = 1;
        r = rbd_trash_list(io, trash, &n);
        if (r == -ERANGE || (r >= 0 && n > 0)) {
                const char *example = r >= 0 ? trash[0].name : "…";

                r = refuse_images(pool, " in its trash", n, example, err);
                return r;
        }
        return r < 0 && r != -ENOENT && r != -EOPNOTSUPP
                       ? ceph_fail(&a->cluster, r, err, "list the images of pool '%s'", pool)
                       : 0;
}

static int check_namespaces(Admin *a, const char *pool, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        char names[16384] = "";
        size_t size = sizeof(names);
        int r = ceph_cluster_open_pool(&a->cluster, pool, NULL, &io, err);

        if (r < 0)
                return r;
        r = rbd_namespace_list(io, names, &size);
        if (r < 0 && r != -ENOENT)
                return ceph_fail(&a->cluster, r, err, "list the namespaces of pool '%s'", pool);
        for (const char *s = names; r >= 0 && s < names + size && *s; s += strlen(s) + 1) {
                int r2 = check_images(a, pool, s, err);

                if (r2 < 0)
                        return r2;
        }
        return check_images(a, pool, "", err);
}

static int check_unused(Admin *a, const PoolMap *m, json_object *pool, STORAGED_ERR)
{
        const char *name = ceph_json_text(pool, "pool_name"), *application = NULL, *storages = admin_get(a, "storages");
        uint64_t n_objects = pool_count_objects(m, name), n_foreign;
        PoolEvidence e;
        int r;

        if (storages)
                return error_set_param(err, -EBUSY, "pool-name", "pool '%s' is used by storage %s: remove that first",
                                       name, storages);
        r = pool_evidence(a, name, n_objects, NULL, &e, err);
        if (r < 0)
                return r;
        if (e.file_system[0])
                return error_set_param(err, -EBUSY, "pool-name", "pool '%s' belongs to the file system '%s'", name,
                                       e.file_system);
        if (pool_applications(pool, &application) > 1 || (application && strcmp(application, "rbd") != 0))
                return error_set_param(err, -EBUSY, "pool-name", "pool '%s' is used by the application '%s'", name,
                                       application);
        n_foreign = e.n_cephfs + e.n_rgw + e.n_other;
        if (n_foreign > 0)
                return error_set_param(err, -EBUSY, "pool-name",
                                       "pool '%s' holds objects that are no images: %llu of %llu looked at", name,
                                       (unsigned long long) n_foreign, (unsigned long long) e.n_seen);
        if (pool_is_erasure(pool))
                return e.n_rbd > 0 ? error_set_param(err, -EBUSY, "pool-name",
                                                     "pool '%s' holds data of images: %llu objects", name,
                                                     (unsigned long long) n_objects)
                                   : 0;
        return check_namespaces(a, name, err);
}

int act_pool_destroy(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        const char *name = admin_get(a, "pool-name"), *client = admin_get(a, "client");
        char entity[NAME_MAX_BYTES + 16];
        json_object *pool;
        int r = pool_map_read(a, &m, err);

        (void) ret;
        if (r < 0)
                return r;
        pool = pool_find(a, &m, name ? name : "", err);
        if (!pool)
                return -ENOENT;
        {
                CEPH_WATCH(&a->cluster.watch, 60000, "look whether pool '%s' is used", name);
                r = check_unused(a, &m, pool, err);
        }
        if (r < 0 || storaged_config_get_bool(a->args, "dry-run"))
                return r;
        r = pool_delete(a, name, err);
        if (r < 0)
                return r;
        admin_log(a, "removed pool %s", name);
        if (!client)
                return 0;
        (void) snprintf(entity, sizeof(entity), "client.%.128s", client);
        return ceph_mon(&a->cluster, NULL, err, "auth del", "entity", entity, NULL);
}
