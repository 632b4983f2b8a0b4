/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where things are, with or without --root. */
#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static int root_absolute(const char *root, char **ret)
{
        char cwd[PATH_MAX];
        size_t n;
        int r;

        if (!root || !*root)
                r = str_printf(ret, "%s", "");
        else if (root[0] == '/')
                r = str_printf(ret, "%s", root);
        else if (getcwd(cwd, sizeof(cwd)))
                r = str_printf(ret, "%s/%s", cwd, root);
        else
                r = -errno;
        if (r < 0)
                return r;
        for (n = strlen(*ret); n > 0 && (*ret)[n - 1] == '/'; n--)
                (*ret)[n - 1] = '\0';
        return 0;
}

int paths_init(Paths *p, const char *root)
{
        struct {
                char **ret;
                const char *below;
        } rows[] = {
                { &p->cluster, "/etc/pve" },
                { &p->config, "/etc/pve/storage.cfg" },
                { &p->priv, "/etc/pve/priv" },
                { &p->run, "/run/storaged" },
                { &p->socket, "/run/storaged/api.sock" },
                { &p->lib, "/var/lib/storaged" },
                { &p->tasks, "/var/lib/storaged/tasks" },
        };
        int r;

        *p = PATHS_INIT;
        r = root_absolute(root, &p->root);
        for (size_t i = 0; r >= 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
                r = str_printf(rows[i].ret, "%s%s", p->root, rows[i].below);
        if (r < 0)
                paths_deinit(p);
        return r;
}

void paths_deinit(Paths *p)
{
        free(p->root);
        free(p->cluster);
        free(p->config);
        free(p->priv);
        free(p->run);
        free(p->socket);
        free(p->lib);
        free(p->tasks);
        *p = PATHS_INIT;
}

int paths_of_storage(const Paths *p, const char *path, char **ret)
{
        bool ours = str_eq(path, "/var/lib/vz") || str_skip(path, "/var/lib/vz/") || str_skip(path, "/mnt/pve/");

        return str_printf(ret, "%s%s", ours ? p->root : "", path);
}
