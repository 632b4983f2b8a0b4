/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has a volume active, kept by the storage itself: the part of a lock manager, of reservations or of watchers. A
 * file `.access@VOLUME@NODE` for each node says how, and as which client. So the storage refuses on its own what the
 * core should never ask for: two nodes exclusively, or one exclusively beside another.
 * A client has a name of its own for each time it comes: fencing is for the one that is gone, never for the one that
 * is there again.
 */
#include "example/example.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <time.h>

#define PREFIX ".access@"
#define CLIENT_MAX 256

struct access {
        bool is_exclusive;
        char client[CLIENT_MAX];
};

static int access_file(const char *volume, const char *node, char ret[static NAME_MAX + 1], struct storaged_error *err)
{
        int n = snprintf(ret, NAME_MAX + 1, PREFIX "%s@%s", volume, node);

        return n < 0 || n > NAME_MAX ? error_set(err, -ENAMETOOLONG, "the name of volume %s is too long", volume) : 0;
}

/* -ENOENT: that node does not have it. */
static int access_read(int dir, const char *file, struct access *ret)
{
        AUTO(closep) int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        char text[CLIENT_MAX + 2] = "";

        if (fd < 0)
                return -errno;
        if (read(fd, text, sizeof(text) - 1) < 2)
                return -EIO;
        ret->is_exclusive = text[0] == 'x';
        (void) memcpy(ret->client, text + 1, sizeof(ret->client));
        return 0;
}

/* Whole or not at all: a name of its own first. */
static int access_write(int dir, const char *file, const struct access *a)
{
        static const char temporary[] = ".access-new";
        AUTO(closep) int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

        if (fd < 0 || dprintf(fd, "%c%s", a->is_exclusive ? 'x' : 's', a->client) < 0)
                return -errno;
        return renameat(dir, temporary, dir, file) < 0 ? -errno : 0;
}

/* --- for each_name() */

struct accesses {
        const char *volume;
        const char *but; /* a node that does not count, or NULL */
        bool remove;
        size_t n, n_exclusive;
        char node[NAME_MAX + 1]; /* one of them */
        storaged_holder_fn fn;   /* or NULL */
        void *userdata;
};

static int each_access(void *userdata, int dir, const char *name)
{
        struct accesses *all = userdata;
        size_t len = strlen(PREFIX), volume = strlen(all->volume);
        struct access a;

        if (strncmp(name, PREFIX, len) != 0 || strncmp(name + len, all->volume, volume) != 0 ||
            name[len + volume] != '@')
                return 0;
        name += len + volume + 1;
        if ((all->but && strcmp(name, all->but) == 0) || access_read(dir, name - len - volume - 1, &a) < 0)
                return 0;
        all->n++;
        all->n_exclusive += a.is_exclusive;
        (void) snprintf(all->node, sizeof(all->node), "%s", name);
        if (all->remove)
                (void) unlinkat(dir, name - len - volume - 1, 0);
        if (all->fn) {
                struct storaged_holder h = {
                        .size = sizeof(h), .node = name, .what = a.client, .is_exclusive = a.is_exclusive
                };

                return all->fn(all->userdata, &h);
        }
        return 0;
}

int access_forget(const struct example *e, const char *volume, struct storaged_error *err)
{
        struct accesses all = { .volume = volume, .remove = true };

        return each_name(e, each_access, &all, err);
}

/* --- the operations */

int example_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR)
{
        const struct example *e = self;
        struct accesses others = { .volume = vol->name, .but = e->host->node };
        struct access mine = { .is_exclusive = mode == STORAGED_ACTIVATION_EXCLUSIVE };
        AUTO(closep) int dir = -EBADF, fd = -EBADF;
        char file[NAME_MAX + 1];
        struct stat st;
        struct access before;
        int r;

        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = open_volume(dir, vol->name, O_RDONLY, &fd, &st, err);
        if (r < 0 || snap || mode == STORAGED_ACTIVATION_READ_ONLY)
                return r;
        r = access_file(vol->name, e->host->node, file, err);
        if (r >= 0)
                r = each_name(e, each_access, &others, err);
        if (r < 0)
                return r;
        if (others.n_exclusive > 0 || (mine.is_exclusive && others.n > 0))
                return error_set(err, -EBUSY, "volume %s is active on node %s", vol->name, others.node);
        if (access_read(dir, file, &before) == 0)
                memcpy(mine.client, before.client, sizeof(mine.client));
        else
                (void) snprintf(mine.client, sizeof(mine.client), "%.200s/%lld.%d", e->host->node,
                                (long long) time(NULL), (int) getpid());
        r = access_write(dir, file, &mine);
        return r < 0 ? error_errno(err, r, "activate volume", vol->name) : 0;
}

int example_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        char file[NAME_MAX + 1];
        int r;

        if (snap)
                return 0;
        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = access_file(vol->name, e->host->node, file, err);
        if (r >= 0 && unlinkat(dir, file, 0) < 0 && errno != ENOENT)
                r = error_errno(err, -errno, "deactivate volume", vol->name);
        return r;
}

int example_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR)
{
        struct accesses all = { .volume = vol->name, .fn = fn, .userdata = userdata };

        return each_name(self, each_access, &all, err);
}

int example_get_client(void *self, STORAGED_VOL, char *ret, size_t ret_size, STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        char file[NAME_MAX + 1];
        struct access mine;
        int r;

        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = access_file(vol->name, e->host->node, file, err);
        if (r >= 0 && access_read(dir, file, &mine) < 0)
                return 0; /* not active: nothing to tell */
        if (r >= 0)
                (void) snprintf(ret, ret_size, "{\"client\":\"%s\"}", mine.client);
        return r;
}

/* Its access ends here. A storage with real clients would throw them out; a file can't. */
int example_fence(void *self, STORAGED_VOL, const char *node, const char *client, STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        char file[NAME_MAX + 1];
        struct access a;
        int r;

        r = open_dir(e, &dir, err);
        if (r >= 0)
                r = access_file(vol->name, node, file, err);
        if (r < 0 || access_read(dir, file, &a) < 0)
                return r;
        if (client && !strstr(client, a.client))
                return error_set(err, -EBUSY, "node %s has come back as client %s", node, a.client);
        r = e->host->fault(e->host->handle, "example.fence");
        if (r >= 0 && unlinkat(dir, file, 0) < 0 && errno != ENOENT)
                r = -errno;
        return r < 0 ? error_errno(err, r, "fence", a.client) : 0;
}
