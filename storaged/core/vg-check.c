/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May this LUN be taken? It must be the same thing on all nodes (WWID and size), over all its paths, with nothing on it
 * and nobody using it. All reasons against it are told at once. Pure: works on the inventory of all nodes.
 */
#include <errno.h>

#include "base/str.h"
#include "core/vg.h"
#include "wire/json.h"

static json_object *find_lun(json_object *matrix, const char *wwid)
{
        json_object *luns = json_get(matrix, "luns");

        for (size_t i = 0; json_object_is_type(luns, json_type_array) && i < json_object_array_length(luns); i++) {
                json_object *lun = json_object_array_get_idx(luns, i);

                if (str_eq(json_get_string(lun, "wwid"), wwid))
                        return lun;
        }
        return NULL;
}

static void add(StrBuf *b, const char *node, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(StrBuf *b, const char *node, const char *fmt, ...)
{
        char line[512];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        strbuf_addf(b, "%snode %s %s", b->len ? "; " : "", node, line);
}

static size_t length(json_object *o, const char *key)
{
        json_object *list = json_get(o, key);

        return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static void check_use(json_object *lun, const char *node, bool may_be_open, StrBuf *b)
{
        if (length(lun, "holders") > 0)
                add(b, node, "has devices on it: %s", json_object_to_json_string(json_get(lun, "holders")));
        else if (length(lun, "mounts") > 0)
                add(b, node, "has it mounted: %s", json_object_to_json_string(json_get(lun, "mounts")));
        else if (json_get_int(lun, "n_open", 0) > 0 && !may_be_open)
                add(b, node, "has it open");
        if (length(lun, "storages") > 0)
                add(b, node, "uses it for %s", json_object_to_json_string(json_get(lun, "storages")));
}

static void check_content(json_object *lun, const char *node, const char *wipe, StrBuf *b)
{
        const char *content = json_get_string(lun, "content"), *signature = json_get_string(lun, "signature");
        const char *vg = json_get_string(lun, "vg");

        if (!content || str_eq(content, "none"))
                return;
        if (vg && *vg)
                add(b, node, "finds volume group \"%s\" on it", vg);
        else if (!wipe || !signature || !str_eq(wipe, signature))
                add(b, node, "finds something on it (%s%s%s)%s%s", content, signature ? ", " : "",
                    signature ? signature : "", signature ? "; to lose it for good: --force --wipe-signature " : "",
                    signature ? signature : "");
}

static void check_node(json_object *lun, const char *node, uint64_t size, uint32_t n_paths, const VgLunNeeds *needs,
                       StrBuf *b)
{
        uint32_t n_active = (uint32_t) json_get_uint(lun, "n_active", 0);
        uint64_t bytes = json_get_uint(lun, "size", 0);
        const char *state = json_get_string(lun, "state"), *reason = json_get_string(lun, "reason");

        if (bytes != size)
                add(b, node, "sees %llu bytes where another sees %llu", (unsigned long long) bytes,
                    (unsigned long long) size);
        if (n_active < n_paths)
                add(b, node, "has %u of %u paths", n_active, n_paths);
        else if (state && !str_eq(state, "ok"))
                add(b, node, "says it is %s%s%s", state, reason ? ": " : "", reason ? reason : "");
        if (!json_get_string(lun, "device"))
                add(b, node, "has no device for it");
        check_content(lun, node, needs->wipe, b);
        check_use(lun, node, needs->may_be_open, b);
}

/* The largest size, and if wanted the most paths, that a node has. */
static void find_best(json_object *by_node, uint32_t *ret_paths, uint64_t *ret_size)
{
        if (!by_node)
                return;
        json_object_object_foreach (by_node, name, seen) {
                uint32_t n = (uint32_t) json_get_uint(seen, "n_paths", 0);
                uint64_t size = json_get_uint(seen, "size", 0);

                (void) name;
                if (ret_paths && n > *ret_paths)
                        *ret_paths = n;
                if (size > *ret_size)
                        *ret_size = size;
        }
}

int vg_check_lun(json_object *matrix, const char *wwid, const VgLunNeeds *needs, StrBuf *reasons)
{
        json_object *lun = find_lun(matrix, wwid), *nodes = json_get(matrix, "nodes"),
                    *by_node = json_get(lun, "nodes");
        uint32_t n_paths = needs->n_paths;
        uint64_t size = 0;

        if (!lun)
                strbuf_addf(reasons, "no node sees a LUN %s (pvesm lun list)", wwid);
        find_best(by_node, needs->n_paths == 0 ? &n_paths : NULL, &size);
        for (size_t i = 0; lun && i < length(matrix, "nodes"); i++) {
                json_object *node = json_object_array_get_idx(nodes, i), *seen;
                const char *name = json_get_string(node, "node"), *error = json_get_string(node, "error");

                if (!name)
                        continue;
                seen = by_node ? json_get(by_node, name) : NULL;
                if (error)
                        add(reasons, name, "can't be asked: %s", error);
                else if (!seen)
                        add(reasons, name, "does not see it");
                else
                        check_node(seen, name, size, n_paths, needs, reasons);
        }
        return strbuf_error(reasons);
}
