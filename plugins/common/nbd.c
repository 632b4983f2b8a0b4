/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-nbd knows the image formats, libnbd speaks to it: so a guest's bytes can be read and written at any place, as
 * a stream needs it, where qemu-img only converts whole files. The socket is inherited by the child (socket
 * activation), it has no name in the file system; qemu-nbd serves one connection and ends with it, also when this
 * process is killed.
 *
 * The library is loaded with the first image, as it brings some twenty others (TLS, XML, Unicode): linked, they would
 * be most of what the start of each worker costs, and hardly one in a hundred reads an image.
 */
#include "common/nbd.h"

#include <dlfcn.h>
#include <errno.h>
#include <libnbd.h>
#include <string.h>

#include "common/store.h"

#define LIBRARY "libnbd.so.0"
#define EXTENT_MAX (1ull << 30)
#define STATE_ZERO 2u /* base:allocation */

#define EACH_FUNCTION(X)                     \
        X(add_meta_context)                  \
        X(block_status)                      \
        X(can_meta_context)                  \
        X(close)                             \
        X(connect_systemd_socket_activation) \
        X(create)                            \
        X(flush)                             \
        X(get_errno)                         \
        X(get_error)                         \
        X(get_size)                          \
        X(pread)                             \
        X(pwrite)                            \
        X(shutdown)

#define MEMBER(name) __typeof__(nbd_##name) *name;
static struct {
        void *library; /* for the life of the process */
        EACH_FUNCTION(MEMBER)
} nbd;

#define ROW(name) { "nbd_" #name, (void **) &nbd.name },
static const struct {
        const char *name;
        void **to;
} functions[] = { EACH_FUNCTION(ROW) };

static int library_load(struct storaged_error *err)
{
        void *library = nbd.library ? nbd.library : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

        if (!library)
                return error_set(err, -ENOPKG,
                                 "images are read through " LIBRARY ", which can't be loaded (%s): is the "
                                 "package libnbd0 installed?",
                                 dlerror());
        for (size_t i = 0; !nbd.library && i < sizeof(functions) / sizeof(functions[0]); i++) {
                *functions[i].to = dlsym(library, functions[i].name);
                if (!*functions[i].to) {
                        (void) dlclose(library);
                        return error_set(err, -ENOPKG, LIBRARY " has no function %s: is it too old?",
                                         functions[i].name);
                }
        }
        nbd.library = library;
        return 0;
}

static int fail(NbdImage *n, const char *action, struct storaged_error *err)
{
        int code = nbd.get_errno();
        const char *text = nbd.get_error();

        return error_set(err, code > 0 ? -code : -EIO, "cannot %s image %s by qemu-nbd: %s", action, n->rel,
                         text ? text : "unknown");
}

int nbd_image_open(FileStore *fs, const char *rel, const char *format, const char *snap, bool is_writable,
                   NbdImage *ret, struct storaged_error *err)
{
        char path[TREE_PATH_MAX], format_arg[32], snap_arg[256];
        char *argv[8] = { (char *) "qemu-nbd", (char *) "--shared=1", format_arg };
        NbdImage n = { .rel = rel };
        size_t k = 3;
        int r = store_absolute(fs, rel, path, err);

        if (r == 0)
                r = library_load(err);
        if (r < 0)
                return r;
        (void) snprintf(format_arg, sizeof(format_arg), "--format=%s", format);
        if (!is_writable)
                argv[k++] = (char *) "--read-only";
        if (snap) {
                (void) snprintf(snap_arg, sizeof(snap_arg), "--load-snapshot=snapshot.name=%s", snap);
                argv[k++] = snap_arg;
        }
        argv[k] = path;
        n.handle = nbd.create();
        if (!n.handle)
                return error_set(err, -ENOMEM, "cannot make an NBD handle: %s", nbd.get_error());
        if (nbd.add_meta_context(n.handle, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
            nbd.connect_systemd_socket_activation(n.handle, argv) < 0) {
                r = error_set(err, -EIO,
                              "%s storage \"%s\": qemu-nbd does not serve %s (%s): is qemu-utils installed, is the "
                              "image in use or damaged?",
                              fs->kind->type, fs->storage, path, nbd.get_error());
                nbd.close(n.handle);
                return r;
        }
        *ret = n;
        return 0;
}

void nbd_image_close(NbdImage *n)
{
        if (!n->handle)
                return;
        (void) nbd.shutdown(n->handle, 0); /* a polite end; close makes an end in any case */
        nbd.close(n->handle);
        n->handle = NULL;
}

int nbd_image_size(NbdImage *n, uint64_t *ret, struct storaged_error *err)
{
        int64_t bytes = nbd.get_size(n->handle);

        if (bytes < 0)
                return fail(n, "measure", err);
        *ret = (uint64_t) bytes;
        return 0;
}

int nbd_image_read(NbdImage *n, void *buf, size_t bytes, uint64_t offset, struct storaged_error *err)
{
        return nbd.pread(n->handle, buf, bytes, offset, 0) < 0 ? fail(n, "read", err) : 0;
}

int nbd_image_write(NbdImage *n, const void *buf, size_t bytes, uint64_t offset, struct storaged_error *err)
{
        return nbd.pwrite(n->handle, buf, bytes, offset, 0) < 0 ? fail(n, "write", err) : 0;
}

int nbd_image_flush(NbdImage *n, struct storaged_error *err)
{
        return nbd.flush(n->handle, 0) < 0 ? fail(n, "flush", err) : 0;
}

typedef struct Extent {
        uint64_t bytes;
        bool is_zero;
} Extent;

static int take_extents(void *userdata, const char *context, uint64_t offset, uint32_t *entries, size_t n_entries,
                        int *error)
{
        Extent *e = userdata;

        (void) offset;
        (void) error;
        if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 || n_entries < 2 || e->bytes)
                return 0;
        e->bytes = entries[0];
        e->is_zero = entries[1] & STATE_ZERO;
        return 0;
}

int nbd_image_extent(NbdImage *n, uint64_t offset, uint64_t bytes, uint64_t *ret_bytes, bool *ret_is_zero,
                     struct storaged_error *err)
{
        Extent e = { 0 };

        if (bytes > EXTENT_MAX)
                bytes = EXTENT_MAX;
        if (nbd.can_meta_context(n->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0 &&
            nbd.block_status(n->handle, bytes, offset,
                             (nbd_extent_callback){ .callback = take_extents, .user_data = &e }, 0) < 0)
                return fail(n, "map", err);
        *ret_bytes = e.bytes && e.bytes < bytes ? e.bytes : bytes;
        *ret_is_zero = e.bytes && e.is_zero;
        return 0;
}
