/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The whole tree in memory and how a change is applied to it. Pure: no clock but the change's own time, no disk, no
 * network; two trees with the same content that apply the same change are the same afterwards.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "clusterfs/op.h"

#define TREE_ROOT_INO UINT64_C(1)
#define TREE_NODES_MAX UINT64_C(262144)
#define TREE_SIZE_MAX_DEFAULT (UINT64_C(128) << 20)
#define TREE_HASH_SIZE 32
/* Set in a term: changed in local mode, outside of any quorate history. */
#define TREE_TERM_LOCAL (UINT64_C(1) << 63)

/* What a file holds; never changed once published, so that an open handle keeps the version it opened. */
typedef struct Content {
        size_t refs, size;
        bool is_hashed;
        uint8_t hash[TREE_HASH_SIZE];
        uint8_t data[];
} Content;

/* A new one with one reference and undefined data; NULL: out of memory. */
Content *content_new(size_t size);
Content *content_ref(Content *c);
Content *content_unref(Content *c);
const uint8_t *content_hash(Content *c);
DEFINE_CLEANUP(Content *, content_unref)

typedef struct Version {
        uint64_t term, index;
} Version;

/* As stored: also the values of a database row. */
enum node_type { NODE_DIR = 4, NODE_FILE = 8 };

typedef struct Node Node;

struct Node {
        uint64_t ino;
        Node *parent; /* the root's is NULL */
        Node *children, *next, *prev;
        Node *hash_ino, *hash_name, *hash_vmid;
        char *name;
        size_t n_children;
        Content *content; /* of a file */
        Version version;  /* of its last change */
        int64_t mtime;
        uint64_t seen_usec; /* this node's clock when it first saw this version; for locks */
        uint32_t writer;    /* node id of who made the last change; 0: local mode */
        uint32_t vmid;      /* of a guest's config, else 0 */
        uint32_t generation;
        uint8_t type;
};

/* Told of what tree_apply() does. */
typedef struct TreeSink {
        void (*put)(void *userdata, const Node *n, bool content); /* new or changed; `content`: its data too */
        void (*drop)(void *userdata, const Node *n);              /* about to go */
        void (*changed)(void *userdata, const Node *n);           /* what the user sees at this path changes */
        void *userdata;
} TreeSink;

typedef struct Tree {
        Node *root;
        Node **by_ino, **by_name, **by_vmid;
        size_t n_buckets;
        uint64_t n_nodes, bytes, max_bytes;
        Version version; /* of the last change applied */
        uint32_t generation;
        uint64_t now_usec; /* for seen_usec */
        const TreeSink *sink;
} Tree;

Tree *tree_new(void);
Tree *tree_free(Tree *t);
DEFINE_CLEANUP(Tree *, tree_free)

Node *tree_find(const Tree *t, uint64_t ino);
Node *tree_lookup(const Tree *t, const Node *parent, const char *name, size_t len);
/* By a path without leading slash; NULL if there is none. */
Node *tree_resolve(const Tree *t, const char *path);
/*
 * Adds a node as it is stored or was sent; parents first. -EEXIST: name, number or VMID are taken, -ENOENT: no such
 * parent, -EINVAL. `content` is borrowed (a reference is taken). The root's own row has ino TREE_ROOT_INO.
 */
typedef struct NodeSpec {
        uint64_t ino, parent;
        const char *name;
        size_t name_len;
        uint8_t type;
        int64_t mtime;
        Version version;
        uint32_t writer;
        Content *content;
} NodeSpec;
int tree_insert(Tree *t, const NodeSpec *spec, Node **ret);
/* Applies a change that was decoded by op_decode(). 0 with *ret_ino (created or changed object), or -errno. */
int tree_apply(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino);
/* Preorder: parents before children. `fn` returns < 0 to stop. */
int tree_walk(const Tree *t, int (*fn)(void *userdata, Node *n), void *userdata);
/* Over all that is replicated, in an order that does not depend on history. */
int tree_checksum(const Tree *t, uint8_t ret[static TREE_HASH_SIZE]);

/* "nodes/a/qemu-server/100.conf"; "" for the root. The caller's to free; NULL: out of memory. */
char *node_path(const Node *n);
/* Below priv or nodes/X/priv: for root alone. */
bool node_is_private(const Node *n);
/* A lock: a directory in priv/lock. */
bool node_is_lock(const Node *n);
/* The VMID if `name` in `parent` is the config of a guest, else 0. */
uint32_t node_guest_id(const Node *parent, const char *name, size_t len);
