/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lock directories. mkdir decides who has the lock. Ours is known by its identity (base/fileid.h): whoever takes the
 * lock over makes another directory. The identity is noted in a file of this daemon, so that after a kill -9 the next
 * one finds its own locks and only those. On pmxcfs (a FUSE file system) the cluster itself lets expired locks go when
 * asked with utime(0); on a plain directory nobody does, so the waiters do it, one at a time under a flock of the
 * parent, which renewing and removing take, too: nobody removes what has just been renewed, or what another one has
 * just made. Invariant: a directory is removed only while it is, just before, still the one that was looked at.
 */
#include "cluster/lock-dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "base/fs-parts.h"
#include "base/guard.h"
#include "base/str.h"

#define NOTE_MAX 256

int lock_dir_init(LockDir *d, const char *cluster_dir, const char *state_dir, const char *name)
{
        int r;

        *d = LOCK_DIR_INIT;
        r = str_printf(&d->parent, "%s/priv/lock", cluster_dir);
        if (r >= 0)
                r = str_printf(&d->path, "%s/priv/lock/%s", cluster_dir, name);
        if (r >= 0)
                r = str_printf(&d->note, "%s/locks/%s", state_dir, name);
        if (r < 0)
                lock_dir_deinit(d);
        return r;
}

static void note_close(LockDir *d)
{
        closep(&d->note_fd);
        d->note_fd = -EBADF;
}

void lock_dir_deinit(LockDir *d)
{
        if (d->note_fd >= 0 && !d->is_held)
                (void) unlink(d->note);
        note_close(d);
        closep(&d->fd);
        free(d->parent);
        free(d->path);
        free(d->note);
        *d = LOCK_DIR_INIT;
}

/* Of the nearest directory that exists: priv/lock is made with the first lock. */
static bool is_fuse(const char *path)
{
        AUTO(freep) char *dir = strdup(path);
        struct statfs st;
        char *slash;

        while (dir && statfs(dir, &st) < 0) {
                slash = strrchr(dir, '/');
                if (errno != ENOENT || !slash || slash == dir)
                        return false;
                *slash = '\0';
        }
        return dir && (uint64_t) st.f_type == FUSE_SUPER_MAGIC;
}

bool lock_dir_is_fuse(const LockDir *d)
{
        return is_fuse(d->parent);
}

static bool is_expired(const LockDir *d, const struct stat *st)
{
        return S_ISDIR(st->st_mode) && time(NULL) - st->st_mtim.tv_sec > (time_t) d->life_sec;
}

/*
 * Two waiters may both see a dead holder's lock; the slower one must not remove what the faster one has just made.
 * So it is looked at again under a flock that all storaged on this directory take.
 */
static void plain_expire(const LockDir *d)
{
        AUTO(closep) int fd = -EBADF;
        struct stat st;

        if (lstat(d->path, &st) < 0 || !is_expired(d, &st))
                return;
        fd = open(d->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return; /* another one is at it */
        if (lstat(d->path, &st) == 0 && is_expired(d, &st))
                (void) rmdir(d->path);
}

/* Asks for the removal of an expired lock of another holder; whether it worked, the next mkdir tells. */
static void lock_dir_expire(const LockDir *d)
{
        static const struct timespec zero[2];

        if (is_fuse(d->parent))
                (void) utimensat(AT_FDCWD, d->path, zero, AT_SYMLINK_NOFOLLOW);
        else
                plain_expire(d);
}

/*
 * Before the lock is taken: a daemon that is killed between taking it and noting that leaves it until it expires, so
 * that nothing but one look and one write may be between. A note that can't be written (full disk) means the same. Not
 * flushed for that reason.
 */
static void note_open(LockDir *d)
{
        AUTO(freep) char *dir = NULL;
        int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;

        if (d->note_fd >= 0)
                return;
        d->note_fd = open(d->note, flags, 0600);
        if (d->note_fd >= 0 || errno != ENOENT)
                return;
        dir = strdup(d->note);
        if (!dir)
                return;
        *strrchr(dir, '/') = '\0';
        if (fs_plain_mkdir_p(dir, 0700) >= 0)
                d->note_fd = open(d->note, flags, 0600);
}

static void note_write(const LockDir *d)
{
        char text[FILEID_TEXT_MAX];

        fileid_print(&d->id, text);
        if (d->note_fd >= 0)
                (void) fs_write_all(d->note_fd, text, strlen(text));
}

static int try_mkdir(const LockDir *d)
{
        int r = mkdir(d->path, 0700) < 0 ? -errno : 0;

        if (r == -ENOENT) {
                r = fs_plain_mkdir_p(d->parent, 0700);
                if (r >= 0)
                        r = mkdir(d->path, 0700) < 0 ? -errno : 0;
        }
        /* How pmxcfs says that there is no quorum. */
        return r == -EACCES || r == -EPERM ? -EROFS : r;
}

int lock_dir_take(LockDir *d)
{
        int r = guard_check_mounted();

        if (r >= 0) {
                note_open(d);
                r = try_mkdir(d);
        }
        if (r == -EEXIST) {
                lock_dir_expire(d);
                r = try_mkdir(d);
        }
        if (r == -EEXIST)
                return LOCK_DIR_E_BUSY;
        if (r < 0)
                return r;
        r = fileid_look(d->path, &d->id);
        if (r >= 0) {
                note_write(d);
                d->fd = open(d->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = d->fd < 0 ? -errno : 0;
        }
        if (r < 0) {
                (void) rmdir(d->path); /* made a moment ago, so it is ours */
                note_close(d);
                return r;
        }
        d->is_shared = is_fuse(d->parent);
        d->is_held = true;
        return 0;
}

bool lock_dir_is_ours(const LockDir *d)
{
        FileId now;

        return d->is_held && fileid_look(d->path, &now) >= 0 && fileid_equal(&now, &d->id);
}

/* On a plain directory looking and doing are one for all storaged; a cluster file system orders them itself. */
static int guard_take(const LockDir *d)
{
        AUTO(closep) int fd = d->is_shared ? -EBADF : open(d->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
                (void) flock(fd, LOCK_EX); /* held for two system calls only */
        return TAKE_FD(fd);
}

int lock_dir_renew(LockDir *d)
{
        AUTO(closep) int guard = -EBADF;
        struct timespec now[2];

        guard = guard_take(d);
        if (!lock_dir_is_ours(d))
                return -ESTALE;
        (void) clock_gettime(CLOCK_REALTIME, &now[0]);
        now[1] = now[0];
        return utimensat(AT_FDCWD, d->path, now, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

void lock_dir_forget(LockDir *d)
{
        note_close(d);
        closep(&d->fd);
        d->fd = -EBADF;
        d->is_held = false;
}

int lock_dir_drop(LockDir *d)
{
        AUTO(closep) int guard = -EBADF;
        int r = 0;

        if (!d->is_held)
                return 0;
        guard = guard_take(d);
        if (lock_dir_is_ours(d) && rmdir(d->path) < 0)
                r = -errno;
        lock_dir_forget(d);
        if (r >= 0)
                (void) unlink(d->note); /* one that stays names a directory that is gone */
        return r;
}

int64_t lock_dir_get_age(const LockDir *d)
{
        FsSeen seen;
        int64_t age;

        if (fs_glance(d->path, &seen) < 0 || seen.inode == 0)
                return -1;
        age = (int64_t) time(NULL) - (int64_t) (seen.mtime_ns / UINT64_C(1000000000));
        return age < 0 ? 0 : age;
}

/* 1 if the noted lock was still there and is dropped now. */
static int recover_one(const char *path, const char *note)
{
        AUTO(freep) char *text = NULL;
        FileId noted, now;

        if (fs_read_file(note, NOTE_MAX, &text, NULL) < 0 || fileid_parse(text, &noted) < 0 ||
            fileid_look(path, &now) < 0 || !fileid_equal(&noted, &now))
                return 0;
        return rmdir(path) < 0 ? 0 : 1;
}

int lock_dir_recover(const char *cluster_dir, const char *state_dir)
{
        AUTO(freep) char *notes = NULL;
        struct dirent *e;
        int n = 0, r;
        DIR *dir;

        r = str_printf(&notes, "%s/locks", state_dir);
        if (r < 0)
                return r;
        dir = opendir(notes);
        if (!dir)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(dir))) {
                AUTO(freep) char *path = NULL, *note = NULL;

                if (e->d_name[0] == '.')
                        continue;
                if (str_printf(&path, "%s/priv/lock/%s", cluster_dir, e->d_name) < 0 ||
                    str_printf(&note, "%s/%s", notes, e->d_name) < 0)
                        continue;
                n += recover_one(path, note);
                (void) unlink(note);
        }
        (void) closedir(dir);
        return n;
}
