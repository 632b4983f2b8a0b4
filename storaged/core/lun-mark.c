/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Marks on LUNs. A storage lies on a LUN if its volume group does, or if it names it as its base. */
#include "core/lun-mark.h"

#include <errno.h>

#include "core/lun-journal.h"
#include "wire/json.h"

/* "MULTIPATHSTORE:WWID" */
static bool is_base(const char *base, const char *wwid)
{
        const char *colon = base ? strchr(base, ':') : NULL;

        return colon && str_eq(colon + 1, wwid);
}

static int mark_storages(const Core *c, json_object *lun)
{
        const char *vg = json_get_string(lun, "vg"), *wwid = json_get_string(lun, "wwid");
        AUTO_JSON *names = json_object_new_array();

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < c->config->n_storages; i++) {
                const StorageConfig *s = c->config->storages[i];
                const char *vgname = storage_config_get(s, "vgname");

                if (((vg && *vg && str_eq(vg, vgname)) || is_base(storage_config_get(s, "base"), wwid)) &&
                    json_object_array_add(names, json_object_new_string(s->id)) < 0)
                        return -ENOMEM;
        }
        return json_add(lun, "storages", TAKE(names));
}

static int mark_one(const Core *c, json_object *lun, const StrList *held)
{
        json_object_object_del(lun, "storages");
        json_object_object_del(lun, "held");
        if (strlist_has(held, json_get_string(lun, "wwid")) && json_add_bool01(lun, "held", true) < 0)
                return -ENOMEM;
        return mark_storages(c, lun);
}

static void collect(void *userdata, const char *wwid)
{
        (void) strlist_adds(userdata, wwid);
}

int lun_mark_all(Core *c, json_object *luns)
{
        AUTO(strlist_deinit) StrList held = STRLIST_INIT;
        int r = 0;

        lun_journal_each(c, collect, &held);

        for (size_t i = 0; luns && r >= 0 && i < json_object_array_length(luns); i++)
                r = mark_one(c, json_object_array_get_idx(luns, i), &held);
        return r;
}
