/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a library that speaks to a server would do otherwise than a Tree has to: it resolves links on this side, so each
 * directory on the way to a name is looked at first; and its names are those of the server, so each is looked at before
 * it is passed on. A directory found good is believed for a second, which makes a listing's many files cheap.
 */
#include "common/tree-remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BELIEVED_MS 1000u
#define LIST_ENTRIES_MAX 4000000u /* a server that sends names without end */

uint32_t remote_type(uint64_t mode)
{
        return S_ISREG(mode) ? TREE_FILE : S_ISDIR(mode) ? TREE_DIR : S_ISLNK(mode) ? TREE_LINK : TREE_OTHER;
}

int64_t remote_ns(uint64_t sec, uint64_t nsec)
{
        return (int64_t) (sec * 1000000000u + nsec);
}

/* --- the way to a name */

static uint64_t now_ms(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000u + (uint64_t) t.tv_nsec / 1000000u;
}

/* "a/b" -> "/a/b", "" -> "/". No "..", no empty part, no leading slash. */
static int absolute(const char *path, char ret[static TREE_PATH_MAX])
{
        if (strlen(path) + 2 > TREE_PATH_MAX)
                return -ENAMETOOLONG;
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && p[0] == '.'))
                        return -EINVAL;
                if (n == 2 && p[0] == '.' && p[1] == '.')
                        return -EXDEV;
                if (n >= TREE_NAME_MAX)
                        return -ENAMETOOLONG;
                p += n;
                if (*p == '/' && p[1] == '\0')
                        return -EINVAL;
                p += *p == '/';
        }
        (void) snprintf(ret, TREE_PATH_MAX, "/%s", path);
        return 0;
}

/* Every part of `abs` that is a directory on the way, and with `is_last_too` its last one, is one and no link. */
static int check_way(RemoteWay *w, const char *abs, bool is_last_too)
{
        char dir[TREE_PATH_MAX];
        const char *last = strrchr(abs, '/');
        size_t n = is_last_too ? strlen(abs) : (size_t) (last - abs);

        if (n <= 1)
                return 0;
        memcpy(dir, abs, n);
        dir[n] = '\0';
        if (strcmp(dir, w->good_dir) == 0 && now_ms() - w->good_ms < BELIEVED_MS)
                return 0;
        for (char *p = dir + 1; p; p = p[0] ? p + 1 : NULL) {
                TreeAttr attr;
                char saved;
                int r;

                p += strcspn(p, "/");
                saved = *p;
                *p = '\0';
                r = w->lstat(w->userdata, dir, &attr);
                if (r < 0)
                        return r;
                if (attr.type == TREE_LINK)
                        return -ELOOP;
                if (attr.type != TREE_DIR)
                        return -ENOTDIR;
                *p = saved;
        }
        (void) snprintf(w->good_dir, sizeof(w->good_dir), "%s", dir);
        w->good_ms = now_ms();
        return 0;
}

int remote_way(RemoteWay *w, const char *path, bool is_last_too, char ret[static TREE_PATH_MAX])
{
        int r = absolute(path, ret);

        return r < 0 ? r : check_way(w, ret, is_last_too);
}

void remote_way_forget(RemoteWay *w)
{
        w->good_dir[0] = '\0';
}

/* --- entries */

/* Names come from the server: one that is no name is not passed on. */
static bool is_name(const char *s)
{
        return s && s[0] && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && !strchr(s, '/') && strlen(s) < TREE_NAME_MAX;
}

int remote_list_add(RemoteList *l, const char *name, const TreeAttr *attr)
{
        char *copy;

        if (!is_name(name))
                return 0;
        if (l->n == l->n_alloc) {
                size_t n = l->n_alloc ? 2 * l->n_alloc : 64;
                RemoteEntry *items = n > LIST_ENTRIES_MAX ? NULL : realloc(l->items, n * sizeof(*items));

                if (!items)
                        return -ENOMEM;
                l->items = items;
                l->n_alloc = n;
        }
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        l->items[l->n++] = (RemoteEntry){ .name = copy, .attr = *attr };
        return 0;
}

void remote_list_deinit(RemoteList *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].name);
        free(l->items);
        *l = (RemoteList){ 0 };
}
