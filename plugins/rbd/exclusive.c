/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client at a time. The lease in the cluster directory says who may; here the storage itself is asked whether it is
 * so: an image that is open for writing has a watcher, with its client's address, and the writer holds its lock. A
 * client that dies is a watcher for 30 s more, so who comes next waits a little and then says whom it saw.
 *
 * A guest's client is QEMU's own, which opens the image after the activation. What is recorded for the day of fencing
 * is therefore this node's address, by which all its clients can be thrown out, and those of its clients that have the
 * image open at the time: none at the first activation, QEMU's when the guest runs and it is activated again (the
 * libvirt hook does).
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common-ceph/ceph-fence.h"
#include "rbd/krbd.h"
#include "rbd/store.h"

#define WATCHERS_MAX 64
#define PAUSE_FIRST_MS 50
#define PAUSE_TOTAL_MS 3000 /* then who was seen is told */

typedef struct Watchers {
        rbd_image_watcher_t items[WATCHERS_MAX];
        size_t n;
        char ip[CEPH_ADDRESS_MAX]; /* this node's */
} Watchers;

static void watchers_deinit(Watchers *w)
{
        rbd_watchers_list_cleanup(w->items, w->n);
        w->n = 0;
}

static int watchers_read(RbdStore *s, rbd_image_t image, const char *name, Watchers *w, STORAGED_ERR)
{
        size_t n = WATCHERS_MAX;
        int r = ceph_own_address(&s->cluster, w->ip, err);

        if (r < 0)
                return r;
        r = rbd_watchers_list(image, w->items, &n);
        if (r < 0)
                return image_fail(s, r, "look at the watchers of", name, err);
        w->n = n;
        return 0;
}

static bool is_here(const Watchers *w, size_t i)
{
        char ip[CEPH_ADDRESS_MAX];

        return ceph_address_ip(w->items[i].addr, ip) >= 0 && strcmp(ip, w->ip) == 0;
}

/* The first of another node, or of this one; NULL: there is none. */
static const char *watchers_find(const Watchers *w, bool here)
{
        for (size_t i = 0; i < w->n; i++)
                if (is_here(w, i) == here)
                        return w->items[i].addr;
        return NULL;
}

static int pause_ms(RbdStore *s, unsigned ms)
{
        struct timespec t = { ms / 1000, (long) (ms % 1000) * 1000000 };

        (void) nanosleep(&t, NULL);
        ceph_watch_again(&s->cluster.watch);
        return s->cluster.host->progress(s->cluster.host->handle, 0, 0);
}

/* Waits, with growing pauses, until nobody of that side has it open. */
static int wait_unused(RbdStore *s, rbd_image_t image, const char *name, bool here, STORAGED_ERR)
{
        unsigned waited = 0, pause = PAUSE_FIRST_MS;

        for (;;) {
                AUTO(watchers_deinit) Watchers w = { 0 };
                const char *found;
                int r = watchers_read(s, image, name, &w, err);

                if (r < 0)
                        return r;
                found = watchers_find(&w, here);
                if (!found)
                        return 0;
                if (waited >= PAUSE_TOTAL_MS)
                        return error_set(
                                err, -EBUSY,
                                "storage '%s': client %s%s has volume '%s' open; stop its guest first (a client that "
                                "died counts for 30 s)",
                                s->cluster.storage, found, here ? " of this node" : "", name);
                r = pause_ms(s, pause);
                if (r < 0)
                        return error_set(err, r, "storage '%s': cancelled while waiting for client %s",
                                         s->cluster.storage, found);
                waited += pause;
                pause *= 2;
        }
}

int rbdstore_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        int r;

        STORE_WATCH(s, "activate '%s'", vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, snap, IMAGE_READ, &image, err);
        if (r >= 0 && !snap && mode == STORAGED_ACTIVATION_EXCLUSIVE)
                r = wait_unused(s, image, vol->name, false, err);
        if (r >= 0)
                r = store_fault(s, "rbd.activate.checked", err);
        if (r < 0 || !s->is_krbd)
                return r;
        return krbd_map(s, vol->name, snap, snap || mode == STORAGED_ACTIVATION_READ_ONLY, err);
}

int rbdstore_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        int r;

        if (snap && !s->is_krbd)
                return 0;
        STORE_WATCH(s, "deactivate '%s'", vol->name);
        r = store_open(s, err);
        if (r >= 0 && s->is_krbd)
                r = krbd_unmap(s, vol->name, snap, err);
        if (r >= 0 && snap)
                return 0;
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r == -ENOENT) /* freed meanwhile: it is not active here */
                return 0;
        return r < 0 ? r : wait_unused(s, image, vol->name, true, err);
}

/* Who has the lock, as librbd sees it; that takes an image opened for writing, so it is asked only where there are
 * watchers. */
static void find_owner(RbdStore *s, const char *name, char *ret, size_t size)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        rbd_lock_mode_t mode;
        char *owners[4] = { NULL };
        size_t n = sizeof(owners) / sizeof(owners[0]);

        ret[0] = '\0';
        if (image_open(s, name, NULL, IMAGE_WRITE, &image, NULL) < 0 ||
            rbd_lock_get_owners(image, &mode, owners, &n) < 0)
                return; /* nobody has it, or it went away: the watchers are all there is */
        if (n > 0)
                (void) snprintf(ret, size, "%s", owners[0]);
        rbd_lock_get_owners_cleanup(owners, n);
}

int rbdstore_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(watchers_deinit) Watchers w = { 0 };
        char owner[128] = "";
        int r;

        STORE_WATCH(s, "look who holds '%s'", vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r >= 0)
                r = watchers_read(s, image, vol->name, &w, err);
        if (r >= 0 && w.n > 0)
                find_owner(s, vol->name, owner, sizeof(owner));
        for (size_t i = 0; r == 0 && i < w.n; i++) {
                struct storaged_holder h = { .size = sizeof(h) };
                char what[128];

                (void) snprintf(what, sizeof(what), "client %.100s", w.items[i].addr);
                h.is_exclusive = strcmp(owner, w.items[i].addr) == 0;
                h.node = is_here(&w, i) ? s->cluster.host->node : NULL;
                h.what = what;
                r = fn(userdata, &h);
        }
        return r;
}

int rbdstore_get_client(void *self, STORAGED_VOL, char *ret, size_t ret_size, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(watchers_deinit) Watchers w = { 0 };
        const char *clients[WATCHERS_MAX];
        size_t n = 0;
        int r;

        STORE_WATCH(s, "record who has '%s' open", vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r >= 0)
                r = watchers_read(s, image, vol->name, &w, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < w.n; i++)
                if (is_here(&w, i))
                        clients[n++] = w.items[i].addr;
        return ceph_client_tell(&s->cluster, clients, n, ret, ret_size, err);
}

/* Never activated to the end: no guest of that node can have been started. If the image is open all the same, we don't
 * know by whom. */
static int fence_unknown(RbdStore *s, const struct storaged_volname *vol, const char *node, STORAGED_ERR)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(watchers_deinit) Watchers w = { 0 };
        int r = image_open(s, vol->name, NULL, IMAGE_READ, &image, err);

        if (r >= 0)
                r = watchers_read(s, image, vol->name, &w, err);
        if (r < 0 || w.n == 0)
                return r;
        return error_set(err, -EBUSY,
                         "storage '%s': node '%s' told no address before it died, and client %s has '%s' open: make "
                         "sure which node "
                         "that is, and `ceph osd blocklist add` it",
                         s->cluster.storage, node, w.items[0].addr, vol->name);
}

int rbdstore_fence(void *self, STORAGED_VOL, const char *node, const char *client, STORAGED_ERR)
{
        RbdStore *s = self;
        int r;

        STORE_WATCH(s, "fence node '%s'", node);
        r = store_open(s, err);
        if (r < 0)
                return r;
        return client ? ceph_fence(&s->cluster, node, client, err) : fence_unknown(s, vol, node, err);
}
