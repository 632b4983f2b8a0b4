/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated tree. Nodes are found by number and by (parent, name) in two hash tables that grow together; guests'
 * configs in a third, which makes a VMID unique in the cluster. A file's content is an immutable, counted object: a
 * change puts another one in its place.
 */
#include "clusterfs/tree.h"

#include <endian.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "clusterfs/tree-parts.h"

#define BUCKETS_FIRST 64

static const char *const guest_dirs[] = { "qemu-server", "lxc", "openvz" };

Content *content_new(size_t size)
{
        Content *c = malloc(sizeof(*c) + size);

        if (!c)
                return NULL;
        c->refs = 1;
        c->size = size;
        c->is_hashed = false;
        return c;
}

Content *content_ref(Content *c)
{
        if (c)
                c->refs++;
        return c;
}

Content *content_unref(Content *c)
{
        if (c && --c->refs == 0)
                free(c);
        return NULL;
}

const uint8_t *content_hash(Content *c)
{
        struct sha256_ctx ctx;

        if (!c->is_hashed) {
                sha256_init(&ctx);
                sha256_update(&ctx, c->size, c->data);
                sha256_digest(&ctx, TREE_HASH_SIZE, c->hash);
                c->is_hashed = true;
        }
        return c->hash;
}

static uint64_t hash_u64(uint64_t v)
{
        v ^= v >> 33;
        v *= UINT64_C(0xff51afd7ed558ccd);
        v ^= v >> 33;
        return v;
}

static uint64_t hash_name(uint64_t parent, const char *name, size_t len)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325) ^ hash_u64(parent);

        for (size_t i = 0; i < len; i++)
                h = (h ^ (uint8_t) name[i]) * UINT64_C(0x100000001b3);
        return hash_u64(h);
}

static Node **bucket_ino(const Tree *t, uint64_t ino)
{
        return &t->by_ino[hash_u64(ino) & (t->n_buckets - 1)];
}

static Node **bucket_name(const Tree *t, const Node *parent, const char *name, size_t len)
{
        return &t->by_name[hash_name(parent->ino, name, len) & (t->n_buckets - 1)];
}

static Node **bucket_vmid(const Tree *t, uint32_t vmid)
{
        return &t->by_vmid[hash_u64(vmid) & (t->n_buckets - 1)];
}

#define CHAIN_REMOVE(head, node, link)       \
        do {                                 \
                Node **_p_ = (head);         \
                while (*_p_ != (node))       \
                        _p_ = &(*_p_)->link; \
                *_p_ = (node)->link;         \
                (node)->link = NULL;         \
        } while (0)

#define CHAIN_ADD(head, node, link)  \
        do {                         \
                Node **_p_ = (head); \
                (node)->link = *_p_; \
                *_p_ = (node);       \
        } while (0)

Node *tree_guest_find(const Tree *t, uint32_t vmid)
{
        for (Node *n = *bucket_vmid(t, vmid); n; n = n->hash_vmid)
                if (n->vmid == vmid)
                        return n;
        return NULL;
}

void tree_link_name(Tree *t, Node *n)
{
        CHAIN_ADD(bucket_name(t, n->parent, n->name, strlen(n->name)), n, hash_name);
        if (n->vmid)
                CHAIN_ADD(bucket_vmid(t, n->vmid), n, hash_vmid);
}

void tree_unlink_name(Tree *t, Node *n)
{
        CHAIN_REMOVE(bucket_name(t, n->parent, n->name, strlen(n->name)), n, hash_name);
        if (n->vmid)
                CHAIN_REMOVE(bucket_vmid(t, n->vmid), n, hash_vmid);
}

void node_attach(Node *n, Node *parent)
{
        n->parent = parent;
        n->prev = NULL;
        n->next = parent->children;
        if (n->next)
                n->next->prev = n;
        parent->children = n;
        parent->n_children++;
}

void node_detach(Node *n)
{
        if (n->prev)
                n->prev->next = n->next;
        else
                n->parent->children = n->next;
        if (n->next)
                n->next->prev = n->prev;
        n->parent->n_children--;
        n->next = n->prev = NULL;
}

static int tables_alloc(Tree *t, size_t n)
{
        AUTO(freep) Node **ino = calloc(n, sizeof(Node *));
        AUTO(freep) Node **name = calloc(n, sizeof(Node *));
        AUTO(freep) Node **vmid = calloc(n, sizeof(Node *));

        if (!ino || !name || !vmid)
                return -ENOMEM;
        free(t->by_ino);
        free(t->by_name);
        free(t->by_vmid);
        t->by_ino = TAKE(ino);
        t->by_name = TAKE(name);
        t->by_vmid = TAKE(vmid);
        t->n_buckets = n;
        return 0;
}

static int relink(void *userdata, Node *n)
{
        Tree *t = userdata;

        CHAIN_ADD(bucket_ino(t, n->ino), n, hash_ino);
        if (n->parent)
                tree_link_name(t, n);
        return 0;
}

/* Full tables are only slower: that there is no memory for larger ones is no error. */
static void tables_grow(Tree *t)
{
        if (t->n_nodes > t->n_buckets && tables_alloc(t, t->n_buckets * 4) == 0)
                (void) tree_walk(t, relink, t);
}

Tree *tree_new(void)
{
        Tree *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->root = calloc(1, sizeof(*t->root));
        if (!t->root || tables_alloc(t, BUCKETS_FIRST) < 0)
                return tree_free(t);
        t->root->ino = TREE_ROOT_INO;
        t->root->type = NODE_DIR;
        t->root->name = strdup("");
        if (!t->root->name)
                return tree_free(t);
        t->version.index = TREE_ROOT_INO;
        t->max_bytes = TREE_SIZE_MAX_DEFAULT;
        t->n_nodes = 1;
        CHAIN_ADD(bucket_ino(t, TREE_ROOT_INO), t->root, hash_ino);
        return t;
}

static Node *node_free(Node *n)
{
        (void) content_unref(n->content);
        free(n->name);
        free(n);
        return NULL;
}

Tree *tree_free(Tree *t)
{
        Node *n;

        if (!t)
                return NULL;
        n = t->root;
        while (n) { /* leaves first, without recursion */
                Node *up = n->parent;

                if (n->children) {
                        n = n->children;
                        continue;
                }
                if (up)
                        node_detach(n);
                (void) node_free(n);
                n = up;
        }
        free(t->by_ino);
        free(t->by_name);
        free(t->by_vmid);
        free(t);
        return NULL;
}

Node *tree_find(const Tree *t, uint64_t ino)
{
        for (Node *n = *bucket_ino(t, ino); n; n = n->hash_ino)
                if (n->ino == ino)
                        return n;
        return NULL;
}

Node *tree_lookup(const Tree *t, const Node *parent, const char *name, size_t len)
{
        for (Node *n = *bucket_name(t, parent, name, len); n; n = n->hash_name)
                if (n->parent == parent && strncmp(n->name, name, len) == 0 && n->name[len] == '\0')
                        return n;
        return NULL;
}

Node *tree_resolve(const Tree *t, const char *path)
{
        Node *n = t->root;

        while (n && *path) {
                size_t len = strcspn(path, "/");

                n = tree_lookup(t, n, path, len);
                path += len;
                path += *path == '/';
        }
        return n;
}

int tree_walk(const Tree *t, int (*fn)(void *userdata, Node *n), void *userdata)
{
        Node *n = t->root;

        while (n) {
                int r = fn(userdata, n);

                if (r < 0)
                        return r;
                if (n->children) {
                        n = n->children;
                        continue;
                }
                while (n && !n->next)
                        n = n->parent;
                n = n ? n->next : NULL;
        }
        return 0;
}

char *node_path(const Node *n)
{
        size_t len = 0;
        char *s, *p;

        for (const Node *i = n; i->parent; i = i->parent)
                len += strlen(i->name) + 1;
        s = malloc(len + 1);
        if (!s)
                return NULL;
        p = s + (len ? len - 1 : 0);
        *p = '\0';
        for (const Node *i = n; i->parent; i = i->parent) {
                size_t k = strlen(i->name);

                p -= k;
                memcpy(p, i->name, k);
                if (i->parent->parent)
                        *--p = '/';
        }
        return s;
}

static bool is_at(const Node *n, const char *name, int depth)
{
        if (strcmp(n->name, name) != 0)
                return false;
        for (; depth > 0 && n; depth--)
                n = n->parent;
        return n && !n->parent;
}

bool node_is_private(const Node *n)
{
        for (; n && n->parent; n = n->parent)
                if (is_at(n, "priv", 1) || (is_at(n, "priv", 3) && is_at(n->parent->parent, "nodes", 1)))
                        return true;
        return false;
}

bool node_is_lock_dir(const Node *n)
{
        return is_at(n, "lock", 2) && is_at(n->parent, "priv", 1);
}

bool node_is_lock(const Node *n)
{
        return n->type == NODE_DIR && n->parent && node_is_lock_dir(n->parent);
}

uint32_t node_guest_id(const Node *parent, const char *name, size_t len)
{
        uint64_t id = 0;
        bool known = false;

        if (!parent->parent || !parent->parent->parent || !is_at(parent->parent->parent, "nodes", 1))
                return 0;
        for (size_t i = 0; i < sizeof(guest_dirs) / sizeof(guest_dirs[0]); i++)
                known = known || str_eq(parent->name, guest_dirs[i]);
        if (!known || len < 6 || len > 15 || memcmp(name + len - 5, ".conf", 5) != 0 || name[0] == '0')
                return 0;
        for (size_t i = 0; i < len - 5; i++) {
                if (name[i] < '0' || name[i] > '9')
                        return 0;
                id = id * 10 + (uint64_t) (name[i] - '0');
        }
        return id <= UINT32_MAX ? (uint32_t) id : 0;
}

int tree_insert(Tree *t, const NodeSpec *spec, Node **ret)
{
        Node *parent = tree_find(t, spec->parent), *n;

        if (spec->ino == TREE_ROOT_INO) {
                t->root->mtime = spec->mtime;
                t->root->version = spec->version;
                t->root->writer = spec->writer;
                if (ret)
                        *ret = t->root;
                return 0;
        }
        if ((spec->type != NODE_DIR && spec->type != NODE_FILE) || !op_name_is_valid(spec->name, spec->name_len) ||
            (spec->type == NODE_FILE) != (spec->content != NULL))
                return -EINVAL;
        if (!parent || parent->type != NODE_DIR)
                return -ENOENT;
        if (tree_find(t, spec->ino) || tree_lookup(t, parent, spec->name, spec->name_len))
                return -EEXIST;
        n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        n->ino = spec->ino;
        n->type = spec->type;
        n->mtime = spec->mtime;
        n->version = spec->version;
        n->writer = spec->writer;
        n->seen_usec = t->now_usec;
        n->generation = t->generation;
        n->name = strndup(spec->name, spec->name_len);
        n->vmid = spec->type == NODE_FILE ? node_guest_id(parent, spec->name, spec->name_len) : 0;
        if (!n->name || (n->vmid && tree_guest_find(t, n->vmid))) {
                int r = n->name ? -EEXIST : -ENOMEM;

                (void) node_free(n);
                return r;
        }
        n->content = content_ref(spec->content);
        node_attach(n, parent);
        t->n_nodes++;
        t->bytes += n->content ? n->content->size : 0;
        CHAIN_ADD(bucket_ino(t, n->ino), n, hash_ino);
        tree_link_name(t, n);
        tables_grow(t);
        if (ret)
                *ret = n;
        return 0;
}

void tree_remove(Tree *t, Node *n)
{
        tree_unlink_name(t, n);
        CHAIN_REMOVE(bucket_ino(t, n->ino), n, hash_ino);
        node_detach(n);
        t->bytes -= n->content ? n->content->size : 0;
        t->n_nodes--;
        (void) node_free(n);
}

typedef struct NodeList {
        VEC(Node *) nodes;
} NodeList;

static int collect(void *userdata, Node *n)
{
        NodeList *l = userdata;

        return VEC_PUSH(&l->nodes, n);
}

static int compare_ino(const void *a, const void *b)
{
        const Node *x = *(Node *const *) a, *y = *(Node *const *) b;

        return (x->ino > y->ino) - (x->ino < y->ino);
}

int tree_checksum(const Tree *t, uint8_t ret[static TREE_HASH_SIZE])
{
        struct sha256_ctx ctx;
        NodeList l = { 0 };
        int r = tree_walk(t, collect, &l);

        if (r < 0) {
                VEC_DEINIT(&l.nodes);
                return r;
        }
        qsort(l.nodes.items, l.nodes.n, sizeof(Node *), compare_ino);
        sha256_init(&ctx);
        for (size_t i = 0; i < l.nodes.n; i++) {
                Node *n = l.nodes.items[i];
                const uint64_t fields[] = { htole64(n->ino),          htole64(n->parent ? n->parent->ino : 0),
                                            htole64(n->type),         htole64((uint64_t) n->mtime),
                                            htole64(n->version.term), htole64(n->version.index),
                                            htole64(n->writer) };

                sha256_update(&ctx, sizeof(fields), (const uint8_t *) fields);
                sha256_update(&ctx, strlen(n->name) + 1, (const uint8_t *) n->name);
                if (n->content)
                        sha256_update(&ctx, TREE_HASH_SIZE, content_hash(n->content));
        }
        sha256_digest(&ctx, TREE_HASH_SIZE, ret);
        VEC_DEINIT(&l.nodes);
        return 0;
}
