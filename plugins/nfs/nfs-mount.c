/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data plane's mount (common/mountpoint.h) as NFS has it: nfs-common's mount.nfs makes it, and what is mounted is
 * told by the texts of the kernel's table alone, since a mount of a dead server blocks whoever touches it.
 */
#include "nfs/nfs-mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

static size_t length_without_slashes(const char *s)
{
        size_t n = strlen(s);

        while (n > 1 && s[n - 1] == '/')
                n--;
        return n;
}

static bool is_same_export(const char *a, const char *b)
{
        size_t n = length_without_slashes(a), m = length_without_slashes(b);

        return n == m && memcmp(a, b, n) == 0;
}

bool mount_is_of(const MountInfo *m, const Server *s, const char *export_path)
{
        AUTO(freep) char *wanted = server_source(s, export_path);
        const char *mounted_export = strstr(m->source, ":/");

        if (!wanted || !mounted_export || (strcmp(m->type, "nfs") != 0 && strcmp(m->type, "nfs4") != 0))
                return false;
        if (is_same_export(m->source, wanted))
                return true;
        if (!is_same_export(mounted_export + 1, export_path) || !m->addr[0])
                return false;
        for (size_t i = 0; i < s->n_addrs; i++)
                if (strcmp(m->addr, s->addrs[i].text) == 0)
                        return true;
        return false;
}

int mount_check_client(const char *filesystems, const char *modules_dir, uint32_t version, STORAGED_ERR)
{
        char path[4096];

        if ((version != 4 && mount_file_has_word(filesystems, "nfs")) ||
            (version != 3 && mount_file_has_word(filesystems, "nfs4")))
                return 0;
        /* Not loaded yet is no obstacle: the first mount loads it. nfsv3 and nfsv4 are parts of nfs. */
        (void) snprintf(path, sizeof(path), "%s/modules.dep", modules_dir);
        if (mount_file_has_word(path, version == 3 ? "nfsv3.ko" : version == 4 ? "nfsv4.ko" : "nfs.ko"))
                return 0;
        return error_set(err, -EOPNOTSUPP,
                         "this kernel has no NFS%s client (%s is not in /proc/filesystems, and there is no "
                         "module for it): load the nfs module, or use a kernel with CONFIG_NFS_FS",
                         version == 3   ? "v3"
                         : version == 4 ? "v4"
                                        : "",
                         version == 4 ? "nfs4" : "nfs");
}

/* --- mounting */

/* mount.nfs would go on trying for two minutes; who calls this decides about trying again. */
static char *mount_options(const char *options)
{
        bool has_retry = options && (strncmp(options, "retry=", 6) == 0 || strstr(options, ",retry="));
        char *text = NULL;

        (void) text_printf(&text, "%s%s%s", options ? options : "", options && options[0] && !has_retry ? "," : "",
                           has_retry ? "" : "retry=0");
        return text;
}

typedef struct NfsPlan {
        MountPlan plan;
        const char *options;
} NfsPlan;

static int mount_nfs(const MountPlan *plan, const char *path, STORAGED_ERR)
{
        AUTO(freep) char *all = mount_options(((const NfsPlan *) plan)->options);

        if (!all)
                return error_set(err, -ENOMEM, "no memory");
        if (access("/sbin/mount.nfs", X_OK) < 0)
                return error_set(err, -ENOENT, "/sbin/mount.nfs is not there: install nfs-common");
        return mount_with_libmount(path, plan, "nfs", all, err);
}

int nfs_mount_make(const char *path, const char *source, const char *options, bool may_create, STORAGED_ERR)
{
        const NfsPlan p = { { .source = source, .has_helper = true, .mount = mount_nfs }, options };

        return mount_make(path, &p.plan, may_create, err);
}
