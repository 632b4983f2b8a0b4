/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A listing needs the size and the parent of every image. With librbd that is an open and a close of each: 5000 images
 * are half a minute. Here each is one read of two keys of the header object, and many are under way at a time. The keys
 * are what Ceph's object class `rbd` keeps there (cls_rbd, the same since images have a second format); to read them
 * costs an OSD a third less than to have the class run two of its methods.
 */
#include "rbd/header.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#define IN_FLIGHT 128
#define NO_SNAPSHOT UINT64_C(0xfffffffffffffffe) /* Ceph's word for "the live image" */

/* --- questions, many at a time */

typedef struct Question {
        ImageHeader *about;
        rados_read_op_t op;
        rados_completion_t done;
        rados_omap_iter_t keys; /* answers of the one kind */
        char *data;             /* and of the other */
        size_t n;
        int result;
} Question;

/* What is asked of one object, and what becomes of the answers. */
typedef struct Quiz {
        void (*ask)(Question *q, char *object, size_t size);
        int (*hear)(Question *q); /* 0 or negative errno for the header's result */
        bool (*is_asked)(const ImageHeader *h);
} Quiz;

static int question_begin(RbdStore *s, const Quiz *quiz, ImageHeader *h, Question *q)
{
        char object[IMAGE_ID_MAX + 32];
        int r;

        *q = (Question){ .about = h, .op = rados_create_read_op() };
        r = q->op ? rados_aio_create_completion2(NULL, NULL, &q->done) : -ENOMEM;
        if (r >= 0) {
                quiz->ask(q, object, sizeof(object));
                r = rados_aio_read_op_operate(q->op, s->io, q->done, object, 0);
        }
        if (r < 0) {
                if (q->done)
                        rados_aio_release(q->done);
                if (q->op)
                        rados_release_read_op(q->op);
                *q = (Question){ 0 };
        }
        return r;
}

static int question_end(const Quiz *quiz, Question *q)
{
        int r;

        if (!q->op)
                return 0;
        (void) rados_aio_wait_for_complete(q->done);
        r = rados_aio_get_return_value(q->done);
        q->about->result = r < 0 ? r : quiz->hear(q);
        if (q->keys)
                rados_omap_get_end(q->keys);
        rados_buffer_free(q->data);
        rados_aio_release(q->done);
        rados_release_read_op(q->op);
        *q = (Question){ 0 };
        return r;
}

/* A ring: before a question takes a place, the one that had it is heard. A silent cluster ends it at its first silence.
 */
static int quiz_run(RbdStore *s, const Quiz *quiz, ImageHeaders *h, STORAGED_ERR)
{
        Question *ring = calloc(IN_FLIGHT, sizeof(*ring));
        int r = ring ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < h->n; i++) {
                Question *q = &ring[i % IN_FLIGHT];
                int k = question_end(quiz, q);

                if (k == -ETIMEDOUT || k == -ESHUTDOWN || k == -EPERM || k == -EACCES)
                        r = k;
                else if (!quiz->is_asked || quiz->is_asked(&h->items[i]))
                        r = question_begin(s, quiz, &h->items[i], q);
                if (i % IN_FLIGHT == 0)
                        ceph_watch_again(&s->cluster.watch);
        }
        for (size_t i = 0; ring && i < IN_FLIGHT; i++) {
                int k = question_end(quiz, &ring[(h->n + i) % IN_FLIGHT]);

                if (r >= 0 && (k == -ETIMEDOUT || k == -ESHUTDOWN || k == -EPERM || k == -EACCES))
                        r = k;
        }
        free(ring);
        return r < 0 ? ceph_fail(&s->cluster, r, err, "can't read the headers of images in pool '%s'", s->pool) : 0;
}

static void ask_header(Question *q, char *object, size_t size)
{
        static const char *keys[] = { "size", "parent" };

        (void) snprintf(object, size, "rbd_header.%s", q->about->id);
        rados_read_op_omap_get_vals_by_keys(q->op, keys, 2, &q->keys, &q->result);
}

static int hear_header(Question *q)
{
        ImageHeader found = { .parent_pool = -1 };
        char *key = NULL, *value = NULL;
        bool has_size = false;
        size_t n = 0;
        int r = q->result;

        while (r >= 0 && q->keys && rados_omap_get_next(q->keys, &key, &value, &n) == 0 && key) {
                if (strcmp(key, "size") == 0) {
                        r = header_parse_size(value, n, &found.bytes);
                        has_size = true;
                } else if (strcmp(key, "parent") == 0) {
                        r = header_parse_parent(value, n, &found);
                }
        }
        if (r < 0 || !has_size)
                return r < 0 ? r : -EBADMSG;
        q->about->bytes = found.bytes;
        q->about->parent_pool = found.parent_pool;
        q->about->parent_snap = found.parent_snap;
        memcpy(q->about->parent_id, found.parent_id, sizeof(found.parent_id));
        return 0;
}

static const Quiz headers_quiz = { .ask = ask_header, .hear = hear_header };

static void ask_snapshot(Question *q, char *object, size_t size)
{
        uint64_t snap = htole64(q->about->parent_snap);

        (void) snprintf(object, size, "rbd_header.%s", q->about->parent_id);
        rados_read_op_exec(q->op, "rbd", "get_snapshot_name", (const char *) &snap, sizeof(snap), &q->data, &q->n,
                           &q->result);
}

/* A parent whose snapshot is not told is no reason to hide the clone. */
static int hear_snapshot(Question *q)
{
        (void) header_parse_string(q->data, q->n, q->about->parent_snap_name, sizeof(q->about->parent_snap_name));
        return 0;
}

static bool is_clone(const ImageHeader *h)
{
        return h->result >= 0 && h->parent_pool >= 0;
}

static const Quiz snapshots_quiz = { .ask = ask_snapshot, .hear = hear_snapshot, .is_asked = is_clone };

int headers_read_snapshots(RbdStore *s, ImageHeaders *h, STORAGED_ERR)
{
        return quiz_run(s, &snapshots_quiz, h, err);
}

/* --- which images */

void headers_deinit(ImageHeaders *h)
{
        for (size_t i = 0; i < h->n; i++)
                free(h->items[i].name);
        free(h->items);
        *h = (ImageHeaders){ 0 };
}

static int headers_from_list(rbd_image_spec_t *images, size_t n, ImageHeaders *ret)
{
        ret->items = calloc(n + 1, sizeof(*ret->items));
        if (!ret->items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                ImageHeader *h = &ret->items[ret->n];

                if (strlen(images[i].id) >= sizeof(h->id))
                        continue; /* of the first format, which has no id: a volume of ours is never one */
                (void) snprintf(h->id, sizeof(h->id), "%s", images[i].id);
                h->name = strdup(images[i].name);
                if (!h->name)
                        return -ENOMEM;
                ret->n++;
        }
        return 0;
}

int headers_list(RbdStore *s, ImageHeaders *ret, STORAGED_ERR)
{
        AUTO(headers_deinit) ImageHeaders h = { 0 };
        rbd_image_spec_t *images = NULL;
        size_t n = 1024;
        int r;

        do {
                free(images);
                images = calloc(n, sizeof(*images));
                r = images ? rbd_list2(s->io, images, &n) : -ENOMEM;
        } while (r == -ERANGE); /* n is now what it takes */
        if (r >= 0) {
                r = headers_from_list(images, n, &h);
                rbd_image_spec_list_cleanup(images, n);
        }
        free(images);
        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "can't list the images of pool '%s'", s->pool);
        r = quiz_run(s, &headers_quiz, &h, err);
        if (r < 0)
                return r;
        *ret = h;
        h = (ImageHeaders){ 0 };
        return 0;
}

int headers_find(RbdStore *s, const char *name, ImageHeaders *ret, STORAGED_ERR)
{
        AUTO(headers_deinit) ImageHeaders h = { 0 };
        char object[STORAGED_VOLNAME_MAX + 16], id[IMAGE_ID_MAX + 4];
        int r;

        h.items = calloc(1, sizeof(*h.items));
        if (!h.items)
                return error_set(err, -ENOMEM, "no memory");
        h.n = 1;
        h.items->name = strdup(name);
        (void) snprintf(object, sizeof(object), "rbd_id.%s", name);
        r = h.items->name ? rados_read(s->io, object, id, sizeof(id), 0) : -ENOMEM;
        if (r >= 0)
                r = header_parse_string(id, (size_t) r, h.items->id, sizeof(h.items->id));
        if (r >= 0)
                r = quiz_run(s, &headers_quiz, &h, err);
        if (r >= 0)
                r = h.items->result;
        if (r < 0)
                return image_fail(s, r, "look at", name, err);
        *ret = h;
        h = (ImageHeaders){ 0 };
        return 0;
}
