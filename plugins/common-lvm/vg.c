/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a volume group is: one `fullreport` that names it (by name, so that no global lock is taken), kept while its
 * metadata areas say that nothing was committed since (mda.c). The areas are read before the report: what is
 * committed in between makes the next look ask again, never the other way round.
 *
 * If a report fails that was limited to the devices the VG was on, it is made once more without the limit: the VG may
 * have moved.
 */
#include "common-lvm/vg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <storaged/cleanup.h>

void vg_deinit(Vg *v)
{
        json_object_put(v->report);
        free(v->pvs);
        free(v->lvs);
        *v = (Vg){ 0 };
}

void vg_forget(Vg *v)
{
        v->is_sure = false;
}

static const char *text(json_object *row, const char *key)
{
        const char *s = json_object_get_string(json_object_object_get(row, key));

        return s ? s : "";
}

static uint64_t number(json_object *row, const char *key)
{
        return strtoull(text(row, key), NULL, 10);
}

/* The rows of a section; NULL where it is absent. */
static json_object *section(json_object *report, const char *name)
{
        json_object *list = json_object_object_get(report, "report");
        json_object *one = json_object_is_type(list, json_type_array) ? json_object_array_get_idx(list, 0) : NULL;
        json_object *rows = json_object_object_get(one, name);

        return json_object_is_type(rows, json_type_array) ? rows : NULL;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const VgLv *) a)->name, ((const VgLv *) b)->name);
}

static int read_lvs(Vg *v, json_object *rows)
{
        size_t n = rows ? json_object_array_length(rows) : 0;

        v->lvs = calloc(n + 1, sizeof(*v->lvs));
        if (!v->lvs)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                v->lvs[v->n_lvs++] = (VgLv){
                        .name = text(row, "lv_name"),
                        .uuid = text(row, "lv_uuid"),
                        .tags = text(row, "lv_tags"),
                        .layout = text(row, "lv_layout"),
                        .pool = text(row, "pool_lv"),
                        .origin = text(row, "origin"),
                        .bytes = number(row, "lv_size"),
                        .ctime = (int64_t) number(row, "lv_time"),
                };
        }
        qsort(v->lvs, v->n_lvs, sizeof(*v->lvs), by_name);
        return 0;
}

static int read_pvs(Vg *v, json_object *rows)
{
        size_t n = rows ? json_object_array_length(rows) : 0;

        v->pvs = calloc(n + 1, sizeof(*v->pvs));
        if (!v->pvs)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                v->pvs[v->n_pvs++] = (VgPv){ .device = text(row, "pv_name"),
                                             .is_missing = text(row, "pv_missing")[0] != '\0' &&
                                                           strcmp(text(row, "pv_missing"), "0") != 0,
                                             .has_mda = number(row, "pv_mda_used_count") > 0 };
        }
        return 0;
}

static int read_report(Vg *v, json_object *report)
{
        json_object *rows = section(report, "vg");
        json_object *row = rows ? json_object_array_get_idx(rows, 0) : NULL;
        int r;

        if (!row)
                return -ENOENT;
        v->uuid = text(row, "vg_uuid");
        v->lock_type = text(row, "vg_lock_type");
        v->lock_args = text(row, "vg_lock_args");
        v->tags = text(row, "vg_tags");
        v->bytes = number(row, "vg_size");
        v->free = number(row, "vg_free");
        v->extent = number(row, "vg_extent_size");
        v->seqno = number(row, "vg_seqno");
        v->mda_size = number(row, "vg_mda_size");
        v->mda_free = number(row, "vg_mda_free");
        v->n_missing = number(row, "vg_missing_pv_count");
        v->is_autoactivated =
                text(row, "vg_autoactivation")[0] != '\0' && strcmp(text(row, "vg_autoactivation"), "0") != 0;
        v->is_exported = text(row, "vg_exported")[0] != '\0' && strcmp(text(row, "vg_exported"), "0") != 0;
        r = read_pvs(v, section(report, "pv"));
        return r < 0 ? r : read_lvs(v, section(report, "lv"));
}

static int limit(const Vg *v, LvmCmd *c)
{
        const char **devices = calloc(v->n_pvs + 1, sizeof(*devices));
        size_t n = 0;
        int r;

        if (!devices)
                return -ENOMEM;
        for (size_t i = 0; i < v->n_pvs; i++)
                if (!v->pvs[i].is_missing && v->pvs[i].device[0] == '/')
                        devices[n++] = v->pvs[i].device;
        r = lvm_cmd_limit(c, devices, v->n_missing > 0 ? 0 : n); /* what is missing may come back as another device */
        free(devices);
        return r;
}

/* Whether the metadata is what it was at the last report. */
static bool is_unchanged(const Vg *v)
{
        size_t n_read = 0;

        if (!v->report || !v->is_sure)
                return false;
        for (size_t i = 0; i < v->n_pvs; i++) {
                MdaState now;

                if (v->pvs[i].is_missing || !v->pvs[i].has_mda)
                        continue;
                if (mda_read(v->pvs[i].device, &now) < 0 || !mda_state_equal(&now, &v->pvs[i].mda))
                        return false;
                n_read++;
        }
        return n_read > 0;
}

/* The areas of the devices that are known, in their order; false where one could not be read. */
static bool read_areas(const Vg *old, Vg *v, const MdaState *before)
{
        bool is_sure = v->n_pvs > 0 && v->n_missing == 0;
        size_t n_used = 0;

        for (size_t i = 0; i < v->n_pvs; i++) {
                size_t k = 0;

                if (!v->pvs[i].has_mda)
                        continue;
                while (k < old->n_pvs && strcmp(old->pvs[k].device, v->pvs[i].device) != 0)
                        k++;
                if (k == old->n_pvs || before[k].label.n_areas == 0)
                        is_sure = false; /* not read before the report: the next look will know it */
                else
                        v->pvs[i].mda = before[k];
                n_used++;
        }
        return is_sure && n_used > 0;
}

static int ask(LvmCmd *c, const char *name, json_object **ret, struct storaged_error *err)
{
        return lvm_cmd_report(
                c, "look at its volume group", ret, err,
                "fullreport %s --reportformat json --units b --nosuffix --configreport vg -o "
                "vg_uuid,vg_seqno,vg_size,vg_free,vg_extent_size,vg_lock_type,vg_lock_args,vg_tags,"
                "vg_missing_pv_count,vg_exported,vg_autoactivation,vg_mda_size,vg_mda_free --configreport pv -o "
                "pv_name,pv_missing,pv_mda_used_count --configreport lv -o "
                "lv_name,lv_uuid,lv_size,lv_tags,lv_time,lv_layout,pool_lv,origin "
                "--configreport pvseg -o pvseg_start -S pvseg_start<0 --configreport seg -o seg_start -S "
                "seg_start<0",
                name);
}

static int report(Vg *v, LvmCmd *c, const char *name, struct storaged_error *err)
{
        static uint64_t n_reports; /* of this process */
        AUTO(freep) MdaState *before = calloc(v->n_pvs + 1, sizeof(*before));
        json_object *o = NULL;
        Vg next = { 0 };
        int r;

        if (!before)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < v->n_pvs; i++)
                if (v->pvs[i].has_mda)
                        (void) mda_read(v->pvs[i].device, &before[i]); /* what can't be read stays zero: not sure */
        r = ask(c, name, &o, err);
        if (r < 0 && c->filter) {
                (void) lvm_cmd_limit(c, NULL, 0);
                r = ask(c, name, &o, err);
        }
        if (r == -ENOENT || r == -EIO) {
                json_object_put(o);
                return r == -ENOENT ? error_set_param(err, -ENOENT, "vgname",
                                                      "%s: this node sees no volume group \"%s\"; is its LUN mapped "
                                                      "here (pvesm scan lvm shows what there is)?",
                                                      c->what, name)
                                    : r;
        }
        if (r < 0)
                return r;
        next.report = o;
        r = read_report(&next, o);
        if (r >= 0)
                r = limit(&next, c);
        if (r < 0) {
                vg_deinit(&next);
                return error_set(err, r, "%s: cannot read LVM's report on volume group \"%s\": %s", c->what, name,
                                 strerror(-r));
        }
        next.is_sure = read_areas(v, &next, before);
        next.number = ++n_reports;
        vg_deinit(v);
        *v = next;
        return 0;
}

/* The first report finds the devices, so that only a second one can be vouched for; listings that follow pay nothing.
 */
int vg_refresh(Vg *v, LvmCmd *c, const char *name, struct storaged_error *err)
{
        return is_unchanged(v) ? 0 : report(v, c, name, err);
}

const VgLv *vg_find(const Vg *v, const char *lv)
{
        VgLv key = { .name = lv };

        return v->n_lvs ? bsearch(&key, v->lvs, v->n_lvs, sizeof(*v->lvs), by_name) : NULL;
}

const VgLv *vg_find_uuid(const Vg *v, const char *uuid)
{
        for (size_t i = 0; i < v->n_lvs; i++) {
                const char *a = v->lvs[i].uuid, *b = uuid;

                for (; *a; a++)
                        if (*a != '-' && *a != *b++)
                                break;
                if (!*a && !*b)
                        return &v->lvs[i];
        }
        return NULL;
}

bool vg_has_tag(const char *tags, const char *tag)
{
        size_t n = strlen(tag);

        for (const char *p = tags; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : "")
                if (strncmp(p, tag, n) == 0 && (p[n] == ',' || p[n] == '\0'))
                        return true;
        return false;
}
