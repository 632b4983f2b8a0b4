/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests as the cluster file system shows them: a configuration file per guest in the directory of its node. Only names
 * are read. A directory that is not there has no guests; anything that is not <vmid>.conf is passed over.
 */
#include "core/guests.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

typedef VEC(uint32_t) VmidVec;

static int list_dir(enum guests_patience patience, const char *path, StrList *ret)
{
        return patience == GUESTS_GLANCE ? fs_glance_dir(path, ret) : fs_list_dir(path, ret);
}

static int add_node(enum guests_patience patience, const char *nodes, const char *node, VmidVec *vmids)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *path = NULL;
        int r = str_printf(&path, "%s/%s/lxc", nodes, node);

        if (r >= 0)
                r = list_dir(patience, path, &names);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        for (size_t i = 0; r >= 0 && i < names.n; i++) {
                const char *name = names.items[i];
                uint32_t vmid;

                if (!str_ends_with(name, ".conf") || parse_vmid(name, strlen(name) - strlen(".conf"), &vmid) < 0)
                        continue;
                r = vmids->n >= GUESTS_MAX ? -E2BIG : VEC_PUSH(vmids, vmid);
        }
        return r;
}

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

/* 1 and the kind of guest, if it is there; 0, or -errno: nothing is known. */
static int kind_on_node(const Paths *p, enum guests_patience patience, uint32_t vmid, const char *node,
                        const char **ret)
{
        static const char *const kinds[] = { "qemu-server", "lxc" };
        int r = 0;

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && r == 0; i++) {
                AUTO(freep) char *path = NULL;

                r = str_printf(&path, "%s/nodes/%s/%s/%u.conf", p->cluster, node, kinds[i], vmid);
                if (r >= 0)
                        r = patience == GUESTS_GLANCE ? fs_glance_exists(path) : fs_exists(path);
                if (r > 0)
                        *ret = kinds[i];
        }
        return r;
}

int guests_find_node(const Paths *p, enum guests_patience patience, uint32_t vmid, const char *first,
                     char ret_node[static GUEST_NODE_MAX], const char **ret_kind)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *nodes = NULL;
        const char *kind = NULL, *node = first;
        int r = first ? kind_on_node(p, patience, vmid, first, &kind) : 0;

        if (r == 0) {
                if (str_printf(&nodes, "%s/nodes", p->cluster) < 0)
                        return -ENOMEM;
                r = list_dir(patience, nodes, &names);
                if (r == -ENOTDIR)
                        r = -ENOENT;
        }
        for (size_t i = 0; i < names.n && r == 0; i++) {
                node = names.items[i];
                r = node[0] == '.' ? 0 : kind_on_node(p, patience, vmid, node, &kind);
        }
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        (void) snprintf(ret_node, GUEST_NODE_MAX, "%s", node);
        if (ret_kind)
                *ret_kind = kind;
        return 0;
}

int guests_container_vmids(const Paths *p, enum guests_patience patience, uint32_t **ret, size_t *ret_n)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *nodes = NULL;
        VmidVec vmids = { 0 };
        size_t n = 0;
        int r = str_printf(&nodes, "%s/nodes", p->cluster);

        if (r >= 0)
                r = list_dir(patience, nodes, &names);
        if (r == -ENOENT || r == -ENOTDIR)
                r = 0;
        for (size_t i = 0; r >= 0 && i < names.n; i++)
                if (names.items[i][0] != '.')
                        r = add_node(patience, nodes, names.items[i], &vmids);
        if (r < 0) {
                VEC_DEINIT(&vmids);
                return r;
        }
        if (vmids.n > 0)
                qsort(vmids.items, vmids.n, sizeof(*vmids.items), by_number);
        for (size_t i = 0; i < vmids.n; i++) /* one that is on its way between nodes may have been seen twice */
                if (i == 0 || vmids.items[i] != vmids.items[n - 1])
                        vmids.items[n++] = vmids.items[i];
        *ret = vmids.items;
        *ret_n = n;
        return 0;
}
