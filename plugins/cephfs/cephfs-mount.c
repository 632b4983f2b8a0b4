/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two clients, one result. The kernel's is mounted with libmount and no helper: it gets addresses and the name of a key
 * in the kernel's keyring. ceph-fuse is a program that stays: where systemd runs, in a scope of its own, so that a
 * restart of storaged does not take the mount with it.
 *
 * Which file system is mounted is told by what it says of itself (the cluster's id and the number of the root
 * directory), not by texts in the table of mounts: addresses, names and spellings of one and the same differ. FUSE
 * gives every root the same number; so our ceph-fuse has the directory's name in the table.
 */
#include "cephfs/cephfs-mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common-ceph/ceph-kernel.h"
#include "common/text.h"

#define MOUNT_TIMEOUT_S 10
#define FUSE_DEADLINE_MS 20000u
#define FUSE_SOURCE "ceph-fuse#"
#define FUSE_ROOT_INODE 1u /* of every mount by FUSE, whatever directory it is */

/* What our ceph-fuse is called in the table of mounts. */
static void fuse_source(const CephFs *f, char *ret, size_t size)
{
        (void) snprintf(ret, size, FUSE_SOURCE "%s%s", f->name ? f->name : "", f->subdir);
}

bool cephfs_mount_is_possible(const CephFs *f, const MountInfo *m)
{
        char ours[512];

        fuse_source(f, ours, sizeof(ours));
        if (strncmp(m->source, FUSE_SOURCE, strlen(FUSE_SOURCE)) == 0 && strcmp(m->source, ours) != 0)
                return false;
        return strcmp(m->type, "ceph") == 0 || strncmp(m->type, "fuse.ceph", strlen("fuse.ceph")) == 0;
}

int cephfs_mount_check(CephFs *f, const char *path, unsigned limit_ms, STORAGED_ERR)
{
        char ours[40] = "", theirs[40] = "";
        struct ceph_statx want;
        struct stat st;
        int r;

        CEPH_WATCH(&f->cluster.watch, limit_ms, "look at the mount on %.100s, whose own client may hang", path);
        r = ceph_statx(f->session, "/", &want, CEPH_STATX_INO, AT_SYMLINK_NOFOLLOW);
        if (r < 0)
                return cephfs_fail(f, r, err, "look at the file system's root");
        if (lstat(path, &st) < 0)
                return error_set(err, errno == EIO || errno == EACCES || errno == ESHUTDOWN ? -ENOTCONN : -errno,
                                 "storage '%s': the mount on '%s' does not answer: %s", f->cluster.storage, path,
                                 strerror(errno));
        (void) rados_cluster_fsid(f->cluster.rados, ours, sizeof(ours));
        if (getxattr(path, "ceph.cluster_fsid", theirs, sizeof(theirs) - 1) < 0)
                theirs[0] = '\0'; /* older clients don't tell */
        if ((st.st_ino == want.stx_ino || st.st_ino == FUSE_ROOT_INODE) && (!theirs[0] || strcmp(ours, theirs) == 0))
                return 0;
        return error_set_param(err, -EBUSY, "path",
                               "storage '%s': another directory of CephFS is mounted on '%s' (cluster %s, inode %llu; "
                               "this storage's is %s, %llu): unmount it, or choose another path",
                               f->cluster.storage, path, theirs[0] ? theirs : "?", (unsigned long long) st.st_ino, ours,
                               (unsigned long long) want.stx_ino);
}

/* --- the kernel's client */

typedef struct CephPlan {
        MountPlan plan;
        CephFs *fs;
        const char *options;
        bool is_v2;
} CephPlan;

static int check_kernel(STORAGED_ERR)
{
        char dir[192], path[sizeof(dir) + sizeof("/modules.dep")];

        if (mount_file_has_word("/proc/filesystems", "ceph"))
                return 0;
        mount_modules_dir(dir, sizeof(dir));
        (void) snprintf(path, sizeof(path), "%s/modules.dep", dir);
        if (mount_file_has_word(path, "ceph.ko"))
                return 0; /* the mount loads it */
        return error_set(
                err, -EOPNOTSUPP,
                "this kernel has no client of CephFS (ceph is not in /proc/filesystems, and there is no module "
                "for it): set fuse 1, or use a kernel with CONFIG_CEPH_FS");
}

static int mount_by_kernel(const MountPlan *plan, const char *path, STORAGED_ERR)
{
        const CephPlan *p = (const CephPlan *) plan;
        AUTO(freep) char *options = NULL;
        CephFs *f = p->fs;
        int r = f->cluster.keyring || !f->cluster.monhost ? ceph_kernel_give_key(&f->cluster, err) : 0;

        if (r < 0)
                return r;
        r = text_printf(&options, "name=%s%s%s,mount_timeout=%d%s%s%s%s%s", f->cluster.user,
                        f->cluster.keyring || !f->cluster.monhost ? ",key=client." : "",
                        f->cluster.keyring || !f->cluster.monhost ? f->cluster.user : "", MOUNT_TIMEOUT_S,
                        p->is_v2 ? ",ms_mode=prefer-crc" : "", f->name ? ",mds_namespace=" : "", f->name ? f->name : "",
                        *p->options ? "," : "", p->options);
        if (r < 0)
                return error_set(err, r, "out of memory");
        return mount_with_libmount(path, plan, "ceph", options, err);
}

static int make_by_kernel(CephFs *f, const char *path, const char *options, bool may_create, STORAGED_ERR)
{
        CephPlan p = { .plan.mount = mount_by_kernel, .fs = f, .options = options };
        AUTO(freep) char *source = NULL;
        char monitors[512];
        int r = check_kernel(err);

        if (r >= 0)
                r = ceph_kernel_monitors(&f->cluster, monitors, sizeof(monitors), &p.is_v2, err);
        if (r < 0)
                return r;
        r = text_printf(&source, "%s:%s", monitors, f->subdir);
        if (r < 0)
                return error_set(err, r, "out of memory");
        p.plan.source = source;
        return mount_make(path, &p.plan, may_create, err);
}

/* --- ceph-fuse */

#define ARGS_MAX 40

typedef struct Args {
        const char *v[ARGS_MAX];
        size_t n;
} Args;

static void add(Args *a, const char *key, const char *value)
{
        if (!value || a->n + 3 > ARGS_MAX)
                return;
        a->v[a->n++] = key;
        if (*value)
                a->v[a->n++] = value;
}

/* A program of ours that outlives the service has to leave its control group. */
static void add_scope(Args *a, char *unit, size_t size, const CephFs *f)
{
        if (access("/run/systemd/system", F_OK) < 0)
                return;
        (void) snprintf(unit, size, "--unit=storaged-cephfs-%s-%d", f->cluster.storage, (int) getpid());
        add(a, "systemd-run", "");
        add(a, "--quiet", "");
        add(a, "--collect", "");
        add(a, "--scope", "");
        add(a, unit, "");
}

static int mount_by_fuse(const MountPlan *plan, const char *path, STORAGED_ERR)
{
        const CephPlan *p = (const CephPlan *) plan;
        const CephCluster *c = &p->fs->cluster;
        struct storaged_proc proc = {
                .size = sizeof(proc), .stdin_fd = -1, .stdout_fd = -1, .deadline_ms = FUSE_DEADLINE_MS
        };
        struct storaged_proc_result result = { .size = sizeof(result) };
        Args a = { .n = 0 };
        char unit[128], options[1024];
        size_t n;
        int r;

        (void) snprintf(options, sizeof(options), "subtype=ceph,fsname=");
        fuse_source(p->fs, options + strlen(options), sizeof(options) - strlen(options));
        n = strlen(options);
        if (*p->options)
                (void) snprintf(options + n, sizeof(options) - n, ",%s", p->options);
        add_scope(&a, unit, sizeof(unit), p->fs);
        add(&a, "ceph-fuse", path);
        add(&a, "--id", c->user);
        add(&a, "-c", c->conf ? c->conf : "/dev/null"); /* /etc/ceph may describe another cluster */
        add(&a, "-m", c->monhost);
        add(&a, c->is_key_alone ? "--keyfile" : "--keyring", c->keyring);
        add(&a, "--auth_client_required", c->monhost && !c->keyring ? "none" : NULL);
        add(&a, "--client_fs", p->fs->name);
        add(&a, "-r", p->fs->subdir);
        add(&a, "--client_mount_timeout", "5");
        add(&a, "--log-file=", "");
        add(&a, "--admin-socket=", "");
        add(&a, "-o", options);
        proc.argv = a.v;
        r = c->host->proc_run(c->host->handle, &proc, &result, err);
        free(result.out);
        if (r == -ENOENT)
                return error_set(err, r, "there is no program ceph-fuse: install ceph-fuse");
        if (r < 0 || result.status == 0)
                return r;
        return error_set(err, result.timed_out ? -ETIMEDOUT : -EIO, "ceph-fuse: %s",
                         result.last_error[0] ? result.last_error : "failed without a word");
}

static int make_by_fuse(CephFs *f, const char *path, const char *options, bool may_create, STORAGED_ERR)
{
        const CephPlan p = { .plan = { .source = "ceph-fuse", .mount = mount_by_fuse }, .fs = f, .options = options };

        if (access("/dev/fuse", R_OK | W_OK) < 0)
                return error_set(err, -errno, "can't use /dev/fuse: %s", strerror(errno));
        return mount_make(path, &p.plan, may_create, err);
}

int cephfs_mount_make(CephFs *f, const char *path, bool is_fuse, const char *options, bool may_create, STORAGED_ERR)
{
        return (is_fuse ? make_by_fuse : make_by_kernel)(f, path, options, may_create, err);
}
