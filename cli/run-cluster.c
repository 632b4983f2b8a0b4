/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that put together what concerns all nodes. */
#include "cli/run.h"

#include "cli/show-cluster.h"
#include "wire/json.h"

/* Members and storages are two calls of the API and one answer to the administrator. */
int run_cluster_status(Cli *c)
{
        AUTO(answer_deinit) Answer members = ANSWER_INIT;
        AUTO(answer_deinit) Answer storages = ANSWER_INIT;
        AUTO(answer_deinit) Answer conflicts = ANSWER_INIT;
        AUTO_JSON *all = json_object_new_object();
        int r = cli_call_verb(c, &members);

        if (r == 0)
                r = cli_call(c, "GET", "/cluster/storages", NULL, &storages);
        if (r == 0)
                r = cli_call(c, "GET", "/cluster/conflicts", NULL, &conflicts);
        if (r != 0)
                return r;
        if (!all || json_add(all, "cluster", json_object_get(members.data)) < 0 ||
            json_add(all, "storages", json_object_get(storages.data)) < 0 ||
            json_add(all, "conflicts", json_object_get(conflicts.data)) < 0)
                return cli_oom();
        return cli_show(c, all);
}

/* Exit code 1 if there is a problem, so that scripts and monitoring can ask. */
int run_doctor(Cli *c)
{
        const char *all = args_get(&c->args, "all");
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        int r = str_eq(all, "1") ? cli_call(c, "GET", "/cluster/doctor", NULL, &a) : cli_call_verb(c, &a);
        size_t n = 0;

        if (r == 0)
                r = cli_show(c, a.data);
        if (r == 0 && json_object_is_type(a.data, json_type_array))
                n = json_object_array_length(a.data);
        for (size_t i = 0; i < n; i++)
                if (finding_is_problem(json_object_array_get_idx(a.data, i)))
                        return CLI_FOUND;
        return r;
}
