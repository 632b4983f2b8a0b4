/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notes and protection of backups, kept as files beside the archive: <archive>.notes with the text,
 * an empty <archive>.protected, and the log of the backup run, <archive without extension>.log. Other volumes have
 * none.
 */
#include "common/notes.h"

#include <errno.h>
#include <string.h>

#include "common/layout.h"
#include "common/store.h"

static int sidecar(const char *rel, const char *suffix, char ret[static TREE_PATH_MAX])
{
        int n = snprintf(ret, TREE_PATH_MAX, "%s%s", rel, suffix);

        return n < 0 || n >= TREE_PATH_MAX ? -ENAMETOOLONG : 0;
}

int notes_stat(FileStore *fs, const char *rel, const char *suffix, TreeAttr *ret)
{
        char path[TREE_PATH_MAX];
        int r = sidecar(rel, suffix, path);

        return r < 0 ? r : fs->control->ops->stat(fs->control, path, ret);
}

int notes_read(FileStore *fs, const char *rel, size_t max, char **ret)
{
        char path[TREE_PATH_MAX];
        int r = sidecar(rel, NOTES_SUFFIX, path);

        return r < 0 ? r : tree_read_file(fs->control, path, max, ret, NULL);
}

/* vzdump-…: the log has the archive's name without its extensions. */
static int log_path(const char *rel, char ret[static TREE_PATH_MAX])
{
        static const char *const kinds[] = { ".vma", ".tar", ".tgz" };
        const char *cut = NULL;

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                for (const char *p = rel; (p = strstr(p, kinds[i])); p++)
                        if (p > cut && (p[4] == '\0' || p[4] == '.'))
                                cut = p;
        if (!cut || (size_t) (cut - rel) + 5 > TREE_PATH_MAX)
                return -EINVAL;
        (void) snprintf(ret, TREE_PATH_MAX, "%.*s.log", (int) (cut - rel), rel);
        return 0;
}

void notes_remove_sidecars(FileStore *fs, const char *rel)
{
        char path[TREE_PATH_MAX];

        if (sidecar(rel, NOTES_SUFFIX, path) == 0)
                (void) fs->control->ops->unlink(fs->control, path);
        if (log_path(rel, path) == 0)
                (void) fs->control->ops->unlink(fs->control, path);
}

/* What a change beside an archive begins with: its path, if it is one and there. */
static int find_archive(FileStore *fs, STORAGED_VOL, const char *what, char rel[static TREE_PATH_MAX],
                        struct storaged_error *err)
{
        TreeAttr attr;
        int r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_CHANGE, err);

        if (r < 0)
                return r;
        if (vol->content != STORAGED_CONTENT_BACKUP)
                return error_set(err, -EOPNOTSUPP, "volume \"%s\": only backups can have %s", vol->volname, what);
        r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = fs->control->ops->stat(fs->control, rel, &attr);
        return r < 0 ? store_fail_volume(fs, err, r, "find", vol, rel) : 0;
}

int filestore_set_notes(void *self, STORAGED_VOL, const char *notes, struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX], path[TREE_PATH_MAX], tmp[TREE_PATH_MAX];
        int r = find_archive(fs, vol, "notes", rel, err);

        if (r < 0)
                return r;
        if (strlen(notes) > NOTES_MAX)
                return error_set_param(err, -EINVAL, "notes", "notes are longer than %u bytes", NOTES_MAX);
        if (sidecar(rel, NOTES_SUFFIX, path) < 0)
                return store_fail(fs, err, -ENAMETOOLONG, "write the notes of", rel);
        if (!*notes) {
                r = fs->control->ops->unlink(fs->control, path);
                return r < 0 && r != -ENOENT ? store_fail(fs, err, r, "remove", path) : 0;
        }
        r = store_tmp_name(fs, path, tmp, err);
        if (r < 0)
                return r;
        r = tree_write_file(fs->control, path, tmp, notes, strlen(notes), 0644);
        return r < 0 ? store_fail(fs, err, r, "write", path) : 0;
}

int filestore_set_protected(void *self, STORAGED_VOL, bool is_protected, struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX], path[TREE_PATH_MAX];
        int r = find_archive(fs, vol, "protection", rel, err);

        if (r < 0)
                return r;
        if (sidecar(rel, PROTECTED_SUFFIX, path) < 0)
                return store_fail(fs, err, -ENAMETOOLONG, "protect", rel);
        if (is_protected)
                r = fs->control->ops->create(fs->control, path, 0, 0644);
        else
                r = fs->control->ops->unlink(fs->control, path);
        if (r == (is_protected ? -EEXIST : -ENOENT))
                r = 0; /* it is so already */
        return r < 0 ? store_fail(fs, err, r, is_protected ? "write" : "remove", path) : 0;
}
