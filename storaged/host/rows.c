/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A listing of ten thousand volumes has to fit a worker's few megabytes. So each row becomes its JSON text
 * at once, behind the ones before it, and only offsets are sorted: no tree, no allocation per row. The sort makes use
 * of what order there is: plugins give rows a directory or a pool at a time.
 */
#include "host/rows.h"

#include <strings.h>

#include "wire/json.h"
#include "wire/volname.h"

/* Keys are JSON already, with comma and colon: ten thousand rows need not escape the same words. */
static void add_text(StrBuf *b, const char *key, const char *value)
{
        if (!value)
                return;
        strbuf_adds(b, key);
        jsonw_string(b, value);
}

static void add_uint(StrBuf *b, const char *key, uint64_t value)
{
        strbuf_adds(b, key);
        jsonw_uint(b, value);
}

/* Not by snprintf, which would be the dearest part of a row. */
static void add_volid(StrBuf *b, const char *storage, const char *volname)
{
        char volid[STORAGE_ID_MAX + STORAGED_VOLNAME_MAX];
        size_t n = strnlen(storage, STORAGE_ID_MAX - 1), k = strnlen(volname, STORAGED_VOLNAME_MAX - 1);

        memcpy(volid, storage, n);
        volid[n] = ':';
        memcpy(volid + n + 1, volname, k);
        volid[n + 1 + k] = '\0';
        add_text(b, "\"volid\":", volid);
}

void row_write(StrBuf *b, const char *storage, const struct storaged_volume *v, const char *path)
{
        jsonw_object_begin(b);
        add_volid(b, storage, v->volname);
        add_text(b, ",\"content\":", content_to_string(v->content));
        add_text(b, ",\"format\":", v->format);
        if (v->bytes != STORAGED_SIZE_UNKNOWN)
                add_uint(b, ",\"size\":", v->bytes);
        if (v->used_bytes != STORAGED_SIZE_UNKNOWN)
                add_uint(b, ",\"used\":", v->used_bytes);
        if (v->vmid != 0)
                add_uint(b, ",\"vmid\":", v->vmid);
        if (v->ctime != 0) {
                strbuf_adds(b, ",\"ctime\":");
                jsonw_int(b, v->ctime);
        }
        add_text(b, ",\"parent\":", v->parent);
        add_text(b, ",\"notes\":", v->notes);
        if (v->is_protected)
                add_uint(b, ",\"protected\":", 1);
        if (v->is_approximate)
                add_uint(b, ",\"approximate-size\":", 1);
        add_text(b, ",\"path\":", path);
        jsonw_object_end(b);
}

void rows_deinit(Rows *r)
{
        strbuf_deinit(&r->names);
        strbuf_deinit(&r->json);
        VEC_DEINIT(&r->rows);
}

int rows_add(Rows *r, const char *storage, const struct storaged_volume *volume)
{
        Row row = { .name = r->names.len, .json = r->json.len };

        strbuf_add(&r->names, volume->volname, strlen(volume->volname) + 1);
        row_write(&r->json, storage, volume, NULL);
        if (strbuf_error(&r->names) < 0 || strbuf_error(&r->json) < 0)
                return -ENOMEM;
        if (r->json.data[row.json] == ',') /* the writer parts it from the row before */
                row.json++;
        row.json_len = r->json.len - row.json;
        return VEC_PUSH(&r->rows, row);
}

static int compare_rows(const char *names, const Row *a, const Row *b)
{
        const char *x = names + a->name, *y = names + b->name;
        int r = strcasecmp(x, y);

        return r ? r : strcmp(x, y);
}

/* How many of the sorted rows come before `row`, or level with it if `with_equal`. */
static size_t count_before(const char *names, const Row *rows, size_t n, const Row *row, bool with_equal)
{
        size_t lo = 0;

        while (lo < n) {
                size_t mid = lo + (n - lo) / 2;
                int r = compare_rows(names, &rows[mid], row);

                if (r < 0 || (r == 0 && with_equal))
                        lo = mid + 1;
                else
                        n = mid;
        }
        return lo;
}

/*
 * A merge sort that touches only what is out of place: of two sorted halves, the rows before the second's first and
 * those behind the first's last stay where they are. `spare` has room for half of the rows.
 */
static void sort_rows(const char *names, Row *rows, size_t n, Row *spare)
{
        size_t half = n / 2, skip, n_left, n_right, left = 0, right, at;

        if (n < 2)
                return;
        sort_rows(names, rows, half, spare);
        sort_rows(names, rows + half, n - half, spare);
        if (compare_rows(names, &rows[half - 1], &rows[half]) <= 0)
                return;
        skip = count_before(names, rows, half, &rows[half], true);
        n_left = half - skip;
        n_right = count_before(names, rows + half, n - half, &rows[half - 1], false);
        memcpy(spare, rows + skip, n_left * sizeof(*rows));
        for (at = skip, right = half; left < n_left && right < half + n_right; at++)
                rows[at] = compare_rows(names, &rows[right], &spare[left]) < 0 ? rows[right++] : spare[left++];
        memcpy(rows + at, spare + left, (n_left - left) * sizeof(*rows));
}

int rows_write(Rows *r, StrBuf *b)
{
        if (r->rows.n > 1) {
                Row *spare = reallocarray(NULL, r->rows.n / 2, sizeof(*spare));

                if (!spare)
                        return -ENOMEM;
                sort_rows(r->names.data, r->rows.items, r->rows.n, spare);
                free(spare);
        }
        jsonw_array_begin(b);
        for (size_t i = 0; i < r->rows.n; i++)
                jsonw_raw(b, r->json.data + r->rows.items[i].json, r->rows.items[i].json_len);
        jsonw_array_end(b);
        return strbuf_error(b);
}
