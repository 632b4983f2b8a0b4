/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an administrator should know about a file storage: leftovers of interrupted work, images whose header is broken,
 * clones whose template is gone. Looking changes nothing; only leftovers of dead processes of this node have a safe
 * repair.
 */
#include <errno.h>
#include <string.h>

#include "common/layout.h"
#include "common/listing.h"
#include "common/store.h"

#define CODE_STALE "STALE_TEMPORARY"
#define CODE_FOREIGN "FOREIGN_TEMPORARY"
#define CODE_INVALID "IMAGE_HEADER_INVALID"
#define CODE_BASE "BASE_MISSING"

typedef struct Checkup {
        FileStore *fs;
        storaged_finding_fn fn;
        void *userdata;
} Checkup;

static int tell_leftover(void *userdata, const char *rel, bool is_ours)
{
        Checkup *c = userdata;
        char summary[TREE_PATH_MAX + 128];

        (void) snprintf(summary, sizeof(summary), "%s/%s was left by an interrupted operation %s", c->fs->path, rel,
                        is_ours ? "of this node" : "or belongs to a running one of another node");
        return c->fn(c->userdata, &(struct storaged_finding){
                                          .size = sizeof(struct storaged_finding),
                                          .code = is_ours ? CODE_STALE : CODE_FOREIGN,
                                          .severity = "info",
                                          .summary = summary,
                                          .action = is_ours ? "repair removes it; so does the next activation"
                                                            : "its own node removes it",
                                          .is_repairable = is_ours,
                                  });
}

static int tell_image(void *userdata, const ListedImage *image)
{
        Checkup *c = userdata;
        char summary[TREE_PATH_MAX + 256], rel[TREE_PATH_MAX];
        TreeAttr attr;

        if (!image->is_valid) {
                (void) snprintf(summary, sizeof(summary),
                                "volume \"%u/%s\": the header is no valid %s header, the image cannot be used",
                                image->vmid, image->file, layout_format_name(image->format));
                return c->fn(c->userdata, &(struct storaged_finding){
                                                  .size = sizeof(struct storaged_finding),
                                                  .code = CODE_INVALID,
                                                  .severity = "error",
                                                  .summary = summary,
                                                  .action = "restore it from a backup, or free it",
                                          });
        }
        if (!image->basevmid || layout_image_path(c->fs, image->basevmid, image->base, rel, NULL) < 0 ||
            c->fs->control->ops->stat(c->fs->control, rel, &attr) != -ENOENT)
                return 0;
        (void) snprintf(summary, sizeof(summary), "volume \"%u/%s\" is a linked clone of \"%u/%s\", which is gone",
                        image->vmid, image->file, image->basevmid, image->base);
        return c->fn(c->userdata, &(struct storaged_finding){
                                          .size = sizeof(struct storaged_finding),
                                          .code = CODE_BASE,
                                          .severity = "error",
                                          .summary = summary,
                                          .action = "put the template back in its place",
                                  });
}

int filestore_health(void *self, storaged_finding_fn fn, void *userdata, struct storaged_error *err)
{
        FileStore *fs = self;
        Checkup c = { .fs = fs, .fn = fn, .userdata = userdata };
        int r = store_reach(fs, FILESTORE_CONTROL, err);

        if (r < 0)
                return r;
        r = store_each_leftover(fs, tell_leftover, &c);
        if (r < 0)
                return store_fail(fs, err, r, "look through", "");
        return r != 0 ? r : listing_images(fs, 0, tell_image, &c, err);
}

static int tell_ours(void *userdata, const char *rel, bool is_ours)
{
        return is_ours ? tell_leftover(userdata, rel, is_ours) : 0;
}

int filestore_repair(void *self, const char *code, bool dry_run, storaged_finding_fn fn, void *userdata,
                     struct storaged_error *err)
{
        FileStore *fs = self;
        Checkup c = { .fs = fs, .fn = fn, .userdata = userdata };
        int r;

        if (strcmp(code, CODE_STALE) != 0)
                return error_set_param(err, -EOPNOTSUPP, "code", "there is no safe repair for \"%.64s\"", code);
        r = store_reach(fs, FILESTORE_CONTROL | (dry_run ? 0 : FILESTORE_CHANGE), err);
        if (r < 0)
                return r;
        r = store_each_leftover(fs, tell_ours, &c);
        if (r < 0)
                return store_fail(fs, err, r, "look through", "");
        return r != 0 || dry_run ? r : store_remove_leftovers(fs, err);
}
