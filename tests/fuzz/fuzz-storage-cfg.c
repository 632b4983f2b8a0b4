/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.cfg from any bytes: reading never fails, what is written reads as the same text again, and
 * every storage can be shown, changed and removed without a crash.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Schema *schema;

static void edit_all(const Config *c)
{
        static const struct storaged_pair pairs[] = { { "nodes", "n1" }, { "disable", "1" } };

        for (size_t i = 0; i < c->n_storages && i < 8; i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                char *text = NULL;

                if (config_update(c, schema, c->storages[i]->id, pairs, 2, NULL, &text, &err) == 0)
                        free(text);
                if (config_remove(c, c->storages[i]->id, &text, &err) == 0) {
                        Config *after = NULL;
                        const StorageConfig *s;

                        assert(config_parse(schema, text, strlen(text), &after) == 0);
                        s = config_find(after, c->storages[i]->id);
                        assert(!s || s->line == 0); /* gone, or `local` again */
                        config_free(after);
                        free(text);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Config *first = NULL, *second = NULL;
        char *once, *twice;
        json_object *json;

        if (!schema)
                assert(schema_new(&schema) == 0);
        assert(config_parse(schema, (const char *) data, size, &first) == 0);
        once = config_write(first);
        assert(once);
        assert(config_parse(schema, once, strlen(once), &second) == 0);
        twice = config_write(second);
        assert(twice && strcmp(once, twice) == 0);
        assert(first->n_storages == second->n_storages);
        for (size_t i = 0; i < first->n_storages; i++) {
                const StorageConfig *a = first->storages[i], *b = config_find(second, a->id);

                assert(b && a->contents == b->contents && a->is_disabled == b->is_disabled &&
                       a->is_shared == b->is_shared);
                assert(!a->broken == !b->broken && a->type == b->type && a->nodes.n == b->nodes.n);
        }
        json = config_check_to_json(first);
        assert(json);
        json_object_put(json);
        edit_all(first);
        free(once);
        free(twice);
        config_free(first);
        config_free(second);
        return 0;
}
