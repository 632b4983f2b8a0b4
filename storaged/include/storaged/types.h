/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the daemon and its plugins talk about: contents, formats, volumes, properties.
 * Sizes are bytes, times are seconds since the epoch. Structs that may grow begin with their size.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Content types of a storage, as in storage.cfg; a mask. Reference: pvesm(1), "content". */
enum storaged_content {
        STORAGED_CONTENT_IMAGES = 1 << 0,
        STORAGED_CONTENT_ROOTDIR = 1 << 1,
        STORAGED_CONTENT_ISO = 1 << 2,
        STORAGED_CONTENT_VZTMPL = 1 << 3,
        STORAGED_CONTENT_BACKUP = 1 << 4,
        STORAGED_CONTENT_SNIPPETS = 1 << 5,
        STORAGED_CONTENT_IMPORT = 1 << 6,
        STORAGED_CONTENT_NONE = 1 << 7,
};
#define STORAGED_CONTENT_ANY 0x7fu

/* Formats a guest image can have; a mask. */
enum storaged_format {
        STORAGED_FORMAT_RAW = 1 << 0,
        STORAGED_FORMAT_QCOW2 = 1 << 1,
        STORAGED_FORMAT_VMDK = 1 << 2,
        STORAGED_FORMAT_SUBVOL = 1 << 3,
};

/* How the names of a storage's volumes are built (reference: pvesm.md section 1). */
enum storaged_naming {
        STORAGED_NAMING_FILE = 1,    /* 100/vm-100-disk-0.raw, iso/x.iso, backup/… */
        STORAGED_NAMING_LVM,         /* vm-100-disk-0, qcow2 if it ends so */
        STORAGED_NAMING_LVMTHIN,     /* vm-…, base-… */
        STORAGED_NAMING_RBD,         /* vm-…, base-…, base-…/vm-… */
        STORAGED_NAMING_ZFS,         /* vm-, base-, subvol-, basevol- */
        STORAGED_NAMING_ISCSI,       /* channel.id.lun.by-id-name */
        STORAGED_NAMING_ISCSIDIRECT, /* lunN */
        STORAGED_NAMING_PBS,         /* backup/vm/100/2026-11-21T10:00:00Z */
        STORAGED_NAMING_LUN,         /* a WWID: 3600507680c80… */
};

/* Whether all nodes see the same data. */
enum storaged_sharing {
        STORAGED_SHARED_NO = 0, /* never: each node has its own */
        STORAGED_SHARED_FLAG,   /* as the administrator says with `shared` */
        STORAGED_SHARED_ALWAYS, /* by nature */
};

#define STORAGED_VOLNAME_MAX 1024 /* bytes of a volume name with its NUL */

/* A parsed volume name. Strings point into `volname` or `buf`; see wire/volname.h for who fills it. */
struct storaged_volname {
        uint32_t size;
        uint32_t content;                    /* enum storaged_content, one bit */
        uint32_t vmid;                       /* 0: no owner */
        uint32_t basevmid;                   /* 0: none */
        bool is_base;                        /* a template that clones hang on */
        char volname[STORAGED_VOLNAME_MAX];  /* all behind the storage id */
        char name[STORAGED_VOLNAME_MAX];     /* the part that names the volume: vm-100-disk-0.raw */
        char basename[STORAGED_VOLNAME_MAX]; /* a linked clone's base: base-100-disk-0.raw, or "" */
        char format[16];                     /* raw, qcow2, …, iso, tgz, vma.zst; "" if it has none */
};

#define STORAGED_SIZE_UNKNOWN UINT64_MAX

/* One row of a listing. Strings belong to the giver and live during the call. */
struct storaged_volume {
        uint32_t size;
        uint32_t content; /* enum storaged_content, one bit */
        const char *volname;
        const char *format;  /* "invalid" for an image whose header can't be read */
        const char *parent;  /* volume name or file name it is based on, or NULL */
        const char *notes;   /* first line or whole, or NULL */
        uint64_t bytes;      /* virtual size, or STORAGED_SIZE_UNKNOWN */
        uint64_t used_bytes; /* allocated, or STORAGED_SIZE_UNKNOWN */
        int64_t ctime;       /* 0: unknown */
        uint32_t vmid;       /* 0: no owner */
        bool is_protected;
        bool is_approximate; /* `bytes` is an estimate */
};

struct storaged_snapshot {
        uint32_t size;
        const char *name;
        const char *parent; /* or NULL */
        int64_t ctime;
        uint64_t vm_state_bytes;
};

struct storaged_status {
        uint32_t size;
        bool is_active; /* reachable and usable on this node */
        uint64_t total_bytes;
        uint64_t avail_bytes;
        uint64_t used_bytes;
        char reason[256];  /* why it is not active; while it is: what is wrong all the same (degraded), or "" */
        char repairs[128]; /* codes of checks that raise it and that can be repaired without asking; or "" */
};

/* Who has a volume open or active, as far as the backend knows. */
struct storaged_holder {
        uint32_t size;
        const char *node; /* or NULL */
        const char *what; /* "process 1234 (qemu-system-x86)", "client 10.0.0.1:0/123" */
        bool is_exclusive;
};

/* What `identify` does beside telling: a mark in the storage that other nodes look for. */
enum storaged_mark {
        STORAGED_MARK_NONE = 0, /* asked: tell only. Told: this type has no marks, `id` alone proves it */
        STORAGED_MARK_WRITE,    /* asked: leave the mark. Told: it is there now */
        STORAGED_MARK_LOOK,     /* asked: look for it. Told: it was found, with its content */
        STORAGED_MARK_REMOVE,   /* asked: take it away. Told: it is away */
        STORAGED_MARK_MISSING,  /* told: it was looked for and is not there */
};

struct storaged_identify_spec {
        uint32_t size;
        uint32_t mark;    /* enum storaged_mark */
        const char *name; /* of the mark: 32 hexadecimal digits that no other check has; NULL with MARK_NONE */
};

/* Which thing a storage reaches from this node. Nodes that reach the same thing tell the same `kind` and `id`. */
struct storaged_identity {
        uint32_t size;
        uint32_t mark;    /* enum storaged_mark */
        char kind[32];    /* what `id` is: "vg-uuid", "ceph-pool", "nfs-export", "directory" */
        char id[256];     /* of the thing itself, as it tells; "": it has none, only the mark proves it */
        char detail[256]; /* for people: where it was found; may differ between nodes */
};

/* A finding of a health check. */
struct storaged_finding {
        uint32_t size;
        const char *code;     /* stable word: STALE_TEMPORARY, POOL_APP_NOT_ENABLED */
        const char *severity; /* "info", "warning", "error" */
        const char *summary;  /* what is wrong, what it means */
        const char *action;   /* what to do, or NULL */
        bool is_repairable;   /* `repair` knows a safe way */
};

enum storaged_property_type {
        STORAGED_PROPERTY_STANDARD = 0, /* take type, limits and words of the standard property of that name */
        STORAGED_PROPERTY_STRING,
        STORAGED_PROPERTY_INTEGER,
        STORAGED_PROPERTY_BOOLEAN,
        STORAGED_PROPERTY_ENUM,
};

enum storaged_property_flags {
        STORAGED_PROPERTY_REQUIRED = 1 << 0,
        STORAGED_PROPERTY_FIXED = 1 << 1,  /* only at creation */
        STORAGED_PROPERTY_SECRET = 1 << 2, /* kept in priv/, never in storage.cfg, never logged */
};

/* One declared property: from it come the checks, the help, the API schema, the GUI form and the manual's table. */
struct storaged_property {
        const char *name;
        uint32_t type;       /* enum storaged_property_type */
        uint32_t flags;      /* enum storaged_property_flags */
        const char *format;  /* "storage-path", "storage-server", …; NULL: any text without control characters */
        int64_t min, max;    /* INTEGER; both 0: no limit */
        uint32_t max_length; /* STRING; 0: 4096 */
        const char *const *values; /* ENUM; ends with NULL */
        const char *dflt;          /* or NULL */
        const char *description;
};

/* Keys and values of a storage, defaults filled in. Booleans are "0" and "1". */
struct storaged_pair {
        const char *key, *value;
};

struct storaged_config {
        uint32_t size;
        const char *storage; /* id */
        size_t n_pairs;
        const struct storaged_pair *pairs;
};

static inline __attribute__((unused)) const char *storaged_config_get(const struct storaged_config *c, const char *key)
{
        for (size_t i = 0; i < c->n_pairs; i++)
                if (strcmp(c->pairs[i].key, key) == 0)
                        return c->pairs[i].value;
        return NULL;
}

static inline __attribute__((unused)) bool storaged_config_get_bool(const struct storaged_config *c, const char *key)
{
        const char *v = storaged_config_get(c, key);

        return v && strcmp(v, "1") == 0;
}
