/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker is told when it starts: the node, where things are, and the storage's configuration with
 * its paths as they are on this machine (base/paths.h). Secrets go as the names of their files.
 */
#include "core/storage.h"

#include "core/secret.h"
#include "wire/json.h"

/* Paths of the product's own places move with --root. */
static int add_value(Core *c, json_object *config, const StorageConfig *s, const ConfigPair *pair)
{
        const Property *p = s->type ? type_find_property(s->type, pair->key) : NULL;
        AUTO(freep) char *placed = NULL;
        int r;

        if (p && str_eq(pair->key, "path") && str_eq(p->format, "storage-path")) {
                r = paths_of_storage(&c->paths, pair->value, &placed);
                if (r < 0)
                        return r;
        }
        return json_add_string(config, pair->key, placed ? placed : pair->value);
}

static int add_secrets(Core *c, json_object *args, const StorageConfig *s)
{
        AUTO_JSON *secrets = json_object_new_object();
        int r;

        if (!secrets)
                return -ENOMEM;
        for (size_t i = 0; s->type && i < s->type->n_properties; i++) {
                const Property *p = &s->type->properties[i];
                AUTO(freep) char *path = NULL;

                if (!(p->flags & STORAGED_PROPERTY_SECRET))
                        continue;
                r = secret_path(&c->paths, s->type_name, s->id, p->name, &path);
                if (r < 0)
                        return r;
                r = json_add_string(secrets, p->name, path);
                if (r < 0)
                        return r;
        }
        return json_add(args, "secrets", TAKE(secrets));
}

static int add_storage(Core *c, json_object *args, const StorageConfig *s)
{
        AUTO_JSON *config = json_object_new_object();
        int r;

        if (!config)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_pairs; i++) {
                r = add_value(c, config, s, &s->pairs[i]);
                if (r < 0)
                        return r;
        }
        r = json_add_string(args, "storage", s->id);
        if (r >= 0)
                r = json_add(args, "config", TAKE(config));
        return r < 0 ? r : add_secrets(c, args, s);
}

json_object *storage_start_args(Core *c, const StorageConfig *s)
{
        AUTO_JSON *args = json_object_new_object();
        int r;

        if (!args)
                return NULL;
        r = json_add_string(args, "node", c->node);
        if (r >= 0)
                r = json_add_string(args, "root", c->paths.root);
        if (r >= 0)
                r = json_add_string(args, "run_dir", c->paths.run);
        if (r >= 0 && s)
                r = add_storage(c, args, s);
        return r < 0 ? NULL : TAKE(args);
}
