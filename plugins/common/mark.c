/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Marks: files in the root of a storage by which nodes prove to each other that they reach the same directory. One
 * node writes one under a name that nobody can guess, the others look for it. A node that finds it with its content
 * reaches the same directory, whatever path, address or export it goes by.
 * What a killed check leaves is a hidden file of 32 bytes; it is removed a day later, by any node that activates.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/store.h"

#define MARK_PREFIX ".storaged-mark-"
#define MARK_NAME_MAX 33
#define MARK_OLD_NS (INT64_C(24) * 60 * 60 * 1000000000)
#define MARK_MODE 0644u

static int mark_look(FileStore *fs, const char *rel, const char *name, uint32_t *ret, struct storaged_error *err)
{
        AUTO(freep) char *text = NULL;
        size_t n = 0;
        int r = tree_read_file(fs->control, rel, MARK_NAME_MAX, &text, &n);

        if (r < 0 && r != -ENOENT)
                return store_fail(fs, err, r, "read", rel);
        *ret = r >= 0 && n == strlen(name) && memcmp(text, name, n) == 0 ? STORAGED_MARK_LOOK : STORAGED_MARK_MISSING;
        return 0;
}

int filestore_mark(FileStore *fs, const struct storaged_identify_spec *spec, uint32_t *ret, struct storaged_error *err)
{
        char rel[64];
        int r;

        if (spec->mark == STORAGED_MARK_NONE) {
                *ret = STORAGED_MARK_NONE;
                return 0;
        }
        (void) snprintf(rel, sizeof(rel), MARK_PREFIX "%.32s", spec->name);
        if (spec->mark == STORAGED_MARK_LOOK)
                return mark_look(fs, rel, spec->name, ret, err);
        if (spec->mark == STORAGED_MARK_WRITE) {
                r = fs->control->ops->write(fs->control, rel, spec->name, strlen(spec->name), MARK_MODE);
                if (r < 0 && r != -EEXIST)
                        return store_fail(fs, err, r, "write", rel);
        } else {
                r = fs->control->ops->unlink(fs->control, rel);
                if (r < 0 && r != -ENOENT)
                        return store_fail(fs, err, r, "remove", rel);
        }
        *ret = spec->mark;
        return 0;
}

static int sweep_mark(void *userdata, const char *name, const TreeAttr *attr)
{
        FileStore *fs = userdata;
        struct timespec now;

        if (strncmp(name, MARK_PREFIX, strlen(MARK_PREFIX)) != 0 || !attr || attr->type != TREE_FILE)
                return 0;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        /* ignored: another node may have been faster */
        if ((int64_t) now.tv_sec * 1000000000 - attr->mtime_ns > MARK_OLD_NS)
                (void) fs->control->ops->unlink(fs->control, name);
        return 0;
}

void store_remove_old_marks(FileStore *fs)
{
        (void) fs->control->ops->list(fs->control, "", 0, sweep_mark, fs); /* what is left harms nobody */
}
