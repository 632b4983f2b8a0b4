/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal of removals. Written whole and atomically, so it is the state before a step or after it, never between.
 */
#include "core/lun-journal.h"

#include <errno.h>

#include "base/fs.h"
#include "wire/json.h"

#define JOURNAL_MAX (1u << 20)

bool lun_wwid_is_valid(const char *wwid)
{
        size_t n = strlen(wwid);

        if (n == 0 || n > 255 || wwid[0] == '.' || wwid[0] == '-')
                return false;
        for (size_t i = 0; i < n; i++)
                if (wwid[i] <= ' ' || wwid[i] > '~' || wwid[i] == '/' || wwid[i] == '"')
                        return false;
        return true;
}

static int journal_dir(const Core *c, char **ret)
{
        return str_printf(ret, "%s/storaged/luns", c->paths.priv);
}

static int journal_path(const Core *c, const char *wwid, char **ret)
{
        return lun_wwid_is_valid(wwid) ? str_printf(ret, "%s/storaged/luns/%s", c->paths.priv, wwid) : -EINVAL;
}

int lun_journal_read(const Core *c, const char *wwid, json_object **ret, struct storaged_error *err)
{
        AUTO(freep) char *path = NULL, *text = NULL;
        AUTO_JSON *o = NULL;
        size_t len = 0;
        int r = journal_path(c, wwid, &path);

        if (r >= 0)
                r = fs_read_file(path, JOURNAL_MAX, &text, &len);
        if (r == -ENOENT)
                return error_set_param(err, r, "wwid", "no removal of LUN %s is under way", wwid);
        if (r >= 0)
                r = json_parse(text, len, &o);
        if (r < 0 || !str_eq(json_get_string(o, "wwid"), wwid) || !json_get_string(o, "step"))
                return error_set(err, r < 0 ? r : -EINVAL, "the journal of LUN %s can't be read (%s): look at %s", wwid,
                                 r < 0 ? strerror(-r) : "it is damaged", path ? path : "it");
        *ret = TAKE(o);
        return 0;
}

int lun_journal_write(const Core *c, json_object *journal, const ClusterLock *lock, struct storaged_error *err)
{
        AUTO(fence_deinit) Fence fence = { 0 };
        AUTO(freep) char *dir = NULL, *path = NULL;
        const char *text = json_text(journal);
        int r = cluster_lock_prove(lock, &fence, err);

        if (r < 0)
                return r;
        r = journal_dir(c, &dir);
        if (r >= 0)
                r = fs_mkdir_p(dir, 0700);
        if (r >= 0)
                r = journal_path(c, json_get_string(journal, "wwid"), &path);
        if (r >= 0)
                r = fs_write_fenced(path, text, strlen(text), 0600, &fence);
        return r < 0 ? error_set(err, r, "can't write the journal of the removal in %s: %s", dir ? dir : "priv",
                                 fs_strerror(r))
                     : 0;
}

int lun_journal_remove(const Core *c, const char *wwid, const ClusterLock *lock, struct storaged_error *err)
{
        AUTO(fence_deinit) Fence fence = { 0 };
        AUTO(freep) char *path = NULL;
        int r = cluster_lock_prove(lock, &fence, err);

        if (r < 0)
                return r;
        r = journal_path(c, wwid, &path);
        if (r >= 0)
                r = fs_unlink_fenced(path, &fence);
        return r < 0 ? error_set(err, r, "can't remove the journal of LUN %s: %s", wwid, fs_strerror(r)) : 0;
}

void lun_journal_each(const Core *c, void (*fn)(void *userdata, const char *wwid), void *userdata)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *dir = NULL;

        if (journal_dir(c, &dir) < 0 || fs_list_dir(dir, &names) < 0)
                return;
        for (size_t i = 0; i < names.n; i++)
                if (lun_wwid_is_valid(names.items[i]) && !strstr(names.items[i], ".tmp"))
                        fn(userdata, names.items[i]);
}
