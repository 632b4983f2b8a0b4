/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Mounts of the kernel: finding, making and ending them, without ever touching what is mounted. Users link -lmount. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#define MOUNT_TABLE "/proc/self/mountinfo"

typedef struct MountInfo {
        int id;                      /* the kernel's; changes with each mount */
        char *type;                  /* nfs, nfs4, ceph, ext4, … */
        char *source;                /* server:/export */
        char addr[INET6_ADDRSTRLEN]; /* addr= of an NFS mount, or "" */
} MountInfo;

/* How something is mounted; an owner embeds it. */
typedef struct MountPlan MountPlan;
struct MountPlan {
        const char *source; /* borrowed; names it in sentences, and libmount's source */
        bool has_helper;    /* libmount runs mount.TYPE */
        int (*mount)(const MountPlan *plan, const char *path, STORAGED_ERR);
};

void mount_info_deinit(MountInfo *m);
/* 1 and *ret filled if something is mounted exactly at `path`, 0 if not; reads the table of mounts, nothing else. */
int mount_find(const char *table, const char *path, MountInfo *ret, STORAGED_ERR);
/* Whether a line of the file holds the word, between blanks, slashes, dots or the line's ends. */
bool mount_file_has_word(const char *path, const char *word);
/* /lib/modules/<this kernel's release> */
void mount_modules_dir(char *ret, size_t size);

/* For a plan's function: libmount's mounting, bounded only by what the type's options bound. */
int mount_with_libmount(const char *path, const MountPlan *plan, const char *type, const char *options, STORAGED_ERR);
/*
 * Mounts; `path` is made if it is absent and `may_create`, and what was made is removed again if the mount
 * fails. -EEXIST: something is mounted there already.
 */
int mount_make(const char *path, const MountPlan *plan, bool may_create, STORAGED_ERR);
/* -EBUSY if it is in use. Never lazily, never by force. */
int mount_end(const char *path, STORAGED_ERR);
/* Takes it out of the tree of directories at once, also a mount whose server process has died; who has files open keeps
 * them. */
int mount_detach(const char *path, STORAGED_ERR);
