/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Half-made volumes. The tag `storaged-unfinished/NODE/PID/START` names the process that works on the LV; START is its
 * start time, so that a process that got the same number later is not taken for it.
 */
#include "common-lvm/unfinished.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG "storaged-unfinished/"

/* When the process began, in ticks since boot; 0: there is none. */
static unsigned long long start_of(long pid)
{
        char path[64], line[1024];
        AUTO(fclosep) FILE *f = NULL;
        unsigned long long start = 0;
        const char *p;

        (void) snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
        f = fopen(path, "re");
        if (!f || !fgets(line, sizeof(line), f))
                return 0;
        p = strrchr(line, ')'); /* the name may hold anything; field 22 is the 20th behind it */
        for (int i = 0; p && i < 20; i++)
                p = strchr(p + 1, ' ');
        if (p)
                start = strtoull(p, NULL, 10);
        return start;
}

bool unfinished_is(const VgLv *lv)
{
        return strstr(lv->tags, TAG) != NULL;
}

void unfinished_tag(const Lvm *l, char ret[static UNFINISHED_TAG_MAX])
{
        (void) snprintf(ret, UNFINISHED_TAG_MAX, TAG "%.100s/%ld/%llu", l->host->node, (long) getpid(),
                        start_of(getpid()));
}

int unfinished_make(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, bool is_qcow2, struct storaged_error *err)
{
        uint64_t lv_bytes = is_qcow2 ? lvm_qcow2_bytes(bytes) : bytes;
        char tag[UNFINISHED_TAG_MAX], size_tag[64] = "";

        unfinished_tag(l, tag);
        if (is_qcow2)
                (void) snprintf(size_tag, sizeof(size_tag), "--addtag " LVM_SIZE_TAG "%llu",
                                (unsigned long long) bytes);
        return lvm_create(l, name, vmid, lv_bytes, err, "--addtag %s %s", tag, size_tag);
}

int unfinished_end(Lvm *l, const char *name, struct storaged_error *err)
{
        char tag[UNFINISHED_TAG_MAX];

        unfinished_tag(l, tag);
        return lvm_cmd(&l->cmd, "finish a volume", err, "lvchange -y --deltag %s %s/%s", tag, l->vg, name);
}

int unfinished_begin(Lvm *l, const char *name, struct storaged_error *err)
{
        char tag[UNFINISHED_TAG_MAX];
        int r;

        unfinished_tag(l, tag);
        r = lvm_cmd(&l->cmd, "begin to remove a volume", err, "lvchange -y --addtag %s %s/%s", tag, l->vg, name);
        vg_forget(&l->state);
        return r;
}

void unfinished_tag_of(const VgLv *lv, char ret[static UNFINISHED_TAG_MAX])
{
        const char *p = strstr(lv->tags, TAG);

        (void) snprintf(ret, UNFINISHED_TAG_MAX, "%.*s", p ? (int) strcspn(p, ",") : 0, p ? p : "");
}

bool unfinished_is_left(const Lvm *l, const VgLv *lv)
{
        const char *p = strstr(lv->tags, TAG);
        size_t n = strlen(l->host->node);
        unsigned long long start;
        char *end;
        long pid;

        if (!p)
                return false;
        p += strlen(TAG);
        if (strncmp(p, l->host->node, n) != 0 || p[n] != '/')
                return false;
        pid = strtol(p + n + 1, &end, 10);
        if (*end != '/')
                return false;
        start = strtoull(end + 1, NULL, 10);
        return pid > 0 && start_of(pid) != start;
}

int unfinished_clean(Lvm *l, size_t *ret_n, struct storaged_error *err)
{
        size_t n = 0;

        for (size_t i = 0; i < l->state.n_lvs; i++) {
                char name[LVM_NAME_MAX];
                int r;

                if (!unfinished_is_left(l, &l->state.lvs[i]) || !lvm_is_ours(l, &l->state.lvs[i]))
                        continue;
                (void) snprintf(name, sizeof(name), "%s", l->state.lvs[i].name);
                r = lvm_remove(l, name, err);
                if (r < 0)
                        return r;
                l->host->log(l->host->handle, STORAGED_LOG_INFO,
                             "storage \"%s\": removed %s/%s, left by an interrupted operation", l->storage, l->vg,
                             name);
                n++;
        }
        if (n > 0)
                vg_forget(&l->state);
        *ret_n = n;
        return 0;
}
