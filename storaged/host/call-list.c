/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listing volumes, and looking at one. A row is believed only as far as it has what every row must have. */
#include "host/call.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/rows.h"
#include "wire/volname.h"

#define LAST_BYTES_MAX (1u << 20)

/* --- listing */

typedef struct ListFilter {
        struct storaged_list_filter filter;
        uint32_t *vmids;
} ListFilter;

static void list_filter_deinit(ListFilter *f)
{
        free(f->vmids);
}

static int list_filter_contents(json_object *words, uint32_t *ret, struct storaged_error *err)
{
        uint32_t mask = 0;

        if (!words) {
                *ret = STORAGED_CONTENT_ANY;
                return 0;
        }
        for (size_t i = 0; json_object_is_type(words, json_type_array) && i < json_object_array_length(words); i++) {
                const char *word = json_object_get_string(json_object_array_get_idx(words, i));
                uint32_t bit = word ? content_from_string(word) : 0;

                if (bit == 0)
                        return error_set_param(err, -EINVAL, "contents", "'%.64s' is no content type",
                                               word ? word : "");
                mask |= bit;
        }
        *ret = mask;
        return 0;
}

static int compare_vmids(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

static int list_filter_init(ListFilter *f, json_object *args, struct storaged_error *err)
{
        json_object *vmids = json_get(args, "ct_vmids");
        size_t n = json_object_is_type(vmids, json_type_array) ? json_object_array_length(vmids) : 0;
        uint64_t vmid = json_get_uint(args, "vmid", 0);

        f->filter.size = sizeof(f->filter);
        if (vmid > 999999999)
                return error_set_param(err, -EINVAL, "vmid", "vmid is not from 100 to 999999999");
        f->filter.vmid = (uint32_t) vmid;
        f->vmids = calloc(n + 1, sizeof(*f->vmids));
        if (!f->vmids)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                f->vmids[i] = (uint32_t) json_object_get_uint64(json_object_array_get_idx(vmids, i));
        qsort(f->vmids, n, sizeof(*f->vmids), compare_vmids);
        f->filter.container_vmids = f->vmids;
        f->filter.n_container_vmids = n;
        return list_filter_contents(json_get(args, "contents"), &f->filter.contents, err);
}

typedef struct Listing {
        const char *storage;
        Rows rows;
} Listing;

static void listing_deinit(Listing *l)
{
        rows_deinit(&l->rows);
}

/* The row as we know it, whatever size the plugin's is; false if it can't be one. */
static bool volume_copy(const struct storaged_volume *from, struct storaged_volume *to)
{
        *to = (struct storaged_volume){ 0 };
        memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
        return to->volname && to->format && content_to_string(to->content);
}

static int list_row(void *userdata, const struct storaged_volume *volume)
{
        Listing *l = userdata;
        struct storaged_volume v;

        return volume_copy(volume, &v) ? rows_add(&l->rows, l->storage, &v) : -EBADMSG;
}

static int row_error(Call *c, int r)
{
        if (r == -EBADMSG && !c->err->text[0])
                return error_set(c->err, -EIO, "plugin %s gave a row without size, volume name, format or content",
                                 c->ops->name);
        return r;
}

/* The last answer that its plugin can vouch for; of the one storage that a worker has. */
static struct {
        uint64_t stamp; /* 0: there is none */
        char *filter, *rows;
        size_t len;
} last;

static void last_forget(void)
{
        free(last.filter);
        free(last.rows);
        memset(&last, 0, sizeof(last));
}

/* Rows that are worth their place only as far as a worker may grow. */
static void last_keep(uint64_t stamp, const char *filter, const char *rows, size_t len)
{
        last_forget();
        if (stamp == 0 || len > LAST_BYTES_MAX)
                return;
        last.filter = strdup(filter);
        last.rows = malloc(len);
        if (!last.filter || !last.rows) {
                last_forget();
                return;
        }
        memcpy(last.rows, rows, len);
        last.len = len;
        last.stamp = stamp;
}

static int list_all(Call *c)
{
        AUTO(list_filter_deinit) ListFilter f = { 0 };
        AUTO(listing_deinit) Listing l = { .storage = c->target->storage };
        int r;

        r = list_filter_init(&f, c->args, c->err);
        if (r < 0)
                return r;
        r = c->ops->list(c->self, &f.filter, list_row, &l, c->err);
        if (r < 0)
                return row_error(c, r);
        return rows_write(&l.rows, c->reply);
}

int call_list(Call *c)
{
        const char *filter = json_text(c->args);
        size_t before = c->reply->len;
        uint64_t stamp = 0;
        int r = c->ops->list_stamp ? c->ops->list_stamp(c->self, &stamp, c->err) : 0;

        if (r < 0)
                return r;
        if (stamp != 0 && stamp == last.stamp && filter && str_eq(filter, last.filter)) {
                jsonw_raw(c->reply, last.rows, last.len);
                return strbuf_error(c->reply);
        }
        r = list_all(c);
        if (r >= 0 && stamp != 0 && filter && strbuf_error(c->reply) >= 0)
                last_keep(stamp, filter, c->reply->data + before, c->reply->len - before);
        return r;
}

typedef struct StatRow {
        Call *call;
        const char *path;
        bool is_found;
} StatRow;

static int stat_row(void *userdata, const struct storaged_volume *volume)
{
        StatRow *row = userdata;
        struct storaged_volume v;

        if (row->is_found || !volume_copy(volume, &v))
                return -EBADMSG;
        row->is_found = true;
        row_write(row->call->reply, row->call->target->storage, &v, row->path);
        return strbuf_error(row->call->reply);
}

int call_stat(Call *c)
{
        struct storaged_volname vol;
        char path[PATH_MAX] = "";
        StatRow row = { .call = c, .path = path };
        int r;

        r = call_volume(c, &vol);
        if (r >= 0)
                r = c->ops->path(c->self, &vol, NULL, path, sizeof(path), c->err);
        if (r >= 0)
                r = c->ops->stat(c->self, &vol, stat_row, &row, c->err);
        if (r < 0)
                return row_error(c, r);
        if (!row.is_found)
                return error_set(c->err, -EIO, "plugin %s gave no row for volume '%.200s'", c->ops->name, vol.volname);
        return 0;
}
