/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* New guest images: which name, made as a temporary, published when complete. */
#include "common/filestore.h"
#include "common/store.h"

typedef struct NewFile {
        uint32_t vmid;
        uint32_t format;          /* one bit */
        bool is_picked;           /* the name was ours to choose */
        char file[TREE_NAME_MAX]; /* vm-100-disk-0.raw */
        char rel[TREE_PATH_MAX];  /* images/100/vm-100-disk-0.raw */
        StoreTmp tmp;
} NewFile;

#define NEWFILE_INIT \
        (NewFile)    \
        {            \
                0    \
        }

static inline void newfile_dropp(NewFile *f)
{
        store_tmp_dropp(&f->tmp);
}

/* Takes the wanted file name (param "filename" at fault, -EEXIST if taken), or picks PREFIX-<vmid>-disk-<n>.<format>.
 */
int newfile_name(FileStore *fs, uint32_t vmid, uint32_t format, const char *prefix, const char *wanted, NewFile *ret,
                 struct storaged_error *err);
/* The guest's directory and a temporary name in it. Nothing is at that name yet. */
int newfile_prepare(FileStore *fs, Tree *tree, NewFile *f, struct storaged_error *err);
/* An empty image of that size at the temporary's name. */
int newfile_make_image(FileStore *fs, NewFile *f, uint64_t bytes, struct storaged_error *err);
/*
 * Temporary -> name, never over another. If the name was picked and is taken by now the next one is tried.
 */
int newfile_publish(FileStore *fs, NewFile *f, const char *prefix, struct storaged_error *err);
