/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A dir storage in a fresh directory, called through the plugin's own table, and words to say what is expected of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "host-fake.h"
#include "plugins/dir/dir.c"

#define KIB 1024ull
#define MIB (1024ull * 1024)

typedef struct Fixture {
        HostFake host;
        char dir[64], path[256];
        void *self;
        struct storaged_error err;
        const struct storaged_pair *extra; /* further configuration */
        size_t n_extra;
        bool is_mounted;
} Fixture;

static Fixture fx;

static void fixture_start(void)
{
        struct storaged_pair pairs[12] = {
                { "path", fx.path },
                { "content", "images,rootdir,iso,vztmpl,backup,snippets,import" },
        };
        struct storaged_config config = { .size = sizeof(config), .storage = "local", .n_pairs = 2, .pairs = pairs };

        for (size_t i = 0; i < fx.n_extra; i++)
                pairs[config.n_pairs++] = fx.extra[i];
        fx.err = (struct storaged_error) STORAGED_ERROR_INIT;
        assert_int_equal(dir_plugin.start(&fx.host.host, &config, &fx.self, &fx.err), 0);
}

static int fixture_activate(void)
{
        fx.err = (struct storaged_error) STORAGED_ERROR_INIT;
        return dir_plugin.activate_storage(fx.self, &fx.err);
}

static void fixture_stop(void)
{
        dir_plugin.stop(fx.self);
        fx.self = NULL;
}

static inline void fixture_restart(void)
{
        fixture_stop();
        fixture_start();
        assert_int_equal(fixture_activate(), 0);
}

static inline int fixture_setup_with(const struct storaged_pair *extra, size_t n_extra)
{
        const char *tmp = getenv("TMPDIR");

        fx = (Fixture){ .extra = extra, .n_extra = n_extra };
        host_fake_init(&fx.host, "node-a");
        (void) snprintf(fx.dir, sizeof(fx.dir), "%s/dir-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
        if (!mkdtemp(fx.dir))
                return -1;
        (void) snprintf(fx.path, sizeof(fx.path), "%s/store", fx.dir);
        fixture_start();
        return fixture_activate();
}

static inline int fixture_setup(void **state)
{
        (void) state;
        return fixture_setup_with(NULL, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void) ftw;
        if (type == FTW_F) {
                int fd = open(path, O_RDONLY | O_NONBLOCK), flags = 0;

                if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL)) {
                        flags &= ~FS_IMMUTABLE_FL;
                        (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
                }
                closep(&fd);
        }
        (void) st;
        return remove(path);
}

static inline int fixture_teardown(void **state)
{
        (void) state;
        fixture_stop();
        if (fx.is_mounted)
                (void) umount2(fx.path, MNT_DETACH);
        return nftw(fx.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- words */

static struct storaged_volname vol_buf;

static const struct storaged_volname *vol(const char *volname)
{
        fx.err = (struct storaged_error) STORAGED_ERROR_INIT;
        assert_int_equal(volname_parse(STORAGED_NAMING_FILE, volname, &vol_buf, &fx.err), 0);
        return &vol_buf;
}

static inline const char *file_at(const char *rel)
{
        static char path[4][2048];
        static unsigned n;
        char *p = path[n++ % 4];

        (void) snprintf(p, sizeof(path[0]), "%s/%s", fx.path, rel);
        return p;
}

static inline bool is_there(const char *rel)
{
        struct stat st;

        return lstat(file_at(rel), &st) == 0;
}

static inline void put_file(const char *rel, const void *data, size_t n)
{
        FILE *f = fopen(file_at(rel), "w");

        assert_non_null(f);
        assert_int_equal(fwrite(data, 1, n, f), n);
        assert_int_equal(fclose(f), 0);
}

static inline int try_alloc(uint32_t vmid, uint32_t format, uint64_t bytes, const char *name, char *ret)
{
        struct storaged_alloc_spec spec = {
                .size = sizeof(spec), .vmid = vmid, .format = format, .bytes = bytes, .name = name
        };

        fx.err = (struct storaged_error) STORAGED_ERROR_INIT;
        return dir_plugin.alloc(fx.self, &spec, ret, &fx.err);
}

/* The volume name; fails the test if there is none. */
static inline const char *must_alloc(uint32_t vmid, uint32_t format, uint64_t bytes, const char *name)
{
        static char names[4][STORAGED_VOLNAME_MAX];
        static unsigned n;
        char *ret = names[n++ % 4];
        int r = try_alloc(vmid, format, bytes, name, ret);

        if (r < 0)
                fail_msg("alloc: %d %s", r, fx.err.text);
        return ret;
}

#define must(call)                                                     \
        do {                                                           \
                int r_ = (call);                                       \
                if (r_ != 0)                                           \
                        fail_msg("%s: %d %s", #call, r_, fx.err.text); \
        } while (0)

typedef struct Row {
        char volname[256], format[16], parent[256], notes[256];
        uint32_t content, vmid;
        uint64_t bytes, used;
        int64_t ctime;
        bool is_protected;
} Row;

typedef struct Listing {
        Row rows[64];
        size_t n;
} Listing;

static inline int take_row(void *userdata, const struct storaged_volume *v)
{
        Listing *l = userdata;
        Row *row = &l->rows[l->n < 64 ? l->n : 63];

        l->n++;
        *row = (Row){ .content = v->content,
                      .vmid = v->vmid,
                      .bytes = v->bytes,
                      .used = v->used_bytes,
                      .ctime = v->ctime,
                      .is_protected = v->is_protected };
        (void) snprintf(row->volname, sizeof(row->volname), "%s", v->volname);
        (void) snprintf(row->format, sizeof(row->format), "%s", v->format);
        (void) snprintf(row->parent, sizeof(row->parent), "%s", v->parent ? v->parent : "");
        (void) snprintf(row->notes, sizeof(row->notes), "%s", v->notes ? v->notes : "");
        return 0;
}

static inline int by_name(const void *a, const void *b)
{
        return strcmp(((const Row *) a)->volname, ((const Row *) b)->volname);
}

static inline Listing list_filtered(struct storaged_list_filter filter)
{
        Listing l = { .n = 0 };

        filter.size = sizeof(filter);
        fx.err = (struct storaged_error) STORAGED_ERROR_INIT;
        must(dir_plugin.list(fx.self, &filter, take_row, &l, &fx.err));
        assert_true(l.n <= 64);
        qsort(l.rows, l.n, sizeof(l.rows[0]), by_name);
        return l;
}

static inline Listing list_all(void)
{
        return list_filtered((struct storaged_list_filter){ .contents = STORAGED_CONTENT_ANY });
}

static inline Row stat_row(const char *volname)
{
        Listing l = { .n = 0 };

        must(dir_plugin.stat(fx.self, vol(volname), take_row, &l, &fx.err));
        assert_int_equal(l.n, 1);
        return l.rows[0];
}

/* A shell command of the test itself, not of the product. */
static inline int sh(const char *fmt, ...)
{
        char cmd[8192];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(cmd, sizeof(cmd), fmt, ap);
        va_end(ap);
        return system(cmd); /* NOLINT: tests only */
}

/* Writes a pattern byte into the guest's view / checks it. */
static inline void guest_write(const char *rel, const char *format, unsigned pattern, const char *where)
{
        assert_int_equal(sh("qemu-io -f %s -c 'write -q -P %u %s' %s >/dev/null", format, pattern, where, file_at(rel)),
                         0);
}

static inline bool guest_has(const char *rel, const char *format, unsigned pattern, const char *where)
{
        return sh("qemu-io -r -f %s -c 'read -q -P %u %s' %s >/dev/null 2>&1", format, pattern, where, file_at(rel)) ==
               0;
}

/* Runs fn in a child that is killed at the fault point; the storage is then started anew here. */
static inline void die_at(const char *fault, void (*fn)(void))
{
        int status;
        pid_t pid;

        fixture_stop();
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                fixture_start();
                fx.host.fault = fault;
                fn();
                _exit(42); /* the point was not passed */
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        fixture_start();
}

/* No temporary of ours anywhere. */
static inline bool is_clean(void)
{
        return sh("test -z \"$(find %s -name '.storaged-*')\"", fx.path) == 0;
}
