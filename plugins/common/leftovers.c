/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Temporaries and what interrupted operations left of them. A temporary's name tells the node, the process and the
 * moment that process started: so it is known, without any record, whether its maker still lives. Only
 * leftovers of this node are ever removed: of another node's processes we know nothing.
 *
 * A chain snapshot that was cut off between "image got its second name snap-…" and "overlay took the image's name"
 * shows as two names of one inode; taking the second name away again is the state before.
 */
#include "common/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "common/chain.h"
#include "common/image-cache.h"
#include "common/layout.h"

#define TMP_MARK ".storaged-"
#define TMP_NAME_PART 64 /* of the wanted name, so that the whole stays below 255 */

/* When a process started, in clock ticks since boot; -ESRCH if there is none. */
static int process_start(const char *pid, uint64_t *ret)
{
        char path[64], buf[1024];
        AUTO(closep) int fd = -EBADF;
        const char *p;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%s/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, buf, sizeof(buf) - 1);
        if (n <= 0)
                return n < 0 ? -errno : -ESRCH;
        buf[n] = '\0';
        p = strrchr(buf, ')'); /* the name may hold anything; field 3 follows it, the start is field 22 */
        if (p && (p[1] == ' ') && (p[2] == 'Z' || p[2] == 'X'))
                return -ESRCH; /* dead, only not yet reaped: it makes nothing any more */
        for (int field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        if (!p || sscanf(p, "%" SCNu64, ret) != 1)
                return -EPROTO;
        return 0;
}

int store_tmp_init(FileStore *fs)
{
        uint64_t start;
        int r = process_start("self", &start), n;

        if (r < 0)
                return r;
        n = snprintf(fs->tmp_prefix, sizeof(fs->tmp_prefix), "%s%s~%ld-%" PRIu64 "-", TMP_MARK, fs->host->node,
                     (long) getpid(), start);
        return n < 0 || (size_t) n >= sizeof(fs->tmp_prefix) ? -ENAMETOOLONG : 0;
}

int store_tmp_name(FileStore *fs, const char *rel, char ret[static TREE_PATH_MAX], struct storaged_error *err)
{
        const char *slash = strrchr(rel, '/');
        int n_dir = slash ? (int) (slash - rel + 1) : 0;
        int n = snprintf(ret, TREE_PATH_MAX, "%.*s%s%u-%.*s", n_dir, rel, fs->tmp_prefix, fs->tmp_seq++, TMP_NAME_PART,
                         rel + n_dir);

        return n < 0 || n >= TREE_PATH_MAX ? error_set(err, -ENAMETOOLONG, "path of %s is too long", rel) : 0;
}

/* Whether the maker of a temporary of this node lives. What cannot be read counts as alive. */
static bool is_maker_alive(const char *name_after_node)
{
        char pid[16];
        uint64_t start, now;
        int r;

        if (sscanf(name_after_node, "%15[0-9]-%" SCNu64 "-", pid, &start) != 2)
                return true;
        r = process_start(pid, &now);
        return r == 0 ? now == start : r != -ESRCH;
}

typedef struct Sweep {
        FileStore *fs;
        const char *dir;
        LeftoverFn fn;
        void *userdata;
        bool is_images;
} Sweep;

static int sweep_dir(Sweep *s, const char *dir);

static int sweep_entry(void *userdata, const char *name, const TreeAttr *attr)
{
        Sweep *s = userdata;
        size_t n_mark = strlen(TMP_MARK), n_node = strlen(s->fs->host->node);
        char rel[TREE_PATH_MAX];
        bool is_ours;
        int n = snprintf(rel, sizeof(rel), "%s/%s", s->dir, name);

        (void) attr;
        if (n < 0 || (size_t) n >= sizeof(rel))
                return 0;
        if (s->is_images && layout_vmid(name)) {
                Sweep guest = *s;

                guest.is_images = false;
                return sweep_dir(&guest, rel);
        }
        if (strncmp(name, TMP_MARK, n_mark) != 0)
                return 0;
        is_ours = strncmp(name + n_mark, s->fs->host->node, n_node) == 0 && name[n_mark + n_node] == '~';
        if (is_ours && is_maker_alive(name + n_mark + n_node + 1))
                return 0;
        return s->fn(s->userdata, rel, is_ours);
}

static int sweep_dir(Sweep *s, const char *dir)
{
        int r;

        s->dir = dir;
        r = s->fs->control->ops->list(s->fs->control, dir, TREE_NAMES_ONLY, sweep_entry, s);
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV ? 0 : r;
}

int store_each_leftover(FileStore *fs, LeftoverFn fn, void *userdata)
{
        for (int i = 0; i < LAYOUT_N_CONTENTS; i++) {
                Sweep s = { .fs = fs, .fn = fn, .userdata = userdata };
                int r;

                s.is_images = layout_contents[i].content == STORAGED_CONTENT_IMAGES;
                r = sweep_dir(&s, fs->dirs[i]);
                if (r != 0)
                        return r;
        }
        return 0;
}

/*
 * A chain snapshot that was cut off: this overlay was to take the image's place, and its backing file is a second name
 * of the image. Only the one who made the overlay may conclude that: on shared storage another node may be just there.
 */
static void undo_snapshot(FileStore *fs, const char *rel)
{
        char snap_rel[TREE_PATH_MAX];
        ImageInfo info;
        TreeAttr attr;
        const char *slash = strrchr(rel, '/');
        int r = image_read(fs->control, rel, STORAGED_FORMAT_QCOW2, &info);

        if (r < 0 || !slash || !layout_is_snapshot_file(info.backing) || strchr(info.backing, '/'))
                return;
        r = snprintf(snap_rel, sizeof(snap_rel), "%.*s/%s", (int) (slash - rel), rel, info.backing);
        if (r < 0 || (size_t) r >= sizeof(snap_rel) || fs->control->ops->stat(fs->control, snap_rel, &attr) < 0 ||
            attr.type != TREE_FILE || attr.n_links < 2)
                return;
        r = fs->control->ops->unlink(fs->control, snap_rel);
        fs->host->log(fs->host->handle, r < 0 ? STORAGED_LOG_WARNING : STORAGED_LOG_INFO,
                      "storage %s: undid the half-made snapshot %s: %s", fs->storage, snap_rel,
                      r < 0 ? strerror(-r) : "done");
}

static int remove_leftover(void *userdata, const char *rel, bool is_ours)
{
        FileStore *fs = userdata;
        int r;

        if (!is_ours)
                return 0;
        undo_snapshot(fs, rel);
        chain_finish_deletion(fs, rel);
        r = fs->control->ops->unlink(fs->control, rel);
        if (r == -EISDIR || r == -EPERM)
                r = tree_remove_all(fs->control, rel, 64);
        if (r == 0)
                fs->n_leftovers++;
        fs->host->log(fs->host->handle, r < 0 ? STORAGED_LOG_WARNING : STORAGED_LOG_INFO,
                      "storage %s: leftover %s of an interrupted operation: %s", fs->storage, rel,
                      r < 0 ? strerror(-r) : "removed");
        return 0; /* one that stays must not keep the storage from being used */
}

int store_remove_leftovers(FileStore *fs, struct storaged_error *err)
{
        int r;

        fs->n_leftovers = 0;
        r = store_each_leftover(fs, remove_leftover, fs);
        return r < 0 ? store_fail(fs, err, r, "clean up", "") : 0;
}
