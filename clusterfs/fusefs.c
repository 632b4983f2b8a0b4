/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE on the event loop. Reads are answered at once; a change becomes an Op and its request waits for the engine.
 * The kernel caches nothing (timeouts 0, direct I/O): what another node changed is seen with the next call, and every
 * handle reads the version it opened. Nodes are known to the kernel by their number in the tree, which is never used
 * twice in one history; for a number that is gone the answer is ESTALE: the kernel then looks the path up again, so
 * that an open() that meets a rename opens the old or the new file and never fails.
 *
 * Writing: what is written through a handle is published when it is flushed, as one change. A file opened with O_TRUNC
 * is not emptied for others before that; the flush that a shell causes by closing its spare descriptor is
 * recognised by the process still having the file open.
 */
#include "clusterfs/fusefs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "clusterfs/fusefs-parts.h"

#define REQUESTS_PER_TURN 32
#define GENERATION_SHIFT 48
#define GENERATIONS 0x7ffeu /* the last two stand for drafts and virtual files */
#define MAX_WRITE (128u << 10)

FuseFs *fusefs_of(fuse_req_t req)
{
        return fuse_req_userdata(req);
}

const Tree *fusefs_tree(FuseFs *fs)
{
        return engine_tree(fs->engine);
}

static uint64_t plain_id(const Node *n)
{
        return n->ino == TREE_ROOT_INO ? n->ino : n->ino | (uint64_t) (n->generation % GENERATIONS) << GENERATION_SHIFT;
}

uint64_t fusefs_id(FuseFs *fs, const Node *n)
{
        uint64_t id = draft_id_of(fs, n);

        return id ? id : plain_id(n);
}

const Node *fusefs_node(FuseFs *fs, uint64_t id)
{
        const Draft *d = draft_find(fs, id);
        const Node *n = tree_find(fusefs_tree(fs), d ? d->ino : id & ((UINT64_C(1) << GENERATION_SHIFT) - 1));

        if (d)
                return n && d->ino && n->generation == d->generation ? n : NULL;
        return n && plain_id(n) == id ? n : NULL;
}

int64_t fusefs_now(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
        (void) userdata;
        conn->want &= ~(unsigned) (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                                   FUSE_CAP_READDIRPLUS | FUSE_CAP_WRITEBACK_CACHE);
        conn->want |= conn->capable & FUSE_CAP_ATOMIC_O_TRUNC;
        conn->max_write = MAX_WRITE;
}

static const struct fuse_lowlevel_ops operations = {
        .init = do_init,
        .lookup = fusefs_do_lookup,
        .forget = fusefs_do_forget,
        .forget_multi = fusefs_do_forget_multi,
        .getattr = fusefs_do_getattr,
        .setattr = fusefs_do_setattr,
        .readlink = fusefs_do_readlink,
        .mknod = fusefs_do_mknod,
        .mkdir = fusefs_do_mkdir,
        .unlink = fusefs_do_unlink,
        .rmdir = fusefs_do_rmdir,
        .symlink = fusefs_do_symlink,
        .rename = fusefs_do_rename,
        .ioctl = fusefs_do_ioctl,
        .link = fusefs_do_link,
        .open = fusefs_do_open,
        .read = fusefs_do_read,
        .write = fusefs_do_write,
        .flush = fusefs_do_flush,
        .release = fusefs_do_release,
        .fsync = fusefs_do_fsync,
        .opendir = fusefs_do_opendir,
        .readdir = fusefs_do_readdir,
        .releasedir = fusefs_do_releasedir,
        .fsyncdir = fusefs_do_fsyncdir,
        .statfs = fusefs_do_statfs,
        .create = fusefs_do_create,
};

static int on_request(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        FuseFs *fs = userdata;
        int r = 0;

        (void) s, (void) fd, (void) revents;
        for (int i = 0; i < REQUESTS_PER_TURN; i++) {
                r = fuse_session_receive_buf(fs->session, &fs->buffer);
                if (r <= 0)
                        break;
                fuse_session_process_buf(fs->session, &fs->buffer);
        }
        engine_settle(fs->engine);
        if (fuse_session_exited(fs->session)) {
                log_warning("the file system was unmounted by somebody else: stopping");
                fs->is_mounted = false;
                return sd_event_exit(fs->event, 0);
        }
        return r < 0 && r != -EAGAIN && r != -EINTR ? r : 0;
}

/* A mount whose daemon died answers ENOTCONN for ever. */
static int prepare_dir(const char *dir, struct storaged_error *err)
{
        struct stat st;
        int r;

        if (stat(dir, &st) < 0 && errno == ENOTCONN) {
                log_info("taking away the mount that a dead daemon left at %s", dir);
                if (umount2(dir, MNT_DETACH) < 0)
                        return error_set(err, -errno, "can't unmount the dead mount at %s: %s", dir, strerror(errno));
        }
        r = fs_mkdir_p(dir, 0755);
        return r < 0 ? error_set(err, r, "can't make the directory %s: %s", dir, strerror(-r)) : 0;
}

static int session_mount(FuseFs *fs, const char *dir, struct storaged_error *err)
{
        char *argv[] = { (char *) "clusterfs", (char *) "-o",
                         (char *) "allow_other,default_permissions,fsname=clusterfs,nosuid,nodev", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(3, argv);
        int flags;

        fs->session = fuse_session_new(&args, &operations, sizeof(operations), fs);
        fuse_opt_free_args(&args);
        if (!fs->session)
                return error_set(err, -EINVAL, "libfuse refuses its options");
        if (fuse_session_mount(fs->session, dir) != 0)
                return error_set(err, -EIO, "can't mount at %s: is /dev/fuse there, and is this root?", dir);
        fs->is_mounted = true;
        flags = fcntl(fuse_session_fd(fs->session), F_GETFL);
        if (flags < 0 || fcntl(fuse_session_fd(fs->session), F_SETFL, flags | O_NONBLOCK) < 0)
                return error_set(err, -errno, "can't set up /dev/fuse: %s", strerror(errno));
        return 0;
}

int fusefs_new(sd_event *event, const char *dir, Engine *engine, Status *status, FuseFs **ret,
               struct storaged_error *err)
{
        AUTO(fusefs_freep) FuseFs *fs = calloc(1, sizeof(*fs));
        const struct group *g = getgrnam("www-data");
        int r;

        if (!fs)
                return -ENOMEM;
        fs->engine = engine;
        fs->status = status;
        fs->event = sd_event_ref(event);
        fs->gid = g ? g->gr_gid : 0;
        r = prepare_dir(dir, err);
        if (r == 0)
                r = session_mount(fs, dir, err);
        if (r == 0)
                r = sd_event_add_io(event, &fs->io, fuse_session_fd(fs->session), EPOLLIN, on_request, fs);
        if (r < 0)
                return r;
        *ret = TAKE(fs);
        return 0;
}

FuseFs *fusefs_free(FuseFs *fs)
{
        if (!fs)
                return NULL;
        fs->io = sd_event_source_disable_unref(fs->io);
        fs->settle = sd_event_source_disable_unref(fs->settle);
        if (fs->session) {
                if (fs->is_mounted)
                        fuse_session_unmount(fs->session);
                fuse_session_destroy(fs->session);
        }
        free(fs->buffer.mem);
        while (fs->handles) {
                Handle *h = fs->handles;

                fs->handles = h->next;
                (void) handle_unref(h);
        }
        drafts_free(fs);
        (void) sd_event_unref(fs->event);
        free(fs);
        return NULL;
}
