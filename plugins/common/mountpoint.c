/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounting with libmount. A mount of a dead server blocks whoever touches it, so nothing here does: whether something
 * is mounted is read from the kernel's table and compared as text. What a mount program that libmount runs says on
 * stderr becomes the error's text.
 *
 * Invariant of mount_make: after a failure there is neither a mount nor a directory that was not there before.
 */
#include "common/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/text.h"

#include <libmount/libmount.h>

/* --- what is mounted */

static void unref_tablep(struct libmnt_table **t)
{
        mnt_unref_table(*t);
}

static void free_contextp(struct libmnt_context **c)
{
        mnt_free_context(*c);
}

void mount_info_deinit(MountInfo *m)
{
        free(m->type);
        free(m->source);
        *m = (MountInfo){ 0 };
}

/* `path` with the links in its parent resolved, as the kernel shows it. The last part is never looked at. */
static char *canonical(const char *path)
{
        AUTO(freep) char *parent = strdup(path);
        AUTO(freep) char *real = NULL;
        char *slash = parent ? strrchr(parent, '/') : NULL;
        char *text = NULL;

        if (!slash)
                return parent ? strdup(path) : NULL;
        *slash = '\0';
        real = realpath(parent[0] ? parent : "/", NULL);
        if (!real)
                return strdup(path);
        (void) text_printf(&text, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash + 1);
        return text;
}

static int take_info(struct libmnt_fs *fs, MountInfo *ret)
{
        const char *type = mnt_fs_get_fstype(fs), *source = mnt_fs_get_source(fs);
        MountInfo m = { .id = mnt_fs_get_id(fs) };
        char *value = NULL;
        size_t n = 0;

        m.type = strdup(type ? type : "?");
        m.source = strdup(source ? source : "none");
        if (!m.type || !m.source) {
                mount_info_deinit(&m);
                return -ENOMEM;
        }
        if (mnt_fs_get_option(fs, "addr", &value, &n) == 0 && value && n < sizeof(m.addr))
                memcpy(m.addr, value, n);
        *ret = m;
        return 1;
}

int mount_find(const char *table, const char *path, MountInfo *ret, STORAGED_ERR)
{
        AUTO(unref_tablep) struct libmnt_table *t = mnt_new_table();
        AUTO(freep) char *where = canonical(path);
        struct libmnt_fs *fs;
        int r;

        if (!t || !where)
                return error_set(err, -ENOMEM, "no memory");
        r = mnt_table_parse_file(t, table);
        if (r < 0)
                return error_set(err, r, "cannot read the table of mounts %s: %s", table, strerror(-r));
        /* From the end: the last mount on a place is the one that is seen. No cache: it would look at the places. */
        fs = mnt_table_find_target(t, where, MNT_ITER_BACKWARD);
        if (!fs)
                return 0;
        r = take_info(fs, ret);
        return r < 0 ? error_set(err, r, "no memory") : r;
}

/* Whether a line of the file holds the word, between blanks, slashes, dots or the line's ends. */
bool mount_file_has_word(const char *path, const char *word)
{
        AUTO(fclosep) FILE *f = fopen(path, "re");
        AUTO(freep) char *line = NULL;
        size_t size = 0, n = strlen(word);

        while (f && getline(&line, &size, f) > 0)
                for (const char *p = line; (p = strstr(p, word)); p += n)
                        if ((p == line || strchr(" \t/", p[-1])) && (!p[n] || strchr(" \t\n:.", p[n])))
                                return true;
        return false;
}

void mount_modules_dir(char *ret, size_t size)
{
        struct utsname u;

        (void) snprintf(ret, size, "/lib/modules/%s", uname(&u) == 0 ? u.release : "-");
}

/* --- mounting */

/* Makes the directories of `path` that are absent; *ret_first is the length of the first one made, 0 if none. */
static int make_directories(const char *path, size_t *ret_first)
{
        AUTO(freep) char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *p = copy; p;) {
                p = strchr(p + 1, '/');
                if (p)
                        *p = '\0';
                if (mkdir(copy, 0755) == 0)
                        *ret_first = *ret_first ? *ret_first : strlen(copy);
                else if (errno != EEXIST)
                        return -errno;
                if (p)
                        *p = '/';
        }
        return 0;
}

/* Takes away what make_directories made: from `path` up to the first one it made, if they are empty. */
static void remove_directories(const char *path, size_t first)
{
        AUTO(freep) char *copy = strdup(path);

        while (copy && first && strlen(copy) >= first) {
                char *slash = strrchr(copy, '/');

                if ((rmdir(copy) < 0 && errno != ENOENT) || !slash || slash == copy)
                        return;
                *slash = '\0';
        }
}

/* Puts a file in memory where stderr was; *ret_saved is the old one. */
static int capture_stderr(int *ret_saved)
{
        AUTO(closep) int memory = memfd_create("mount-stderr", MFD_CLOEXEC);
        AUTO(closep) int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

        if (memory < 0 || saved < 0 || dup2(memory, STDERR_FILENO) < 0)
                return -errno;
        *ret_saved = TAKE_FD(saved);
        return TAKE_FD(memory);
}

/* Back to the old stderr; the last line of what was written meanwhile. */
static void release_stderr(int memory, int saved, char *ret, size_t size)
{
        ssize_t n = 0;
        char *line;

        ret[0] = '\0';
        if (memory < 0)
                return;
        n = pread(memory, ret, size - 1, 0);
        (void) dup2(saved, STDERR_FILENO);
        (void) close(saved);
        (void) close(memory);
        while (n > 0 && (ret[n - 1] == '\n' || ret[n - 1] == ' '))
                n--;
        ret[n > 0 ? n : 0] = '\0';
        line = strrchr(ret, '\n');
        if (line)
                memmove(ret, line + 1, strlen(line));
}

static int context_error(struct libmnt_context *c, int r, const char *said, STORAGED_ERR)
{
        char text[256] = "";
        int status = mnt_context_get_excode(c, r, text, sizeof(text));

        if (mnt_context_helper_executed(c))
                r = -EIO;
        else if (mnt_context_get_syscall_errno(c))
                r = -mnt_context_get_syscall_errno(c);
        else if (r >= 0)
                r = -EIO;
        if (strstr(said, "busy"))
                r = -EBUSY;
        return error_set(err, r, "%s", said[0] ? said : text[0] ? text : strerror(status ? EIO : -r));
}

static int run_context(struct libmnt_context *c, int (*call)(struct libmnt_context *), STORAGED_ERR)
{
        int memory, saved = -1, r;
        char said[512];

        memory = capture_stderr(&saved);
        r = call(c);
        release_stderr(memory, saved, said, sizeof(said));
        if (r == 0 && (mnt_context_get_status(c) == 1 || mnt_context_get_helper_status(c) == 0))
                return 0;
        return context_error(c, r, said, err);
}

int mount_with_libmount(const char *path, const MountPlan *plan, const char *type, const char *options, STORAGED_ERR)
{
        AUTO(free_contextp) struct libmnt_context *c = mnt_new_context();

        if (!c)
                return error_set(err, -ENOMEM, "no memory");
        (void) mnt_context_disable_canonicalize(c, 1);
        (void) mnt_context_disable_mtab(c, 1);
        (void) mnt_context_disable_helpers(c, !plan->has_helper);
        if (mnt_context_set_fstype(c, type) < 0 || mnt_context_set_source(c, plan->source) < 0 ||
            mnt_context_set_target(c, path) < 0 || mnt_context_set_options(c, options) < 0)
                return error_set(err, -ENOMEM, "no memory");
        return run_context(c, mnt_context_mount, err);
}
int mount_make(const char *path, const MountPlan *plan, bool may_create, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        size_t first_made = 0;
        struct stat st;
        int r;

        r = mount_find(MOUNT_TABLE, path, &m, err);
        if (r != 0)
                return r < 0 ? r : error_set(err, -EEXIST, "'%s' is mounted on '%s' already", m.source, path);
        if (lstat(path, &st) < 0) {
                if (errno != ENOENT || !may_create)
                        return error_set_param(err, -errno, "path", "cannot mount on '%s': %s%s", path, strerror(errno),
                                               errno == ENOENT ? " (create-base-path is off): make the directory" : "");
                r = make_directories(path, &first_made);
                if (r < 0) {
                        remove_directories(path, first_made);
                        return error_set_param(err, r, "path", "cannot make the mount point '%s': %s", path,
                                               strerror(-r));
                }
        } else if (!S_ISDIR(st.st_mode)) {
                return error_set_param(err, -ENOTDIR, "path", "cannot mount on '%s': it is not a directory", path);
        }
        r = plan->mount(plan, path, &why);
        if (r == 0) {
                /* "bg" in the options makes mount.nfs return before anything is mounted. */
                r = mount_find(MOUNT_TABLE, path, &m, err);
                if (r == 1)
                        return 0;
                r = error_set(&why, -EIO, "the mount program reported success, but nothing is mounted");
        }
        remove_directories(path, first_made);
        return error_set(err, r, "cannot mount '%s' on '%s': %s", plan->source, path, why.text);
}

int mount_end(const char *path, STORAGED_ERR)
{
        AUTO(free_contextp) struct libmnt_context *c = mnt_new_context();
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r;

        if (!c)
                return error_set(err, -ENOMEM, "no memory");
        (void) mnt_context_disable_canonicalize(c, 1);
        if (mnt_context_set_target(c, path) < 0)
                return error_set(err, -ENOMEM, "no memory");
        r = run_context(c, mnt_context_umount, &why);
        if (r == -EBUSY)
                return error_set(err, r, "cannot unmount '%s': it is in use; `fuser -vm %s` lists by whom", path, path);
        return r < 0 ? error_set(err, r, "cannot unmount '%s': %s", path, why.text) : 0;
}

int mount_detach(const char *path, STORAGED_ERR)
{
        if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL)
                return 0;
        return error_set(err, -errno, "cannot take the mount away from '%s': %s", path, strerror(errno));
}
