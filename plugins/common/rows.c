/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows: what `list` and `stat` tell about a volume. Guest images come from listing.c; of the other contents the names
 * say nearly all. Rows are given out as they are found, nothing is collected but one directory of backups, whose notes
 * and protection are files beside them.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/layout.h"
#include "common/listing.h"
#include "common/notes.h"
#include "common/store.h"

#define NS 1000000000
#define NOTES_LIST_MAX 4096u

typedef struct Rows {
        FileStore *fs;
        const struct storaged_list_filter *filter; /* NULL: all */
        storaged_volume_fn fn;
        void *userdata;
        uint32_t content; /* of the directory listed */
        bool is_whole;    /* notes in full */
        unsigned n;
} Rows;

static bool is_container(const struct storaged_list_filter *filter, uint32_t vmid)
{
        size_t lo = 0, hi = filter ? filter->n_container_vmids : 0;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (filter->container_vmids[mid] == vmid)
                        return true;
                if (filter->container_vmids[mid] < vmid)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return false;
}

/* ../100/base-x -> 100/base-x; anything else as it stands. */
static const char *parent_name(const ListedImage *image, char buf[static STORAGED_VOLNAME_MAX])
{
        uint32_t vmid;
        const char *file;

        if (!image->backing || !layout_parse_base(image->backing, &vmid, &file) ||
            layout_volname(0, NULL, vmid, file, buf, NULL) < 0)
                return image->backing;
        return buf;
}

static int give_image(void *userdata, const ListedImage *image)
{
        Rows *rows = userdata;
        char volname[STORAGED_VOLNAME_MAX], parent[STORAGED_VOLNAME_MAX];
        struct storaged_volume row = {
                .size = sizeof(row),
                .content = is_container(rows->filter, image->vmid) ? STORAGED_CONTENT_ROOTDIR : STORAGED_CONTENT_IMAGES,
                .volname = volname,
                .format = image->is_valid ? layout_format_name(image->format) : "invalid",
                .parent = parent_name(image, parent),
                .bytes = image->bytes,
                .used_bytes = image->format == STORAGED_FORMAT_SUBVOL ? 0 : image->attr->used_bytes,
                .ctime = image->attr->ctime_ns / NS,
                .vmid = image->vmid,
        };

        if (rows->filter && !(rows->filter->contents & row.content))
                return 0;
        if (layout_volname(image->basevmid, image->base, image->vmid, image->file, volname, NULL) < 0)
                return 0;
        rows->n++;
        return rows->fn(rows->userdata, &row);
}

/* The local time in vzdump-qemu-100-2026_11_21-10_30_00.vma.zst; 0 if the name is not of that kind. */
static int64_t backup_time(const char *file)
{
        struct tm tm = { .tm_isdst = -1 };
        char type[8];
        unsigned vmid;
        int end = 0;
        time_t t;

        if (sscanf(file, "vzdump-%7[a-z]-%9u-%4d_%2d_%2d-%2d_%2d_%2d.%n", type, &vmid, &tm.tm_year, &tm.tm_mon,
                   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 8 ||
            end == 0)
                return 0;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        t = mktime(&tm);
        return t > 0 ? (int64_t) t : 0;
}

/* A file of any content but images. `name` is checked by the naming rules; others are passed over. */
static int give_file(Rows *rows, const char *name, const TreeAttr *attr, bool has_notes, bool is_protected)
{
        struct storaged_volname vol = { .size = sizeof(vol) };
        AUTO(freep) char *notes = NULL;
        char volname[STORAGED_VOLNAME_MAX], rel[TREE_PATH_MAX];
        const char *word = "";
        int64_t when;
        int n;

        for (int i = 0; i < LAYOUT_N_CONTENTS; i++)
                if (layout_contents[i].content == rows->content)
                        word = layout_contents[i].name;
        n = snprintf(volname, sizeof(volname), "%s/%s", word, name);
        if (attr->type != TREE_FILE || name[0] == '.' || n < 0 || (size_t) n >= sizeof(volname) ||
            rows->fs->host->parse_volname(rows->fs->host->handle, volname, &vol, NULL) < 0)
                return 0;
        if (rows->filter && rows->filter->vmid && vol.vmid != rows->filter->vmid)
                return 0;
        if (has_notes && layout_path(rows->fs, &vol, rel, NULL) == 0)
                (void) notes_read(rows->fs, rel, rows->is_whole ? NOTES_MAX : NOTES_LIST_MAX,
                                  &notes); /* without is fine */
        if (notes && !rows->is_whole)
                notes[strcspn(notes, "\r\n")] = '\0';
        when = rows->content == STORAGED_CONTENT_BACKUP ? backup_time(name) : 0;
        rows->n++;
        return rows->fn(rows->userdata, &(struct storaged_volume){
                                                .size = sizeof(struct storaged_volume),
                                                .content = rows->content,
                                                .volname = volname,
                                                .format = vol.format,
                                                .notes = notes && *notes ? notes : NULL,
                                                .bytes = attr->bytes,
                                                .used_bytes = attr->used_bytes,
                                                .ctime = when ? when : attr->ctime_ns / NS,
                                                .vmid = vol.vmid,
                                                .is_protected = is_protected,
                                        });
}

static int give_plain(void *userdata, const char *name, const TreeAttr *attr)
{
        return give_file(userdata, name, attr, false, false);
}

typedef struct Entry {
        char name[TREE_NAME_MAX];
        TreeAttr attr;
} Entry;

typedef struct Entries {
        Entry *items;
        size_t n, n_room;
} Entries;

static int collect(void *userdata, const char *name, const TreeAttr *attr)
{
        Entries *all = userdata;

        if (strlen(name) >= TREE_NAME_MAX)
                return 0;
        if (all->n == all->n_room) {
                size_t n = all->n_room ? all->n_room * 2 : 64;
                Entry *items = reallocarray(all->items, n, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                all->items = items;
                all->n_room = n;
        }
        (void) snprintf(all->items[all->n].name, TREE_NAME_MAX, "%s", name);
        all->items[all->n++].attr = *attr;
        return 0;
}

static int compare_entries(const void *a, const void *b)
{
        return strcmp(((const Entry *) a)->name, ((const Entry *) b)->name);
}

static bool has_sidecar(const Entries *all, const char *name, const char *suffix)
{
        Entry key;
        int n = snprintf(key.name, sizeof(key.name), "%s%s", name, suffix);

        return n > 0 && (size_t) n < sizeof(key.name) &&
               bsearch(&key, all->items, all->n, sizeof(key), compare_entries);
}

static int list_backups(Rows *rows, const char *dir)
{
        Entries all = { 0 };
        int r = rows->fs->control->ops->list(rows->fs->control, dir, 0, collect, &all);

        if (r == 0 && all.n > 0)
                qsort(all.items, all.n, sizeof(*all.items), compare_entries);
        for (size_t i = 0; r == 0 && i < all.n; i++)
                r = give_file(rows, all.items[i].name, &all.items[i].attr,
                              has_sidecar(&all, all.items[i].name, NOTES_SUFFIX),
                              has_sidecar(&all, all.items[i].name, PROTECTED_SUFFIX));
        free(all.items);
        return r;
}

static int list_content(Rows *rows, uint32_t content, struct storaged_error *err)
{
        const char *dir = layout_dir(rows->fs, content);
        int r;

        rows->content = content;
        if (content == STORAGED_CONTENT_BACKUP)
                r = list_backups(rows, dir);
        else
                r = rows->fs->control->ops->list(rows->fs->control, dir, 0, give_plain, rows);
        if (r == -ENOENT)
                return 0; /* no directory, no volumes */
        return r < 0 ? store_fail(rows->fs, err, r, "list", dir) : r;
}

int filestore_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                   struct storaged_error *err)
{
        static const uint32_t others[] = { STORAGED_CONTENT_ISO, STORAGED_CONTENT_VZTMPL, STORAGED_CONTENT_BACKUP,
                                           STORAGED_CONTENT_SNIPPETS, STORAGED_CONTENT_IMPORT };
        FileStore *fs = self;
        Rows rows = { .fs = fs, .filter = filter, .fn = fn, .userdata = userdata };
        int r = store_reach(fs, FILESTORE_CONTROL, err);

        if (r < 0)
                return r;
        if (filter->contents & (STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR)) {
                r = listing_images(fs, filter->vmid, give_image, &rows, err);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                if (!(filter->contents & others[i]))
                        continue;
                /* only backups have an owner */
                if (filter->vmid && others[i] != STORAGED_CONTENT_BACKUP)
                        continue;
                r = list_content(&rows, others[i], err);
                if (r != 0)
                        return r;
        }
        return 0;
}

int filestore_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, struct storaged_error *err)
{
        FileStore *fs = self;
        Rows rows = { .fs = fs, .fn = fn, .userdata = userdata, .content = vol->content, .is_whole = true };
        char rel[TREE_PATH_MAX];
        TreeAttr attr, side;
        bool has_notes, is_protected;
        int r = store_reach(fs, FILESTORE_CONTROL, err);

        if (r < 0)
                return r;
        if (layout_is_image(vol)) {
                r = listing_image(fs, vol, give_image, &rows, err);
                if (r == 0 && rows.n == 0)
                        return error_set(err, -ENOENT, "%s storage \"%s\": %s is no volume of that format",
                                         fs->kind->type, fs->storage, vol->volname);
                return r;
        }
        r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = fs->control->ops->stat(fs->control, rel, &attr);
        if (r < 0)
                return store_fail_volume(fs, err, r, "find", vol, rel);
        has_notes = notes_stat(fs, rel, NOTES_SUFFIX, &side) == 0;
        is_protected = vol->content == STORAGED_CONTENT_BACKUP && notes_stat(fs, rel, PROTECTED_SUFFIX, &side) == 0;
        r = give_file(&rows, vol->name, &attr, vol->content == STORAGED_CONTENT_BACKUP && has_notes, is_protected);
        if (r == 0 && rows.n == 0)
                return error_set(err, -ENOENT, "%s storage \"%s\": %s is no regular file", fs->kind->type, fs->storage,
                                 vol->volname);
        return r;
}
