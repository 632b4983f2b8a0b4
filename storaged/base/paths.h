/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Where things are. Everything of storaged's own is below --root DIR; "" is the real system. */
#include <stddef.h>

#include <storaged/cleanup.h>

typedef struct Paths {
        char *root;    /* "" or an absolute path without a slash at its end */
        char *cluster; /* <root>/etc/pve: the cluster file system */
        char *config;  /* <root>/etc/pve/storage.cfg */
        char *priv;    /* <root>/etc/pve/priv */
        char *run;     /* <root>/run/storaged */
        char *socket;  /* <root>/run/storaged/api.sock */
        char *lib;     /* <root>/var/lib/storaged */
        char *tasks;   /* <root>/var/lib/storaged/tasks */
} Paths;

#define PATHS_INIT \
        (Paths)    \
        {          \
                0  \
        }

/* `root` NULL or "" or "/": the real system; a relative one is made absolute. */
int paths_init(Paths *p, const char *root);
void paths_deinit(Paths *p);
/*
 * Where a storage's path is on this machine: the product's own default places (/var/lib/vz and below
 * /mnt/pve) are below the root like all else; what an administrator wrote is taken as it is.
 * *ret is the caller's to free.
 */
int paths_of_storage(const Paths *p, const char *path, char **ret);
