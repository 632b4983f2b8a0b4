/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/self/mountinfo (proc(5)): the mount of a path is the one with the longest mount point above it, of several on
 * one point the last. statfs(2) would tell the same, but waits for a file system that does not answer.
 */
#include "base/mounts.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "base/fs.h"
#include "base/str.h"

#define TABLE_MAX (16u << 20)

/* Space, tab, line feed and backslash are \ooo there. In place. */
static void unescape(char *s)
{
        char *to = s;

        for (; *s; s++) {
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
                    s[3] <= '7') {
                        *to++ = (char) ((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
                        s += 3;
                } else {
                        *to++ = *s;
                }
        }
        *to = '\0';
}

static bool is_above(const char *point, const char *path)
{
        size_t n = strlen(point);

        return strcmp(point, "/") == 0 || (strncmp(point, path, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* The fields behind " - ": type, source, options. */
static void take_mount(char *fields, Mount *ret)
{
        char *save = NULL, *type = strtok_r(fields, " ", &save), *source = strtok_r(NULL, " ", &save);

        if (source)
                unescape(source);
        (void) snprintf(ret->type, sizeof(ret->type), "%.63s", type ? type : "");
        (void) snprintf(ret->source, sizeof(ret->source), "%.191s", source ? source : "");
}

int mounts_text_find(const char *table, const char *path, Mount *ret)
{
        AUTO(freep) char *copy = strdup(table);
        char *save = NULL;
        size_t longest = 0;
        int r = 0;

        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *type = strstr(line, " - "), *fields = NULL, *point = NULL;

                if (!type)
                        continue;
                *type = '\0';
                for (int i = 0; i < 5; i++)
                        point = strtok_r(i == 0 ? line : NULL, " ", &fields);
                if (!point)
                        continue;
                unescape(point);
                if (!is_above(point, path) || strlen(point) < longest)
                        continue;
                longest = strlen(point);
                take_mount(type + strlen(" - "), ret);
                r = 1;
        }
        return r;
}

static bool is_fuse(const Mount *m)
{
        return str_eq(m->type, "fuse") || str_eq(m->type, "fuseblk") || str_skip(m->type, "fuse.");
}

int mounts_text_is_fuse(const char *table, const char *path)
{
        Mount m;
        int r = mounts_text_find(table, path, &m);

        return r > 0 ? is_fuse(&m) : r;
}

/* The path without links, and without a look at what is mounted on its last part. A link there may lead anywhere: 1. */
static int resolve(const char *path, char ret[static PATH_MAX])
{
        AUTO(freep) char *parent = strdup(path);
        char *slash = parent ? strrchr(parent, '/') : NULL, real[PATH_MAX], target[2];

        if (!parent || !slash)
                return parent ? -EINVAL : -ENOMEM;
        if (readlink(path, target, sizeof(target)) > 0)
                return 1;
        *slash++ = '\0';
        if (!realpath(*parent ? parent : "/", real))
                return -errno;
        return snprintf(ret, PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash) < PATH_MAX ? 0
                                                                                                      : -ENAMETOOLONG;
}

int mounts_find(const char *path, Mount *ret)
{
        AUTO(freep) char *table = NULL;
        char real[PATH_MAX];
        int r = resolve(path, real);

        if (r > 0)
                return -ELOOP;
        if (r >= 0)
                r = fs_read_file("/proc/self/mountinfo", TABLE_MAX, &table, NULL);
        return r < 0 ? r : mounts_text_find(table, real, ret);
}

int mounts_is_fuse(const char *path)
{
        struct statfs st;
        Mount m;
        int r = mounts_find(path, &m);

        if (r == -ELOOP)
                return statfs(path, &st) < 0 ? -errno : (unsigned long) st.f_type == FUSE_SUPER_MAGIC;
        return r > 0 ? is_fuse(&m) : r;
}
