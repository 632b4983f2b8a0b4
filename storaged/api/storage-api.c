/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /storage: definitions. A body may hold any property of a storage type; which ones there are and what they may be is
 * the schema's to say, so core judges them all; here they are only divided from the words of the call itself.
 */
#include "api/request.h"
#include "api/route.h"
#include "base/vec.h"
#include "core/definition.h"
#include "wire/json.h"

typedef VEC(struct storaged_pair) Pairs;

/* The given parameters that are no words of the call. The strings stay the request's. */
static int collect_pairs(const Request *r, Pairs *ret)
{
        static const char *const words[] = { "type", "storage", "digest", "delete", "force", NULL };
        bool is_update = r->route->method[1] == 'U';

        for (size_t i = 0; i < r->params.n; i++) {
                struct storaged_pair pair = { r->params.items[i].name, r->params.items[i].value };
                bool is_word = false;

                for (size_t k = is_update; words[k]; k++) /* `type` in an update is core's to refuse */
                        is_word = is_word || str_eq(words[k], pair.key);
                if (!is_word && VEC_PUSH(ret, pair) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static void add_storage(Request *r)
{
        DefinitionChange change = { .id = request_get(r, "storage"),
                                    .type = request_get(r, "type"),
                                    .is_forced = params_get_bool(&r->params, "force", false) };
        Pairs pairs = { 0 };

        if (collect_pairs(r, &pairs) < 0) {
                request_fail(r, -ENOMEM, NULL);
        } else {
                change.pairs = pairs.items;
                change.n_pairs = pairs.n;
                definition_add(r->core, &change, request_on_reply, r);
        }
        VEC_DEINIT(&pairs);
}

static void update_storage(Request *r)
{
        DefinitionChange change = { .id = request_get(r, "storage"),
                                    .digest = request_get(r, "digest"),
                                    .is_forced = params_get_bool(&r->params, "force", false) };
        AUTO(strlist_deinit) StrList remove = STRLIST_INIT;
        const char *list = request_get(r, "delete");
        Pairs pairs = { 0 };

        if (collect_pairs(r, &pairs) < 0 || (list && strlist_split(&remove, list, ",; ") < 0)) {
                request_fail(r, -ENOMEM, NULL);
        } else {
                change.pairs = pairs.items;
                change.n_pairs = pairs.n;
                change.remove = list ? &remove : NULL;
                definition_update(r->core, &change, request_on_reply, r);
        }
        VEC_DEINIT(&pairs);
}

static void remove_storage(Request *r)
{
        definition_remove(r->core, request_get(r, "storage"), request_on_reply, r);
}

static void get_storage(Request *r)
{
        const char *id = request_get(r, "storage");
        const StorageConfig *s = config_find(r->core->config, id);

        if (s)
                request_reply_take(r, storage_config_to_api(s, r->core->config->digest));
        else
                request_fail_status(r, 404, "storage", "storage '%s' does not exist", id);
}

static void list_storages(Request *r)
{
        const char *type = request_get(r, "type");
        const Config *c = r->core->config;
        AUTO_JSON *rows = json_object_new_array();

        if (type && !schema_find(r->core->schema, type)) {
                request_fail_status(r, 400, "type", "'%s' is no type of storage", type);
                return;
        }
        for (size_t i = 0; rows && i < c->n_storages; i++) {
                json_object *row;

                if (type && !str_eq(type, c->storages[i]->type_name))
                        continue;
                row = storage_config_to_api(c->storages[i], c->digest);
                if (!row || json_object_array_add(rows, row) < 0) {
                        request_fail(r, -ENOMEM, NULL);
                        return;
                }
        }
        request_reply_take(r, TAKE(rows));
}

/* Those of all types are judged by core; these two may come as JSON lists, and these three are whole files. */
#define PROPERTY_FILES                                                                                             \
        { .name = "keyring", .flags = PARAM_MULTILINE, .max_length = 65536, .description = "Text of a keyring." }, \
                { .name = "encryption-key",                                                                        \
                  .flags = PARAM_MULTILINE,                                                                        \
                  .max_length = 65536,                                                                             \
                  .description = "Text of an encryption key, or autogen." },                                       \
        {                                                                                                          \
                .name = "master-pubkey", .flags = PARAM_MULTILINE, .max_length = 65536,                            \
                .description = "Text of a public key (PEM)."                                                       \
        }
#define PROPERTY_LISTS                                                                                                 \
        { .name = "content", .flags = PARAM_LIST | PARAM_EMPTY, .description = "What may be kept there." },            \
        {                                                                                                              \
                .name = "nodes", .flags = PARAM_LIST | PARAM_EMPTY, .description = "Nodes that have it; without: all." \
        }

#define FORCE                                                                                     \
        {                                                                                         \
                .name = "force", .type = PARAM_BOOLEAN,                                           \
                .description = "Accept it without proof that all its nodes reach the same thing." \
        }

static const ParamSpec add_params[] = {
        { .name = "type", .flags = PARAM_REQUIRED, .max_length = 63, .description = "Type of storage." },
        { .name = "storage", .flags = PARAM_REQUIRED, .max_length = 255, .description = "Id of the new storage." },
        PROPERTY_LISTS,
        PROPERTY_FILES,
        FORCE,
        { 0 },
};

static const ParamSpec update_params[] = {
        { .name = "delete", .flags = PARAM_LIST, .description = "Properties to take out." },
        { .name = "digest",
          .max_length = 64,
          .description = "Refuse if storage.cfg has changed since this SHA-1 was shown." },
        PROPERTY_LISTS,
        PROPERTY_FILES,
        FORCE,
        { 0 },
};

static const ParamSpec list_params[] = {
        { .name = "type", .max_length = 63, .description = "Only storages of this type." },
        { 0 },
};

#define ALLOCATE "/storage: Datastore.Allocate"

const Route storage_routes[] = {
        { "GET", "/storage", list_params, .permission = "any user, result filtered", .description = "All definitions.",
          .handler = list_storages },
        { "POST", "/storage", add_params, ROUTE_ANY_PROPERTY, .permission = ALLOCATE,
          .description = "Adds a storage; besides these, the properties of its type.", .handler = add_storage },
        { "GET", "/storage/{storage}", .permission = "/storage/{storage}: Datastore.Allocate",
          .description = "One definition.", .handler = get_storage },
        { "PUT", "/storage/{storage}", update_params, ROUTE_ANY_PROPERTY, .permission = ALLOCATE,
          .description = "Changes a storage; besides these, the properties of its type that are not fixed.",
          .handler = update_storage },
        { "DELETE", "/storage/{storage}", .permission = ALLOCATE,
          .description = "Removes the definition; the data stays.", .handler = remove_storage },
        { 0 },
};
